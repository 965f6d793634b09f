import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useMemo } from 'react'
import { textDialog } from '../../actions/noteDialog'
import { api } from '../../api/client'
import { incidentsQuery, serviceLevelsQuery } from '../../api/queries'
import type { Incident, IncidentStatus } from '../../api/types'
import { tacticWord } from '../../lib/attack'
import { incidentClock } from '../../lib/clock'
import { count, INCIDENT_STATUS_WORD, plural, SEVERITIES } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { ClockMark } from '../../ui/ClockMark'
import { FilterText } from '../../ui/FilterText'
import { Kbd } from '../../ui/Kbd'
import { Menu } from '../../ui/Menu'
import { useTitle } from '../../ui/Page'
import { Risk } from '../../ui/Risk'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Ago, Time, useNow } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { Entities } from '../../ui/Value'

const OPEN = 'new,in_progress,contained'
const STATUSES = Object.keys(INCIDENT_STATUS_WORD) as IncidentStatus[]
const SORTS = [
  ['-last_time', 'latest'],
  ['-risk', 'risk'],
  ['-severity', 'severity'],
  ['due', 'due first'],
] as const
const CLOCK_FILTER: Record<string, string> = { at_risk: 'at risk or breached', breached: 'breached' }

export default function Incidents() {
  useTitle('Incidents')
  const [search, set] = useUrlState()
  const navigate = useNavigate()
  const client = useQueryClient()
  const status = search.status === 'all' ? undefined : (search.status ?? OPEN)
  const query = useInfiniteQuery(
    incidentsQuery({
      status,
      severity: search.severity,
      q: search.text,
      clock: search.clock,
      sort: search.sort,
      verdict: search.verdict,
      detected_from: search.dfrom,
      detected_to: search.dto,
      reached: search.reached,
    }),
  )
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const total = query.data?.pages[0]?.total ?? rows.length

  const at = rows.findIndex((r) => r.id === search.at)
  const move = (step: number) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? 0 : at + step))]
    if (next) {
      set({ at: next.id })
      document.getElementById(`incident-${next.id}`)?.scrollIntoView({ block: 'nearest' })
    }
  }
  const open = (id: string | undefined) => id && void navigate({ to: '/incidents/$id', params: { id } })
  const create = () =>
    textDialog({
      title: 'New incident',
      label: 'Title',
      submitLabel: 'Open incident',
      save: async (title) => {
        const incident = await api.post<Incident>('/incidents', { title, severity: 'medium', alert_ids: [] })
        void client.invalidateQueries({ queryKey: ['incidents'] })
        open(incident.id)
      },
    })
  useKeys('Incidents', [
    { keys: 'j', label: 'Next incident', run: () => move(1) },
    { keys: 'ArrowDown', label: 'Next', quiet: true, run: () => move(1) },
    { keys: 'k', label: 'Previous incident', run: () => move(-1) },
    { keys: 'ArrowUp', label: 'Previous', quiet: true, run: () => move(-1) },
    { keys: 'Enter', label: 'Open', run: () => open(rows[at]?.id) },
    { keys: 'o', label: 'Open', quiet: true, run: () => open(rows[at]?.id) },
    { keys: 'i', label: 'New incident', run: create },
  ])

  return (
    <div className="work">
      <header className="work-head">
        <h1>Incidents</h1>
        <span className="muted tabular" aria-live="polite">
          {query.data ? plural(total, 'incident') : ''}
        </span>
        <div className="filters" role="group" aria-label="Filters">
          <FilterText label="Filter incidents by text" placeholder="Filter by text" />
          <Menu
            label="Filter by status"
            className={`button filter ${search.status ? 'filter-on' : ''}`}
            button={`Status: ${!search.status ? 'open' : search.status === 'all' ? 'any' : search.status.split(',').join(', ')}`}
            items={[
              { label: 'Open', checked: !search.status, run: () => set({ status: null }, { push: true }) },
              {
                label: 'Any',
                checked: search.status === 'all',
                run: () => set({ status: 'all' }, { push: true }),
              },
              ...STATUSES.map((s, i) => ({
                label: <Status status={s} />,
                separated: i === 0,
                checked: search.status === s,
                run: () => set({ status: s }, { push: true }),
              })),
            ]}
          />
          <Menu
            label="Filter by severity"
            className={`button filter ${search.severity ? 'filter-on' : ''}`}
            button={`Severity: ${search.severity ?? 'any'}`}
            items={[
              { label: 'Any', checked: !search.severity, run: () => set({ severity: null }, { push: true }) },
              ...SEVERITIES.map((level) => ({
                label: <Severity level={level} />,
                checked: search.severity === level,
                run: () => set({ severity: level }, { push: true }),
              })),
            ]}
          />
          <Menu
            label="Order of the list"
            className="button filter"
            button={`Order: ${SORTS.find(([key]) => key === (search.sort ?? '-last_time'))?.[1] ?? 'latest'}`}
            items={SORTS.map(([key, word]) => ({
              label: word,
              checked: key === (search.sort ?? '-last_time'),
              run: () => set({ sort: key === '-last_time' ? null : key }, { push: true }),
            }))}
          />
          <Menu
            label="Filter by clock"
            className={`button filter ${search.clock ? 'filter-on' : ''}`}
            button={`Clock: ${search.clock ? CLOCK_FILTER[search.clock] : 'any'}`}
            items={[
              { label: 'Any', checked: !search.clock, run: () => set({ clock: null }, { push: true }) },
              ...Object.entries(CLOCK_FILTER).map(([clock, label]) => ({
                label,
                checked: search.clock === clock,
                run: () => set({ clock }, { push: true }),
              })),
            ]}
          />
          {(search.dfrom || search.verdict || search.reached) && (
            <button
              type="button"
              className="button filter filter-on"
              onClick={() => set({ dfrom: null, dto: null, verdict: null, reached: null }, { push: true })}
            >
              From performance ×
            </button>
          )}
          <span className="spacer" />
          <button type="button" className="button" onClick={create}>
            New incident <Kbd keys="i" />
          </button>
        </div>
      </header>
      <div className="scroll">
        {query.error && !query.data ? (
          <Problem what="Incidents did not load" error={query.error} retry={() => void query.refetch()} />
        ) : !query.data ? (
          <SkeletonRows rows={12} height={40} />
        ) : rows.length === 0 ? (
          <Empty title="No incident here">
            Alerts that share entities become one incident by themselves; or select alerts in the queue and
            press m.
          </Empty>
        ) : (
          <table className="table table-rows">
            <thead>
              <tr>
                <th scope="col">No.</th>
                <th scope="col">Severity</th>
                <th scope="col">Risk</th>
                <th scope="col">Incident</th>
                <th scope="col">Status</th>
                <th scope="col" className="number">
                  Alerts
                </th>
                <th scope="col">Entities</th>
                <th scope="col" className="wide-only">
                  Tactics
                </th>
                <th scope="col">Clock</th>
                <th scope="col">Assignee</th>
                <th scope="col" className="wide-only">
                  First
                </th>
                <th scope="col">Last</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((incident) => (
                <Row key={incident.id} incident={incident} isActive={incident.id === search.at} />
              ))}
            </tbody>
          </table>
        )}
        {query.hasNextPage && (
          <button type="button" className="button more" onClick={() => void query.fetchNextPage()}>
            Show more
          </button>
        )}
      </div>
    </div>
  )
}

