/** The one-time link: the token stays in the fragment, which browsers never send. */
import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useSubmit } from '../actions/useForm'
import { api } from '../api/client'
import { sessionQuery } from '../api/queries'
import type { Session } from '../api/types'
import { TextField } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { Door } from './Door'

const PASSWORD_MIN = 12

export default function Setup() {
  const client = useQueryClient()
  const navigate = useNavigate()
  const [token] = useState(() => new URLSearchParams(location.hash.slice(1)).get('token') ?? '')
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    if (password.length < PASSWORD_MIN) throw new Error(`Use at least ${PASSWORD_MIN} characters.`)
    if (password !== again) throw new Error('The two passwords differ.')
    const session = await api.post<Session>('/session/setup', { token, name, password })
    client.setQueryData(sessionQuery.queryKey, { session, setupRequired: false })
    await navigate({ to: '/', replace: true, hash: '' })
  })
  if (!token) {
    return (
      <Door title="The link is incomplete">
        <p>
          It must end in <span className="mono">#token=…</span>. Copy the whole line that{' '}
          <span className="mono">watchfloor</span> printed when it started.
        </p>
      </Door>
    )
  }
  return (
    <Door title="Create the first account">
      <p className="muted">This account is an administrator. The link works once.</p>
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
          autoComplete="new-password"
          hint={`${PASSWORD_MIN} characters or more; a sentence is good.`}
          isRequired
          value={password}
          onChange={setPassword}
        />
        <TextField
          label="Password again"
          type="password"
          name="password-again"
          autoComplete="new-password"
          isRequired
          value={again}
          onChange={setAgain}
        />
        <FormError error={error} />
        <button type="submit" className="button button-primary" disabled={isBusy}>
          Create account and sign in
        </button>
      </form>
    </Door>
  )
}
