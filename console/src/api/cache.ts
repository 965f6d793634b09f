/** Edits answers already held, so that a change shows at once and no row moves under the cursor. */
import type { InfiniteData, QueryClient } from '@tanstack/react-query'
import type { Alert, AlertDetail, ListOf } from './types'

type Pages = InfiniteData<ListOf<Alert>, string | null>

export function patchAlerts(client: QueryClient, ids: ReadonlySet<string>, patch: Partial<Alert>): void {
  client.setQueriesData<Pages>({ queryKey: ['alerts'] }, (data) => {
    if (!data) return data
    let isChanged = false
    const pages = data.pages.map((page) => {
      if (!page.items.some((row) => ids.has(row.id))) return page
      isChanged = true
      return { ...page, items: page.items.map((row) => (ids.has(row.id) ? { ...row, ...patch } : row)) }
    })
    return isChanged ? { ...data, pages } : data
  })
  for (const id of ids) {
    client.setQueryData<AlertDetail>(['alert', id], (data) => (data ? { ...data, ...patch } : data))
  }
}

/** Puts rows in front of a list that is sorted newest first. */
export function prependAlerts(client: QueryClient, key: readonly unknown[], rows: readonly Alert[]): void {
  client.setQueryData<Pages>(key, (data) => {
    const first = data?.pages[0]
    if (!data || !first) return data
    const known = new Set(data.pages.flatMap((page) => page.items.map((row) => row.id)))
    const fresh = rows.filter((row) => !known.has(row.id))
    if (fresh.length === 0) return data
    const pages = data.pages.map((page, i) => ({
      ...page,
      items: i === 0 ? [...fresh, ...page.items] : page.items,
      total: page.total === undefined ? undefined : page.total + fresh.length,
    }))
    return { ...data, pages }
  })
}
