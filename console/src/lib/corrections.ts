/**
 * What people corrected about an incident, read from its history. A correction is kept as
 * `what: why` (`with_reason` in watchfloor-casework); some have no reason.
 */
import type { HistoryEntry, IncidentAlert } from '../api/types'

const WORDS: Record<string, string> = {
  'incident.attach': 'Alerts attached or taken out',
  'incident.detach': 'Alert taken out',
  'incident.split': 'Split',
  'incident.merge': 'Merged',
}
/** What the program does by itself is no correction. */
const PROGRAM = new Set(['system', 'watchfloor', 'correlation'])

export interface Correction {
  at: string
  actor: string
  title: string
  /** In the program's words: which alert, which incidents. */
  what: string
  reason: string
  /** The alert that it is about, where the history names one. */
  alertId: string | null
}

export function correctionsOf(history: readonly HistoryEntry[]): Correction[] {
  return history
    .filter((entry) => entry.action in WORDS && !PROGRAM.has(entry.actor))
    .map((entry) => {
      const cut = entry.detail.indexOf(': ')
      const what = cut < 0 ? entry.detail : entry.detail.slice(0, cut)
      return {
        at: entry.at,
        actor: entry.actor,
        title: WORDS[entry.action] ?? entry.action,
        what,
        reason: cut < 0 ? '' : entry.detail.slice(cut + 2),
        alertId: /^alert (\S+) taken out$/.exec(what)?.[1] ?? null,
      }
    })
    .sort((a, b) => b.at.localeCompare(a.at))
}

/** Alerts that a person put here, with the sentence that says who and why. */
export function attachedByHand(alerts: readonly IncidentAlert[]): { alert: IncidentAlert; why: string }[] {
  return alerts.flatMap((alert) => {
    const why = alert.attachment_reasons.find((reason) => reason.startsWith('attached by '))
    return why ? [{ alert, why }] : []
  })
}
