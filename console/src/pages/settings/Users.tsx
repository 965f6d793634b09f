import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../../api/client'
import { usersQuery } from '../../api/queries'
import type { Role, UserRow } from '../../api/types'
import { useSession } from '../../frame/session'
import { visible } from '../../lib/text'
import { openDialog } from '../../ui/Dialog'
import { FormDialog, TextField } from '../../ui/Form'
import { Ago } from '../../ui/Time'
import { toast, toastError } from '../../ui/toast'
import { ListSection } from './parts'

const ROLES: readonly [Role, string][] = [
  ['viewer', 'Viewer: reads'],
  ['analyst', 'Analyst: judges alerts, works incidents'],
  ['lead', 'Lead: also makes suppressions and merges'],
  ['admin', 'Admin: also users, tokens, settings'],
]

export function Users() {
  const query = useQuery(usersQuery)
  const client = useQueryClient()
  const me = useSession().user
  const refresh = () => void client.invalidateQueries({ queryKey: usersQuery.queryKey })
  const change = (user: UserRow, body: { role?: Role; disabled?: boolean }) =>
    api
      .patch(`/users/${user.id}`, body)
      .then(refresh)
      .catch(toastError(`${user.name} was not changed`))
  return (
    <ListSection
      title="Users"
      query={query}
      empty="No user."
      heads={['Name', 'Role', 'Last sign-in', '']}
      tools={
        <button
          type="button"
          className="button"
          onClick={() => openDialog((close) => <NewUser close={close} onDone={refresh} />)}
        >
          New user
        </button>
      }
      row={(user) => (
        <tr key={user.id}>
          <td className="strong">
            {visible(user.name)} {user.id === me.id && <span className="muted small">you</span>}
          </td>
          <td>
            <select
              className="input"
              aria-label={`Role of ${user.name}`}
              value={user.role}
              disabled={user.id === me.id}
              onChange={(e) => void change(user, { role: e.target.value as Role })}
            >
              {ROLES.map(([role]) => (
                <option key={role}>{role}</option>
              ))}
            </select>
          </td>
          <td className="muted">
            <Ago iso={user.last_sign_in_at} />
          </td>
          <td className="number">
            {user.id !== me.id && (
              <button
                type="button"
                className="link-button"
                onClick={() => void change(user, { disabled: !user.disabled })}
              >
                {user.disabled ? 'Enable' : 'Disable'}
              </button>
            )}
          </td>
        </tr>
      )}
    />
  )
}

function NewUser({ close, onDone }: { close: () => void; onDone: () => void }) {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState<Role>('analyst')
  const send = async () => {
    await api.post('/users', { name: name.trim(), password, role })
    toast({ tone: 'plain', text: `User ${name.trim()} made` })
    onDone()
  }
  return (
    <FormDialog title="New user" close={close} width={420} word="Make user" send={send}>
      <TextField label="Name" isFirst isRequired value={name} onChange={setName} />
      <TextField
        label="First password"
        type="password"
        autoComplete="new-password"
        isRequired
        value={password}
        onChange={setPassword}
      />
      <label className="field">
        Role
        <select className="input" value={role} onChange={(e) => setRole(e.target.value as Role)}>
          {ROLES.map(([key, label]) => (
            <option key={key} value={key}>
              {label}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  )
}
