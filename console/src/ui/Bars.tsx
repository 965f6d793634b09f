/** Bars over time. With `onBrush`, dragging (or Shift and arrows, then Enter) narrows the range. */
import { useEffect, useRef, useState } from 'react'
import type { Bucket } from '../api/types'
import { compact, count, plural } from '../lib/format'
import { localClock, localDateTime, localMinute, localShort } from '../lib/time'

interface BarsProps {
  buckets: Bucket[]
  seconds: number
  height: number
  label: string
  unit?: string
  /** Writes a value where it is no count, such as bytes; then there is no unit. */
  format?: (value: number) => string
  onBrush?: (from: string, to: string) => void
}

const AXIS = 18
const LEFT_OF_COUNTS = 44
const LEFT_OF_WORDS = 64
const DAY_S = 86_400

const utcDay = (iso: string): string => iso.slice(5, 10)

/** The width that the page gives to an element. */
export function useWidth() {
  const ref = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(0)
  useEffect(() => {
    const element = ref.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  return [ref, width] as const
}

export function Bars({ buckets, seconds, height, label, unit = 'event', format, onBrush }: BarsProps) {
  const [ref, width] = useWidth()
  const [brush, setBrush] = useState<[number, number] | null>(null)
  const [hover, setHover] = useState<number | null>(null)
  const isDragging = useRef(false)
  const n = buckets.length
  const max = Math.max(1, ...buckets.map((b) => b.count))
  const left = format ? LEFT_OF_WORDS : LEFT_OF_COUNTS
  const inner = Math.max(0, width - left)
  const plot = height - AXIS
  const step = n > 0 ? inner / n : 0
  const spanS = n * seconds
  // A day's bar is a day of UTC, whatever the clock on the wall says.
  const isDays = seconds >= DAY_S
  const tick = isDays ? utcDay : spanS > DAY_S * 2 ? localShort : seconds >= 60 ? localMinute : localClock
  const indexAt = (clientX: number) => {
    const start = (ref.current?.getBoundingClientRect().left ?? 0) + left
    return Math.max(0, Math.min(n - 1, Math.floor((clientX - start) / (step || 1))))
  }
  const commit = (span: [number, number]) => {
    const [a, b] = [Math.min(...span), Math.max(...span)]
    const from = buckets[a]
    const to = buckets[b]
    if (from && to) onBrush?.(from.start, new Date(Date.parse(to.start) + seconds * 1000).toISOString())
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (!onBrush || n === 0) return
    const [a, b] = brush ?? [n - 1, n - 1]
    const move = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0
    if (move) {
      const next = Math.max(0, Math.min(n - 1, b + move))
      setBrush(event.shiftKey ? [a, next] : [next, next])
      setHover(next)
    } else if (event.key === 'Enter' && brush) {
      commit(brush)
      setBrush(null)
    } else if (event.key === 'Escape' && brush) setBrush(null)
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  const shown = hover !== null ? buckets[hover] : undefined
  const ticks = Math.max(1, Math.floor(inner / 130))
  const [lo, hi] = brush ? [Math.min(...brush), Math.max(...brush)] : [-1, -1]
  return (
    <div
      ref={ref}
      className={`bars ${onBrush ? 'bars-brush' : ''}`}
      style={{ height }}
      role={onBrush ? 'application' : 'img'}
      aria-label={`${label}: highest ${format ? format(max) : count(max)}${onBrush ? '. Arrows move, Shift extends, Enter narrows the range.' : ''}`}
      tabIndex={onBrush ? 0 : undefined}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        if (!onBrush || event.button !== 0) return
        event.currentTarget.setPointerCapture(event.pointerId)
        isDragging.current = true
        const at = indexAt(event.clientX)
        setBrush([at, at])
      }}
      onPointerMove={(event) => {
        const at = indexAt(event.clientX)
        setHover(at)
        if (isDragging.current) setBrush((now) => [now?.[0] ?? at, at])
      }}
      onPointerUp={() => {
        if (isDragging.current && brush) commit(brush)
        isDragging.current = false
        setBrush(null)
      }}
      onPointerLeave={() => setHover(null)}
      onBlur={() => setBrush(null)}
    >
      {width > 0 && (
        <svg width={width} height={height} aria-hidden="true">
          <text x={left - 8} y={9} textAnchor="end" className="axis">
            {format ? format(max) : compact(max)}
          </text>
          <text x={left - 8} y={plot} textAnchor="end" className="axis">
            0
          </text>
          <line x1={left} x2={width} y1={0.5} y2={0.5} className="grid-line" />
          <line x1={left} x2={width} y1={plot + 0.5} y2={plot + 0.5} className="axis-line" />
          {buckets.map((b, i) => {
            const h = b.count === 0 ? 0 : Math.max(1.5, (b.count / max) * (plot - 2))
            return (
              <rect
                key={b.start}
                x={left + i * step + (step > 4 ? 0.5 : 0)}
                y={plot - h}
                width={Math.max(0.5, step - (step > 4 ? 1 : 0))}
                height={h}
                className={i === hover || (i >= lo && i <= hi) ? 'bar bar-on' : 'bar'}
              />
            )
          })}
          {brush && (
            <rect x={left + lo * step} y={0} width={(hi - lo + 1) * step} height={plot} className="brush" />
          )}
          {n > 0 &&
            Array.from({ length: ticks }, (_, t) => {
              const i = Math.floor((t * n) / ticks)
              const bucket = buckets[i]
              return bucket ? (
                <text key={t} x={left + i * step} y={height - 4} className="axis">
                  {tick(bucket.start)}
                </text>
              ) : null
            })}
        </svg>
      )}
      {shown && (
        <div
          className="bars-tip"
          style={{ left: Math.min(left + (hover ?? 0) * step, Math.max(0, width - 220)) }}
        >
          <span className="tabular">
            {isDays ? `${shown.start.slice(0, 10)} UTC` : localDateTime(shown.start)}
          </span>
          <strong className="tabular">{format ? format(shown.count) : plural(shown.count, unit)}</strong>
        </div>
      )}
    </div>
  )
}

/** A line of sixty minutes in the height of a row. */
export function Spark({ values, label }: { values: number[]; label: string }) {
  const max = Math.max(1, ...values)
  const step = 120 / Math.max(1, values.length)
  return (
    <svg width="120" height="20" role="img" aria-label={label} className="spark">
      {values.map((v, i) => {
        const h = v === 0 ? 0 : Math.max(1, (v / max) * 18)
        return <rect key={i} x={i * step} y={20 - h} width={Math.max(0.8, step - 0.5)} height={h} />
      })}
      <line x1="0" x2="120" y1="19.500" y2="19.500" />
    </svg>
  )
}
