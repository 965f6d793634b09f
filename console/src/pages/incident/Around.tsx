/** What lies around the incident: process trees across hosts, ways between them, what is open, what was met. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { incidentContextQuery } from '../../api/queries'
import type { IncidentContext, ProcessNode } from '../../api/types'
import { count, plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Time } from '../../ui/Time'
import { SkeletonRows } from '../../ui/Trouble'
import { Value } from '../../ui/Value'

/** Deeper nodes are drawn at this depth. */
const DEPTH_MAX = 8

function depths(nodes: readonly ProcessNode[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const node of nodes) {
    const parent = node.parent_id ? found.get(node.parent_id) : undefined
    found.set(node.id, parent === undefined ? 0 : Math.min(parent + 1, DEPTH_MAX))
  }
  return found
}

function Tree({ nodes }: { nodes: readonly ProcessNode[] }) {
  const depth = depths(nodes)
  return (
    <ol className="host-tree">
      {nodes.map((node) => (
        <li key={node.id} style={{ paddingLeft: `${(depth.get(node.id) ?? 0) * 16}px` }}>
          <span className={node.is_alerted ? 'strong' : 'muted'}>{visible(node.name)}</span>{' '}
          {node.is_alerted && <span className="tag-alert small">alert</span>}{' '}
          <span className="mono small muted">{visible(node.cmd_line)}</span>
          {node.user && <span className="small muted"> · {visible(node.user)}</span>}
        </li>
      ))}
    </ol>
  )
}

function Ways({ steps }: { steps: IncidentContext['steps'] }) {
  if (steps.length === 0) return null
  return (
    <ol className="plain-list ways" aria-label="Ways between hosts">
      {steps.map((step) => (
        <li key={`${step.from} ${step.to}`} className="row">
          <Time iso={step.at} show="short" />
          <Value kind="host" value={step.from} max={24} />
          <span aria-label="to">→</span>
          <Value kind="host" value={step.to} max={24} />
          <Link to="/alerts/$id" params={{ id: step.alert_id }} className="small">
            {visible(step.title)}
          </Link>
        </li>
      ))}
    </ol>
  )
}

export function Around({ id }: { id: string }) {
  const { data } = useQuery(incidentContextQuery(id))
  if (!data) return <SkeletonRows rows={4} />
  return (
    <>
      <Section
        title="Processes across hosts"
        note={`${plural(data.hosts.length, 'host')}, from ${plural(data.events_read, 'event')}${data.is_capped ? ', the first ones only' : ''}`}
      >
        <Ways steps={data.steps} />
        {data.hosts.length === 0 && <p className="muted quiet">No alert here rests on a process.</p>}
        {data.hosts.map((tree) => (
          <details key={tree.host} className="host" open>
            <summary>
              <strong>{visible(tree.host)}</strong>{' '}
              <span className="muted small">{plural(tree.processes.length, 'process', 'processes')}</span>
            </summary>
            <Tree nodes={tree.processes} />
          </details>
        ))}
      </Section>
      <Section title="Open vulnerabilities" note={count(data.vulnerabilities.length)}>
        {data.vulnerabilities.length === 0 ? (
          <p className="muted quiet">No scanner told of one on these hosts in the last 30 days.</p>
        ) : (
          <ul className="plain-list">
            {data.vulnerabilities.map((open) => (
              <li key={`${open.host} ${open.name}`} className="row">
                <Severity level={open.severity} />
                <span className="strong">{visible(open.name)}</span>
                <Value kind="host" value={open.host} max={24} />
                {open.is_exploited && <span className="small">known to be exploited</span>}
              </li>
            ))}
          </ul>
        )}
      </Section>
      <Section title="Indicators met" note={count(data.indicators.length)}>
        {data.indicators.length === 0 ? (
          <p className="muted quiet">No event of these alerts met an indicator of the lists.</p>
        ) : (
          <ul className="plain-list">
            {data.indicators.map((met) => (
              <li key={met.alert_id} className="row">
                <span>{visible(met.text)}</span>
                <Link to="/alerts/$id" params={{ id: met.alert_id }} className="small">
                  {visible(met.title)}
                </Link>
              </li>
            ))}
          </ul>
        )}
      </Section>
    </>
  )
}
