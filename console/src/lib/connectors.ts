/**
 * What each kind of connector takes, as the form asks for it.
 *
 * Source: crates/watchfloor-respond/src/settings.rs (settings and ranges), lib.rs `secrets_of`, and
 * `may_serve` in crates/watchfloor-model/src/connector.rs.
 */
import type { ActionKind, ConnectorKind } from '../api/types'

export type Settings = Record<string, unknown>

export interface SettingField {
  name: string
  label: string
  type: 'text' | 'url' | 'number' | 'choice' | 'flag'
  hint?: string
  placeholder?: string
  choices?: readonly (readonly [string, string])[]
  min?: number
  max?: number
  /** What it is where nothing is written; without one it must be given. */
  standard?: string | number | boolean
  isOptional?: boolean
}

export interface SecretField {
  name: string
  label: string
  hint: string
}

export interface KindForm {
  word: string
  about: string
  fields: readonly SettingField[]
  secrets: readonly SecretField[]
  hasNetworks: boolean
}

export const TIMEOUT_S = { standard: 15, min: 1, max: 120 }

const REPEATS: SettingField = {
  name: 'honors_idempotency_key',
  label: 'The other side does one key once',
  type: 'flag',
  hint: 'It looks at Idempotency-Key. What is uncertain is then simply asked again.',
  standard: false,
}
const AUTHORIZATION: SecretField = {
  name: 'authorization',
  label: 'Authorization',
  hint: 'Value of the header, such as Bearer … or Basic ….',
}
const url = (placeholder: string, hint: string): SettingField => ({
  name: 'url',
  label: 'URL',
  type: 'url',
  placeholder,
  hint,
})

export const KINDS: Record<ConnectorKind, KindForm> = {
  webhook: {
    word: 'Web hook',
    about: 'Gets the whole action as JSON; a gateway of yours can carry out any containing action.',
    fields: [
      url('https://gate.example/hook', 'Where the action is posted to. Without credentials.'),
      REPEATS,
    ],
    secrets: [
      {
        name: 'signing_key',
        label: 'Signing key',
        hint: 'Signs each body: HMAC-SHA-256 in X-Watchfloor-Signature.',
      },
      AUTHORIZATION,
    ],
    hasNetworks: true,
  },
  smtp: {
    word: 'Mail (SMTP)',
    about: 'Sends e-mail.',
    fields: [
      { name: 'host', label: 'Mail server', type: 'text', placeholder: 'mail.example' },
      { name: 'port', label: 'Port', type: 'number', min: 1, max: 65_535, standard: 587 },
      {
        name: 'security',
        label: 'Encryption',
        type: 'choice',
        choices: [
          ['starttls', 'STARTTLS'],
          ['tls', 'TLS from the first byte'],
          ['none', 'none'],
        ],
        standard: 'starttls',
      },
      {
        name: 'from',
        label: 'From',
        type: 'text',
        placeholder: 'SOC <soc@example.com>',
        hint: 'An address, with a name or without.',
      },
      { name: 'username', label: 'User name', type: 'text', isOptional: true },
    ],
    secrets: [{ name: 'password', label: 'Password', hint: 'Of the mail account.' }],
    hasNetworks: true,
  },
  slack: {
    word: 'Slack',
    about: 'Writes into a channel.',
    fields: [],
    secrets: [
      { name: 'url', label: 'URL of the incoming web hook', hint: 'It is a secret: who has it can write.' },
    ],
    hasNetworks: true,
  },
  teams: {
    word: 'Microsoft Teams',
    about: 'Writes into a channel.',
    fields: [],
    secrets: [
      { name: 'url', label: 'URL of the incoming web hook', hint: 'It is a secret: who has it can write.' },
    ],
    hasNetworks: true,
  },
  jira: {
    word: 'Jira',
    about: 'Opens tickets.',
    fields: [
      url('https://jira.example', 'The address of Jira.'),
      { name: 'project', label: 'Project', type: 'text', placeholder: 'SOC', hint: 'Its key.' },
      { name: 'issue_type', label: 'Type of issue', type: 'text', standard: 'Task' },
    ],
    secrets: [AUTHORIZATION],
    hasNetworks: true,
  },
  servicenow: {
    word: 'ServiceNow',
    about: 'Opens records.',
    fields: [
      url('https://example.service-now.com', 'The address of the instance.'),
      { name: 'table', label: 'Table', type: 'text', standard: 'incident' },
    ],
    secrets: [AUTHORIZATION],
    hasNetworks: true,
  },
  github: {
    word: 'GitHub',
    about: 'Opens issues.',
    fields: [
      { name: 'repository', label: 'Repository', type: 'text', placeholder: 'owner/name' },
      {
        ...url('https://api.github.com', 'Another one for a server of your own.'),
        standard: 'https://api.github.com',
      },
    ],
    secrets: [{ name: 'token', label: 'Access token', hint: 'With the right to write issues.' }],
    hasNetworks: true,
  },
  http: {
    word: 'HTTP API',
    about: 'Calls that playbooks make.',
    fields: [
      {
        name: 'base_url',
        label: 'Base URL',
        type: 'url',
        placeholder: 'https://api.example/v1',
        hint: 'Only URLs below it are called.',
      },
      REPEATS,
    ],
    secrets: [AUTHORIZATION],
    hasNetworks: true,
  },
  program: {
    word: 'Program',
    about: "Runs as the server's user with an empty environment, never through a shell.",
    fields: [
      {
        name: 'is_repeatable',
        label: 'Twice is as good as once',
        type: 'flag',
        hint: 'Running one again with the same arguments does no harm.',
        standard: false,
      },
    ],
    secrets: [],
    hasNetworks: false,
  },
}

