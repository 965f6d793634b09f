/** The live stream: one EventSource for the window, feeding caches and whoever listens for new alerts. */
import type { QueryClient } from '@tanstack/react-query'
import { createStore } from '../lib/store'
import { visible } from '../lib/text'
import { toast } from '../ui/toast'
import { patchAlerts } from './cache'
import type { Alert, DutyNotice, Incident, LedgerTick, RulesNotice } from './types'

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

/** What an action or a run shows up in. */
const RESPONSE_KEYS = ['approvals', 'actions', 'action-record', 'runs', 'run']

/** After the server refused the stream (restart, lost session) it is tried again this much later. */
const RETRY_MS = 5000
/** A longer list than this is not read again as a whole; its rows are kept true one by one. */
const PAGES_MAX = 2

/** Who looks at an incident now. */
interface PresenceNotice {
  incident_id: string
  names: string[]
}

const presenceListeners = new Set<(notice: PresenceNotice) => void>()

/** Calls when others begin or end to look at an incident; returns what stops that. */
export function onPresence(listener: (notice: PresenceNotice) => void): () => void {
  presenceListeners.add(listener)
  return () => presenceListeners.delete(listener)
}

export function connectLive(client: QueryClient): () => void {
  const due = new Map<string, readonly unknown[]>()
  let refreshTimer: ReturnType<typeof setTimeout> | undefined
  let retryTimer: ReturnType<typeof setTimeout> | undefined
  let stream: EventSource | undefined
  let wasOpen = false

  const refreshSoon = (...key: readonly unknown[]) => {
    due.set(JSON.stringify(key), key)
    refreshTimer ??= setTimeout(() => {
      refreshTimer = undefined
      for (const queryKey of due.values()) void client.invalidateQueries({ queryKey })
      due.clear()
    }, REFRESH_MS)
  }
  /** Changes were missed: what is held may be old, so the pages ask again. */
  const refreshAll = () => {
    for (const key of ['incidents', 'incident', 'alert', 'overview', 'rules', 'rule', ...RESPONSE_KEYS])
      refreshSoon(key)
    void client.invalidateQueries({
      queryKey: ['alerts'],
      predicate: ({ state }) =>
        ((state.data as { pages: unknown[] } | undefined)?.pages.length ?? 0) <= PAGES_MAX,
    })
  }

  const open = () => {
    liveState.set('connecting')
    const source = new EventSource('/api/v1/live')
    stream = source
    const on = <T>(name: string, handle: (data: T) => void) =>
      source.addEventListener(name, (event) => {
        try {
          handle(JSON.parse((event as MessageEvent<string>).data) as T)
        } catch {
          // A line that is not JSON says nothing; the next refresh tells the truth.
        }
      })
    source.onopen = () => {
      liveState.set('on')
      if (wasOpen) refreshAll()
      wasOpen = true
    }
    source.onerror = () => {
      liveState.set('connecting')
      if (source.readyState !== EventSource.CLOSED) return
      refreshSoon('session')
      clearTimeout(retryTimer)
      retryTimer = setTimeout(open, RETRY_MS)
    }
    on<Alert>('alert', (alert) => {
      for (const listener of alertListeners) listener(alert)
      refreshSoon('overview')
    })
    on<Alert>('alert_changed', (alert) => {
      patchAlerts(client, new Set([alert.id]), alert)
      refreshSoon('alert', alert.id)
      refreshSoon('overview')
    })
    on<Incident>('incident', (incident) => {
      refreshSoon('incidents')
      refreshSoon('incident', incident.id)
    })
    on<RulesNotice>('rules', (notice) => {
      for (const key of ['rules', 'rules-refused', 'rule', 'suppressions']) refreshSoon(key)
      toast({ tone: notice.needs_attention ? 'error' : 'plain', text: visible(notice.text) })
    })
    on<PresenceNotice>('presence', (notice) => {
      for (const listener of presenceListeners) listener(notice)
    })
    on<unknown>('mention', () => refreshSoon('mentions'))
    on<DutyNotice>('duty', (notice) => {
      for (const key of ['on-call', 'handovers', 'service-levels', 'incidents']) refreshSoon(key)
      for (const id of notice.subjects) refreshSoon('incident', id)
      if (notice.subjects.length > 0) toast({ tone: 'error', text: visible(notice.text) })
    })
    on<unknown>('response', () => {
      for (const key of RESPONSE_KEYS) refreshSoon(key)
    })
    on<unknown>('fleet', () => {
      for (const key of ['fleet', 'agents', 'agent', 'enrolments']) refreshSoon(key)
    })
    on<number>('lagged', refreshAll)
    on<LedgerTick>('ledger', (tick) => ledgerTick.set(tick))
  }
  open()

  return () => {
    clearTimeout(refreshTimer)
    clearTimeout(retryTimer)
    stream?.close()
    liveState.set('off')
    ledgerTick.set(null)
  }
}
