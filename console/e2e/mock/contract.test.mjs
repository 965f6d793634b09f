/** What the mock answers has the shape that the server's OpenAPI file says: a stale mock tests nothing. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { routes } from './routes.mjs'
import { makeWorld } from './world.mjs'

const openapi = JSON.parse(readFileSync(new URL('../../../openapi.json', import.meta.url)))
const world = makeWorld(40)
const table = routes(world)
const user = { id: 'user-0', name: 'mara', role: 'admin' }
world.users.push({
  ...user,
  disabled: false,
  created_at: world.now(),
  last_sign_in_at: null,
})

/** Calls the mock as its server does, without a socket. */
function ask(method, path, body) {
  const url = new URL(`/api/v1${path}`, 'http://mock')
  for (const [verb, pattern, handle] of table) {
    const match = verb === method && pattern.exec(url.pathname)
    if (!match) continue
    let answer
    const send = (value, status = 200) => {
      answer = { status, body: value === undefined ? undefined : JSON.parse(JSON.stringify(value)) }
    }
    const problem = (status, code, detail, more = {}) => {
      answer = { status, body: { code, detail, ...more } }
    }
    handle({
      params: match.slice(1).map(decodeURIComponent),
      query: url.searchParams,
      body: body ?? {},
      user,
      request: { headers: {} },
      send,
      problem,
    })
    return answer
  }
  return { status: 404, body: { detail: `no route ${method} ${path}` } }
}

const TYPES = {
  string: (v) => typeof v === 'string',
  integer: (v) => Number.isInteger(v),
  number: (v) => typeof v === 'number',
  boolean: (v) => typeof v === 'boolean',
  array: Array.isArray,
  object: (v) => typeof v === 'object' && v !== null && !Array.isArray(v),
  null: (v) => v === null,
}

/** Where a value is not what a schema says; as much of JSON Schema as the file uses. */
function misfits(schema, value, at = '') {
  if (schema.$ref) return misfits(openapi.components.schemas[schema.$ref.split('/').at(-1)], value, at)
  if (schema.allOf) return schema.allOf.flatMap((part) => misfits(part, value, at))
  if (schema.oneOf) {
    const tries = schema.oneOf.map((part) => misfits(part, value, at))
    return tries.some((found) => found.length === 0) ? [] : tries.sort((a, b) => b.length - a.length)[0]
  }
  const types = [schema.type ?? []].flat()
  if (types.length > 0 && !types.some((type) => TYPES[type](value)))
    return [`${at || 'it'} is ${JSON.stringify(value)?.slice(0, 60)}, not ${types.join(' or ')}`]
  if (schema.enum && !schema.enum.includes(value))
    return [`${at} is '${value}', not ${schema.enum.join(' or ')}`]
  if (Array.isArray(value)) return value.flatMap((one, i) => misfits(schema.items ?? {}, one, `${at}[${i}]`))
  if (!TYPES.object(value)) return []
  const missing = (schema.required ?? [])
    .filter((name) => !(name in value))
    .map((name) => `${at}.${name} is missing`)
  const inner = Object.entries(value).flatMap(([name, one]) => {
    const part =
      schema.properties?.[name] ??
      (TYPES.object(schema.additionalProperties) ? schema.additionalProperties : {})
    return misfits(part, one, `${at}.${name}`)
  })
  return [...missing, ...inner]
}

function schemaOf(method, path) {
  const wanted = `/api/v1${path.split('?')[0]}`.split('/')
  const found = Object.entries(openapi.paths)
    .filter(([, verbs]) => verbs[method.toLowerCase()])
    .map(([pattern, verbs]) => [pattern.split('/'), verbs[method.toLowerCase()]])
    .filter(
      ([parts]) =>
        parts.length === wanted.length &&
        parts.every((part, i) => part.startsWith('{') || part === wanted[i]),
    )
    // A part in words goes before one that stands for anything.
    .sort(
      ([a], [b]) => a.filter((p) => p.startsWith('{')).length - b.filter((p) => p.startsWith('{')).length,
    )[0]
  const responses = found?.[1].responses ?? {}
  const good = Object.keys(responses).find((status) => status.startsWith('2'))
  return responses[good]?.content?.['application/json']?.schema
}

function check(method, path, body) {
  const answer = ask(method, path, body)
  expect(answer.status, JSON.stringify(answer.body)?.slice(0, 300)).toBeLessThan(300)
  const schema = schemaOf(method, path)
  expect(schema, `the server has no ${method} ${path}`).toBeDefined()
  expect(misfits(schema, answer.body).slice(0, 5)).toEqual([])
  return answer.body
}

const alert = world.alerts[0].id
const incident = world.main.id

