/** Deletions on demand: the record of what was deleted, for whom to prove it to. */
import { Check, CircleAlert, LoaderCircle } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Erasure } from '../../api/types'
import { count } from '../../lib/format'
import { visible } from '../../lib/text'
import { CopyButton } from '../../ui/CopyButton'
import { Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'

const DIGEST_SHOWN = 12

export function Erasures({ erasures, tools }: { erasures: readonly Erasure[]; tools: ReactNode }) {
  return (
    <Section title="Deletions on demand" note="such as one person’s data; each leaves a record" tools={tools}>
      <p className="muted small">
        A deletion cannot be undone. Alerts, incidents and evidence keep what was copied into them. Held
        events stay.
      </p>
      {erasures.length === 0 ? (
        <p className="muted quiet">Nothing was deleted on demand.</p>
      ) : (
        <div className="storage-scroll">
          <table className="table storage-below">
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">Reason</th>
                <th
                  scope="col"
                  title="SHA-256 of the question’s text: it proves what was asked without naming anybody"
                >
                  Question
                </th>
                {['Deleted', 'Held', 'Files'].map((head) => (
                  <th key={head} scope="col" className="number">
                    {head}
                  </th>
                ))}
                <th scope="col">Asked for</th>
                <th scope="col">Ended</th>
              </tr>
            </thead>
            <tbody>
              {erasures.map((one) => (
                <Row key={one.id} erasure={one} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  )
}

function Row({ erasure }: { erasure: Erasure }) {
  const isRunning = erasure.state === 'running'
  return (
    <tr>
      <td aria-live="polite">
        <State state={erasure.state} />
      </td>
      <td className="wrap">
        {visible(erasure.reason)}
        {erasure.error && <div className="warn small">{visible(erasure.error)}</div>}
      </td>
      <td>
        {erasure.query && <div className="mono wrap">{visible(erasure.query)}</div>}
        <span className="storage-digest mono small muted" title={`SHA-256 ${erasure.digest}`}>
          {erasure.digest.slice(0, DIGEST_SHOWN)}…
          <CopyButton text={erasure.digest} label="Copy the digest of the question" />
        </span>
      </td>
      <td className="number">{isRunning ? '—' : count(erasure.events)}</td>
      <td className="number">{isRunning ? '—' : count(erasure.held)}</td>
      <td className="number">{isRunning ? '—' : count(erasure.files)}</td>
      <td className="muted small">
        by {visible(erasure.created_by)}, <Ago iso={erasure.created_at} />
      </td>
      <td className="muted small">{isRunning ? 'not yet' : <Ago iso={erasure.ended_at} />}</td>
    </tr>
  )
}

function State({ state }: { state: Erasure['state'] }) {
  if (state === 'done')
    return (
      <span className="mark-line good">
        <Check size={13} aria-hidden="true" /> Done
      </span>
    )
  if (state === 'failed')
    return (
      <span className="mark-line warn">
        <CircleAlert size={13} aria-hidden="true" /> Failed
      </span>
    )
  return (
    <span className="mark-line">
      <LoaderCircle size={13} aria-hidden="true" /> Running
    </span>
  )
}
