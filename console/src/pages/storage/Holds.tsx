/** Legal holds: what nothing deletes, why, and what was released. */
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { releaseDialog } from '../../actions/storage'
import type { LegalHold } from '../../api/types'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Ago, Time } from '../../ui/Time'

interface HoldsProps {
  holds: readonly LegalHold[]
  mayManage: boolean
  tools: ReactNode
}

export function Holds({ holds, mayManage, tools }: HoldsProps) {
  const inForce = holds.filter((hold) => hold.released_at === null)
  const released = holds.filter((hold) => hold.released_at !== null)
  return (
    <Section
      title="Legal holds"
      note={
        inForce.length > 0 ? `${inForce.length} in force: nothing deletes what they find` : 'none in force'
      }
      tools={tools}
    >
      {inForce.length === 0 ? (
        <p className="muted quiet">
          {mayManage
            ? 'Nothing is held. Place a hold before a court or an audit asks for events that retention would delete.'
            : 'Nothing is held.'}
        </p>
      ) : (
        <HoldTable
          holds={inForce}
          last="Release"
          cell={(hold) =>
            mayManage && (
              <button
                type="button"
                className="link-button"
                aria-label={`Release the hold for ${visible(hold.reason)}`}
                onClick={() => releaseDialog(hold)}
              >
                Release…
              </button>
            )
          }
        />
      )}
      {released.length > 0 && (
        <details className="storage-folded">
          <summary className="muted">{plural(released.length, 'released hold')}</summary>
          <HoldTable
            holds={released}
            last="Released"
            cell={(hold) => (
              <span className="muted small">
                by {visible(hold.released_by ?? '')}, <Ago iso={hold.released_at} />
              </span>
            )}
          />
        </details>
      )}
    </Section>
  )
}

interface HoldTableProps {
  holds: readonly LegalHold[]
  last: string
  cell: (hold: LegalHold) => ReactNode
}

function HoldTable({ holds, last, cell }: HoldTableProps) {
  return (
    <div className="storage-scroll">
      <table className="table">
        <thead>
          <tr>
            {['Events', 'From', 'To', 'Reason', 'Placed'].map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
            <th scope="col">{last === 'Release' ? <span className="hidden-text">{last}</span> : last}</th>
          </tr>
        </thead>
        <tbody>
          {holds.map((hold) => (
            <tr key={hold.id}>
              <td className="wrap">
                <Link
                  to="/hunt"
                  className="mono"
                  title="Hunt in the held events"
                  search={{
                    q: hold.query || undefined,
                    t: hold.from || hold.to ? undefined : 'all',
                    from: hold.from ?? undefined,
                    to: hold.to ?? undefined,
                  }}
                >
                  {visible(hold.query) || 'all events'}
                </Link>
              </td>
              <td>{hold.from ? <Time iso={hold.from} /> : <span className="muted">the first</span>}</td>
              <td>{hold.to ? <Time iso={hold.to} /> : <span className="muted">no end</span>}</td>
              <td className="wrap">{visible(hold.reason)}</td>
              <td className="muted small">
                by {visible(hold.created_by)}, <Ago iso={hold.created_at} />
              </td>
              <td className={last === 'Release' ? 'number' : undefined}>{cell(hold)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
