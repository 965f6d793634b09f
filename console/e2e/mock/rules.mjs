/** The mock's rules: the list, a rule's page with its texts, whether it could fire, and forecasts. */

const DAY_MS = 86_400_000

export function rulesRoutes(world, api, { suppressions }) {
  const { RULES, alerts } = world
  const fired = (id) => alerts.filter((one) => one.rule_id === id)
  const textOf = (rule) =>
    `title: ${rule.title}\nid: ${rule.id}\nlevel: ${rule.level}\ndetection:\n  selection_cli:\n    CommandLine|contains: ' -EncodedCommand '\n  condition: selection_cli\n`
  const infoOf = (rule) => ({
    id: rule.id,
    title: rule.title,
    level: rule.level,
    status: 'stable',
    logsource: rule.logsource,
    tags: [...rule.tactics, ...rule.techniques].map((t) => `attack.${t.toLowerCase()}`),
    path: `rules/${rule.id}.yml`,
    version: '3',
    enabled: true,
    state: 'active',
    dead: null,
    canary: 'pass',
    cost_us: 0.4,
    findings_last_24h: fired(rule.id).length,
    findings_last_7d: fired(rule.id).length,
    last_fired: world.now(),
  })
  const canary = () => ({ outcome: 'pass', at: world.now(), detail: "case 'encoded' fires" })
  const livenessOf = (rule) => ({
    id: rule.id,
    title: rule.title,
    events_24h: 5_000,
    events_today: 1_200,
    kinds: [
      { kind: 'windows/sysmon_process_creation', events: 88_120 },
      { kind: `linux/${rule.id.length % 2 ? 'sshd' : 'sudo'}`, events: 4_100 + rule.id.length },
    ],
    fields: [{ field: 'CommandLine', events: 4_980 }],
    could_fire: true,
    reason: null,
    findings_24h: fired(rule.id).length,
    last_fired: world.now(),
    canary: canary(),
  })
  const detailOf = (rule) => ({
    id: rule.id,
    title: rule.title,
    level: rule.level,
    description:
      'Finds command lines that carry their script in base64, which hides it from a quick reading. Administrators rarely do this.',
    version: '3',
    yaml: textOf(rule),
    references: ['https://attack.mitre.org/techniques/T1059/001/'],
    falsepositives: ['Software deployment tools'],
    hold: null,
    suspension: null,
  })
  const onRule = (handle) => (c) => {
    const rule = RULES.find((one) => one.id === c.params[0])
    return rule ? handle(rule, c) : c.problem(404, 'not_found', 'no such rule')
  }
  const refused = [
    {
      path: 'rules/broken/near.yml',
      line: 14,
      rule: 'near',
      held_since: null,
      reason: 'the aggregation “near” was removed from Sigma; write a correlation instead',
    },
  ]
  const days = (n) =>
    Array.from({ length: n }, (_, i) => new Date(Date.now() - (n - i) * DAY_MS).toISOString())
  return [
    [
      'GET',
      api('/rules'),
      (c) => {
        const q = c.query.get('q')?.toLowerCase() ?? ''
        const items = RULES.filter((r) => `${r.title} ${r.id} ${r.techniques}`.toLowerCase().includes(q))
        c.send({ items: items.map(infoOf), next: null })
      },
    ],
    ['GET', api('/rules/refused'), (c) => c.send({ items: refused, next: null })],
    [
      'GET',
      api('/rules/liveness'),
      (c) =>
        c.send({
          since: new Date(Date.now() - DAY_MS).toISOString(),
          items: RULES.map(livenessOf),
          next: null,
        }),
    ],
    [
      'POST',
      api('/rules/backtest'),
      (c) => {
        const found = fired(c.body.rule_id ?? RULES[0].id)
        const span = c.body.days ?? 7
        const top = (kind) => {
          const counts = {}
          for (const { value } of found.flatMap((a) => a.entities.filter((e) => e.kind === kind)))
            counts[value] = (counts[value] ?? 0) + 1
          return Object.entries(counts).map(([value, before]) => ({ value, before, after: null }))
        }
        c.send({
          title: found[0]?.rule_title ?? 'A rule',
          from: days(span)[0],
          to: world.now(),
          before: { findings: found.length * 3, alerts: found.length },
          after: { findings: found.length, alerts: Math.ceil(found.length / 2) },
          per_day: days(span).map((start, i) => ({
            start,
            before: { findings: i % 4, alerts: i % 3 },
            after: { findings: 0, alerts: 0 },
          })),
          hosts: top('host'),
          users: top('user'),
          examples: found.slice(0, 3).map((a) => ({
            time: a.time,
            summary: a.summary,
            event_id: world.eventOf(a).id,
            held_back: false,
          })),
          events_judged: 1_284_339,
          events_in_range: 1_284_339,
          reached: null,
          is_whole: true,
          took_ms: 412,
        })
      },
    ],
    [
      'GET',
      api('/rules/:id'),
      onRule((rule, c) =>
        c.send({
          id: rule.id,
          title: rule.title,
          info: infoOf(rule),
          detail: detailOf(rule),
          facts: {
            liveness: livenessOf(rule),
            cost_us: 0.4,
            budget_us: 20,
            cases: [{ name: 'encoded', fires: true, records: [world.ENCODED] }],
            per_day: days(30).map((start, i) => ({ start, count: i % 5 })),
          },
          versions: [
            {
              version: '3',
              title: rule.title,
              first_at: days(30)[0],
              last_at: world.now(),
              alerts: fired(rule.id).length,
            },
          ],
          exceptions: suppressions.filter((one) => one.rule_id === rule.id),
        }),
      ),
    ],
    [
      'GET',
      api('/rules/:id/versions/:id'),
      onRule((rule, c) =>
        c.send({
          rule_id: rule.id,
          version: c.params[1],
          title: rule.title,
          path: `rules/${rule.id}.yml`,
          yaml: textOf(rule),
          first_at: days(30)[0],
          last_at: world.now(),
        }),
      ),
    ],
    ['POST', api('/rules/:id/canary'), onRule((_, c) => c.send(canary()))],
  ]
}
