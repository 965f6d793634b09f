/** An exception while it is being made: conditions offered from the alert, and what is sent. */
import type { AlertDetail, ConditionOp, DayWindow, Suppression, SuppressionCondition } from '../api/types'
import { count, plural } from './format'
import { valueText } from './text'

export const OP_WORD: Record<ConditionOp, string> = {
  is: 'is',
  contains: 'contains',
  starts_with: 'starts with',
  ends_with: 'ends with',
}
export const OPS = Object.keys(OP_WORD) as ConditionOp[]

export interface DraftCondition {
  field: string
  op: ConditionOp
  value: string
  chosen: boolean
}

/** Longest value that is offered: a whole command line is a poor exception and a long row. */
const VALUE_MAX = 400
/** Fields that differ with every event, so that an exception by them would never hold. */
const UNIQUE = /(^|[._])(time|uid|pid|event_?record_?id|record_?number|guid|correlation_uid)$|timestamp/i

/** Whom an exception is mostly about, most telling first. */
const PRINCIPALS = ['host', 'user', 'address']

/**
 * Conditions that the alert offers: who took part, what the rule matched, then every other field of
 * the event. Chosen at first is the pair that people mostly mean: one who took part, and the longest,
 * so most telling, value that the rule matched.
 */
export function candidates(alert: AlertDetail): DraftCondition[] {
  const seen = new Set<string>()
  const found: DraftCondition[] = []
  const offer = (field: string, value: string, chosen: boolean) => {
    const key = `${field}\n${value}`
    if (!field || !value.trim() || value.length > VALUE_MAX || seen.has(key)) return
    seen.add(key)
    found.push({ field, op: 'is', value, chosen })
  }
  const rank = (kind: string) => (PRINCIPALS.indexOf(kind) + PRINCIPALS.length) % PRINCIPALS.length
  const principals = alert.entities.filter((e) => PRINCIPALS.includes(e.kind))
  const principal = [...principals].sort((a, b) => rank(a.kind) - rank(b.kind))[0]
  for (const entity of alert.entities) {
    offer(`entity.${entity.kind}`, entity.value, entity === principal)
  }
  const matched = alert.reasons
    .map((reason) => ({ field: reason.field, value: valueText(reason.value) }))
    .filter(({ field, value }) => field !== '' && value.length <= VALUE_MAX)
  const longest = matched.reduce((most, one) => Math.max(most, one.value.length), 0)
  const telling = matched.find((one) => one.value.length === longest)
  for (const one of matched) offer(one.field, one.value, one === telling)
  offer('source', alert.source, false)
  for (const [field, value] of Object.entries(alert.event?.fields ?? {}).sort()) {
    if (!UNIQUE.test(field)) offer(field, valueText(value), false)
  }
  return found
}

export function chosenConditions(draft: readonly DraftCondition[]): SuppressionCondition[] {
  return draft
    .filter((c) => c.chosen && c.value.trim() !== '')
    .map(({ field, op, value }) => ({ field, op, value: value.trim() }))
}

const pad = (n: number) => String(n).padStart(2, '0')
export const clockText = (minute: number): string =>
  `${pad(Math.floor(minute / 60) % 24)}:${pad(minute % 60)}`

/** Minutes of a day from `HH:MM`; null if it is none. */
export function minuteOf(text: string): number | null {
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text.trim())
  return match ? Number(match[1]) * 60 + Number(match[2]) : null
}

/** Hours of the day as sent; null where the two do not make a window. */
export function windowOf(from: string, to: string, zone: string): DayWindow | null {
  const [a, b] = [minuteOf(from), minuteOf(to)]
  if (a === null || b === null || a === b) return null
  return { from_minute: a, to_minute: b === 0 ? 1440 : b, zone }
}

export function spanText(seconds: number): string {
  if (seconds % 86_400 === 0) return plural(seconds / 86_400, 'day')
  if (seconds % 3600 === 0) return plural(seconds / 3600, 'hour')
  if (seconds % 60 === 0) return plural(seconds / 60, 'minute')
  return plural(seconds, 'second')
}

/** What an exception does besides its conditions, in words. */
export function limitsText(s: Pick<Suppression, 'window' | 'threshold'>): string {
  const parts: string[] = []
  if (s.threshold) {
    const per = s.threshold.per ? ` per ${s.threshold.per}` : ''
    parts.push(
      `alert only from ${count(s.threshold.count)} findings within ${spanText(s.threshold.within_s)}${per}`,
    )
  }
  if (s.window) {
    const { from_minute, to_minute, zone } = s.window
    parts.push(`${clockText(from_minute)} – ${clockText(to_minute)} ${zone}`)
  }
  return parts.join(' · ')
}
