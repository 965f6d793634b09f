/** Which playbooks there are, and what runs. */
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useRef, useState } from 'react'
import { runDialog } from '../../actions/playbooks'
import { useMay, useRefreshResponse } from '../../actions/response'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { playbooksQuery, runsQuery } from '../../api/queries'
import type { Playbook, PlaybookRow, PlaybookRunRow } from '../../api/types'
import { plural } from '../../lib/format'
import { emptyDocument } from '../../lib/playbook'
import { RUN_WORD } from '../../lib/response'
import { visible } from '../../lib/text'
import { ResponseState } from '../../ui/ActionCard'
import { FormError } from '../../ui/FormError'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { toast } from '../../ui/toast'

export default function Playbooks() {
  const { data, error, refetch } = useQuery(playbooksQuery)
  const runs = useQuery(runsQuery(null)).data?.items ?? []
  const mayManage = useMay('playbooks.manage')
  if (error && !data)
    return <Problem what="Playbooks did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={14} />
  return (
    <div className="page">
      <PageHead
        title="Playbooks"
        meta={<span className="muted">{plural(data.items.length, 'playbook')}, in CACAO 2.0</span>}
      >
        {mayManage && <Make />}
      </PageHead>
      <Runs runs={runs} />
      {data.items.length === 0 ? (
        <Empty title="No playbooks yet" line="watchfloor playbook import --url http://127.0.0.1:8787 FILE">
          Bring one in from a file, or make one.
        </Empty>
      ) : (
        <List items={data.items} />
      )}
    </div>
  )
}

function Make() {
  const file = useRef<HTMLInputElement>(null)
  const navigate = useNavigate()
  const refresh = useRefreshResponse()
  const [text, setText] = useState<string | null>(null)
  const { submit, error } = useSubmit(async () => {
    const document =
      text === null
        ? emptyDocument('New playbook', () => crypto.randomUUID(), new Date().toISOString())
        : (JSON.parse(text) as unknown)
    const saved = await api.post<Playbook>('/playbooks', document)
    await refresh()
    if (saved.faults.some((fault) => fault.gravity === 'error'))
      toast({ tone: 'error', text: 'Kept as a draft: it has faults, which its page names' })
    await navigate({ to: '/playbooks/$id', params: { id: saved.id } })
  })
  return (
    <>
      <input
        ref={file}
        type="file"
        accept="application/json,.json"
        hidden
        aria-label="Playbook file"
        onChange={async (event) => {
          const chosen = event.target.files?.[0]
          if (!chosen) return
          setText(await chosen.text())
          requestAnimationFrame(() => void submit())
        }}
      />
      <FormError error={error} />
      <button type="button" className="button" onClick={() => file.current?.click()}>
        Import…
      </button>
      <button
        type="button"
        className="button button-primary"
        onClick={() => {
          setText(null)
          void submit()
        }}
      >
        New playbook
      </button>
    </>
  )
}

function List({ items }: { items: readonly PlaybookRow[] }) {
  const mayRun = useMay('playbooks.run')
  return (
    <Section title="Library">
      <div className="table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Playbook</th>
              <th scope="col">State</th>
              <th scope="col">Changed</th>
              <th scope="col">
                <span className="hidden-text">Run</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map((one) => (
              <tr key={one.id}>
                <td className="wrap">
                  <Link to="/playbooks/$id" params={{ id: one.id }} className="strong">
                    {visible(one.name)}
                  </Link>
                  <div className="muted small">{visible(one.description)}</div>
                </td>
                <td>
                  {one.is_runnable ? (
                    <span className="muted">{one.is_built_in ? 'built in' : 'own'}</span>
                  ) : (
                    <span className="warn">draft with faults</span>
                  )}
                </td>
                <td className="muted small">
                  {visible(one.changed_by)}, <Ago iso={one.changed_at} />
                </td>
                <td className="number">
                  {mayRun && one.is_runnable && (
                    <button
                      type="button"
                      className="link-button"
                      aria-label={`Run ${visible(one.name)}`}
                      onClick={() => runDialog({ playbookId: one.id })}
                    >
                      Run…
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  )
}

function Runs({ runs }: { runs: readonly PlaybookRunRow[] }) {
  if (runs.length === 0) return null
  const open = runs.filter((run) => run.status === 'running').length
  return (
    <Section title="Runs" note={open > 0 ? `${open} going on` : 'none going on'}>
      <div className="table-scroll">
        <table className="table">
          <thead>
            <tr>
              {['Run', 'State', 'Incident', 'Begun'].map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {runs.slice(0, 20).map((run) => (
              <tr key={run.id}>
                <td>
                  <Link to="/runs/$id" params={{ id: run.id }}>
                    {visible(run.playbook_name)}
                  </Link>{' '}
                  <span className="muted small mono">{run.id}</span>
                </td>
                <td className="wrap">
                  <ResponseState
                    status={run.stuck ? 'uncertain' : run.status}
                    word={run.stuck ? 'Stuck' : (RUN_WORD[run.status] ?? run.status)}
                  />
                  {(run.stuck || run.reason) && (
                    <div className="small muted">{visible(run.stuck ?? run.reason ?? '')}</div>
                  )}
                </td>
                <td>
                  {run.incident_id && (
                    <Link to="/incidents/$id" params={{ id: run.incident_id }} className="mono">
                      {run.incident_id}
                    </Link>
                  )}
                </td>
                <td className="muted small">
                  {visible(run.started_by)}, <Ago iso={run.started_at} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  )
}
