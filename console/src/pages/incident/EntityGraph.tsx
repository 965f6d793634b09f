/** Who met what: entities in columns by kind, joined where they occur in the same alert. */
import { useEffect, useMemo, useRef, useState } from 'react'
import type { Alert } from '../../api/types'
import { plural, words } from '../../lib/format'
import { entityGraph, ROWS_MAX } from '../../lib/graph'
import { Section } from '../../ui/Page'
import { Value } from '../../ui/Value'

const ROW = 30
const HEAD = 26

export function EntityGraph({ alerts }: { alerts: readonly Alert[] }) {
  const graph = useMemo(() => entityGraph(alerts), [alerts])
  const ref = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(0)
  const [focus, setFocus] = useState<string | null>(null)
  useEffect(() => {
    const element = ref.current
    if (!element) return
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  if (graph.nodes.length === 0) return null
  const rows = Math.max(...graph.columns.map((_, c) => graph.nodes.filter((n) => n.column === c).length))
  const height = HEAD + rows * ROW + 4
  const columnWidth = width / graph.columns.length
  const chipWidth = Math.min(190, columnWidth - 36)
  const count = (column: number) => graph.nodes.filter((n) => n.column === column).length
  const place = new Map(
    graph.nodes.map((n) => [
      n.id,
      {
        x: n.column * columnWidth,
        y: HEAD + ((n.row + 0.5) / count(n.column)) * rows * ROW,
      },
    ]),
  )
  const left = Object.entries(graph.left)
  return (
    <Section
      title="Entities"
      note={`joined where they occur in the same alert${
        left.length > 0
          ? ` · the ${ROWS_MAX} most frequent of each kind; not drawn: ${left.map(([k, n]) => plural(n, k)).join(', ')}`
          : ''
      }`}
    >
      <div ref={ref} className="graph" style={{ height }}>
        {width > 0 && (
          <>
            <svg width={width} height={height} aria-hidden="true">
              {graph.edges.map((edge) => {
                const a = place.get(edge.from)
                const b = place.get(edge.to)
                if (!a || !b) return null
                const x1 = a.x + chipWidth
                const x2 = b.x
                const mid = (x1 + x2) / 2
                const isOn = focus === edge.from || focus === edge.to
                return (
                  <path
                    key={`${edge.from}${edge.to}`}
                    d={`M${x1} ${a.y}C${mid} ${a.y} ${mid} ${b.y} ${x2} ${b.y}`}
                    className={isOn ? 'edge edge-on' : focus ? 'edge edge-off' : 'edge'}
                    strokeWidth={1 + Math.min(3, Math.log2(edge.weight))}
                  />
                )
              })}
            </svg>
            {graph.columns.map((kind, c) => (
              <span key={kind} className="graph-head" style={{ left: c * columnWidth }}>
                {words(kind)}
              </span>
            ))}
            {graph.nodes.map((node) => {
              const at = place.get(node.id)
              return (
                <div
                  key={node.id}
                  className="graph-node"
                  style={{ left: at?.x, top: (at?.y ?? 0) - 11, width: chipWidth }}
                  onPointerEnter={() => setFocus(node.id)}
                  onPointerLeave={() => setFocus(null)}
                  onFocus={() => setFocus(node.id)}
                  onBlur={() => setFocus(null)}
                >
                  <Value kind={node.kind} value={node.value} max={40} />
                </div>
              )
            })}
          </>
        )}
      </div>
    </Section>
  )
}
