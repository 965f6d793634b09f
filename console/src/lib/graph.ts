/**
 * Lays out entities in columns by kind, ordered so that what occurs together stands at the same
 * height. Columns were chosen over a force layout: the same incident always looks the same.
 */
import type { Alert, Entity } from '../api/types'

export interface GraphNode {
  id: string
  kind: string
  value: string
  column: number
  row: number
  weight: number
}

export interface GraphEdge {
  from: string
  to: string
  weight: number
}

export interface Graph {
  columns: string[]
  nodes: GraphNode[]
  edges: GraphEdge[]
  /** How many entities the row limit left out, by kind. */
  left: Record<string, number>
}

const COLUMN_ORDER = ['address', 'domain', 'url', 'host', 'user', 'process', 'file', 'hash']
const SWEEPS = 4
export const ROWS_MAX = 10

const idOf = (e: Entity) => `${e.kind}\n${e.value}`
const orderOf = (kind: string) => {
  const at = COLUMN_ORDER.indexOf(kind)
  return at < 0 ? COLUMN_ORDER.length : at
}

const byKind = (a: string, b: string) => orderOf(a) - orderOf(b) || a.localeCompare(b)

export function entityGraph(alerts: readonly Pick<Alert, 'entities'>[]): Graph {
  const weights = new Map<string, { entity: Entity; weight: number }>()
  const pairs = new Map<string, GraphEdge>()
  for (const alert of alerts) {
    const unique = [...new Map(alert.entities.map((e) => [idOf(e), e])).values()]
    for (const entity of unique) {
      const known = weights.get(idOf(entity))
      weights.set(idOf(entity), { entity, weight: (known?.weight ?? 0) + 1 })
    }
    // Within an alert each kind is joined to the next kind that it has: all pairs would be a thicket.
    const present = [...new Set(unique.map((e) => e.kind))].sort(byKind)
    for (const [i, kind] of present.entries()) {
      for (const a of unique.filter((e) => e.kind === kind)) {
        for (const b of unique.filter((e) => e.kind === present[i + 1])) {
          const [from, to] = [idOf(a), idOf(b)]
          const edge = pairs.get(`${from}\t${to}`) ?? { from, to, weight: 0 }
          edge.weight += 1
          pairs.set(`${from}\t${to}`, edge)
        }
      }
    }
  }
  const kinds = [...new Set([...weights.values()].map((w) => w.entity.kind))].sort(byKind)
  const left: Record<string, number> = {}
  const byColumn = kinds.map((kind) => {
    const all = [...weights.entries()]
      .filter(([, w]) => w.entity.kind === kind)
      .sort((a, b) => b[1].weight - a[1].weight || a[0].localeCompare(b[0]))
    if (all.length > ROWS_MAX) left[kind] = all.length - ROWS_MAX
    return all.slice(0, ROWS_MAX).map(([id]) => id)
  })
  const shown = new Set(byColumn.flat())
  const edges = [...pairs.values()].filter((e) => shown.has(e.from) && shown.has(e.to))
  sweep(byColumn, edges)
  const nodes = byColumn.flatMap((ids, column) =>
    ids.flatMap((id, row) => {
      const known = weights.get(id)
      return known
        ? [{ id, kind: known.entity.kind, value: known.entity.value, column, row, weight: known.weight }]
        : []
    }),
  )
  return { columns: kinds, nodes, edges, left }
}

/** Barycentre ordering: each node goes to the mean height of its neighbours, a few times over. */
function sweep(columns: string[][], edges: readonly GraphEdge[]): void {
  const neighbours = new Map<string, string[]>()
  for (const { from, to } of edges) {
    neighbours.set(from, [...(neighbours.get(from) ?? []), to])
    neighbours.set(to, [...(neighbours.get(to) ?? []), from])
  }
  for (let i = 0; i < SWEEPS; i += 1) {
    const height = new Map(
      columns.flatMap((ids) => ids.map((id, row) => [id, (row + 0.5) / ids.length] as const)),
    )
    for (const ids of columns) {
      const center = (id: string) => {
        const near = neighbours.get(id) ?? []
        if (near.length === 0) return height.get(id) ?? 0
        return near.reduce((total, n) => total + (height.get(n) ?? 0), 0) / near.length
      }
      const centers = new Map(ids.map((id) => [id, center(id)]))
      ids.sort((a, b) => (centers.get(a) ?? 0) - (centers.get(b) ?? 0) || a.localeCompare(b))
    }
  }
}
