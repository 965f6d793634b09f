/** A group of agents: its name, the version that they run, and the policy that they follow. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { useUnsaved } from '../../actions/playbooks'
import { useMay } from '../../actions/response'
import { useSubmit } from '../../actions/useForm'
import { ApiError, api } from '../../api/client'
import { fleetQuery } from '../../api/queries'
import type { AgentGroup, Fleet } from '../../api/types'
import {
  type AgentPolicy,
  FIGURES,
  fieldOfPath,
  policyDiffers,
  policyOf,
  policyToSend,
  shapeFault,
} from '../../lib/policy'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { Field, FormOrJson, faultsOf, SelectField, TextField } from '../../ui/Form'
import { FormError } from '../../ui/FormError'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { toast } from '../../ui/toast'
import { PolicyForm } from './PolicyForm'

const NAMES = [
  ...FIGURES.map((figure) => figure.name),
  'inventory_every_s',
  'checks_every_s',
  'processes',
  'name',
  'agent_version',
]

export default function GroupPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const { data, error, refetch } = useQuery(fleetQuery)
  if (error && !data)
    return <Problem what="The group did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={16} />
  const group = data.groups.find((one) => one.id === id)
  if (!group)
    return (
      <Empty title="There is no such group">
        <Link to="/fleet">All groups stand under Fleet.</Link>
      </Empty>
    )
  return <Loaded key={id} group={group} fleet={data} />
}

const asText = (policy: AgentPolicy) => JSON.stringify(policyToSend(policy), null, 2)

function Loaded({ group, fleet }: { group: AgentGroup; fleet: Fleet }) {
  const client = useQueryClient()
  const mayManage = useMay('fleet.manage')
  const [search, setSearch] = useUrlState()
  const isJson = search.view === 'json'
  // What is edited stands on the version that was read first; the list behind goes on being renewed.
  const [base, setBase] = useState(group)
  const [name, setName] = useState(group.name)
  const [version, setVersion] = useState(group.agent_version ?? '')
  const [policy, setPolicy] = useState(() => policyOf(group.policy))
  const [text, setText] = useState<string | null>(null)
  const [textFault, setTextFault] = useState<string>()

  const read = (): AgentPolicy | null => {
    if (text === null) return policy
    let given: unknown
    try {
      given = JSON.parse(text)
    } catch (cause) {
      setTextFault(cause instanceof Error ? cause.message : String(cause))
      return null
    }
    const fault = shapeFault(given)
    setTextFault(fault ?? undefined)
    return fault ? null : policyOf(given)
  }
  const take = (from: AgentGroup) => {
    forget()
    again.forget()
    setBase(from)
    setName(from.name)
    setVersion(from.agent_version ?? '')
    setPolicy(policyOf(from.policy))
    setText(null)
    setTextFault(undefined)
  }
  const handOut = async (on: AgentGroup) => {
    const sent = read()
    if (!sent) return
    const body = { name: name.trim(), policy: policyToSend(sent), agent_version: version }
    const path = `/fleet/groups/${encodeURIComponent(group.id)}`
    take(await api.patch<AgentGroup>(path, body, on.version))
    await client.invalidateQueries({ queryKey: fleetQuery.queryKey })
    toast({ tone: 'plain', text: 'The policy goes to the agents of the group now' })
  }
  const { submit, isBusy, error, forget } = useSubmit(() =>
    handOut(base).catch(async (cause) => {
      // What the others made of it is shown beside what is here.
      if (cause instanceof ApiError && cause.status === 412)
        await client.refetchQueries({ queryKey: fleetQuery.queryKey })
      throw cause
    }),
  )
  const again = useSubmit(async () => {
    const now = await client.fetchQuery({ ...fleetQuery, staleTime: 0 })
    await handOut(now.groups.find((one) => one.id === group.id) ?? group)
  })
  const shown = again.error ?? error
  const { faults, rest } = faultsOf(shown, NAMES, (reason) =>
    isJson || reason.startsWith('has no ') ? 'policy' : fieldOfPath(reason),
  )
  const isConflict = shown instanceof ApiError && shown.status === 412
  const toJson = () => {
    setText(null)
    setSearch({ view: 'json' }, { push: true })
  }
  const toForm = () => {
    const given = read()
    if (!given) return
    setPolicy(given)
    setText(null)
    setSearch({ view: null }, { push: true })
  }
  const versions = [...new Set(fleet.binaries.map((one) => one.version))]
  const differs = policyDiffers(policyToSend(policy), policyOf(base.policy))
  const isChanged =
    text !== null || differs.length > 0 || name.trim() !== base.name || version !== (base.agent_version ?? '')
  useUnsaved(mayManage && isChanged)
  return (
    <form className="page form-page" onSubmit={submit}>
      <PageHead
        title={`Group ${visible(base.name)}`}
        meta={
          <span className="muted">
            revision {base.revision} · {visible(base.changed_by)}, <Ago iso={base.changed_at} />
          </span>
        }
      >
        <FormOrJson label="Shown" isJson={isJson} toForm={toForm} toJson={toJson} />
        {mayManage && (
          <>
            <button
              type="button"
              className="button"
              disabled={!isChanged || isBusy}
              onClick={() => take(group)}
            >
              Take back
            </button>
            <button type="submit" className="button button-primary" disabled={!isChanged || isBusy}>
              Hand out
            </button>
          </>
        )}
      </PageHead>
      {isConflict ? (
        <Conflict mine={policy} theirs={group} take={() => take(group)} keep={() => void again.submit()} />
      ) : (
        <FormError error={rest} />
      )}
      {!isConflict && !isJson && faults.size > 0 && (
        <p className="fault" role="status">
          The server does not take it: {[...faults.values()].map(visible).join('; ')}
        </p>
      )}
      <fieldset className="plain-fieldset" disabled={!mayManage}>
        <legend className="hidden-text">The group</legend>
        <Section title="The group">
          <div className="form-grid">
            <TextField label="Name" isRequired fault={faults.get('name')} value={name} onChange={setName} />
            <SelectField
              label="Its agents run"
              hint="Others are updated; binaries stand under Versions of the fleet."
              fault={faults.get('agent_version')}
              options={[
                ['', 'the version that they have'],
                ...versions.map((one) => [one, `version ${one}`] as const),
              ]}
              value={version}
              onChange={setVersion}
            />
          </div>
        </Section>
        {!isJson && (
          <PolicyForm
            policy={policy}
            faults={faults}
            set={(change) => setPolicy((now) => ({ ...now, ...change }))}
          />
        )}
      </fieldset>
      {/* Outside: who may not change it may read and copy it all the same. */}
      {isJson && (
        <Section title="Policy as JSON" note="what is left out is the standard">
          <Field label="Policy" fault={textFault ?? faults.get('policy')}>
            {(wired) => (
              <textarea
                {...wired}
                className="mono"
                rows={28}
                spellCheck={false}
                readOnly={!mayManage}
                value={text ?? asText(policy)}
                onChange={(e) => setText(e.target.value)}
              />
            )}
          </Field>
        </Section>
      )}
    </form>
  )
}

