/** The mock's time: service levels, who is on call, whom to tell, handovers, how long things take. */
import { createHash } from 'node:crypto'

const HOUR_MS = 3_600_000
const WEEK_MS = 7 * 24 * HOUR_MS
const SEVERITIES = ['critical', 'high', 'medium', 'low', 'informational']

const figure = (count, median, p90, share = null) => ({
  count,
  median_s: Math.round(median),
  p90_s: Math.round(p90),
  in_time: share === null ? null : Math.round(count * share),
  with_target: share === null ? 0 : count,
})
const figures = (n, k = 1) => ({
  incidents: n,
  reopened: Math.round(n / 12),
  detect: figure(n, 38 * k, 310 * k),
  acknowledge: figure(n, 420 * k, 1_900 * k, 0.91),
  contain: figure(Math.round(n * 0.7), 2_900 * k, 9_800 * k, 0.84),
  resolve: figure(Math.round(n * 0.6), 21_000 * k, 80_000 * k, 0.77),
})

function turnsOf(rotation, from, to) {
  const turn = rotation.turn_hours * HOUR_MS
  const start = Date.parse(`${rotation.starts_on}T00:00:00Z`) + rotation.handover_minute * 60_000
  const turns = []
  for (let i = Math.max(0, Math.floor((from - start) / turn)); start + i * turn < to; i += 1) {
    turns.push({
      from: new Date(start + i * turn).toISOString(),
      to: new Date(start + (i + 1) * turn).toISOString(),
      name: rotation.members[i % rotation.members.length],
      instead_of: null,
    })
  }
  return turns
}

