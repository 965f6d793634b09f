/** What routes leave out, and how the systems fare that copies are sent to. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { forwardsQuery, ledgerQuery } from '../../api/queries'
import type { ForwardState } from '../../api/types'
import { bytes, count } from '../../lib/format'
import { leftOutByRoutes } from '../../lib/routes'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'

const LINES = `[[routes]]
name = "no-debug"
sources = ["shop"]
raw = '"level":"debug"'
drop = true                  # or sample = 0.1, or mask = { … }, or forward = "partner"

[forward.partner]
kind = "http"
url = "https://partner.example/ingest"`

export function Routing() {
  const forwards = useQuery(forwardsQuery)
  const ledger = useQuery(ledgerQuery({}))
  const left = leftOutByRoutes(ledger.data?.items ?? [])
  const isNothing = forwards.data?.items.length === 0 && ledger.data !== undefined && left.length === 0
  return (
    <>
      {isNothing && (
        <Empty title="No route at work" line={LINES}>
          Routes stand in the configuration. They leave out, sample, mask and forward; what they leave out is
          counted here, source by source, and so are the copies.
        </Empty>
      )}
      {!isNothing && (
        <Section title="Copies" note="counted since the server started">
          {forwards.error && !forwards.data ? (
            <Problem
              what="Destinations did not load"
              error={forwards.error}
              retry={() => void forwards.refetch()}
            />
          ) : !forwards.data ? (
            <SkeletonRows rows={3} />
          ) : forwards.data.items.length === 0 ? (
            <p className="muted quiet">Nothing is forwarded.</p>
          ) : (
            <Destinations rows={forwards.data.items} />
          )}
        </Section>
      )}
      {!isNothing && (
        <Section
          title="Left out and sampled away"
          note="by routes, in the last 24 hours; the ledger has each hour"
        >
          {ledger.error && !ledger.data ? (
            <Problem
              what="The ledger did not load"
              error={ledger.error}
              retry={() => void ledger.refetch()}
            />
          ) : !ledger.data ? (
            <SkeletonRows rows={3} />
          ) : left.length === 0 ? (
            <p className="muted quiet">No record was left out by a route.</p>
          ) : (
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Route</th>
                  <th scope="col">Source</th>
                  <th scope="col" className="number">
                    Records
                  </th>
                  <th scope="col" className="number">
                    Of received
                  </th>
                </tr>
              </thead>
              <tbody>
                {left.map((row) => (
                  <tr key={`${row.route}\n${row.source}`}>
                    <td className="strong">{visible(row.route)}</td>
                    <td>
                      <Link to="/sources" search={{ source: row.source }}>
                        {visible(row.source)}
                      </Link>
                    </td>
                    <td className="number">{count(row.records)}</td>
                    <td className="number muted">{(100 * row.share).toFixed(1)} %</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
        </Section>
      )}
    </>
  )
}

function Destinations({ rows }: { rows: readonly ForwardState[] }) {
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Destination</th>
            <th scope="col">Where</th>
            <th scope="col" className="number">
              Taken
            </th>
            <th scope="col" className="number">
              Left out
            </th>
            <th scope="col" className="number">
              Waiting
            </th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <td className="strong">{visible(row.name)}</td>
              <td className="mono small wrap">{visible(row.target)}</td>
              <td className="number">{count(row.sent)}</td>
              <td className={`number ${row.dropped > 0 ? 'warn' : 'muted'}`}>{count(row.dropped)}</td>
              <td className="number">{row.pending_bytes > 0 ? bytes(row.pending_bytes) : '–'}</td>
              <td className="small wrap">
                {row.trouble ? (
                  <span className="warn">{visible(row.trouble)}</span>
                ) : (
                  <span className="muted">takes them</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
