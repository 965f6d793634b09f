/** Kinds of event by pack: `windows/sysmon_process_creation` is one of the pack `windows`. */
import type { RuleLiveness } from '../api/types'

export interface KindSeen {
  name: string
  events: number
}

/** Rules name the kinds that they meet; many meet the same one, which counts once. */
export function kindsOfPacks(rules: readonly Pick<RuleLiveness, 'kinds'>[]): Map<string, KindSeen[]> {
  const events = new Map<string, number>()
  for (const rule of rules)
    for (const one of rule.kinds) events.set(one.kind, Math.max(one.events, events.get(one.kind) ?? 0))
  const packs = new Map<string, KindSeen[]>()
  for (const [kind, n] of events) {
    const [pack = '', ...rest] = kind.split('/')
    packs.set(pack, [...(packs.get(pack) ?? []), { name: rest.join('/'), events: n }])
  }
  for (const kinds of packs.values())
    kinds.sort((a, b) => b.events - a.events || a.name.localeCompare(b.name))
  return packs
}
