/** Invented but plausible data for development: one intrusion, and noise around it. Seeded, so always the same. */

export function random(seed) {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const rnd = random(42)
const pick = (list) => list[Math.floor(rnd() * list.length)]
const iso = (ms) => new Date(ms).toISOString()
export const START = Date.now()

export const RULES = [
  ['r-ssh-guess', 'SSH password guessing', 'medium', ['credential-access'], ['T1110.001'], 'linux / sshd'],
  ['r-ssh-success', 'SSH log-on after many failures', 'high', ['initial-access'], ['T1078'], 'linux / sshd'],
  [
    'r-enc-ps',
    'Encoded PowerShell command line',
    'high',
    ['execution', 'defense-evasion'],
    ['T1059.001', 'T1027'],
    'windows / process_creation',
  ],
  [
    'r-lsass',
    'LSASS memory dump by comsvcs.dll',
    'critical',
    ['credential-access'],
    ['T1003.001'],
    'windows / process_creation',
  ],
  [
    'r-psexec',
    'Service installed from ADMIN$ share',
    'high',
    ['lateral-movement', 'execution'],
    ['T1021.002', 'T1569.002'],
    'windows / system',
  ],
  ['r-exfil', 'Large upload by rclone', 'critical', ['exfiltration'], ['T1567.002'], 'proxy'],
  [
    'r-office-child',
    'Office program starts a shell',
    'high',
    ['execution'],
    ['T1204.002'],
    'windows / process_creation',
  ],
  ['r-new-admin', 'Member added to Domain Admins', 'high', ['persistence'], ['T1098'], 'windows / security'],
  ['r-dns-tunnel', 'Long random DNS labels', 'medium', ['command-and-control'], ['T1071.004'], 'zeek / dns'],
  ['r-sudo', 'Sudo to root by unusual user', 'low', ['privilege-escalation'], ['T1548.003'], 'linux / auth'],
  ['r-scan', 'Port scan from inside', 'low', ['discovery'], ['T1046'], 'suricata'],
  ['r-usb', 'USB storage attached', 'informational', ['collection'], ['T1052'], 'windows / system'],
  ['r-path', 'Web path traversal attempt', 'medium', ['reconnaissance'], ['T1595'], 'nginx'],
].map(([id, title, level, tactics, techniques, logsource]) => ({
  id,
  title,
  level,
  tactics,
  techniques,
  logsource,
}))

const HOSTS = ['WS-042', 'WS-017', 'SRV-DC01', 'SRV-FILE02', 'web-03', 'bastion-1', 'WS-133', 'db-02']
const USERS = ['j.doe', 'm.rossi', 'svc-backup', 'root', 'a.kim', 'administrator']
const SOURCES = ['windows', 'linux-auth', 'suricata', 'zeek', 'nginx']
const ruleOf = (id) => RULES.find((r) => r.id === id)

let number = 0
export function makeAlert(ruleId, time, over = {}) {
  const rule = ruleOf(ruleId)
  number += 1
  const id = `al-${String(number).padStart(6, '0')}`
  const host = over.host ?? pick(HOSTS)
  const user = over.user ?? pick(USERS)
  const address = over.address ?? `203.0.113.${1 + Math.floor(rnd() * 200)}`
  const process = over.process ?? 'powershell.exe'
  return {
    id,
    rule_id: rule.id,
    rule_title: rule.title,
    title: over.title ?? `${rule.title} on ${host}`,
    severity: rule.level,
    risk: { critical: 78, high: 61, medium: 44, low: 21 }[rule.level] ?? 12,
    status: 'new',
    time: iso(time),
    created_at: iso(time + 400),
    updated_at: iso(time + 400),
    incident_id: null,
    assignee: null,
    verdict: null,
    count: 1 + Math.floor(rnd() * rnd() * 90),
    first_time: iso(time - 60_000),
    last_time: iso(time),
    source: over.source ?? pick(SOURCES),
    summary: over.summary ?? `${process} on ${host}, started by ${user}, talked to ${address}.`,
    entities: [
      { kind: 'host', value: host, role: 'target' },
      { kind: 'user', value: user, role: 'actor' },
      { kind: 'address', value: address, role: 'source' },
      ...(over.entities ??
        (rule.logsource.startsWith('windows') ? [{ kind: 'process', value: process, role: 'actor' }] : [])),
    ],
    tactics: rule.tactics,
    techniques: rule.techniques,
    version: 1,
  }
}

export const ENCODED =
  'powershell.exe -NoP -W Hidden -EncodedCommand SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAKQA='

/** The story, in the order in which it happened. */
export function story() {
  const t = START - 22 * 60_000
  const m = 60_000
  const at = { host: 'WS-042', user: 'j.doe', address: '203.0.113.9' }
  return [
    makeAlert('r-ssh-guess', t, {
      ...at,
      host: 'bastion-1',
      user: 'root',
      source: 'linux-auth',
      summary: '203.0.113.9 failed 412 times to log on to bastion-1 by SSH, as 14 users, within 6 minutes.',
    }),
    makeAlert('r-ssh-success', t + 2 * m, {
      ...at,
      host: 'bastion-1',
      source: 'linux-auth',
      summary: 'j.doe logged on to bastion-1 from 203.0.113.9 after 412 failures from the same address.',
    }),
    makeAlert('r-enc-ps', t + 6 * m, {
      ...at,
      source: 'windows',
      title: 'Encoded PowerShell command line on WS-042',
      summary:
        'powershell.exe on WS-042, started by winword.exe as j.doe, ran an encoded command that fetched from 203.0.113.9.',
    }),
    makeAlert('r-lsass', t + 9 * m, {
      ...at,
      source: 'windows',
      process: 'rundll32.exe',
      summary: 'rundll32.exe on WS-042, as j.doe, wrote the memory of lsass.exe to C:\\Windows\\Temp\\d.bin.',
    }),
    makeAlert('r-psexec', t + 13 * m, {
      ...at,
      host: 'SRV-FILE02',
      user: 'svc-backup',
      source: 'windows',
      process: 'services.exe',
      summary: 'WS-042 installed the service PSEXESVC on SRV-FILE02 as svc-backup.',
    }),
    makeAlert('r-exfil', t + 17 * m, {
      ...at,
      host: 'SRV-FILE02',
      user: 'svc-backup',
      source: 'zeek',
      process: 'rclone.exe',
      entities: [
        { kind: 'process', value: 'rclone.exe', role: 'actor' },
        { kind: 'domain', value: 'drop.example.net', role: 'target' },
      ],
      summary: 'rclone.exe on SRV-FILE02 sent 4.2 GB to drop.example.net within 3 minutes.',
    }),
  ]
}

export function noise(n) {
  const alerts = []
  for (let i = 0; i < n; i += 1) {
    const rule = RULES[Math.floor(rnd() ** 0.5 * RULES.length)]
    const alert = makeAlert(rule.id, START - Math.floor(rnd() * 6 * 86_400_000))
    const roll = rnd()
    if (roll < 0.25) {
      alert.status = 'closed'
      alert.verdict = pick(['true_positive', 'benign_positive', 'false_positive', 'inconclusive'])
      alert.assignee = pick(['mara', 'tom'])
    } else if (roll < 0.4) alert.status = 'acknowledged'
    else if (roll < 0.48) {
      alert.status = 'in_progress'
      alert.assignee = pick(['mara', 'tom'])
    }
    alerts.push(alert)
  }
  return alerts
}

let eventNumber = 0
export function makeEvent(time, over = {}) {
  eventNumber += 1
  const host = over.host ?? pick(HOSTS)
  const user = over.user ?? pick(USERS)
  const address = over.address ?? `203.0.113.${1 + Math.floor(rnd() * 200)}`
  const kind = over.kind ?? pick(['process', 'auth', 'network'])
  const fields = {
    'device.hostname': host,
    'actor.user.name': user,
    'src_endpoint.ip': address,
    'metadata.product.name': 'demo',
  }
  let message
  let names
  if (kind === 'process') {
    const command =
      over.command ??
      pick(['svchost.exe -k netsvcs', 'chrome.exe --type=renderer', 'cmd.exe /c whoami', 'teams.exe'])
    names = [1007, 'Process Activity', 'windows']
    Object.assign(fields, {
      'process.cmd_line': command,
      'process.name': command.split(' ')[0],
      'process.pid': String(1000 + Math.floor(rnd() * 9000)),
      'actor.process.name': over.parent ?? 'explorer.exe',
      'unmapped.IntegrityLevel': 'Medium',
    })
    message = `Process started: ${command}`
  } else if (kind === 'auth') {
    names = [3002, 'Authentication', 'linux-auth']
    Object.assign(fields, {
      auth_protocol: 'SSH',
      status: over.status ?? 'Failure',
      'unmapped.port': String(30000 + Math.floor(rnd() * 9000)),
    })
    message = `${fields.status === 'Failure' ? 'Failed' : 'Accepted'} password for ${user} from ${address} port ${fields['unmapped.port']} ssh2`
  } else {
    names = [4001, 'Network Activity', 'zeek']
    Object.assign(fields, {
      'dst_endpoint.ip': '10.20.0.5',
      'dst_endpoint.port': '443',
      'traffic.bytes_out': String(Math.floor(rnd() * 1e6)),
    })
    message = `${address} → 10.20.0.5:443 tcp`
  }
  const raw = over.raw ?? JSON.stringify({ Time: iso(time), Host: host, User: user, ...fields })
  if (names[0] === 4001) {
    // What tables added to it; the raw record knows nothing of it.
    Object.assign(fields, { 'device.criticality': 'high', 'src_endpoint.location.country': 'DE' })
    fields.enrichments = JSON.stringify([
      {
        name: 'device.hostname',
        value: host,
        type: 'asset',
        provider: 'assets.csv',
        data: { 'device.criticality': 'high' },
      },
      {
        name: 'src_endpoint.ip',
        value: address,
        type: 'geo',
        provider: 'GeoLite2-City.mmdb',
        data: { 'src_endpoint.location.country': 'DE' },
      },
    ])
  }
  return {
    id: `ev-${String(eventNumber).padStart(6, '0')}`,
    time: iso(time),
    received_at: iso(time + 120),
    source: names[2],
    class_uid: names[0],
    class_name: names[1],
    product: 'demo',
    message: over.message ?? message,
    raw,
    anomalies: over.anomalies ?? [],
    fields,
  }
}

export function events(n) {
  const list = []
  for (let i = 0; i < n; i += 1) list.push(makeEvent(START - Math.floor(rnd() ** 2 * 86_400_000)))
  list.push(
    makeEvent(START - 60_000, {
      kind: 'auth',
      user: '\u202egnp.exe<script>alert(1)</script>\u0000',
      raw: 'sshd[411]: Failed password for \u202egnp.exe<script>alert(1)</script>\u0000 from 203.0.113.77',
      anomalies: [{ code: 'control_characters', detail: 'the user name holds a bidi override and a NUL' }],
    }),
  )
  const t = START - 16 * 60_000
  for (let i = 0; i < 24; i += 1) {
    list.push(
      makeEvent(t - 400_000 + i * 30_000, {
        host: 'WS-042',
        user: 'j.doe',
        address: '203.0.113.9',
        kind: i % 3 === 0 ? 'network' : 'process',
      }),
    )
  }
  return list
}

export const storyEvent = (alert) =>
  makeEvent(Date.parse(alert.time), {
    host: alert.entities[0].value,
    user: alert.entities[1].value,
    address: alert.entities[2].value,
    kind: 'process',
    parent: 'winword.exe',
    command: ENCODED,
  })

/** The parts of a risk of 71. */
export const RISK_PARTS = [
  { kind: 'severity', points: 28, max: 35, reason: 'the rule says high' },
  { kind: 'criticality', points: 12, max: 15, reason: 'SRV-FILE02 has criticality high in assets.csv' },
  { kind: 'indicator', points: 12, max: 15, reason: '203.0.113.9 is in feodo with confidence 80' },
  { kind: 'rarity', points: 7, max: 10, reason: '3 alerts of this rule in 30 days' },
  { kind: 'vulnerability', points: 0, max: 10, reason: 'nothing known is open on WS-042' },
  { kind: 'progress', points: 12, max: 15, reason: '5 tactics, the latest is exfiltration' },
]
