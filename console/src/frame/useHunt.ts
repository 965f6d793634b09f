import { useNavigate, useRouter } from '@tanstack/react-router'
import { useCallback } from 'react'
import { addClause, clause } from '../lib/query'
import type { Search } from '../lib/url'

/**
 * Goes to the hunt for a value. On the hunt page the value narrows the present question; from
 * elsewhere it starts a new one.
 */
export function useHunt(): (field: string | null, value: string, exclude?: boolean) => void {
  const navigate = useNavigate()
  const router = useRouter()
  return useCallback(
    (field, value, exclude) => {
      const { pathname, search } = router.state.location
      const here = search as Search
      const isHunting = pathname === '/hunt'
      const q = isHunting
        ? addClause(here.q ?? '', field, value, exclude)
        : exclude
          ? addClause('', field, value, true)
          : clause(field, value)
      void navigate({
        to: '/hunt',
        search: isHunting ? { ...here, q, event: undefined } : { q, t: here.t, from: here.from, to: here.to },
      })
    },
    [navigate, router],
  )
}
