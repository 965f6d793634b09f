import { AlarmClock, Check, CircleAlert, Timer } from 'lucide-react'
import type { ClockState } from '../api/types'
import { CLOCK_SHORT, CLOCK_WORD, type RunningClock, STATE_WORD } from '../lib/clock'
import { duration, localDateTime } from '../lib/time'
import { useNow } from './Time'

const ICON = { running: Timer, at_risk: AlarmClock, breached: CircleAlert, met: Check, missed: CircleAlert }

export function ClockWord({ state }: { state: ClockState }) {
  const Icon = ICON[state]
  return (
    <span className={`clock clock-${state}`}>
      <Icon size={13} aria-hidden="true" /> {STATE_WORD[state]}
    </span>
  )
}

/** Which clock runs, how long it still has, and how it stands; never by colour alone. */
export function ClockMark({ clock }: { clock: RunningClock | null }) {
  const now = useNow()
  if (!clock) return <span className="faint">—</span>
  const Icon = ICON[clock.state]
  const left = Math.round(Math.abs(clock.dueAt - now) / 1000)
  const words = clock.state === 'breached' ? `${duration(left)} over` : duration(left)
  return (
    <span
      className={`clock clock-${clock.state} tabular`}
      title={`${CLOCK_WORD[clock.kind]} until ${localDateTime(new Date(clock.dueAt).toISOString())}: ${STATE_WORD[clock.state]}`}
    >
      <Icon size={13} aria-hidden="true" /> {CLOCK_SHORT[clock.kind]} {words}
    </span>
  )
}
