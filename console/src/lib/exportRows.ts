/** Rows as files. */
import type { RowColumn } from '../api/rows'
import { cellText } from './table'

// A spreadsheet runs a cell that begins so; text of events is hostile.
const FORMULA = /^[=+\-@\t\r]/

function csvCell(value: unknown): string {
  // A number is no formula, and with an apostrophe it would no longer be a number.
  const text = typeof value === 'number' ? String(value) : cellText(value).replace(FORMULA, "'$&")
  return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text
}

export function toCsv(columns: readonly RowColumn[], rows: readonly unknown[][]): string {
  const lines = [columns.map((c) => c.name), ...rows]
  return lines.map((line) => `${columns.map((_, i) => csvCell(line[i])).join(',')}\r\n`).join('')
}

export function toNdjson(columns: readonly RowColumn[], rows: readonly unknown[][]): string {
  return rows
    .map((row) => `${JSON.stringify(Object.fromEntries(columns.map((c, i) => [c.name, row[i] ?? null])))}\n`)
    .join('')
}

/** Gives a text to the browser as a file to keep. */
export function saveText(name: string, type: string, text: string): void {
  saveBlob(name, new Blob([text], { type }))
}

export function saveBlob(name: string, blob: Blob): void {
  const url = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  // The browser reads the text after the click; a second is plenty to begin.
  setTimeout(() => URL.revokeObjectURL(url), 1000)
}
