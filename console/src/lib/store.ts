/** A value outside React that components can follow: used for what belongs to the window, not to a page. */
import { useSyncExternalStore } from 'react'

export interface Store<T> {
  get: () => T
  set: (next: T | ((now: T) => T)) => void
  use: () => T
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial
  const listeners = new Set<() => void>()
  const get = () => value
  const subscribe = (listener: () => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  return {
    get,
    set(next) {
      const after = typeof next === 'function' ? (next as (now: T) => T)(value) : next
      if (Object.is(after, value)) return
      value = after
      for (const listener of listeners) listener()
    },
    use: () => useSyncExternalStore(subscribe, get),
  }
}

function readStorage<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(key)
    return text === null ? fallback : (JSON.parse(text) as T)
  } catch {
    return fallback
  }
}

/** A store whose value this browser remembers. */
export function createStoredStore<T>(key: string, fallback: T): Store<T> {
  const store = createStore(readStorage(key, fallback))
  return {
    ...store,
    set(next) {
      store.set(next)
      try {
        localStorage.setItem(key, JSON.stringify(store.get()))
      } catch {
        // Storage may be full or blocked; the choice then lasts for this page only.
      }
    },
  }
}
