/** The queue's filters as they stand in the address, as the server wants them, and as a test on one alert. */
import type { Alert } from '../../api/types'
import type { Range } from '../../lib/time'
import { rangeBounds, rangeKey, type Search } from '../../lib/url'

export const OPEN = ['new', 'acknowledged', 'in_progress']
export const DEFAULT_SORT = '-time'

export const listOf = (text: string | undefined): string[] => (text ? text.split(',').filter(Boolean) : [])

export function statusesOf(search: Search): string[] {
  if (search.status === 'all') return []
  return search.status ? listOf(search.status) : OPEN
}

export interface QueueFilters {
  status?: string
  severity?: string
  assignee?: string
  q?: string
  entity?: string
  rule_id?: string
  incident_id?: string
  from?: string
  to?: string
  clock?: string
  sort: string
}

export function filtersOf(search: Search, range: Range): QueueFilters {
  return {
    status: statusesOf(search).join(',') || undefined,
    severity: search.severity,
    assignee: search.assignee,
    q: search.text,
    entity: search.entity,
    rule_id: search.rule_id,
    incident_id: search.incident_id,
    clock: search.clock,
    sort: search.sort ?? DEFAULT_SORT,
    ...rangeBounds(range),
  }
}

export const filtersKey = (search: Search, range: Range): string =>
  JSON.stringify([
    search.status,
    search.severity,
    search.assignee,
    search.text,
    search.entity,
    search.rule_id,
    search.incident_id,
    search.sort,
    search.clock,
    rangeKey(range),
  ])

/** Whether an alert that arrives live belongs into the list on screen. */
export function matches(alert: Alert, f: QueueFilters): boolean {
  const text = f.q?.toLowerCase()
  return (
    (!f.status || listOf(f.status).includes(alert.status)) &&
    (!f.severity || listOf(f.severity).includes(alert.severity)) &&
    (!f.assignee || (alert.assignee ?? 'none') === f.assignee) &&
    (!f.rule_id || alert.rule_id === f.rule_id) &&
    (!f.incident_id || alert.incident_id === f.incident_id) &&
    (!f.entity || alert.entities.some((e) => e.value === f.entity)) &&
    (!text || `${alert.title} ${alert.summary}`.toLowerCase().includes(text)) &&
    !f.clock &&
    (!f.from || alert.time >= f.from) &&
    (!f.to || alert.time < f.to)
  )
}
