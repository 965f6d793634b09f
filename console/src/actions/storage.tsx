/** What a person decides about stored events: how long they are kept, what is held, what is deleted. */
import { useQueryClient } from '@tanstack/react-query'
import { useCallback, useId, useState } from 'react'
import { ApiError, api } from '../api/client'
import { storageQuery } from '../api/queries'
import type { Erasure, ErasureCount, LegalHold } from '../api/types'
import { useSession } from '../frame/session'
import { count, plural } from '../lib/format'
import { confirms } from '../lib/storage'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { Foot, FormDialog, TextField, WhyField } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { QueryError } from '../ui/QueryError'
import { ZONE } from '../ui/Time'
import { toast } from '../ui/toast'
import { useSubmit } from './useForm'

/** Admins, by the permission `data.manage`; the server checks it, this only spares the others a refusal. */
export function useMayManageData(): boolean {
  const { permissions } = useSession()
  return permissions.includes('data.manage') || permissions.includes('*')
}

export function useRefreshStorage(): () => Promise<void> {
  const client = useQueryClient()
  return useCallback(() => client.invalidateQueries({ queryKey: storageQuery.queryKey }), [client])
}

const isQueryWrong = (error: unknown): error is ApiError =>
  error instanceof ApiError && error.code === 'query_invalid'

interface QueryFieldProps {
  label: string
  hint: string
  query: string
  error: unknown
  asked: string
  required?: boolean
  onChange: (text: string) => void
}

/** A question in the hunt language; what is wrong with it is told below, at its place. */
function QueryField({ label, hint, query, error, asked, required, onChange }: QueryFieldProps) {
  const id = useId()
  const isWrong = isQueryWrong(error)
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input mono"
        data-autofocus
        spellCheck={false}
        autoComplete="off"
        required={required}
        aria-invalid={isWrong}
        aria-describedby={isWrong ? `${id}-error` : `${id}-hint`}
        value={query}
        onChange={(e) => onChange(e.target.value)}
      />
      {isWrong ? (
        <QueryError id={`${id}-error`} query={asked} problem={error.problem} />
      ) : (
        <span id={`${id}-hint`} className="muted small plain">
          {hint}
        </span>
      )}
    </div>
  )
}

export function holdDialog(): void {
  openDialog((close) => <HoldDialog close={close} />)
}

const instant = (local: string): string | null => (local ? new Date(local).toISOString() : null)

function HoldDialog({ close }: { close: () => void }) {
  const refresh = useRefreshStorage()
  const [query, setQuery] = useState('')
  const [asked, setAsked] = useState('')
  const [from, setFrom] = useState('')
  const [to, setTo] = useState('')
  const [reason, setReason] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    if (from && to && from >= to) throw new Error('The end of the time must lie after its begin.')
    setAsked(query.trim())
    await api.post<LegalHold>('/storage/holds', {
      query: query.trim(),
      from: instant(from),
      to: instant(to),
      reason: reason.trim(),
    })
    await refresh()
    toast({ tone: 'plain', text: 'Held. Nothing deletes these events until the hold is released' })
    close()
  })
  return (
    <Dialog title="Place a legal hold" onClose={close} width={600}>
      <form className="stack" onSubmit={submit}>
        <p className="muted">
          What a hold finds is deleted by nobody: not by retention, not on demand. It also holds what arrives
          later.
        </p>
        <QueryField
          label="Which events?"
          hint="In words of the hunt, such as actor.user.name:j.doe. Empty holds everything in the time."
          query={query}
          asked={asked}
          error={error}
          onChange={setQuery}
        />
        <div className="two-fields">
          <TextField label={`From (${ZONE})`} type="datetime-local" value={from} onChange={setFrom} />
          <TextField label={`To (${ZONE})`} type="datetime-local" value={to} onChange={setTo} />
        </div>
        <p className="muted small">
          {query.trim() || from || to
            ? 'The time is that of the event; leave an end open to hold without one.'
            : 'As it stands, this holds every event there is, and nothing would be deleted any more.'}
        </p>
        <WhyField
          label="Why?"
          placeholder="such as the court’s file number"
          value={reason}
          onChange={setReason}
        />
        {!isQueryWrong(error) && <FormError error={error} />}
        <Foot close={close} isBusy={isBusy} word="Hold" />
      </form>
    </Dialog>
  )
}

export function releaseDialog(hold: LegalHold): void {
  openDialog((close) => <ReleaseDialog hold={hold} close={close} />)
}

