/** The work on an incident: tasks, notes, observables. */
import { useState } from 'react'
import type { IncidentActions } from '../../actions/incidents'
import { useSubmit } from '../../actions/useForm'
import type { IncidentDetail } from '../../api/types'
import { count } from '../../lib/format'
import { visible, visibleBlock } from '../../lib/text'
import { openDialog } from '../../ui/Dialog'
import { FormDialog, TextField } from '../../ui/Form'
import { FormError } from '../../ui/FormError'
import { NoteBox } from '../../ui/NoteBox'
import { Section } from '../../ui/Page'
import { Time } from '../../ui/Time'
import { Value } from '../../ui/Value'

interface Props {
  incident: IncidentDetail
  actions: IncidentActions
}

export function Tasks({ incident, actions }: Props) {
  const done = incident.tasks.filter((t) => t.status === 'done').length
  return (
    <Section
      title="Tasks"
      note={incident.tasks.length > 0 ? `${count(done)} of ${count(incident.tasks.length)} done` : undefined}
    >
      <ul className="tasks">
        {incident.tasks.map((task) => (
          <li key={task.id}>
            <label className="check" data-done={task.status === 'done'}>
              <input
                type="checkbox"
                checked={task.status === 'done'}
                onChange={(e) => void actions.setTask(task.id, e.target.checked ? 'done' : 'open')}
              />
              <span>{visible(task.title)}</span>
            </label>
            {task.assignee && <span className="muted small">{visible(task.assignee)}</span>}
          </li>
        ))}
      </ul>
      <InlineAdd label="Add a task" save={actions.task} />
    </Section>
  )
}

export function Notes({ incident, actions }: Props) {
  return (
    <Section title="Notes">
      <ol className="notes">
        {incident.notes.map((note) => (
          <li key={note.id}>
            <div className="note-text">{visibleBlock(note.text)}</div>
            <div className="muted small">
              {visible(note.author)}
              {' · '}
              <Time iso={note.created_at} show="short" />
            </div>
          </li>
        ))}
      </ol>
      <InlineAdd label="Add a note" isNote save={actions.note} />
    </Section>
  )
}

interface InlineAddProps {
  label: string
  isNote?: boolean
  save: (text: string) => Promise<void>
}

function InlineAdd({ label, isNote, save }: InlineAddProps) {
  const [text, setText] = useState('')
  const { submit, isBusy, error } = useSubmit(async () => {
    if (!text.trim()) return
    await save(text.trim())
    setText('')
  })
  return (
    <form className="inline-add" onSubmit={submit}>
      {isNote ? (
        <NoteBox
          label={label}
          placeholder={`${label}; @name tells somebody`}
          disabled={isBusy}
          value={text}
          onChange={setText}
        />
      ) : (
        <input
          className="input"
          aria-label={label}
          placeholder={label}
          disabled={isBusy}
          value={text}
          onChange={(e) => setText(e.target.value)}
        />
      )}
      <FormError error={error} />
    </form>
  )
}

export function Observables({ incident, actions }: Props) {
  return (
    <Section
      title="Observables"
      tools={
        <button type="button" className="link-button" onClick={() => observableDialog(actions)}>
          Add
        </button>
      }
    >
      {incident.observables.length === 0 ? (
        <p className="muted quiet">None yet. The card of any value offers “Add as observable”.</p>
      ) : (
        <ul className="plain-list">
          {incident.observables.map((o) => (
            <li key={o.id} className="row">
              <Value kind={o.kind} value={o.value} max={40} />
              {o.note && <span className="small muted">{visible(o.note)}</span>}
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

const KINDS = ['address', 'domain', 'url', 'host', 'user', 'process', 'file', 'hash']

export function observableDialog(actions: IncidentActions): void {
  openDialog((close) => <ObservableDialog actions={actions} close={close} />)
}

function ObservableDialog({ actions, close }: { actions: IncidentActions; close: () => void }) {
  const [kind, setKind] = useState('address')
  const [value, setValue] = useState('')
  const [note, setNote] = useState('')
  const send = async () => {
    if (!value.trim()) throw new Error('Write the value.')
    await actions.observable(kind, value.trim(), note.trim())
  }
  return (
    <FormDialog title="Add observable" close={close} width={420} word="Add observable" send={send}>
      <label className="field">
        Kind
        <select className="input" value={kind} onChange={(e) => setKind(e.target.value)}>
          {KINDS.map((k) => (
            <option key={k}>{k}</option>
          ))}
        </select>
      </label>
      <TextField label="Value" isMono isFirst value={value} onChange={setValue} />
      <TextField label="Note (optional)" value={note} onChange={setNote} />
    </FormDialog>
  )
}