export const KIND_OPTIONS = (Object.keys(KINDS) as ConnectorKind[]).map(
  (kind) => [kind, KINDS[kind].word] as const,
)

const SAYS: readonly ActionKind[] = [
  'send_email',
  'send_message',
  'open_ticket',
  'http_request',
  'run_program',
]

/** What a kind of connector can do, of all actions. */
export function servable(kind: ConnectorKind, all: readonly ActionKind[]): ActionKind[] {
  const one: Partial<Record<ConnectorKind, ActionKind>> = {
    smtp: 'send_email',
    slack: 'send_message',
    teams: 'send_message',
    jira: 'open_ticket',
    servicenow: 'open_ticket',
    github: 'open_ticket',
    http: 'http_request',
  }
  const only = one[kind]
  if (only) return all.filter((action) => action === only)
  if (kind === 'webhook') return all.filter((action) => !SAYS.includes(action))
  return all.filter(
    (action) => action === 'run_program' || !(SAYS.includes(action) || action === 'call_webhook'),
  )
}

export interface AllowedProgram {
  name: string
  path: string
  serves: string[]
  arguments: string[]
}

export const emptyProgram = (): AllowedProgram => ({ name: '', path: '', serves: [], arguments: [] })

export const programsOf = (settings: Settings): AllowedProgram[] =>
  (Array.isArray(settings.programs) ? settings.programs : []).map((one) => ({ ...emptyProgram(), ...one }))

/** Settings to begin with: what a kind needs, and nothing written. */
export const firstSettings = (kind: ConnectorKind): Settings =>
  kind === 'program' ? { programs: [emptyProgram()] } : {}

const lines = (value: unknown): string[] =>
  (Array.isArray(value) ? value : []).map((one) => String(one).trim()).filter(Boolean)

/** Settings to be sent: what is empty or standard is left out. */
export function settingsToSend(kind: ConnectorKind, settings: Settings): Settings {
  const standards = new Map<string, unknown>(KINDS[kind].fields.map(({ name, standard }) => [name, standard]))
  standards.set('timeout_s', TIMEOUT_S.standard)
  const sent: Settings = {}
  for (const [name, value] of Object.entries(settings)) {
    const clean = typeof value === 'string' ? value.trim() : value
    if (clean === '' || clean === null || clean === undefined || clean === standards.get(name)) continue
    if (name === 'allowed_networks') {
      const networks = lines(value)
      if (networks.length > 0) sent[name] = networks
    } else if (name === 'programs') {
      sent[name] = programsOf(settings).map((one) => ({ ...one, arguments: lines(one.arguments) }))
    } else sent[name] = clean
  }
  return sent
}

/** Which field a sentence of the server means that does not name it. */
export function fieldOfSetting(kind: ConnectorKind, reason: string): string | undefined {
  if (/is no http or https URL|relative URL|the URL holds credentials/.test(reason))
    return kind === 'http' ? 'base_url' : 'url'
  if (/is no network/.test(reason)) return 'allowed_networks'
  const missing = /missing field `(\w+)`/.exec(reason)?.[1]
  if (missing) return missing
  return /^programs:/.test(reason) ? 'programs' : undefined
}
