/** Just enough of the hunt language for development: words, field:value, quotes, *, AND, NOT. */

export class QueryError extends Error {
  constructor(message, start, end, hint) {
    super(message)
    Object.assign(this, { start, end, hint })
  }
}

function tokens(text) {
  const list = []
  const pattern = /\s+|\(|\)|NOT\b|AND\b|OR\b|([\w.@-]+:)?("(?:\\.|[^"\\])*"|[^\s()"]+)|"/g
  for (const match of text.matchAll(pattern)) {
    if (!match[0].trim()) continue
    if (match[0] === '"') {
      throw new QueryError(
        'A quotation mark is not closed.',
        match.index,
        text.length,
        'Add a closing " after the value.',
      )
    }
    list.push({ text: match[0], start: match.index, field: match[1]?.slice(0, -1), value: match[2] })
  }
  return list
}

const unquote = (v) => (v.startsWith('"') ? v.slice(1, -1).replace(/\\(.)/g, '$1') : v)

export function compile(text) {
  const clauses = []
  let isNot = false
  for (const token of tokens(text)) {
    if (token.text === 'NOT') isNot = true
    else if (token.text === 'AND' || token.text === '(' || token.text === ')') continue
    else if (token.text === 'OR') continue
    else {
      if (/^[\w.@-]+:$/.test(token.text)) {
        throw new QueryError(
          'A value is missing after the colon.',
          token.start,
          token.start + token.text.length,
          'Write field:value, for example device.hostname:WS-042.',
        )
      }
      const needle = unquote(token.value).toLowerCase()
      const parts = needle.split('*')
      clauses.push({ field: token.field, parts, isNot })
      isNot = false
    }
  }
  const matches = (value, parts) => {
    const v = String(value ?? '').toLowerCase()
    if (parts.length === 1) return v === parts[0]
    return v.startsWith(parts[0]) && v.endsWith(parts.at(-1)) && parts.every((p) => v.includes(p))
  }
  return (event) =>
    clauses.every(({ field, parts, isNot: not }) => {
      const yes = field
        ? matches(field === 'source' ? event.source : event.fields[field], parts)
        : parts.every((p) =>
            `${event.raw} ${event.message} ${Object.values(event.fields).join(' ')}`
              .toLowerCase()
              .includes(p),
          )
      return yes !== not
    })
}

export function search(events, { query, from, to, limit, order }) {
  const test = compile(query ?? '')
  const found = events
    .filter((e) => (!from || e.time >= from) && (!to || e.time < to) && test(e))
    .sort((a, b) => (order === 'asc' ? a.time.localeCompare(b.time) : b.time.localeCompare(a.time)))
  const times = found.map((e) => Date.parse(e.time))
  const low = from ? Date.parse(from) : Math.min(...times, Date.now())
  const high = to ? Date.parse(to) : Date.now()
  const seconds = Math.max(1, Math.ceil((high - low) / 1000 / 90))
  const n = Math.ceil((high - low) / 1000 / seconds)
  const counts = new Array(Math.max(1, n)).fill(0)
  for (const t of times) counts[Math.min(counts.length - 1, Math.floor((t - low) / 1000 / seconds))] += 1
  const fields = new Map()
  for (const event of found) {
    for (const [name, value] of Object.entries({ source: event.source, ...event.fields })) {
      const values = fields.get(name) ?? new Map()
      values.set(value, (values.get(value) ?? 0) + 1)
      fields.set(name, values)
    }
  }
  return {
    events: found.slice(0, limit),
    total: found.length,
    unread: [],
    cut: null,
    capped: false,
    histogram: counts.map((count, i) => ({ start: new Date(low + i * seconds * 1000).toISOString(), count })),
    bucket_seconds: seconds,
    took_ms: 12,
    fields: [...fields].map(([name, values]) => ({
      name,
      distinct: values.size,
      top: [...values]
        .sort((a, b) => b[1] - a[1])
        .slice(0, 10)
        .map(([value, count]) => ({ value, count })),
    })),
  }
}