interface ConflictProps {
  mine: AgentPolicy
  theirs: AgentGroup
  take: () => void
  keep: () => void
}

/** Somebody else was faster: both versions stand side by side, where they differ. */
function Conflict({ mine, theirs, take, keep }: ConflictProps) {
  const other = policyOf(theirs.policy)
  const ours = policyToSend(mine)
  const names = policyDiffers(ours, other)
  const text = (policy: AgentPolicy, name: string) =>
    JSON.stringify(policy[name as keyof AgentPolicy], null, 1)
  return (
    <section className="form-error stack-tight" role="alert" aria-label="Changed meanwhile">
      <p>
        {visible(theirs.changed_by)} changed the group meanwhile.{' '}
        {names.length === 0 ? 'Both policies are the same.' : 'They differ:'}
      </p>
      {names.length > 0 && (
        <table className="table">
          <thead>
            <tr>
              {['Setting', 'Yours', 'Theirs'].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {names.map((name) => (
              <tr key={name}>
                <th scope="row" className="mono">
                  {name}
                </th>
                <td className="mono small wrap">{text(ours, name)}</td>
                <td className="mono small wrap">{text(other, name)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <div className="row">
        <button type="button" className="button" onClick={take}>
          Take theirs
        </button>
        <button type="button" className="button" onClick={keep}>
          Hand out mine
        </button>
      </div>
    </section>
  )
}
