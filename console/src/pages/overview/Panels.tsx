/** Kept questions that stand on the first page: asked when they come into view, and again every minute. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useMemo, useRef, useState } from 'react'
import { api } from '../../api/client'
import { searchesQuery } from '../../api/queries'
import { type RowResult, wholeBounds } from '../../api/rows'
import type { SavedSearch, SearchResult } from '../../api/types'
import { fillBuckets } from '../../lib/buckets'
import { count } from '../../lib/format'
import { isPipe } from '../../lib/query'
import { cellText, isNumeric } from '../../lib/table'
import { visible } from '../../lib/text'
import { rangeBounds } from '../../lib/time'
import { Bars } from '../../ui/Bars'
import { FormError } from '../../ui/FormError'
import { Section } from '../../ui/Page'
import { SkeletonRows } from '../../ui/Trouble'
import { PipeChart } from '../hunt/PipeChart'

const REFRESH_MS = 60_000
const ROWS_ASKED = 1000
const ROWS_SHOWN = 8

export function Panels() {
  const { data } = useQuery(searchesQuery)
  const panels = data?.items.filter((search) => search.panel) ?? []
  if (panels.length === 0) return null
  return (
    <div className="columns-2 panels">
      {panels.map((search) => (
        <Panel key={search.id} search={search} />
      ))}
    </div>
  )
}

function Panel({ search }: { search: SavedSearch }) {
  const [isSeen, setSeen] = useState(false)
  const place = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const element = place.current
    if (!element) return
    const watch = new IntersectionObserver(([entry]) => entry?.isIntersecting && setSeen(true))
    watch.observe(element)
    return () => watch.disconnect()
  }, [])
  return (
    <Section
      title={visible(search.name)}
      note={
        <Link to="/hunt" search={{ q: search.query, t: search.span }}>
          Open in the hunt
        </Link>
      }
    >
      <div ref={place} className="panel-body">
        {isSeen ? (
          isPipe(search.query) ? (
            <RowsPanel search={search} />
          ) : (
            <EventsPanel search={search} />
          )
        ) : null}
      </div>
    </Section>
  )
}

const boundsOf = (search: SavedSearch) => wholeBounds(rangeBounds({ last: search.span, from: '', to: '' }))

function EventsPanel({ search }: { search: SavedSearch }) {
  const { data, error } = useQuery({
    queryKey: ['panel', search.id, search.version],
    queryFn: async ({ signal }) => {
      const bounds = boundsOf(search)
      const body = { query: search.query, ...bounds, limit: 1 }
      return { bounds, found: await api.post<SearchResult>('/search', body, signal) }
    },
    refetchInterval: REFRESH_MS,
    retry: false,
  })
  if (error) return <FormError error={error} />
  if (!data) return <SkeletonRows rows={3} />
  const { found, bounds } = data
  const isAll = search.span === 'all'
  return (
    <>
      <strong className="panel-number">{count(found.total)}</strong>
      {!isAll && (
        <Bars
          buckets={fillBuckets(found.histogram, found.bucket_seconds, bounds.from, bounds.to)}
          seconds={found.bucket_seconds}
          height={64}
          label={`${visible(search.name)} over time`}
        />
      )}
    </>
  )
}

function RowsPanel({ search }: { search: SavedSearch }) {
  const { data, error } = useQuery({
    queryKey: ['panel', search.id, search.version],
    queryFn: ({ signal }) =>
      api.post<RowResult>('/query', { query: search.query, ...boundsOf(search), limit: ROWS_ASKED }, signal),
    refetchInterval: REFRESH_MS,
    retry: false,
  })
  const number = useMemo(() => {
    const [column] = data?.columns ?? []
    return data?.rows.length === 1 && data.columns.length === 1 && column && isNumeric(column.kind)
      ? Number(data.rows[0]?.[0])
      : null
  }, [data])
  if (error) return <FormError error={error} />
  if (!data) return <SkeletonRows rows={3} />
  if (number !== null) return <strong className="panel-number">{count(number)}</strong>
  if (data.rows.length === 0) return <p className="muted">No rows.</p>
  if (data.render && data.render.kind !== 'table')
    return <PipeChart columns={data.columns} rows={data.rows} render={data.render} />
  return (
    <table className="panel-table">
      <thead>
        <tr>
          {data.columns.map((column) => (
            <th key={column.name} className={isNumeric(column.kind) ? 'number' : ''}>
              {visible(column.name)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {data.rows.slice(0, ROWS_SHOWN).map((row, i) => (
          <tr key={i}>
            {data.columns.map((column, at) => (
              <td key={column.name} className={isNumeric(column.kind) ? 'number' : ''}>
                {visible(cellText(row[at]))}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
      {data.rows.length > ROWS_SHOWN && (
        <caption>{`the first ${ROWS_SHOWN} of ${count(data.rows.length)}${data.capped ? ' and more' : ''}`}</caption>
      )}
    </table>
  )
}
