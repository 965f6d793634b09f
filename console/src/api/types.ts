/** Wire types of `/api/v1`. Words are those of DESIGN.md; times are RFC 3339 UTC. */

export type Severity = 'informational' | 'low' | 'medium' | 'high' | 'critical'
export type AlertStatus = 'new' | 'acknowledged' | 'in_progress' | 'closed'
export type IncidentStatus = 'new' | 'in_progress' | 'contained' | 'resolved' | 'closed'
export type Verdict = 'true_positive' | 'benign_positive' | 'false_positive' | 'inconclusive'
export type Role = 'viewer' | 'analyst' | 'lead' | 'admin'

export interface ListOf<T> {
  items: T[]
  next: string | null
  total?: number
}

export interface Session {
  user: { id: string; name: string; role: Role; tenant: string }
  permissions: string[]
  expires_at: string
}

export interface Entity {
  kind: string
  value: string
  role?: string | null
}

export interface Alert {
  id: string
  rule_id: string
  rule_title: string
  title: string
  severity: Severity
  status: AlertStatus
  time: string
  created_at: string
  updated_at: string
  incident_id: string | null
  assignee: string | null
  verdict: Verdict | null
  count: number
  first_time: string
  last_time: string
  source: string
  summary: string
  entities: Entity[]
  tactics: string[]
  techniques: string[]
  version: number
}

export interface Reason {
  field: string
  value: string
  pattern?: string | null
  selection?: string | null
}

export interface Anomaly {
  code: string
  detail?: string | null
}

export interface SocEvent {
  id: string
  time: string
  received_at: string
  source: string
  class_uid: number
  class_name: string
  product?: string | null
  message?: string | null
  raw: string
  anomalies: Anomaly[]
  fields: Record<string, unknown>
}

export interface HistoryEntry {
  at: string
  actor: string
  action: string
  detail?: string | null
}

export interface Judgement {
  alert_id: string
  verdict: Verdict
  reason?: string | null
  actor: string
  at: string
}

export interface RuleDetail {
  id: string
  title: string
  description?: string | null
  level?: string | null
  version?: string | number | null
  yaml?: string | null
  references?: string[]
  falsepositives?: string[]
}

export interface AlertDetail extends Alert {
  reasons: Reason[]
  event: SocEvent | null
  rule: RuleDetail | null
  attachment: { incident_id: string; reasons: string[] } | null
  history: HistoryEntry[]
  judgements: Judgement[]
  judgement_counts: Partial<Record<Verdict, number>>
  event_ids: string[]
}

export interface ProcessNode {
  id: string
  parent_id: string | null
  name: string
  cmd_line?: string | null
  user?: string | null
  time?: string | null
  is_alerted?: boolean
  event_id?: string | null
}

export interface AlertContext {
  events: SocEvent[]
  total: number
  capped: boolean
  process_tree: ProcessNode[]
  same_rule: Alert[]
}

export interface Incident {
  id: string
  number: number
  title: string
  severity: Severity
  status: IncidentStatus
  verdict: Verdict | null
  assignee: string | null
  created_at: string
  updated_at: string
  first_time: string
  last_time: string
  /** Set when it was merged into another and lives on there. */
  merged_into?: string | null
  alert_count: number
  alerts: string[]
  entities: Entity[]
  tactics: string[]
  techniques: string[]
  version: number
}

export interface TimelineEntry {
  at: string
  kind: 'alert' | 'note' | 'status' | 'task' | 'action'
  title: string
  detail?: string | null
  severity?: Severity | null
  ref_id?: string | null
  actor?: string | null
}

export interface Task {
  id: string
  title: string
  status: 'open' | 'done'
  assignee?: string | null
  created_at?: string
}

export interface Note {
  id: string
  text: string
  author: string
  created_at: string
}

export interface Observable {
  id: string
  kind: string
  value: string
  note: string | null
  added_by: string
  added_at: string
}

export interface IncidentDetail extends Incident {
  summary: string | null
  alert_rows: (Alert & { attachment_reasons?: string[] })[]
  timeline: TimelineEntry[]
  tasks: Task[]
  notes: Note[]
  observables: Observable[]
  history: HistoryEntry[]
  clocks: {
    detected_at: string | null
    acknowledged_at: string | null
    contained_at: string | null
    resolved_at: string | null
  }
}

export interface FieldStat {
  name: string
  distinct: number
  top: { value: string; count: number }[]
}

export interface Bucket {
  start: string
  count: number
}

export interface SearchResult {
  events: SocEvent[]
  total: number
  capped: boolean
  histogram: Bucket[]
  bucket_seconds: number
  took_ms: number
  fields: FieldStat[]
}

export interface FieldInfo {
  name: string
  type: string
  description?: string | null
  aliases?: string[]
}

export interface LedgerRow {
  source: string
  hour: string
  received: number
  decoded: number
  undecoded: number
  stored: number
  evaluated: number
  dropped: Record<string, number>
}

export interface SourceRow {
  name: string
  kind: string
  first_seen: string | null
  last_seen: string | null
  events_last_hour: number
  events_total: number
  understood_share: number
  anomalies: { code: string; count: number; example?: string | null }[]
  dropped: Record<string, number>
  rate: number[]
  products: string[]
}

export interface RuleRow {
  id: string
  title: string
  level: string
  status?: string | null
  logsource?: string | Record<string, string | null> | null
  tags: string[]
  path?: string | null
  version?: string | number | null
  enabled: boolean
  findings_last_7d: number
  last_fired: string | null
}

export interface RefusedRule {
  path: string
  line?: number | null
  reason: string
}

export interface Overview {
  alerts_open: number
  alerts_by_severity: Partial<Record<Severity, number>>
  incidents_open: number
  events_last_24h: number
  events_rate: Bucket[]
  top_rules: { rule_id: string; title: string; count: number }[]
  ingest: { lag_ms: number; journal_pending: number }
  tactics: { tactic: string; alerts: number }[]
  mean_times: {
    acknowledge_s: number | null
    contain_s: number | null
    resolve_s: number | null
  } | null
}

export interface ServerStatus {
  version: string
  uptime_s: number
  listeners: { kind: string; address: string }[]
  lake: { events: number; files: number; bytes: number }
  rules: { loaded: number; refused: number }
}

export interface UserRow {
  id: string
  name: string
  role: Role
  disabled: boolean
  created_at: string
  last_sign_in_at: string | null
}

export interface TokenRow {
  id: string
  name: string
  scope: string[]
  created_at?: string
  expires_at?: string | null
  last_used_at?: string | null
}

export interface SessionRow {
  id: string
  created_at?: string
  last_seen_at?: string | null
  expires_at?: string
  address?: string | null
  user_agent?: string | null
  current?: boolean
}

export interface SuppressionCondition {
  field: string
  value: string
}

export interface Suppression {
  id: string
  rule_id: string | null
  conditions: SuppressionCondition[]
  reason: string
  created_by: string
  created_at: string
  expires_at: string
  /** Findings held back. */
  count: number
  active: boolean
}

export interface AuditEntry {
  id: string
  at: string
  actor: string
  action: string
  target: string | null
  detail?: unknown
}

export interface BulkResult {
  done: string[]
  failed: { id: string; reason: string }[]
  incident_id?: string | null
}

export interface LedgerTick {
  received: number
  stored: number
  lag_ms: number
}
