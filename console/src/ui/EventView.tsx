/** One event in full: its fields as chips, its raw bytes, what was odd about it; matches are marked. */
import { useMemo, useState } from 'react'
import type { Reason, SocEvent } from '../api/types'
import { enrichmentsOf } from '../lib/enrichments'
import { count } from '../lib/format'
import { patternCore, splitMarks } from '../lib/marks'
import { valueText, visible, visibleBlock } from '../lib/text'
import { CopyButton } from './CopyButton'
import { Section } from './Page'
import { Time } from './Time'
import { Value } from './Value'

const FOLDED = 14

export function Marked({ text, values }: { text: string; values: readonly string[] }) {
  const parts = useMemo(() => splitMarks(text, values), [text, values])
  return (
    <>
      {parts.map((part, i) =>
        part.marked ? <mark key={i}>{visibleBlock(part.text)}</mark> : visibleBlock(part.text),
      )}
    </>
  )
}

/** What to mark in the raw line: the matched values, and where a value is not there word for word, its pattern. */
export function markValues(event: SocEvent, reasons: readonly Reason[]): string[] {
  const raw = event.raw.toLowerCase()
  return reasons.flatMap((reason) => {
    const value = valueText(reason.value)
    if (!reason.pattern || raw.includes(value.toLowerCase())) return [value]
    const core = patternCore(reason.pattern)
    return core.length >= 3 ? [value, core] : [value]
  })
}

interface EventViewProps {
  event: SocEvent
  reasons?: readonly Reason[]
}

const NO_REASONS: readonly Reason[] = []

export function EventView({ event, reasons = NO_REASONS }: EventViewProps) {
  const marks = useMemo(() => markValues(event, reasons), [event, reasons])
  return (
    <>
      <EventFields event={event} reasons={reasons} />
      <Section
        title="Raw"
        note={`${count(event.raw.length)} characters`}
        tools={
          <>
            {event.fields['unmapped.packet'] && (
              <a
                className="link-button"
                href={`/api/v1/events/${encodeURIComponent(event.id)}/packets`}
                download={`event-${event.id}.pcap`}
              >
                Packet (pcap)
              </a>
            )}
            <CopyButton text={event.raw} label="Copy the raw event" />
          </>
        }
      >
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard. */}
        <pre className="raw" tabIndex={0} role="region" aria-label="Raw event">
          <Marked text={event.raw} values={marks} />
        </pre>
      </Section>
      <Enrichments event={event} />
      {event.anomalies.length > 0 && (
        <Section title="Anomalies" note="what the decoder found odd">
          <ul className="plain-list">
            {event.anomalies.map((anomaly, i) => (
              <li key={i}>
                <span className="mono">{anomaly.code}</span>{' '}
                <span className="muted">{visible(anomaly.detail ?? '')}</span>
              </li>
            ))}
          </ul>
        </Section>
      )}
    </>
  )
}

/** What was added to the event from elsewhere, with where each value came from. */
function Enrichments({ event }: { event: SocEvent }) {
  const notes = useMemo(() => enrichmentsOf(event), [event])
  if (notes.length === 0) return null
  return (
    <Section title="Known from elsewhere" note="added when the event arrived; the source did not say it">
      <dl className="fields">
        {notes.map((note, i) => (
          <div key={i}>
            <dt className="mono" title={`${note.type} from ${note.provider}`}>
              {visible(note.path)}
            </dt>
            <dd>
              <Value value={note.value} field={note.path} max={200} plain />{' '}
              <span className="muted">
                {note.type}, {visible(note.provider)}
              </span>
            </dd>
          </div>
        ))}
      </dl>
    </Section>
  )
}

function EventFields({ event, reasons }: { event: SocEvent; reasons: readonly Reason[] }) {
  const [isUnfolded, setUnfolded] = useState(false)
  const matched = useMemo(() => new Map(reasons.map((r) => [r.field, r])), [reasons])
  const matchedValues = useMemo(() => new Set(reasons.map((r) => valueText(r.value))), [reasons])
  const names = useMemo(() => {
    const isMatch = (name: string) => matched.has(name) || matchedValues.has(valueText(event.fields[name]))
    return Object.keys(event.fields)
      .filter((name) => event.fields[name] !== null && event.fields[name] !== '' && name !== 'enrichments')
      .sort((a, b) => Number(isMatch(b)) - Number(isMatch(a)) || a.localeCompare(b))
  }, [event, matched, matchedValues])
  const shown = isUnfolded ? names : names.slice(0, Math.max(FOLDED, reasons.length))
  return (
    <Section
      title="Event"
      note={
        <>
          {visible(event.class_name)} · {visible(event.product ?? event.source)} · <Time iso={event.time} />
        </>
      }
    >
      {event.message && <p className="prose">{visible(event.message)}</p>}
      <dl className="fields">
        {shown.map((name) => {
          const value = valueText(event.fields[name])
          const isMatch = matched.has(name) || (value.length > 1 && matchedValues.has(value))
          return (
            <div key={name} data-matched={isMatch}>
              <dt className="mono">{name}</dt>
              <dd>
                <Value value={value} field={name} max={400} plain marked={isMatch} />
              </dd>
            </div>
          )
        })}
      </dl>
      {names.length > shown.length || isUnfolded ? (
        <button type="button" className="link-button" onClick={() => setUnfolded(!isUnfolded)}>
          {isUnfolded ? 'Show fewer fields' : `Show all ${names.length} fields`}
        </button>
      ) : null}
    </Section>
  )
}
