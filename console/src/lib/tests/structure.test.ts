import { describe, expect, it } from 'vitest'
import type { Entity, ProcessNode } from '../../api/types'
import { TACTICS, tacticKey } from '../attack'
import { actionWords, percent } from '../format'
import { entityGraph, ROWS_MAX } from '../graph'
import { keyName } from '../keys'
import { timeTicks } from '../scale'
import { belongsTo } from '../techniques'
import { duration, rangeBounds } from '../time'
import { processRows } from '../tree'

const node = (id: string, parent: string | null): ProcessNode => ({
  id,
  parent_id: parent,
  name: id,
  cmd_line: '',
  time: null,
  event_id: null,
  user: '',
  is_alerted: false,
})
const e = (kind: Entity['kind'], value: string): Entity => ({ kind, value, role: '' })

describe('processRows', () => {
  const check = (nodes: ProcessNode[], expected: string) =>
    expect(
      processRows(nodes)
        .map((r) => `${r.depth}${r.node.id}`)
        .join(' '),
    ).toBe(expected)
  it('orders children under parents', () => {
    check([node('c', 'b'), node('a', null), node('b', 'a')], '0a 1b 2c')
  })
  it('keeps orphans and cycles', () => {
    check([node('x', 'gone')], '0x')
    check([node('a', 'b'), node('b', 'a')], '0a 1b')
  })
})

describe('entityGraph', () => {
  it('joins what occurs in the same alert, in the order of kinds', () => {
    const graph = entityGraph([{ entities: [e('user', 'root'), e('host', 'h'), e('address', '1.2.3.4')] }])
    expect(graph.columns).toEqual(['address', 'host', 'user'])
    expect(graph.edges.map((x) => [x.from, x.to])).toEqual([
      ['address\n1.2.3.4', 'host\nh'],
      ['host\nh', 'user\nroot'],
    ])
  })
  it('says what it leaves out', () => {
    const many = Array.from({ length: ROWS_MAX + 3 }, (_, i) => ({ entities: [e('host', `h${i}`)] }))
    expect(entityGraph(many).left).toEqual({ host: 3 })
  })
})

describe('attack', () => {
  it('has fourteen tactics and one form of each', () => {
    expect(TACTICS).toHaveLength(14)
    expect(tacticKey('attack.credential_access')).toBe('credential-access')
    expect(tacticKey('Lateral Movement')).toBe('lateral-movement')
  })
  it('puts techniques under their own tactic, and unknown ones under all', () => {
    expect(belongsTo('T1059.001', 'execution')).toBe(true)
    expect(belongsTo('T1059.001', 'impact')).toBe(false)
    expect(belongsTo('T9999', 'impact')).toBe(true)
  })
})

describe('keyName', () => {
  const key = (k: string, extra = {}) =>
    keyName({ key: k, ctrlKey: false, metaKey: false, shiftKey: false, ...extra })
  it('writes keys as bindings do', () => {
    expect(key('j')).toBe('j')
    expect(key('J', { shiftKey: true })).toBe('J')
    expect(key('?', { shiftKey: true })).toBe('?')
    expect(key('ArrowDown', { shiftKey: true })).toBe('shift+ArrowDown')
    expect(key('K', { ctrlKey: true })).toBe('mod+k')
  })
})

describe('actionWords', () => {
  it('reads as a sentence', () => {
    expect(actionWords('alert.acknowledge')).toBe('Alert acknowledged')
    expect(actionWords('user.sign_in')).toBe('User sign in')
    expect(actionWords('note')).toBe('Note')
  })
})

describe('numbers and times', () => {
  it('does not round a gap away', () => {
    expect(percent(0.9999)).toBe('> 99.9 %')
    expect(percent(1)).toBe('100 %')
    expect(percent(0.987)).toBe('98.7 %')
  })
  it('writes durations', () => {
    expect(duration(0)).toBe('0 s')
    expect(duration(214)).toBe('3 min 34 s')
    expect(duration(3600)).toBe('1 h')
    expect(duration(90_000)).toBe('1 d 1 h')
  })
  it('bounds ranges', () => {
    expect(rangeBounds({ last: '1h', from: '', to: '' }, 3_600_000)).toEqual({
      from: '1970-01-01T00:00:00.000Z',
    })
    expect(rangeBounds({ last: 'all', from: '', to: '' })).toEqual({})
  })
  it('finds round ticks', () => {
    expect(timeTicks(0, 600_000, 6)).toEqual([0, 120_000, 240_000, 360_000, 480_000, 600_000])
  })
})
