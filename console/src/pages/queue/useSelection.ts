import { useCallback, useRef, useState } from 'react'
import type { Alert } from '../../api/types'

/** Which rows are ticked; Shift ticks everything between the last tick and this one. */
export function useSelection(rows: readonly Alert[]) {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const anchor = useRef<string | null>(null)

  const toggle = useCallback(
    (id: string, isRange = false) => {
      const from = isRange && anchor.current ? rows.findIndex((r) => r.id === anchor.current) : -1
      const to = rows.findIndex((r) => r.id === id)
      setSelected((before) => {
        const after = new Set(before)
        if (from >= 0 && to >= 0) {
          for (const row of rows.slice(Math.min(from, to), Math.max(from, to) + 1)) after.add(row.id)
        } else if (after.has(id)) after.delete(id)
        else after.add(id)
        return after
      })
      anchor.current = id
    },
    [rows],
  )
  const clear = useCallback(() => setSelected(new Set()), [])
  const all = useCallback(() => setSelected(new Set(rows.map((r) => r.id))), [rows])
  return { selected, toggle, clear, all }
}
