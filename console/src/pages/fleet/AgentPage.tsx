/** One agent: its host, its health, what is doubtful, and what can be done there. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { textDialog } from '../../actions/noteDialog'
import { actDialog, useMay } from '../../actions/response'
import { api } from '../../api/client'
import { agentQuery, fleetQuery } from '../../api/queries'
import type { Agent } from '../../api/types'
import { bytes, count } from '../../lib/format'
import { visible } from '../../lib/text'
import { Menu } from '../../ui/Menu'
import { PageHead, Section } from '../../ui/Page'
import { Ago, Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { AgentState, DOUBT_WORD } from './marks'

export default function AgentPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const { data, error, refetch } = useQuery(agentQuery(id))
  if (error && !data)
    return <Problem what="The agent did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={12} />
  return (
    <div className="page">
      <PageHead
        title={visible(data.host)}
        meta={
          <span className="muted">
            <AgentState agent={data} /> · <span className="mono">{data.id}</span>
          </span>
        }
      >
        <Tools agent={data} />
      </PageHead>
      <DoubtList agent={data} />
      <div className="storage-columns">
        <Host agent={data} />
        <Health agent={data} />
      </div>
      <Collectors agent={data} />
    </div>
  )
}

function Tools({ agent }: { agent: Agent }) {
  const client = useQueryClient()
  const mayManage = useMay('fleet.manage')
  const mayAct = useMay('actions.propose')
  const groups = useQuery(fleetQuery).data?.groups ?? []
  const path = `/fleet/agents/${encodeURIComponent(agent.id)}`
  const refresh = () => client.invalidateQueries({ queryKey: ['agent', agent.id] })
  const revoke = () =>
    textDialog({
      title: `Take back the certificate of ${visible(agent.host)}`,
      label: 'Why?',
      submitLabel: 'Take it back',
      save: async (reason) => {
        await api.post(`${path}/revoke`, { reason })
        await refresh()
      },
    })
  return (
    <>
      <Link to="/hunt" search={{ q: `device.hostname:"${agent.host}"` }} className="button">
        Hunt its events
      </Link>
      {mayAct && agent.status === 'active' && (
        <button
          type="button"
          className="button"
          onClick={() => actDialog({ kind: 'collect_triage', target: agent.host })}
        >
          Act…
        </button>
      )}
      {mayManage && agent.status === 'active' && (
        <>
          <Menu
            label="Move to a group"
            className="button"
            button="Group"
            items={groups.map((group) => ({
              label: visible(group.name),
              checked: group.id === agent.group,
              run: () => void api.patch(path, { group: group.id }).then(refresh),
            }))}
          />
          <button type="button" className="button" onClick={revoke}>
            Take certificate back…
          </button>
        </>
      )}
    </>
  )
}

function DoubtList({ agent }: { agent: Agent }) {
  const client = useQueryClient()
  const mayManage = useMay('fleet.manage')
  if (agent.doubts.length === 0) return null
  const clear = () =>
    textDialog({
      title: 'What did you find?',
      label: 'Why it is all right',
      submitLabel: 'It is all right',
      save: async (reason) => {
        await api.post(`/fleet/agents/${encodeURIComponent(agent.id)}/clear`, { reason })
        await client.invalidateQueries({ queryKey: ['agent', agent.id] })
      },
    })
  return (
    <Section
      title="To look at"
      tools={
        mayManage && (
          <button type="button" className="button" onClick={clear}>
            It is all right…
          </button>
        )
      }
    >
      <table className="table">
        <tbody>
          {agent.doubts.map((doubt) => (
            <tr key={doubt.kind}>
              <td className="warn">{DOUBT_WORD[doubt.kind]}</td>
              <td className="wrap">{visible(doubt.text)}</td>
              <td className="muted">
                <Ago iso={doubt.since} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Fact({ name, children }: { name: string; children: React.ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="wrap">{children}</dd>
    </>
  )
}

function Host({ agent }: { agent: Agent }) {
  const host = agent.identity
  return (
    <Section title="Host">
      <dl className="facts">
        <Fact name="System">{visible(host?.os_name ?? 'not told yet')}</Fact>
        <Fact name="Kernel">{visible(host?.kernel ?? '')}</Fact>
        <Fact name="Processor">{visible(host?.arch ?? '')}</Fact>
        <Fact name="Addresses">
          <span className="mono">{host?.addresses.map(visible).join(', ')}</span>
        </Fact>
        <Fact name="Comes from">
          <span className="mono">{visible(agent.address)}</span>
        </Fact>
        <Fact name="Last heard">{agent.seen_at ? <Ago iso={agent.seen_at} /> : 'never'}</Fact>
        <Fact name="Enrolled">
          <Time iso={agent.enrolled_at} />
        </Fact>
        <Fact name="Certificate until">
          <Time iso={agent.certificate_until} />
        </Fact>
      </dl>
    </Section>
  )
}

function Health({ agent }: { agent: Agent }) {
  const { health } = agent
  if (!health) return <Section title="Health">No heartbeat came yet.</Section>
  const dropped = Object.entries(health.dropped)
  const undos = Object.entries(health.undo_at_ms)
  const acting = Object.entries(health.acting ?? {})
  return (
    <Section title="Health">
      <dl className="facts">
        <Fact name="Version">{visible(agent.agent_version)}</Fact>
        <Fact name="Policy">
          {agent.has_policy ? 'that of now' : <span className="warn">an older one</span>}
        </Fact>
        <Fact name="CPU">{health.cpu_percent.toFixed(1)} % of a core</Fact>
        <Fact name="Memory">{bytes(health.memory_bytes)}</Fact>
        <Fact name="Waiting on its disk">
          {count(health.queue_records)} records, {bytes(health.queue_bytes)}
        </Fact>
        <Fact name="Dropped">
          {dropped.length === 0 ? (
            'nothing'
          ) : (
            <span className="warn">
              {dropped.map(([reason, n]) => `${visible(reason)}: ${count(n)}`).join(', ')}
            </span>
          )}
        </Fact>
        <Fact name="Undone by itself">
          {undos.length === 0
            ? 'nothing waits'
            : undos.map(([key, at]) => (
                <span key={key}>
                  <span className="mono">{visible(key)}</span> <Time iso={new Date(at).toISOString()} />{' '}
                </span>
              ))}
        </Fact>
        <Fact name="At work on">
          {acting.length === 0
            ? 'nothing'
            : acting.map(([key, words]) => (
                <span key={key}>
                  <span className="mono">{visible(key)}</span> {visible(words)}{' '}
                </span>
              ))}
        </Fact>
      </dl>
    </Section>
  )
}

function Collectors({ agent }: { agent: Agent }) {
  const rows = agent.health?.collectors ?? []
  if (rows.length === 0) return null
  return (
    <Section title="Collectors" note="what the agent watches, and what stands in its way">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Collector</th>
            <th scope="col" className="number">
              Records
            </th>
            <th scope="col">Trouble, and what to do</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <td>{visible(row.name)}</td>
              <td className="number">{count(row.records)}</td>
              <td className={row.trouble ? 'warn wrap' : 'muted'}>{visible(row.trouble ?? 'none')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}
