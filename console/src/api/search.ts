/**
 * Searching events: the answer comes in parts, which are shown as they come. Bounds are always sent,
 * and "all time" is the time that the answer really spans.
 */
import { createStore } from '../lib/store'
import { api } from './client'
import type { SearchBody } from './queries'
import { streamed } from './stream'
import type { SearchEnd, SearchPart, SearchResult, SocEvent } from './types'

/** The server's clock library ends at the end of 9999-12-30. */
export const EVER = { from: '1601-01-01T00:00:00Z', to: '9999-12-30T00:00:00Z' }
/** Clocks of senders run ahead a little; their newest events belong into "the last hour". */
export const AHEAD_MS = 60_000
const MARGIN_MS = 1000

/** How far a question is: files of all that are to be read. */
export interface Progress {
  files_read: number
  files: number
  bytes: number
}

/** What is there of an answer that still comes, or that was stopped. */
export interface Partial<T> {
  key: string
  result: T
  progress: Progress
}

export const partialSearch = createStore<Partial<SearchResult> | null>(null)

export async function searchEvents(
  body: SearchBody,
  key: string,
  signal: AbortSignal,
): Promise<SearchResult> {
  if (body.from) {
    const to = body.to ?? new Date(Date.now() + AHEAD_MS).toISOString()
    return inParts({ ...body, to }, key, signal)
  }
  const bounds = { ...EVER, ...(body.to ? { to: body.to } : {}) }
  const edge = (order: 'asc' | 'desc') =>
    api.post<SearchResult>('/search', { ...body, ...bounds, order, limit: 1 }, signal)
  const [oldest, newest] = await Promise.all([edge('asc'), edge('desc')])
  const [first] = oldest.events
  const [last] = newest.events
  if (!first || !last) return newest
  const to = new Date(Date.parse(last.time) + MARGIN_MS).toISOString()
  return inParts({ ...body, from: first.time, to }, key, signal)
}

/** Events of all parts, the first of them in the asked order. */
export function mergeEvents(
  known: SocEvent[],
  more: SocEvent[],
  order: 'asc' | 'desc',
  limit: number,
): SocEvent[] {
  if (more.length === 0) return known
  const place = ({ id }: SocEvent) => id.split('-').map(Number)
  const compare = (a: SocEvent, b: SocEvent) => {
    if (a.time !== b.time) return Date.parse(a.time) - Date.parse(b.time) || (a.time < b.time ? -1 : 1)
    const [left, right] = [place(a), place(b)]
    return (left[0] ?? 0) - (right[0] ?? 0) || (left[1] ?? 0) - (right[1] ?? 0)
  }
  const sign = order === 'asc' ? 1 : -1
  return [...known, ...more].sort((a, b) => sign * compare(a, b)).slice(0, limit)
}

async function inParts(body: SearchBody, key: string, signal: AbortSignal): Promise<SearchResult> {
  let result = null as SearchResult | null
  for await (const { name, data } of streamed('/search/stream', body, signal)) {
    if (name === 'part') {
      const part = data as SearchPart
      result = {
        events: mergeEvents(result?.events ?? [], part.events, body.order, body.limit),
        total: part.total,
        capped: false,
        cut: null,
        histogram: part.histogram,
        bucket_seconds: part.bucket_seconds,
        took_ms: 0,
        fields: [],
        unread: [],
      }
      const { files_read, files, bytes } = part
      partialSearch.set({ key, result, progress: { files_read, files, bytes } })
    } else if (name === 'end' && result) {
      const end = data as SearchEnd
      result = { ...result, ...end, cut: end.cut ?? null }
    }
  }
  if (!result) throw new Error('the search had no answer')
  return result
}
