import type { ClockKind, Entity, IncidentDetail } from '../../api/types'
import { minutesText } from '../../lib/clock'
import { count, words } from '../../lib/format'
import { duration } from '../../lib/time'
import { ClockWord } from '../../ui/ClockMark'
import { Section } from '../../ui/Page'
import { Time, useNow } from '../../ui/Time'
import { Value } from '../../ui/Value'

export function Scope({ incident }: { incident: IncidentDetail }) {
  const kinds = new Map<string, Entity[]>()
  for (const entity of incident.entities) {
    const list = kinds.get(entity.kind) ?? []
    if (!list.some((e) => e.value === entity.value)) list.push(entity)
    kinds.set(entity.kind, list)
  }
  return (
    <Section title="Scope">
      <dl className="scope">
        {[...kinds].map(([kind, list]) => (
          <div key={kind}>
            <dt>
              {words(kind)} <span className="muted tabular">{count(list.length)}</span>
            </dt>
            <dd className="values values-wrap">
              {list.map((e) => (
                <Value key={e.value} kind={e.kind} value={e.value} role={e.role} max={44} />
              ))}
            </dd>
          </div>
        ))}
      </dl>
    </Section>
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
