import { useInfiniteQuery } from '@tanstack/react-query'
import { auditQuery } from '../../api/queries'
import { actionWords } from '../../lib/format'
import { valueText, visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'

export function Audit() {
  const query = useInfiniteQuery(auditQuery)
  const rows = query.data?.pages.flatMap((page) => page.items) ?? []
  return (
    <Section
      title="Audit log"
      note="every change, chained by hash; watchfloor admin audit verify checks the chain"
    >
      {query.error && !query.data ? (
        <Problem what="The audit log did not load" error={query.error} retry={() => void query.refetch()} />
      ) : !query.data ? (
        <SkeletonRows rows={10} />
      ) : rows.length === 0 ? (
        <p className="muted quiet">Nothing has been changed yet.</p>
      ) : (
        <>
          <table className="table">
            <thead>
              <tr>
                <th scope="col">Time</th>
                <th scope="col">Who</th>
                <th scope="col">What</th>
                <th scope="col">On</th>
                <th scope="col">Detail</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((entry) => (
                <tr key={entry.id}>
                  <td>
                    <Time iso={entry.at} />
                  </td>
                  <td>{visible(entry.actor)}</td>
                  <td>{actionWords(entry.action)}</td>
                  <td className="mono small wrap">{visible(entry.target ?? '')}</td>
                  <td className="muted small wrap">{visible(valueText(entry.detail))}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {query.hasNextPage && (
            <button type="button" className="button more" onClick={() => void query.fetchNextPage()}>
              Show more
            </button>
          )}
        </>
      )}
    </Section>
  )
}
