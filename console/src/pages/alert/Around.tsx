/** Before and after: the events of the same entities, the processes, and the same rule elsewhere. */
import type { UseQueryResult } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import type { Alert, AlertContext, AlertDetail, ProcessNode } from '../../api/types'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { processRows } from '../../lib/tree'
import { openEvent } from '../../ui/eventDialog'
import { Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { Entities } from '../../ui/Value'

const EVENTS_SHOWN = 60

export function BeforeAfter({ alert, query }: { alert: AlertDetail; query: UseQueryResult<AlertContext> }) {
  const { data, error } = query
  const alerted = new Set(alert.event_ids)
  const events = data ? windowOf(data, alert) : []
  const list = useRef<HTMLOListElement>(null)
  const isLoaded = data !== undefined
  // The list opens at the alert itself: what led to it above, what followed below.
  useEffect(() => {
    const element = isLoaded ? list.current : null
    const row = element?.querySelector<HTMLElement>('[data-alerted="true"]')
    if (element && row) element.scrollTop = row.offsetTop - element.offsetTop - element.clientHeight / 2
  }, [isLoaded])
  return (
    <Section
      title="Before and after"
      note={
        data &&
        `± 15 min, same entities · ${plural(data.total, 'event')}${
          data.capped || events.length < data.total ? `, the ${events.length} nearest shown` : ''
        }`
      }
    >
      {error ? (
        <Problem what="The surroundings did not load" error={error} />
      ) : !data ? (
        <SkeletonRows rows={6} height={26} />
      ) : events.length === 0 ? (
        <p className="muted quiet">Nothing else from these entities in that half hour.</p>
      ) : (
        <ol ref={list} className="events">
          {events.map((event) => (
            <li key={event.id}>
              <button type="button" data-alerted={alerted.has(event.id)} onClick={() => openEvent(event)}>
                <Time iso={event.time} show="clock" />
                <span className="muted">{visible(event.class_name)}</span>
                <span className="events-text">{visible(event.message || event.raw).slice(0, 240)}</span>
              </button>
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}

/** The events nearest to the alert, in time order: what led to it matters as much as what followed. */
function windowOf(context: AlertContext, alert: Alert) {
  const at = Date.parse(alert.time)
  return [...context.events]
    .sort((a, b) => Math.abs(Date.parse(a.time) - at) - Math.abs(Date.parse(b.time) - at))
    .slice(0, EVENTS_SHOWN)
    .sort((a, b) => a.time.localeCompare(b.time))
}

export function ProcessTree({ nodes }: { nodes: readonly ProcessNode[] }) {
  if (nodes.length === 0) return null
  return (
    <Section title="Process tree" note={plural(nodes.length, 'process', 'processes')}>
      <ol className="tree">
        {processRows(nodes).map(({ node, depth }) => (
          <li key={node.id} style={{ paddingLeft: 8 + depth * 18 }} data-depth={Math.min(depth, 1)}>
            <button
              type="button"
              data-alerted={node.is_alerted ?? false}
              disabled={!node.event_id}
              onClick={() => node.event_id && openEvent(node.event_id)}
            >
              <strong>{visible(node.name)}</strong>
              <span className="mono events-text muted">{visible(node.cmd_line ?? '').slice(0, 300)}</span>
              {node.user && <span className="muted small">{visible(node.user)}</span>}
              {node.time && <Time iso={node.time} show="clock" />}
            </button>
          </li>
        ))}
      </ol>
    </Section>
  )
}

export function SameRule({ alert, rows }: { alert: Alert; rows: readonly Alert[] | undefined }) {
  const others = (rows ?? []).filter((row) => row.id !== alert.id)
  return (
    <Section
      title="Same rule elsewhere"
      tools={
        <Link to="/queue" search={{ rule_id: alert.rule_id, status: 'all' }}>
          In the queue
        </Link>
      }
    >
      {others.length === 0 ? (
        <p className="muted quiet">{rows ? 'This is the only alert of the rule.' : 'Loading…'}</p>
      ) : (
        <ul className="alert-rows">
          {others.slice(0, 8).map((row) => (
            <li key={row.id}>
              <Severity level={row.severity} />
              <Time iso={row.time} show="short" />
              <Link to="/alerts/$id" params={{ id: row.id }}>
                {visible(row.title)}
              </Link>
              <Entities items={row.entities} max={2} />
              <Status status={row.status} verdict={row.verdict} />
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}
