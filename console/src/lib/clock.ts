/** How clocks with targets stand, as the server counts them: from detection, without time resolved. */
import type { Alert, ClockKind, ClockState, Incident, ServiceLevels } from '../api/types'

export const CLOCK_WORD: Record<ClockKind, string> = {
  acknowledge: 'Acknowledge',
  contain: 'Contain',
  resolve: 'Resolve',
}
/** As short as a list needs it; the whole words stand in the tip. */
export const CLOCK_SHORT: Record<ClockKind, string> = {
  acknowledge: 'Ack',
  contain: 'Contain',
  resolve: 'Resolve',
}
export const STATE_WORD: Record<ClockState, string> = {
  running: 'in time',
  at_risk: 'at risk',
  breached: 'breached',
  met: 'met',
  missed: 'missed',
}
export const CLOCKS: readonly ClockKind[] = ['acknowledge', 'contain', 'resolve']
const AT_RISK = 0.75

export interface RunningClock {
  kind: ClockKind
  dueAt: number
  state: ClockState
}

function standing(kind: ClockKind, start: number, minutes: number, now: number): RunningClock {
  const share = (now - start) / (minutes * 60_000)
  const state = share >= 1 ? 'breached' : share >= AT_RISK ? 'at_risk' : 'running'
  return { kind, dueAt: start + minutes * 60_000, state }
}

/** The clock of an open incident that runs out next. */
export function incidentClock(
  incident: Incident,
  levels: ServiceLevels | undefined,
  now: number,
): RunningClock | null {
  if (!levels || incident.status === 'resolved' || incident.status === 'closed') return null
  const { clocks } = incident
  const start = Date.parse(clocks.detected_at) + clocks.away_s * 1000
  const reached = {
    acknowledge: clocks.acknowledged_at,
    contain: clocks.contained_at,
    resolve: clocks.resolved_at,
  }
  const open = CLOCKS.filter((kind) => !reached[kind]).flatMap((kind) => {
    const minutes = levels.targets[incident.severity][kind]
    return minutes === null ? [] : [standing(kind, start, minutes, now)]
  })
  return open.sort((a, b) => a.dueAt - b.dueAt)[0] ?? null
}

/** The clock of a first look at an alert that belongs to no incident. */
export function alertClock(
  alert: Alert,
  levels: ServiceLevels | undefined,
  now: number,
): RunningClock | null {
  const minutes = levels?.targets[alert.severity].acknowledge ?? null
  if (minutes === null || alert.status !== 'new' || alert.incident_id) return null
  return standing('acknowledge', Date.parse(alert.created_at), minutes, now)
}

/** Minutes as people write them: `90m`, `4h`, `3d`. */
export function minutesText(minutes: number | null): string {
  if (minutes === null) return ''
  if (minutes % 1440 === 0) return `${minutes / 1440}d`
  if (minutes % 60 === 0) return `${minutes / 60}h`
  return `${minutes}m`
}

/** Null for an empty text, undefined for one that is no time. */
export function readMinutes(text: string): number | null | undefined {
  const trimmed = text.trim()
  if (!trimmed) return null
  const match = /^(\d{1,6})\s*(m|h|d)?$/i.exec(trimmed)
  if (!match) return undefined
  const unit = { m: 1, h: 60, d: 1440 }[(match[2] ?? 'm').toLowerCase()] ?? 1
  return Number(match[1]) * unit
}
