/** Query keys and fetchers: one name per question, so that live updates know what to refresh. */
import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { ApiError, api, type Query } from './client'
import { wholeBounds } from './rows'
import { searchEvents } from './search'
import type {
  Action,
  ActionPolicy,
  ActionRecord,
  Agent,
  AgentFile,
  Alert,
  AlertContext,
  AlertDetail,
  Approvals,
  AuditEntry,
  Connector,
  Contact,
  EnrichmentFile,
  Enrolment,
  EscalationPolicy,
  FieldInfo,
  FieldsResult,
  Fleet,
  ForwardState,
  HandoverDetail,
  HandoverRow,
  HandoverSnapshot,
  Incident,
  IncidentContext,
  IncidentDetail,
  IndicatorListRow,
  LedgerRow,
  ListOf,
  MappingPacks,
  Mention,
  Overview,
  Performance,
  Playbook,
  PlaybookRow,
  PlaybookRun,
  PlaybookRunRow,
  RefusedRule,
  Roster,
  RuleLiveness,
  RulePageData,
  RuleRow,
  RuleText,
  SavedSearch,
  SearchResult,
  ServerStatus,
  ServiceLevels,
  Session,
  SessionRow,
  SimilarIncident,
  SocEvent,
  SourceRow,
  Storage,
  Suppression,
  TokenRow,
  UserRow,
} from './types'

export interface SignInState {
  session: Session | null
  setupRequired: boolean
}

export const sessionQuery = queryOptions({
  queryKey: ['session'],
  staleTime: 60_000,
  queryFn: async (): Promise<SignInState> => {
    try {
      return { session: await api.get<Session>('/session'), setupRequired: false }
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        return { session: null, setupRequired: error.problem.setup_required === true }
      }
      throw error
    }
  },
})

/** The first rows must be fast; those after them few calls. */
const FIRST_ROWS = 200
const NEXT_ROWS = 1000

export const alertsQuery = (filters: Query) =>
  infiniteQueryOptions({
    queryKey: ['alerts', filters],
    queryFn: ({ pageParam, signal }) =>
      api.get<ListOf<Alert>>(
        '/alerts',
        { limit: pageParam ? NEXT_ROWS : FIRST_ROWS, ...filters, cursor: pageParam },
        signal,
      ),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
  })

export const alertQuery = (id: string) =>
  queryOptions({ queryKey: ['alert', id], queryFn: () => api.get<AlertDetail>(`/alerts/${id}`) })

export const alertContextQuery = (id: string) =>
  queryOptions({
    queryKey: ['alert', id, 'context'],
    queryFn: () => api.get<AlertContext>(`/alerts/${id}/context`, { minutes: 15 }),
    staleTime: 60_000,
  })

