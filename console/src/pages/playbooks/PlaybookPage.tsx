/** A playbook: its diagram to be edited, the form of each step, and what is wrong with it. */
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { lazy, Suspense, useEffect, useMemo, useState } from 'react'
import { runDialog, useUnsaved } from '../../actions/playbooks'
import { useMay, useRefreshResponse } from '../../actions/response'
import { useSubmit } from '../../actions/useForm'
import { api, send } from '../../api/client'
import { playbookQuery } from '../../api/queries'
import type { Playbook, PlaybookFault } from '../../api/types'
import {
  addStep,
  KIND_WORD,
  type PlaybookDocument,
  STEP_KINDS,
  type StepKind,
  stepName,
  variablesOf,
} from '../../lib/playbook'
import { visible } from '../../lib/text'
import { FormError } from '../../ui/FormError'
import { PageHead, Section } from '../../ui/Page'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { toast } from '../../ui/toast'
import { FaultList, StepForm } from './StepForm'

const Diagram = lazy(() => import('./Diagram'))
/** Pause in typing after which a draft is checked. */
const CHECK_MS = 500

export default function PlaybookPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const { data, error, refetch } = useQuery(playbookQuery(id))
  if (error && !data)
    return <Problem what="The playbook did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={14} />
  return <Loaded key={`${id} ${data.version}`} playbook={data} />
}

/** What the server says of a draft, a moment after the last change. */
function useFaults(document: PlaybookDocument, known: readonly PlaybookFault[], isChanged: boolean) {
  const [found, setFound] = useState<{ of: PlaybookDocument; faults: readonly PlaybookFault[] } | null>(null)
  useEffect(() => {
    if (!isChanged) return
    const timer = setTimeout(() => {
      api
        .post<{ faults: PlaybookFault[] }>('/playbooks/check', document)
        .then(({ faults }) => setFound({ of: document, faults }))
        .catch(() => setFound(null))
    }, CHECK_MS)
    return () => clearTimeout(timer)
  }, [document, isChanged])
  return isChanged ? (found?.faults ?? known) : known
}

function Loaded({ playbook }: { playbook: Playbook }) {
  const saved = playbook.document as unknown as PlaybookDocument
  const [document, setDocument] = useState(saved)
  const [chosen, setChosen] = useState<string | null>(null)
  const mayManage = useMay('playbooks.manage')
  const mayRun = useMay('playbooks.run')
  const navigate = useNavigate()
  const refresh = useRefreshResponse()
  const isChanged = document !== saved
  useUnsaved(isChanged)
  const faults = useFaults(document, playbook.faults, isChanged)
  const byStep = useMemo(
    () => new Map(faults.filter((fault) => fault.step).map((fault) => [fault.step as string, fault.gravity])),
    [faults],
  )
  const change = mayManage ? setDocument : undefined
  const { submit, isBusy, error } = useSubmit(async () => {
    const next = { ...document, modified: new Date().toISOString() }
    await send('POST', '/playbooks', { body: next, version: playbook.version })
    toast({ tone: 'plain', text: 'Saved' })
    await refresh()
  })
  const remove = useSubmit(async () => {
    await api.delete(`/playbooks/${encodeURIComponent(playbook.id)}`)
    await refresh()
    await navigate({ to: '/playbooks' })
  })
  return (
    <div className="page">
      <PageHead
        title={visible(document.name)}
        meta={
          <span className="muted">
            <Link to="/playbooks">Playbooks</Link> ·{' '}
            {isChanged ? 'not saved yet' : playbook.is_built_in ? 'built in' : `version ${playbook.version}`}
          </span>
        }
      >
        <a
          className="button"
          href={`/api/v1/playbooks/${encodeURIComponent(playbook.id)}/export`}
          download={`${playbook.id}.json`}
        >
          Export
        </a>
        {mayManage && (
          <button
            type="button"
            className="button"
            disabled={remove.isBusy}
            onClick={() => void remove.submit()}
          >
            Remove
          </button>
        )}
        {mayRun && (
          <button
            type="button"
            className="button"
            disabled={isChanged || !playbook.is_runnable}
            onClick={() => runDialog({ playbookId: playbook.id })}
          >
            Rehearse or run…
          </button>
        )}
        {mayManage && (
          <button
            type="button"
            className="button button-primary"
            disabled={!isChanged || isBusy}
            onClick={() => void submit()}
          >
            Save
          </button>
        )}
      </PageHead>
      <FormError error={error ?? remove.error} />
      <p className="muted">{visible(String(document.description ?? ''))}</p>
      {change && (
        <p className="row small">
          <span className="muted">Add a step:</span>
          {STEP_KINDS.map((kind: StepKind) => (
            <button
              key={kind}
              type="button"
              className="link-button"
              onClick={() => {
                const added = addStep(document, kind, crypto.randomUUID())
                setDocument(added.document)
                setChosen(added.id)
              }}
            >
              {KIND_WORD[kind]}
            </button>
          ))}
        </p>
      )}
      <div className="diagram-wrap">
        <Suspense fallback={<SkeletonRows rows={10} />}>
          <Diagram
            document={document}
            chosen={chosen}
            choose={setChosen}
            faults={byStep}
            {...(change ? { change } : {})}
          />
        </Suspense>
        <div className="diagram-side">
          {chosen ? (
            <StepForm document={document} id={chosen} faults={faults} change={change} choose={setChosen} />
          ) : (
            <Overview document={document} faults={faults} choose={setChosen} change={change} />
          )}
        </div>
      </div>
    </div>
  )
}

