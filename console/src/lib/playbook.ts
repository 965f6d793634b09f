/**
 * CACAO documents as the diagram edits them: every change gives a new document and touches nothing
 * that it is not about, so that what this console does not know is kept.
 */

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

export interface Step extends JsonObject {
  type: string
}

export interface PlaybookDocument extends JsonObject {
  id: string
  name: string
  workflow: { [id: string]: Step }
  workflow_start: string
}

export const STEP_KINDS = [
  'action',
  'if-condition',
  'while-condition',
  'switch-condition',
  'parallel',
  'playbook-action',
  'end',
] as const
export type StepKind = (typeof STEP_KINDS)[number]

export const KIND_WORD: Record<string, string> = {
  start: 'Start',
  end: 'End',
  action: 'Action',
  'playbook-action': 'Playbook',
  parallel: 'At the same time',
  'if-condition': 'If',
  'while-condition': 'While',
  'switch-condition': 'Switch',
}

/** Where positions are kept, so that a diagram looks the same tomorrow. */
export const LAYOUT_EXTENSION = 'extension-definition--418ee24c-9cb1-46d9-afa5-309e01aabc7f'

export interface Link {
  from: string
  to: string
  /** The property that holds it: `on_completion`, `on_true`, `next_steps`, `cases/x`, … */
  by: string
}

const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '')

export function stepName(document: PlaybookDocument, id: string): string {
  const step = document.workflow[id]
  if (!step) return id
  return text(step.name) || KIND_WORD[step.type] || step.type
}

export function linksOf(document: PlaybookDocument): Link[] {
  const links: Link[] = []
  for (const [from, step] of Object.entries(document.workflow)) {
    for (const by of ['on_true', 'on_false', 'on_completion', 'on_success', 'on_failure']) {
      const to = text(step[by])
      if (to) links.push({ from, to, by })
    }
    if (Array.isArray(step.next_steps))
      for (const to of step.next_steps) links.push({ from, to: text(to), by: 'next_steps' })
    if (step.cases && typeof step.cases === 'object' && !Array.isArray(step.cases))
      for (const [value, to] of Object.entries(step.cases))
        links.push({ from, to: text(to), by: `cases/${value}` })
  }
  return links
}

/** Ways out of a step that can be connected, by its kind. */
export function waysOut(kind: string): string[] {
  if (kind === 'end') return []
  if (kind === 'start') return ['on_completion']
  if (kind === 'if-condition') return ['on_true', 'on_false', 'on_completion']
  if (kind === 'while-condition') return ['on_true', 'on_completion']
  if (kind === 'switch-condition') return ['cases', 'on_completion']
  if (kind === 'parallel') return ['next_steps', 'on_completion']
  return ['on_completion', 'on_success', 'on_failure']
}

export const WAY_WORD: Record<string, string> = {
  on_completion: 'then',
  on_success: 'if it succeeds',
  on_failure: 'if it fails',
  on_true: 'if so',
  on_false: 'if not',
  next_steps: 'branch',
}

export const wayWord = (by: string): string =>
  by.startsWith('cases/') ? `case ${by.slice('cases/'.length)}` : (WAY_WORD[by] ?? by)

const withStep = (document: PlaybookDocument, id: string, step: Step): PlaybookDocument => ({
  ...document,
  workflow: { ...document.workflow, [id]: step },
})

export function patchStep(document: PlaybookDocument, id: string, patch: JsonObject): PlaybookDocument {
  const step = { ...document.workflow[id], ...patch } as Step
  for (const [key, value] of Object.entries(step)) if (value === null || value === '') delete step[key]
  return withStep(document, id, step)
}

/** A new step of a kind with what it cannot be without. */
export function addStep(
  document: PlaybookDocument,
  kind: StepKind,
  uuid: string,
): { document: PlaybookDocument; id: string } {
  const id = `${kind}--${uuid}`
  const agent = Object.keys((document.agent_definitions as JsonObject | undefined) ?? {})[0]
  const steps: Record<StepKind, JsonObject> = {
    action: {
      name: 'New step',
      ...(agent ? { agent } : {}),
      commands: [{ type: 'manual', command: 'Say what is to be done.' }],
    },
    'if-condition': { name: 'Is it so?', condition: '' },
    'while-condition': { name: 'As long as it is so', condition: '' },
    'switch-condition': { name: 'Which is it?', switch: '', cases: {} },
    parallel: { name: 'At the same time', next_steps: [] },
    'playbook-action': { name: 'Another playbook', playbook_id: '' },
    end: { name: 'End' },
  }
  return { id, document: withStep(document, id, { type: kind, ...steps[kind] } as Step) }
}

export function removeStep(document: PlaybookDocument, id: string): PlaybookDocument {
  let next = document
  for (const link of linksOf(document)) if (link.to === id) next = disconnect(next, link)
  const workflow = { ...next.workflow }
  delete workflow[id]
  return { ...next, workflow }
}

