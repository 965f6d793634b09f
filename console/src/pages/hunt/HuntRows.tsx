/** The events as rows: time, source, class, the chosen fields, and the message or raw line. */
import { useVirtualizer } from '@tanstack/react-virtual'
import { X } from 'lucide-react'
import { memo, useEffect, useRef, useState } from 'react'
import type { SocEvent } from '../../api/types'
import { useKeys } from '../../lib/keys'
import { valueText, visible } from '../../lib/text'
import { Time, ZONE } from '../../ui/Time'
import { Value } from '../../ui/Value'

const ROW_PX = 28
const TEXT_MAX = 400

interface HuntRowsProps {
  events: SocEvent[]
  columns: string[]
  openId: string | null
  onOpen: (id: string | null) => void
  onColumns: (columns: string[]) => void
  /** Rows come in at the top. */
  isTail?: boolean
}

export function HuntRows({ events, columns, openId, onOpen, onColumns, isTail }: HuntRowsProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const [activeId, setActive] = useState<string | null>(openId)
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 16,
    paddingStart: ROW_PX,
    scrollPaddingStart: ROW_PX,
  })
  const at = events.findIndex((e) => e.id === activeId)
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a move of the cursor scrolls.
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at, { align: 'auto' })
  }, [activeId])
  const move = (step: number) => {
    const next = events[Math.max(0, Math.min(events.length - 1, at < 0 ? 0 : at + step))]
    if (!next) return
    setActive(next.id)
    if (openId) onOpen(next.id)
  }
  const toggle = () => (openId ? onOpen(null) : activeId && onOpen(activeId))
  useKeys('Hunt', [
    { keys: 'j', label: 'Next event', run: () => move(1) },
    { keys: 'ArrowDown', label: 'Next', quiet: true, run: () => move(1) },
    { keys: 'k', label: 'Previous event', run: () => move(-1) },
    { keys: 'ArrowUp', label: 'Previous', quiet: true, run: () => move(-1) },
    { keys: 'o', label: 'Open event', run: toggle },
    { keys: 'Enter', label: 'Open event', quiet: true, run: toggle },
    { keys: 'Escape', label: 'Close event', run: () => onOpen(null) },
  ])
  // Beside an open event its class is read there; the room goes to the text.
  const withClass = openId === null
  const template = `104px 100px ${withClass ? '132px' : ''} ${columns.map(() => 'minmax(110px, 170px)').join(' ')} minmax(200px, 1fr)`
  return (
    <div
      ref={scroller}
      className={`grid grid-events ${isTail ? 'grid-tail' : ''}`}
      role="grid"
      aria-label="Events"
      aria-rowcount={events.length + 1}
      aria-activedescendant={at >= 0 ? `event-${activeId}` : undefined}
      tabIndex={0}
      style={
        {
          '--columns': template,
          '--least': `${(withClass ? 640 : 480) + columns.length * 122}px`,
        } as React.CSSProperties
      }
    >
      <div role="rowgroup" className="grid-head">
        <div role="row" aria-rowindex={1} className="grid-row">
          <div role="columnheader" className="grid-cell">
            Time ({ZONE})
          </div>
          <div role="columnheader" className="grid-cell">
            Source
          </div>
          {withClass && (
            <div role="columnheader" className="grid-cell">
              Class
            </div>
          )}
          {columns.map((column) => (
            <div key={column} role="columnheader" className="grid-cell mono">
              <span className="cell-title" title={column}>
                {column}
              </span>
              <button
                type="button"
                className="icon-button"
                aria-label={`Remove column ${column}`}
                onClick={() => onColumns(columns.filter((c) => c !== column))}
              >
                <X size={12} />
              </button>
            </div>
          ))}
          <div role="columnheader" className="grid-cell">
            Event
          </div>
        </div>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize() - ROW_PX }}>
        {virtual.getVirtualItems().map((item) => {
          const event = events[item.index]
          return event ? (
            <EventRow
              key={event.id}
              event={event}
              index={item.index}
              top={item.start}
              columns={columns}
              withClass={withClass}
              isActive={event.id === activeId}
              onOpen={() => {
                setActive(event.id)
                onOpen(event.id)
              }}
            />
          ) : null
        })}
      </div>
    </div>
  )
}

interface EventRowProps {
  event: SocEvent
  index: number
  top: number
  columns: string[]
  withClass: boolean
  isActive: boolean
  onOpen: () => void
}

const EventRow = memo(
  function EventRow({ event, index, top, columns, withClass, isActive, onOpen }: EventRowProps) {
    return (
      // biome-ignore lint/a11y/useKeyWithClickEvents: the grid's keys (j k o Enter) do the same for the keyboard.
      <div
        id={`event-${event.id}`}
        role="row"
        aria-rowindex={index + 2}
        data-id={event.id}
        data-active={isActive}
        className="grid-row"
        style={{ transform: `translateY(${top}px)` }}
        onClick={onOpen}
      >
        <div role="gridcell" className="grid-cell">
          <Time iso={event.time} show="short" />
        </div>
        <div role="gridcell" className="grid-cell muted">
          {visible(event.source)}
        </div>
        {withClass && (
          <div role="gridcell" className="grid-cell muted">
            {visible(event.class_name)}
          </div>
        )}
        {columns.map((column) => {
          const value = valueText(event.fields[column])
          return (
            <div key={column} role="gridcell" className="grid-cell">
              {value ? (
                <Value value={value} field={column} max={40} passive plain />
              ) : (
                <span className="faint">—</span>
              )}
            </div>
          )
        })}
        <div role="gridcell" className="grid-cell">
          {event.anomalies.length > 0 && (
            <span className="anomaly-mark" title={event.anomalies.map((a) => a.code).join(', ')}>
              odd
            </span>
          )}
          <span className="cell-title mono small">
            {visible((event.message || event.raw).slice(0, TEXT_MAX))}
          </span>
        </div>
      </div>
    )
  },
  (a, b) =>
    a.event === b.event &&
    a.top === b.top &&
    a.isActive === b.isActive &&
    a.withClass === b.withClass &&
    a.columns.join() === b.columns.join(),
)
