/**
 * The mock's response: what can be done, connectors, approvals, playbooks and their runs. A run is walked
 * from step to step as far as a person is asked; nothing leaves the mock.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const read = (name) => JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url)))
const POLICIES = read('policies')
const PLAYBOOKS = read('playbooks')
const SAYS = ['send_email', 'send_message', 'open_ticket', 'http_request', 'run_program']
const ONLY = {
  smtp: 'send_email',
  slack: 'send_message',
  teams: 'send_message',
  jira: 'open_ticket',
  servicenow: 'open_ticket',
  github: 'open_ticket',
  http: 'http_request',
}
const hash = (value) => createHash('sha256').update(JSON.stringify(value)).digest('hex')

const servable = (kind) =>
  POLICIES.map((one) => one.kind).filter((action) =>
    ONLY[kind]
      ? action === ONLY[kind]
      : kind === 'webhook'
        ? !SAYS.includes(action)
        : action === 'run_program' || !(SAYS.includes(action) || action === 'call_webhook'),
  )

/** Steps that a step leads to. */
const nextOf = (step) =>
  [
    step.on_completion,
    step.on_success,
    step.on_failure,
    step.on_true,
    step.on_false,
    ...(step.next_steps ?? []),
    ...Object.values(step.cases ?? {}),
  ].filter(Boolean)

function faultsOf(document) {
  const workflow = document.workflow ?? {}
  const seen = new Set()
  const walk = [document.workflow_start]
  while (walk.length > 0) {
    const id = walk.pop()
    if (seen.has(id) || !workflow[id]) continue
    seen.add(id)
    walk.push(...nextOf(workflow[id]))
  }
  return Object.entries(workflow)
    .filter(([id]) => !seen.has(id))
    .map(([id, step]) => ({
      gravity: 'error',
      code: 'unreachable',
      place: `workflow.${id}`,
      step: id,
      message: `no step leads to '${step.name ?? id}'`,
      mend: 'let another step lead to it, or remove it',
    }))
}

