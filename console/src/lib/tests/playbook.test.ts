import { describe, expect, it } from 'vitest'
import {
  addStep,
  connect,
  disconnect,
  emptyDocument,
  layout,
  linksOf,
  place,
  removeStep,
  suggestion,
  variablesOf,
} from '../playbook'

let n = 0
const uuid = () => `u${++n}`
const make = () => emptyDocument('Test', uuid, '2026-01-01T00:00:00.000Z')
const action = (document: ReturnType<typeof make>) =>
  Object.keys(document.workflow).find((id) => id.startsWith('action--')) as string

describe('editing a playbook', () => {
  it('adds, connects and removes steps and keeps what it does not know', () => {
    const before = { ...make(), x_unknown: { kept: true } }
    const first = action(before)
    const added = addStep(before, 'if-condition', 'new')
    let document = connect(added.document, first, added.id, 'on_success')
    expect(document.workflow[first]?.on_completion).toBeUndefined()
    expect(document.workflow[first]?.on_success).toBe(added.id)
    expect(document.x_unknown).toEqual({ kept: true })
    expect(before.workflow[added.id]).toBeUndefined()
    document = removeStep(document, added.id)
    expect(document.workflow[first]?.on_success).toBeUndefined()
    expect(linksOf(document).some((link) => link.to === added.id)).toBe(false)
  })

  it('keeps branches and cases apart', () => {
    const both = addStep(make(), 'parallel', 'p')
    const first = action(both.document)
    let document = connect(both.document, both.id, first, 'next_steps')
    document = connect(document, both.id, first, 'next_steps')
    expect(document.workflow[both.id]?.next_steps).toEqual([first])
    const one = addStep(document, 'switch-condition', 's')
    document = connect(one.document, one.id, first, 'cases/high')
    document = connect(document, one.id, first, 'cases/low')
    expect(
      linksOf(document)
        .filter((link) => link.from === one.id)
        .map((link) => link.by),
    ).toEqual(['cases/high', 'cases/low'])
    document = disconnect(document, { from: one.id, to: first, by: 'cases/high' })
    expect(document.workflow[one.id]?.cases).toEqual({ low: first })
  })

  it('lays steps out from left to right and keeps what was moved', () => {
    const document = make()
    const points = layout(document)
    const start = points.get(document.workflow_start)
    const first = points.get(action(document))
    expect((first?.x ?? 0) > (start?.x ?? 0)).toBe(true)
    const moved = place(document, action(document), { x: 501.4, y: 33 })
    expect(layout(moved).get(action(document))).toEqual({ x: 501, y: 33 })
    const circle = connect(document, action(document), document.workflow_start, 'on_completion')
    expect(layout(circle).size).toBe(3)
  })

  it('suggests values from the incident', () => {
    const document = { ...make(), playbook_variables: { __host__: { type: 'string', external: true } } }
    const [variable] = variablesOf(document)
    expect(
      variable &&
        suggestion(variable, [
          { kind: 'user', value: 'x' },
          { kind: 'host', value: 'ws-1' },
        ]),
    ).toBe('ws-1')
  })
})
