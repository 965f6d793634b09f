import type { ClockKind, IncidentDetail, Touch } from '../../api/types'
import { minutesText } from '../../lib/clock'
import { count, plural, words } from '../../lib/format'
import { visible } from '../../lib/text'
import { duration } from '../../lib/time'
import { ClockWord } from '../../ui/ClockMark'
import { Section } from '../../ui/Page'
import { Risk } from '../../ui/Risk'
import { Time, useNow } from '../../ui/Time'
import { Value } from '../../ui/Value'

export function Scope({ incident }: { incident: IncidentDetail }) {
  const kinds = new Map<string, Touch[]>()
  for (const touch of incident.scope) {
    kinds.set(touch.kind, [...(kinds.get(touch.kind) ?? []), touch])
  }
  return (
    <Section title="Scope" note={plural(incident.scope.length, 'thing')}>
      <dl className="scope">
        {[...kinds].map(([kind, list]) => (
          <div key={kind}>
            <dt>
              {words(kind)} <span className="muted tabular">{count(list.length)}</span>
            </dt>
            <dd>
              {list.slice(0, SHOWN).map((touch) => (
                <Known key={touch.value} touch={touch} />
              ))}
              {list.length > SHOWN && (
                <details>
                  <summary className="small">{count(list.length - SHOWN)} more</summary>
                  {list.slice(SHOWN).map((touch) => (
                    <Known key={touch.value} touch={touch} />
                  ))}
                </details>
              )}
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}

/** Things of a kind that are shown at once. */
const SHOWN = 8

function Known({ touch }: { touch: Touch }) {
  return (
    <div className="known">
      <div className="known-row">
        <Value kind={touch.kind} value={touch.value} role={touch.roles.join(', ')} max={34} />
        {touch.risk !== null && <Risk score={touch.risk} />}
      </div>
      <details>
        <summary className="small muted" aria-label={`how it is known: ${visible(touch.value)}`}>
          how it is known
        </summary>
        <p className="small muted">
          {visible(touch.known_from)}; {plural(touch.alert_count, 'alert')} from{' '}
          <Time iso={touch.first_time} show="short" /> to <Time iso={touch.last_time} show="short" />
        </p>
      </details>
    </div>
  )
}

const STEPS = [
  ['detected_at', 'Detected'],
  ['acknowledged_at', 'Acknowledged'],
  ['contained_at', 'Contained'],
  ['resolved_at', 'Resolved'],
] as const

const KIND: Record<(typeof STEPS)[number][0], ClockKind | null> = {
  detected_at: null,
  acknowledged_at: 'acknowledge',
  contained_at: 'contain',
  resolved_at: 'resolve',
}

export function Clocks({ incident }: { incident: IncidentDetail }) {
  const now = useNow()
  const start = Date.parse(incident.clocks.detected_at ?? incident.first_time)
  const firstOpen = STEPS.find(([key]) => !incident.clocks[key])?.[0]
  return (
    <Section title="Clocks">
      <ol className="clocks">
        {STEPS.map(([key, word]) => {
          const at = incident.clocks[key]
          const face = incident.faces.find((one) => one.kind === KIND[key])
          return (
            <li key={key} data-done={Boolean(at)}>
              <span className="clock-dot" aria-hidden="true" />
              <span>{word}</span>
              <span className="tabular muted small">
                {at ? (
                  <>
                    {key !== 'detected_at' && `after ${duration((Date.parse(at) - start) / 1000)} · `}
                    <Time iso={at} show="short" />
                  </>
                ) : key === firstOpen ? (
                  `running, ${duration((Math.max(now, start) - start) / 1000)}`
                ) : (
                  '—'
                )}
                {face && (
                  <>
                    {' · '}target {minutesText(face.target_min)}, due <Time iso={face.due_at} show="short" />{' '}
                    <ClockWord state={face.state} />
                  </>
                )}
              </span>
            </li>
          )
        })}
      </ol>
    </Section>
  )
}
