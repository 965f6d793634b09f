import { X } from 'lucide-react'
import type { AlertStatus } from '../../api/types'
import { useSession } from '../../frame/session'
import { ALERT_STATUS_WORD, SEVERITIES } from '../../lib/format'
import { queueColumnsStore } from '../../lib/settings'
import { truncateMiddle, visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { FilterText } from '../../ui/FilterText'
import { Menu } from '../../ui/Menu'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { COLUMNS } from './columns'
import { listOf, OPEN, statusesOf } from './filters'

const STATUSES = Object.keys(ALERT_STATUS_WORD) as AlertStatus[]

function toggled(list: readonly string[], item: string): string[] {
  return list.includes(item) ? list.filter((x) => x !== item) : [...list, item]
}

export function QueueFilters() {
  const [search, set] = useUrlState()
  const me = useSession().user.name
  const hidden = queueColumnsStore.use()
  const statuses = statusesOf(search)
  const severities = listOf(search.severity)
  const isOpenOnly = statuses.join() === OPEN.join()

  const setStatuses = (next: string[]) => {
    const ordered = STATUSES.filter((s) => next.includes(s))
    const isAll = ordered.length === 0 || ordered.length === STATUSES.length
    set({ status: isAll ? 'all' : ordered.join() === OPEN.join() ? null : ordered.join(',') }, { push: true })
  }
  const assigneeText =
    search.assignee === me
      ? 'Mine'
      : search.assignee === 'none'
        ? 'Unassigned'
        : (search.assignee ?? 'Anyone')
  return (
    <div className="filters" role="group" aria-label="Filters">
      <FilterText label="Filter alerts by text" placeholder="Filter by text" />
      <Menu
        label="Filter by status"
        className={`button filter ${isOpenOnly ? '' : 'filter-on'}`}
        keepOpen
        button={
          <>
            Status:{' '}
            {statuses.length === 0
              ? 'any'
              : isOpenOnly
                ? 'open'
                : statuses.map((s) => ALERT_STATUS_WORD[s as AlertStatus] ?? s).join(', ')}
          </>
        }
        items={STATUSES.map((status) => ({
          label: <Status status={status} />,
          checked: statuses.length === 0 || statuses.includes(status),
          run: () => setStatuses(toggled(statuses.length === 0 ? STATUSES : statuses, status)),
        }))}
      />
      <Menu
        label="Filter by clock"
        className={`button filter ${search.clock ? 'filter-on' : ''}`}
        button={`Clock: ${search.clock ? search.clock.replace('_', ' ') : 'any'}`}
        items={[
          { label: 'Any', checked: !search.clock, run: () => set({ clock: null }, { push: true }) },
          {
            label: 'At risk or breached',
            checked: search.clock === 'at_risk',
            run: () => set({ clock: 'at_risk' }, { push: true }),
          },
          {
            label: 'Breached',
            checked: search.clock === 'breached',
            run: () => set({ clock: 'breached' }, { push: true }),
          },
        ]}
      />
      <Menu
        label="Filter by severity"
        className={`button filter ${severities.length > 0 ? 'filter-on' : ''}`}
        keepOpen
        button={<>Severity: {severities.length === 0 ? 'any' : severities.join(', ')}</>}
        items={SEVERITIES.map((level) => ({
          label: <Severity level={level} />,
          checked: severities.includes(level),
          run: () => set({ severity: toggled(severities, level).join(',') }, { push: true }),
        }))}
      />
      <Menu
        label="Filter by assignee"
        className={`button filter ${search.assignee ? 'filter-on' : ''}`}
        button={<>Assignee: {assigneeText.toLowerCase()}</>}
        items={[
          { label: 'Anyone', checked: !search.assignee, run: () => set({ assignee: null }, { push: true }) },
          {
            label: 'Mine',
            checked: search.assignee === me,
            run: () => set({ assignee: me }, { push: true }),
          },
          {
            label: 'Unassigned',
            checked: search.assignee === 'none',
            run: () => set({ assignee: 'none' }, { push: true }),
          },
        ]}
      />
      {(['entity', 'rule_id', 'incident_id'] as const).map((key) =>
        search[key] ? (
          <button
            key={key}
            type="button"
            className="button filter filter-on"
            title="Remove this filter"
            onClick={() => set({ [key]: null }, { push: true })}
          >
            {key.replace('_id', '')}:{' '}
            <span className="mono">{truncateMiddle(visible(search[key] ?? ''), 24)}</span>
            <X size={12} aria-label="remove" />
          </button>
        ) : null,
      )}
      <span className="spacer" />
      <Menu
        label="Choose columns"
        align="end"
        keepOpen
        className="button filter"
        button="Columns"
        items={COLUMNS.filter((c) => c.id !== 'title').map((column) => ({
          label: column.label,
          checked: !hidden.includes(column.id),
          run: () => queueColumnsStore.set(toggled(hidden, column.id)),
        }))}
      />
    </div>
  )
}