export function timeRoutes(world, api) {
  const changed = (c, version) => ({ version: version + 1, changed_by: c.user.name, changed_at: world.now() })
  const stale = (c, version) => {
    const expected = c.request.headers['if-match']
    return expected !== undefined && expected !== `"${version}"`
  }
  const conflict = (c, current) => c.problem(412, 'version_conflict', 'it was changed meanwhile', { current })
  let levels = {
    targets: {
      critical: { acknowledge: 15, contain: 60, resolve: 480 },
      high: { acknowledge: 30, contain: 240, resolve: 1440 },
      medium: { acknowledge: 120, contain: 1440, resolve: 4320 },
      low: { acknowledge: 480, contain: 4320, resolve: 10080 },
      informational: { acknowledge: 1440, contain: null, resolve: null },
    },
    version: 0,
    changed_by: null,
    changed_at: null,
  }
  let escalation = {
    is_on: false,
    primary: null,
    secondary: null,
    with_alerts: false,
    levels: [],
    version: 0,
    changed_by: null,
    changed_at: null,
  }
  const rotations = []
  const standIns = []
  const contacts = []
  const handovers = []
  world.escalations = []

  const rosterOf = (rotation) => {
    const turns = turnsOf(rotation, Date.now() - 24 * HOUR_MS, Date.now() + 6 * WEEK_MS).map((turn) => {
      const other = standIns.find(
        (one) => one.rotation_id === rotation.id && one.from < turn.to && one.to > turn.from,
      )
      return other ? { ...turn, name: other.name, instead_of: turn.name } : turn
    })
    const now = turns.find((turn) => turn.from <= world.now() && world.now() < turn.to) ?? null
    const next = turns.find((turn) => turn.from > world.now() && turn.name !== now?.name) ?? null
    return {
      rotation,
      now,
      next,
      turns,
      stand_ins: standIns.filter((one) => one.rotation_id === rotation.id),
    }
  }
  const brief = (incident) => ({
    id: incident.id,
    number: incident.number,
    title: incident.title,
    severity: incident.severity,
    assignee: incident.assignee,
    verdict: incident.verdict,
    at: incident.created_at,
    clock: incident.clocks.acknowledged_at
      ? null
      : {
          kind: 'acknowledge',
          target_min: levels.targets[incident.severity].acknowledge,
          due_at: new Date(
            Date.parse(incident.clocks.detected_at) +
              (levels.targets[incident.severity].acknowledge ?? 0) * 60_000,
          ).toISOString(),
          reached_at: null,
          elapsed_s: Math.round((Date.now() - Date.parse(incident.clocks.detected_at)) / 1000),
          state: 'breached',
        },
  })
  const some = (incidents) => ({ items: incidents.map(brief), total: incidents.length })
  const snapshot = (from) => {
    const since = from ?? new Date(Date.now() - 12 * HOUR_MS).toISOString()
    const open = world.incidents.filter((one) => !['resolved', 'closed'].includes(one.status))
    const alerts = Object.fromEntries(
      SEVERITIES.map((severity) => [
        severity,
        world.alerts.filter((one) => one.severity === severity && one.status !== 'closed').length,
      ]),
    )
    return {
      from: since,
      to: world.now(),
      open: some(open),
      alerts,
      new: some(world.incidents.filter((one) => one.created_at >= since)),
      contained: some(world.incidents.filter((one) => one.status === 'contained')),
      resolved: some(world.incidents.filter((one) => one.status === 'resolved')),
      breaches: some(open.slice(0, 2)),
      escalations: world.escalations,
      actions: (world.actions ?? []).slice(0, 5).map((one) => ({
        id: one.id,
        text: `${one.kind.replaceAll('_', ' ')} ${one.target}`,
        status: one.status,
        by: one.proposed_by,
        since: one.proposed_at,
        incident_id: one.incident_id,
        trouble: one.error,
      })),
      runs: (world.runs ?? []).slice(0, 5).map((one) => ({
        id: one.id,
        text: one.playbook_name,
        status: one.status,
        by: one.started_by,
        since: one.started_at,
        incident_id: one.incident_id,
        trouble: one.stuck,
      })),
      on_call: rotations.map(rosterOf).map((one) => ({
        rotation: one.rotation.name,
        now: one.now,
        next: one.next,
      })),
      quiet_sources: [
        { id: 'suricata', text: 'went quiet', since: new Date(Date.now() - HOUR_MS).toISOString() },
      ],
      suspended_rules: [],
    }
  }
  const rowOf = ({ snapshot: _, is_sealed: __, ...row }) => row
  const onRotation = (handle) => (c) => {
    const rotation = rotations.find((one) => one.id === c.params[0])
    return rotation ? handle(rotation, c) : c.problem(404, 'not_found', 'no such rotation')
  }
  return [
    ['GET', api('/service-levels'), (c) => c.send(levels)],
    [
      'PUT',
      api('/service-levels'),
      (c) => {
        if (stale(c, levels.version)) return conflict(c, levels)
        levels = { targets: c.body.targets, ...changed(c, levels.version) }
        c.send(levels)
      },
    ],
    ['GET', api('/escalation'), (c) => c.send(escalation)],
    [
      'PUT',
      api('/escalation'),
      (c) => {
        if (stale(c, escalation.version)) return conflict(c, escalation)
        escalation = { ...escalation, ...c.body, ...changed(c, escalation.version) }
        c.send(escalation)
      },
    ],
    ['GET', api('/on-call'), (c) => c.send({ items: rotations.map(rosterOf), next: null })],
    [
      'POST',
      api('/rotations'),
      (c) => {
        const unknown = c.body.members.find((name) => !world.users.some((user) => user.name === name))
        if (unknown)
          return c.problem(400, 'invalid', `members: there is no user '${unknown}'`, {
            fields: [{ field: 'members', reason: `there is no user '${unknown}'` }],
          })
        const made = { id: world.newId('rot'), ...c.body, ...changed(c, 0) }
        rotations.push(made)
        c.send(made, 201)
      },
    ],
    [
      'PUT',
      api('/rotations/:id'),
      onRotation((rotation, c) => {
        if (stale(c, rotation.version)) return conflict(c, rotation)
        c.send(Object.assign(rotation, c.body, changed(c, rotation.version)))
      }),
    ],
    [
      'DELETE',
      api('/rotations/:id'),
      onRotation((rotation, c) => {
        rotations.splice(rotations.indexOf(rotation), 1)
        c.send(undefined, 204)
      }),
    ],
    [
      'POST',
      api('/rotations/:id/stand-ins'),
      onRotation((rotation, c) => {
        const made = {
          id: world.newId('sta'),
          rotation_id: rotation.id,
          instead_of: null,
          ...c.body,
          created_by: c.user.name,
        }
        standIns.push(made)
        c.send(made, 201)
      }),
    ],
    [
      'DELETE',
      api('/stand-ins/:id'),
      (c) => {
        const at = standIns.findIndex((one) => one.id === c.params[0])
        if (at >= 0) standIns.splice(at, 1)
        c.send(undefined, 204)
      },
    ],
    ['GET', api('/contacts'), (c) => c.send({ items: contacts, next: null })],
    [
      'PUT',
      api('/contacts'),
      (c) => {
        const at = contacts.findIndex((one) => one.name === c.body.name)
        if (at >= 0) contacts[at] = c.body
        else contacts.push(c.body)
        c.send(c.body)
      },
    ],
    [
      'GET',
      api('/performance'),
      (c) => {
        const weeks = 12
        const start = Math.floor(Date.now() / WEEK_MS) * WEEK_MS
        c.send({
          from: new Date(start - (weeks - 1) * WEEK_MS).toISOString(),
          to: world.now(),
          all: figures(148),
          by_severity: Object.fromEntries(
            SEVERITIES.slice(0, 4).map((severity, i) => [severity, figures(12 + i * 20, 0.4 + i * 0.5)]),
          ),
          by_week: Array.from({ length: weeks }, (_, i) => ({
            from: new Date(start - (weeks - 1 - i) * WEEK_MS).toISOString(),
            to: new Date(start - (weeks - 2 - i) * WEEK_MS).toISOString(),
            figures: figures(8 + ((i * 5) % 9), 1.4 - i * 0.06),
          })),
          verdicts: { true_positive: 61, benign_positive: 34, false_positive: 40, none: 13 },
          capped: false,
        })
      },
    ],
    ['GET', api('/handovers'), (c) => c.send({ items: handovers.map(rowOf), next: null })],
    ['GET', api('/handovers/draft'), (c) => c.send(snapshot(c.query.get('from')))],
    [
      'POST',
      api('/handovers'),
      (c) => {
        const kept = snapshot(c.body.from)
        const made = {
          id: world.newId('hand'),
          from: kept.from,
          to: kept.to,
          given_by: c.user.name,
          given_at: world.now(),
          accepted_by: null,
          accepted_at: null,
          notes: c.body.notes ?? '',
          digest: createHash('sha256').update(JSON.stringify(kept)).digest('hex'),
          is_sealed: true,
          snapshot: kept,
        }
        handovers.unshift(made)
        c.send(made, 201)
      },
    ],
    [
      'GET',
      api('/handovers/:id'),
      (c) => {
        const found = handovers.find((one) => one.id === c.params[0])
        return found ? c.send(found) : c.problem(404, 'not_found', 'no such handover')
      },
    ],
    [
      'POST',
      api('/handovers/:id/accept'),
      (c) => {
        const found = handovers.find((one) => one.id === c.params[0])
        if (!found) return c.problem(404, 'not_found', 'no such handover')
        if (found.given_by === c.user.name)
          return c.problem(403, 'forbidden', 'nobody takes a handover of their own')
        c.send(Object.assign(found, { accepted_by: c.user.name, accepted_at: world.now() }))
      },
    ],
  ]
}
