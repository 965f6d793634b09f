/**
 * The hunt: a question in words or `field:value`, its shape over time, its rows, and its fields.
 * A question with verbs (`… | summarize …`) has rows and a chart in their place.
 */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { ApiError } from '../../api/client'
import { type SearchBody, searchFieldsQuery, searchQuery } from '../../api/queries'
import { NO_ROWS, partialRows, rowsQuery } from '../../api/rows'
import { partialSearch } from '../../api/search'
import type { SearchResult } from '../../api/types'
import { fillBuckets } from '../../lib/buckets'
import { count, plural } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { isPipe } from '../../lib/query'
import { huntColumnsStore } from '../../lib/settings'
import { visible } from '../../lib/text'
import { duration } from '../../lib/time'
import { rangeBounds, rangeKey, useRange, useUrlState } from '../../lib/url'
import { Bars } from '../../ui/Bars'
import { useTitle } from '../../ui/Page'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { FirstData } from '../overview/Overview'
import { Asking } from './Asking'
import { EventPanel } from './EventPanel'
import { FieldStats } from './FieldStats'
import { HuntBar } from './HuntBar'
import { HuntMenu } from './HuntMenu'
import { HuntRows } from './HuntRows'
import { LiveTail } from './LiveTail'
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
  const events = useQuery({ ...searchQuery(body, key), enabled: !hasVerbs && search.tail !== 'on' })
  const rows = useQuery({
    ...rowsQuery({ query: q, from: body.from, to: body.to, limit: MORE_ROWS }, [q, rangeKey(range)]),
    enabled: hasVerbs && search.tail !== 'on',
  })
  const asked = hasVerbs ? rows : events
  const { error, isFetching, refetch } = asked
  const isTail = search.tail === 'on'
  // Until an answer is whole, and where it was stopped, what came of it is shown.
  const partial = partialSearch.use()
  const partialOfRows = partialRows.use()
  const current = key.join('\n')
  const part =
    !hasVerbs && partial?.key === current && (events.isPlaceholderData || !events.data) ? partial : null
  const rowsKey = [q, rangeKey(range)].join('\n')
  const rowsPart =
    hasVerbs && partialOfRows?.key === rowsKey && (rows.isPlaceholderData || !rows.data)
      ? partialOfRows
      : null
  const data = part?.result ?? events.data
  const isStale = part ? false : events.isPlaceholderData
  const isWhole = !hasVerbs && !isFetching && events.data !== undefined && !events.isPlaceholderData
  const counted = useQuery({
    ...searchFieldsQuery(body, [q, rangeKey(range)]),
    enabled: isWhole && !isTail && (data?.total ?? 0) > 0,
  })
  const client = useQueryClient()
  const progress = part?.progress ?? rowsPart?.progress ?? null
  const isStopped = !isFetching && (part !== null || rowsPart !== null)
  const isSlow = useSlow(isFetching)
  const stop = () =>
    void client.cancelQueries({ queryKey: hasVerbs ? ['rows', ...[q, rangeKey(range)]] : ['search', ...key] })

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
          text === q && !isTail ? void refetch() : set({ q: text, event: null, sort: null }, { push: true })
        }
      >
        <HuntMenu query={q} span={range.last} bounds={{ from: body.from, to: body.to }} />
        <TailSwitch
          isOn={isTail}
          onChange={(on) => set({ tail: on ? 'on' : null, event: null }, { push: true })}
        />
      </HuntBar>
      {(isSlow || isStopped) && !isTail && !error && (
        <div className="hunt-asking">
          {isFetching ? (
            <Asking progress={progress} onCancel={stop} />
          ) : (
            <span className="capped" role="status">
              Stopped: what was found until then is shown.{' '}
              <button type="button" className="link-button" onClick={() => void refetch()}>
                Ask again
              </button>
            </span>
          )}
        </div>
      )}
      {isTail ? (
        <LiveTail key={q} query={q} />
      ) : error && !isRefused ? (
        <Problem what="The search failed" error={error} retry={() => void refetch()} />
      ) : isRefused ? null : hasVerbs && (rowsPart || rows.data) ? (
        <PipeAnswer
          data={rowsPart?.result ?? rows.data ?? NO_ROWS}
          isStale={!rowsPart && rows.isPlaceholderData}
        />
      ) : hasVerbs || !data ? (
        <SkeletonRows rows={20} />
      ) : (
        <div className="hunt-answer" data-stale={isStale}>
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
            <Totals
              data={data}
              isWhole={!part}
              limit={limit}
              onMore={() => set({ rows: 'more' }, { push: true })}
            />
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
              counted={counted.data ?? null}
              isCounting={counted.isFetching || isFetching}
              total={data.total}
              columns={columns}
              onColumns={setColumns}
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

/** A wish to stop comes late for what is there at once; nothing flashes up for it. */
const SLOW_MS = 400

function useSlow(isBusy: boolean): boolean {
  const [isSlow, setSlow] = useState(false)
  useEffect(() => {
    if (!isBusy) return setSlow(false)
    const timer = setTimeout(() => setSlow(true), SLOW_MS)
    return () => clearTimeout(timer)
  }, [isBusy])
  return isSlow
}

function TailSwitch({ isOn, onChange }: { isOn: boolean; onChange: (isOn: boolean) => void }) {
  useKeys('Hunt', [{ keys: 't', label: 'Follow what arrives', run: () => onChange(!isOn) }])
  return (
    <button
      type="button"
      role="switch"
      aria-checked={isOn}
      className="button live"
      data-state={isOn ? 'on' : 'off'}
      title={
        isOn ? 'Events appear as they arrive. Press to search what is stored.' : 'Show events as they arrive'
      }
      onClick={() => onChange(!isOn)}
    >
      <span className="live-dot" aria-hidden="true" />
      Tail
    </button>
  )
}

interface TotalsProps {
  data: SearchResult
  isWhole: boolean
  limit: number
  onMore: () => void
}

function Totals({ data, isWhole, limit, onMore }: TotalsProps) {
  const shown = data.events.length
  return (
    <span aria-live="polite" className="tabular">
      <strong>
        {data.cut && data.cut.limit !== 'rows' ? 'at least ' : ''}
        {plural(data.total, 'event')}
      </strong>
      <span className="muted">
        {' '}
        {isWhole ? 'in' : 'so far'}{' '}
        {!isWhole
          ? ''
          : data.took_ms < 1000
            ? `${Math.round(data.took_ms)} ms`
            : duration(data.took_ms / 1000)}
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
      {data.cut && <span className="capped"> · {visible(data.cut.detail)}</span>}
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
