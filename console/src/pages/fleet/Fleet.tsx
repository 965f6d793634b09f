/** Agents on endpoints: how they are, which policy they follow, how they come in. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { useMay } from '../../actions/response'
import { agentsQuery, fleetQuery } from '../../api/queries'
import type { Agent, AgentGroup, Fleet as FleetData } from '../../api/types'
import { bytes, count, plural, sum } from '../../lib/format'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { openDialog } from '../../ui/Dialog'
import { FilterText } from '../../ui/FilterText'
import { Menu } from '../../ui/Menu'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { EnrolDialog, Enrolments } from './Enrolments'
import { NewGroupDialog } from './Groups'
import { AgentState, Doubts } from './marks'

export default function Fleet() {
  const fleet = useQuery(fleetQuery)
  const mayManage = useMay('fleet.manage')
  if (fleet.error && !fleet.data)
    return <Problem what="The fleet did not load" error={fleet.error} retry={() => void fleet.refetch()} />
  if (!fleet.data) return <SkeletonRows rows={12} />
  const { data } = fleet
  return (
    <div className="page">
      <PageHead
        title="Fleet"
        meta={
          <span className="muted">
            {plural(data.connected, 'agent')} connected, {count(data.with_policy)} with the policy of now
          </span>
        }
      >
        {mayManage && (
          <>
            <button
              type="button"
              className="button"
              onClick={() => openDialog((close) => <NewGroupDialog close={close} />)}
            >
              New group
            </button>
            <button
              type="button"
              className="button button-primary"
              disabled={!data.listen}
              onClick={() => openDialog((close) => <EnrolDialog groups={data.groups} close={close} />)}
            >
              Enrol an endpoint
            </button>
          </>
        )}
      </PageHead>
      {data.problem && (
        <p className="warn" role="status">
          {visible(data.problem)}
        </p>
      )}
      <Agents groups={data.groups} />
      <Groups groups={data.groups} mayManage={mayManage} />
      {mayManage && <Enrolments groups={data.groups} />}
      <Refused fleet={data} />
      <Binaries fleet={data} />
    </div>
  )
}

function Agents({ groups }: { groups: AgentGroup[] }) {
  const [search, set] = useUrlState()
  const status = search.status === 'all' ? undefined : (search.status ?? 'active')
  const query = useInfiniteQuery(agentsQuery({ host: search.text, group: search.group, status }))
  const rows = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data])
  const total = query.data?.pages[0]?.total ?? rows.length
  const nameOf = (id: string) => groups.find((group) => group.id === id)?.name ?? id
  return (
    <Section
      title="Agents"
      note={query.data ? plural(total, 'agent') : ''}
      tools={
        <div className="filters" role="group" aria-label="Filters">
          <FilterText label="Filter agents by host" placeholder="Filter by host" />
          <Menu
            label="Filter by group"
            className={`button filter ${search.group ? 'filter-on' : ''}`}
            button={`Group: ${search.group ? nameOf(search.group) : 'any'}`}
            items={[
              { label: 'Any', checked: !search.group, run: () => set({ group: null }, { push: true }) },
              ...groups.map((group) => ({
                label: visible(group.name),
                checked: search.group === group.id,
                run: () => set({ group: group.id }, { push: true }),
              })),
            ]}
          />
          <Menu
            label="Filter by state"
            className={`button filter ${search.status ? 'filter-on' : ''}`}
            button={`State: ${search.status ?? 'active'}`}
            items={['active', 'revoked', 'all'].map((word) => ({
              label: word,
              checked: (search.status ?? 'active') === word,
              run: () => set({ status: word === 'active' ? null : word }, { push: true }),
            }))}
          />
        </div>
      }
    >
      {query.error && !query.data ? (
        <Problem what="Agents did not load" error={query.error} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <SkeletonRows rows={6} />
      ) : rows.length === 0 ? (
        <Empty title={search.text || search.group || search.status ? 'No agent fits' : 'No agents yet'}>
          An agent tells what happens on an endpoint and does what you ask of it there. Enrol one with one
          line.
        </Empty>
      ) : (
        <>
          <AgentTable rows={rows} nameOf={nameOf} />
          {query.hasNextPage && (
            <button type="button" className="button" onClick={() => void query.fetchNextPage()}>
              Show more
            </button>
          )}
        </>
      )}
    </Section>
  )
}

const HEADS = ['Host', 'State', 'System', 'Version', 'Group', 'Last heard', 'Look at']
const FIGURES = ['CPU', 'Memory', 'Waiting', 'Dropped']

function AgentTable({ rows, nameOf }: { rows: Agent[]; nameOf: (id: string) => string }) {
  return (
    <div className="table-scroll">
      <table className="table table-rows">
        <thead>
          <tr>
            {HEADS.slice(0, -1).map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            {FIGURES.map((head) => (
              <th key={head} scope="col" className="number">
                {head}
              </th>
            ))}
            <th scope="col">{HEADS.at(-1)}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((agent) => (
            <AgentRow key={agent.id} agent={agent} group={nameOf(agent.group)} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function AgentRow({ agent, group }: { agent: Agent; group: string }) {
  const { health } = agent
  const dropped = sum(health?.dropped)
  return (
    <tr>
      <td>
        <Link to="/fleet/$id" params={{ id: agent.id }} className="strong">
          {visible(agent.host)}
        </Link>
      </td>
      <td className="small">
        <AgentState agent={agent} />
      </td>
      <td className="muted small wrap">{visible(agent.identity?.os_name ?? '')}</td>
      <td className="muted small">{visible(agent.agent_version)}</td>
      <td className="small">
        {visible(group)}
        {agent.is_connected && !agent.has_policy && <span className="warn"> old policy</span>}
      </td>
      <td className="muted small">{agent.seen_at ? <Ago iso={agent.seen_at} /> : 'never'}</td>
      <td className="number">{health ? `${health.cpu_percent.toFixed(1)} %` : '–'}</td>
      <td className="number">{health ? bytes(health.memory_bytes) : '–'}</td>
      <td className="number">{health ? count(health.queue_records) : '–'}</td>
      <td className={`number ${dropped > 0 ? 'warn' : 'muted'}`}>{count(dropped)}</td>
      <td className="small wrap">
        <Doubts agent={agent} />
      </td>
    </tr>
  )
}

function Groups({ groups, mayManage }: { groups: AgentGroup[]; mayManage: boolean }) {
  if (groups.length === 0) return null
  return (
    <Section title="Groups" note="agents of a group follow one policy">
      <table className="table">
        <thead>
          <tr>
            {['Group', 'Policy', 'Runs version', 'Changed', ''].map((head) => (
              <th key={head} scope="col">
                {head || <span className="hidden-text">Tools</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => (
            <tr key={group.id}>
              <td>
                <Link to="/fleet/groups/$id" params={{ id: group.id }} className="strong">
                  {visible(group.name)}
                </Link>
              </td>
              <td className="muted">revision {group.revision}</td>
              <td className="muted">{group.agent_version ?? 'as it is'}</td>
              <td className="muted small">
                {visible(group.changed_by)}, <Ago iso={group.changed_at} />
              </td>
              <td>
                <Link
                  to="/fleet/groups/$id"
                  params={{ id: group.id }}
                  aria-label={`${mayManage ? 'Change' : 'Show'} the policy of ${visible(group.name)}`}
                >
                  {mayManage ? 'Change' : 'Show'}
                </Link>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Refused({ fleet }: { fleet: FleetData }) {
  if (fleet.refused.length === 0) return null
  return (
    <Section title="Turned away" note="connections that came to nothing since the server started">
      <table className="table">
        <thead>
          <tr>
            {['Reason', 'Times', 'Last', 'From', 'Words'].map((head) => (
              <th key={head} scope="col" className={head === 'Times' ? 'number' : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {fleet.refused.map((row) => (
            <tr key={row.reason}>
              <td className="mono">{row.reason}</td>
              <td className="number">{count(row.count)}</td>
              <td className="muted">
                <Ago iso={row.last_at} />
              </td>
              <td className="mono small">{visible(row.address)}</td>
              <td className="small wrap">{visible(row.text)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Binaries({ fleet }: { fleet: FleetData }) {
  return (
    <Section title="Versions" note="what endpoints download and are updated to; signed by this server">
      {fleet.binaries.length === 0 ? (
        <p className="muted">
          No binary of the agent stands beside the server's, nor in <code>fleet/versions</code> of the data
          folder.
        </p>
      ) : (
        <table className="table">
          <tbody>
            {fleet.binaries.map((one) => (
              <tr key={`${one.version} ${one.target}`}>
                <td className="strong">{one.version}</td>
                <td>{one.target}</td>
                <td className="number">{bytes(one.size)}</td>
                <td className="mono small wrap">sha256 {one.sha256}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}