function ReleaseDialog({ hold, close }: { hold: LegalHold; close: () => void }) {
  const refresh = useRefreshStorage()
  const [reason, setReason] = useState('')
  const send = async () => {
    await api.post(`/storage/holds/${encodeURIComponent(hold.id)}/release`, { reason: reason.trim() })
    await refresh()
    toast({ tone: 'plain', text: 'Hold released' })
  }
  return (
    <FormDialog title="Release this hold?" close={close} word="Release" send={send}>
      <p>
        <span className="mono wrap">{visible(hold.query) || 'all events'}</span>, held for “
        {visible(hold.reason)}”.
      </p>
      <p className="muted">
        Events of it that are over their time are deleted within minutes, and cannot be brought back.
      </p>
      <WhyField
        label="Why may they be deleted?"
        placeholder="such as: the proceedings are closed"
        value={reason}
        isFirst
        onChange={setReason}
      />
    </FormDialog>
  )
}

export function eraseDialog(): void {
  openDialog((close) => <EraseDialog close={close} />)
}

interface Counted extends ErasureCount {
  query: string
  reason: string
}

function EraseDialog({ close }: { close: () => void }) {
  const [query, setQuery] = useState('')
  const [asked, setAsked] = useState('')
  const [reason, setReason] = useState('')
  const [counted, setCounted] = useState<Counted | null>(null)
  const [isConfirming, setConfirming] = useState(false)
  const preview = useSubmit(async () => {
    const text = query.trim()
    if (!text) throw new Error('Say which events; a deletion of everything is not offered.')
    setAsked(text)
    const found = await api.post<ErasureCount>('/storage/erasures/preview', { query: text })
    setCounted({ ...found, query: text, reason: reason.trim() })
    setConfirming(found.events > 0)
  })
  if (counted && isConfirming)
    return <ConfirmErase counted={counted} close={close} back={() => setConfirming(false)} />
  return (
    <Dialog title="Delete events" onClose={close} width={600}>
      <form className="stack" onSubmit={preview.submit}>
        <QueryField
          label="Which events?"
          hint="In words of the hunt, such as actor.user.name:j.doe OR j.doe@corp.example"
          query={query}
          asked={asked}
          error={preview.error}
          required
          onChange={(text) => {
            setQuery(text)
            setCounted(null)
          }}
        />
        <WhyField
          label="Why?"
          placeholder="such as the number of the request; do not name the person: this stays"
          value={reason}
          onChange={setReason}
        />
        <KeptElsewhere />
        <p role="status" className="strong">
          {counted && counted.events === 0
            ? counted.held > 0
              ? `Nothing would be deleted: ${heldWords(counted.held)}.`
              : 'No event is found, so there is nothing to delete.'
            : ''}
        </p>
        {!isQueryWrong(preview.error) && <FormError error={preview.error} />}
        <Foot close={close} isBusy={preview.isBusy} word={preview.isBusy ? 'Counting…' : 'Count first'} />
      </form>
    </Dialog>
  )
}

const heldWords = (held: number) => `${plural(held, 'event is', 'events are')} held and stay`

function KeptElsewhere() {
  return (
    <p className="muted small">
      Alerts, incidents and evidence keep what was copied into them; look through those yourself. Of the
      question only a digest is kept, because it names whom it is about.
    </p>
  )
}

function ConfirmErase({ counted, close, back }: { counted: Counted; close: () => void; back: () => void }) {
  const refresh = useRefreshStorage()
  const [said, setSaid] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    if (!confirms(said, counted.events))
      throw new Error(`Type ${count(counted.events)} or delete; nothing was deleted.`)
    await api.post<Erasure>('/storage/erasures', { query: counted.query, reason: counted.reason })
    await refresh()
    toast({ tone: 'plain', text: 'The deletion runs; its record says when it is done' })
    close()
  })
  return (
    <Dialog title="This cannot be undone" onClose={close} width={600}>
      <form className="stack" onSubmit={submit}>
        <p className="erase-count">
          <strong>{plural(counted.events, 'event')}</strong> in {plural(counted.files, 'file')} would be
          deleted
          {counted.held > 0 ? `; ${heldWords(counted.held)}` : ''}.
        </p>
        <pre className="mono wrap paste">{visible(counted.query)}</pre>
        <p className="muted">
          They are gone from the lake for good: from hunts, from rules’ back-tests and from what alerts show
          around them. Events that arrived since the count and that the question finds are deleted too.
        </p>
        <KeptElsewhere />
        <label className="field">
          Type {count(counted.events)} or delete
          <input
            className="input"
            data-autofocus
            autoComplete="off"
            value={said}
            onChange={(e) => setSaid(e.target.value)}
          />
        </label>
        <FormError error={error} />
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={back}>
            Back
          </button>
          <button
            type="submit"
            className="button button-danger"
            disabled={isBusy || !confirms(said, counted.events)}
          >
            Delete {plural(counted.events, 'event')}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
