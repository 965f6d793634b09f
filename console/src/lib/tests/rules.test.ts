import { describe, expect, it } from 'vitest'
import type { AlertDetail, RuleRow } from '../../api/types'
import { candidates, chosenConditions, limitsText, minuteOf, windowOf } from '../exceptions'
import { costText, diffLines, lastDays, onTab, ruleTab, tabCount } from '../rules'

const rule = (id: string, patch: Partial<RuleRow> = {}): RuleRow =>
  ({ id, dead: null, state: 'active', canary: 'none', enabled: true, ...patch }) as RuleRow

describe('tabs of rules', () => {
  const rules = [
    rule('quiet'),
    rule('dead', { dead: 'no event of windows in 24 h' }),
    rule('paused', { state: 'suspended', dead: 'field x never occurs' }),
    rule('back', { state: 'catching_up', canary: 'pass' }),
    rule('broken', { canary: 'fail' }),
  ]
  const ids = (tab: Parameters<typeof onTab>[1]) => onTab(rules, tab).map((r) => r.id)

  it('show what they say', () => {
    expect(ids('all')).toHaveLength(5)
    expect(ids('dead')).toEqual(['dead'])
    expect(ids('suspended')).toEqual(['paused', 'back'])
    expect(ids('refused')).toEqual([])
  })
  it('put a failing canary first', () => expect(ids('tested')).toEqual(['broken', 'back']))
  it('count what they show', () => {
    expect(tabCount('dead', rules, [])).toBe(1)
    expect(ruleTab('nonsense')).toBe('all')
  })
})

describe('figures of a rule', () => {
  it('have a value for every day', () => {
    const now = Date.parse('2026-11-24T09:00:00Z')
    const days = lastDays([{ start: '2026-11-22T00:00:00Z', count: 3 }], 3, now)
    expect(days.map((d) => [d.start.slice(0, 10), d.count])).toEqual([
      ['2026-11-22', 3],
      ['2026-11-23', 0],
      ['2026-11-24', 0],
    ])
  })
  it('tell the cost in a unit that fits', () => {
    const cases: [number | null, string][] = [
      [null, ''],
      [0.02, '< 0.1 µs'],
      [1.26, '1.3 µs'],
      [24.4, '24 µs'],
      [1500, '1.5 ms'],
    ]
    for (const [us, text] of cases) expect(costText(us)).toBe(text)
  })
  it('show what changed between two texts', () => {
    const lines = diffLines('a\nb\nc\n', 'a\nx\nc\nd\n')
    const text = lines.map((l) => ({ same: ' ', added: '+', removed: '-' })[l.kind] + l.text)
    expect(text).toEqual([' a', '-b', '+x', ' c', '+d'])
  })
})

describe('an exception', () => {
  const alert = {
    source: 'sysmon',
    entities: [
      { kind: 'user', value: 'eve', role: 'actor' },
      { kind: 'host', value: 'ws-1', role: 'host' },
    ],
    reasons: [{ field: 'process.cmd_line', value: 'whoami /all', pattern: '*whoami*', selection: 's' }],
    event: {
      fields: {
        'process.cmd_line': 'whoami /all',
        'process.pid': '12',
        'user.name': 'eve',
        long: 'x'.repeat(500),
      },
    },
  } as unknown as AlertDetail

  it('starts with the host and what the rule matched', () => {
    expect(chosenConditions(candidates(alert))).toEqual([
      { field: 'entity.host', op: 'is', value: 'ws-1' },
      { field: 'process.cmd_line', op: 'is', value: 'whoami /all' },
    ])
  })
  it('offers each field once, and none that is another with every event', () => {
    const fields = candidates(alert).map((c) => c.field)
    expect(fields).toEqual(['entity.user', 'entity.host', 'process.cmd_line', 'source', 'user.name'])
  })
  it('reads hours of the day', () => {
    expect(minuteOf('7:05')).toBe(425)
    expect(minuteOf('24:00')).toBeNull()
    expect(windowOf('22:00', '06:00', 'UTC')).toEqual({ from_minute: 1320, to_minute: 360, zone: 'UTC' })
    expect(windowOf('22:00', '00:00', 'UTC')?.to_minute).toBe(1440)
    expect(windowOf('22:00', '22:00', 'UTC')).toBeNull()
  })
  it('says its limits in words', () => {
    const threshold = { count: 5, within_s: 600, per: 'entity.host' }
    const window = { from_minute: 1320, to_minute: 360, zone: 'Europe/Berlin' }
    expect(limitsText({ threshold, window })).toBe(
      'alert only from 5 findings within 10 minutes per entity.host · 22:00 – 06:00 Europe/Berlin',
    )
    expect(limitsText({ threshold: null, window: null })).toBe('')
  })
})
