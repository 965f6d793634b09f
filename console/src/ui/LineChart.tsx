/** Lines over time with axes and a legend. Lines differ by dashes as well as by colour. */
import { useState } from 'react'
import { compact } from '../lib/format'
import { numberTicks, timeTicks } from '../lib/scale'
import { type Line, type LineSet, type Point, runs } from '../lib/series'
import { visible } from '../lib/text'
import { localClock, localDateTime, localMinute, localShort } from '../lib/time'
import { useWidth } from './Bars'
import { ZONE } from './Time'

const HEIGHT = 200
const LEFT = 56
/** Half of the longest time of the axis has room. */
const RIGHT = 46
const TOP = 8
const AXIS = 20
const TICK_PX = 120
const DAY_MS = 86_400_000
const DASHES = ['', '7 3', '2 3', '9 3 2 3']
/** With more points than this the line says it all. */
const DOTS_MAX = 200

interface LineChartProps {
  set: LineSet
  isArea: boolean
  xTitle?: string
  yTitle?: string
}

interface Scale {
  x: (at: number) => number
  y: (value: number) => number
  from: number
  to: number
  values: number[]
}

function scaleOf(lines: readonly Line[], width: number): Scale {
  let [from, to, low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0]
  for (const { points } of lines) {
    for (const p of points) {
      from = Math.min(from, p.at)
      to = Math.max(to, p.at)
      low = Math.min(low, p.value)
      high = Math.max(high, p.value)
    }
  }
  const values = numberTicks(low, high > low ? high : low + 1, 4)
  const bottom = values[0] ?? 0
  const top = values[values.length - 1] ?? 1
  const inner = Math.max(1, width - LEFT - RIGHT)
  const plot = HEIGHT - TOP - AXIS
  return {
    // A single time stands in the middle.
    x: (at) => LEFT + (to > from ? (at - from) / (to - from) : 0.5) * inner,
    y: (value) => TOP + (1 - (value - bottom) / (top - bottom || 1)) * plot,
    from,
    to,
    values,
  }
}

const axisNumber = (n: number): string => (Number.isInteger(n) ? compact(n) : String(n))
const color = (i: number): string => `var(--series-${i + 1})`
const dash = (i: number): string | undefined => DASHES[i % DASHES.length] || undefined

export function LineChart({ set, isArea, xTitle, yTitle }: LineChartProps) {
  const [ref, width] = useWidth()
  const [hover, setHover] = useState<number | null>(null)
  const { lines } = set
  const scale = scaleOf(lines, width)
  const onMove = (event: React.PointerEvent<HTMLDivElement>) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left
    setHover(nearest(lines, scale.from + ((x - LEFT) / (width - LEFT - RIGHT)) * (scale.to - scale.from)))
  }
  if (lines.length === 0) return <p className="muted small">No row has both a time and a number.</p>
  const unit = visible(yTitle || set.unit)
  return (
    <>
      <div className="muted small">{unit}</div>
      <div
        ref={ref}
        className="bars line-chart"
        style={{ height: HEIGHT }}
        role="img"
        aria-label={`${unit} over time, ${lines.length} ${lines.length === 1 ? 'line' : 'lines'}; the rows are below`}
        onPointerMove={onMove}
        onPointerLeave={() => setHover(null)}
      >
        {width > 0 && (
          <svg width={width} height={HEIGHT} aria-hidden="true">
            <Axes scale={scale} width={width} />
            {lines.map((line, i) => (
              <Path key={line.name} line={line} index={i} step={set.step} scale={scale} isArea={isArea} />
            ))}
            {hover !== null && (
              <line
                x1={scale.x(hover)}
                x2={scale.x(hover)}
                y1={TOP}
                y2={HEIGHT - AXIS}
                className="axis-line"
              />
            )}
          </svg>
        )}
        {hover !== null && <Tip lines={lines} at={hover} left={scale.x(hover)} width={width} />}
      </div>
      <div className="muted small line-chart-time">
        {visible(xTitle || set.time)} ({ZONE})
      </div>
      <Legend lines={lines} left={set.left} />
    </>
  )
}

