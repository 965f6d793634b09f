/** Small edits on the text of a hunt: the analyst's words are never reparsed, only added to. */

const BARE = /^[A-Za-z0-9_.:\\/@-]+$/
// These words mean something to the hunt language and must be quoted to be values.
const RESERVED = /^(and|or|not|in|exists)$/i

export function quoteValue(value: string): string {
  if (BARE.test(value) && !RESERVED.test(value) && !value.includes(':') && !value.includes('\\')) return value
  return `"${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`
}

export const clause = (field: string | null, value: string): string =>
  field ? `${field}:${quoteValue(value)}` : quoteValue(value)

// What begins a query with verbs although no verb follows yet. Lower case only, as the server reads them.
const PIPE_START =
  /^(?:let\s+[A-Za-z_]\w*\s*=|print\s+(?:\d|[A-Za-z_]\w*\s*[=(])|datatable\s*\(|\/\/|range\s.*\sfrom\s.*\sstep\s)/

/** The place of the first `|` that is not inside of double quotes, or -1. */
function firstPipe(text: string): number {
  let isQuoted = false
  for (let i = 0; i < text.length; i += 1) {
    const c = text[i]
    if (c === '\\' && isQuoted) i += 1
    else if (c === '"') isQuoted = !isQuoted
    else if (c === '|' && !isQuoted) return i
  }
  return -1
}

const SQL_START = /^(?:select\s(?:[\s\S]*\s)?from\s|with\s+\w+\s+as\s*\()/i

/** Whether a query has verbs (`… | summarize …`) or is SQL: its answer is rows and not events. */
export const isPipe = (text: string): boolean =>
  firstPipe(text) >= 0 || PIPE_START.test(text.trimStart()) || SQL_START.test(text.trimStart())

/** The events that a query with verbs starts from; empty where it does not start from a plain search. */
export function pipeHead(text: string): string {
  if (PIPE_START.test(text.trimStart()) || SQL_START.test(text.trimStart())) return ''
  const at = firstPipe(text)
  return (at < 0 ? text : text.slice(0, at)).trim()
}

/**
 * Adds a clause with AND; a query with a top-level OR is put in brackets so that its meaning stays.
 * Behind verbs a clause has no place: a value of a row leads to the events that the rows were made of.
 */
export function addClause(query: string, field: string | null, value: string, exclude = false): string {
  const piece = exclude ? `NOT ${clause(field, value)}` : clause(field, value)
  const trimmed = pipeHead(query)
  if (!trimmed || trimmed === '*') return piece
  if (trimmed === piece || trimmed.endsWith(` AND ${piece}`)) return trimmed
  const base = /\bor\b/i.test(trimmed) && !/^\(.*\)$/.test(trimmed) ? `(${trimmed})` : trimmed
  return `${base} AND ${piece}`
}
