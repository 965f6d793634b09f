/** Everything that happened and everything that was done, on one line of time; a brush picks a stretch. */
import { Link } from '@tanstack/react-router'
import { useEffect, useMemo, useRef, useState } from 'react'
import type { IncidentDetail, TimelineEntry } from '../../api/types'
import { plural, severityRank } from '../../lib/format'
import { timeTicks } from '../../lib/scale'
import { visible } from '../../lib/text'
import { localClock, localShort } from '../../lib/time'
import { Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Time, ZONE } from '../../ui/Time'

const HEIGHT = 132
const LANE_LABEL = 92
const EDGE = 30
const LANES = ['critical', 'high', 'medium', 'low', 'informational', 'work'] as const
const LANE_WORD: Record<string, string> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
  informational: 'Info',
  work: 'Work',
}
const KIND_WORD: Record<TimelineEntry['kind'], string> = {
  alert: 'Alert',
  note: 'Note',
  status: 'Status',
  task: 'Task',
  action: 'Action',
}
const DAY_MS = 86_400_000

const laneOf = (entry: TimelineEntry): string =>
  entry.kind === 'alert' ? (entry.severity ?? 'informational') : 'work'

export function Timeline({ incident }: { incident: IncidentDetail }) {
  const [span, setSpan] = useState<[number, number] | null>(null)
  const entries = useMemo(
    () => [...incident.timeline].sort((a, b) => a.at.localeCompare(b.at)),
    [incident.timeline],
  )
  const shown = span
    ? entries.filter((e) => Date.parse(e.at) >= span[0] && Date.parse(e.at) <= span[1])
    : entries
  return (
    <Section
      title="Timeline"
      note={`${plural(shown.length, 'entry', 'entries')}${span ? ` of ${entries.length}` : ''} · times in ${ZONE}`}
      tools={
        span ? (
          <button type="button" className="link-button" onClick={() => setSpan(null)}>
            Show all
          </button>
        ) : (
          <span className="muted small">drag to narrow</span>
        )
      }
    >
      {entries.length === 0 ? (
        <p className="muted quiet">Nothing on the line yet.</p>
      ) : (
        <>
          <Strip entries={entries} span={span} onSpan={setSpan} />
          <ol className="timeline-list">
            {shown.map((entry, i) => (
              <li key={`${entry.at}${i}`} data-kind={entry.kind}>
                <Time iso={entry.at} show="short" />
                {entry.kind === 'alert' && entry.severity ? (
                  <Severity level={entry.severity} />
                ) : (
                  <span className="muted small">{KIND_WORD[entry.kind] ?? entry.kind}</span>
                )}
                <span>
                  {entry.kind === 'alert' && entry.ref_id ? (
                    <Link to="/alerts/$id" params={{ id: entry.ref_id }}>
                      {visible(entry.title)}
                    </Link>
                  ) : (
                    visible(entry.title)
                  )}
                  {entry.detail && <span className="muted"> {visible(entry.detail)}</span>}
                  {entry.actor && entry.kind !== 'alert' && (
                    <span className="muted small"> {visible(entry.actor)}</span>
                  )}
                </span>
              </li>
            ))}
          </ol>
        </>
      )}
    </Section>
  )
}

interface StripProps {
  entries: TimelineEntry[]
  span: [number, number] | null
  onSpan: (span: [number, number] | null) => void
}

