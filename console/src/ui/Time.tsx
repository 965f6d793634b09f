import { useSyncExternalStore } from 'react'
import { ago, localClock, localDateTime, localShort, utcDateTime, zoneName } from '../lib/time'

/** One timer for all relative times on the page. */
const TICK_MS = 10_000
let now = Date.now()
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined
function subscribe(listener: () => void) {
  listeners.add(listener)
  timer ??= setInterval(() => {
    now = Date.now()
    for (const each of listeners) each()
  }, TICK_MS)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0 && timer) {
      clearInterval(timer)
      timer = undefined
    }
  }
}
export const useNow = (): number => useSyncExternalStore(subscribe, () => now)

type Show = 'full' | 'short' | 'clock' | 'millis'

const SHOW: Record<Show, (iso: string) => string> = {
  full: localDateTime,
  short: localShort,
  clock: localClock,
  millis: (iso) => localClock(iso, true),
}

/** Local time; hover gives the zone and UTC. Only `full` writes its zone out: lists say it in their head. */
export function Time({ iso, show = 'full' }: { iso: string | null | undefined; show?: Show }) {
  if (!iso) return <span className="muted">—</span>
  return (
    <time dateTime={iso} className="tabular" title={`${localDateTime(iso)}\n${utcDateTime(iso)}`}>
      {SHOW[show](iso)}
    </time>
  )
}

export function Ago({ iso }: { iso: string | null | undefined }) {
  // The timer may lag, but what is past is never said to come.
  const at = useNow()
  if (!iso) return <span className="muted">never</span>
  return (
    <time dateTime={iso} className="tabular" title={`${localDateTime(iso)}\n${utcDateTime(iso)}`}>
      {ago(iso, Math.max(at, Date.now() - TICK_MS, Math.min(Date.parse(iso), Date.now())))}
    </time>
  )
}

export const ZONE = zoneName(new Date())
