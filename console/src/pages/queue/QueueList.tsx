/** The rows: virtual, as tall as the whole answer, filled page by page as they come into view. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { memo, type RefObject, useEffect, useState } from 'react'
import type { Alert } from '../../api/types'
import { queueColumnsStore } from '../../lib/settings'
import { visible } from '../../lib/text'
import { COLUMNS, type Column } from './columns'

export const ROW_PX = 32
const OVERSCAN = 12
/** Below this not every column fits; beside an open panel, status only above that. */
const COMPACT_PX = 1300
const TIGHT_PX = 1000
const STATUS_PX = 700

interface ListProps {
  rows: readonly Alert[]
  total: number
  activeId: string | null
  selected: ReadonlySet<string>
  isNarrow: boolean
  sort: string
  scroller: RefObject<HTMLDivElement | null>
  onSort: (sort: string) => void
  onNeed: () => void
  onActivate: (id: string) => void
  onOpen: (id: string) => void
  onToggle: (id: string, isRange: boolean) => void
  onToggleAll: () => void
}

export function QueueList(props: ListProps) {
  const { rows, total, activeId, selected, isNarrow, sort, scroller, onNeed } = props
  const hidden = queueColumnsStore.use()
  const width = useListWidth(scroller)
  const isCompact = width < COMPACT_PX
  const entitiesMax = width < TIGHT_PX ? 1 : isCompact ? 2 : 3
  const columns = COLUMNS.filter(
    (c) =>
      (c.narrow || !isNarrow || (c.id === 'status' && width > STATUS_PX)) &&
      !(c.wide && isCompact) &&
      !hidden.includes(c.id),
  )
  const template = `30px ${columns.map((c) => (isNarrow && c.id === 'title' ? 'minmax(0, 1fr)' : c.width)).join(' ')}`
  const virtual = useVirtualizer({
    count: total,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: OVERSCAN,
    paddingStart: ROW_PX,
    scrollPaddingStart: ROW_PX,
  })
  const items = virtual.getVirtualItems()
  const last = items.at(-1)?.index ?? 0
  useEffect(() => {
    if (last >= rows.length && rows.length < total) onNeed()
  }, [last, rows.length, total, onNeed])

  const activeIndex = activeId ? rows.findIndex((r) => r.id === activeId) : -1
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a move of the cursor scrolls, never new rows.
  useEffect(() => {
    if (activeIndex >= 0) virtual.scrollToIndex(activeIndex, { align: 'auto' })
  }, [activeId])

  return (
    <div
      ref={scroller}
      className="grid"
      role="grid"
      aria-label="Alerts"
      aria-rowcount={total + 1}
      aria-multiselectable="true"
      aria-activedescendant={activeIndex >= 0 ? `row-${activeId}` : undefined}
      tabIndex={0}
      style={{ '--columns': template, '--least': isNarrow ? '0' : '920px' } as React.CSSProperties}
    >
      <div role="rowgroup" className="grid-head">
        <div role="row" aria-rowindex={1} className="grid-row">
          <div role="columnheader" className="grid-cell">
            <input
              type="checkbox"
              aria-label="Select all loaded alerts"
              checked={selected.size > 0 && selected.size === rows.length}
              ref={(el) => {
                if (el) el.indeterminate = selected.size > 0 && selected.size < rows.length
              }}
              onChange={props.onToggleAll}
            />
          </div>
          {columns.map((column) => (
            <Head key={column.id} column={column} sort={sort} onSort={props.onSort} />
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize() - ROW_PX }}>
        {items.map((item) => {
          const alert = rows[item.index]
          return alert ? (
            <Row
              key={alert.id}
              alert={alert}
              index={item.index}
              top={item.start}
              columns={columns}
              columnsKey={`${entitiesMax}${columns.map((c) => c.id).join()}`}
              entitiesMax={entitiesMax}
              isActive={alert.id === activeId}
              isSelected={selected.has(alert.id)}
              onActivate={props.onActivate}
              onOpen={props.onOpen}
              onToggle={props.onToggle}
            />
          ) : (
            <div
              key={`loading-${item.index}`}
              role="row"
              aria-rowindex={item.index + 2}
              className="grid-row grid-loading"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <div role="gridcell" className="grid-cell grid-span">
                <span style={{ width: `${30 + ((item.index * 37) % 50)}%` }}>
                  <span className="hidden-text">Loading</span>
                </span>
              </div>
            </div>
          )
        })}
      </div>
    </div>
  )
}

function useListWidth(scroller: RefObject<HTMLDivElement | null>): number {
  const [width, setWidth] = useState(window.innerWidth)
  useEffect(() => {
    const element = scroller.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 0))
    observer.observe(element)
    return () => observer.disconnect()
  }, [scroller])
  return width
}

function Head({ column, sort, onSort }: { column: Column; sort: string; onSort: (sort: string) => void }) {
  const isUp = sort === column.sort
  const isDown = sort === `-${column.sort}`
  const sorted = isUp ? 'ascending' : isDown ? 'descending' : undefined
  return (
    <div role="columnheader" aria-sort={sorted} className={`grid-cell ${column.numeric ? 'number' : ''}`}>
      {column.sort ? (
        <button
          type="button"
          className="head-button"
          onClick={() => onSort(isDown ? `${column.sort}` : `-${column.sort}`)}
        >
          {column.label}
          {isDown && <ArrowDown size={12} aria-hidden="true" />}
          {isUp && <ArrowUp size={12} aria-hidden="true" />}
        </button>
      ) : (
        column.label
      )}
    </div>
  )
}

interface RowProps {
  alert: Alert
  index: number
  top: number
  columns: readonly Column[]
  columnsKey: string
  entitiesMax: number
  isActive: boolean
  isSelected: boolean
  onActivate: (id: string) => void
  onOpen: (id: string) => void
  onToggle: (id: string, isRange: boolean) => void
}

const Row = memo(
  function Row({
    alert,
    index,
    top,
    columns,
    entitiesMax,
    isActive,
    isSelected,
    onActivate,
    onOpen,
    onToggle,
  }: RowProps) {
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the grid's keys (j k o Enter x) do the same for the keyboard.
      <div
        id={`row-${alert.id}`}
        role="row"
        aria-rowindex={index + 2}
        aria-selected={isSelected}
        data-id={alert.id}
        data-active={isActive}
        data-closed={alert.status === 'closed'}
        data-new={alert.status === 'new'}
        className="grid-row"
        style={{ transform: `translateY(${top}px)` }}
        onClick={(event) => {
          if (event.shiftKey) onToggle(alert.id, true)
          else onActivate(alert.id)
        }}
        onDoubleClick={() => onOpen(alert.id)}
      >
        <div role="gridcell" className="grid-cell">
          <input
            type="checkbox"
            tabIndex={-1}
            aria-label={`Select ${visible(alert.title)}`}
            checked={isSelected}
            onClick={(event) => {
              event.stopPropagation()
              onToggle(alert.id, event.shiftKey)
            }}
            onChange={() => {}}
          />
        </div>
        {columns.map((column) => (
          <div key={column.id} role="gridcell" className={`grid-cell ${column.numeric ? 'number' : ''}`}>
            {column.cell(alert, entitiesMax)}
          </div>
        ))}
      </div>
    )
  },
  (a, b) =>
    a.alert === b.alert &&
    a.top === b.top &&
    a.isActive === b.isActive &&
    a.isSelected === b.isSelected &&
    a.columnsKey === b.columnsKey &&
    a.onToggle === b.onToggle,
)
