/** Words of actions and runs. */
import type { Action, ActionKind } from '../api/types'

export const kindWord = (kind: ActionKind): string => kind.replaceAll('_', ' ')

export const STATUS_WORD: Record<Action['status'], string> = {
  proposed: 'Waits for approval',
  rejected: 'Refused',
  ready: 'About to begin',
  running: 'Running',
  done: 'Done',
  failed: 'Failed',
  uncertain: 'Uncertain',
  cancelled: 'Taken back',
  undone: 'Undone',
}

export const RUN_WORD: Record<string, string> = {
  running: 'Running',
  done: 'Done',
  failed: 'Failed',
  cancelled: 'Ended',
}

export function tone(status: string): 'warn' | 'good' | undefined {
  if (['failed', 'uncertain', 'proposed', 'rejected'].includes(status)) return 'warn'
  return status === 'done' || status === 'undone' ? 'good' : undefined
}

/** How long something lasts, in words. */
export function lasting(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return 'without end'
  const steps: [number, string][] = [
    [86_400, 'day'],
    [3_600, 'hour'],
    [60, 'minute'],
    [1, 'second'],
  ]
  for (const [size, word] of steps) {
    if (seconds < size || seconds % size !== 0) continue
    const n = seconds / size
    return `${n} ${word}${n === 1 ? '' : 's'}`
  }
  return `${seconds} seconds`
}

/** Time left until an instant, as `1:23:45`. */
export function timeLeft(until: string, now: number): string {
  const left = Math.max(0, Math.round((new Date(until).getTime() - now) / 1000))
  const [h, m, s] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60]
  return `${h}:${String(m).padStart(2, '0')}:${String(s).padStart(2, '0')}`
}

/** The action that an entity of a kind is the target of, to begin with. */
export const FIRST_ACTION: Record<string, ActionKind> = {
  host: 'isolate_host',
  user: 'disable_user',
  address: 'block_address',
  domain: 'block_domain',
}
