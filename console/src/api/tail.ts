/** What arrives for a query, as it arrives. Rows wait while somebody reads, and what does not fit is counted. */
import { useEffect, useRef, useState } from 'react'
import type { ProblemBody } from './client'
import type { RowColumn, RowResult } from './rows'
import type { SocEvent } from './types'

/** Rows that are kept, and rows that wait, at most. */
const KEPT = 2000
/** Rows are put in place this often, so that what is read does not flicker. */
const SETTLE_MS = 400
const RETRY_MS = 3000

export type TailMode = 'connecting' | 'events' | 'rows' | 'replaced'

export interface Tail {
  mode: TailMode
  isOpen: boolean
  begun: string
  events: SocEvent[]
  columns: RowColumn[]
  rows: unknown[][]
  answer: RowResult | null
  /** Rows that wait until nobody reads. */
  waiting: number
  /** Rows that arrived, shown or not. */
  arrived: number
  /** Rows that the server left out since too many arrived in a second. */
  leftOut: number
  /** Events that arrived too fast for this browser. */
  missed: number
  /** Times that the connection was lost: what arrived meanwhile is not here. */
  gaps: number
  failed: ProblemBody | null
}

const EMPTY: Tail = {
  mode: 'connecting',
  isOpen: false,
  begun: '',
  events: [],
  columns: [],
  rows: [],
  answer: null,
  waiting: 0,
  arrived: 0,
  leftOut: 0,
  missed: 0,
  gaps: 0,
  failed: null,
}

interface Waiting {
  events: SocEvent[]
  rows: unknown[][]
  answer: RowResult | null
}

const none = (): Waiting => ({ events: [], rows: [], answer: null })

/** Newest first, the oldest go. */
const before = <T>(newer: readonly T[], known: readonly T[]): T[] =>
  [...newer].reverse().concat(known).slice(0, KEPT)

/** Follows a query while `isOn`; while `isHeld` what arrives waits. */
export function useTail(query: string, isOn: boolean, isHeld: boolean): Tail {
  const [tail, setTail] = useState(EMPTY)
  const waiting = useRef(none())
  const held = useRef(isHeld)
  held.current = isHeld
  useEffect(() => {
    if (!isOn) return
    setTail(EMPTY)
    waiting.current = none()
    return connect(query, waiting.current, setTail)
  }, [query, isOn])
  useEffect(() => {
    if (!isOn) return
    const settle = () => {
      const wait = waiting.current
      if (held.current || (wait.events.length === 0 && wait.rows.length === 0 && !wait.answer)) return
      const { events, rows, answer } = wait
      Object.assign(wait, none())
      setTail((now) => ({
        ...now,
        events: before(events, now.events),
        rows: before(rows, now.rows),
        answer: answer ?? now.answer,
        waiting: 0,
      }))
    }
    if (!isHeld) settle()
    const timer = setInterval(settle, SETTLE_MS)
    return () => clearInterval(timer)
  }, [isOn, isHeld])
  return tail
}

type Change = (change: (now: Tail) => Tail) => void

function connect(query: string, waiting: Waiting, change: Change): () => void {
  let retry: ReturnType<typeof setTimeout> | undefined
  let source: EventSource | undefined
  let wasOpen = false
  const wait = (list: unknown[], more: unknown[], leftOut: number) => {
    list.push(...more)
    if (list.length > KEPT) list.splice(0, list.length - KEPT)
    change((now) => ({
      ...now,
      arrived: now.arrived + more.length + leftOut,
      leftOut: now.leftOut + leftOut,
      waiting: waiting.events.length + waiting.rows.length,
    }))
  }
  const open = () => {
    const stream = new EventSource(`/api/v1/events/tail?q=${encodeURIComponent(query)}`)
    source = stream
    const on = <T>(name: string, handle: (data: T) => void) =>
      stream.addEventListener(name, (event) => handle(JSON.parse((event as MessageEvent<string>).data) as T))
    on<{ mode: TailMode }>('begun', ({ mode }) => {
      const gap = wasOpen && mode !== 'replaced' ? 1 : 0
      wasOpen = true
      change((now) => ({
        ...now,
        mode,
        isOpen: true,
        begun: now.begun || new Date().toISOString(),
        gaps: now.gaps + gap,
      }))
    })
    on<{ events: SocEvent[]; left_out: number }>('events', (data) =>
      wait(waiting.events, data.events, data.left_out),
    )
    on<{ columns: RowColumn[]; rows: unknown[][]; left_out: number }>('rows', (data) => {
      change((now) => (now.columns.length > 0 ? now : { ...now, columns: data.columns }))
      wait(waiting.rows, data.rows, data.left_out)
    })
    on<RowResult>('replaced', (answer) => {
      waiting.answer = answer
    })
    on<number>('lagged', (missed) => change((now) => ({ ...now, missed: now.missed + missed })))
    on<ProblemBody>('failed', (failed) => {
      stream.close()
      change((now) => ({ ...now, isOpen: false, failed }))
    })
    stream.onerror = () => {
      change((now) => ({ ...now, isOpen: false }))
      if (stream.readyState !== EventSource.CLOSED) return
      clearTimeout(retry)
      retry = setTimeout(open, RETRY_MS)
    }
  }
  open()
  return () => {
    clearTimeout(retry)
    source?.close()
  }
}