function Axes({ scale, width }: { scale: Scale; width: number }) {
  const span = scale.to - scale.from
  const wanted = Math.max(1, Math.floor((width - LEFT - RIGHT) / TICK_PX))
  const ticks = span > 0 ? timeTicks(scale.from, scale.to, wanted) : [scale.from]
  const write = span > DAY_MS ? localShort : span > wanted * 60_000 ? localMinute : localClock
  return (
    <>
      {scale.values.map((value) => (
        <g key={value}>
          <line
            x1={LEFT}
            x2={width - RIGHT}
            y1={scale.y(value)}
            y2={scale.y(value)}
            className={value === 0 ? 'axis-line' : 'grid-line'}
          />
          <text x={LEFT - 8} y={scale.y(value) + 3.5} textAnchor="end" className="axis">
            {axisNumber(value)}
          </text>
        </g>
      ))}
      {ticks.map((at) => (
        <text key={at} x={scale.x(at)} y={HEIGHT - 5} textAnchor="middle" className="axis">
          {write(new Date(at).toISOString())}
        </text>
      ))}
    </>
  )
}

interface PathProps {
  line: Line
  index: number
  step: number | null
  scale: Scale
  isArea: boolean
}

function Path({ line, index, step, scale, isArea }: PathProps) {
  const spot = (p: Point) => `${scale.x(p.at).toFixed(1)},${scale.y(p.value).toFixed(1)}`
  const parts = runs(line.points, step)
  const isDotted = line.points.length <= DOTS_MAX
  const base = scale.y(0).toFixed(1)
  return (
    <g style={{ color: color(index) }}>
      {parts.map((part) => {
        const [first] = part
        const last = part[part.length - 1]
        if (!first || !last) return null
        const path = `M${part.map(spot).join('L')}`
        return (
          <g key={first.at}>
            {isArea && part.length > 1 && (
              <path
                d={`${path}L${scale.x(last.at).toFixed(1)},${base}L${scale.x(first.at).toFixed(1)},${base}Z`}
                className="line-area"
              />
            )}
            <path d={path} className="line-path" strokeDasharray={dash(index)} />
            {(isDotted ? part : part.length === 1 ? part : []).map((p, i) => (
              <circle key={i} cx={scale.x(p.at)} cy={scale.y(p.value)} r={2.2} fill="currentColor" />
            ))}
          </g>
        )
      })}
    </g>
  )
}

/** The time of the point that is nearest to a time. */
function nearest(lines: readonly Line[], wanted: number): number | null {
  let best: number | null = null
  for (const { points } of lines) {
    for (const p of points) {
      if (best === null || Math.abs(p.at - wanted) < Math.abs(best - wanted)) best = p.at
    }
  }
  return best
}

function Tip({ lines, at, left, width }: { lines: Line[]; at: number; left: number; width: number }) {
  return (
    <div className="bars-tip line-tip" style={{ left: Math.max(0, Math.min(left + 8, width - 260)) }}>
      <span className="tabular">{localDateTime(new Date(at).toISOString())}</span>
      {lines.map((line, i) => {
        const point = line.points.find((p) => p.at === at)
        return point ? (
          <span key={line.name} className="line-tip-row">
            <Swatch index={i} />
            <span className="line-name">{visible(line.name)}</span>
            <strong className="tabular">{point.value}</strong>
          </span>
        ) : null
      })}
    </div>
  )
}

function Swatch({ index }: { index: number }) {
  return (
    <svg width="22" height="8" aria-hidden="true" style={{ color: color(index) }}>
      <path d="M0,4L22,4" className="line-path" strokeDasharray={dash(index)} />
    </svg>
  )
}

function Legend({ lines, left }: { lines: Line[]; left: number }) {
  return (
    <ul className="line-legend small" aria-label="Lines">
      {lines.map((line, i) => (
        <li key={line.name}>
          <Swatch index={i} />
          <span className="line-name" title={visible(line.name)}>
            {visible(line.name)}
          </span>
        </li>
      ))}
      {left > 0 && (
        <li className="capped">
          … and {left} more {left === 1 ? 'line' : 'lines'}: the largest are drawn
        </li>
      )}
    </ul>
  )
}
