/** Reads the list in which an event keeps what was added to it from elsewhere (OCSF `enrichments`). */
import type { SocEvent } from '../api/types'
import { valueText } from './text'

export interface AddedValue {
  /** Attribute that was added. */
  path: string
  value: string
  /** Kind of knowledge: geo, asset, identity, lease, nat, indicator. */
  type: string
  /** Where it came from. */
  provider: string
}

const MAX_SHOWN = 100

/** Text that is no such list adds nothing. */
export function enrichmentsOf(event: SocEvent): AddedValue[] {
  const text = valueText(event.fields.enrichments)
  if (!text) return []
  let list: unknown
  try {
    list = JSON.parse(text)
  } catch {
    return []
  }
  if (!Array.isArray(list)) return []
  const added = list.flatMap((note): AddedValue[] => {
    if (typeof note !== 'object' || note === null || typeof note.data !== 'object' || note.data === null)
      return []
    const about = { type: String(note.type ?? ''), provider: String(note.provider ?? '') }
    return Object.entries(note.data).map(([path, value]) => ({ path, value: String(value), ...about }))
  })
  return added.slice(0, MAX_SHOWN)
}

export interface AddedBy extends AddedValue {
  events: number
}

/** Who added which attribute to how many of some events, with the first value as an example. */
export function addedBy(events: readonly SocEvent[]): AddedBy[] {
  const found = new Map<string, AddedBy>()
  for (const event of events) {
    const seen = new Set<string>()
    for (const one of enrichmentsOf(event)) {
      const key = [one.provider, one.type, one.path].join('\n')
      if (seen.has(key)) continue
      seen.add(key)
      const before = found.get(key)
      found.set(key, before ? { ...before, events: before.events + 1 } : { ...one, events: 1 })
    }
  }
  return [...found.values()].sort(
    (a, b) => a.provider.localeCompare(b.provider) || b.events - a.events || a.path.localeCompare(b.path),
  )
}
