/** The mock's fleet: agents that are well and some that are not, groups with policies, rights to enrol. */
import { readFileSync } from 'node:fs'

const HOUR_MS = 3_600_000
const ARTIFACTS = JSON.parse(readFileSync(new URL('./fixtures/artifacts.json', import.meta.url)))
const SHA = 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c'
const FIGURES = {
  records_per_second: [1, 100_000],
  cpu_percent: [1, 100],
  memory_mib: [16, 4_096],
  spool_mib: [1, 1_048_576],
  scan_file_mib: [16, 1_048_576],
  inventory_every_s: [0, 2_592_000],
  checks_every_s: [0, 2_592_000],
}
const integrity = (path) => ({ path, is_recursive: true, exclude: [], with_diff: false })

const policy = (change = {}) => ({
  revision: 1,
  records_per_second: 500,
  cpu_percent: 25,
  memory_mib: 40,
  spool_mib: 256,
  scan_file_mib: 1_024,
  log_files: [
    { path: '/var/log/auth.log', product: null },
    { path: '/var/log/audit/audit.log', product: null },
  ],
  journald: true,
  processes: 'auto',
  integrity: ['/etc', '/usr/bin', '/root/.ssh'].map(integrity),
  logins: true,
  network: true,
  inventory_every_s: 3_600,
  checks_every_s: 86_400,
  checks: [],
  artifacts: {},
  ...change,
})

/** What the server says of a policy that does not do, as `checked_policy` does. */
function policyFault(given) {
  const unknown = Object.keys(given).find((name) => !(name in policy()))
  if (unknown) return `has no '${unknown}'; it has: ${Object.keys(policy()).join(', ')}`
  for (const [name, [least, most]] of Object.entries(FIGURES)) {
    const value = given[name]
    if (value !== undefined && (value < least || value > most))
      return `${name} must be ${least} to ${most}, not ${value}`
  }
  for (const list of ['log_files', 'integrity']) {
    const paths = (given[list] ?? []).map((one) => one.path)
    const wrong = paths.findIndex((path) => !path.startsWith('/'))
    if (wrong >= 0) return `${list}[${wrong}].path '${paths[wrong]}' is not an absolute path`
  }
  return null
}

function makeAgents(world) {
  const hosts = ['web-01', 'web-02', 'db-01', 'db-02', 'bastion-1', 'mail-01', 'build-03', 'SRV-FILE02']
  return hosts.map((host, i) => {
    const isConnected = i !== 6
    return {
      id: `agt-${i + 1}`,
      host,
      status: i === 7 ? 'revoked' : 'active',
      group: i < 2 ? 'grp-2' : 'grp-1',
      is_connected: isConnected && i !== 7,
      connected_since: isConnected ? new Date(Date.now() - 30 * HOUR_MS).toISOString() : null,
      seen_at: new Date(Date.now() - (isConnected ? 20_000 : 26 * HOUR_MS)).toISOString(),
      address: `10.20.1.${10 + i}:48${100 + i}`,
      agent_version: i === 3 ? '0.1.0' : '0.2.0',
      has_policy: i !== 3,
      enrolled_at: new Date(Date.now() - 900 * HOUR_MS).toISOString(),
      enrolled_by: 'mara',
      certificate_until: new Date(Date.now() + 7_800 * HOUR_MS).toISOString(),
      serial: `5a0${i}9c41d2`,
      identity: {
        name: host,
        machine: `4c4c4544-0042-3510-8057-b${i}c04f4a3632`,
        boot: 'f3a1c1de-7a5e-4a86-9c9e-2d0d9d6f0a11',
        addresses: [`10.20.1.${10 + i}`, `fe80::${i + 1}`],
        os: 'linux',
        os_name: i === 5 ? 'Rocky Linux 9.4' : 'Debian GNU/Linux 12 (bookworm)',
        kernel: '6.1.0-25-amd64',
        arch: 'x86_64',
      },
      health: {
        cpu_percent: 0.6 + i * 0.7,
        memory_bytes: (17 + i) * 1_048_576,
        queue_records: isConnected ? i * 3 : 48_211,
        queue_bytes: isConnected ? i * 2_000 : 41_000_000,
        dropped: i === 2 ? { rate: 1204 } : {},
        collectors: [
          { name: 'journald', records: 88_120 + i * 77, trouble: null },
          { name: 'processes', records: 14_220, trouble: null },
          {
            name: 'log /var/log/audit/audit.log',
            records: i === 4 ? 0 : 5_120,
            trouble: i === 4 ? 'cannot read /var/log/audit/audit.log: permission denied' : null,
          },
        ],
        is_isolated: i === 1,
        undo_at_ms: i === 1 ? { 'act-7': Date.now() + 5 * HOUR_MS } : {},
      },
      doubts:
        i === 4
          ? [
              {
                kind: 'two_machines',
                since: world.now(),
                text: 'its certificate was shown by 10.20.1.14 and 10.66.0.9 at once',
              },
            ]
          : [],
      version: 1,
    }
  })
}