export function responseRoutes(world, api) {
  const policies = structuredClone(POLICIES)
  const connectors = []
  const actions = []
  const runs = []
  const rows = new Map(PLAYBOOKS.rows.map((row) => [row.id, { ...row }]))
  const documents = new Map(PLAYBOOKS.whole.map((one) => [one.id, one.document]))
  world.actions = actions
  world.runs = runs

  const documentOf = (id) =>
    documents.get(id) ?? { ...PLAYBOOKS.whole[1].document, id, name: rows.get(id)?.name }
  const invalid = (c, field, reason) =>
    c.problem(400, 'invalid', `${field}: ${reason}`, { fields: [{ field, reason }] })
  const policyOf = (kind) => policies.find((one) => one.kind === kind)
  const wayOf = (kind) => connectors.find((one) => one.is_enabled && one.serves.includes(kind))

  const record = (action, actor, what, detail) => {
    world.record(action.id, actor, what, detail)
    world.emit('response', { id: action.id })
  }
  function propose(body, user, run = null) {
    const policy = policyOf(body.kind)
    const target = [body.arguments[policy.target_argument]].flat().join(', ')
    const needs = policy.needs_approval
    const limit = body.time_limit_s === undefined ? policy.time_limit_s : body.time_limit_s
    const action = {
      id: world.newId('act'),
      kind: body.kind,
      arguments: body.arguments,
      target,
      connector: wayOf(body.kind)?.id ?? null,
      incident_id: body.incident_id ?? null,
      run_id: run,
      reason: body.reason ?? '',
      status: needs ? 'proposed' : 'ready',
      proposed_by: user,
      proposed_at: world.now(),
      needs_approval: needs,
      decided_by: null,
      decided_at: null,
      decision_note: null,
      time_limit_s: policy.undo ? limit : null,
      undo_at: null,
      undo_kind: policy.undo,
      undo_of: null,
      undone_by: null,
      attempts: 0,
      started_at: null,
      ended_at: null,
      outcome: null,
      error: null,
      request_hash: hash(body),
      result_hash: null,
      version: 1,
    }
    actions.unshift(action)
    record(action, user, 'action.propose', `${body.kind.replaceAll('_', ' ')} ${target}: ${action.reason}`)
    if (!needs) finish(action, user)
    return action
  }
  function finish(action, user) {
    const outcome = { summary: `the gateway took it: 202`, evidence: { status: 202 } }
    Object.assign(action, {
      status: 'done',
      attempts: 1,
      started_at: world.now(),
      ended_at: world.now(),
      outcome,
      result_hash: hash(outcome),
      undo_at: action.time_limit_s ? new Date(Date.now() + action.time_limit_s * 1000).toISOString() : null,
      version: action.version + 1,
    })
    record(action, user, 'action.done', outcome.summary)
  }
  const onAction = (handle) => (c) => {
    const action = actions.find((one) => one.id === c.params[0])
    return action ? handle(action, c) : c.problem(404, 'not_found', 'no such action')
  }

  /** Goes on from a step until a person is asked or the end is there. */
  function walk(run, from) {
    const { workflow } = run.document
    let id = from
    while (id && workflow[id]) {
      const step = workflow[id]
      const entry = {
        instance: run.steps.length + 1,
        step: id,
        name: step.name ?? step.type,
        kind: step.type,
        status: 'done',
        waits_for: null,
        detail: '',
        entered_at: world.now(),
        since: world.now(),
        due_at: null,
        ended_at: world.now(),
        action_id: null,
        child_run: null,
        decided_by: null,
      }
      run.steps.push(entry)
      if (step.type === 'action') {
        Object.assign(entry, {
          status: 'waiting',
          waits_for: 'person',
          detail: [step.name, step.commands?.[0]?.command].filter(Boolean).join('\n'),
          ended_at: null,
        })
        const bools = Object.entries(run.document.playbook_variables ?? {})
          .filter(([name, one]) => one.type === 'bool' && step.out_args?.includes(name))
          .map(([name]) => [name, 'bool'])
        if (bools.length > 0) run.outputs[entry.instance] = Object.fromEntries(bools)
        return
      }
      if (step.type === 'end') {
        Object.assign(run, { status: 'done', ended_at: world.now() })
        return
      }
      id = step.on_completion ?? step.on_success ?? step.on_false ?? step.next_steps?.[0]
    }
    Object.assign(run, { status: 'done', ended_at: world.now() })
  }
  const rowOf = ({ document: _, steps: __, actions: ___, outputs: ____, ...row }) => row
  const whole = (run) => ({ ...run, actions: actions.filter((one) => one.run_id === run.id) })
  const onRun = (handle) => (c) => {
    const run = runs.find((one) => one.id === c.params[0])
    return run ? handle(run, c) : c.problem(404, 'not_found', 'no such run')
  }
  const onPlaybook = (handle) => (c) => {
    const row = rows.get(c.params[0])
    return row ? handle(row, c) : c.problem(404, 'not_found', 'no such playbook')
  }
  const page = (items) => ({ items, next: null, total: items.length })
  const ofIncident = (items, c) => {
    const id = c.query.get('incident_id')
    return id ? items.filter((one) => one.incident_id === id) : items
  }

  return [
    ['GET', api('/actions/policies'), (c) => c.send({ items: policies, next: null })],
    [
      'PUT',
      api('/actions/policies/:id'),
      (c) => {
        const policy = policyOf(c.params[0])
        return policy ? c.send(Object.assign(policy, c.body)) : c.problem(404, 'not_found', 'no such action')
      },
    ],
    [
      'POST',
      api('/actions/rehearsal'),
      (c) => {
        const policy = policyOf(c.body.kind)
        const way = wayOf(c.body.kind)
        const target = [c.body.arguments[policy.target_argument] ?? ''].flat().join(', ')
        if (!target) return invalid(c, policy.target_argument, 'is needed')
        const near = world.alerts.filter((a) => a.entities.some((e) => e.value === target)).slice(0, 4)
        c.send({
          way: way?.name ?? 'by hand',
          preview: way
            ? `POST ${way.settings.url ?? way.name} with ${JSON.stringify({ action: c.body.kind, target })}`
            : 'nobody is called: a person does it and says so',
          touches: [
            { kind: 'host', value: target, why: 'the target' },
            ...[...new Set(near.flatMap((a) => a.entities.map((e) => `${e.kind}\n${e.value}`)))]
              .map((text) => text.split('\n'))
              .filter(([, value]) => value !== target)
              .map(([kind, value]) => ({ kind, value, why: 'in its alerts of the last 30 days' })),
          ],
          warnings: way ? [] : [`no connector does “${c.body.kind.replaceAll('_', ' ')}”`],
          needs_approval: policy.needs_approval,
          time_limit_s: c.body.time_limit_s === undefined ? policy.time_limit_s : c.body.time_limit_s,
          undo: policy.undo,
          is_repeatable: false,
        })
      },
    ],
    ['GET', api('/actions'), (c) => c.send(page(ofIncident(actions, c)))],
    ['POST', api('/actions'), (c) => c.send(propose(c.body, c.user.name), 201)],
    ['GET', api('/actions/:id'), onAction((action, c) => c.send(action))],
    [
      'GET',
      api('/actions/:id/record'),
      onAction((action, c) =>
        c.send({
          action,
          history: world.history.get(action.id) ?? [],
          is_request_sealed: true,
          is_result_sealed: action.result_hash !== null,
        }),
      ),
    ],
    ['GET', api('/actions/:id/files'), onAction((_, c) => c.send({ items: [], next: null }))],
    [
      'POST',
      api('/actions/:id/approve'),
      onAction((action, c) => {
        if (action.proposed_by === c.user.name)
          return c.problem(403, 'forbidden', 'nobody agrees to their own action; ask somebody else')
        Object.assign(action, {
          decided_by: c.user.name,
          decided_at: world.now(),
          decision_note: c.body.note || null,
        })
        finish(action, c.user.name)
        c.send(action)
      }),
    ],
    [
      'POST',
      /^\/api\/v1\/actions\/([^/]+)\/(reject|cancel|settle|undo)$/,
      onAction((action, c) => {
        const verb = c.params[1]
        if (verb === 'undo') {
          Object.assign(action, { status: 'undone', undone_by: c.user.name, undo_at: null })
          return c.send(
            propose(
              { kind: action.undo_kind, arguments: action.arguments, reason: c.body.reason },
              c.user.name,
            ),
          )
        }
        const status =
          verb === 'settle'
            ? c.body.how === 'done'
              ? 'done'
              : 'failed'
            : verb === 'reject'
              ? 'rejected'
              : 'cancelled'
        Object.assign(action, {
          status,
          decided_by: c.user.name,
          decided_at: world.now(),
          decision_note: c.body.note || null,
        })
        record(action, c.user.name, `action.${verb}`, c.body.note ?? '')
        c.send(action)
      }),
    ],
    [
      'GET',
      api('/approvals'),
      (c) =>
        c.send({
          proposed: actions.filter((one) => one.status === 'proposed'),
          uncertain: actions.filter((one) => one.status === 'uncertain'),
          steps: runs.flatMap((run) =>
            run.steps
              .filter((step) => step.waits_for === 'person' && step.status === 'waiting')
              .map((step) => ({ run: rowOf(run), step })),
          ),
          stuck: runs.filter((run) => run.stuck).map(rowOf),
        }),
    ],

    ['GET', api('/connectors'), (c) => c.send({ items: connectors, next: null })],
    [
      'POST',
      api('/connectors'),
      (c) => {
        const { name, kind, settings, serves = [], secrets = {} } = c.body
        if (connectors.some((one) => one.name === name)) return invalid(c, 'name', `'${name}' is taken`)
        const timeout = settings.timeout_s ?? 15
        if (timeout < 1 || timeout > 120) return invalid(c, 'settings', 'timeout_s must be from 1 to 120')
        const url = settings.url ?? settings.base_url
        if (url && !/^https?:\/\//.test(url)) return invalid(c, 'settings', `${url} is no http or https URL`)
        const made = {
          id: world.newId('con'),
          name,
          kind,
          serves: serves.length > 0 ? serves : servable(kind),
          settings,
          secrets: Object.keys(secrets),
          is_enabled: true,
          changed_by: c.user.name,
          changed_at: world.now(),
          version: 1,
        }
        connectors.push(made)
        c.send(made, 201)
      },
    ],
    [
      'PATCH',
      api('/connectors/:id'),
      (c) => {
        const found = connectors.find((one) => one.id === c.params[0])
        if (!found) return c.problem(404, 'not_found', 'no such connector')
        const { secrets = {}, ...rest } = c.body
        const names = new Set(found.secrets)
        for (const [name, value] of Object.entries(secrets)) {
          if (value === null) names.delete(name)
          else names.add(name)
        }
        Object.assign(found, rest, {
          secrets: [...names],
          version: found.version + 1,
          changed_by: c.user.name,
          changed_at: world.now(),
        })
        c.send(found)
      },
    ],
    [
      'DELETE',
      api('/connectors/:id'),
      (c) => {
        const at = connectors.findIndex((one) => one.id === c.params[0])
        if (at >= 0) connectors.splice(at, 1)
        c.send(undefined, 204)
      },
    ],

    ['GET', api('/playbooks'), (c) => c.send({ items: [...rows.values()], next: null })],
    [
      'POST',
      api('/playbooks'),
      (c) => {
        const faults = faultsOf(c.body)
        const row = {
          id: c.body.id,
          name: c.body.name,
          description: c.body.description ?? '',
          is_built_in: false,
          is_runnable: faults.length === 0,
          changed_by: c.user.name,
          changed_at: world.now(),
          version: (rows.get(c.body.id)?.version ?? 0) + 1,
        }
        rows.set(row.id, row)
        documents.set(row.id, c.body)
        c.send({ ...row, document: c.body, faults })
      },
    ],
    ['POST', api('/playbooks/check'), (c) => c.send({ faults: faultsOf(c.body) })],
    [
      'POST',
      api('/playbooks/rehearsal'),
      (c) => {
        const document = c.body.document ?? documentOf(c.body.playbook_id)
        const inputs = c.body.inputs ?? {}
        const missing = Object.entries(document.playbook_variables ?? {})
          .filter(([name, one]) => one.external && one.value === undefined && !inputs[name])
          .map(([name]) => name)
        c.send({
          faults: faultsOf(document),
          missing,
          steps: Object.entries(document.workflow).map(([step, one]) => ({
            step,
            name: one.name ?? one.type,
            kind: one.type,
            is_certain: one.type !== 'if-condition',
            detail: one.type === 'if-condition' ? 'the condition does not hold' : '',
            by_hand: [],
            actions: [],
          })),
        })
      },
    ],
    [
      'GET',
      api('/playbooks/:id'),
      onPlaybook((row, c) => {
        const document = documentOf(row.id)
        c.send({ ...row, document, faults: faultsOf(document) })
      }),
    ],
    [
      'DELETE',
      api('/playbooks/:id'),
      onPlaybook((row, c) => {
        rows.delete(row.id)
        c.send(undefined, 204)
      }),
    ],
    ['GET', api('/playbooks/:id/export'), onPlaybook((row, c) => c.send(documentOf(row.id)))],

    ['GET', api('/playbook-runs'), (c) => c.send(page(ofIncident(runs, c).map(rowOf)))],
    [
      'POST',
      api('/playbook-runs'),
      (c) => {
        const row = rows.get(c.body.playbook_id)
        if (!row) return c.problem(404, 'not_found', 'no such playbook')
        const document = documentOf(row.id)
        const run = {
          id: world.newId('run'),
          playbook_id: row.id,
          playbook_name: row.name,
          status: 'running',
          incident_id: c.body.incident_id ?? null,
          started_by: c.user.name,
          started_at: world.now(),
          updated_at: world.now(),
          ended_at: null,
          parent_run: null,
          reason: null,
          stuck: null,
          version: 1,
          document,
          steps: [],
          actions: [],
          outputs: {},
        }
        walk(run, document.workflow_start)
        runs.unshift(run)
        c.send(rowOf(run), 201)
      },
    ],
    ['GET', api('/playbook-runs/:id'), onRun((run, c) => c.send(whole(run)))],
    [
      'POST',
      api('/playbook-runs/:id/cancel'),
      onRun((run, c) => {
        Object.assign(run, { status: 'cancelled', ended_at: world.now(), reason: c.body.reason ?? null })
        for (const step of run.steps) if (step.status === 'waiting') step.status = 'cancelled'
        c.send(rowOf(run))
      }),
    ],
    [
      'POST',
      api('/playbook-runs/:id/steps/:id'),
      onRun((run, c) => {
        const step = run.steps.find((one) => String(one.instance) === c.params[1])
        if (step?.status !== 'waiting') return c.problem(409, 'conflict', 'the step does not wait')
        Object.assign(step, {
          status: c.body.is_done ? 'done' : 'failed',
          waits_for: null,
          ended_at: world.now(),
          decided_by: c.user.name,
        })
        delete run.outputs[step.instance]
        Object.assign(run, { version: run.version + 1, updated_at: world.now() })
        const { on_completion, on_success, on_failure } = run.document.workflow[step.step]
        walk(run, on_completion ?? (c.body.is_done ? on_success : (on_failure ?? on_success)))
        c.send(whole(run))
      }),
    ],
  ]
}
