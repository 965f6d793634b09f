/** Queries with verbs: they answer with rows of columns, and with a wish for how to draw them. */
import { keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api } from './client'
import { AHEAD_MS, EVER } from './search'

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

export async function queryRows(body: RowBody, signal: AbortSignal): Promise<RowResult> {
  const now = new Date(Date.now() + AHEAD_MS).toISOString()
  const bounds = body.from
    ? { from: body.from, to: body.to ?? now }
    : { from: EVER.from, to: body.to ?? EVER.to }
  return api.post<RowResult>('/query', { ...body, ...bounds }, signal)
}

export const rowsQuery = (body: RowBody, key: readonly unknown[]) =>
  queryOptions({
    queryKey: ['rows', ...key],
    queryFn: ({ signal }) => queryRows(body, signal),
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  })
