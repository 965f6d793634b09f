/**
 * The policy of a group of agents, as the form edits it.
 *
 * Source: `Policy` in crates/watchfloor-link/src/policy.rs; ranges: `check_figures` in
 * crates/watchfloor-casework/src/fleet/groups.rs.
 */

export type ProcessEvents = 'auto' | 'proc_connector' | 'polling' | 'off'

export interface LogFile {
  path: string
  product: string | null
}

export interface IntegrityPath {
  path: string
  is_recursive: boolean
  exclude: string[]
  with_diff: boolean
}

export type ProbeValue = string | number | boolean | null | string[]
export type CheckProbe = { probe: string } & Record<string, ProbeValue>

export interface CheckDefinition {
  id: string
  title: string
  rationale: string
  remediation: string
  severity: string
  references: string[]
  all: CheckProbe[]
}

export interface ArtifactDefinition {
  description: string
  paths: string[]
  states: string[]
  file_bytes_max: number | null
}

export interface AgentPolicy {
  records_per_second: number
  cpu_percent: number
  memory_mib: number
  spool_mib: number
  scan_file_mib: number
  log_files: LogFile[]
  journald: boolean
  processes: ProcessEvents
  integrity: IntegrityPath[]
  logins: boolean
  network: boolean
  inventory_every_s: number
  checks_every_s: number
  checks: CheckDefinition[]
  artifacts: Record<string, ArtifactDefinition>
}

export const emptyLog = (): LogFile => ({ path: '', product: null })
export const emptyIntegrity = (): IntegrityPath => ({
  path: '',
  is_recursive: true,
  exclude: [],
  with_diff: false,
})
export const emptyArtifact = (): ArtifactDefinition => ({
  description: '',
  paths: [],
  states: [],
  file_bytes_max: null,
})
export const emptyCheck = (): CheckDefinition => ({
  id: '',
  title: '',
  rationale: '',
  remediation: '',
  severity: 'medium',
  references: [],
  all: [emptyProbe('file')],
})

/** What an agent follows where a policy says nothing. */
const STANDARD: AgentPolicy = {
  records_per_second: 500,
  cpu_percent: 25,
  memory_mib: 40,
  spool_mib: 256,
  scan_file_mib: 1_024,
  log_files: ['/var/log/auth.log', '/var/log/secure', '/var/log/audit/audit.log'].map((path) => ({
    ...emptyLog(),
    path,
  })),
  journald: true,
  processes: 'auto',
  integrity: ['/etc', '/usr/bin', '/usr/sbin', '/usr/lib/systemd', '/root/.ssh'].map((path) => ({
    ...emptyIntegrity(),
    path,
  })),
  logins: true,
  network: true,
  inventory_every_s: 3_600,
  checks_every_s: 86_400,
  checks: [],
  artifacts: {},
}

export interface Figure {
  name: 'records_per_second' | 'cpu_percent' | 'memory_mib' | 'spool_mib' | 'scan_file_mib'
  label: string
  unit: string
  min: number
  max: number
  about: string
}

export const FIGURES: readonly Figure[] = [
  {
    name: 'records_per_second',
    label: 'Records',
    unit: 'a second',
    min: 1,
    max: 100_000,
    about: 'Over a minute; more wait on its disk.',
  },
  {
    name: 'cpu_percent',
    label: 'Processor',
    unit: '% of one core',
    min: 1,
    max: 100,
    about: 'It slows down above.',
  },
  {
    name: 'memory_mib',
    label: 'Memory',
    unit: 'MiB',
    min: 16,
    max: 4_096,
    about: 'It starts again above.',
  },
  {
    name: 'spool_mib',
    label: 'Disk',
    unit: 'MiB',
    min: 1,
    max: 1_048_576,
    about: 'For what waits; beyond, the oldest observations go first, counted.',
  },
  {
    name: 'scan_file_mib',
    label: 'YARA looks at',
    unit: 'MiB of a file',
    min: 16,
    max: 1_048_576,
    about: 'To the end of files up to this; of longer ones at their first 16 MiB, which the outcome says.',
  },
]

export const SPAN_MAX_S = 30 * 86_400
export const PROCESS_WORDS: readonly (readonly [ProcessEvents, string])[] = [
  ['auto', 'by the kernel where it lets us, else by looking'],
  ['proc_connector', "by the kernel's proc connector"],
  ['polling', 'by looking every two seconds; short lives are missed'],
  ['off', "not at all; auditd's log tells them"],
]
export const SEVERITY_WORDS = ['low', 'medium', 'high', 'critical'] as const
export const STATE_WORDS = [
  'processes',
  'connections',
  'users',
  'packages',
  'services',
  'modules',
  'mounts',
  'logins',
] as const

interface ProbeField {
  name: string
  label: string
  type: 'text' | 'lines' | 'flag' | 'number'
  hint?: string
  isOptional?: boolean
}

