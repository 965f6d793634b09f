/** Searching events: bounds are always sent, and "all time" is the time that the answer really spans. */
import { api } from './client'
import type { SearchBody } from './queries'
import type { SearchResult } from './types'

/** The server's clock library ends at the end of 9999-12-30. */
export const EVER = { from: '1601-01-01T00:00:00Z', to: '9999-12-30T00:00:00Z' }
/** Clocks of senders run ahead a little; their newest events belong into "the last hour". */
export const AHEAD_MS = 60_000
const MARGIN_MS = 1000

export async function searchEvents(body: SearchBody, signal: AbortSignal): Promise<SearchResult> {
  if (body.from) {
    const to = body.to ?? new Date(Date.now() + AHEAD_MS).toISOString()
    return api.post<SearchResult>('/search', { ...body, to }, signal)
  }
  const bounds = { ...EVER, ...(body.to ? { to: body.to } : {}) }
  const edge = (order: 'asc' | 'desc') =>
    api.post<SearchResult>('/search', { ...body, ...bounds, order, limit: 1 }, signal)
  const [oldest, newest] = await Promise.all([edge('asc'), edge('desc')])
  const [first] = oldest.events
  const [last] = newest.events
  if (!first || !last) return newest
  return api.post<SearchResult>(
    '/search',
    { ...body, from: first.time, to: new Date(Date.parse(last.time) + MARGIN_MS).toISOString() },
    signal,
  )
}