export function connect(document: PlaybookDocument, from: string, to: string, way: string): PlaybookDocument {
  const step = document.workflow[from]
  if (!step || from === to) return document
  if (way === 'next_steps') {
    const list = Array.isArray(step.next_steps) ? step.next_steps : []
    return list.includes(to) ? document : patchStep(document, from, { next_steps: [...list, to] })
  }
  if (way.startsWith('cases')) {
    const cases = (step.cases as JsonObject | undefined) ?? {}
    const value =
      way.slice('cases/'.length) ||
      (Object.keys(cases).length === 0 ? 'default' : `case-${Object.keys(cases).length}`)
    return patchStep(document, from, { cases: { ...cases, [value]: to } })
  }
  // Either however it went, or by how it went: CACAO knows no mixture.
  const cleared: JsonObject =
    way === 'on_completion'
      ? { on_success: null, on_failure: null }
      : way === 'on_success' || way === 'on_failure'
        ? { on_completion: null }
        : {}
  return patchStep(document, from, { ...cleared, [way]: to })
}

export function disconnect(document: PlaybookDocument, link: Link): PlaybookDocument {
  const step = document.workflow[link.from]
  if (!step) return document
  if (link.by === 'next_steps') {
    const list = (step.next_steps as Json[]).filter((to) => to !== link.to)
    return patchStep(document, link.from, { next_steps: list })
  }
  if (link.by.startsWith('cases/')) {
    const cases = { ...(step.cases as JsonObject) }
    delete cases[link.by.slice('cases/'.length)]
    return patchStep(document, link.from, { cases })
  }
  return patchStep(document, link.from, { [link.by]: null })
}

export interface Point {
  x: number
  y: number
}

export const COLUMN = 230
export const ROW = 96

/** Where a step was put by hand, if it was. */
function placed(step: Step): Point | null {
  const extensions = step.step_extensions as JsonObject | undefined
  const at = extensions?.[LAYOUT_EXTENSION] as JsonObject | undefined
  return at && typeof at.x === 'number' && typeof at.y === 'number' ? { x: at.x, y: at.y } : null
}

export function place(document: PlaybookDocument, id: string, at: Point): PlaybookDocument {
  const step = document.workflow[id]
  if (!step) return document
  const extensions = (step.step_extensions as JsonObject | undefined) ?? {}
  const coordinates = { type: 'coordinates', x: Math.round(at.x), y: Math.round(at.y) }
  return patchStep(document, id, { step_extensions: { ...extensions, [LAYOUT_EXTENSION]: coordinates } })
}

/** From left to right by the longest way from the start; branches before what follows them. */
export function layout(document: PlaybookDocument): Map<string, Point> {
  const out = new Map<string, string[]>()
  for (const { from, to } of linksOf(document)) out.set(from, [...(out.get(from) ?? []), to])
  const column = new Map<string, number>()
  const visit = (id: string, depth: number, path: Set<string>) => {
    if (!document.workflow[id] || path.has(id) || path.size > 200) return
    if ((column.get(id) ?? -1) >= depth) return
    column.set(id, depth)
    path.add(id)
    for (const to of out.get(id) ?? []) visit(to, depth + 1, path)
    path.delete(id)
  }
  visit(document.workflow_start, 0, new Set())
  const taken = new Map<number, number>()
  const points = new Map<string, Point>()
  const order = [...column.keys(), ...Object.keys(document.workflow).filter((id) => !column.has(id))]
  for (const id of order) {
    const at = column.get(id) ?? 0
    const row = taken.get(at) ?? 0
    taken.set(at, row + 1)
    const byHand = placed(document.workflow[id] as Step)
    points.set(id, byHand ?? { x: at * COLUMN, y: row * ROW })
  }
  return points
}

export interface Variable {
  name: string
  label: string
  type: string
  description: string
  value: string
  isExternal: boolean
}

export function variablesOf(document: PlaybookDocument): Variable[] {
  const all = (document.playbook_variables as JsonObject | undefined) ?? {}
  return Object.entries(all).map(([name, raw]) => {
    const variable = raw as JsonObject
    return {
      name,
      label: name.replace(/^__|__$/g, ''),
      type: text(variable.type),
      description: text(variable.description),
      value: text(variable.value),
      isExternal: variable.external === true,
    }
  })
}

/** What the entities of an incident suggest for a variable, by its name. */
export function suggestion(variable: Variable, entities: readonly { kind: string; value: string }[]): string {
  const kinds: Record<string, string> = {
    host: 'host',
    user: 'user',
    address: 'address',
    domain: 'domain',
    hash: 'hash',
    file: 'file',
  }
  const kind = kinds[variable.label]
  return entities.find((entity) => entity.kind === kind)?.value ?? variable.value
}

/** A document to begin with. */
export function emptyDocument(name: string, uuid: () => string, now: string): PlaybookDocument {
  const [start, first, end, agent] = [
    `start--${uuid()}`,
    `action--${uuid()}`,
    `end--${uuid()}`,
    `organization--${uuid()}`,
  ]
  return {
    type: 'playbook',
    spec_version: 'cacao-2.0',
    id: `playbook--${uuid()}`,
    name,
    description: '',
    playbook_types: ['mitigation'],
    created_by: `identity--${uuid()}`,
    created: now,
    modified: now,
    playbook_variables: {},
    workflow_start: start,
    workflow: {
      [start]: { type: 'start', name: 'Start', on_completion: first },
      [first]: {
        type: 'action',
        name: 'First step',
        agent,
        commands: [{ type: 'manual', command: 'Say what is to be done.' }],
        on_completion: end,
      },
      [end]: { type: 'end', name: 'End' },
    },
    agent_definitions: { [agent]: { type: 'organization', name: 'Security operations center' } },
  }
}
