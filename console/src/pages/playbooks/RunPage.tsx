/** A run, live: where it stands, what waits for whom, what was done. */
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { lazy, Suspense, useMemo, useState } from 'react'
import { AnswerForm, endRunDialog } from '../../actions/playbooks'
import { useMay } from '../../actions/response'
import { runQuery } from '../../api/queries'
import type { PlaybookRun, RunStep } from '../../api/types'
import { KIND_WORD, type PlaybookDocument } from '../../lib/playbook'
import { RUN_WORD } from '../../lib/response'
import { visible, visibleBlock } from '../../lib/text'
import { ActionCard, ResponseState } from '../../ui/ActionCard'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'

const Diagram = lazy(() => import('./Diagram'))

export default function RunPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const { data, error, refetch } = useQuery({
    ...runQuery(id),
    refetchInterval: (query) => (query.state.data?.status === 'running' ? 5000 : false),
  })
  if (error && !data)
    return <Problem what="The run did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={14} />
  return <Loaded run={data} />
}

const WAIT_WORD: Record<string, string> = {
  time: 'waits for its time',
  person: 'waits for a person',
  action: 'waits for an action',
  run: 'waits for another run',
  branches: 'waits for its branches',
}

function Loaded({ run }: { run: PlaybookRun }) {
  const [chosen, setChosen] = useState<string | null>(null)
  const mayRun = useMay('playbooks.run')
  const states = useMemo(() => new Map(run.steps.map((step) => [step.step, step.status])), [run.steps])
  return (
    <div className="page">
      <PageHead
        title={visible(run.playbook_name)}
        meta={
          <span className="muted">
            <Link to="/playbooks">Playbooks</Link> · <span className="mono">{run.id}</span> · begun by{' '}
            {visible(run.started_by)}, <Ago iso={run.started_at} />
            {run.incident_id && (
              <>
                {' for '}
                <Link to="/incidents/$id" params={{ id: run.incident_id }}>
                  {run.incident_id}
                </Link>
              </>
            )}
            {run.parent_run && (
              <>
                {', called by '}
                <Link to="/runs/$id" params={{ id: run.parent_run }}>
                  {run.parent_run}
                </Link>
              </>
            )}
          </span>
        }
      >
        <ResponseState
          status={run.stuck ? 'uncertain' : run.status}
          word={run.stuck ? 'Stuck' : (RUN_WORD[run.status] ?? run.status)}
        />
        {run.status === 'running' && !run.parent_run && mayRun && (
          <button type="button" className="button" onClick={() => endRunDialog(run.id)}>
            End the run…
          </button>
        )}
      </PageHead>
      {(run.stuck || run.reason) && (
        <p className="warn" role="status">
          {visible(run.stuck ?? run.reason ?? '')}
        </p>
      )}
      <div className="diagram-wrap">
        <Suspense fallback={<SkeletonRows rows={10} />}>
          <Diagram
            document={run.document as unknown as PlaybookDocument}
            chosen={chosen}
            choose={setChosen}
            states={states}
          />
        </Suspense>
        <div className="diagram-side">
          <Section title="Steps" note={`${run.steps.length} entered`}>
            {run.steps
              .filter((step) => step.kind !== 'start' && step.kind !== 'end')
              .map((step) => (
                <StepCard key={step.instance} run={run} step={step} isChosen={step.step === chosen} />
              ))}
          </Section>
        </div>
      </div>
    </div>
  )
}

function StepCard({ run, step, isChosen }: { run: PlaybookRun; step: RunStep; isChosen: boolean }) {
  const mayRun = useMay('playbooks.run')
  const action = run.actions.find((one) => one.id === step.action_id)
  const isAsked = step.waits_for === 'person' && step.status === 'waiting'
  const word = step.status === 'waiting' ? (WAIT_WORD[step.waits_for ?? ''] ?? 'waits') : step.status
  return (
    <article
      className="response-card"
      aria-label={visible(step.name)}
      aria-current={isChosen ? 'step' : undefined}
    >
      <header>
        <strong>{visible(step.name)}</strong>
        <span className="muted small">{KIND_WORD[step.kind] ?? step.kind}</span>
        <ResponseState status={step.status} word={word} />
        <span className="muted small">
          <Ago iso={step.ended_at ?? step.since} />
          {step.decided_by && ` by ${visible(step.decided_by)}`}
        </span>
      </header>
      {step.detail && !action && <div className="small response-text">{visibleBlock(step.detail)}</div>}
      {step.child_run && (
        <Link to="/runs/$id" params={{ id: step.child_run }} className="small mono">
          {step.child_run}
        </Link>
      )}
      {action && <ActionCard action={action} />}
      {isAsked && mayRun && (
        <AnswerForm run={run.id} step={step} outputs={run.outputs[String(step.instance)] ?? {}} />
      )}
    </article>
  )
}
