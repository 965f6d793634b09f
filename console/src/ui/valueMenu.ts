/** The one card that opens at a value: what it is, and what can be done with it. */
import { createStore } from '../lib/store'

export interface ValueTarget {
  kind: string
  value: string
  /** The event field it came from; without one a hunt looks for the value anywhere. */
  field?: string
  role?: string | null
  rect: DOMRect
  /** Opened on purpose (keyboard or right click): takes the focus and stays. */
  pinned: boolean
  opener: HTMLElement
}

const OPEN_MS = 450
const CLOSE_MS = 180
export const valueMenu = createStore<ValueTarget | null>(null)
let timer: ReturnType<typeof setTimeout> | undefined

export function showValue(target: ValueTarget): void {
  clearTimeout(timer)
  if (target.pinned) valueMenu.set(target)
  else if (!valueMenu.get()?.pinned) timer = setTimeout(() => valueMenu.set(target), OPEN_MS)
}

export function leaveValue(): void {
  clearTimeout(timer)
  if (!valueMenu.get()?.pinned) timer = setTimeout(() => valueMenu.set(null), CLOSE_MS)
}

export function keepValue(): void {
  clearTimeout(timer)
}

export function closeValue(): void {
  clearTimeout(timer)
  const target = valueMenu.get()
  valueMenu.set(null)
  if (target?.pinned) target.opener.focus()
}
