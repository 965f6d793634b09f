/** Queries with verbs: they answer with rows of columns, and with a wish for how to draw them. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { createStore } from '../lib/store'
import { AHEAD_MS, EVER, type Partial, type Progress } from './search'
import { streamed } from './stream'
import type { LimitCut } from './types'

export type ColumnKind = 'text' | 'long' | 'real' | 'bool' | 'time' | 'span' | 'list' | 'map'

export interface RowColumn {
  name: string
  kind: ColumnKind
}

export interface RowRender {
  kind: string
  with: { name: string; value: string }[]
}

export interface RowResult {
  columns: RowColumn[]
  rows: unknown[][]
  /** There are more rows than these. */
  capped: boolean
  /** The limit that cut the answer. */
  cut?: LimitCut | null
  /** Files of the asked time that cannot be read. */
  unread: string[]
  render: RowRender | null
  took_ms: number
}

export interface RowBody {
  query: string
  /** Without bounds: all time. */
  from?: string
  to?: string
  limit?: number
}

export const partialRows = createStore<Partial<RowResult> | null>(null)

export const NO_ROWS: RowResult = {
  columns: [],
  rows: [],
  capped: false,
  unread: [],
  render: null,
  took_ms: 0,
}

/** The bounds that a body without some means. */
export function wholeBounds(body: { from?: string; to?: string }): { from: string; to: string } {
  const now = new Date(Date.now() + AHEAD_MS).toISOString()
  return body.from ? { from: body.from, to: body.to ?? now } : { from: EVER.from, to: body.to ?? EVER.to }
}

export async function queryRows(body: RowBody, key: string, signal: AbortSignal): Promise<RowResult> {
  let result = NO_ROWS
  let progress: Progress = { files_read: 0, files: 0, bytes: 0 }
  for await (const { name, data } of streamed('/query/stream', { ...body, ...wholeBounds(body) }, signal)) {
    if (name === 'head') result = { ...NO_ROWS, ...(data as Pick<RowResult, 'columns' | 'render'>) }
    else if (name === 'rows') result = { ...result, rows: [...result.rows, ...(data as unknown[][])] }
    else if (name === 'progress') progress = data as Progress
    else if (name === 'end')
      result = { ...result, ...(data as Pick<RowResult, 'capped' | 'unread' | 'took_ms'>) }
    partialRows.set({ key, result, progress })
  }
  return result
}

export const rowsQuery = (body: RowBody, key: readonly unknown[]) =>
  queryOptions({
    queryKey: ['rows', ...key],
    queryFn: ({ signal }) => queryRows(body, key.join('\n'), signal),
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  })
