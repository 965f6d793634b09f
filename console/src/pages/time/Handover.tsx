/** What one shift gives to the next: what stands, what changed, notes; and what was handed over before. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { handoverDraftQuery, handoverQuery, handoversQuery } from '../../api/queries'
import type {
  HandoverDetail,
  HandoverIncidents,
  HandoverSnapshot,
  HandoverTrouble,
  HandoverWork,
} from '../../api/types'
import { useSession } from '../../frame/session'
import { CLOCK_WORD, STATE_WORD } from '../../lib/clock'
import { count, SEVERITIES, SEVERITY_WORD, VERDICT_WORD } from '../../lib/format'
import { visible, visibleBlock } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { FormError } from '../../ui/FormError'
import { PageHead, Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { toastError } from '../../ui/toast'

export default function Handover() {
  const [search, set] = useUrlState()
  return search.id ? (
    <Given id={String(search.id)} back={() => set({ id: null }, { push: true })} />
  ) : (
    <Draft />
  )
}

const SPANS: readonly [string, string][] = [
  ['', 'since the last handover'],
  ['8', 'last 8 hours'],
  ['12', 'last 12 hours'],
  ['24', 'last 24 hours'],
  ['72', 'last 3 days'],
]

function Draft() {
  const [hours, setHours] = useState('')
  const query = useQuery(handoverDraftQuery(hours))
  const [notes, setNotes] = useState('')
  const [search, set] = useUrlState()
  const client = useQueryClient()
  const { submit, isBusy, error } = useSubmit(async () => {
    const from = hours ? query.data?.from : undefined
    const given = await api.post<HandoverDetail>('/handovers', { from, notes })
    void client.invalidateQueries({ queryKey: ['handovers'] })
    set({ ...search, id: given.id }, { push: true })
  })
  return (
    <div className="page handover">
      <PageHead title="Shift handover">
        <label className="field-inline">
          Over
          <select className="input" value={hours} onChange={(e) => setHours(e.target.value)}>
            {SPANS.map(([key, word]) => (
              <option key={key} value={key}>
                {word}
              </option>
            ))}
          </select>
        </label>
        <button type="button" className="button" onClick={() => window.print()}>
          Print
        </button>
      </PageHead>
      {query.error && !query.data ? (
        <Problem what="The handover did not load" error={query.error} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <SkeletonRows rows={12} />
      ) : (
        <>
          <Snapshot shown={query.data} />
          <Section title="Notes" note="for the next shift; kept with what is shown above">
            <form className="stack" onSubmit={submit}>
              <textarea
                className="input"
                rows={4}
                aria-label="Notes for the next shift"
                placeholder="What the next shift should know besides"
                value={notes}
                onChange={(e) => setNotes(e.target.value)}
              />
              <FormError error={error} />
              <div>
                <button type="submit" className="button button-primary" disabled={isBusy}>
                  Hand over
                </button>
              </div>
            </form>
          </Section>
        </>
      )}
      <Earlier />
    </div>
  )
}

function Earlier() {
  const { data } = useQuery(handoversQuery)
  return (
    <Section title="Earlier handovers">
      {!data ? (
        <SkeletonRows rows={3} />
      ) : data.items.length === 0 ? (
        <p className="muted quiet">None yet. Hand over at the end of the shift; it stands here as it was.</p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Until</th>
              <th scope="col">Given by</th>
              <th scope="col">Taken by</th>
              <th scope="col">Notes</th>
            </tr>
          </thead>
          <tbody>
            {data.items.map((one) => (
              <tr key={one.id}>
                <td>
                  <Link to="/handover" search={{ id: one.id }}>
                    <Time iso={one.to} />
                  </Link>
                </td>
                <td>{visible(one.given_by)}</td>
                <td>
                  {one.accepted_by ? visible(one.accepted_by) : <span className="muted">nobody yet</span>}
                </td>
                <td className="wrap">{visible(one.notes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}

function Given({ id, back }: { id: string; back: () => void }) {
  const query = useQuery(handoverQuery(id))
  const client = useQueryClient()
  const { user } = useSession()
  const { data } = query
  const accept = () =>
    void api
      .post(`/handovers/${encodeURIComponent(id)}/accept`)
      .then(() => {
        void client.invalidateQueries({ queryKey: ['handovers'] })
        void client.invalidateQueries({ queryKey: ['handover', id] })
      })
      .catch(toastError('The handover was not taken'))
  return (
    <div className="page handover">
      <PageHead title="Shift handover">
        <button type="button" className="button" onClick={back}>
          Back
        </button>
        <button type="button" className="button" onClick={() => window.print()}>
          Print
        </button>
        {data && !data.accepted_by && data.given_by !== user.name && (
          <button type="button" className="button button-primary" onClick={accept}>
            Take over
          </button>
        )}
      </PageHead>
      {query.error && !data ? (
        <Problem what="The handover did not load" error={query.error} retry={() => void query.refetch()} />
      ) : !data ? (
        <SkeletonRows rows={12} />
      ) : (
        <>
          <p className="sentence">
            Given by <strong>{visible(data.given_by)}</strong> <Time iso={data.given_at} />,{' '}
            {data.accepted_by ? (
              <>
                taken by <strong>{visible(data.accepted_by)}</strong> <Time iso={data.accepted_at} />
              </>
            ) : (
              'taken by nobody yet'
            )}
            .{' '}
            <span className={data.is_sealed ? 'muted small' : 'warn'} title={`SHA-256 ${data.digest}`}>
              {data.is_sealed ? 'Sealed in the audit log.' : 'It is not the one that the audit log names.'}
            </span>
          </p>
          {data.notes && (
            <Section title="Notes">
              <p>{visibleBlock(data.notes)}</p>
            </Section>
          )}
          <Snapshot shown={data.snapshot} />
        </>
      )}
    </div>
  )
}

function Snapshot({ shown }: { shown: HandoverSnapshot }) {
  return (
    <>
      <p className="muted">
        <Time iso={shown.from} /> to <Time iso={shown.to} /> ·{' '}
        {shown.on_call.length === 0
          ? 'nobody is on call'
          : shown.on_call
              .map((one) => `${visible(one.rotation)}: ${one.now ? visible(one.now.name) : 'nobody'}`)
              .join(' · ')}{' '}
        · open alerts:{' '}
        {SEVERITIES.filter((level) => shown.alerts[level])
          .map((level) => `${count(shown.alerts[level])} ${SEVERITY_WORD[level]}`)
          .join(', ') || 'none'}
      </p>
      <Incidents title="Open incidents" part={shown.open} empty="Nothing is open." />
      <div className="columns-2">
        <Incidents title="New" part={shown.new} empty="No new incident." />
        <Incidents title="Broken clocks" part={shown.breaches} empty="Every clock was kept." />
        <Incidents title="Contained" part={shown.contained} empty="None." />
        <Incidents title="Resolved" part={shown.resolved} empty="None." />
        <Section title="Escalations">
          <Lines
            empty="Nobody was called."
            items={shown.escalations.map((one) => (
              <li key={one.id}>
                <Time iso={one.at} show="short" /> {visible(one.title)}: level {one.level} to{' '}
                {one.recipients.map(visible).join(', ') || 'nobody'}
                {one.trouble && <span className="warn small"> {visible(one.trouble)}</span>}
              </li>
            ))}
          />
        </Section>
        <Section title="Waiting actions">
          <Work items={shown.actions} to="/approvals" empty="No action waits." />
        </Section>
        <Section title="Running playbooks">
          <Work items={shown.runs} to="/playbooks" empty="No playbook runs." />
        </Section>
        <Section title="Silent sources, resting rules">
          <Troubles items={[...(shown.quiet_sources ?? []), ...(shown.suspended_rules ?? [])]} />
        </Section>
      </div>
    </>
  )
}

function Lines({ items, empty }: { items: ReactNode[]; empty: string }) {
  if (items.length === 0) return <p className="muted quiet">{empty}</p>
  return <ul className="plain-list">{items}</ul>
}

function Work({
  items,
  to,
  empty,
}: {
  items: HandoverWork[]
  to: '/approvals' | '/playbooks'
  empty: string
}) {
  return (
    <Lines
      empty={empty}
      items={items.map((one) => (
        <li key={one.id}>
          <Link to={to}>{visible(one.text)}</Link>{' '}
          <span className="muted small">
            {one.status}, by {visible(one.by)}, <Time iso={one.since} show="short" />
          </span>
          {one.trouble && <span className="warn small"> {visible(one.trouble)}</span>}
        </li>
      ))}
    />
  )
}

function Troubles({ items }: { items: HandoverTrouble[] }) {
  return (
    <Lines
      empty="All sources speak, all rules are evaluated."
      items={items.map((one) => (
        <li key={one.id}>
          <strong>{visible(one.id)}</strong> <span className="small">{visible(one.text)}</span>
        </li>
      ))}
    />
  )
}

function Incidents({ title, part, empty }: { title: string; part: HandoverIncidents; empty: string }) {
  return (
    <Section title={title} note={count(part.total)}>
      <Lines
        empty={empty}
        items={part.items.map((one) => (
          <li key={`${one.id} ${one.clock?.kind ?? ''}`} className="handover-incident">
            <Severity level={one.severity} />
            <Link to="/incidents/$id" params={{ id: one.id }}>
              #{one.number} {visible(one.title)}
            </Link>
            <span className="muted small">
              {one.assignee ? `with ${visible(one.assignee)}` : 'with nobody'}
              {one.verdict ? ` · ${VERDICT_WORD[one.verdict]}` : ''}
              {one.clock && (
                <>
                  {' · '}
                  {CLOCK_WORD[one.clock.kind]} {STATE_WORD[one.clock.state]}, due{' '}
                  <Time iso={one.clock.due_at} show="short" />
                </>
              )}
            </span>
          </li>
        ))}
      />
      {part.total > part.items.length && (
        <p className="capped">… and {count(part.total - part.items.length)} more</p>
      )}
    </Section>
  )
}
