/**
 * A server for development and for trying the end-to-end test: the wire contract in memory, with
 * invented data and the built console. It is a test tool and never part of the product.
 *
 *   node e2e/mock.mjs [--port 8787] [--alerts 400]
 */
import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { parseArgs } from 'node:util'
import { routes } from './mock/routes.mjs'
import { makeWorld } from './mock/world.mjs'

const { values } = parseArgs({
  options: { port: { type: 'string', default: '8787' }, alerts: { type: 'string', default: '400' } },
})
const dist = new URL('../dist', import.meta.url).pathname
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'"

const world = makeWorld(Number(values.alerts))
const table = routes(world)
let requests = 0

function answer(response, status, body, headers = {}) {
  const isProblem = status >= 400
  const text = body === undefined ? '' : JSON.stringify(body)
  response.writeHead(status, {
    'content-type': isProblem ? 'application/problem+json' : 'application/json',
    ...headers,
  })
  response.end(text)
}

function serveFile(response, path) {
  const wanted = join(dist, normalize(path))
  const isFile = existsSync(wanted) && statSync(wanted).isFile()
  if (!isFile && extname(path))
    return answer(response, 404, { title: 'not found', status: 404, code: 'not_found' })
  const file = isFile ? wanted : join(dist, 'index.html')
  response.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': POLICY,
  })
  createReadStream(file).pipe(response)
}

async function readBody(request) {
  const chunks = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://mock')
  if (!/^\/(api|ingest)\//.test(url.pathname)) return serveFile(response, url.pathname)
  requests += 1
  const requestId = `req-${requests}`
  const problem = (status, code, detail, more = {}) =>
    answer(response, status, {
      type: 'about:blank',
      title: code.replace(/_/g, ' '),
      status,
      detail,
      code,
      request_id: requestId,
      ...more,
    })
  for (const [method, pattern, handle, isOpen] of table) {
    const match = method === request.method && pattern.exec(url.pathname)
    if (!match) continue
    const cookie = /wf_session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1]
    const user = world.sessions.get(cookie)
    if (!user && !isOpen) {
      return problem(401, 'unauthenticated', 'sign in first', { setup_required: world.users.length === 0 })
    }
    if (cookie && method !== 'GET' && request.headers['x-watchfloor'] !== '1' && !isOpen) {
      return problem(403, 'csrf', 'the header X-Watchfloor is missing')
    }
    const text = await readBody(request)
    try {
      const body = text && url.pathname.startsWith('/api') ? JSON.parse(text) : text
      return handle({
        params: match.slice(1).map(decodeURIComponent),
        query: url.searchParams,
        body,
        user,
        request,
        response,
        problem,
        send: (b, status = 200, headers) => answer(response, status, b, headers),
      })
    } catch (error) {
      console.error(error)
      return problem(500, 'internal', String(error))
    }
  }
  problem(404, 'not_found', `no route ${request.method} ${url.pathname}`)
})
server.listen(Number(values.port), '127.0.0.1', () => {
  const url = `http://127.0.0.1:${server.address().port}`
  console.log(`ready ${url}`)
  console.log(`setup ${url}/setup#token=mock-setup`)
})
