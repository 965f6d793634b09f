/** The answer to a question with verbs: how many rows, their chart if one is asked for, and the rows. */
import { Download } from 'lucide-react'
import { useMemo } from 'react'
import type { RowResult } from '../../api/rows'
import { saveText, toCsv, toNdjson } from '../../lib/exportRows'
import { plural } from '../../lib/format'
import { nextSort, sortFromText, sortRows, sortToText } from '../../lib/table'
import { duration } from '../../lib/time'
import { useRange, useUrlState } from '../../lib/url'
import { Empty } from '../../ui/Trouble'
import { PipeChart } from './PipeChart'
import { PipeRows } from './PipeRows'
import { Unread } from './Unread'

export function PipeAnswer({ data, isStale }: { data: RowResult; isStale: boolean }) {
  const [search, set] = useUrlState()
  const sort = sortFromText(search.sort)
  const { columns } = data
  // biome-ignore lint/correctness/useExhaustiveDependencies: the text stands for the order.
  const rows = useMemo(() => sortRows(columns, data.rows, sort), [data, search.sort])
  return (
    <div className="hunt-answer" data-stale={isStale}>
      <div className="hunt-count">
        <span aria-live="polite" className="tabular">
          <strong>{plural(rows.length, 'row')}</strong>
          <span className="muted">
            {' · '}
            {data.took_ms < 1000 ? `${Math.round(data.took_ms)} ms` : duration(data.took_ms / 1000)}
          </span>
          {data.capped && (
            <span className="capped">
              {` · the first ${plural(rows.length, 'row')} are shown, there are more`}
            </span>
          )}
          <Unread files={data.unread} />
        </span>
        <span className="spacer" />
        {rows.length > 0 && <Exports data={data} rows={rows} />}
      </div>
      {rows.length === 0 ? (
        <NoRows onAll={() => set({ t: 'all', from: null, to: null }, { push: true })} />
      ) : (
        <>
          {data.render && <PipeChart columns={columns} rows={data.rows} render={data.render} />}
          <PipeRows
            columns={columns}
            rows={rows}
            sort={sort}
            onSort={(name) => set({ sort: sortToText(nextSort(sort, name)) })}
          />
        </>
      )}
    </div>
  )
}

function Exports({ data, rows }: { data: RowResult; rows: readonly unknown[][] }) {
  const name = (end: string) => `watchfloor-rows-${new Date().toISOString().replace(/[:.]/g, '-')}.${end}`
  return (
    <>
      <button
        type="button"
        className="link-button"
        title="Save the rows shown as CSV"
        onClick={() => saveText(name('csv'), 'text/csv;charset=utf-8', toCsv(data.columns, rows))}
      >
        <Download size={12} aria-hidden="true" /> CSV
      </button>
      <button
        type="button"
        className="link-button"
        title="Save the rows shown as NDJSON, one object a line"
        onClick={() => saveText(name('ndjson'), 'application/x-ndjson', toNdjson(data.columns, rows))}
      >
        <Download size={12} aria-hidden="true" /> NDJSON
      </button>
    </>
  )
}

function NoRows({ onAll }: { onAll: () => void }) {
  const range = useRange()
  return (
    <Empty title="No rows">
      {range.last === 'all'
        ? 'Take a verb away from the end to see where the rows are lost.'
        : 'Take a verb away from the end to see where the rows are lost, or widen the time range. '}
      {range.last !== 'all' && (
        <button type="button" className="button" onClick={onAll}>
          Search all time
        </button>
      )}
    </Empty>
  )
}
