/** What storage figures say in words, and what a change of retention would do: pure, so that it is tested. */
import type { Bucket, Retention, RetentionRule, StorageShare, StorageUsage } from '../api/types'
import { className } from './classes'
import { bytes, count, plural } from './format'

const GB = 1e9
const DAY_MS = 86_400_000
const YEAR_DAYS = 365

export const DAYS_MAX = 36_500
export const RULES_MAX = 200

/** Days as people say them; beyond two years nobody counts days. */
export function daysWords(days: number): string {
  return days < 2 * YEAR_DAYS ? plural(days, 'day') : `about ${count(days / YEAR_DAYS)} years`
}

export const keptWords = (days: number | null | undefined): string =>
  days === null || days === undefined ? 'for ever' : plural(days, 'day')

/** How many times smaller than what arrived; empty where nothing did. */
export function ratioWords(rawBytes: number, storedBytes: number): string {
  if (rawBytes <= 0 || storedBytes <= 0) return ''
  const ratio = rawBytes / storedBytes
  return `${ratio.toFixed(ratio >= 100 ? 0 : 1)} ×`
}

type Forecast = Pick<StorageUsage, 'rows' | 'bytes_per_day' | 'free_bytes' | 'full_in_days' | 'steady_bytes'>

/** What comes of growth and retention: the short word, what stands behind it, and whether it asks for somebody. */
export function forecastWords(usage: Forecast): { text: string; note: string; isTight: boolean } {
  const { full_in_days: full, steady_bytes: steady } = usage
  const say = (text: string, note: string, isTight = false) => ({ text, note, isTight })
  if (usage.rows === 0) return say('Nothing yet', 'a forecast needs a day of events')
  if (usage.bytes_per_day === 0) return say('Does not grow', 'nothing arrived on the last days')
  if (full !== null) {
    const note =
      steady === null
        ? 'events are kept for ever'
        : `it would settle at ${bytes(steady)}, for which there is no room`
    return say(full === 0 ? 'Full within a day' : `Full in ${daysWords(full)}`, note, full < 30)
  }
  if (steady !== null) return say(`Settles at ${bytes(steady)}`, 'once retention deletes as much as arrives')
  return usage.free_bytes === null
    ? say('Kept for ever', 'it grows without an end, as a bucket does')
    : say('Kept for ever', 'the room lasts beyond what can be told')
}

/** What some bytes cost in a month, in whatever money the price is in. */
export function monthCost(storedBytes: number, pricePerGb: number): number {
  return (storedBytes / GB) * pricePerGb
}

export function costWords(cost: number): string {
  if (cost > 0 && cost < 0.01) return '< 0.01'
  return cost.toLocaleString('en-US', { minimumFractionDigits: 2, maximumFractionDigits: 2 })
}

/** A bar a day up to the newest, at least `least` of them; days without events are gaps. */
export function dayBars(days: readonly StorageShare[], least: number, most: number): Bucket[] {
  const known = new Map(days.map((day) => [Date.parse(`${day.name}T00:00:00Z`), day.bytes]))
  const times = [...known.keys()].filter((at) => !Number.isNaN(at))
  if (times.length === 0) return []
  const last = Math.max(...times)
  const span = Math.round((last - Math.min(...times)) / DAY_MS) + 1
  const n = Math.min(most, Math.max(least, span))
  return Array.from({ length: n }, (_, i) => {
    const at = last - (n - 1 - i) * DAY_MS
    return { start: new Date(at).toISOString(), count: known.get(at) ?? 0 }
  })
}

/** `fw-*, DNS Activity`: which events a rule is for. */
export function ruleScope(rule: Pick<RetentionRule, 'source' | 'class_uid'>): string {
  const what = rule.class_uid === null ? 'events' : className(rule.class_uid)
  return rule.source === null ? (rule.class_uid === null ? 'All events' : what) : `${what} of ${rule.source}`
}

/** Takes a rule to another place; places beyond the ends change nothing. */
export function moved<T>(rules: readonly T[], from: number, to: number): T[] {
  const next = [...rules]
  if (from < 0 || from >= next.length || to < 0 || to >= next.length) return next
  next.splice(to, 0, ...next.splice(from, 1))
  return next
}

/** Whether a source's name fits a pattern with `*` and `?`, as the server compares: the case does not matter. */
export function fitsSource(pattern: string, source: string): boolean {
  const text = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.')
  return new RegExp(`^${text}$`, 'is').test(source)
}

type Policy = Pick<Retention, 'rules' | 'default_days'>

/** How long a policy keeps a source's events of each class that it names, and (last) of all other classes. */
function daysOf(policy: Policy, source: string, classes: readonly (number | null)[]): number[] {
  const fitting = policy.rules.filter((rule) => rule.source === null || fitsSource(rule.source, source))
  return classes.map((uid) => {
    const rule = fitting.find((one) => one.class_uid === null || one.class_uid === uid)
    return (rule ? rule.days : policy.default_days) ?? Number.POSITIVE_INFINITY
  })
}

export interface RetentionEffect {
  /** Sources of which some events are kept shorter than before. */
  shorter: string[]
  longer: string[]
}

/** Which sources a change keeps shorter or longer, in some class at least. */
export function retentionEffect(before: Policy, after: Policy, sources: readonly string[]): RetentionEffect {
  const named = [...before.rules, ...after.rules].map((rule) => rule.class_uid).filter((uid) => uid !== null)
  const classes = [...new Set<number | null>(named), null]
  const effect: RetentionEffect = { shorter: [], longer: [] }
  for (const source of sources) {
    const was = daysOf(before, source, classes)
    const is = daysOf(after, source, classes)
    if (is.some((days, i) => days < (was[i] ?? 0))) effect.shorter.push(source)
    if (is.some((days, i) => days > (was[i] ?? 0))) effect.longer.push(source)
  }
  return effect
}

/** `a, b, c and 4 more`. */
export function someOf(names: readonly string[], most = 3): string {
  if (names.length <= most) return names.join(', ')
  return `${names.slice(0, most).join(', ')} and ${count(names.length - most)} more`
}

/** A rule as it is being written: what people typed, and a key of its own for the list. */
export interface DraftRule {
  key: number
  source: string
  classUid: string
  days: string
}

/** Days as typed; `null` where it is no whole number in the range. */
export function readDays(text: string): number | null {
  const days = /^\d{1,6}$/.test(text.trim()) ? Number(text) : 0
  return days >= 1 && days <= DAYS_MAX ? days : null
}

export const DAYS_WANTED = `a whole number of days, 1 to ${count(DAYS_MAX)}`

export const ruleOf = (draft: DraftRule): RetentionRule => ({
  source: draft.source.trim() || null,
  class_uid: draft.classUid ? Number(draft.classUid) : null,
  days: readDays(draft.days) ?? 0,
})

/** What is wrong with a rule where it stands, if anything is. */
export function draftTrouble(drafts: readonly DraftRule[], at: number): string | null {
  const draft = drafts[at]
  if (!draft) return null
  if (readDays(draft.days) === null) return `Write ${DAYS_WANTED}.`
  const isForAll = !draft.source.trim() && !draft.classUid
  return isForAll && at < drafts.length - 1
    ? 'This fits all events and hides the rules below; put it last.'
    : null
}

/** Whether somebody confirmed a deletion: its number of events, or the word. */
export function confirms(text: string, events: number): boolean {
  const said = text.trim().toLowerCase()
  return said === 'delete' || (/^[\d,. ]+$/.test(said) && said.replace(/[,. ]/g, '') === String(events))
}
