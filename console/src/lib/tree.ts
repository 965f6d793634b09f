/** Orders process nodes as a tree with depths, tolerating missing parents and cycles in the data. */
import type { ProcessNode } from '../api/types'

export interface TreeRow {
  node: ProcessNode
  depth: number
}

export function processRows(nodes: readonly ProcessNode[]): TreeRow[] {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const children = new Map<string | null, ProcessNode[]>()
  for (const node of nodes) {
    const parent = node.parent_id && byId.has(node.parent_id) ? node.parent_id : null
    children.set(parent, [...(children.get(parent) ?? []), node])
  }
  const rows: TreeRow[] = []
  const seen = new Set<string>()
  const walk = (node: ProcessNode, depth: number) => {
    if (seen.has(node.id)) return
    seen.add(node.id)
    rows.push({ node, depth })
    for (const child of children.get(node.id) ?? []) walk(child, depth + 1)
  }
  for (const root of children.get(null) ?? []) walk(root, 0)
  // A cycle has no root; its nodes are still shown rather than lost.
  for (const node of nodes) walk(node, 0)
  return rows
}
