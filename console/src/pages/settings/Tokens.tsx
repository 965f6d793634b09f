import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../../api/client'
import { tokensQuery } from '../../api/queries'
import { visible } from '../../lib/text'
import { CopyButton } from '../../ui/CopyButton'
import { Dialog, openDialog } from '../../ui/Dialog'
import { FormDialog, TextField } from '../../ui/Form'
import { Ago, Time } from '../../ui/Time'
import { toast, toastError } from '../../ui/toast'
import { ListSection } from './parts'

const SCOPES: readonly [string, string][] = [
  ['ingest', 'send events'],
  ['read', 'read everything'],
  ['write', 'change alerts and incidents'],
  ['admin', 'everything'],
]
const DAYS: readonly number[] = [1, 30, 90, 365]

export function Tokens() {
  const query = useQuery(tokensQuery)
  const client = useQueryClient()
  const refresh = () => void client.invalidateQueries({ queryKey: tokensQuery.queryKey })
  const revoke = (id: string) =>
    api
      .delete(`/tokens/${id}`)
      .then(() => {
        toast({ tone: 'plain', text: 'Token revoked' })
        refresh()
      })
      .catch(toastError('The token was not revoked'))
  return (
    <ListSection
      title="API tokens"
      note="for senders and programs; shown once, stored hashed"
      query={query}
      empty="No token yet. Make one with the scope “ingest” to send the first events."
      heads={['Name', 'Scope', 'Last used', 'Expires', '']}
      tools={
        <button
          type="button"
          className="button"
          onClick={() => openDialog((close) => <NewToken close={close} onDone={refresh} />)}
        >
          New token
        </button>
      }
      row={(token) => (
        <tr key={token.id}>
          <td className="strong">{visible(token.name)}</td>
          <td className="mono small">{token.scope.join(' ')}</td>
          <td className="muted">
            <Ago iso={token.last_used_at} />
          </td>
          <td className="muted">
            <Time iso={token.expires_at} />
          </td>
          <td className="number">
            <button type="button" className="link-button" onClick={() => void revoke(token.id)}>
              Revoke
            </button>
          </td>
        </tr>
      )}
    />
  )
}

function NewToken({ close, onDone }: { close: () => void; onDone: () => void }) {
  const [name, setName] = useState('')
  const [scopes, setScopes] = useState<string[]>(['ingest'])
  const [days, setDays] = useState(90)
  const [token, setToken] = useState('')
  const send = async () => {
    if (scopes.length === 0) throw new Error('Choose at least one scope.')
    const made = await api.post<{ token: string }>('/tokens', {
      name: name.trim(),
      scope: scopes,
      expires_in_days: days,
    })
    setToken(made.token)
    onDone()
    // It stays: what was made is shown now, and only now.
    return false
  }
  if (token) {
    const line = `curl -H 'Authorization: Bearer ${token}' --data-binary @events.ndjson \\\n  ${location.origin}/ingest/ndjson`
    return (
      <Dialog title="Token made" onClose={close} width={620}>
        <p>Copy it now: it is not shown again.</p>
        <div className="paste">
          <pre data-token>{token}</pre>
          <CopyButton text={token} label="Copy the token" />
        </div>
        {scopes.includes('ingest') && (
          <>
            <p className="muted">To send events with it:</p>
            <div className="paste">
              <pre>{line}</pre>
              <CopyButton text={line} label="Copy the command" />
            </div>
          </>
        )}
      </Dialog>
    )
  }
  return (
    <FormDialog title="New token" close={close} width={420} word="Make token" send={send}>
      <TextField label="Name" isFirst isRequired value={name} onChange={setName} />
      <fieldset className="offer">
        <legend>Scope</legend>
        {SCOPES.map(([scope, meaning]) => (
          <label key={scope} className="check">
            <input
              type="checkbox"
              checked={scopes.includes(scope)}
              onChange={(e) =>
                setScopes(e.target.checked ? [...scopes, scope] : scopes.filter((s) => s !== scope))
              }
            />
            <span className="mono">{scope}</span> <span className="muted">{meaning}</span>
          </label>
        ))}
      </fieldset>
      <label className="field">
        Expires after
        <select className="input" value={days} onChange={(e) => setDays(Number(e.target.value))}>
          {DAYS.map((n) => (
            <option key={n} value={n}>
              {n} day{n === 1 ? '' : 's'}
            </option>
          ))}
        </select>
      </label>
    </FormDialog>
  )
}
