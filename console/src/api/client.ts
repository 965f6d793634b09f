/**
 * The one place that talks HTTP. It adds the header that proves the call came from this console
 * (the cookie alone is not enough for a change), turns RFC 9457 problems into `ApiError`, and
 * reports a lost session to whoever listens.
 */

export interface ProblemBody {
  title?: string
  status?: number
  detail?: string
  code?: string
  request_id?: string
  fields?: { field: string; reason: string }[]
  setup_required?: boolean
  position?: { start: number; end: number }
  hint?: string
  current?: unknown
}

export class ApiError extends Error {
  readonly status: number
  readonly problem: ProblemBody

  constructor(status: number, problem: ProblemBody) {
    super(problem.detail ?? problem.title ?? `the server answered ${status}`)
    this.name = 'ApiError'
    this.status = status
    this.problem = problem
  }

  get code(): string {
    return this.problem.code ?? 'unknown'
  }
}

type SignedOut = () => void
let onSignedOut: SignedOut = () => {}

/** Sets what happens when the server says that the session is gone. */
export function setSignedOutHandler(handler: SignedOut): void {
  onSignedOut = handler
}

export type Query = Record<string, string | number | boolean | null | undefined>

export function withQuery(path: string, query?: Query): string {
  if (!query) return path
  const params = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') params.set(key, String(value))
  }
  const text = params.toString()
  return text ? `${path}?${text}` : path
}

async function readProblem(response: Response): Promise<ProblemBody> {
  try {
    return (await response.json()) as ProblemBody
  } catch {
    return { title: response.statusText || `HTTP ${response.status}` }
  }
}

interface CallOptions {
  query?: Query
  body?: unknown
  version?: number
  signal?: AbortSignal
}

async function call<T>(method: string, path: string, options: CallOptions): Promise<T> {
  const headers: Record<string, string> = { 'X-Watchfloor': '1', Accept: 'application/json' }
  if (options.body !== undefined) headers['Content-Type'] = 'application/json'
  if (options.version !== undefined) headers['If-Match'] = `"${options.version}"`
  let response: Response
  try {
    response = await fetch(withQuery(`/api/v1${path}`, options.query), {
      method,
      headers,
      credentials: 'same-origin',
      body: options.body === undefined ? undefined : JSON.stringify(options.body),
      signal: options.signal,
    })
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ApiError(0, {
      code: 'unreachable',
      title: 'The server cannot be reached',
      detail: 'The server cannot be reached. Check that watchfloor is running, then try again.',
    })
  }
  if (!response.ok) {
    const problem = await readProblem(response)
    problem.request_id ??= response.headers.get('x-request-id') ?? undefined
    if (response.status === 401 && problem.code === 'unauthenticated') onSignedOut()
    throw new ApiError(response.status, problem)
  }
  if (response.status === 204) return undefined as T
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

export const api = {
  get: <T>(path: string, query?: Query, signal?: AbortSignal) => call<T>('GET', path, { query, signal }),
  post: <T>(path: string, body: unknown = {}, signal?: AbortSignal) =>
    call<T>('POST', path, { body, signal }),
  patch: <T>(path: string, body: unknown, version?: number) => call<T>('PATCH', path, { body, version }),
  put: <T>(path: string, body: unknown) => call<T>('PUT', path, { body }),
  delete: <T>(path: string) => call<T>('DELETE', path, {}),
}