export function fleetRoutes(world, api) {
  const group = (id, name, change, by) => ({
    id,
    name,
    policy: policy(change),
    revision: 4_503_599_627_370_000 + Number(id.slice(4)),
    agent_version: null,
    changed_by: by,
    changed_at: new Date(Date.now() - 50 * HOUR_MS).toISOString(),
    version: 1,
  })
  const groups = [
    group('grp-1', 'Standard', {}, 'watchfloor'),
    group(
      'grp-2',
      'Web servers',
      {
        cpu_percent: 10,
        log_files: [{ path: '/var/log/nginx/*.log', product: 'nginx' }],
        integrity: ['/etc', '/srv/www'].map(integrity),
      },
      'mara',
    ),
  ]
  const agents = makeAgents(world)
  const enrolments = [
    {
      id: 'enr-1',
      group: 'grp-1',
      uses_left: 18,
      expires_at: new Date(Date.now() + 6 * HOUR_MS).toISOString(),
      created_by: 'mara',
      created_at: new Date(Date.now() - 2 * HOUR_MS).toISOString(),
    },
  ]
  const onAgent = (handle) => (c) => {
    const agent = agents.find((one) => one.id === c.params[0])
    return agent ? handle(agent, c) : c.problem(404, 'not_found', 'no such agent')
  }
  const invalid = (c, field, reason) =>
    c.problem(400, 'invalid', `${field}: ${reason}`, { fields: [{ field, reason }] })
  return [
    [
      'GET',
      api('/fleet'),
      (c) =>
        c.send({
          listen: '0.0.0.0:6517',
          problem: null,
          connected: agents.filter((one) => one.is_connected).length,
          with_policy: agents.filter((one) => one.is_connected && one.has_policy).length,
          heartbeat_s: 60,
          refused: [
            {
              reason: 'token_over',
              count: 3,
              last_at: world.now(),
              address: '10.20.4.7:51000',
              text: 'the right to enrol is used up; make a new one under Fleet',
            },
          ],
          binaries: ['0.1.0', '0.2.0'].map((version, i) => ({
            version,
            target: 'x86_64-unknown-linux-musl',
            size: 8_400_000 + i * 120_000,
            sha256: SHA,
          })),
          artifacts: ARTIFACTS,
          groups,
        }),
    ],
    [
      'GET',
      api('/fleet/agents'),
      (c) => {
        const [host, inGroup, status] = ['host', 'group', 'status'].map((name) => c.query.get(name))
        const items = agents.filter(
          (one) =>
            (!host || one.host.toLowerCase().includes(host.toLowerCase())) &&
            (!inGroup || one.group === inGroup) &&
            (!status || one.status === status),
        )
        c.send({ items, next: null, total: items.length })
      },
    ],
    ['GET', api('/fleet/agents/:id'), onAgent((agent, c) => c.send(agent))],
    [
      'PATCH',
      api('/fleet/agents/:id'),
      onAgent((agent, c) =>
        c.send(Object.assign(agent, { group: c.body.group, version: agent.version + 1 })),
      ),
    ],
    [
      'POST',
      api('/fleet/agents/:id/clear'),
      onAgent((agent, c) => c.send(Object.assign(agent, { doubts: [] }))),
    ],
    [
      'POST',
      api('/fleet/agents/:id/revoke'),
      onAgent((agent, c) => c.send(Object.assign(agent, { status: 'revoked', is_connected: false }))),
    ],
    ['GET', api('/fleet/enrolments'), (c) => c.send({ items: enrolments, next: null })],
    [
      'POST',
      api('/fleet/enrolments'),
      (c) => {
        const made = {
          id: world.newId('enr'),
          group: c.body.group ?? 'grp-1',
          uses_left: c.body.uses ?? 1,
          expires_at: new Date(Date.now() + (c.body.life_hours ?? 8) * HOUR_MS).toISOString(),
          created_by: c.user.name,
          created_at: world.now(),
        }
        enrolments.push(made)
        const token = 'wfe1.c2VjcmV0.cGlu'
        c.send(
          { token, command: `curl -fsS https://soc.example/enrol | sudo sh -s -- ${token}`, enrolment: made },
          201,
        )
      },
    ],
    [
      'DELETE',
      api('/fleet/enrolments/:id'),
      (c) => {
        const at = enrolments.findIndex((one) => one.id === c.params[0])
        if (at >= 0) enrolments.splice(at, 1)
        c.send(undefined, 204)
      },
    ],
    [
      'POST',
      api('/fleet/groups'),
      (c) => {
        if (groups.some((one) => one.name === c.body.name))
          return c.problem(409, 'taken', `name: '${c.body.name}' is taken`, {
            fields: [{ field: 'name', reason: 'is taken' }],
          })
        const made = group(`grp-${groups.length + 1}`, c.body.name, {}, c.user.name)
        groups.push(made)
        c.send(made, 201)
      },
    ],
    [
      'PATCH',
      api('/fleet/groups/:id'),
      (c) => {
        const found = groups.find((one) => one.id === c.params[0])
        if (!found) return c.problem(404, 'not_found', 'no such group')
        const expected = c.request.headers['if-match']
        if (expected && expected !== `"${found.version}"`)
          return c.problem(412, 'version_conflict', 'the group was changed meanwhile', { current: found })
        const fault = c.body.policy && policyFault(c.body.policy)
        if (fault) return invalid(c, 'policy', fault)
        const { name = found.name, policy: given, agent_version: version } = c.body
        Object.assign(found, {
          name,
          policy: given ? policy(given) : found.policy,
          agent_version: version === undefined ? found.agent_version : version || null,
          revision: found.revision + 7,
          version: found.version + 1,
          changed_by: c.user.name,
          changed_at: world.now(),
        })
        c.send(found)
      },
    ],
  ]
}
