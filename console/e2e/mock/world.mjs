/** The state of the mock: alerts, incidents, users; and what changes them. */
import * as data from './data.mjs'

const now = () => new Date().toISOString()

export function makeWorld(alertCount) {
  const story = data.story()
  const alerts = [...story, ...data.noise(alertCount)]
  const events = data.events(3000)
  const byId = new Map(alerts.map((a) => [a.id, a]))
  const alertEvents = new Map()
  const history = new Map()
  /** Why an alert is where a person put it. */
  const byHand = new Map()
  const incidents = []
  const listeners = new Set()
  const audit = []
  let ids = 0
  const newId = (prefix) => {
    ids += 1
    return `${prefix}-${ids}`
  }
  const emit = (event, value) => {
    for (const send of listeners) send(event, value)
  }
  const log = (actor, action, target, detail = '') =>
    audit.unshift({
      id: audit.length + 1,
      at: now(),
      actor,
      action,
      target,
      detail,
      hash: (audit.length + 1).toString(16).padStart(64, '0'),
    })
  const record = (id, actor, action, detail = '') => {
    history.set(id, [...(history.get(id) ?? []), { at: now(), actor, action, detail }])
    log(actor, action, id, detail)
  }

  function eventOf(alert) {
    let event = alertEvents.get(alert.id)
    if (!event) {
      event = data.storyEvent(alert)
      alertEvents.set(alert.id, event)
      events.push(event)
    }
    return event
  }

  function describe(incident) {
    const rows = alerts
      .filter((a) => a.incident_id === incident.id)
      .sort((a, b) => a.time.localeCompare(b.time))
    const entities = [
      ...new Map(rows.flatMap((a) => a.entities).map((e) => [`${e.kind}${e.value}`, e])).values(),
    ]
    Object.assign(incident, {
      alert_count: rows.length,
      alerts: rows.map((a) => a.id),
      entities,
      tactics: [...new Set(rows.flatMap((a) => a.tactics))],
      techniques: [...new Set(rows.flatMap((a) => a.techniques))],
      first_time: rows[0]?.time ?? incident.created_at,
      last_time: rows.at(-1)?.time ?? incident.created_at,
      updated_at: now(),
      version: incident.version + 1,
    })
    return rows
  }

  function makeIncident(title, severity, members, actor) {
    const incident = {
      id: newId('in'),
      number: incidents.length + 1,
      title,
      severity,
      status: 'new',
      verdict: null,
      assignee: null,
      created_at: now(),
      updated_at: now(),
      version: 0,
      summary: null,
      risk: 71,
      severity_reasons: ['its gravest alert is the first'],
      severity_by_hand: false,
      risk_parts: data.RISK_PARTS,
      scope: [],
      faces: [],
      escalations: [],
      tasks: [],
      notes: [],
      observables: [],
      log: [],
      clocks: {
        detected_at: members[0]?.time ?? now(),
        acknowledged_at: null,
        contained_at: null,
        resolved_at: null,
        away_s: 0,
        reopened: 0,
      },
      merged_into: null,
    }
    incidents.unshift(incident)
    for (const alert of members) alert.incident_id = incident.id
    describe(incident)
    record(incident.id, actor, 'incident_opened', `with ${members.length} alerts`)
    return incident
  }

  const main = makeIncident(
    'Intrusion from 203.0.113.9 by SSH, to WS-042 and SRV-FILE02',
    'critical',
    story,
    'correlation',
  )
  main.summary =
    'Password guessing on SSH led to a log-on, an encoded PowerShell, a dumped credential, lateral movement and data leaving.'
  for (let i = 0; i < 6 && alerts.length > 60; i += 1) {
    const members = alerts.slice(10 + i * 5, 10 + i * 5 + 1 + (i % 4))
    makeIncident(
      `${members[0].rule_title} by ${members[0].entities[1].value}`,
      members[0].severity,
      members,
      'correlation',
    )
  }
  alerts.sort((a, b) => b.time.localeCompare(a.time))

  function detail(incident) {
    const rows = describe(incident)
    incident.version -= 1
    return {
      ...incident,
      alert_rows: rows.map((a, i) => ({
        ...a,
        attachment_reasons: byHand.has(a.id)
          ? [byHand.get(a.id)]
          : i === 0
            ? ['it opened the incident']
            : [`same address ${a.entities[2].value} within 30 min`, 'same user j.doe'],
      })),
      timeline: [
        ...rows.map((a) => ({
          at: a.time,
          kind: 'alert',
          title: a.title,
          detail: '',
          severity: a.severity,
          ref_id: a.id,
          actor: null,
        })),
        ...incident.log,
      ],
      history: history.get(incident.id) ?? [],
    }
  }

  return {
    alerts,
    byId,
    events,
    incidents,
    listeners,
    audit,
    history,
    byHand,
    main,
    newId,
    emit,
    log,
    record,
    eventOf,
    describe,
    detail,
    makeIncident,
    makeAlert: data.makeAlert,
    makeEvent: data.makeEvent,
    RULES: data.RULES,
    RISK_PARTS: data.RISK_PARTS,
    ENCODED: data.ENCODED,
    now,
  }
}
