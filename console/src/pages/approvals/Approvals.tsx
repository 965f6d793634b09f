/** What waits for somebody: approvals, uncertain actions, steps of people, stuck runs. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { actionsQuery, approvalsQuery } from '../../api/queries'
import { plural } from '../../lib/format'
import { visible, visibleBlock } from '../../lib/text'
import { ActionCard } from '../../ui/ActionCard'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'

export default function Approvals() {
  const { data, error, refetch } = useQuery(approvalsQuery)
  const items = useQuery(actionsQuery(null)).data?.items ?? []
  const latest = items.filter((action) => action.status !== 'proposed' && action.status !== 'uncertain')
  if (error && !data)
    return <Problem what="Approvals did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={10} />
  const waiting = data.proposed.length + data.uncertain.length + data.steps.length
  return (
    <div className="page">
      <PageHead
        title="Approvals"
        meta={<span className="muted">{plural(waiting, 'thing waits', 'things wait')} for somebody</span>}
      />
      {waiting === 0 && data.stuck.length === 0 && latest.length === 0 && (
        <Empty title="Nothing waits">
          Actions that need a second person, and steps of playbooks that people do, stand here.
        </Empty>
      )}
      {data.uncertain.length > 0 && (
        <Section title="Uncertain" note="nobody knows whether these were done: look, and settle them">
          {data.uncertain.map((action) => (
            <ActionCard key={action.id} action={action} />
          ))}
        </Section>
      )}
      {data.proposed.length > 0 && (
        <Section title="To be agreed to" note="nobody agrees to their own">
          {data.proposed.map((action) => (
            <ActionCard key={action.id} action={action} />
          ))}
        </Section>
      )}
      {data.steps.length > 0 && (
        <Section title="To be done by somebody">
          {data.steps.map(({ run, step }) => (
            <article
              key={`${run.id} ${step.instance}`}
              className="response-card"
              aria-label={visible(step.name)}
            >
              <header>
                <Link to="/runs/$id" params={{ id: run.id }} className="strong">
                  {visible(step.name)}
                </Link>
                <span className="muted">{visible(run.playbook_name)}</span>
                <span className="muted small">
                  since <Ago iso={step.since} />
                </span>
              </header>
              <div className="response-text">{visibleBlock(step.detail)}</div>
            </article>
          ))}
        </Section>
      )}
      {data.stuck.length > 0 && (
        <Section title="Stuck runs">
          {data.stuck.map((run) => (
            <article key={run.id} className="response-card" aria-label={visible(run.playbook_name)}>
              <header>
                <Link to="/runs/$id" params={{ id: run.id }} className="strong">
                  {visible(run.playbook_name)}
                </Link>
                <span className="muted small">{run.id}</span>
              </header>
              <p className="warn">{visible(run.stuck ?? '')}</p>
            </article>
          ))}
        </Section>
      )}
      {latest.length > 0 && (
        <Section title="Latest actions">
          {latest.slice(0, 20).map((action) => (
            <ActionCard key={action.id} action={action} />
          ))}
        </Section>
      )}
    </div>
  )
}
