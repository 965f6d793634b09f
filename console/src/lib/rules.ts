/** Which rules a tab shows, and what figures of a rule look like: pure, so that it is tested. */
import type { Bucket, RefusedRule, RuleRow } from '../api/types'

export type RuleTab = 'all' | 'dead' | 'suspended' | 'tested' | 'refused'
export const RULE_TABS: readonly { id: RuleTab; label: string; hint: string }[] = [
  { id: 'all', label: 'All', hint: 'Every rule that is loaded' },
  { id: 'dead', label: 'Dead', hint: 'Could not have fired on the events of the last 24 hours' },
  { id: 'suspended', label: 'Suspended', hint: 'Not evaluated, or catching up' },
  { id: 'tested', label: 'Tested', hint: 'A positive case stands beside the rule and is run as its canary' },
  { id: 'refused', label: 'Refused', hint: 'Files that do not load' },
]

const ON_TAB: Record<Exclude<RuleTab, 'refused'>, (rule: RuleRow) => boolean> = {
  all: () => true,
  dead: (rule) => rule.dead !== null && rule.state !== 'suspended',
  suspended: (rule) => rule.state === 'suspended' || rule.state === 'catching_up',
  tested: (rule) => rule.canary !== 'none',
}

export const ruleTab = (text: string | undefined): RuleTab =>
  RULE_TABS.find((tab) => tab.id === text)?.id ?? 'all'

/** What needs somebody comes first, in the order that the server gave. */
export function onTab(rules: readonly RuleRow[], tab: RuleTab): RuleRow[] {
  if (tab === 'refused') return []
  const shown = rules.filter(ON_TAB[tab])
  if (tab !== 'tested') return shown
  return [...shown.filter((r) => r.canary === 'fail'), ...shown.filter((r) => r.canary !== 'fail')]
}

export function tabCount(tab: RuleTab, rules: readonly RuleRow[], refused: readonly RefusedRule[]): number {
  return tab === 'refused' ? refused.length : rules.filter(ON_TAB[tab]).length
}

const DAY_MS = 86_400_000

/** A value for each of the last days, oldest first; the server leaves empty days out. */
export function lastDays(buckets: readonly Bucket[], days: number, now: number): Bucket[] {
  const today = Math.floor(now / DAY_MS) * DAY_MS
  const counts = new Map(buckets.map((b) => [Math.floor(Date.parse(b.start) / DAY_MS) * DAY_MS, b.count]))
  return Array.from({ length: days }, (_, i) => {
    const start = today - (days - 1 - i) * DAY_MS
    return { start: new Date(start).toISOString(), count: counts.get(start) ?? 0 }
  })
}

/** Microseconds as people read them; the unit changes where the number would get long. */
export function costText(us: number | null | undefined): string {
  if (us === null || us === undefined) return ''
  if (us >= 1000) return `${(us / 1000).toFixed(us >= 10_000 ? 0 : 1)} ms`
  if (us >= 10) return `${us.toFixed(0)} µs`
  if (us >= 0.1) return `${us.toFixed(1)} µs`
  return '< 0.1 µs'
}

export interface DiffLine {
  kind: 'same' | 'added' | 'removed'
  text: string
}

/** Above this many cells the table of a diff costs more than it is worth; whole texts are shown instead. */
const DIFF_CELLS_MAX = 1_000_000

/** The lines of two texts, common ones once (longest common subsequence). */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.replace(/\n$/, '').split('\n')
  const b = after.replace(/\n$/, '').split('\n')
  const line = (kind: DiffLine['kind']) => (text: string) => ({ kind, text })
  if (a.length * b.length > DIFF_CELLS_MAX) return [...a.map(line('removed')), ...b.map(line('added'))]
  const width = b.length + 1
  const common = new Uint32Array((a.length + 1) * width)
  const at = (i: number, j: number) => common[i * width + j] ?? 0
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1))
    }
  }
  const lines: DiffLine[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: 'same', text: a[i] ?? '' })
      i += 1
      j += 1
    } else if (i < a.length && (j >= b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: 'removed', text: a[i] ?? '' })
      i += 1
    } else {
      lines.push({ kind: 'added', text: b[j] ?? '' })
      j += 1
    }
  }
  return lines
}
