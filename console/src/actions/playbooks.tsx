/** Beginning, answering and ending runs of playbooks. */
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { api } from '../api/client'
import { playbookQuery, playbooksQuery } from '../api/queries'
import type { PlaybookRunRow, RunStep, Trial } from '../api/types'
import { type PlaybookDocument, suggestion, variablesOf } from '../lib/playbook'
import { kindWord, lasting } from '../lib/response'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { FormDialog, WhyField } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { toast } from '../ui/toast'
import { useRefreshResponse } from './response'
import { useSubmit } from './useForm'

interface From {
  playbookId?: string
  incidentId?: string
  entities?: readonly { kind: string; value: string }[]
}

export function runDialog(from: From): void {
  openDialog((close) => <RunDialog from={from} close={close} />)
}

function RunDialog({ from, close }: { from: From; close: () => void }) {
  const list = useQuery(playbooksQuery).data?.items.filter((one) => one.is_runnable)
  const [chosen, setChosen] = useState(from.playbookId ?? '')
  const id = chosen || list?.[0]?.id
  return (
    <Dialog title="Run a playbook" onClose={close} width={680}>
      <div className="stack">
        <label className="field">
          Playbook
          <select
            className="input"
            data-autofocus
            value={id ?? ''}
            onChange={(e) => setChosen(e.target.value)}
          >
            {(list ?? []).map((one) => (
              <option key={one.id} value={one.id}>
                {visible(one.name)}
              </option>
            ))}
          </select>
        </label>
        {id && <RunForm key={id} id={id} from={from} close={close} />}
      </div>
    </Dialog>
  )
}

function RunForm({ id, from, close }: { id: string; from: From; close: () => void }) {
  const navigate = useNavigate()
  const refresh = useRefreshResponse()
  const playbook = useQuery(playbookQuery(id)).data
  const [values, setValues] = useState<Record<string, string>>({})
  const [trial, setTrial] = useState<{ key: string; found: Trial } | null>(null)
  const variables = playbook
    ? variablesOf(playbook.document as unknown as PlaybookDocument).filter((one) => one.isExternal)
    : []
  const inputOf = (name: string) => {
    const variable = variables.find((one) => one.name === name)
    return values[name] ?? (variable ? suggestion(variable, from.entities ?? []) : '')
  }
  const inputs = Object.fromEntries(
    variables.map((one) => [one.name, inputOf(one.name).trim()]).filter(([, value]) => value !== ''),
  )
  const body = { playbook_id: id, inputs, incident_id: from.incidentId ?? null }
  const key = JSON.stringify(body)
  const shown = trial?.key === key ? trial.found : null
  const rehearse = useSubmit(async () => {
    setTrial({ key, found: await api.post<Trial>('/playbooks/rehearsal', body) })
  })
  const start = useSubmit(async () => {
    const run = await api.post<PlaybookRunRow>('/playbook-runs', body)
    await refresh()
    close()
    await navigate({ to: '/runs/$id', params: { id: run.id } })
  })
  if (!playbook) return null
  return (
    <form className="stack" onSubmit={start.submit}>
      <p className="muted">{visible(playbook.description)}</p>
      {variables.map((one) => (
        <label className="field" key={one.name}>
          {one.label}
          <input
            className="input mono"
            placeholder={one.description}
            spellCheck={false}
            autoComplete="off"
            value={inputOf(one.name)}
            onChange={(e) => setValues({ ...values, [one.name]: e.target.value })}
          />
        </label>
      ))}
      <div aria-live="polite">{shown && <TrialView trial={shown} />}</div>
      <FormError error={rehearse.error ?? start.error} />
      <footer className="dialog-foot">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          className="button"
          disabled={rehearse.isBusy}
          onClick={() => void rehearse.submit()}
        >
          Rehearse
        </button>
        <button type="submit" className="button button-primary" disabled={start.isBusy}>
          Run
        </button>
      </footer>
    </form>
  )
}

