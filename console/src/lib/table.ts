/** The cells of a result of rows: as text, as numbers, and in order. */
import type { ColumnKind, RowColumn } from '../api/rows'
import { valueText } from './text'

export interface RowSort {
  name: string
  isDown: boolean
}

export const isNumeric = (kind: ColumnKind): boolean => kind === 'long' || kind === 'real'

/** A cell as one line of text; lists are comma separated. */
export function cellText(value: unknown): string {
  return Array.isArray(value) ? value.map(valueText).join(', ') : valueText(value)
}

export function cellNumber(value: unknown): number | null {
  if (value === null || value === undefined || value === '') return null
  const n = typeof value === 'number' ? value : Number(value)
  return Number.isFinite(n) ? n : null
}

export function cellTime(value: unknown): number | null {
  const at = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(at) ? null : at
}

const SPAN = /^(-)?(?:(\d+)\.)?(\d+):(\d\d):(\d\d(?:\.\d+)?)$/

/** Seconds of `1.02:03:04.5`, or the number itself. */
export function cellSpan(value: unknown): number | null {
  const match = typeof value === 'string' ? SPAN.exec(value) : null
  if (!match) return cellNumber(value)
  const [, minus, days = '0', hours, minutes, seconds] = match
  const total = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)
  return minus ? -total : total
}

/** What a cell is ordered by. */
function sortKey(kind: ColumnKind, value: unknown): number | string | null {
  if (value === null || value === undefined) return null
  if (isNumeric(kind)) return cellNumber(value)
  if (kind === 'time') return cellTime(value)
  if (kind === 'span') return cellSpan(value) ?? cellText(value)
  return cellText(value)
}

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' })

function compare(a: number | string, b: number | string): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : collator.compare(String(a), String(b))
}

/** The rows in the order of a column; without one, as the server gave them. Nothing is last either way. */
export function sortRows(
  columns: readonly RowColumn[],
  rows: readonly unknown[][],
  sort: RowSort | null,
): readonly unknown[][] {
  const at = sort ? columns.findIndex((c) => c.name === sort.name) : -1
  const column = columns[at]
  if (!sort || !column) return rows
  const sign = sort.isDown ? -1 : 1
  return rows
    .map((row) => ({ row, key: sortKey(column.kind, row[at]) }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) return Number(a.key === null) - Number(b.key === null)
      return sign * compare(a.key, b.key)
    })
    .map((x) => x.row)
}

/** A click on a heading: up, then down, then the server's order again. */
export function nextSort(sort: RowSort | null, name: string): RowSort | null {
  if (sort?.name !== name) return { name, isDown: false }
  return sort.isDown ? null : { name, isDown: true }
}

/** The order as it stands in the address: `up:name` or `down:name`. */
export const sortToText = (sort: RowSort | null): string | null =>
  sort && `${sort.isDown ? 'down' : 'up'}:${sort.name}`

export function sortFromText(text: string | undefined): RowSort | null {
  const match = /^(up|down):(.*)$/s.exec(text ?? '')
  return match ? { name: match[2] ?? '', isDown: match[1] === 'down' } : null
}
