/** A new group of agents. */
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '../../api/client'
import { fleetQuery } from '../../api/queries'
import type { AgentGroup } from '../../api/types'
import { FormDialog, TextField } from '../../ui/Form'

export function NewGroupDialog({ close }: { close: () => void }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [name, setName] = useState('')
  const send = async () => {
    const group = await api.post<AgentGroup>('/fleet/groups', { name: name.trim() })
    await client.invalidateQueries({ queryKey: fleetQuery.queryKey })
    void navigate({ to: '/fleet/groups/$id', params: { id: group.id } })
  }
  return (
    <FormDialog title="New group of agents" close={close} width={420} word="Make it" send={send}>
      <TextField
        label="Name"
        hint="It begins with the standard policy, which opens next."
        isFirst
        isRequired
        value={name}
        onChange={setName}
      />
    </FormDialog>
  )
}
