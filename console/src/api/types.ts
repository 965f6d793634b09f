/**
 * Names for the wire types of `/api/v1`. They are generated from the server's OpenAPI file
 * (`npm run generate`); only what that file cannot say is written by hand here.
 */
import type { components } from './schema'

type Schemas = components['schemas']

export type Severity = Schemas['Severity']
export type AlertStatus = Schemas['AlertStatus']
export type IncidentStatus = Schemas['IncidentStatus']
export type Verdict = Schemas['Verdict']
export type Role = Schemas['Role']

export interface ListOf<T> {
  items: T[]
  next?: string | null
  /** Exact count, on lists that have one. */
  total?: number
}

export type Session = Schemas['SessionInfo']
export type Entity = Schemas['Entity']
export type Alert = Schemas['Alert']
export type Reason = Schemas['MatchedField']
export type SocEvent = Schemas['Event']
export type HistoryEntry = Schemas['HistoryEntry']
export type Judgement = Schemas['Judgement']
export type AlertDetail = Schemas['AlertDetail']
export type ProcessNode = Schemas['ProcessNode']
export type AlertContext = Schemas['AlertContext']
export type Incident = Schemas['Incident']
export type IncidentDetail = Schemas['IncidentDetail']
export type IncidentAlert = Schemas['IncidentAlert']
export type RiskPart = Schemas['RiskPart']
export type Touch = Schemas['Touch']
export type SimilarIncident = Schemas['SimilarIncident']
export type Mention = Schemas['Mention']
export type IncidentContext = Schemas['IncidentContext']
export type TimelineEntry = Schemas['TimelineEntry']
export type FieldStat = Schemas['FieldSummary']
export type Bucket = Schemas['HistogramBucket']
export type SearchResult = Schemas['SearchResult']
export type SavedSearch = Schemas['SavedSearch']
export type NewSearch = Schemas['NewSearch']
export type SearchSchedule = Schemas['SearchSchedule']
export type SearchPart = Schemas['SearchPart']
export type SearchEnd = Schemas['SearchEnd']
export type LimitCut = Schemas['LimitCut']
export type FieldsResult = Schemas['FieldsResult']
export type Completion = Schemas['Completion']
export type Completions = Schemas['Completions']
export type FieldInfo = Schemas['FieldInfo']
export type LedgerRow = Schemas['LedgerEntry']
export type SourceRow = Schemas['SourceInfo']
export type IndicatorListRow = Schemas['IndicatorList']
export type RuleRow = Schemas['RuleInfo']
export type RefusedRule = Schemas['RefusedRule']
export type Overview = Schemas['Overview']
export type ServerStatus = Schemas['Status']
export type UserRow = Schemas['User']
export type TokenRow = Schemas['Token']
export type SessionRow = Schemas['SessionRow']
export type RulePageData = Schemas['RulePage']
export type RuleText = Schemas['RuleText']
export type RuleVersionRow = Schemas['RuleVersionRow']
export type RuleLiveness = Schemas['RuleLiveness']
export type RuleReload = Schemas['RuleReload']
export type Canary = Schemas['Canary']
export type BacktestReport = Schemas['BacktestReport']
export type ConditionOp = Schemas['ConditionOp']
export type DayWindow = Schemas['DayWindow']
export type Threshold = Schemas['Threshold']
export type SuppressionPreview = Schemas['SuppressionPreview']
export type SuppressionCondition = Schemas['Condition']
export type Suppression = Schemas['Suppression']
export type AuditEntry = Schemas['AuditRow']
export type Storage = Schemas['Storage']
export type StorageUsage = Schemas['StorageUsage']
export type StorageShare = Schemas['StorageShare']
export type StorageTier = Schemas['StorageTier']
export type Retention = Schemas['Retention']
export type RetentionRule = Schemas['RetentionRule']
export type LegalHold = Schemas['LegalHold']
export type Erasure = Schemas['Erasure']
export type ErasureCount = Schemas['ErasureCount']
export type BulkResult = Schemas['BulkResult']

/** The `rules` line of the live stream. */
export interface RulesNotice {
  action: string
  text: string
  needs_attention: boolean
}

/** The `ledger` line of the live stream, which OpenAPI does not describe. */
export interface LedgerTick {
  received: number
  stored: number
  lag_ms: number
}

export type ClockKind = Schemas['ClockKind']
export type ClockState = Schemas['ClockState']
export type ClockFace = Schemas['ClockFace']
export type ServiceLevels = Schemas['ServiceLevels']
export type EscalationPolicy = Schemas['EscalationPolicy']
export type EscalationLevel = Schemas['EscalationLevel']
export type Recipient = Schemas['Recipient']
export type Roster = Schemas['Roster']
export type Turn = Schemas['Turn']
export type Contact = Schemas['Contact']
export type Performance = Schemas['Performance']
export type TimesFigure = Schemas['TimesFigure']
export type TimesFigures = Schemas['TimesFigures']
export type HandoverRow = Schemas['HandoverRow']
export type HandoverDetail = Schemas['HandoverDetail']
export type HandoverSnapshot = Schemas['HandoverSnapshot']
export type HandoverIncidents = Schemas['HandoverIncidents']
export type HandoverWork = Schemas['HandoverWork']
export type HandoverTrouble = Schemas['HandoverTrouble']

/** The `duty` line of the live stream. */
export interface DutyNotice {
  recipients: string[]
  subjects: string[]
  text: string
}

export type Action = Schemas['Action']
export type ActionKind = Schemas['ActionKind']
export type ActionPolicy = Schemas['ActionPolicy']
export type ActionRecord = Schemas['ActionRecord']
export type Approvals = Schemas['Approvals']
export type Agent = Omit<Schemas['Agent'], 'identity' | 'health'> & {
  identity: HostIdentity | null
  health: AgentHealth | null
}
export type AgentGroup = Schemas['AgentGroup']
export type AgentFile = Schemas['AgentFile']
export type Enrolment = Schemas['Enrolment']
export type Fleet = Schemas['Fleet']
export type MappingPacks = Schemas['MappingPacks']
export type EnrichmentFile = Schemas['EnrichmentFile']
export type ForwardState = Schemas['ForwardState']
export type MadeEnrolment = Schemas['MadeEnrolment']
export type Connector = Schemas['Connector']
export type ConnectorKind = Schemas['ConnectorKind']
export type PlaybookFault = Schemas['PlaybookFault']
export type PlaybookRow = Schemas['PlaybookRow']
export type Playbook = Schemas['Playbook']
export type PlaybookRun = Schemas['Run']
export type PlaybookRunRow = Schemas['RunRow']
export type Rehearsal = Schemas['Rehearsal']
export type RunStep = Schemas['RunStep']
export type Trial = Schemas['Trial']

/** What a host says of itself to its agent. */
export interface HostIdentity {
  name: string
  machine: string
  boot: string
  addresses: string[]
  os: string
  os_name: string
  kernel: string
  arch: string
}

/** How an agent says it is. */
export interface AgentHealth {
  cpu_percent: number
  memory_bytes: number
  queue_records: number
  queue_bytes: number
  dropped: Record<string, number>
  collectors: { name: string; records: number; trouble: string | null }[]
  is_isolated: boolean
  undo_at_ms: Record<string, number>
  /** What it is doing: key of the action, and how far it is. An older agent does not say. */
  acting?: Record<string, string>
}