export const incidentsQuery = (filters: Query) =>
  infiniteQueryOptions({
    queryKey: ['incidents', filters],
    queryFn: ({ pageParam, signal }) =>
      api.get<ListOf<Incident>>('/incidents', { ...filters, cursor: pageParam, limit: 100 }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (last) => last.next,
    placeholderData: keepPreviousData,
  })

export const incidentQuery = (id: string) =>
  queryOptions({ queryKey: ['incident', id], queryFn: () => api.get<IncidentDetail>(`/incidents/${id}`) })

export const similarIncidentsQuery = (id: string) =>
  queryOptions({
    queryKey: ['similar', id],
    queryFn: () => api.get<ListOf<SimilarIncident>>(`/incidents/${id}/similar`),
    staleTime: 60_000,
  })

export const incidentContextQuery = (id: string) =>
  queryOptions({
    queryKey: ['incident-context', id],
    queryFn: () => api.get<IncidentContext>(`/incidents/${id}/context`),
    staleTime: 60_000,
  })

export const mentionsQuery = queryOptions({
  queryKey: ['mentions'],
  queryFn: () => api.get<ListOf<Mention>>('/mentions'),
  staleTime: 60_000,
})

const HOUR_MS = 3_600_000

export interface SearchBody {
  query: string
  /** Without bounds: all time. */
  from?: string
  to?: string
  limit: number
  order: 'asc' | 'desc'
}

export const searchQuery = (body: SearchBody, key: readonly unknown[]) =>
  queryOptions({
    queryKey: ['search', ...key],
    queryFn: ({ signal }) => searchEvents(body, key.join('\n'), signal),
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
  })

/** What the fields of all events that match hold; asked for once the events are there. */
export const searchFieldsQuery = (body: SearchBody, key: readonly unknown[]) =>
  queryOptions({
    queryKey: ['search-fields', ...key],
    queryFn: ({ signal }) => {
      const { from, to } = wholeBounds(body)
      return api.post<FieldsResult>('/search/fields', { query: body.query, from, to }, signal)
    },
    retry: false,
    staleTime: 30_000,
  })

export const eventQuery = (id: string) =>
  queryOptions({
    queryKey: ['event', id],
    queryFn: () => api.get<SocEvent>(`/events/${encodeURIComponent(id)}`),
    staleTime: Number.POSITIVE_INFINITY,
  })

const list = <T>(key: string, path: string, query?: Query) =>
  queryOptions({ queryKey: [key, query ?? {}], queryFn: () => api.get<ListOf<T>>(path, query) })

export const fieldsQuery = { ...list<FieldInfo>('fields', '/fields'), staleTime: 300_000 }
export const ledgerQuery = (query: Query) => list<LedgerRow>('ledger', '/ledger', query)
export const sourcesQuery = { ...list<SourceRow>('sources', '/sources'), refetchInterval: 10_000 }
export const indicatorsQuery = {
  ...list<IndicatorListRow>('indicators', '/indicators'),
  refetchInterval: 10_000,
}
/** A deletion that runs is looked at often; otherwise the lake changes slowly. */
const RUNNING_MS = 2_000
const STORAGE_MS = 30_000
export const storageQuery = queryOptions({
  queryKey: ['storage'],
  queryFn: () => api.get<Storage>('/storage'),
  refetchInterval: (query) =>
    query.state.data?.erasures.some((one) => one.state === 'running') ? RUNNING_MS : STORAGE_MS,
})
export const rulesQuery = (q: string) => ({
  ...list<RuleRow>('rules', '/rules', { q }),
  placeholderData: keepPreviousData,
})
export const refusedRulesQuery = list<RefusedRule>('rules-refused', '/rules/refused')
export const ruleQuery = (id: string) =>
  queryOptions({
    queryKey: ['rule', id],
    queryFn: () => api.get<RulePageData>(`/rules/${encodeURIComponent(id)}`),
  })
export const ruleTextQuery = (id: string, version: string) =>
  queryOptions({
    queryKey: ['rule-text', id, version],
    queryFn: () =>
      api.get<RuleText>(`/rules/${encodeURIComponent(id)}/versions/${encodeURIComponent(version)}`),
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  })
export const searchesQuery = { ...list<SavedSearch>('searches', '/searches'), refetchInterval: 30_000 }
export const usersQuery = list<UserRow>('users', '/users')
export const tokensQuery = list<TokenRow>('tokens', '/tokens')
export const sessionsQuery = list<SessionRow>('sessions', '/sessions')
export const suppressionsQuery = list<Suppression>('suppressions', '/suppressions')

export const auditQuery = infiniteQueryOptions({
  queryKey: ['audit'],
  queryFn: ({ pageParam }) => api.get<ListOf<AuditEntry>>('/audit', { cursor: pageParam, limit: 100 }),
  initialPageParam: null as string | null,
  getNextPageParam: (last) => last.next,
})

export const overviewQuery = queryOptions({
  queryKey: ['overview'],
  queryFn: () => api.get<Overview>('/overview'),
  refetchInterval: 10_000,
})

export const statusQuery = queryOptions({
  queryKey: ['status'],
  queryFn: () => api.get<ServerStatus>('/status'),
})

export const approvalsQuery = queryOptions({
  queryKey: ['approvals'],
  refetchInterval: 15_000,
  queryFn: () => api.get<Approvals>('/approvals'),
})

export const policiesQuery = queryOptions({
  queryKey: ['action-policies'],
  staleTime: 60_000,
  queryFn: () => api.get<ListOf<ActionPolicy>>('/actions/policies'),
})

export const fleetQuery = queryOptions({
  queryKey: ['fleet'],
  refetchInterval: 10_000,
  queryFn: () => api.get<Fleet>('/fleet'),
})

export interface AgentsFilter {
  host?: string
  group?: string
  status?: string
}

export const agentsQuery = (filter: AgentsFilter) =>
  infiniteQueryOptions({
    queryKey: ['agents', filter],
    refetchInterval: 10_000,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      api.get<ListOf<Agent>>('/fleet/agents', { ...filter, cursor: pageParam, limit: 200 }),
    getNextPageParam: (last) => last.next ?? undefined,
  })

export const agentQuery = (id: string) =>
  queryOptions({
    queryKey: ['agent', id],
    refetchInterval: 10_000,
    queryFn: () => api.get<Agent>(`/fleet/agents/${encodeURIComponent(id)}`),
  })

export const enrolmentsQuery = queryOptions({
  queryKey: ['enrolments'],
  queryFn: () => api.get<ListOf<Enrolment>>('/fleet/enrolments'),
})

export const enrichmentQuery = {
  ...list<EnrichmentFile>('enrichment', '/enrichment'),
  refetchInterval: 10_000,
}
export const forwardsQuery = { ...list<ForwardState>('forwards', '/forwards'), refetchInterval: 10_000 }

/** The newest events that something was added to. */
export const enrichedEventsQuery = queryOptions({
  queryKey: ['enriched-events'],
  queryFn: ({ signal }) => {
    const now = Date.now()
    const body = {
      query: 'enrichments:*',
      from: new Date(now - 24 * HOUR_MS).toISOString(),
      to: new Date(now + HOUR_MS).toISOString(),
      limit: 200,
      order: 'desc',
    }
    return api.post<SearchResult>('/search', body, signal)
  },
  staleTime: 30_000,
  retry: false,
})

export const livenessQuery = queryOptions({
  queryKey: ['rules-liveness'],
  queryFn: () => api.get<ListOf<RuleLiveness>>('/rules/liveness'),
  staleTime: 60_000,
})

export const mappingsQuery = queryOptions({
  queryKey: ['mappings'],
  queryFn: () => api.get<MappingPacks>('/mappings'),
  staleTime: 60_000,
})

export const agentFilesQuery = (action: string) =>
  queryOptions({
    queryKey: ['agent-files', action],
    queryFn: () => api.get<ListOf<AgentFile>>(`/actions/${encodeURIComponent(action)}/files`),
  })

export const connectorsQuery = queryOptions({
  queryKey: ['connectors'],
  queryFn: () => api.get<ListOf<Connector>>('/connectors'),
})

export const actionsQuery = (incident: string | null) =>
  queryOptions({
    queryKey: ['actions', incident],
    queryFn: () => api.get<ListOf<Action>>('/actions', { incident_id: incident, limit: 200 }),
  })

export const actionRecordQuery = (id: string) =>
  queryOptions({
    queryKey: ['action-record', id],
    queryFn: () => api.get<ActionRecord>(`/actions/${encodeURIComponent(id)}/record`),
  })

export const playbooksQuery = queryOptions({
  queryKey: ['playbooks'],
  queryFn: () => api.get<ListOf<PlaybookRow>>('/playbooks'),
})

export const playbookQuery = (id: string) =>
  queryOptions({
    queryKey: ['playbook', id],
    queryFn: () => api.get<Playbook>(`/playbooks/${encodeURIComponent(id)}`),
  })

export const runsQuery = (incident: string | null) =>
  queryOptions({
    queryKey: ['runs', incident],
    queryFn: () => api.get<ListOf<PlaybookRunRow>>('/playbook-runs', { incident_id: incident, limit: 200 }),
  })

export const runQuery = (id: string) =>
  queryOptions({
    queryKey: ['run', id],
    queryFn: () => api.get<PlaybookRun>(`/playbook-runs/${encodeURIComponent(id)}`),
  })

export const serviceLevelsQuery = queryOptions({
  queryKey: ['service-levels'],
  queryFn: () => api.get<ServiceLevels>('/service-levels'),
  staleTime: 60_000,
})

export const escalationQuery = queryOptions({
  queryKey: ['escalation'],
  queryFn: () => api.get<EscalationPolicy>('/escalation'),
})

export const onCallQuery = queryOptions({
  queryKey: ['on-call'],
  queryFn: () => api.get<ListOf<Roster>>('/on-call'),
  refetchInterval: 60_000,
})

export const contactsQuery = list<Contact>('contacts', '/contacts')

export const performanceQuery = (query: Query) =>
  queryOptions({
    queryKey: ['performance', query],
    queryFn: () => api.get<Performance>('/performance', query),
    placeholderData: keepPreviousData,
  })

export const handoverDraftQuery = (hours: string) =>
  queryOptions({
    queryKey: ['handovers', 'draft', hours],
    queryFn: () => {
      const from = hours ? new Date(Date.now() - Number(hours) * HOUR_MS).toISOString() : undefined
      return api.get<HandoverSnapshot>('/handovers/draft', { from })
    },
  })

export const handoversQuery = list<HandoverRow>('handovers', '/handovers')

export const handoverQuery = (id: string) =>
  queryOptions({
    queryKey: ['handover', id],
    queryFn: () => api.get<HandoverDetail>(`/handovers/${encodeURIComponent(id)}`),
  })