function Strip({ entries, span, onSpan }: StripProps) {
  const ref = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(0)
  const [drag, setDrag] = useState<[number, number] | null>(null)
  useEffect(() => {
    const element = ref.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const times = entries.map((e) => Date.parse(e.at))
  const low = Math.min(...times)
  const high = Math.max(...times)
  const margin = Math.max(1000, (high - low) * 0.03)
  const [from, to] = [low - margin, high + margin]
  const lanes = LANES.filter((lane) => entries.some((e) => laneOf(e) === lane))
  const laneHeight = (HEIGHT - 22) / Math.max(1, lanes.length)
  const plot = Math.max(1, width - LANE_LABEL)
  const x = (ms: number) => LANE_LABEL + ((ms - from) / (to - from)) * plot
  const msAt = (clientX: number) => {
    const left = (ref.current?.getBoundingClientRect().left ?? 0) + LANE_LABEL
    return from + Math.max(0, Math.min(1, (clientX - left) / plot)) * (to - from)
  }
  const brush = drag ?? span
  // A label at the very edge would be cut off.
  const ticks = timeTicks(from, to, Math.max(2, Math.floor(plot / 120))).filter((ms) => x(ms) < width - EDGE)
  const label = high - low > DAY_MS ? localShort : (iso: string) => localClock(iso)
  const onKeyDown = (event: React.KeyboardEvent) => {
    const step = ((to - from) / 20) * (event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0)
    if (step) {
      const [a, b] = span ?? [from, from + (to - from) / 5]
      onSpan(event.shiftKey ? [a, Math.max(a + 1, b + step)] : [a + step, b + step])
    } else if (event.key === 'Escape' && span) onSpan(null)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <div
      ref={ref}
      className="strip"
      style={{ height: HEIGHT }}
      role="application"
      aria-label="Timeline. Arrows move a window, Shift widens it, Escape shows all."
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the brush works by arrows.
      tabIndex={0}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (event.button !== 0) return
        event.currentTarget.setPointerCapture(event.pointerId)
        const ms = msAt(event.clientX)
        setDrag([ms, ms])
      }}
      onPointerMove={(event) => drag && setDrag([drag[0], msAt(event.clientX)])}
      onPointerUp={() => {
        if (!drag) return
        const [a, b] = [Math.min(...drag), Math.max(...drag)]
        // A click without a drag takes the brush away.
        onSpan(x(b) - x(a) < 4 ? null : [a, b])
        setDrag(null)
      }}
    >
      {width > 0 && (
        <svg width={width} height={HEIGHT} aria-hidden="true">
          {lanes.map((lane, i) => (
            <g key={lane}>
              <text x={0} y={i * laneHeight + laneHeight / 2 + 4} className="axis">
                {LANE_WORD[lane]}
              </text>
              <line
                x1={LANE_LABEL}
                x2={width}
                y1={i * laneHeight + laneHeight / 2}
                y2={i * laneHeight + laneHeight / 2}
                className="grid-line"
              />
            </g>
          ))}
          {ticks.map((ms) => (
            <g key={ms}>
              <line x1={x(ms)} x2={x(ms)} y1={0} y2={HEIGHT - 18} className="grid-line" />
              <text x={x(ms)} y={HEIGHT - 4} textAnchor="middle" className="axis">
                {label(new Date(ms).toISOString())}
              </text>
            </g>
          ))}
          {brush && (
            <rect
              x={x(Math.min(...brush))}
              width={Math.max(1, Math.abs(x(brush[1]) - x(brush[0])))}
              y={0}
              height={HEIGHT - 20}
              className="brush"
            />
          )}
          {entries
            .map((entry) => ({ entry, lane: laneOf(entry) }))
            .sort((a, b) => rank(a.lane) - rank(b.lane))
            .map(({ entry, lane }, i) => {
              const cy = lanes.indexOf(lane as (typeof LANES)[number]) * laneHeight + laneHeight / 2
              const cx = x(Date.parse(entry.at))
              return lane === 'work' ? (
                <rect key={i} x={cx - 2} y={cy - 5} width={4} height={10} rx={1} className="work-mark" />
              ) : (
                <circle key={i} cx={cx} cy={cy} r={4.5} className={`dot fill-${lane}`} />
              )
            })}
        </svg>
      )}
    </div>
  )
}

const rank = (lane: string): number => (lane === 'work' ? 0 : severityRank(lane as never))