/** What a check can look at, and what it must be told for it. */
export const PROBES: Record<string, { word: string; fields: ProbeField[] }> = {
  file: {
    word: 'a file is there or not',
    fields: [
      { name: 'path', label: 'Path', type: 'text', hint: 'absolute' },
      { name: 'exists', label: 'It must be there', type: 'flag' },
    ],
  },
  mode: {
    word: 'mode and owner of a file',
    fields: [
      { name: 'path', label: 'Path', type: 'text', hint: 'absolute; passes where nothing is' },
      { name: 'forbidden', label: 'Forbidden bits', type: 'text', hint: 'octal, such as 077' },
      {
        name: 'owner',
        label: 'Owner',
        type: 'number',
        hint: 'user number; empty for anybody',
        isOptional: true,
      },
    ],
  },
  lines: {
    word: 'lines of a file',
    fields: [
      { name: 'path', label: 'Path', type: 'text', hint: 'absolute, with * and ? within names' },
      { name: 'matches', label: 'Matches', type: 'text', hint: 'regular expression; comments are no lines' },
      { name: 'expected', label: 'There must be such a line', type: 'flag' },
      { name: 'if_missing', label: 'Passes where no such file is', type: 'flag' },
    ],
  },
  setting: {
    word: 'a setting in a file',
    fields: [
      { name: 'path', label: 'Path', type: 'text', hint: 'absolute, with * and ? within names' },
      { name: 'name', label: 'Name', type: 'text', hint: 'whatever its case' },
      { name: 'allowed', label: 'Right values', type: 'lines', hint: 'one a line' },
      {
        name: 'default',
        label: 'Value where none is set',
        type: 'text',
        isOptional: true,
      },
      { name: 'first_counts', label: 'The first line counts, not the last', type: 'flag' },
    ],
  },
  sysctl: {
    word: 'a value of the kernel',
    fields: [
      { name: 'name', label: 'Name', type: 'text', hint: 'such as net.ipv4.ip_forward' },
      { name: 'allowed', label: 'Right values', type: 'lines', hint: 'one a line' },
    ],
  },
  package: {
    word: 'a package',
    fields: [
      { name: 'name', label: 'Name', type: 'text' },
      { name: 'installed', label: 'It must be installed', type: 'flag' },
    ],
  },
  module: {
    word: 'a kernel module',
    fields: [
      { name: 'name', label: 'Name', type: 'text' },
      { name: 'loaded', label: 'It must be loaded', type: 'flag' },
    ],
  },
  listening: {
    word: 'something listens on a port',
    fields: [
      { name: 'port', label: 'Port', type: 'number', hint: '0 to 65,535, on an address that others reach' },
      { name: 'expected', label: 'It must', type: 'flag' },
    ],
  },
  mount: {
    word: 'mount options of a path',
    fields: [
      { name: 'path', label: 'Mounted at', type: 'text', hint: 'fails where nothing is' },
      {
        name: 'options',
        label: 'Options that must be set',
        type: 'lines',
        hint: 'one a line, such as nodev',
      },
    ],
  },
}

export function emptyProbe(kind: string): CheckProbe {
  const blank = { text: '', lines: [], flag: false, number: null }
  const fields = PROBES[kind]?.fields ?? []
  return { probe: kind, ...Object.fromEntries(fields.map(({ name, type }) => [name, blank[type]])) }
}

/** A policy as the server gives it, whole: what it leaves out is the standard. */
export function policyOf(given: unknown): AgentPolicy {
  const { revision: _, ...rest } = (given ?? {}) as Partial<AgentPolicy> & { revision?: number }
  return { ...STANDARD, ...rest }
}

const ofType: Record<string, string> = {
  number: 'a number',
  boolean: 'true or false',
  string: 'a word',
  object: 'an object',
}

/** Why a policy cannot be shown as a form, if it cannot. */
export function shapeFault(given: unknown): string | null {
  if (!given || typeof given !== 'object' || Array.isArray(given)) return 'a policy is an object'
  for (const [name, standard] of Object.entries(STANDARD)) {
    const value = (given as Record<string, unknown>)[name]
    if (value === undefined) continue
    const isList = Array.isArray(standard)
    if (isList !== Array.isArray(value) || typeof value !== typeof standard || value === null)
      return `${name} must be ${isList ? 'a list' : ofType[typeof standard]}`
  }
  return null
}

const clean = (lines: readonly string[]) => lines.map((line) => line.trim()).filter(Boolean)

/** A policy to be sent: without the blank lines that writing leaves behind. */
export function policyToSend(policy: AgentPolicy): AgentPolicy {
  return {
    ...policy,
    log_files: policy.log_files.map((file) => ({
      path: file.path.trim(),
      product: file.product?.trim() || null,
    })),
    integrity: policy.integrity.map((one) => ({
      ...one,
      path: one.path.trim(),
      exclude: clean(one.exclude),
    })),
    checks: policy.checks.map((check) => ({
      ...check,
      references: clean(check.references),
      all: check.all.map(
        (probe) =>
          Object.fromEntries(
            Object.entries(probe).map(([name, value]) => [name, Array.isArray(value) ? clean(value) : value]),
          ) as CheckProbe,
      ),
    })),
    artifacts: Object.fromEntries(
      Object.entries(policy.artifacts).map(([name, one]) => [name, { ...one, paths: clean(one.paths) }]),
    ),
  }
}

/** Names of what differs between two policies. */
export function policyDiffers(a: AgentPolicy, b: AgentPolicy): string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)])
  const text = (policy: AgentPolicy, name: string) => sorted(policy[name as keyof AgentPolicy])
  return [...names].filter((name) => text(a, name) !== text(b, name)).sort()
}

/** JSON with names in order, so that two readings of one thing are the same text. */
const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    inner && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )

/** Which entry of a list the server means: it begins with its place, as `log_files[2].path`. */
export function fieldOfPath(reason: string): string | undefined {
  const place = /^(log_files|integrity)\[(\d+)\]/.exec(reason)
  return place ? `${place[1]}.${place[2]}` : undefined
}
