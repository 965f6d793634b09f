import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { statusQuery } from '../../api/queries'
import { bytes, count } from '../../lib/format'
import { visible } from '../../lib/text'
import { duration } from '../../lib/time'
import { Section } from '../../ui/Page'
import { Problem, SkeletonRows } from '../../ui/Trouble'

export function Server() {
  const { data, error, refetch } = useQuery(statusQuery)
  if (error && !data)
    return <Problem what="The status did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={6} />
  return (
    <>
      <Section title="Server">
        <dl className="facts">
          <dt>Version</dt>
          <dd className="mono">{visible(data.version)}</dd>
          <dt>Up for</dt>
          <dd>{duration(data.uptime_s)}</dd>
          <dt>Events stored</dt>
          <dd className="tabular">{count(data.lake.events)}</dd>
          <dt>Lake</dt>
          <dd className="tabular">
            {bytes(data.lake.bytes)} in {count(data.lake.files)} files
          </dd>
          <dt>Rules</dt>
          <dd className="tabular">
            <Link to="/rules">{count(data.rules.loaded)} loaded</Link>,{' '}
            <Link to="/rules" search={{ tab: 'refused' }}>
              {count(data.rules.refused)} refused
            </Link>
          </dd>
        </dl>
      </Section>
      <Section title="Listeners" note="where senders can reach it">
        <table className="table">
          <tbody>
            {data.listeners.map((l) => (
              <tr key={l.kind + l.address}>
                <td>{visible(l.kind)}</td>
                <td className="mono">{visible(l.address)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Section>
    </>
  )
}
