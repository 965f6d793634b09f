/** The routes of the wire contract over the mock's world: [method, path, handler, open to all]. */
import { fleetRoutes } from './fleet.mjs'
import { huntingRoutes } from './hunting.mjs'
import { monitorRoutes } from './monitor.mjs'
import { responseRoutes } from './response.mjs'
import { rulesRoutes } from './rules.mjs'
import { QueryError, search } from './search.mjs'
import { storageRoutes } from './storage.mjs'
import { timeRoutes } from './time.mjs'

const RANK = { critical: 5, high: 4, medium: 3, low: 2, informational: 1 }
const STATUS_RANK = { new: 1, acknowledged: 2, in_progress: 3, closed: 4 }
const list = (text) => (text ? text.split(',') : null)
const sum = (o) => Object.values(o).reduce((a, b) => a + b, 0)

export function routes(world) {
  const { alerts, byId, incidents } = world
  world.users = []
  world.sessions = new Map()
  world.notes = new Map()
  const tokens = []
  const suppressions = []

  const api = (path) => new RegExp(`^/api/v1${path.replace(/:id/g, '([^/]+)')}$`)
  const session = (user) => ({
    user: { id: user.id, name: user.name, role: user.role, tenant: 'default' },
    permissions: ['*'],
    expires_at: new Date(Date.now() + 8 * 3600_000).toISOString(),
  })
  const signIn = (user, send) => {
    const id = world.newId('session')
    world.sessions.set(id, user)
    send(session(user), 200, { 'set-cookie': `wf_session=${id}; HttpOnly; SameSite=Strict; Path=/` })
  }
  const page = (items, query, extra = {}) => {
    const start = Number(query.get('cursor') ?? 0)
    const limit = Math.min(1000, Number(query.get('limit') ?? 100))
    const next = start + limit < items.length ? String(start + limit) : null
    return { items: items.slice(start, start + limit), next, ...extra }
  }

  function filterAlerts(q) {
    const [status, severity] = [list(q.get('status')), list(q.get('severity'))]
    const text = q.get('q')?.toLowerCase()
    const assignee = q.get('assignee')
    const entity = q.get('entity')
    const found = alerts.filter(
      (a) =>
        (!status || status.includes(a.status)) &&
        (!severity || severity.includes(a.severity)) &&
        (!assignee || (a.assignee ?? 'none') === assignee) &&
        (!q.get('rule_id') || a.rule_id === q.get('rule_id')) &&
        (!q.get('incident_id') || a.incident_id === q.get('incident_id')) &&
        (!entity || a.entities.some((e) => e.value === entity)) &&
        (!text || `${a.title} ${a.summary}`.toLowerCase().includes(text)) &&
        (!q.get('from') || a.time >= q.get('from')) &&
        (!q.get('to') || a.time < q.get('to')),
    )
    const sort = q.get('sort') ?? '-time'
    if (sort === '-time') return found
    const key = sort.replace('-', '')
    const value = (a) =>
      key === 'severity' ? RANK[a.severity] : key === 'status' ? STATUS_RANK[a.status] : a[key]
    const sign = sort.startsWith('-') ? -1 : 1
    return found.sort((a, b) => (value(a) < value(b) ? -sign : value(a) > value(b) ? sign : 0))
  }

  function touch(alert, change, actor, action, detail = '') {
    Object.assign(alert, change, { version: alert.version + 1, updated_at: world.now() })
    world.record(alert.id, actor, action, detail)
    world.emit('alert_changed', alert)
  }
  function attach(alert, incidentId, actor, reason) {
    let id = incidentId
    if (!id) id = world.makeIncident(alert.title, alert.severity, [alert], actor).id
    const why = reason ? `: ${reason}` : ''
    touch(alert, { incident_id: id }, actor, 'alert.attach', `to ${id}${why}`)
    world.byHand.set(alert.id, `attached by ${actor}${why}`)
    world.record(id, actor, 'incident.attach', `alerts attached or taken out${why}`)
    const incident = incidents.find((i) => i.id === id)
    world.describe(incident)
    world.emit('incident', incident)
    return id
  }
  const verbs = {
    acknowledge: (a, _, u) => touch(a, { status: 'acknowledged' }, u, 'acknowledged'),
    assign: (a, b, u) => touch(a, { assignee: b.assignee }, u, 'assigned', b.assignee ?? 'nobody'),
    close: (a, b, u) =>
      touch(
        a,
        { status: 'closed', verdict: b.verdict },
        u,
        'closed',
        [b.verdict, b.reason].filter(Boolean).join(': '),
      ),
    reopen: (a, _, u) => touch(a, { status: 'new', verdict: null }, u, 'reopened'),
    notes: (a, b, u) => {
      const note = { id: world.newId('no'), text: b.text, author: u, created_at: world.now() }
      world.notes.set(a.id, [...(world.notes.get(a.id) ?? []), note])
      touch(a, {}, u, 'alert.note')
    },
    attach: (a, b, u) => attach(a, b.incident_id, u, b.reason),
    detach: (a, b, u) => {
      const why = b.reason ? `: ${b.reason}` : ''
      const from = a.incident_id
      touch(a, { incident_id: null }, u, 'alert.detach', `from ${from}${why}`)
      world.byHand.delete(a.id)
      world.record(from, u, 'incident.detach', `alert ${a.id} taken out${why}`)
    },
  }
  const incidentOf = (id) => incidents.find((i) => i.id === id)
  const change = (incident, user, action, detail = '', kind = 'action') => {
    incident.version += 1
    incident.log.push({
      at: world.now(),
      kind,
      title: action.replace(/_/g, ' '),
      detail,
      actor: user.name,
      ref_id: null,
    })
    world.record(incident.id, user.name, action, detail)
    world.emit('incident', incident)
  }
  const onIncident = (handle) => (c) => {
    const incident = incidentOf(c.params[0])
    return incident ? handle(incident, c) : c.problem(404, 'not_found', 'no such incident')
  }

  return [
    ...storageRoutes(world, api),
    ...fleetRoutes(world, api),
    ...monitorRoutes(world, api),
    ...responseRoutes(world, api),
    ...timeRoutes(world, api),
    ['GET', api('/session'), (c) => c.send(session(c.user))],
    [
      'POST',
      api('/session/setup'),
      (c) => {
        if (c.body.token !== 'mock-setup' || world.users.length > 0)
          return c.problem(403, 'setup_token_invalid', 'this link was used or is not valid')
        const user = {
          id: world.newId('user'),
          name: c.body.name,
          role: 'admin',
          password: c.body.password,
          created_at: world.now(),
          disabled: false,
          last_sign_in_at: world.now(),
        }
        world.users.push(user)
        signIn(user, c.send)
      },
      true,
    ],
    [
      'POST',
      api('/session'),
      (c) => {
        const user = world.users.find((u) => u.name === c.body.name && u.password === c.body.password)
        return user ? signIn(user, c.send) : c.problem(401, 'bad_credentials', 'name or password is wrong')
      },
      true,
    ],
    [
      'DELETE',
      api('/session'),
      (c) => {
        world.sessions.clear()
        c.send(undefined, 204)
      },
    ],
    ['POST', api('/session/password'), (c) => c.send(undefined, 204)],
    [
      'GET',
      api('/sessions'),
      (c) =>
        c.send({
          items: [
            {
              id: 's1',
              created_at: world.now(),
              last_seen_at: world.now(),
              address: '127.0.0.1',
              expires_at: new Date(Date.now() + 8 * 3600_000).toISOString(),
              user_agent: c.request.headers['user-agent'] ?? 'none',
              current: true,
            },
          ],
          next: null,
        }),
    ],
    ['GET', api('/users'), (c) => c.send({ items: world.users, next: null })],
    [
      'POST',
      api('/users'),
      (c) => {
        const user = {
          id: world.newId('user'),
          ...c.body,
          created_at: world.now(),
          disabled: false,
          last_sign_in_at: null,
        }
        world.users.push(user)
        c.send(user, 201)
      },
    ],
    [
      'PATCH',
      api('/users/:id'),
      (c) =>
        c.send(
          Object.assign(
            world.users.find((u) => u.id === c.params[0]),
            c.body,
          ),
        ),
    ],
    ['GET', api('/tokens'), (c) => c.send({ items: tokens.map(({ token, ...rest }) => rest), next: null })],
    [
      'POST',
      api('/tokens'),
      (c) => {
        const token = {
          id: world.newId('token'),
          name: c.body.name,
          scope: c.body.scope,
          created_at: world.now(),
          expires_at: new Date(Date.now() + c.body.expires_in_days * 86_400_000).toISOString(),
          last_used_at: null,
          token: `wf_${Math.random().toString(36).slice(2)}`,
        }
        tokens.push(token)
        c.send({ id: token.id, token: token.token }, 201)
      },
    ],
    [
      'DELETE',
      api('/tokens/:id'),
      (c) => {
        tokens.splice(
          tokens.findIndex((t) => t.id === c.params[0]),
          1,
        )
        c.send(undefined, 204)
      },
    ],
    ['GET', api('/audit'), (c) => c.send(page(world.audit, c.query, { total: world.audit.length }))],

    [
      'GET',
      api('/alerts'),
      (c) => {
        const found = filterAlerts(c.query)
        c.send(page(found, c.query, { total: found.length }))
      },
    ],
    [
      'POST',
      api('/alerts/bulk'),
      (c) => {
        let incidentId = c.body.incident_id
        for (const id of c.body.ids) {
          const result = verbs[c.body.action](
            byId.get(id),
            { ...c.body, incident_id: incidentId },
            c.user.name,
          )
          if (c.body.action === 'attach') incidentId = result
        }
        c.send({ done: c.body.ids, failed: [], incident_id: incidentId ?? null })
      },
    ],
    [
      'GET',
      api('/alerts/:id'),
      (c) => {
        const alert = byId.get(c.params[0])
        if (!alert) return c.problem(404, 'not_found', 'no such alert')
        const event = world.eventOf(alert)
        const rule = world.RULES.find((r) => r.id === alert.rule_id)
        c.send({
          ...alert,
          risk_parts: world.RISK_PARTS,
          reasons: [
            {
              field: 'process.cmd_line',
              value: world.ENCODED,
              pattern: '* -EncodedCommand *',
              selection: 'selection_cli',
            },
            {
              field: 'actor.process.name',
              value: 'winword.exe',
              pattern: 'winword.exe',
              selection: 'selection_parent',
            },
          ],
          event,
          rule: {
            ...rule,
            description:
              'Finds command lines that carry their script in base64, which hides it from a quick reading. Administrators rarely do this.',
            version: '3',
            hold: null,
            suspension: null,
            yaml: `title: ${rule.title}\nid: ${rule.id}\nlevel: ${rule.level}\ndetection:\n  selection_cli:\n    CommandLine|contains: ' -EncodedCommand '\n  condition: selection_cli\n`,
            references: ['https://attack.mitre.org/techniques/T1059/001/'],
            falsepositives: ['Software deployment tools'],
          },
          attachment: alert.incident_id
            ? {
                incident_id: alert.incident_id,
                reasons: ['same address 203.0.113.9 within 30 min', 'same user j.doe'],
              }
            : null,
          history: world.history.get(alert.id) ?? [],
          judgements: alerts
            .filter((a) => a.rule_id === alert.rule_id && a.verdict && a.id !== alert.id)
            .slice(0, 5)
            .map((a) => ({
              alert_id: a.id,
              verdict: a.verdict,
              reason: 'known deployment tool',
              actor: 'mara',
              at: a.updated_at,
            })),
          judgement_counts: { true_positive: 3, false_positive: 11 },
          event_ids: [event.id],
          rule_version: '3',
          verdict_reason: null,
          notes: world.notes.get(alert.id) ?? [],
        })
      },
    ],
    [
      'GET',
      api('/alerts/:id/context'),
      (c) => {
        const alert = byId.get(c.params[0])
        const event = world.eventOf(alert)
        const at = Date.parse(alert.time)
        const near = world.events.filter(
          (e) =>
            Math.abs(Date.parse(e.time) - at) < 900_000 &&
            (e.fields['device.hostname'] === alert.entities[0].value || e.id === event.id),
        )
        c.send({
          events: near,
          total: near.length,
          capped: false,
          process_tree: [
            {
              id: 'p1',
              parent_id: null,
              name: 'explorer.exe',
              cmd_line: 'C:\\Windows\\explorer.exe',
              user: 'j.doe',
              time: alert.time,
            },
            {
              id: 'p2',
              parent_id: 'p1',
              name: 'winword.exe',
              cmd_line: 'WINWORD.EXE /n "C:\\Users\\j.doe\\Downloads\\invoice.docm"',
              user: 'j.doe',
              time: alert.time,
            },
            {
              id: 'p3',
              parent_id: 'p2',
              name: 'powershell.exe',
              cmd_line: world.ENCODED,
              user: 'j.doe',
              time: alert.time,
              is_alerted: true,
              event_id: event.id,
            },
            {
              id: 'p4',
              parent_id: 'p3',
              name: 'rundll32.exe',
              cmd_line: 'rundll32.exe comsvcs.dll, MiniDump 612 C:\\Windows\\Temp\\d.bin full',
              user: 'j.doe',
              time: alert.time,
            },
          ].map((node) => ({ is_alerted: false, event_id: null, ...node })),
          same_rule: alerts.filter((a) => a.rule_id === alert.rule_id && a.id !== alert.id).slice(0, 8),
        })
      },
    ],
    [
      'POST',
      /^\/api\/v1\/alerts\/([^/]+)\/(acknowledge|assign|close|reopen|notes|attach|detach)$/,
      (c) => {
        const alert = byId.get(c.params[0])
        if (c.params[1] === 'close' && c.body.verdict === 'false_positive' && !c.body.reason) {
          return c.problem(422, 'invalid', 'a false positive needs a reason', {
            fields: [{ field: 'reason', reason: 'missing' }],
          })
        }
        const reason = c.query.get('reason')
        verbs[c.params[1]](alert, reason ? { ...c.body, reason } : c.body, c.user.name)
        c.send(alert)
      },
    ],
    ['GET', api('/suppressions'), (c) => c.send({ items: suppressions, next: null })],
    [
      'POST',
      api('/suppressions/preview'),
      (c) => {
        const ofRule = alerts.filter((a) => a.rule_id === c.body.rule_id)
        const holds = (a, { field, value }) =>
          a.entities.some((e) => `entity.${e.kind}` === field && e.value === value) ||
          world.eventOf(a).fields[field] === value
        const matched = ofRule.filter((a) => (c.body.conditions ?? []).every((one) => holds(a, one)))
        c.send({
          alerts_matched: matched.length,
          alerts_total: ofRule.length,
          days: 30,
          capped: false,
          examples: matched.slice(0, 3),
        })
      },
    ],
    [
      'POST',
      api('/suppressions'),
      (c) => {
        const made = {
          id: world.newId('su'),
          rule_id: null,
          conditions: [],
          window: null,
          threshold: null,
          expires_at: null,
          last_at: null,
          ...c.body,
          count: 0,
          active: true,
          created_by: c.user.name,
          created_at: world.now(),
        }
        suppressions.push(made)
        c.send(made, 201)
      },
    ],
    [
      'DELETE',
      api('/suppressions/:id'),
      (c) => {
        suppressions.splice(
          suppressions.findIndex((s) => s.id === c.params[0]),
          1,
        )
        c.send(undefined, 204)
      },
    ],

    [
      'GET',
      api('/incidents'),
      (c) => {
        const [status, severity] = [list(c.query.get('status')), list(c.query.get('severity'))]
        const text = c.query.get('q')?.toLowerCase()
        const found = incidents.filter(
          (i) =>
            (!status || status.includes(i.status)) &&
            (!severity || severity.includes(i.severity)) &&
            (!text || `#${i.number} ${i.title}`.toLowerCase().includes(text)),
        )
        c.send(page(found, c.query, { total: found.length }))
      },
    ],
    [
      'POST',
      api('/incidents'),
      (c) =>
        c.send(
          world.makeIncident(
            c.body.title,
            c.body.severity,
            c.body.alert_ids.map((id) => byId.get(id)),
            c.user.name,
          ),
          201,
        ),
    ],
    ['GET', api('/incidents/:id'), onIncident((i, c) => c.send(world.detail(i)))],
    ['GET', api('/incidents/:id/similar'), (c) => c.send({ items: [], next: null })],
    [
      'GET',
      api('/incidents/:id/context'),
      (c) =>
        c.send({
          hosts: [],
          steps: [],
          vulnerabilities: [],
          indicators: [],
          events_read: 0,
          is_capped: false,
        }),
    ],
    ['POST', api('/incidents/:id/presence'), (c) => c.send({ names: [] })],
    ['GET', api('/mentions'), (c) => c.send({ items: [], next: null })],
    ['POST', api('/mentions/seen'), (c) => c.send(undefined, 204)],
    [
      'PATCH',
      api('/incidents/:id'),
      onIncident((incident, c) => {
        const expected = c.request.headers['if-match']
        if (expected && expected !== `"${incident.version}"`)
          return c.problem(412, 'version_conflict', 'changed meanwhile', { current: incident })
        if (c.body.status === 'resolved' && !(c.body.verdict ?? incident.verdict))
          return c.problem(422, 'invalid', 'a verdict is needed to resolve')
        Object.assign(incident, c.body)
        if (c.body.status === 'contained') incident.clocks.contained_at ??= world.now()
        if (c.body.status === 'resolved') incident.clocks.resolved_at ??= world.now()
        if (c.body.assignee) incident.clocks.acknowledged_at ??= world.now()
        const what = c.body.status ? `status ${c.body.status}` : `changed ${Object.keys(c.body).join(', ')}`
        change(incident, c.user, what, '', c.body.status ? 'status' : 'action')
        c.send(world.detail(incident))
      }),
    ],
    [
      'POST',
      api('/incidents/:id/notes'),
      onIncident((i, c) => {
        i.notes.push({
          id: world.newId('no'),
          text: c.body.text,
          author: c.user.name,
          created_at: world.now(),
        })
        change(i, c.user, 'note', c.body.text, 'note')
        c.send(i.notes.at(-1), 201)
      }),
    ],
    [
      'POST',
      api('/incidents/:id/tasks'),
      onIncident((i, c) => {
        i.tasks.push({ id: world.newId('ta'), title: c.body.title, status: 'open', assignee: null })
        change(i, c.user, 'task_added', c.body.title, 'task')
        c.send(i.tasks.at(-1), 201)
      }),
    ],
    [
      'PATCH',
      api('/incidents/:id/tasks/:id'),
      onIncident((i, c) => {
        Object.assign(
          i.tasks.find((t) => t.id === c.params[1]),
          c.body,
        )
        change(i, c.user, `task ${c.body.status}`, '', 'task')
        c.send(i.tasks.find((t) => t.id === c.params[1]))
      }),
    ],
    [
      'POST',
      api('/incidents/:id/observables'),
      onIncident((i, c) => {
        i.observables.push({
          id: world.newId('ob'),
          note: null,
          added_by: c.user.name,
          added_at: world.now(),
          ...c.body,
        })
        change(i, c.user, 'observable_added', c.body.value)
        c.send(i.observables.at(-1), 201)
      }),
    ],
    [
      'POST',
      api('/incidents/:id/merge'),
      onIncident((i, c) => {
        for (const a of alerts) if (c.body.from.includes(a.incident_id)) a.incident_id = i.id
        for (const other of incidents) if (c.body.from.includes(other.id)) other.status = 'closed'
        world.describe(i)
        const why = c.body.reason ? `: ${c.body.reason}` : ''
        change(i, c.user, 'incident.merge', `other incidents were merged in${why}`)
        c.send(world.detail(i))
      }),
    ],
    [
      'POST',
      api('/incidents/:id/split'),
      onIncident((i, c) => {
        const made = world.makeIncident(
          `Split from #${i.number}`,
          i.severity,
          c.body.alert_ids.map((id) => byId.get(id)),
          c.user.name,
        )
        world.describe(i)
        const why = c.body.reason ? `: ${c.body.reason}` : ''
        change(i, c.user, 'incident.split', `#${made.number} was split off from #${i.number}${why}`)
        c.send(made, 201)
      }),
    ],
    [
      'GET',
      api('/incidents/:id/report'),
      onIncident((i, c) => {
        const isPdf = c.query.get('format') === 'pdf'
        c.response.writeHead(200, {
          'content-type': isPdf ? 'application/pdf' : 'text/html',
          'content-disposition': `attachment; filename="incident-${i.number}.${isPdf ? 'pdf' : 'html'}"`,
        })
        c.response.end(
          isPdf
            ? `%PDF-1.7\n% ${i.title}\n%%EOF`
            : `<!doctype html><title>Incident #${i.number}</title><h1>${i.title.replace(/</g, '&lt;')}</h1>`,
        )
      }),
    ],

    ...huntingRoutes(world, api),
    [
      'POST',
      api('/search'),
      (c) => {
        try {
          c.send(search(world.events, c.body))
        } catch (error) {
          if (!(error instanceof QueryError)) throw error
          c.problem(400, 'query_invalid', error.message, {
            position: { start: error.start, end: error.end },
            hint: error.hint,
          })
        }
      },
    ],
    [
      'GET',
      api('/events/:id'),
      (c) => {
        const event = world.events.find((e) => e.id === c.params[0])
        return event ? c.send(event) : c.problem(404, 'not_found', 'no such event')
      },
    ],
    [
      'GET',
      api('/fields'),
      (c) =>
        c.send({
          items: [...new Set(world.events.slice(0, 300).flatMap((e) => Object.keys(e.fields)))].map(
            (name) => ({ name, type: 'string', description: '', aliases: [] }),
          ),
          next: null,
        }),
    ],

    [
      'GET',
      api('/ledger'),
      (c) => {
        const items = []
        for (let h = 0; h < 24; h += 1) {
          for (const [i, source] of ['windows', 'linux-auth', 'suricata', 'zeek', 'nginx'].entries()) {
            if (c.query.get('source') && c.query.get('source') !== source) continue
            const received = 9000 + ((h * 7919 + i * 104729) % 4000)
            const dropped =
              i === 4 ? { 'route:no-debug': 700 + h, ...(h % 7 === 0 ? { too_large: 3 } : {}) } : {}
            const undecoded = i === 1 ? 12 : 0
            items.push({
              source,
              hour: new Date(Math.floor(Date.now() / 3600_000) * 3600_000 - h * 3600_000).toISOString(),
              received,
              decoded: received - undecoded - sum(dropped),
              undecoded,
              stored: received - sum(dropped),
              evaluated: received - sum(dropped),
              dropped,
            })
          }
        }
        c.send({ items, next: null })
      },
    ],
    [
      'GET',
      api('/indicators'),
      (c) =>
        c.send({
          items: [
            {
              name: 'feodo',
              path: 'data/indicators/feodo.csv',
              format: 'csv',
              indicators: 1204,
              kinds: { address: 1200, network: 4 },
              refused: 1,
              refused_lines: [{ line: 17, reason: 'the network covers a whole private range (RFC 1918)' }],
              not_understood: { 'type mutex': 3 },
              trouble: null,
              loaded_at: world.now(),
              matches: 2,
            },
          ],
          next: null,
        }),
    ],
    [
      'GET',
      api('/sources'),
      (c) =>
        c.send({
          items: ['windows', 'linux-auth', 'suricata', 'zeek', 'nginx'].map((name, i) => ({
            name,
            kind: ['http', 'syslog', 'file', 'file', 'syslog'][i],
            first_seen: world.now(),
            last_seen: world.now(),
            events_last_hour: 9000 + i * 731,
            events_total: 220_000 + i * 17_000,
            understood_share: [1, 0.987, 1, 0.9999, 0.91][i],
            anomalies:
              i === 1
                ? [
                    {
                      code: 'time_missing',
                      count: 12,
                      example: 'sshd[411]: Connection reset by 203.0.113.77 port 40022 [preauth]',
                    },
                  ]
                : [],
            dropped: i === 4 ? { too_large: 12 } : {},
            rate: Array.from({ length: 60 }, (_, m) => 120 + ((m * 37 + i * 53) % 90)),
            products: [['Sysmon', 'Security'], ['OpenSSH'], ['Suricata'], ['Zeek'], ['nginx']][i],
            delay_ms: [420, 35, 2_100, 61_000, null][i],
            link:
              i === 0
                ? null
                : {
                    name: name,
                    state: i === 3 ? 'retrying' : 'listening',
                    place: i === 3 ? null : '0.0.0.0:6514',
                    error: i === 3 ? 'cannot read /opt/zeek/logs/current/conn.log: permission denied' : null,
                    mend:
                      i === 3 ? 'check that the file can be read by the user that watchfloor runs as' : null,
                    since: world.now(),
                  },
            troubles:
              i === 1
                ? [
                    {
                      word: 'tls_refused',
                      count: 3,
                      last_at: world.now(),
                      message:
                        '203.0.113.9: peer sent no certificates; give it a certificate of the client authority',
                    },
                  ]
                : [],
            quiet: i === 2 ? { since: world.now(), usual_silence_s: 340 } : null,
          })),
          next: null,
        }),
    ],
    ...rulesRoutes(world, api, { suppressions }),
    [
      'GET',
      api('/overview'),
      (c) => {
        const open = alerts.filter((a) => a.status !== 'closed')
        const count = (key) => {
          const counts = {}
          for (const a of open) counts[a[key]] = (counts[a[key]] ?? 0) + 1
          return counts
        }
        const tactics = {}
        for (const a of open) for (const t of a.tactics) tactics[t] = (tactics[t] ?? 0) + 1
        const rules = Object.entries(count('rule_id')).sort((a, b) => b[1] - a[1])
        c.send({
          alerts_open: open.length,
          alerts_by_severity: count('severity'),
          incidents_open: incidents.filter((i) => !['resolved', 'closed'].includes(i.status)).length,
          events_last_24h: 1_284_339,
          events_rate: Array.from({ length: 96 }, (_, i) => ({
            start: new Date(Date.now() - (96 - i) * 900_000).toISOString(),
            count: Math.round(9000 + 5000 * Math.sin(i / 9) + ((i * 7919) % 2500)),
          })),
          top_rules: rules
            .slice(0, 8)
            .map(([id, n]) => ({ rule_id: id, title: world.RULES.find((r) => r.id === id).title, count: n })),
          ingest: { lag_ms: 340, journal_pending: 0 },
          tactics: Object.entries(tactics).map(([tactic, n]) => ({ tactic, alerts: n })),
          median_times: { detect_s: 40, acknowledge_s: 214, contain_s: 3120, resolve_s: null },
        })
      },
    ],
    [
      'GET',
      api('/status'),
      (c) =>
        c.send({
          version: '0.1.0-mock',
          uptime_s: Math.round(process.uptime()),
          listeners: [
            { kind: 'http', address: '127.0.0.1:8787' },
            { kind: 'syslog/udp', address: '127.0.0.1:5514' },
          ],
          lake: { events: 1_284_339, files: 48, bytes: 94_371_840 },
          rules: { loaded: world.RULES.length, refused: 1, suspended: 0 },
        }),
    ],
    [
      'GET',
      api('/live'),
      (c) => {
        c.response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
        const send = (event, value) => c.response.write(`event: ${event}\ndata: ${JSON.stringify(value)}\n\n`)
        send('ping', {})
        world.listeners.add(send)
        const timer = setInterval(() => send('ledger', { received: 14, stored: 14, lag_ms: 210 }), 2000)
        c.request.on('close', () => {
          clearInterval(timer)
          world.listeners.delete(send)
        })
      },
    ],
    [
      'POST',
      /^\/ingest\/ndjson$/,
      (c) => {
        const lines = c.body.split('\n').filter(Boolean)
        for (const line of lines) {
          const { message, CommandLine: command, Computer: host } = JSON.parse(line)
          world.events.push(
            world.makeEvent(Date.now(), { host, kind: 'process', command, message, raw: line }),
          )
          if (!command) continue
          const alert = world.makeAlert('r-enc-ps', Date.now(), { host, user: 'e2e' })
          alerts.unshift(alert)
          byId.set(alert.id, alert)
          world.emit('alert', alert)
        }
        c.send({ accepted: lines.length, rejected: [] })
      },
      true,
    ],
  ].map(([method, pattern, handle, isOpen = false]) => [method, pattern, handle, isOpen])
}
