/** The completeness ledger: in equals stored plus dropped, per source and hour; where it does not, it says so. */
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { ledgerQuery } from '../../api/queries'
import type { LedgerRow } from '../../api/types'
import { count, sum } from '../../lib/format'
import { visible } from '../../lib/text'
import { rangeLabel } from '../../lib/time'
import { rangeBounds, rangeKey, useRange } from '../../lib/url'
import { Section } from '../../ui/Page'
import { Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'

const ROWS_MAX = 400

export function Ledger({ source, onAll }: { source: string | undefined; onAll: () => void }) {
  const range = useRange()
  const key = rangeKey(range)
  // biome-ignore lint/correctness/useExhaustiveDependencies: the key stands for the range.
  const bounds = useMemo(() => rangeBounds(range), [key])
  const { data, error } = useQuery(ledgerQuery({ ...bounds, source }))
  const rows = data?.items ?? []
  const total = rows.reduce(add, ZERO)
  return (
    <Section
      title="Completeness ledger"
      note={`${source ? visible(source) : 'all sources'}, ${rangeLabel(range).toLowerCase()}: received = stored + dropped`}
      tools={
        source && (
          <button type="button" className="link-button" onClick={onAll}>
            All sources
          </button>
        )
      }
    >
      {error ? (
        <Problem what="The ledger did not load" error={error} />
      ) : !data ? (
        <SkeletonRows rows={8} />
      ) : rows.length === 0 ? (
        <p className="muted quiet">Nothing was received in this time.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        <div className="table-scroll ledger" tabIndex={0} role="region" aria-label="Ledger rows">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Hour</th>
                <th scope="col">Source</th>
                {['Received', 'Decoded', 'Undecoded', 'Stored', 'Evaluated', 'Dropped'].map((word) => (
                  <th key={word} scope="col" className="number">
                    {word}
                  </th>
                ))}
                <th scope="col">Balance</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, ROWS_MAX).map((row) => (
                <tr key={`${row.source}${row.hour}`}>
                  <td>
                    <Time iso={row.hour} show="short" />
                  </td>
                  <td>{visible(row.source)}</td>
                  <Numbers row={{ ...row, droppedTotal: sum(row.dropped) }} dropped={row.dropped} />
                </tr>
              ))}
            </tbody>
            <tfoot>
              <tr>
                <td colSpan={2}>Total</td>
                <Numbers row={total} />
              </tr>
            </tfoot>
          </table>
          {rows.length > ROWS_MAX && (
            <p className="small capped">
              The first {count(ROWS_MAX)} of {count(rows.length)} rows; the total counts all. Pick a source or
              a shorter time.
            </p>
          )}
        </div>
      )}
    </Section>
  )
}

type Sums = Omit<LedgerRow, 'source' | 'hour' | 'dropped'> & { droppedTotal: number }
const ZERO: Sums = { received: 0, decoded: 0, undecoded: 0, stored: 0, evaluated: 0, droppedTotal: 0 }

function add(total: Sums, row: LedgerRow): Sums {
  return {
    received: total.received + row.received,
    decoded: total.decoded + row.decoded,
    undecoded: total.undecoded + row.undecoded,
    stored: total.stored + row.stored,
    evaluated: total.evaluated + row.evaluated,
    droppedTotal: total.droppedTotal + sum(row.dropped),
  }
}

function Numbers({ row, dropped }: { row: Sums; dropped?: Record<string, number> }) {
  const open = row.received - row.stored - row.droppedTotal
  const reasons = Object.entries(dropped ?? {})
    .map(([reason, n]) => `${reason}: ${count(n)}`)
    .join('\n')
  return (
    <>
      <td className="number">{count(row.received)}</td>
      <td className="number">{count(row.decoded)}</td>
      <td className="number">
        <span className={row.undecoded > 0 ? 'warn' : 'faint'}>{count(row.undecoded)}</span>
      </td>
      <td className="number">{count(row.stored)}</td>
      <td className="number">{count(row.evaluated)}</td>
      <td className="number">
        <span className={row.droppedTotal > 0 ? 'warn' : 'faint'} title={reasons || undefined}>
          {count(row.droppedTotal)}
        </span>
      </td>
      <td>
        {open === 0 ? (
          <span className="good">✓ complete</span>
        ) : open > 0 ? (
          <span className="warn">{count(open)} on the way</span>
        ) : (
          <span className="warn">{count(-open)} too many</span>
        )}
      </td>
    </>
  )
}
