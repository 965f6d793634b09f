/** What a person asks for, agrees to and takes back. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { api } from '../api/client'
import { connectorsQuery, policiesQuery } from '../api/queries'
import type { Action, ActionKind, ActionPolicy, Rehearsal } from '../api/types'
import { useSession } from '../frame/session'
import { kindWord, lasting } from '../lib/response'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { FormDialog, WhyField } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { toast } from '../ui/toast'
import { useSubmit } from './useForm'

export function useMay(permission: string): boolean {
  const { permissions } = useSession()
  return permissions.includes(permission) || permissions.includes('*')
}

export function useRefreshResponse(): () => Promise<void> {
  const client = useQueryClient()
  return useCallback(async () => {
    const keys = [
      'approvals',
      'actions',
      'action-record',
      'runs',
      'run',
      'playbooks',
      'playbook',
      'connectors',
    ]
    await Promise.all(keys.map((key) => client.invalidateQueries({ queryKey: [key] })))
  }, [client])
}

interface Aim {
  kind: ActionKind
  target: string
  incidentId?: string
}

export function actDialog(aim: Aim): void {
  openDialog((close) => <ActDialog aim={aim} close={close} />)
}

type Values = Record<string, string>

function ActDialog({ aim, close }: { aim: Aim; close: () => void }) {
  const policies = useQuery(policiesQuery).data?.items
  const [kind, setKind] = useState(aim.kind)
  const [values, setValues] = useState<Values>({})
  const [reason, setReason] = useState('')
  const [limit, setLimit] = useState<string>('policy')
  const [rehearsed, setRehearsed] = useState<{ key: string; found: Rehearsal } | null>(null)
  const refresh = useRefreshResponse()
  const policy = policies?.find((one) => one.kind === kind)
  const given = useMemo(
    () => (policy ? { [policy.target_argument]: aim.target, ...values } : values),
    [policy, aim.target, values],
  )
  const body = {
    kind,
    arguments: argumentsOf(policy, given),
    incident_id: aim.incidentId ?? null,
    reason: reason.trim(),
    ...limitOf(limit),
  }
  const key = JSON.stringify({ ...body, reason: '' })
  const shown = rehearsed?.key === key ? rehearsed.found : null
  const { submit, isBusy, error } = useSubmit(async () => {
    if (!shown) {
      setRehearsed({ key, found: await api.post<Rehearsal>('/actions/rehearsal', body) })
      return
    }
    const action = await api.post<Action>('/actions', body)
    await refresh()
    toast({
      tone: 'plain',
      text:
        action.status === 'proposed' ? 'Asked for; a second person must agree' : `${kindWord(kind)}: begun`,
    })
    close()
  })
  if (!policies || !policy) return null
  return (
    <Dialog title="Act" onClose={close} width={620}>
      <form className="stack" onSubmit={submit}>
        <label className="field">
          What?
          <select
            className="input"
            data-autofocus
            value={kind}
            onChange={(e) => setKind(e.target.value as ActionKind)}
          >
            {policies.map((one) => (
              <option key={one.kind} value={one.kind}>
                {kindWord(one.kind)}
              </option>
            ))}
          </select>
        </label>
        {policy.arguments.map((argument) => (
          <label className="field" key={argument.name}>
            {argument.name}
            {argument.is_needed ? '' : ' (optional)'}
            <input
              className="input mono"
              required={argument.is_needed}
              placeholder={argument.doc + (argument.is_list ? '; several with commas' : '')}
              spellCheck={false}
              autoComplete="off"
              value={given[argument.name] ?? ''}
              onChange={(e) => setValues({ ...given, [argument.name]: e.target.value })}
            />
          </label>
        ))}
        {policy.undo && (
          <label className="field">
            For how long?
            <select className="input" value={limit} onChange={(e) => setLimit(e.target.value)}>
              <option value="policy">As policy says: {lasting(policy.time_limit_s)}</option>
              {[3600, 14_400, 86_400, 604_800].map((s) => (
                <option key={s} value={s}>
                  {lasting(s)}
                </option>
              ))}
              <option value="never">Until somebody undoes it</option>
            </select>
          </label>
        )}
        <WhyField label="Why?" value={reason} onChange={setReason} />
        <div aria-live="polite">{shown && <Rehearsed found={shown} />}</div>
        <FormError error={error} />
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button
            type="submit"
            className={`button ${shown ? 'button-danger' : 'button-primary'}`}
            disabled={isBusy}
          >
            {shown
              ? shown.needs_approval
                ? 'Ask a second person'
                : 'Do it'
              : isBusy
                ? 'Rehearsing…'
                : 'Rehearse first'}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function argumentsOf(policy: ActionPolicy | undefined, values: Values): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {}
  for (const argument of policy?.arguments ?? []) {
    const text = values[argument.name]?.trim() ?? ''
    if (!text) continue
    out[argument.name] = argument.is_list ? text.split(',').map((part) => part.trim()) : text
  }
  return out
}

function limitOf(limit: string): { time_limit_s?: number | null } {
  if (limit === 'policy') return {}
  return { time_limit_s: limit === 'never' ? null : Number(limit) }
}

export function Rehearsed({ found }: { found: Rehearsal }) {
  return (
    <section className="stack-tight" aria-label="Rehearsal">
      <p>
        By <strong>{visible(found.way)}</strong>: <span className="mono wrap">{visible(found.preview)}</span>
      </p>
      <p className="muted small">
        {found.needs_approval ? 'A second person must agree. ' : 'Nobody else must agree. '}
        {found.undo
          ? `It is undone by “${kindWord(found.undo)}”, ${found.time_limit_s ? `by itself after ${lasting(found.time_limit_s)}` : 'when somebody asks for it'}.`
          : 'Nothing undoes it.'}
      </p>
      {found.warnings.map((warning) => (
        <p key={warning} className="warn small">
          {visible(warning)}
        </p>
      ))}
      {found.touches.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reached by key.
        <div className="touches" tabIndex={0} role="group" aria-label="What it touches">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Touches</th>
                <th scope="col">How it is known</th>
              </tr>
            </thead>
            <tbody>
              {found.touches.map((one) => (
                <tr key={`${one.kind} ${one.value}`}>
                  <td>
                    <span className="muted small">{one.kind}</span>{' '}
                    <span className="mono">{visible(one.value)}</span>
                  </td>
                  <td className="muted small">{visible(one.why)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

interface Decide {
  action: Action
  verb: 'approve' | 'reject' | 'cancel' | 'undo'
}

const DECIDE: Record<Decide['verb'], { title: string; label: string; word: string; needs: boolean }> = {
  approve: {
    title: 'Agree to this action?',
    label: 'Note (optional)',
    word: 'Agree, and begin',
    needs: false,
  },
  reject: { title: 'Refuse this action?', label: 'Why?', word: 'Refuse', needs: true },
  cancel: { title: 'Take this action back?', label: 'Why? (optional)', word: 'Take back', needs: false },
  undo: { title: 'Undo this action?', label: 'Why?', word: 'Undo', needs: true },
}

export function decideDialog(action: Action, verb: Decide['verb']): void {
  openDialog((close) => <DecideDialog action={action} verb={verb} close={close} />)
}

function DecideDialog({ action, verb, close }: Decide & { close: () => void }) {
  const refresh = useRefreshResponse()
  const [note, setNote] = useState('')
  const words = DECIDE[verb]
  const send = async () => {
    const body = verb === 'undo' ? { reason: note.trim() } : { note: note.trim() }
    await api.post(`/actions/${encodeURIComponent(action.id)}/${verb}`, body)
    await refresh()
  }
  return (
    <FormDialog title={words.title} close={close} word={words.word} send={send}>
      <p>
        <strong>{kindWord(action.kind)}</strong> <span className="mono wrap">{visible(action.target)}</span>
        {action.time_limit_s ? `, for ${lasting(action.time_limit_s)}` : ''}
      </p>
      <p className="muted">
        {visible(action.proposed_by)}: {visible(action.reason)}
      </p>
      <WhyField label={words.label} value={note} onChange={setNote} isFirst isRequired={words.needs} />
    </FormDialog>
  )
}

export function settleDialog(action: Action): void {
  openDialog((close) => <SettleDialog action={action} close={close} />)
}

function SettleDialog({ action, close }: { action: Action; close: () => void }) {
  const refresh = useRefreshResponse()
  const [how, setHow] = useState(action.status === 'failed' ? 'again' : 'done')
  const [note, setNote] = useState('')
  const send = async () => {
    await api.post(`/actions/${encodeURIComponent(action.id)}/settle`, { how, note: note.trim() })
    await refresh()
  }
  const choices = action.status === 'failed' ? ['again'] : ['done', 'not_done', 'again']
  const words: Record<string, string> = {
    done: 'It was done',
    not_done: 'It was not done, and is not to be',
    again: 'It was not done; do it now',
  }
  return (
    <FormDialog title="What became of it?" close={close} word="Settle" send={send}>
      <p>
        <strong>{kindWord(action.kind)}</strong> <span className="mono wrap">{visible(action.target)}</span>
      </p>
      {action.error && <p className="warn">{visible(action.error)}</p>}
      <fieldset className="stack-tight">
        <legend className="muted small">Look at the target first</legend>
        {choices.map((choice) => (
          <label key={choice} className="check">
            <input
              type="radio"
              name="how"
              value={choice}
              checked={how === choice}
              onChange={() => setHow(choice)}
            />
            <span>{words[choice]}</span>
          </label>
        ))}
      </fieldset>
      <WhyField label="How do you know?" value={note} onChange={setNote} />
    </FormDialog>
  )
}

/** Names of connectors by id, for what was done through which. */
export function useConnectorNames(): Map<string, string> {
  const items = useQuery(connectorsQuery).data?.items
  return useMemo(() => new Map((items ?? []).map((one) => [one.id, one.name])), [items])
}
