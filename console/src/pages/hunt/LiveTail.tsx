/**
 * What arrives, newest first. Nothing moves under somebody who reads: while the pointer or the focus is
 * in the list, while it is scrolled, and while an event is open, what arrives waits and is counted.
 */
import { useState } from 'react'
import { useTail } from '../../api/tail'
import { count, plural } from '../../lib/format'
import { huntColumnsStore } from '../../lib/settings'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { Time } from '../../ui/Time'
import { Empty, SkeletonRows } from '../../ui/Trouble'
import { EventPanel } from './EventPanel'
import { HuntRows } from './HuntRows'
import { PipeAnswer } from './PipeAnswer'
import { PipeRows } from './PipeRows'

interface Reading {
  isOver: boolean
  isFocused: boolean
  isScrolled: boolean
}

export function LiveTail({ query }: { query: string }) {
  const [search, set] = useUrlState()
  const columns = huntColumnsStore.use()
  const [reading, setReading] = useState<Reading>({ isOver: false, isFocused: false, isScrolled: false })
  const openId = search.event ?? null
  const isHeld = reading.isOver || reading.isFocused || reading.isScrolled || openId !== null
  const tail = useTail(query, true, isHeld)
  const change = (part: Partial<Reading>) => setReading((now) => ({ ...now, ...part }))
  const showNow = () => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur()
    for (const list of document.querySelectorAll('.tail .grid')) list.scrollTo({ top: 0 })
    setReading({ isOver: false, isFocused: false, isScrolled: false })
    set({ event: null })
  }
  if (tail.failed) {
    return (
      <div className="query-error tail-failed" role="alert">
        <strong>{visible(tail.failed.detail ?? tail.failed.title ?? 'Following ended')}</strong>
        {tail.failed.hint && <span> {visible(tail.failed.hint)}</span>}
      </div>
    )
  }
  const isReplaced = tail.mode === 'replaced'
  const isEmpty = isReplaced ? !tail.answer : tail.events.length === 0 && tail.rows.length === 0
  return (
    <div className="hunt-answer tail">
      <div className="hunt-count">
        <span className="tabular">
          <span className="live-dot tail-dot" data-open={tail.isOpen} aria-hidden="true" />
          {tail.isOpen ? (
            <>
              Following
              {tail.begun && (
                <span className="muted">
                  {' '}
                  since <Time iso={tail.begun} show="short" />
                </span>
              )}
            </>
          ) : (
            'Connecting'
          )}
          {!isReplaced && <strong> · {plural(tail.arrived, tail.mode === 'rows' ? 'row' : 'event')}</strong>}
          {isReplaced && (
            <span className="muted"> · asked again every second over what arrived since then</span>
          )}
          {tail.leftOut > 0 && (
            <span className="capped" title="More arrived in a second than can be read">
              {` · ${count(tail.leftOut)} not shown`}
            </span>
          )}
          {tail.missed > 0 && (
            <span className="capped">{` · ${count(tail.missed)} arrived too fast for this window`}</span>
          )}
          {tail.gaps > 0 && (
            <span className="capped">{` · the connection was lost ${plural(tail.gaps, 'time')}: search for what arrived then`}</span>
          )}
        </span>
        <span className="spacer" />
        <span aria-live="polite">
          {isHeld && (tail.waiting > 0 || (isReplaced && !isEmpty)) ? (
            <button type="button" className="link-button" onClick={showNow}>
              {isReplaced ? 'Held while you read: go on' : `${count(tail.waiting)} waiting: show`}
            </button>
          ) : isHeld && !isEmpty ? (
            <span className="muted">Held while you read</span>
          ) : null}
        </span>
      </div>
      <div
        className="split tail-rows"
        onPointerEnter={() => change({ isOver: true })}
        onPointerLeave={() => change({ isOver: false })}
        onFocus={() => change({ isFocused: true })}
        onBlur={() => change({ isFocused: false })}
        onScrollCapture={(event) => change({ isScrolled: (event.target as HTMLElement).scrollTop > 4 })}
      >
        <div className="split-list">
          {isEmpty ? (
            tail.mode === 'connecting' ? (
              <SkeletonRows rows={12} />
            ) : (
              <Empty title="Nothing has arrived yet">
                Events that match appear here less than two seconds after they arrive.
              </Empty>
            )
          ) : tail.answer && isReplaced ? (
            <PipeAnswer data={tail.answer} isStale={false} />
          ) : tail.mode === 'rows' ? (
            <PipeRows columns={tail.columns} rows={tail.rows} sort={null} onSort={() => {}} isTail />
          ) : (
            <HuntRows
              events={tail.events}
              columns={columns}
              openId={openId}
              onOpen={(event) => set({ event })}
              onColumns={(next) => huntColumnsStore.set(next)}
              isTail
            />
          )}
        </div>
        {openId && <EventPanel id={openId} held={tail.events} onClose={() => set({ event: null })} />}
      </div>
    </div>
  )
}
