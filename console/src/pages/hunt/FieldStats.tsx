/** What the fields hold: click a value to keep only it, Alt click to leave it out, the pin makes a column. */
import { Columns3 } from 'lucide-react'
import { useState } from 'react'
import type { FieldStat, FieldsResult } from '../../api/types'
import { useHunt } from '../../frame/useHunt'
import { count, plural } from '../../lib/format'
import { visible } from '../../lib/text'

const FOLDED = 5

interface FieldStatsProps {
  /** Over all events that match, or over a part of them where it says so. */
  counted: FieldsResult | null
  isCounting: boolean
  total: number
  columns: string[]
  onColumns: (columns: string[]) => void
}

export function FieldStats({ counted, isCounting, total, columns, onColumns }: FieldStatsProps) {
  const fields = counted?.fields ?? []
  const [needle, setNeedle] = useState('')
  const shown = fields.filter((f) => f.name.toLowerCase().includes(needle.toLowerCase()))
  return (
    <aside className="facets" aria-label="Fields">
      <input
        className="input"
        type="search"
        aria-label="Find a field"
        placeholder={`Find in ${plural(fields.length, 'field')}`}
        value={needle}
        onChange={(e) => setNeedle(e.target.value)}
      />
      {counted && !counted.exact && (
        <p className="small capped">
          Counted in {count(counted.events)} of {plural(total, 'event')}, spread over the time asked for
        </p>
      )}
      {shown.map((field) => (
        <Facet
          key={field.name}
          field={field}
          events={counted?.events ?? 0}
          isColumn={columns.includes(field.name)}
          onColumn={() =>
            onColumns(
              columns.includes(field.name)
                ? columns.filter((c) => c !== field.name)
                : [...columns, field.name],
            )
          }
        />
      ))}
      {shown.length === 0 && (
        <p className="muted small">
          {isCounting && !counted ? 'Counting the fields…' : 'No such field in these events.'}
        </p>
      )}
    </aside>
  )
}

interface FacetProps {
  field: FieldStat
  events: number
  isColumn: boolean
  onColumn: () => void
}

function Facet({ field, events, isColumn, onColumn }: FacetProps) {
  const hunt = useHunt()
  const [isUnfolded, setUnfolded] = useState(false)
  const max = Math.max(1, ...field.top.map((t) => t.count))
  const top = isUnfolded ? field.top : field.top.slice(0, FOLDED)
  return (
    <section className="facet" aria-label={field.name}>
      <div className="facet-head">
        <h2 className="mono" title={field.name}>
          {field.name}
        </h2>
        <span
          className="muted small tabular"
          title={`${field.more ? 'At least ' : ''}${plural(field.distinct, 'distinct value')}, in ${count(field.count)} of ${plural(events, 'event')}`}
        >
          {count(field.distinct)}
          {field.more && '+'}
        </span>
        <button
          type="button"
          className="icon-button"
          aria-pressed={isColumn}
          aria-label={`${field.name} as a column`}
          title="Show as a column"
          onClick={onColumn}
        >
          <Columns3 size={13} />
        </button>
      </div>
      {top.map((item) => (
        <button
          key={item.value}
          type="button"
          className="facet-value"
          title={`${visible(item.value)}\nClick: only these. Alt click: without these.`}
          onClick={(event) => hunt(field.name, item.value, event.altKey)}
        >
          <span className="facet-bar" style={{ width: `${(item.count / max) * 100}%` }} aria-hidden="true" />
          <span className="facet-text mono">{visible(item.value) || '(empty)'}</span>
          <span className="tabular muted">{count(item.count)}</span>
        </button>
      ))}
      {field.top.length > FOLDED && (
        <button type="button" className="link-button small" onClick={() => setUnfolded(!isUnfolded)}>
          {isUnfolded ? 'Fewer' : `${field.top.length - FOLDED} more`}
        </button>
      )}
    </section>
  )
}