export function TrialView({ trial }: { trial: Trial }) {
  return (
    <section className="stack-tight" aria-label="Rehearsal">
      {trial.missing.length > 0 && (
        <p className="warn">Needs values first: {trial.missing.map(visible).join(', ')}</p>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls must be reached by key. */}
      <div className="touches" tabIndex={0} role="group" aria-label="Steps as they would go">
        <ol className="plain-list">
          {trial.steps
            .filter((step) => step.kind !== 'start' && step.kind !== 'end')
            .map((step) => (
              <li key={step.step} className={step.is_certain ? '' : 'muted'}>
                <strong>{visible(step.name)}</strong>{' '}
                <span className="muted small">
                  {step.is_certain ? '' : 'perhaps; '}
                  {visible(step.detail)}
                </span>
                {step.by_hand.map((text) => (
                  <div key={text} className="small response-text">
                    A person: {visible(text)}
                  </div>
                ))}
                {step.actions.map((action) => (
                  <div key={`${action.kind} ${action.target}`} className="small">
                    {kindWord(action.kind)} <span className="mono">{visible(action.target)}</span>
                    {action.way ? ` by ${visible(action.way)}` : ''}
                    {action.needs_approval ? '; a second person must agree' : ''}
                    {action.time_limit_s ? `; undone after ${lasting(action.time_limit_s)}` : ''}
                    {action.touches.length > 1 ? `; touches ${action.touches.length} things` : ''}
                    {action.warnings.map((warning) => (
                      <div key={warning} className="warn">
                        {visible(warning)}
                      </div>
                    ))}
                  </div>
                ))}
              </li>
            ))}
        </ol>
      </div>
      <p className="muted small">Nothing was done.</p>
    </section>
  )
}

/** The form of a step that a person does: how it went, and the values that it gives. */
export function AnswerForm({
  run,
  step,
  outputs,
}: {
  run: string
  step: RunStep
  outputs: Record<string, string>
}) {
  const refresh = useRefreshResponse()
  const [values, setValues] = useState<Record<string, string>>({})
  const [note, setNote] = useState('')
  const [isDone, setDone] = useState(true)
  const { submit, isBusy, error } = useSubmit(async () => {
    await api.post(`/playbook-runs/${encodeURIComponent(run)}/steps/${step.instance}`, {
      is_done: isDone,
      values: isDone ? Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '')) : {},
      note: note.trim(),
    })
    await refresh()
    toast({ tone: 'plain', text: 'Written down; the run goes on' })
  })
  return (
    <form className="stack-tight" onSubmit={submit}>
      {Object.entries(outputs).map(([name, type]) => (
        <label className="field" key={name}>
          {name.replace(/^__|__$/g, '')} <span className="muted small">{type}</span>
          {type === 'bool' ? (
            <select
              className="input"
              value={values[name] ?? ''}
              onChange={(e) => setValues({ ...values, [name]: e.target.value })}
            >
              <option value="">not known</option>
              <option value="true">true</option>
              <option value="false">false</option>
            </select>
          ) : (
            <input
              className="input mono"
              value={values[name] ?? ''}
              onChange={(e) => setValues({ ...values, [name]: e.target.value })}
            />
          )}
        </label>
      ))}
      <label className="field">
        Note{isDone ? ' (optional)' : ''}
        <input className="input" required={!isDone} value={note} onChange={(e) => setNote(e.target.value)} />
      </label>
      <FormError error={error} />
      <div className="response-tools">
        <button
          type="submit"
          className="button button-primary"
          disabled={isBusy}
          onClick={() => setDone(true)}
        >
          Done
        </button>
        <button type="submit" className="button" disabled={isBusy} onClick={() => setDone(false)}>
          Could not be done
        </button>
      </div>
    </form>
  )
}

export function endRunDialog(run: string): void {
  openDialog((close) => <EndRunDialog run={run} close={close} />)
}

function EndRunDialog({ run, close }: { run: string; close: () => void }) {
  const refresh = useRefreshResponse()
  const [reason, setReason] = useState('')
  const send = async () => {
    await api.post(`/playbook-runs/${encodeURIComponent(run)}/cancel`, { reason: reason.trim() })
    await refresh()
  }
  return (
    <FormDialog title="End this run?" close={close} word="End the run" send={send}>
      <p className="muted">
        What is being done is done to its end. Nothing more of the run begins, and nothing is undone by it.
      </p>
      <WhyField label="Why?" value={reason} onChange={setReason} isFirst />
    </FormDialog>
  )
}

/** Asks once more before unsaved work is left. */
export function useUnsaved(isChanged: boolean): void {
  useEffect(() => {
    if (!isChanged) return
    const ask = (event: BeforeUnloadEvent) => event.preventDefault()
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [isChanged])
}
