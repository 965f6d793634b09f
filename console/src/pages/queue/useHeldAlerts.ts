/**
 * New alerts may not push the row away that someone is about to judge. They are put in front only
 * while nobody points at the list; otherwise they wait behind a pill that says how many.
 */
import { useQueryClient } from '@tanstack/react-query'
import { type RefObject, useCallback, useEffect, useRef, useState } from 'react'
import { prependAlerts } from '../../api/cache'
import { onLiveAlert } from '../../api/live'
import type { Alert } from '../../api/types'
import { DEFAULT_SORT, matches, type QueueFilters } from './filters'

interface Options {
  queryKey: readonly unknown[]
  filters: QueueFilters
  scroller: RefObject<HTMLElement | null>
  hasCursor: boolean
}

export function useHeldAlerts({ queryKey, filters, scroller, hasCursor }: Options) {
  const client = useQueryClient()
  const [held, setHeld] = useState<Alert[]>([])
  const waiting = useRef<Alert[]>([])
  const state = useRef({ filters, hasCursor, queryKey })
  state.current = { filters, hasCursor, queryKey }

  const flush = useCallback(() => {
    const rows = waiting.current
    waiting.current = []
    setHeld([])
    if (state.current.filters.sort === DEFAULT_SORT) {
      prependAlerts(client, state.current.queryKey, rows)
    } else {
      void client.invalidateQueries({ queryKey: state.current.queryKey })
    }
  }, [client])

  const keyText = JSON.stringify(queryKey)
  // biome-ignore lint/correctness/useExhaustiveDependencies: another list has nothing waiting.
  useEffect(() => {
    waiting.current = []
    setHeld([])
  }, [keyText])

  useEffect(
    () =>
      onLiveAlert((alert) => {
        const { filters: f, hasCursor: isHeldByCursor } = state.current
        if (!matches(alert, f) || waiting.current.some((a) => a.id === alert.id)) return
        waiting.current = [alert, ...waiting.current]
        const element = scroller.current
        const isPointedAt = element?.matches(':hover') ?? false
        const isAtTop = (element?.scrollTop ?? 0) === 0
        if (isAtTop && !isPointedAt && !isHeldByCursor && f.sort === DEFAULT_SORT) flush()
        else setHeld(waiting.current)
      }),
    [flush, scroller],
  )
  return { held, flush }
}
