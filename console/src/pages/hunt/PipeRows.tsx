/** Rows of any columns: virtual, sortable by their headings, text as values that can be hunted. */
import { useQuery } from '@tanstack/react-query'
import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, ArrowUp } from 'lucide-react'
import { memo, useEffect, useMemo, useRef } from 'react'
import { fieldsQuery } from '../../api/queries'
import type { RowColumn } from '../../api/rows'
import { cellText, isNumeric, type RowSort } from '../../lib/table'
import { visible } from '../../lib/text'
import { ZONE } from '../../ui/Time'
import { PipeCell } from './PipeCell'

const ROW_PX = 28
const GAP_PX = 12
const SIDES_PX = 28
const CHARACTER_PX = 7.3
/** Widths are taken from the first rows: all of them would be slow, and a late long one is cut. */
const MEASURED = 200
const LEAST_CHARACTERS = 7
const MOST_CHARACTERS = 48
const TIME_CHARACTERS = 30

interface PipeRowsProps {
  columns: RowColumn[]
  rows: readonly unknown[][]
  sort: RowSort | null
  onSort: (name: string) => void
  /** Rows come in at the top; they have no other order. */
  isTail?: boolean
}

function widthOf(column: RowColumn, at: number, rows: readonly unknown[][]): number {
  // The heading has an arrow beside its name, and the zone beside that of a time.
  let most = column.name.length + (column.kind === 'time' ? 13 : 3)
  if (column.kind === 'time') most = Math.max(most, TIME_CHARACTERS)
  else for (const row of rows.slice(0, MEASURED)) most = Math.max(most, cellText(row[at]).length + 1)
  return Math.ceil(Math.min(MOST_CHARACTERS, Math.max(LEAST_CHARACTERS, most)) * CHARACTER_PX)
}

/** Only these names mean something to a hunt; `count_` is looked for nowhere. */
function useFieldNames(): Set<string> {
  const { data } = useQuery(fieldsQuery)
  return useMemo(() => new Set((data?.items ?? []).flatMap((f) => [f.name, ...(f.aliases ?? [])])), [data])
}

export function PipeRows({ columns, rows, sort, onSort, isTail }: PipeRowsProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const names = useFieldNames()
  const fields = useMemo(() => columns.map((c) => (names.has(c.name) ? c.name : undefined)), [columns, names])
  // From the rows as they first came: another order must not move the columns.
  // biome-ignore lint/correctness/useExhaustiveDependencies: see above.
  const widths = useMemo(() => columns.map((c, i) => widthOf(c, i, rows)), [columns])
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 16,
    paddingStart: ROW_PX,
    scrollPaddingStart: ROW_PX,
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: another order or answer begins at its top.
  useEffect(() => {
    if (!isTail) scroller.current?.scrollTo({ top: 0 })
  }, [rows])
  const least = widths.reduce((sum, w) => sum + w + GAP_PX, SIDES_PX)
  return (
    <div
      ref={scroller}
      className="grid grid-events pipe-rows"
      role="grid"
      aria-label="Rows"
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      tabIndex={0}
      style={
        {
          '--columns': widths.map((w) => `${w}px`).join(' '),
          '--least': `${least}px`,
        } as React.CSSProperties
      }
    >
      <div role="rowgroup" className="grid-head">
        <div role="row" aria-rowindex={1} className="grid-row">
          {columns.map((column) => (
            <Heading key={column.name} column={column} sort={sort} onSort={onSort} />
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize() - ROW_PX }}>
        {virtual.getVirtualItems().map((item) => {
          const row = rows[item.index]
          return row ? (
            <Row
              key={item.index}
              row={row}
              index={item.index}
              top={item.start}
              columns={columns}
              fields={fields}
            />
          ) : null
        })}
      </div>
    </div>
  )
}

interface HeadingProps {
  column: RowColumn
  sort: RowSort | null
  onSort: (name: string) => void
}

function Heading({ column, sort, onSort }: HeadingProps) {
  const isSorted = sort?.name === column.name
  const order = !isSorted ? 'none' : sort.isDown ? 'descending' : 'ascending'
  return (
    <div
      role="columnheader"
      aria-sort={order}
      className={`grid-cell ${isNumeric(column.kind) ? 'number' : ''}`}
    >
      <button
        type="button"
        className="head-button mono"
        title={`${visible(column.name)} (${column.kind})`}
        onClick={() => onSort(column.name)}
      >
        {visible(column.name)}
        {column.kind === 'time' && ` (${ZONE})`}
        {order === 'descending' && <ArrowDown size={12} aria-hidden="true" />}
        {order === 'ascending' && <ArrowUp size={12} aria-hidden="true" />}
      </button>
    </div>
  )
}

interface RowProps {
  row: unknown[]
  index: number
  top: number
  columns: RowColumn[]
  fields: (string | undefined)[]
}

const Row = memo(function Row({ row, index, top, columns, fields }: RowProps) {
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      className="grid-row"
      style={{ transform: `translateY(${top}px)` }}
    >
      {columns.map((column, i) => (
        <div
          key={column.name}
          role="gridcell"
          className={`grid-cell ${isNumeric(column.kind) ? 'number' : ''}`}
        >
          <PipeCell kind={column.kind} value={row[i]} field={fields[i]} />
        </div>
      ))}
    </div>
  )
})
