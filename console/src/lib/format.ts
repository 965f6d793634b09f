/** Numbers and words for the screen. */
import type { AlertStatus, IncidentStatus, Severity, Verdict } from '../api/types'

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })
const compactFormat = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 })

export const count = (n: number | null | undefined): string => whole.format(n ?? 0)
export const compact = (n: number): string => (n < 10_000 ? whole.format(n) : compactFormat.format(n))

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`
}

export function percent(share: number): string {
  const value = share * 100
  // 99.96 % must not be rounded up to a hundred: a gap would be hidden.
  if (value > 99.9 && value < 100) return '> 99.9 %'
  return `${value.toFixed(value === 100 || value === 0 ? 0 : 1)} %`
}

/** A delay or a length of time in milliseconds; clocks that are ahead give a negative one. */
export function delay(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–'
  const size = Math.abs(ms)
  const sign = ms < 0 ? '−' : ''
  if (size < 1000) return `${sign}${Math.round(size)} ms`
  if (size < 120_000) return `${sign}${(size / 1000).toFixed(size < 10_000 ? 1 : 0)} s`
  if (size < 7_200_000) return `${sign}${Math.round(size / 60_000)} min`
  if (size < 172_800_000) return `${sign}${Math.round(size / 3_600_000)} h`
  return `${sign}${count(size / 86_400_000)} d`
}

export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = n
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${value.toFixed(unit === 0 || value >= 100 ? 0 : 1)} ${units[unit]}`
}

export const SEVERITIES: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'informational']
export const SEVERITY_WORD: Record<Severity, string> = {
  critical: 'Critical',
  high: 'High',
  medium: 'Medium',
  low: 'Low',
  informational: 'Info',
}
export const severityRank = (severity: Severity): number => SEVERITIES.length - SEVERITIES.indexOf(severity)

export const ALERT_STATUS_WORD: Record<AlertStatus, string> = {
  new: 'New',
  acknowledged: 'Acknowledged',
  in_progress: 'In progress',
  closed: 'Closed',
}
export const INCIDENT_STATUS_WORD: Record<IncidentStatus, string> = {
  new: 'New',
  in_progress: 'In progress',
  contained: 'Contained',
  resolved: 'Resolved',
  closed: 'Closed',
}

export const VERDICTS: readonly Verdict[] = [
  'true_positive',
  'benign_positive',
  'false_positive',
  'inconclusive',
]
export const VERDICT_WORD: Record<Verdict, string> = {
  true_positive: 'True positive',
  benign_positive: 'Benign positive',
  false_positive: 'False positive',
  inconclusive: 'Inconclusive',
}

export const sum = (record: Record<string, number> | null | undefined): number =>
  Object.values(record ?? {}).reduce((total, n) => total + n, 0)

/** `close_alert` → `Close alert`. */
export function words(name: string): string {
  const text = name.replace(/[._-]+/g, ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const DONE: Record<string, string> = {
  acknowledge: 'acknowledged',
  assign: 'assigned',
  attach: 'attached',
  close: 'closed',
  create: 'made',
  delete: 'deleted',
  detach: 'detached',
  merge: 'merged',
  note: 'note',
  observable: 'observable added',
  open: 'opened',
  reopen: 'reopened',
  split: 'split',
  status: 'status changed',
  update: 'changed',
}

/** The server names actions `noun.verb`; a history reads `Alert acknowledged`. */
export function actionWords(action: string): string {
  const [noun = '', verb] = action.split('.')
  return words(verb ? `${noun} ${DONE[verb] ?? verb}` : noun)
}
