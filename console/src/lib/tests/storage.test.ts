import { describe, expect, it } from 'vitest'
import type { RetentionRule } from '../../api/types'
import { className } from '../classes'
import {
  confirms,
  costWords,
  dayBars,
  draftTrouble,
  fitsSource,
  forecastWords,
  monthCost,
  moved,
  ratioWords,
  readDays,
  retentionEffect,
  ruleScope,
  someOf,
} from '../storage'

const usage = { rows: 1, bytes_per_day: 100, free_bytes: 1000, full_in_days: null, steady_bytes: null }
const GIB = 1024 ** 3

describe('forecastWords', () => {
  const check = (change: object, expected: string, isTight = false) => {
    const said = forecastWords({ ...usage, ...change })
    expect([said.text, said.isTight]).toEqual([expected, isTight])
  }
  it('says what comes', () => {
    check({ rows: 0 }, 'Nothing yet')
    check({ bytes_per_day: 0, steady_bytes: 0 }, 'Does not grow')
    check({ full_in_days: 41 }, 'Full in 41 days')
    check({ full_in_days: 1 }, 'Full in 1 day', true)
    check({ full_in_days: 0 }, 'Full within a day', true)
    check({ full_in_days: 3650 }, 'Full in about 10 years')
    check({ steady_bytes: 120 * GIB }, 'Settles at 120 GiB')
    check({ free_bytes: null }, 'Kept for ever')
  })
  it('says when what it would settle at does not fit', () => {
    expect(forecastWords({ ...usage, full_in_days: 60, steady_bytes: GIB }).note).toContain('1.0 GiB')
  })
})

describe('figures', () => {
  it('says how much smaller', () => {
    expect(ratioWords(840, 100)).toBe('8.4 ×')
    expect(ratioWords(0, 100)).toBe('')
    expect(ratioWords(100, 0)).toBe('')
  })
  it('reckons the cost of a month', () => {
    expect(costWords(monthCost(2e9, 0.023))).toBe('0.05')
    expect(costWords(monthCost(5e12, 0.25))).toBe('1,250.00')
    expect(costWords(monthCost(1000, 0.02))).toBe('< 0.01')
    expect(costWords(0)).toBe('0.00')
  })
  it('draws days without events as gaps', () => {
    const day = (name: string, bytes: number) => ({ name, bytes, rows: 1, raw_bytes: 1, bytes_per_day: 0 })
    const bars = dayBars([day('2026-11-01', 5), day('2026-11-03', 7)], 2, 400)
    expect(bars.map((b) => b.count)).toEqual([5, 0, 7])
    expect(dayBars([day('2026-11-03', 7)], 30, 400)).toHaveLength(30)
    expect(dayBars([day('1999-01-01', 5), day('2026-11-03', 7)], 30, 400)).toHaveLength(400)
    expect(dayBars([], 30, 400)).toEqual([])
  })
  it('names some and counts the rest', () => {
    expect(someOf(['a', 'b'])).toBe('a, b')
    expect(someOf(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more')
  })
})

const rule = (source: string | null, class_uid: number | null, days: number): RetentionRule => ({
  source,
  class_uid,
  days,
})

describe('rules', () => {
  it('says what a rule is for', () => {
    expect(ruleScope(rule(null, null, 1))).toBe('All events')
    expect(ruleScope(rule('fw-*', null, 1))).toBe('events of fw-*')
    expect(ruleScope(rule('fw-*', 4003, 1))).toBe('DNS Activity of fw-*')
    expect(className(7)).toBe('Class 7')
  })
  it('moves, and stays within the ends', () => {
    expect(moved(['a', 'b', 'c'], 0, 1)).toEqual(['b', 'a', 'c'])
    expect(moved(['a', 'b', 'c'], 2, 0)).toEqual(['c', 'a', 'b'])
    expect(moved(['a', 'b'], 0, -1)).toEqual(['a', 'b'])
    expect(moved(['a', 'b'], 1, 2)).toEqual(['a', 'b'])
  })
  it('compares sources', () => {
    expect(fitsSource('fw-*', 'fw-01')).toBe(true)
    expect(fitsSource('fw-?', 'fw-01')).toBe(false)
    expect(fitsSource('a.b', 'axb')).toBe(false)
    expect(fitsSource('winlog:*', 'winlog:ws-1')).toBe(true)
  })
  it('says which sources a change keeps shorter or longer', () => {
    const before = { rules: [rule('fw-*', null, 90)], default_days: null }
    const after = { rules: [rule('fw-*', 4003, 120), rule('fw-*', null, 90)], default_days: 365 }
    expect(retentionEffect(before, after, ['fw-1', 'dns'])).toEqual({ shorter: ['dns'], longer: ['fw-1'] })
    expect(retentionEffect(before, before, ['fw-1'])).toEqual({ shorter: [], longer: [] })
  })
  it('the first that fits counts', () => {
    const rules = [rule('fw-*', null, 90), rule(null, null, 30)]
    const swapped = { rules: moved(rules, 1, 0), default_days: null }
    expect(retentionEffect({ rules, default_days: null }, swapped, ['fw-1', 'x']).shorter).toEqual(['fw-1'])
  })
  it('finds what is wrong at its place', () => {
    const draft = (source: string, days: string, key = 1) => ({ key, source, classUid: '', days })
    expect(draftTrouble([draft('a', '')], 0)).toContain('whole number')
    expect(draftTrouble([draft('', '5'), draft('a', '5')], 0)).toContain('put it last')
    expect(draftTrouble([draft('a', '5'), draft('', '5')], 1)).toBeNull()
    expect([readDays('0'), readDays('1.5'), readDays('36501'), readDays(' 30 ')]).toEqual([
      null,
      null,
      null,
      30,
    ])
  })
})

describe('confirms', () => {
  it('takes the number or the word, and nothing else', () => {
    expect([confirms('1,204', 1204), confirms('1204', 1204), confirms(' Delete ', 1204)]).toEqual([
      true,
      true,
      true,
    ])
    expect([confirms('', 0), confirms('204', 1204), confirms('yes', 1)]).toEqual([false, false, false])
  })
})
