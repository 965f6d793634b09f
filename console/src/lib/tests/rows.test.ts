import { describe, expect, it } from 'vitest'
import type { ColumnKind, RowColumn } from '../../api/rows'
import { toCsv, toNdjson } from '../exportRows'
import { numberTicks } from '../scale'
import { barSet, LINES_MAX, lineSet, runs } from '../series'
import { cellSpan, nextSort, sortFromText, sortRows, sortToText } from '../table'

const columns = (...kinds: ColumnKind[]): RowColumn[] => kinds.map((kind, i) => ({ name: `c${i}`, kind }))

describe('sortRows', () => {
  const check = (kind: ColumnKind, values: unknown[], isDown: boolean, expected: unknown[]) => {
    const rows = values.map((v) => [v])
    expect(sortRows(columns(kind), rows, { name: 'c0', isDown }).map((r) => r[0])).toEqual(expected)
  }
  it('orders by kind, with nothing last either way', () => {
    check('long', [10, 9, null, 100], false, [9, 10, 100, null])
    check('long', [10, 9, null, 100], true, [100, 10, 9, null])
    check('real', [-0.5, 0.25, -2], false, [-2, -0.5, 0.25])
    check('text', ['b', 'a10', 'a9'], false, ['a9', 'a10', 'b'])
    check('time', ['2026-01-01T00:00:00+02:00', '2025-12-31T22:30:00Z'], true, [
      '2025-12-31T22:30:00Z',
      '2026-01-01T00:00:00+02:00',
    ])
    check('span', ['1.00:00:00', '02:00:00'], false, ['02:00:00', '1.00:00:00'])
  })
  it('keeps the order of the server without a column', () => {
    const rows = [[2], [1]]
    expect(sortRows(columns('long'), rows, null)).toBe(rows)
    expect(sortRows(columns('long'), rows, { name: 'gone', isDown: true })).toBe(rows)
  })
  it('turns on the third click', () => {
    const up = nextSort(null, 'a')
    const down = nextSort(up, 'a')
    expect([up, down, nextSort(down, 'a')]).toEqual([
      { name: 'a', isDown: false },
      { name: 'a', isDown: true },
      null,
    ])
    expect(sortFromText(sortToText(down) ?? '')).toEqual(down)
    expect(sortFromText('x')).toBeNull()
  })
  it('reads spans', () => {
    expect(cellSpan('1.02:03:04.5')).toBe(93_784.5)
    expect(cellSpan('-00:01:00')).toBe(-60)
    expect(cellSpan(7)).toBe(7)
  })
})

describe('export', () => {
  it('writes CSV that no spreadsheet runs', () => {
    const rows = [
      ['=1+1', -5, ['a', 'b']],
      ['say "x"', null, []],
      ['-x', 1, ['@y']],
    ]
    expect(toCsv(columns('text', 'long', 'list'), rows)).toBe(
      'c0,c1,c2\r\n\'=1+1,-5,"a, b"\r\n"say ""x""",,\r\n\'-x,1,\'@y\r\n',
    )
  })
  it('writes an object a line', () => {
    expect(toNdjson(columns('text', 'long'), [['a\n', 1], ['b']])).toBe(
      '{"c0":"a\\n","c1":1}\n{"c0":"b","c1":null}\n',
    )
  })
})

describe('charts', () => {
  const hour = (h: number) => new Date(Date.UTC(2026, 0, 1, h)).toISOString()
  it('takes the largest bars and tells the rest', () => {
    const rows = Array.from({ length: 33 }, (_, i) => [`n${i}`, i])
    const set = barSet(columns('text', 'long'), rows)
    expect(set?.bars[0]).toEqual({ name: 'n32', value: 32 })
    expect(set?.left).toBe(3)
    expect(barSet(columns('text'), rows)).toBeNull()
  })
  it('makes a line of each text', () => {
    const rows = Array.from({ length: 10 }, (_, i) => [`u${i}`, hour(1), i + 1])
    const set = lineSet(columns('text', 'time', 'long'), rows)
    expect(set?.lines).toHaveLength(LINES_MAX)
    expect(set?.lines[0]?.name).toBe('u9')
    expect(set?.left).toBe(2)
  })
  it('makes a line of each column without a text', () => {
    const set = lineSet(columns('time', 'long', 'real'), [
      [hour(2), 1, 0.5],
      [hour(1), 3, null],
    ])
    expect(set?.lines.map((l) => [l.name, l.points.map((p) => p.value)])).toEqual([
      ['c1', [3, 1]],
      ['c2', [0.5]],
    ])
    expect(lineSet(columns('text', 'long'), [])).toBeNull()
  })
  it('cuts a line where bins are missing', () => {
    const set = lineSet(
      columns('time', 'long'),
      [1, 2, 3, 6, 7].map((h) => [hour(h), h]),
    )
    expect(runs(set?.lines[0]?.points ?? [], set?.step ?? null).map((r) => r.length)).toEqual([3, 2])
  })
  it('does not take single events for bins', () => {
    const times = [0, 1, 90_001, 4_000_000].map((ms) => [new Date(ms).toISOString(), 1])
    expect(lineSet(columns('time', 'long'), times)?.step).toBeNull()
  })
  it('finds round numbers', () => {
    expect(numberTicks(0, 7, 4)).toEqual([0, 2, 4, 6, 8])
    expect(numberTicks(0, 0.3, 3)).toEqual([0, 0.1, 0.2, 0.3])
  })
})
