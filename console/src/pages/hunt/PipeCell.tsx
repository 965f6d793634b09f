/** One cell of a row, by the kind of its column. All text of events goes through `visible` or `Value`. */
import type { ColumnKind } from '../../api/rows'
import { cellText, isNumeric } from '../../lib/table'
import { valueText, visible } from '../../lib/text'
import { Time } from '../../ui/Time'
import { Value } from '../../ui/Value'

const TEXT_MAX = 48
const LONG_MAX = 400
const ITEM_MAX = 28
const ITEMS_SHOWN = 8

interface PipeCellProps {
  kind: ColumnKind
  value: unknown
  /** The field of events that the column is, if it is one. */
  field?: string
}

export function PipeCell({ kind, value, field }: PipeCellProps) {
  if (value === null || value === undefined) return <span className="faint">—</span>
  if (kind === 'time') return <Time iso={cellText(value)} show="full" />
  if (Array.isArray(value)) return <List items={value} field={field} />
  if (kind === 'map' || typeof value === 'object') return <Plain text={valueText(value)} />
  const text = valueText(value)
  if (text === '') return <span className="faint">(empty)</span>
  // A port or a number of an event can be hunted; a count cannot.
  if (kind === 'text' || field) return <Value value={text} field={field} max={TEXT_MAX} plain />
  return isNumeric(kind) ? <span className="tabular">{visible(text)}</span> : <Plain text={text} />
}

function Plain({ text }: { text: string }) {
  const shown = visible(text.slice(0, LONG_MAX))
  return (
    <span className="cell-title mono small tabular" title={shown}>
      {shown}
    </span>
  )
}

function List({ items, field }: { items: unknown[]; field?: string }) {
  if (items.length === 0) return <span className="faint">(none)</span>
  const shown = items.slice(0, ITEMS_SHOWN)
  return (
    <span className="pipe-list" title={visible(cellText(items).slice(0, LONG_MAX))}>
      {shown.map((item, i) => (
        <span key={i}>
          {i > 0 && ', '}
          <Value value={valueText(item)} field={field} max={ITEM_MAX} plain />
        </span>
      ))}
      {shown.length < items.length && <span className="muted small"> +{items.length - shown.length}</span>}
    </span>
  )
}
