/** Everything a person set on a page is in its address: one hook reads it, one function changes it. */
import { useNavigate, useRouterState, useSearch } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { type Range, rangeBounds } from './time'

export type Search = Record<string, string | undefined>

export function parseSearch(text: string): Search {
  return Object.fromEntries(new URLSearchParams(text))
}

export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(search)) {
    if (value !== undefined && value !== null && value !== '') params.set(key, String(value))
  }
  const text = params.toString()
  return text ? `?${text}` : ''
}

type Patch = Record<string, string | null | undefined>

export function useUrlState(): [Search, (patch: Patch, options?: { push?: boolean }) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const set = useCallback(
    (patch: Patch, options?: { push?: boolean }) => {
      void navigate({
        to: '.',
        replace: !options?.push,
        search: (before: Search) => {
          const after: Search = { ...before }
          for (const [key, value] of Object.entries(patch)) after[key] = value || undefined
          return after
        },
      })
    },
    [navigate],
  )
  return [search, set]
}

export const usePath = (): string => useRouterState({ select: (state) => state.location.pathname })

/** Alerts are worked until none is left, so the queue shows all time unless told otherwise. */
export const defaultRange = (path: string): string => (path.startsWith('/queue') ? 'all' : '24h')

export function useRange(): Range {
  const [search] = useUrlState()
  const path = usePath()
  const { t, from, to } = search
  return useMemo(
    () => ({ last: t ?? (from || to ? '' : defaultRange(path)), from: from ?? '', to: to ?? '' }),
    [t, from, to, path],
  )
}

/** The part of a cache key that stands for a range: relative ranges stay the same while time moves. */
export const rangeKey = (range: Range): string => `${range.last}|${range.from}|${range.to}`
export { rangeBounds }
