/**
 * Keyboard bindings. Pages register theirs while they are shown; the newest registration wins, so a
 * panel can take a key from the page below it. The same registry feeds the help overlay and palette.
 */
import { useEffect, useRef } from 'react'
import { createStore } from './store'

export interface Binding {
  /** `j`, `Enter`, `mod+k`, or a sequence such as `g q`. */
  keys: string
  label: string
  run: (event: KeyboardEvent) => void
  /** Left out of help: a second key for the same thing. */
  quiet?: boolean
}

interface Scope {
  id: symbol
  group: string
  bindings: Binding[]
}

const scopes: Scope[] = []
/** Changes whenever the set of bindings does, so that the help overlay is never stale. */
export const keysVersion = createStore(0)

export function activeScopes(): readonly Scope[] {
  return scopes
}

export function useKeys(group: string, bindings: Binding[], enabled = true): void {
  const latest = useRef(bindings)
  latest.current = bindings
  useEffect(() => {
    if (!enabled) return
    const scope: Scope = {
      id: Symbol(group),
      group,
      get bindings() {
        return latest.current
      },
    }
    scopes.push(scope)
    keysVersion.set((n) => n + 1)
    return () => {
      scopes.splice(scopes.indexOf(scope), 1)
      keysVersion.set((n) => n + 1)
    }
  }, [group, enabled])
}

/** The name of a pressed key as bindings write it. */
export function keyName(event: Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'shiftKey'>): string {
  const named = event.key.length > 1
  const shift = event.shiftKey && named && event.key !== 'Shift' ? 'shift+' : ''
  const mod = event.ctrlKey || event.metaKey ? 'mod+' : ''
  return `${mod}${shift}${mod && !named ? event.key.toLowerCase() : event.key}`
}

const isEditable = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  // A tick box takes no text: the page's keys go on working after it was clicked.
  target.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]') !== null

const isPressable = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  target.closest('button, a, summary, [role="menuitem"], [role="option"]') !== null

const SEQUENCE_MS = 1200
let pending = { prefix: '', at: 0 }

export function handleKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.altKey || event.isComposing) return
  const name = keyName(event)
  if (!name.startsWith('mod+')) {
    if (isEditable(event.target)) {
      if (name === 'Escape') (event.target as HTMLElement).blur()
      return
    }
    if (document.querySelector('dialog[open]')) return
    if ((name === 'Enter' || name === ' ') && isPressable(event.target)) return
  }
  const isSequence = pending.prefix !== '' && event.timeStamp - pending.at < SEQUENCE_MS
  const full = isSequence ? `${pending.prefix} ${name}` : name
  pending = { prefix: '', at: 0 }
  for (let i = scopes.length - 1; i >= 0; i -= 1) {
    const bindings = scopes[i]?.bindings ?? []
    const exact = bindings.find((b) => b.keys === full)
    if (exact) {
      event.preventDefault()
      exact.run(event)
      return
    }
    if (bindings.some((b) => b.keys.startsWith(`${full} `))) {
      pending = { prefix: full, at: event.timeStamp }
      event.preventDefault()
      return
    }
  }
}

const isMac = typeof navigator !== 'undefined' && /Mac/.test(navigator.platform)
const LABELS: Record<string, string> = {
  ArrowDown: '↓',
  ArrowUp: '↑',
  Escape: 'Esc',
  ' ': 'Space',
}

/** The caps to draw for a binding: `mod+k` → `Ctrl K`. */
export function keyCaps(keys: string): string[] {
  return keys
    .split(' ')
    .flatMap((part) => (part.startsWith('mod+') ? ['mod', part.slice(4).toUpperCase()] : part.split('+')))
    .map((part) =>
      part === 'mod' ? (isMac ? '⌘' : 'Ctrl') : part === 'shift' ? 'Shift' : (LABELS[part] ?? part),
    )
}
