/** A playbook as a diagram: steps to be moved, connected and removed. Loaded when it is needed. */
import {
  Background,
  Controls,
  type Edge,
  Handle,
  MarkerType,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
} from '@xyflow/react'
import '@xyflow/react/dist/base.css'
import { useMemo } from 'react'
import {
  connect,
  disconnect,
  KIND_WORD,
  type Link,
  layout,
  linksOf,
  type PlaybookDocument,
  place,
  removeStep,
  stepName,
  waysOut,
  wayWord,
} from '../../lib/playbook'
import { visible } from '../../lib/text'

interface StepData extends Record<string, unknown> {
  name: string
  kind: string
  state?: string
  fault?: string
}

interface Props {
  document: PlaybookDocument
  chosen: string | null
  choose: (id: string | null) => void
  /** Changes the document; without, the diagram is only looked at. */
  change?: (document: PlaybookDocument) => void
  /** State of each step of a run. */
  states?: ReadonlyMap<string, string>
  faults?: ReadonlyMap<string, string>
}

function StepNode({ data }: NodeProps<Node<StepData>>) {
  return (
    <div className="step-node" data-state={data.state} data-fault={data.fault}>
      {data.kind !== 'start' && <Handle type="target" position={Position.Left} />}
      <div className="step-kind">{KIND_WORD[data.kind] ?? data.kind}</div>
      <div className="step-title" title={data.name}>
        {data.name}
      </div>
      {waysOut(data.kind).length > 0 && <Handle type="source" position={Position.Right} />}
    </div>
  )
}

const NODE_TYPES = { step: StepNode }
const idOf = (link: Link) => `${link.from} ${link.by} ${link.to}`

export default function Diagram({ document, chosen, choose, change, states, faults }: Props) {
  const nodes = useMemo((): Node<StepData>[] => {
    const points = layout(document)
    return Object.entries(document.workflow).map(([id, step]) => ({
      id,
      type: 'step',
      position: points.get(id) ?? { x: 0, y: 0 },
      selected: id === chosen,
      draggable: change !== undefined,
      ariaLabel: `${KIND_WORD[step.type] ?? step.type}: ${visible(stepName(document, id))}`,
      data: {
        name: visible(stepName(document, id)),
        kind: step.type,
        ...(states?.get(id) ? { state: states.get(id) } : {}),
        ...(faults?.get(id) ? { fault: faults.get(id) } : {}),
      },
    }))
  }, [document, chosen, change, states, faults])
  const edges = useMemo(
    (): Edge[] =>
      linksOf(document).map((link) => ({
        id: idOf(link),
        source: link.from,
        target: link.to,
        label: link.by === 'on_completion' ? undefined : visible(wayWord(link.by)),
        markerEnd: { type: MarkerType.ArrowClosed },
      })),
    [document],
  )
  /** The next free way out of a step, so that drawing a line is enough. */
  const freeWay = (from: string): string => {
    const step = document.workflow[from]
    const ways = waysOut(step?.type ?? '')
    return (
      ways.find((way) => step?.[way] === undefined || way === 'next_steps' || way === 'cases') ??
      ways[0] ??
      ''
    )
  }
  return (
    <div className="diagram">
      <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={NODE_TYPES}
        fitView
        minZoom={0.2}
        nodesConnectable={change !== undefined}
        elementsSelectable
        deleteKeyCode={change ? ['Delete'] : null}
        proOptions={{ hideAttribution: true }}
        onNodeClick={(_, node) => choose(node.id)}
        onPaneClick={() => choose(null)}
        onNodesChange={(changes) => {
          let next = document
          for (const one of changes) {
            if (one.type === 'select' && one.selected) choose(one.id)
            if (one.type === 'position' && one.position) next = place(next, one.id, one.position)
          }
          if (next !== document) change?.(next)
        }}
        onConnect={({ source, target }) => {
          const way = freeWay(source)
          if (way) change?.(connect(document, source, target, way))
        }}
        onDelete={({ nodes: gone, edges: cut }) => {
          let next = document
          for (const link of linksOf(document))
            if (cut.some((edge) => edge.id === idOf(link))) next = disconnect(next, link)
          for (const node of gone) next = removeStep(next, node.id)
          change?.(next)
          choose(null)
        }}
      >
        <Background gap={24} />
        <Controls showInteractive={false} />
      </ReactFlow>
    </div>
  )
}
