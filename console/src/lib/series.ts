/** What a chart of rows draws: bars of names, or lines over time. */
import type { RowColumn } from '../api/rows'
import { cellNumber, cellText, cellTime, isNumeric } from './table'

export const BARS_MAX = 30
export const LINES_MAX = 8

export interface BarSet {
  label: string
  unit: string
  bars: { name: string; value: number }[]
  /** How many are not drawn. */
  left: number
  /** Of all bars, also those that are not drawn. */
  total: number
}

export interface Point {
  at: number
  value: number
}

export interface Line {
  name: string
  points: Point[]
}

export interface LineSet {
  time: string
  unit: string
  lines: Line[]
  left: number
  /** The distance of the points where it is the same everywhere; a longer one is a gap. */
  step: number | null
}

/** Null where the columns give no bars. */
export function barSet(columns: readonly RowColumn[], rows: readonly unknown[][]): BarSet | null {
  const value = columns.findIndex((c) => isNumeric(c.kind))
  const text = columns.findIndex((c) => c.kind === 'text')
  const name = text >= 0 ? text : columns.findIndex((_, i) => i !== value)
  if (value < 0 || name < 0) return null
  const all = rows
    .map((row) => ({ name: cellText(row[name]), value: cellNumber(row[value]) ?? 0 }))
    .sort((a, b) => b.value - a.value)
  return {
    label: columns[name]?.name ?? '',
    unit: columns[value]?.name ?? '',
    bars: all.slice(0, BARS_MAX),
    left: Math.max(0, all.length - BARS_MAX),
    total: all.reduce((sum, b) => sum + b.value, 0),
  }
}

const BIN_LEAST_MS = 1000
const SPARSE_MAX = 20

/** The one distance between times, if there is one: bins have it, single events do not. */
function evenStep(times: readonly number[]): number | null {
  let step = Number.POSITIVE_INFINITY
  for (let i = 1; i < times.length; i += 1) step = Math.min(step, (times[i] ?? 0) - (times[i - 1] ?? 0))
  const [first = 0] = times
  const span = (times[times.length - 1] ?? 0) - first
  // Single events are also an even number of milliseconds apart: those are no bins.
  if (!Number.isFinite(step) || step < BIN_LEAST_MS || span / step > times.length * SPARSE_MAX) return null
  return times.every((t) => (t - first) % step === 0) ? step : null
}

const weight = (line: Line): number => line.points.reduce((sum, p) => sum + Math.abs(p.value), 0)

/** Null where the columns give no lines. */
export function lineSet(columns: readonly RowColumn[], rows: readonly unknown[][]): LineSet | null {
  const time = columns.findIndex((c) => c.kind === 'time')
  const text = columns.findIndex((c) => c.kind === 'text')
  const values = columns.flatMap((c, i) => (isNumeric(c.kind) ? [{ i, name: c.name }] : []))
  if (time < 0 || values.length === 0) return null
  const lines = new Map<string, Line>()
  const times = new Set<number>()
  for (const row of rows) {
    const at = cellTime(row[time])
    if (at === null) continue
    times.add(at)
    const group = text < 0 ? '' : cellText(row[text]) || '(empty)'
    for (const { i, name } of values) {
      const value = cellNumber(row[i])
      if (value === null) continue
      const of = text < 0 ? name : values.length === 1 ? group : `${group} · ${name}`
      const line = lines.get(of) ?? { name: of, points: [] }
      lines.set(of, line)
      line.points.push({ at, value })
    }
  }
  const all = [...lines.values()].sort((a, b) => weight(b) - weight(a))
  for (const line of all) line.points.sort((a, b) => a.at - b.at)
  return {
    time: columns[time]?.name ?? '',
    unit: values.map((v) => v.name).join(', '),
    lines: all.slice(0, LINES_MAX),
    left: Math.max(0, all.length - LINES_MAX),
    step: evenStep([...times].sort((a, b) => a - b)),
  }
}

/** A line cut where data is missing: gaps are drawn as gaps. */
export function runs(points: readonly Point[], step: number | null): Point[][] {
  const cut: Point[][] = []
  let before: Point | undefined
  for (const point of points) {
    const isGap = !before || (step !== null && point.at - before.at > step)
    if (isGap) cut.push([point])
    else cut[cut.length - 1]?.push(point)
    before = point
  }
  return cut
}
