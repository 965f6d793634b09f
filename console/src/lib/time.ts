/** Times are shown local with their zone; UTC is always one hover away. */

const pad = (n: number, width = 2) => String(n).padStart(width, '0')

export function zoneName(date: Date): string {
  const minutes = -date.getTimezoneOffset()
  if (minutes === 0) return 'UTC'
  const sign = minutes < 0 ? '−' : '+'
  const abs = Math.abs(minutes)
  return `UTC${sign}${pad(Math.floor(abs / 60))}${abs % 60 ? `:${pad(abs % 60)}` : ''}`
}

const day = (d: Date) => `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`
const clock = (d: Date) => `${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`

export function localDateTime(iso: string): string {
  const date = new Date(iso)
  return Number.isNaN(date.getTime()) ? iso : `${day(date)} ${clock(date)} ${zoneName(date)}`
}

export function localClock(iso: string, withMillis = false): string {
  const date = new Date(iso)
  if (Number.isNaN(date.getTime())) return iso
  return withMillis ? `${clock(date)}.${pad(date.getMilliseconds(), 3)}` : clock(date)
}

export function localMinute(iso: string): string {
  return localClock(iso).slice(0, 5)
}

export function localShort(iso: string): string {
  const date = new Date(iso)
  return Number.isNaN(date.getTime())
    ? iso
    : `${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(date)}`
}

export function utcDateTime(iso: string): string {
  const date = new Date(iso)
  return Number.isNaN(date.getTime()) ? iso : `${date.toISOString().replace('T', ' ').replace('Z', '')} UTC`
}

export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds))
  if (s < 60) return `${s} s`
  if (s < 3600)
    return s % 60 && s < 600 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${Math.floor(s / 60)} min`
  if (s < 86_400) {
    const minutes = Math.floor((s % 3600) / 60)
    return minutes ? `${Math.floor(s / 3600)} h ${minutes} min` : `${Math.floor(s / 3600)} h`
  }
  const hours = Math.floor((s % 86_400) / 3600)
  return hours ? `${Math.floor(s / 86_400)} d ${hours} h` : `${Math.floor(s / 86_400)} d`
}

export function ago(iso: string, now = Date.now()): string {
  const seconds = (now - new Date(iso).getTime()) / 1000
  if (Number.isNaN(seconds)) return ''
  if (seconds < 0) return seconds > -5 ? 'now' : `in ${coarse(-seconds)}`
  return seconds < 5 ? 'now' : `${coarse(seconds)} ago`
}

function coarse(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} d`
}

export interface Range {
  /** `15m`, `24h`, `7d`, `all`, or empty when from and to are given. */
  last: string
  from: string
  to: string
}

export const RANGES: readonly [string, string][] = [
  ['15m', 'Last 15 minutes'],
  ['1h', 'Last hour'],
  ['6h', 'Last 6 hours'],
  ['24h', 'Last 24 hours'],
  ['7d', 'Last 7 days'],
  ['30d', 'Last 30 days'],
  ['all', 'All time'],
]

const UNIT_SECONDS: Record<string, number> = { m: 60, h: 3600, d: 86_400 }

export function rangeSeconds(last: string): number | null {
  const match = /^(\d+)([mhd])$/.exec(last)
  return match ? Number(match[1]) * (UNIT_SECONDS[match[2] ?? ''] ?? 0) : null
}

/** The absolute bounds of a range; `all` has none. */
export function rangeBounds(range: Range, now = Date.now()): { from?: string; to?: string } {
  if (range.from || range.to) return { from: range.from || undefined, to: range.to || undefined }
  const seconds = rangeSeconds(range.last)
  return seconds === null ? {} : { from: new Date(now - seconds * 1000).toISOString() }
}

export function rangeLabel(range: Range): string {
  if (range.from || range.to) {
    return `${range.from ? localShort(range.from) : 'start'} – ${range.to ? localShort(range.to) : 'now'}`
  }
  return RANGES.find(([key]) => key === range.last)?.[1] ?? range.last
}
