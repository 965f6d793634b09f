/** The live stream: one EventSource for the window, feeding caches and whoever listens for new alerts. */
import type { QueryClient } from '@tanstack/react-query'
import { createStore } from '../lib/store'
import { patchAlerts } from './cache'
import type { Alert, Incident, LedgerTick } from './types'

export type LiveState = 'off' | 'connecting' | 'on'
export const liveState = createStore<LiveState>('off')
export const ledgerTick = createStore<LedgerTick | null>(null)

type AlertListener = (alert: Alert) => void
const alertListeners = new Set<AlertListener>()

export function onLiveAlert(listener: AlertListener): () => void {
  alertListeners.add(listener)
  return () => alertListeners.delete(listener)
}

/** A burst of changes refreshes a page once, not once per change. */
const REFRESH_MS = 1500

export function connectLive(client: QueryClient): () => void {
  const stream = new EventSource('/api/v1/live')
  const due = new Map<string, readonly unknown[]>()
  let timer: ReturnType<typeof setTimeout> | undefined
  const refreshSoon = (key: readonly unknown[]) => {
    due.set(JSON.stringify(key), key)
    timer ??= setTimeout(() => {
      timer = undefined
      for (const queryKey of due.values()) void client.invalidateQueries({ queryKey })
      due.clear()
    }, REFRESH_MS)
  }
  const on = <T>(name: string, handle: (data: T) => void) =>
    stream.addEventListener(name, (event) => {
      try {
        handle(JSON.parse((event as MessageEvent<string>).data) as T)
      } catch {
        // A line that is not JSON says nothing; the next refresh tells the truth.
      }
    })

  liveState.set('connecting')
  stream.onopen = () => liveState.set('on')
  stream.onerror = () => liveState.set('connecting')
  on<Alert>('alert', (alert) => {
    for (const listener of alertListeners) listener(alert)
    refreshSoon(['overview'])
  })
  on<Alert>('alert_changed', (alert) => {
    patchAlerts(client, new Set([alert.id]), alert)
    refreshSoon(['alert', alert.id])
    refreshSoon(['overview'])
  })
  on<Incident>('incident', (incident) => {
    refreshSoon(['incidents'])
    refreshSoon(['incident', incident.id])
  })
  // The server had to leave changes out: what is held may be old, so the pages ask again.
  on<number>('lagged', () => {
    for (const key of ['alerts', 'incidents', 'incident', 'overview']) refreshSoon([key])
  })
  on<LedgerTick>('ledger', (tick) => ledgerTick.set(tick))

  return () => {
    clearTimeout(timer)
    stream.close()
    liveState.set('off')
    ledgerTick.set(null)
  }
}
