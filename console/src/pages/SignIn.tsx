import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useSubmit } from '../actions/useForm'
import { api } from '../api/client'
import { sessionQuery } from '../api/queries'
import type { Session } from '../api/types'
import { TextField } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { Door } from './Door'

export default function SignIn({ setupRequired }: { setupRequired: boolean }) {
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    const session = await api.post<Session>('/session', { name, password })
    client.setQueryData(sessionQuery.queryKey, { session, setupRequired: false })
  })
  if (setupRequired) {
    return (
      <Door title="First visit">
        <p>
          There is no account yet, and no default password. Open the one-time link that{' '}
          <span className="mono">watchfloor</span> printed when it started: it lets you choose a name and a
          password.
        </p>
        <p className="muted">The link looks like this:</p>
        <pre className="paste">{`${location.origin}/setup#token=…`}</pre>
        <p className="muted">
          Lost it? Restart the server: it prints a new one as long as no account exists.
        </p>
      </Door>
    )
  }
  return (
    <Door title="Sign in">
      <form className="stack" onSubmit={submit}>
        <TextField
          label="Name"
          name="username"
          autoComplete="username"
          isRequired
          value={name}
          onChange={setName}
        />
        <TextField
          label="Password"
          type="password"
          name="password"
          autoComplete="current-password"
          isRequired
          value={password}
          onChange={setPassword}
        />
        <FormError error={error} />
        <button type="submit" className="button button-primary" disabled={isBusy}>
          Sign in
        </button>
      </form>
    </Door>
  )
}
