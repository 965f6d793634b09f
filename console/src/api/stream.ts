/** Answers that come bit by bit: server-sent events over a call, so that a body can be sent and the call cancelled. */
import { ApiError, type ProblemBody, send } from './client'

export interface StreamEvent {
  name: string
  data: unknown
}

/** Cuts a stream of server-sent events into its events. */
export class EventCutter {
  private rest = ''

  /** The events that a further piece completes. */
  push(piece: string): StreamEvent[] {
    this.rest += piece
    const blocks = this.rest.split('\n\n')
    this.rest = blocks.pop() ?? ''
    return blocks.map(parseEvent).filter((event) => event.name !== '')
  }
}

function parseEvent(block: string): StreamEvent {
  let name = ''
  const data: string[] = []
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim()
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
  }
  return { name, data: data.length > 0 ? JSON.parse(data.join('\n')) : null }
}

/** Sends a body and gives the events of the answer; `failed` is thrown, and so is an answer that breaks off. */
export async function* streamed(
  path: string,
  body: unknown,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  const response = await send('POST', path, { body, signal, accept: 'text/event-stream' })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  if (!reader) return
  const cutter = new EventCutter()
  let last = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      for (const event of cutter.push(value)) {
        last = event.name
        if (event.name === 'failed') {
          const problem = event.data as ProblemBody
          throw new ApiError(problem.status ?? 500, problem)
        }
        yield event
      }
    }
  } finally {
    void reader.cancel().catch(() => {})
  }
  if (last !== 'end') {
    throw new ApiError(0, {
      code: 'unreachable',
      title: 'The answer broke off',
      detail: 'The answer broke off before its end. Check that watchfloor is running, then try again.',
    })
  }
}
