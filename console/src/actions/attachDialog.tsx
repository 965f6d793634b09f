/** Attaching alerts: to a new incident, or to one found by its words. Arrows choose, Enter attaches. */
import { useInfiniteQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { incidentsQuery } from '../api/queries'
import type { Alert, Incident } from '../api/types'
import { plural } from '../lib/format'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { Severity } from '../ui/Severity'
import { Status } from '../ui/Status'
import { Ago } from '../ui/Time'
import type { AlertActions } from './alerts'
import { textDialog } from './noteDialog'

export function attachDialog(alerts: readonly Alert[], actions: AlertActions, onDone?: () => void): void {
  if (alerts.length === 0) return
  openDialog((close) => (
    <IncidentPicker
      title={`Attach ${plural(alerts.length, 'alert')} to`}
      close={close}
      newLabel="A new incident"
      exclude={alerts.length === 1 ? alerts[0]?.incident_id : null}
      choose={(incident) => {
        whyDialog(alerts, incident, actions, onDone)
      }}
    />
  ))
}

/** Why, for next time: what is automatic keeps to it. */
function whyDialog(
  alerts: readonly Alert[],
  incident: Incident | null,
  actions: AlertActions,
  onDone?: () => void,
): void {
  const attach = async (reason: string) => {
    void actions.attach(alerts, incident?.id ?? null, reason)
    onDone?.()
  }
  textDialog({
    title: `Attach ${plural(alerts.length, 'alert')} to ${incident ? `#${incident.number}` : 'a new incident'}`,
    label: 'Why they belong there (kept with the correction; may stay empty)',
    submitLabel: 'Attach',
    isOptional: true,
    save: attach,
  })
}

/** Takes an alert out of its incident, and asks why. */
export function detachDialog(alert: Alert, actions: AlertActions): void {
  textDialog({
    title: 'Take the alert out of its incident',
    label: 'Why it does not belong there (kept with the correction; may stay empty)',
    submitLabel: 'Take out',
    isOptional: true,
    save: (reason) => actions.detach(alert, reason),
  })
}

interface PickerProps {
  title: string
  close: () => void
  choose: (incident: Incident | null) => void
  newLabel?: string
  exclude?: string | null
}

export function IncidentPicker({ title, close, choose, newLabel, exclude }: PickerProps) {
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const query = useInfiniteQuery(incidentsQuery({ q: text }))
  const incidents = (query.data?.pages[0]?.items ?? [])
    .filter((i) => i.id !== exclude && i.status !== 'closed')
    .slice(0, 8)
  const options: (Incident | null)[] = newLabel ? [null, ...incidents] : incidents
  const active = Math.min(at, options.length - 1)
  const pick = (index: number) => {
    const option = options[index]
    if (option === undefined) return
    close()
    choose(option)
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt(Math.min(active + 1, options.length - 1))
    else if (event.key === 'ArrowUp') setAt(Math.max(active - 1, 0))
    else if (event.key === 'Enter') pick(active)
    else return
    event.preventDefault()
  }
  return (
    <Dialog title={title} onClose={close} width={620}>
      <input
        className="input"
        role="combobox"
        aria-expanded="true"
        aria-controls="incident-options"
        aria-activedescendant={`incident-option-${active}`}
        aria-label="Search incidents"
        placeholder="Search incidents by title or entity"
        data-autofocus
        value={text}
        onChange={(e) => {
          setText(e.target.value)
          setAt(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div id="incident-options" role="listbox" aria-label="Incidents" className="options">
        {options.map((incident, i) => (
          <div
            key={incident?.id ?? 'new'}
            id={`incident-option-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === active}
            className="option"
            onClick={() => pick(i)}
            onKeyDown={onKeyDown}
            onPointerMove={() => setAt(i)}
          >
            {incident ? (
              <>
                <span className="tabular muted option-number">#{incident.number}</span>
                <span className="option-title">{visible(incident.title)}</span>
                <Severity level={incident.severity} />
                <Status status={incident.status} />
                <span className="muted small">
                  <Ago iso={incident.last_time} />
                </span>
              </>
            ) : (
              <strong>{newLabel}</strong>
            )}
          </div>
        ))}
      </div>
      {query.isFetched && incidents.length === 0 && <p className="muted small">No open incident matches.</p>}
    </Dialog>
  )
}
