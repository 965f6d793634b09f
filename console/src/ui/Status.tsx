import type { AlertStatus, IncidentStatus, Verdict } from '../api/types'
import { ALERT_STATUS_WORD, INCIDENT_STATUS_WORD, VERDICT_WORD } from '../lib/format'

/** Status is told by word and by how much of the ring is filled; it is never loud. */
const FILL: Record<string, number> = {
  new: 0,
  acknowledged: 0.25,
  in_progress: 0.5,
  contained: 0.75,
  resolved: 1,
  closed: 1,
}

export function Status({
  status,
  verdict,
}: {
  status: AlertStatus | IncidentStatus
  verdict?: Verdict | null
}) {
  const word =
    ALERT_STATUS_WORD[status as AlertStatus] ?? INCIDENT_STATUS_WORD[status as IncidentStatus] ?? status
  const fill = FILL[status] ?? 0
  return (
    <span className={`status status-${status}`}>
      <svg width="11" height="11" viewBox="0 0 12 12" aria-hidden="true">
        <circle cx="6" cy="6" r="4.750" fill="none" stroke="currentColor" strokeWidth="1.500" />
        <circle
          cx="6"
          cy="6"
          r="2"
          fill="none"
          stroke="currentColor"
          strokeWidth="4"
          strokeDasharray={`${fill * 12.57} 12.57`}
          transform="rotate(-90 6 6)"
        />
      </svg>
      <span>{verdict && (status === 'closed' || status === 'resolved') ? VERDICT_WORD[verdict] : word}</span>
    </span>
  )
}
