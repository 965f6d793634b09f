/** Groups of agents: making them, and changing their policy. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Foot, useMay } from '../../actions/response'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { fleetQuery } from '../../api/queries'
import type { AgentGroup } from '../../api/types'
import { visible } from '../../lib/text'
import { Dialog } from '../../ui/Dialog'
import { FormError } from '../../ui/FormError'
import { toast } from '../../ui/toast'

export function NewGroupDialog({ close }: { close: () => void }) {
  const client = useQueryClient()
  const [name, setName] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    await api.post('/fleet/groups', { name: name.trim() })
    await client.invalidateQueries({ queryKey: fleetQuery.queryKey })
    close()
  })
  return (
    <Dialog title="New group of agents" onClose={close} width={420}>
      <form className="stack" onSubmit={submit}>
        <label className="field">
          Name
          <input
            className="input"
            data-autofocus
            required
            value={name}
            onChange={(e) => setName(e.target.value)}
          />
        </label>
        <p className="muted small">It begins with the standard policy.</p>
        <FormError error={error} />
        <Foot close={close} isBusy={isBusy} word="Make it" />
      </form>
    </Dialog>
  )
}

/** The lists of checks and artifacts are the program's; a policy shows only what it adds. */
const shownPolicy = (group: AgentGroup): string => {
  const { revision: _, ...policy } = group.policy as Record<string, unknown>
  return JSON.stringify(policy, null, 2)
}

export function GroupDialog({ group, close }: { group: AgentGroup; close: () => void }) {
  const client = useQueryClient()
  const mayManage = useMay('fleet.manage')
  const versions = useQuery(fleetQuery).data?.binaries ?? []
  const [policy, setPolicy] = useState(() => shownPolicy(group))
  const [version, setVersion] = useState(group.agent_version ?? '')
  const { submit, isBusy, error } = useSubmit(async () => {
    await api.patch<AgentGroup>(
      `/fleet/groups/${encodeURIComponent(group.id)}`,
      { policy: JSON.parse(policy) as unknown, agent_version: version },
      group.version,
    )
    await client.invalidateQueries({ queryKey: fleetQuery.queryKey })
    toast({ tone: 'plain', text: 'The policy goes to the agents of the group now' })
    close()
  })
  return (
    <Dialog title={`Group ${visible(group.name)}`} onClose={close} width={760}>
      <form className="stack" onSubmit={submit}>
        <label className="field">
          Policy (JSON)
          <textarea
            className="mono"
            rows={20}
            spellCheck={false}
            data-autofocus
            readOnly={!mayManage}
            value={policy}
            onChange={(e) => setPolicy(e.target.value)}
          />
        </label>
        <label className="field">
          Agents run
          <select
            className="input"
            disabled={!mayManage}
            value={version}
            onChange={(e) => setVersion(e.target.value)}
          >
            <option value="">the version that they have</option>
            {[...new Set(versions.map((one) => one.version))].map((one) => (
              <option key={one} value={one}>
                version {one}
              </option>
            ))}
          </select>
        </label>
        <FormError error={error} />
        {mayManage && <Foot close={close} isBusy={isBusy} word="Hand out" />}
      </form>
    </Dialog>
  )
}
