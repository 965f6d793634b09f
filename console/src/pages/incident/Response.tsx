/** What was done about the incident, what can be done, and which playbooks run for it. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { runDialog } from '../../actions/playbooks'
import { actDialog, useMay } from '../../actions/response'
import { actionsQuery, runsQuery } from '../../api/queries'
import type { IncidentDetail } from '../../api/types'
import { FIRST_ACTION, RUN_WORD } from '../../lib/response'
import { visible } from '../../lib/text'
import { ActionCard, ResponseState } from '../../ui/ActionCard'
import { Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'

export function Response({ incident }: { incident: IncidentDetail }) {
  const actions = useQuery(actionsQuery(incident.id)).data?.items ?? []
  const runs = useQuery(runsQuery(incident.id)).data?.items ?? []
  const mayAct = useMay('actions.propose')
  const mayRun = useMay('playbooks.run')
  const first = incident.entities.find((entity) => FIRST_ACTION[entity.kind] !== undefined)
  return (
    <Section
      title="Response"
      note={
        actions.length > 0 ? `${actions.filter((one) => one.status === 'done').length} in force` : undefined
      }
      tools={
        <>
          {mayRun && (
            <button
              type="button"
              className="link-button"
              onClick={() => runDialog({ incidentId: incident.id, entities: incident.entities })}
            >
              Run a playbook…
            </button>
          )}
          {mayAct && (
            <button
              type="button"
              className="link-button"
              onClick={() =>
                actDialog({
                  kind: (first && FIRST_ACTION[first.kind]) || 'isolate_host',
                  target: first?.value ?? '',
                  incidentId: incident.id,
                })
              }
            >
              Act…
            </button>
          )}
        </>
      }
    >
      {actions.length === 0 && runs.length === 0 && <p className="muted quiet">Nothing was done yet.</p>}
      {runs.map((run) => (
        <article key={run.id} className="response-card" aria-label={visible(run.playbook_name)}>
          <header>
            <Link to="/runs/$id" params={{ id: run.id }} className="strong">
              {visible(run.playbook_name)}
            </Link>
            <ResponseState
              status={run.stuck ? 'uncertain' : run.status}
              word={run.stuck ? 'Stuck' : (RUN_WORD[run.status] ?? run.status)}
            />
            <span className="muted small">
              {visible(run.started_by)}, <Ago iso={run.started_at} />
            </span>
          </header>
          {(run.stuck || run.reason) && (
            <p className="warn small">{visible(run.stuck ?? run.reason ?? '')}</p>
          )}
        </article>
      ))}
      {actions
        .slice()
        .reverse()
        .map((action) => (
          <ActionCard key={action.id} action={action} />
        ))}
    </Section>
  )
}
