/** What routes left out, read from the ledger, where a route is the reason `route:NAME`. */
import type { LedgerRow } from '../api/types'

const PREFIX = 'route:'

export interface LeftOut {
  route: string
  source: string
  records: number
  /** Of all that the source sent in the same time, 0 to 1. */
  share: number
}

export function leftOutByRoutes(rows: readonly LedgerRow[]): LeftOut[] {
  const received = new Map<string, number>()
  const found = new Map<string, LeftOut>()
  for (const row of rows) {
    received.set(row.source, (received.get(row.source) ?? 0) + row.received)
    for (const [reason, n] of Object.entries(row.dropped)) {
      if (!reason.startsWith(PREFIX)) continue
      const route = reason.slice(PREFIX.length)
      const key = `${route}\n${row.source}`
      const before = found.get(key)
      found.set(key, { route, source: row.source, records: (before?.records ?? 0) + n, share: 0 })
    }
  }
  return [...found.values()]
    .map((one) => ({ ...one, share: one.records / Math.max(1, received.get(one.source) ?? 0) }))
    .sort((a, b) => b.records - a.records || a.route.localeCompare(b.route))
}
