import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { sessionsQuery } from '../../api/queries'
import { visible } from '../../lib/text'
import { TextField } from '../../ui/Form'
import { FormError } from '../../ui/FormError'
import { Section } from '../../ui/Page'
import { Ago, Time } from '../../ui/Time'
import { toast, toastError } from '../../ui/toast'
import { ListSection } from './parts'

export function Sessions() {
  const query = useQuery(sessionsQuery)
  const client = useQueryClient()
  const revoke = (id: string) =>
    api
      .delete(`/sessions/${id}`)
      .then(() => client.invalidateQueries({ queryKey: sessionsQuery.queryKey }))
      .catch(toastError('The session was not ended'))
  return (
    <>
      <ListSection
        title="Sessions"
        note="where you are signed in"
        query={query}
        empty="No session."
        heads={['Address', 'Browser', 'Since', 'Last seen', '']}
        row={(session) => (
          <tr key={session.id}>
            <td className="mono">{visible(session.address ?? '—')}</td>
            <td className="small muted cell-clip" title={visible(session.user_agent ?? '')}>
              {visible(session.user_agent ?? '—').slice(0, 60)}
            </td>
            <td>
              <Time iso={session.created_at} show="short" />
            </td>
            <td className="muted">
              <Ago iso={session.last_seen_at} />
            </td>
            <td className="number">
              {session.current ? (
                <span className="muted small">this one</span>
              ) : (
                <button type="button" className="link-button" onClick={() => void revoke(session.id)}>
                  End
                </button>
              )}
            </td>
          </tr>
        )}
      />
      <PasswordForm />
    </>
  )
}

function PasswordForm() {
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    await api.post('/session/password', { current, new: next })
    setCurrent('')
    setNext('')
    toast({ tone: 'plain', text: 'Password changed' })
  })
  return (
    <Section title="Password">
      <form className="stack narrow" onSubmit={submit}>
        <TextField
          label="Present password"
          type="password"
          autoComplete="current-password"
          isRequired
          value={current}
          onChange={setCurrent}
        />
        <TextField
          label="New password"
          type="password"
          autoComplete="new-password"
          minLength={12}
          isRequired
          value={next}
          onChange={setNext}
        />
        <FormError error={error} />
        <div>
          <button type="submit" className="button button-primary" disabled={isBusy}>
            Change password
          </button>
        </div>
      </form>
    </Section>
  )
}
