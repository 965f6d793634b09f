/**
 * The hunt: a question in words or `field:value`, its shape over time, its rows, and its fields.
 * A question with verbs (`… | summarize …`) has rows and a chart in their place.
 */
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { ApiError } from '../../api/client'
import { type SearchBody, searchQuery } from '../../api/queries'
import { rowsQuery } from '../../api/rows'
import type { SearchResult } from '../../api/types'
import { fillBuckets } from '../../lib/buckets'
import { count, plural } from '../../lib/format'
import { isPipe } from '../../lib/query'
import { huntColumnsStore } from '../../lib/settings'
import { duration } from '../../lib/time'
import { rangeBounds, rangeKey, useRange, useUrlState } from '../../lib/url'
import { Bars } from '../../ui/Bars'
import { useTitle } from '../../ui/Page'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { FirstData } from '../overview/Overview'
import { EventPanel } from './EventPanel'
import { FieldStats } from './FieldStats'
import { HuntBar } from './HuntBar'
import { HuntRows } from './HuntRows'
import { PipeAnswer } from './PipeAnswer'
import { Unread } from './Unread'

const FIRST_ROWS = 500
const MORE_ROWS = 10_000

export default function Hunt() {
  useTitle('Hunt')
  const [search, set] = useUrlState()
  const range = useRange()
  const q = search.q ?? ''
  const order: 'asc' | 'desc' = search.order === 'asc' ? 'asc' : 'desc'
  const limit = search.rows === 'more' ? MORE_ROWS : FIRST_ROWS
  const key = [q, rangeKey(range), order, limit] as const
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the range; a relative range is fixed once per question.
  const body = useMemo<SearchBody>(() => ({ query: q, ...rangeBounds(range), limit, order }), [...key])
  const hasVerbs = isPipe(q)
  const events = useQuery({ ...searchQuery(body, key), enabled: !hasVerbs })
  const rows = useQuery({
    ...rowsQuery({ query: q, from: body.from, to: body.to, limit: MORE_ROWS }, [q, rangeKey(range)]),
    enabled: hasVerbs,
  })
  const { error, isFetching, refetch } = hasVerbs ? rows : events
  const { data, isPlaceholderData } = events

  const stored = huntColumnsStore.use()
  const columns = search.cols !== undefined ? search.cols.split(',').filter(Boolean) : stored
  const setColumns = (next: string[]) => {
    huntColumnsStore.set(next)
    set({ cols: next.join(',') || null })
  }
  const isRefused = error instanceof ApiError && error.code === 'query_invalid'
  const openId = search.event ?? null

  return (
    <div className="work hunt">
      <h1 className="hidden-text">Hunt</h1>
      <HuntBar
        query={q}
        error={isRefused ? error.problem : null}
        isBusy={isFetching}
        onAsk={(text) =>
          text === q ? void refetch() : set({ q: text, event: null, sort: null }, { push: true })
        }
      />
      {error && !isRefused ? (
        <Problem what="The search failed" error={error} retry={() => void refetch()} />
      ) : isRefused ? null : hasVerbs && rows.data ? (
        <PipeAnswer data={rows.data} isStale={rows.isPlaceholderData} />
      ) : hasVerbs || !data ? (
        <SkeletonRows rows={20} />
      ) : (
        <div className="hunt-answer" data-stale={isPlaceholderData}>
          <div className="hunt-shape">
            <Bars
              buckets={fillBuckets(
                data.histogram,
                data.bucket_seconds,
                body.from,
                body.from && (body.to ?? new Date().toISOString()),
              )}
              seconds={data.bucket_seconds}
              height={92}
              label="Events over time"
              onBrush={(from, to) => set({ t: null, from, to, event: null }, { push: true })}
            />
          </div>
          <div className="hunt-count">
            <Totals data={data} limit={limit} onMore={() => set({ rows: 'more' }, { push: true })} />
            <span className="spacer" />
            <button
              type="button"
              className="link-button"
              onClick={() => set({ order: order === 'asc' ? null : 'asc' }, { push: true })}
            >
              {order === 'desc' ? 'Newest first' : 'Oldest first'}
            </button>
          </div>
          <div className="split">
            <FieldStats
              fields={data.fields}
              columns={columns}
              onColumns={setColumns}
              isSample={data.capped}
            />
            <div className="split-list">
              {data.events.length === 0 ? (
                <Nothing
                  isAll={!q && range.last === 'all'}
                  onAll={() => set({ t: 'all', from: null, to: null }, { push: true })}
                />
              ) : (
                <HuntRows
                  events={data.events}
                  columns={columns}
                  openId={openId}
                  onOpen={(event) => set({ event })}
                  onColumns={setColumns}
                />
              )}
            </div>
            {openId && <EventPanel id={openId} held={data.events} onClose={() => set({ event: null })} />}
          </div>
        </div>
      )}
    </div>
  )
}

function Totals({ data, limit, onMore }: { data: SearchResult; limit: number; onMore: () => void }) {
  const shown = data.events.length
  return (
    <span aria-live="polite" className="tabular">
      <strong>{plural(data.total, 'event')}</strong>
      <span className="muted">
        {' '}
        in {data.took_ms < 1000 ? `${Math.round(data.took_ms)} ms` : duration(data.took_ms / 1000)}
      </span>
      {shown < data.total && (
        <>
          <span className="capped"> · first {count(shown)} shown</span>
          {limit < MORE_ROWS && (
            <button type="button" className="link-button" onClick={onMore}>
              Show up to {count(MORE_ROWS)}
            </button>
          )}
        </>
      )}
      <Unread files={data.unread} />
      {data.capped && (
        <span className="capped"> · capped: counts above are exact, rows and fields are not all</span>
      )}
    </span>
  )
}

function Nothing({ isAll, onAll }: { isAll: boolean; onAll: () => void }) {
  if (isAll) return <FirstData />
  return (
    <Empty title="No event matches">
      Take a clause away, or widen the time range.{' '}
      <button type="button" className="button" onClick={onAll}>
        Search all time
      </button>
    </Empty>
  )
}
