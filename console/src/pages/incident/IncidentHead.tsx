import { Link, useRouter } from '@tanstack/react-router'
import { Download } from 'lucide-react'
import { type IncidentActions, mergeDialog, resolveDialog } from '../../actions/incidents'
import { textDialog } from '../../actions/noteDialog'
import type { IncidentDetail } from '../../api/types'
import { plural, SEVERITIES } from '../../lib/format'
import { useKeys } from '../../lib/keys'
import { visible, visibleBlock } from '../../lib/text'
import { duration } from '../../lib/time'
import { Kbd } from '../../ui/Kbd'
import { Menu } from '../../ui/Menu'
import { Risk } from '../../ui/Risk'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Time } from '../../ui/Time'
import { Presence } from './Presence'
import { observableDialog } from './Work'

interface Props {
  incident: IncidentDetail
  actions: IncidentActions
}

export function IncidentHead({ incident, actions }: Props) {
  const router = useRouter()
  const { status } = incident
  const isOver = status === 'resolved' || status === 'closed'
  const edit = {
    title: () =>
      textDialog({
        title: 'Edit title',
        label: 'Title',
        submitLabel: 'Save title',
        initial: incident.title,
        save: (title) => actions.patch({ title }, 'Title changed'),
      }),
    summary: () =>
      textDialog({
        title: 'Edit summary',
        label: 'What happened, what was affected, what was done',
        submitLabel: 'Save summary',
        multiline: true,
        initial: incident.summary ?? '',
        save: (summary) => actions.patch({ summary }, 'Summary changed'),
      }),
    note: () =>
      textDialog({
        title: 'Note on incident',
        label: 'Note',
        submitLabel: 'Add note',
        isNote: true,
        save: actions.note,
      }),
    task: () => textDialog({ title: 'New task', label: 'Task', submitLabel: 'Add task', save: actions.task }),
  }
  useKeys('Incident', [
    { keys: 'c', label: 'Assign to me', run: () => void actions.assign() },
    { keys: 's', label: 'Mark contained', run: () => void actions.setStatus('contained') },
    { keys: 'e', label: 'Resolve with verdict', run: () => resolveDialog(actions) },
    { keys: 'n', label: 'Note', run: edit.note },
    { keys: 't', label: 'Task', run: edit.task },
    { keys: 'b', label: 'Observable', run: () => observableDialog(actions) },
    { keys: 'm', label: 'Merge another incident into this', run: () => mergeDialog(incident, actions) },
    { keys: 'r', label: 'Edit title', run: edit.title },
    {
      keys: 'Escape',
      label: 'Back',
      run: () =>
        router.history.canGoBack() ? router.history.back() : void router.navigate({ to: '/incidents' }),
    },
  ])
  const span = (Date.parse(incident.last_time) - Date.parse(incident.first_time)) / 1000
  const report = `/api/v1/incidents/${encodeURIComponent(incident.id)}/report`
  return (
    <header className="alert-head">
      <div className="alert-line">
        <span className="tabular muted">Incident #{incident.number}</span>
        <Severity level={incident.severity} />
        <Risk score={incident.risk} />
        <Status status={status} verdict={incident.verdict} />
        <span className="muted tabular">
          {plural(incident.alert_count, 'alert')} · <Time iso={incident.first_time} /> · over {duration(span)}
        </span>
        <span className="muted">
          {incident.assignee ? `with ${visible(incident.assignee)}` : 'unassigned'}
        </span>
        <Presence id={incident.id} />
      </div>
      {incident.merged_into && (
        <p className="merged">
          Merged into another incident, where its alerts are now.{' '}
          <Link to="/incidents/$id" params={{ id: incident.merged_into }}>
            Open it
          </Link>
        </p>
      )}
      <h1>
        {visible(incident.title)}{' '}
        <button type="button" className="link-button small" onClick={edit.title}>
          Edit title
        </button>
      </h1>
      <p className="sentence">
        {incident.summary ? visibleBlock(incident.summary) : <span className="muted">No summary yet.</span>}{' '}
        <button type="button" className="link-button small" onClick={edit.summary}>
          Edit summary
        </button>
      </p>
      <div className="actions" role="toolbar" aria-label="What to do next">
        {status === 'new' && (
          <button
            type="button"
            className="button button-primary"
            onClick={() => void actions.setStatus('in_progress')}
          >
            Start work
          </button>
        )}
        {!isOver && status !== 'contained' && (
          <button
            type="button"
            className={`button ${status === 'in_progress' ? 'button-primary' : ''}`}
            onClick={() => void actions.setStatus('contained')}
          >
            Mark contained <Kbd keys="s" />
          </button>
        )}
        {!isOver ? (
          <button
            type="button"
            className={`button ${status === 'contained' ? 'button-primary' : ''}`}
            onClick={() => resolveDialog(actions)}
          >
            Resolve <Kbd keys="e" />
          </button>
        ) : (
          <button type="button" className="button" onClick={() => void actions.setStatus('in_progress')}>
            Reopen
          </button>
        )}
        <button type="button" className="button" onClick={() => void actions.assign()}>
          Assign to me <Kbd keys="c" />
        </button>
        <button type="button" className="button" onClick={edit.note}>
          Note <Kbd keys="n" />
        </button>
        <button type="button" className="button" onClick={edit.task}>
          Task <Kbd keys="t" />
        </button>
        <button type="button" className="button" onClick={() => mergeDialog(incident, actions)}>
          Merge <Kbd keys="m" />
        </button>
        <Menu
          label="Change severity"
          button="Severity"
          items={SEVERITIES.map((level) => ({
            label: <Severity level={level} />,
            checked: level === incident.severity,
            run: () => void actions.patch({ severity: level }, 'Severity changed'),
          }))}
        />
        <span className="spacer" />
        <a className="button" href={`${report}?format=html`} download>
          <Download size={14} aria-hidden="true" /> Report HTML
        </a>
        <a className="button" href={`${report}?format=pdf`} download>
          <Download size={14} aria-hidden="true" /> Report PDF
        </a>
      </div>
    </header>
  )
}
