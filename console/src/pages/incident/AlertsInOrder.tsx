/** The alerts in order of time, each with the reason why it belongs here. */
import { Link, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { useAlertActions } from '../../actions/alerts'
import { detachDialog } from '../../actions/attachDialog'
import type { IncidentActions } from '../../actions/incidents'
import { textDialog } from '../../actions/noteDialog'
import type { IncidentDetail } from '../../api/types'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Time } from '../../ui/Time'
import { Entities } from '../../ui/Value'

export function AlertsInOrder({ incident, actions }: { incident: IncidentDetail; actions: IncidentActions }) {
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set())
  const navigate = useNavigate()
  const alertActions = useAlertActions()
  const rows = [...incident.alert_rows].sort((a, b) => a.time.localeCompare(b.time))
  const toggle = (id: string) => {
    const next = new Set(picked)
    if (!next.delete(id)) next.add(id)
    setPicked(next)
  }
  const split = () =>
    textDialog({
      title: `Split ${plural(picked.size, 'alert')} into a new incident`,
      label: 'Why they do not belong here (kept with the correction)',
      submitLabel: 'Split',
      save: async (reason) => {
        const made = await actions.split([...picked], reason)
        setPicked(new Set())
        if (made?.id) void navigate({ to: '/incidents/$id', params: { id: made.id } })
      },
    })
  return (
    <Section
      title="Alerts in order"
      note={
        rows.length < incident.alert_count
          ? `the gravest ${rows.length} of ${plural(incident.alert_count, 'alert')}`
          : plural(rows.length, 'alert')
      }
      tools={
        picked.size > 0 ? (
          <button type="button" className="button" onClick={split}>
            Split {plural(picked.size, 'alert')} into a new incident
          </button>
        ) : (
          <Link to="/queue" search={{ incident_id: incident.id, status: 'all' }}>
            In the queue
          </Link>
        )
      }
    >
      {rows.length === 0 ? (
        <p className="muted quiet">No alert is attached. Select alerts in the queue and press m.</p>
      ) : (
        <ol className="incident-alerts">
          {rows.map((row) => (
            <li key={row.id} data-id={row.id}>
              <input
                type="checkbox"
                aria-label={`Pick ${visible(row.title)} for a split`}
                checked={picked.has(row.id)}
                onChange={() => toggle(row.id)}
              />
              <Time iso={row.time} show="short" />
              <Severity level={row.severity} />
              <div className="incident-alert">
                <div className="row">
                  <Link to="/alerts/$id" params={{ id: row.id }} className="strong">
                    {visible(row.title)}
                  </Link>
                  <Status status={row.status} verdict={row.verdict} />
                  <button
                    type="button"
                    className="link-button small"
                    aria-label={`Take out ${visible(row.title)}`}
                    onClick={() => detachDialog(row, alertActions)}
                  >
                    Take out…
                  </button>
                </div>
                <div className="incident-summary">{visible(row.summary)}</div>
                <Entities items={row.entities} max={5} />
                {(row.attachment_reasons?.length ?? 0) > 0 && (
                  <div className="small muted because">
                    Here because {row.attachment_reasons?.map((r) => visible(r)).join('; ')}
                  </div>
                )}
              </div>
            </li>
          ))}
        </ol>
      )}
    </Section>
  )
}
