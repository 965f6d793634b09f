/** What the hunt asks beside a plain search: answers in parts, what arrives, counts, help, kept questions. */
import { QueryError, search } from './search.mjs'

const ARRIVES_MS = 700

export function huntingRoutes(world, api) {
  const searches = []
  const events = (c) => {
    c.response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    return (name, value) => c.response.write(`event: ${name}\ndata: ${JSON.stringify(value)}\n\n`)
  }
  const guarded = (handle) => (c) => {
    try {
      handle(c)
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      c.problem(400, 'query_invalid', error.message, {
        position: { start: error.start, end: error.end },
        hint: error.hint,
      })
    }
  }
  const found = (id) => searches.find((one) => one.id === id)
  return [
    [
      'POST',
      api('/search/stream'),
      guarded((c) => {
        const { events: list, fields: _, ...rest } = search(world.events, c.body)
        const send = events(c)
        send('part', { ...rest, files: 1, files_read: 1, bytes: 0, events: list })
        send('end', { ...rest, cut: null, unread: [] })
        c.response.end()
      }),
    ],
    [
      'POST',
      api('/search/fields'),
      guarded((c) => {
        const { fields, total } = search(world.events, { ...c.body, order: 'desc', limit: 1 })
        const sum = (field) => field.top.reduce((all, one) => all + one.count, 0)
        const counted = fields.map((field) => ({ ...field, count: sum(field), more: false }))
        c.send({ events: total, exact: true, fields: counted })
      }),
    ],
    [
      'GET',
      api('/events/tail'),
      (c) => {
        const send = events(c)
        send('begun', { mode: 'events', since: 0, rows_per_second: 200 })
        let at = 0
        const timer = setInterval(() => {
          at += 1
          const event = world.events[at % world.events.length]
          const now = new Date().toISOString()
          send('events', { events: [{ ...event, id: `${at}-0`, time: now, received_at: now }], left_out: 0 })
        }, ARRIVES_MS)
        c.request.on('close', () => clearInterval(timer))
      },
    ],
    [
      'POST',
      api('/completions'),
      (c) => {
        const { query, at } = c.body
        const word = /[\w.]*$/.exec(query.slice(0, at))[0]
        const names = [...new Set(world.events.slice(0, 300).flatMap((e) => Object.keys(e.fields)))]
        const items = names
          .filter((name) => word && name.includes(word))
          .map((name) => ({ insert: `${name}:`, label: name, kind: 'field', detail: '', about: '' }))
        c.send({ start: at - word.length, end: at, items })
      },
    ],
    ['GET', api('/searches'), (c) => c.send({ items: searches, next: null })],
    [
      'POST',
      api('/searches'),
      (c) => {
        const now = world.now()
        const made = { id: world.newId('sea'), created_by: c.user.name, created_at: now, version: 1 }
        searches.push({ ...c.body, ...made, updated_at: now, last_run: null, next_run_at: null })
        c.send(searches.at(-1), 201)
      },
    ],
    [
      'PUT',
      api('/searches/:id'),
      (c) => {
        const one = found(c.params[0])
        if (!one) return c.problem(404, 'not_found', 'no such search')
        c.send(Object.assign(one, c.body, { version: one.version + 1 }))
      },
    ],
    [
      'DELETE',
      api('/searches/:id'),
      (c) => {
        searches.splice(searches.indexOf(found(c.params[0])), 1)
        c.send(undefined, 204)
      },
    ],
  ]
}
