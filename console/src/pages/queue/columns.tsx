import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { serviceLevelsQuery } from '../../api/queries'
import type { Alert } from '../../api/types'
import { alertClock } from '../../lib/clock'
import { count } from '../../lib/format'
import { visible } from '../../lib/text'
import { ClockMark } from '../../ui/ClockMark'
import { Risk } from '../../ui/Risk'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Time, useNow, ZONE } from '../../ui/Time'
import { Entities } from '../../ui/Value'

export interface Column {
  id: string
  label: string
  width: string
  sort?: string
  /** Dropped when the list is narrow, because the panel beside it says the same. */
  narrow?: boolean
  numeric?: boolean
  /** Dropped when the list has less than its full width. */
  wide?: boolean
  /** `entitiesMax`: for how many entities there is room. */
  cell: (alert: Alert, entitiesMax: number) => ReactNode
}

function AlertClock({ alert }: { alert: Alert }) {
  const { data: levels } = useQuery(serviceLevelsQuery)
  return <ClockMark clock={alertClock(alert, levels, useNow())} />
}

export const COLUMNS: readonly Column[] = [
  {
    id: 'severity',
    label: 'Severity',
    width: '82px',
    sort: 'severity',
    narrow: true,
    cell: (a) => <Severity level={a.severity} />,
  },
  {
    id: 'risk',
    label: 'Risk',
    width: '66px',
    sort: 'risk',
    cell: (a) => <Risk score={a.risk} />,
  },
  {
    id: 'time',
    label: `Time (${ZONE})`,
    width: '106px',
    sort: 'time',
    narrow: true,
    cell: (a) => <Time iso={a.time} show="short" />,
  },
  {
    id: 'title',
    label: 'Alert',
    width: 'minmax(140px, 2.400fr)',
    narrow: true,
    cell: (a) => (
      <span className="cell-title" title={visible(a.summary)}>
        {visible(a.title)}
      </span>
    ),
  },
  {
    id: 'entities',
    label: 'Entities',
    width: 'minmax(120px, 2fr)',
    cell: (a, entitiesMax) => <Entities items={a.entities} max={entitiesMax} passive />,
  },
  {
    id: 'source',
    label: 'Source',
    width: '104px',
    wide: true,
    cell: (a) => <span className="muted">{visible(a.source)}</span>,
  },
  {
    id: 'clock',
    label: 'Clock',
    width: '168px',
    sort: 'due',
    wide: true,
    cell: (a) => <AlertClock alert={a} />,
  },
  {
    id: 'status',
    label: 'Status',
    width: '116px',
    cell: (a) => <Status status={a.status} verdict={a.verdict} />,
  },
  {
    id: 'assignee',
    label: 'Assignee',
    width: '66px',
    cell: (a) => (a.assignee ? visible(a.assignee) : <span className="faint">—</span>),
  },
  {
    id: 'count',
    label: 'Count',
    width: '48px',
    sort: 'count',
    numeric: true,
    cell: (a) => count(a.count),
  },
  {
    id: 'incident',
    label: 'Incident',
    width: '56px',
    cell: (a) =>
      a.incident_id ? (
        <Link
          to="/incidents/$id"
          params={{ id: a.incident_id }}
          tabIndex={-1}
          className="small"
          onClick={(event) => event.stopPropagation()}
        >
          Open
        </Link>
      ) : (
        <span className="faint">—</span>
      ),
  },
]
