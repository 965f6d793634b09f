/** Who and what was involved, where it belongs, and what people said. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useAlertActions } from '../../actions/alerts'
import { detachDialog } from '../../actions/attachDialog'
import { incidentQuery } from '../../api/queries'
import type { AlertContext, AlertDetail, Entity, Verdict } from '../../api/types'
import { actionWords, count, plural, VERDICT_WORD, VERDICTS } from '../../lib/format'
import { valueText, visible, visibleBlock } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Risk, RiskParts } from '../../ui/Risk'
import { Status } from '../../ui/Status'
import { Ago, Time } from '../../ui/Time'
import { Value } from '../../ui/Value'

interface Seen {
  events: number
  first: string
  last: string
}

function seenIn(context: AlertContext | undefined, value: string): Seen | null {
  const times = (context?.events ?? [])
    .filter((event) => Object.values(event.fields).some((field) => valueText(field) === value))
    .map((event) => event.time)
    .sort()
  const [first] = times
  const last = times.at(-1)
  return first && last ? { events: times.length, first, last } : null
}

function grouped(entities: readonly Entity[]): Map<string, Entity & { roles: string[] }> {
  const cards = new Map<string, Entity & { roles: string[] }>()
  for (const entity of entities) {
    const key = `${entity.kind}\n${entity.value}`
    const card = cards.get(key) ?? { ...entity, roles: [] }
    if (entity.role && !card.roles.includes(entity.role)) card.roles.push(entity.role)
    cards.set(key, card)
  }
  return cards
}

export function EntityCards({ alert, context }: { alert: AlertDetail; context?: AlertContext }) {
  return (
    <Section title="Who and what">
      <ul className="entity-cards">
        {[...grouped(alert.entities)].map(([key, entity]) => {
          const seen = seenIn(context, entity.value)
          return (
            <li key={key}>
              <div className="entity-top">
                <Value kind={entity.kind} value={entity.value} max={40} />
                <span className="muted small">{entity.roles.join(', ') || entity.kind}</span>
              </div>
              <div className="small muted tabular">
                {seen ? (
                  <>
                    {plural(seen.events, 'event')} in ± 15 min, <Time iso={seen.first} show="clock" /> –{' '}
                    <Time iso={seen.last} show="clock" />
                  </>
                ) : context ? (
                  'Only in this alert within ± 15 min'
                ) : (
                  '…'
                )}
                {' · '}
                <Link to="/queue" search={{ entity: entity.value, status: 'all' }}>
                  alerts
                </Link>
              </div>
            </li>
          )
        })}
      </ul>
    </Section>
  )
}

export function Attachment({ alert }: { alert: AlertDetail }) {
  const incidentId = alert.incident_id ?? ''
  const { data } = useQuery({ ...incidentQuery(incidentId), enabled: incidentId !== '' })
  const actions = useAlertActions()
  return (
    <Section title="Incident">
      {!alert.incident_id ? (
        <p className="muted quiet">Not part of an incident.</p>
      ) : (
        <div className="stack-tight">
          <div className="row">
            <Link to="/incidents/$id" params={{ id: alert.incident_id }} className="strong">
              {data ? `#${data.number} ${visible(data.title)}` : 'Open incident'}
            </Link>
          </div>
          {data && (
            <div className="row small">
              <Status status={data.status} verdict={data.verdict} />
              <span className="muted">{plural(data.alert_count, 'alert')}</span>
            </div>
          )}
          {alert.attachment && alert.attachment.reasons.length > 0 && (
            <ul className="plain-list small">
              {alert.attachment.reasons.map((reason, i) => (
                <li key={i}>{visible(reason)}</li>
              ))}
            </ul>
          )}
          <button type="button" className="link-button" onClick={() => detachDialog(alert, actions)}>
            Detach…
          </button>
        </div>
      )}
    </Section>
  )
}

export function RiskOf({ alert }: { alert: AlertDetail }) {
  return (
    <Section title="Risk" tools={<Risk score={alert.risk} />}>
      <RiskParts score={alert.risk} parts={alert.risk_parts} isOpen />
    </Section>
  )
}

export function Judgements({ alert }: { alert: AlertDetail }) {
  const counts = alert.judgement_counts
  const judged = VERDICTS.filter((v) => (counts[v] ?? 0) > 0)
  return (
    <Section title="Earlier judgements" note="on the same rule">
      {judged.length === 0 ? (
        <p className="muted quiet">Nobody has judged this rule yet.</p>
      ) : (
        <>
          <div className="row small">
            {judged.map((v: Verdict) => (
              <span key={v} className="tag">
                {VERDICT_WORD[v]} <strong className="tabular">{count(counts[v])}</strong>
              </span>
            ))}
          </div>
          <ul className="plain-list small">
            {alert.judgements.slice(0, 6).map((j, i) => (
              <li key={i}>
                <Link to="/alerts/$id" params={{ id: j.alert_id }}>
                  {VERDICT_WORD[j.verdict] ?? j.verdict}
                </Link>{' '}
                <span className="muted">
                  {visible(j.actor)}, <Ago iso={j.at} />
                </span>
                {j.reason && <div>{visible(j.reason)}</div>}
              </li>
            ))}
          </ul>
        </>
      )}
    </Section>
  )
}

/** Notes stand where they were written in the history, with their text. */
function withNotes(alert: AlertDetail): AlertDetail['history'] {
  const notes = alert.notes.map((n) => ({
    at: n.created_at,
    actor: n.author,
    action: 'note',
    detail: n.text,
  }))
  const others = alert.history.filter((entry) => notes.length === 0 || !/\bnote/.test(entry.action))
  return [...others, ...notes].sort((a, b) => a.at.localeCompare(b.at))
}

export function History({ alert }: { alert: AlertDetail }) {
  return (
    <Section title="History and notes">
      <HistoryList items={withNotes(alert)} />
    </Section>
  )
}

export function HistoryList({ items }: { items: AlertDetail['history'] }) {
  if (items.length === 0) return <p className="muted quiet">Nothing yet.</p>
  return (
    <ol className="history">
      {[...items].reverse().map((entry, i) => (
        <li key={i}>
          <div className="small">
            <strong>{actionWords(entry.action)}</strong>{' '}
            <span className="muted">
              {visible(entry.actor)}, <Time iso={entry.at} show="short" />
            </span>
          </div>
          {entry.detail && <div className="history-detail">{visibleBlock(entry.detail)}</div>}
        </li>
      ))}
    </ol>
  )
}