describe('the mock answers as the server says that it does', () => {
  it.each([
    '/session',
    '/users',
    '/sessions',
    '/tokens',
    '/audit',
    '/mentions',
    '/alerts',
    `/alerts/${alert}`,
    `/alerts/${alert}/context`,
    '/incidents',
    `/incidents/${incident}`,
    `/incidents/${incident}/similar`,
    `/incidents/${incident}/context`,
    '/suppressions',
    '/ledger',
    '/sources',
    '/indicators',
    '/rules',
    '/rules/refused',
    '/rules/liveness',
    '/overview',
    '/status',
    '/fields',
    '/storage',
    '/fleet',
    '/fleet/agents',
    '/fleet/agents/agt-5',
    '/fleet/enrolments',
    '/enrichment',
    '/forwards',
    '/mappings',
    '/actions/policies',
    '/actions',
    '/approvals',
    '/connectors',
    '/playbooks',
    '/playbook-runs',
    '/service-levels',
    '/escalation',
    '/escalations',
    '/on-call',
    '/contacts',
    '/performance',
    '/handovers',
    '/handovers/draft',
  ])('%s', (path) => {
    check('GET', path)
  })

  it('a rule, its text, a forecast, an exception and what it would have silenced', () => {
    const [rule] = check('GET', '/rules').items
    check('GET', `/rules/${rule.id}`)
    check('GET', `/rules/${rule.id}/versions/3`)
    check('POST', `/rules/${rule.id}/canary`)
    check('POST', '/rules/backtest', { rule_id: rule.id, days: 7 })
    const what = { rule_id: rule.id, conditions: [] }
    check('POST', '/suppressions/preview', what)
    check('POST', '/suppressions', { ...what, reason: 'a rehearsal' })
    expect(check('GET', `/rules/${rule.id}`).exceptions).toHaveLength(1)
  })

  it('a group, its policy, and what of it does not do', () => {
    const group = check('POST', '/fleet/groups', { name: 'Databases' })
    check('PATCH', `/fleet/groups/${group.id}`, { policy: { cpu_percent: 12 } })
    const refused = ask('PATCH', `/fleet/groups/${group.id}`, { policy: { cpu_percent: 0 } })
    expect(refused.body.fields).toEqual([{ field: 'policy', reason: 'cpu_percent must be 1 to 100, not 0' }])
    check('POST', '/fleet/enrolments', { group: group.id, uses: 2 })
  })

  it('a connector, an action that waits for somebody else, its record', () => {
    check('POST', '/connectors', {
      name: 'Gateway',
      kind: 'webhook',
      settings: { url: 'https://gate.example/hook' },
      secrets: { signing_key: 'x' },
    })
    const body = {
      kind: 'isolate_host',
      arguments: { host: 'WS-042' },
      incident_id: incident,
      reason: 'contain',
    }
    check('POST', '/actions/rehearsal', body)
    const action = check('POST', '/actions', body)
    expect(action.status).toBe('proposed')
    expect(ask('POST', `/actions/${action.id}/approve`, { note: '' }).status).toBe(403)
    check('GET', `/actions/${action.id}`)
    check('GET', `/actions/${action.id}/record`)
    expect(check('GET', '/approvals').proposed).toHaveLength(1)
    expect(check('GET', '/connectors').items[0].secrets).toEqual(['signing_key'])
  })

  it('a playbook is rehearsed and run, and goes on when a person answers', () => {
    const { items } = check('GET', '/playbooks')
    const phishing = items.find((one) => one.name.startsWith('Phishing'))
    const playbook = check('GET', `/playbooks/${phishing.id}`)
    expect(playbook.faults).toEqual([])
    check('POST', '/playbooks/rehearsal', { playbook_id: phishing.id, inputs: {} })
    const run = check('POST', '/playbook-runs', {
      playbook_id: phishing.id,
      inputs: {},
      incident_id: incident,
    })
    const before = check('GET', `/playbook-runs/${run.id}`)
    const waiting = before.steps.at(-1)
    expect(waiting.waits_for).toBe('person')
    check('POST', `/playbook-runs/${run.id}/steps/${waiting.instance}`, { is_done: true, values: {} })
    const after = check('GET', `/playbook-runs/${run.id}`)
    expect(after.steps.length).toBeGreaterThan(before.steps.length)
    const document = structuredClone(playbook.document)
    document.workflow['action--x'] = { type: 'action', name: 'Call the lead' }
    const { faults } = check('POST', '/playbooks/check', document)
    expect(faults.map((one) => one.message)).toEqual(["no step leads to 'Call the lead'"])
  })

  it('somebody is on call, another stands in, the shift is handed over', () => {
    const rotation = check('POST', '/rotations', {
      name: 'First line',
      members: ['mara'],
      starts_on: '2026-01-05',
      handover_minute: 0,
      turn_hours: 24,
      zone: 'UTC',
    })
    const [roster] = check('GET', '/on-call').items
    expect(roster.now.name).toBe('mara')
    check('POST', `/rotations/${rotation.id}/stand-ins`, {
      name: 'jo',
      from: roster.now.from,
      to: roster.now.to,
    })
    expect(check('GET', '/on-call').items[0].now).toMatchObject({ name: 'jo', instead_of: 'mara' })
    const handover = check('POST', '/handovers', { notes: 'A quiet night.' })
    expect(check('GET', `/handovers/${handover.id}`).is_sealed).toBe(true)
    expect(check('GET', '/handovers').items).toHaveLength(1)
  })
})