interface OverviewProps {
  document: PlaybookDocument
  faults: readonly PlaybookFault[]
  choose: (id: string) => void
  change: ((document: PlaybookDocument) => void) | undefined
}

function Overview({ document, faults, choose, change }: OverviewProps) {
  const variables = variablesOf(document)
  return (
    <>
      <Section title="Faults" note={faults.length === 0 ? 'none' : undefined}>
        {faults.length > 0 && <FaultList faults={faults} />}
      </Section>
      {change && (
        <Section title="Playbook">
          <label className="field">
            Name
            <input
              className="input"
              value={document.name}
              onChange={(e) => change({ ...document, name: e.target.value })}
            />
          </label>
          <label className="field">
            What it is for
            <textarea
              rows={3}
              value={String(document.description ?? '')}
              onChange={(e) => change({ ...document, description: e.target.value })}
            />
          </label>
        </Section>
      )}
      <Section title="Variables" note={String(variables.length)}>
        <ul className="plain-list small">
          {variables.map((one) => (
            <li key={one.name}>
              <span className="mono">{one.label}</span>{' '}
              <span className="muted">
                {one.type}
                {one.isExternal ? ', given when a run begins' : ''}
              </span>
              {one.description && <div className="muted">{visible(one.description)}</div>}
            </li>
          ))}
        </ul>
        {change && <NewVariable document={document} change={change} />}
      </Section>
      <Section title="Steps">
        <ul className="plain-list small">
          {Object.entries(document.workflow).map(([id, step]) => (
            <li key={id}>
              <button type="button" className="link-button" onClick={() => choose(id)}>
                {visible(stepName(document, id))}
              </button>{' '}
              <span className="muted">{KIND_WORD[step.type] ?? step.type}</span>
            </li>
          ))}
        </ul>
      </Section>
    </>
  )
}

function NewVariable({
  document,
  change,
}: {
  document: PlaybookDocument
  change: (document: PlaybookDocument) => void
}) {
  const [name, setName] = useState('')
  return (
    <form
      className="inline-add"
      onSubmit={(event) => {
        event.preventDefault()
        const plain = name.trim().replace(/[^A-Za-z0-9_-]/g, '_')
        if (!plain) return
        const known = (document.playbook_variables ?? {}) as PlaybookDocument['workflow']
        change({
          ...document,
          playbook_variables: { ...known, [`__${plain}__`]: { type: 'string', external: true } },
        })
        setName('')
      }}
    >
      <input
        className="input"
        aria-label="Add a variable"
        placeholder="Add a variable"
        value={name}
        onChange={(e) => setName(e.target.value)}
      />
    </form>
  )
}
