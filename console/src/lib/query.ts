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

/** Adds a clause with AND; a query with a top-level OR is put in brackets so that its meaning stays. */
export function addClause(query: string, field: string | null, value: string, exclude = false): string {
  const piece = exclude ? `NOT ${clause(field, value)}` : clause(field, value)
  const trimmed = query.trim()
  if (!trimmed) return piece
  if (trimmed === piece || trimmed.endsWith(` AND ${piece}`)) return trimmed
  const base = /\bor\b/i.test(trimmed) && !/^\(.*\)$/.test(trimmed) ? `(${trimmed})` : trimmed
  return `${base} AND ${piece}`
}
