/** The queue: worked from the keyboard, one judgement after another. */
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useAlertKeys } from '../../actions/useAlertKeys'
import { alertsQuery } from '../../api/queries'
import { count, plural } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { useRange, useUrlState } from '../../lib/url'
import { Kbd } from '../../ui/Kbd'
import { useTitle } from '../../ui/Page'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { AlertPanel } from '../alert/AlertPanel'
import { FirstData } from '../overview/Overview'
import { BulkBar } from './BulkBar'
import { DEFAULT_SORT, filtersKey, filtersOf } from './filters'
import { QueueFilters } from './QueueFilters'
import { QueueList } from './QueueList'
import { useHeldAlerts } from './useHeldAlerts'
import { useSelection } from './useSelection'

/** Holding `j` must not write the address, or load the panel, for every row passed. */
const SETTLE_MS = 120

export default function Queue() {
  useTitle('Queue')
  const [search, set] = useUrlState()
  const navigate = useNavigate()
  const range = useRange()
  const key = filtersKey(search, range)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for search and range; a relative range is fixed once per question.
  const filters = useMemo(() => filtersOf(search, range), [key])
  const options = alertsQuery({ ...filters })
  const query = useInfiniteQuery({
    ...options,
    // A long list is kept true by the live stream; reading all its pages again would stall the page.
    refetchOnMount: (q) => (q.state.data?.pages.length ?? 0) <= 2,
  })
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const total = Math.max(query.data?.pages[0]?.total ?? 0, rows.length)
  const scroller = useRef<HTMLDivElement>(null)

  const [activeId, setActive] = useState<string | null>(search.at ?? null)
  const isPanelOpen = search.panel === '1'
  const panelId = isPanelOpen ? (search.at ?? null) : null
  useEffect(() => {
    if ((search.at ?? null) === activeId) return
    const timer = setTimeout(() => set({ at: activeId }), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [activeId, search.at, set])

  const { selected, toggle, clear, all } = useSelection(rows)
  const { held, flush } = useHeldAlerts({
    queryKey: options.queryKey,
    filters,
    scroller,
    hasCursor: activeId !== null,
  })

  const indexOf = useCallback((id: string | null) => rows.findIndex((r) => r.id === id), [rows])
  const move = (step: number, isSelecting = false) => {
    const at = indexOf(activeId)
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))]
    if (!next) return
    if (isSelecting && activeId && !selected.has(activeId)) toggle(activeId)
    if (isSelecting) toggle(next.id, true)
    setActive(next.id)
  }
  const targets = () => {
    if (selected.size > 0) return rows.filter((r) => selected.has(r.id))
    const row = rows[indexOf(activeId)]
    return row ? [row] : []
  }
  const openPage = useCallback(
    (id: string) => void navigate({ to: '/alerts/$id', params: { id } }),
    [navigate],
  )
  const openPanel = useCallback(
    (id: string) => {
      setActive(id)
      set({ at: id, panel: '1' }, { push: true })
    },
    [set],
  )
  const showHeld = () => {
    flush()
    scroller.current?.scrollTo({ top: 0 })
  }
  const back = () => {
    if (isPanelOpen) set({ panel: null })
    else if (selected.size > 0) clear()
    else setActive(null)
  }

  useKeys('Queue', [
    { keys: 'j', label: 'Next alert', run: () => move(1) },
    { keys: 'ArrowDown', label: 'Next alert', quiet: true, run: () => move(1) },
    { keys: 'k', label: 'Previous alert', run: () => move(-1) },
    { keys: 'ArrowUp', label: 'Previous alert', quiet: true, run: () => move(-1) },
    { keys: 'J', label: 'Extend the selection down', run: () => move(1, true) },
    { keys: 'K', label: 'Extend the selection up', run: () => move(-1, true) },
    { keys: 'shift+ArrowDown', label: 'Extend down', quiet: true, run: () => move(1, true) },
    { keys: 'shift+ArrowUp', label: 'Extend up', quiet: true, run: () => move(-1, true) },
    {
      keys: 'o',
      label: 'Open beside the list',
      run: () => (isPanelOpen ? back() : activeId && openPanel(activeId)),
    },
    { keys: 'Enter', label: 'Open as a page', run: () => activeId && openPage(activeId) },
    { keys: 'x', label: 'Select', run: () => activeId && toggle(activeId) },
    { keys: '.', label: 'Show new alerts', run: showHeld },
    { keys: 'Escape', label: 'Back', run: back },
  ])
  const { verbs } = useAlertKeys({ targets, onJudged: () => (selected.size > 0 ? clear() : move(1)) })

  const onNeed = useCallback(() => {
    if (query.hasNextPage && !query.isFetchingNextPage) void query.fetchNextPage()
  }, [query])
  const sort = filters.sort
  const isFiltered = Object.keys(search).some((k) => !['at', 'panel', 'sort'].includes(k))

  return (
    <div className="work">
      <header className="work-head">
        <h1>Queue</h1>
        <span className="muted tabular" aria-live="polite">
          {query.data ? plural(total, 'alert') : ''}
        </span>
        <QueueFilters />
      </header>
      <div className="split">
        <div className="split-list">
          {held.length > 0 && (
            <button type="button" className="pill" onClick={showHeld}>
              {count(held.length)} new <Kbd keys="." />
            </button>
          )}
          {query.error && !query.data ? (
            <Problem what="The queue did not load" error={query.error} retry={() => void query.refetch()} />
          ) : !query.data ? (
            <SkeletonRows rows={20} />
          ) : total === 0 && held.length === 0 ? (
            isFiltered ? (
              <Empty title="No alert matches">
                <button
                  type="button"
                  className="button"
                  onClick={() => void navigate({ to: '/queue', search: { status: 'all' } })}
                >
                  Show every alert
                </button>
              </Empty>
            ) : (
              <QueueDone />
            )
          ) : (
            <QueueList
              rows={rows}
              total={total}
              activeId={activeId}
              selected={selected}
              isNarrow={isPanelOpen}
              sort={sort}
              scroller={scroller}
              onSort={(next) => set({ sort: next === DEFAULT_SORT ? null : next }, { push: true })}
              onNeed={onNeed}
              onActivate={setActive}
              onOpen={openPanel}
              onToggle={toggle}
              onToggleAll={() => (selected.size > 0 ? clear() : all())}
            />
          )}
          {selected.size > 0 && (
            <BulkBar size={selected.size} total={total} filters={filters} verbs={verbs} clear={clear} />
          )}
        </div>
        {panelId && <AlertPanel id={panelId} verbs={verbs} onClose={() => set({ panel: null })} />}
      </div>
    </div>
  )
}

function QueueDone() {
  const any = useInfiniteQuery(alertsQuery({ limit: 1 }))
  if (!any.data) return <SkeletonRows rows={4} />
  if ((any.data.pages[0]?.total ?? 0) === 0) return <FirstData />
  return (
    <Empty title="Nothing is open">Every alert has its verdict. New ones appear here by themselves.</Empty>
  )
}