function Row({ incident, isActive }: { incident: Incident; isActive: boolean }) {
  const navigate = useNavigate()
  const { data: levels } = useQuery(serviceLevelsQuery)
  const now = useNow()
  const open = () => void navigate({ to: '/incidents/$id', params: { id: incident.id } })
  return (
    <tr id={`incident-${incident.id}`} data-active={isActive} data-id={incident.id} onClick={open}>
      <td className="tabular muted">#{incident.number}</td>
      <td>
        <Severity level={incident.severity} />
      </td>
      <td>
        <Risk score={incident.risk} />
      </td>
      <td className="cell-wide">
        <a
          href={`/incidents/${incident.id}`}
          className="strong"
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey) event.stopPropagation()
            else event.preventDefault()
          }}
        >
          {visible(incident.title)}
        </a>
      </td>
      <td>
        <Status status={incident.status} verdict={incident.verdict} />
      </td>
      <td className="number">{count(incident.alert_count)}</td>
      <td>
        <Entities items={incident.entities} max={2} />
      </td>
      <td className="muted small wide-only">
        {incident.tactics.slice(0, 2).map(tacticWord).join(', ')}
        {incident.tactics.length > 2 && ` +${incident.tactics.length - 2}`}
      </td>
      <td>
        <ClockMark clock={incidentClock(incident, levels, now)} />
      </td>
      <td>{incident.assignee ? visible(incident.assignee) : <span className="faint">—</span>}</td>
      <td className="wide-only">
        <Time iso={incident.first_time} show="short" />
      </td>
      <td className="muted">
        <Ago iso={incident.last_time} />
      </td>
    </tr>
  )
}
