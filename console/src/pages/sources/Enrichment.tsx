/** The tables that events are enriched from, what could not be read of them, and what they added of late. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { enrichedEventsQuery, enrichmentQuery } from '../../api/queries'
import type { EnrichmentFile } from '../../api/types'
import { addedBy } from '../../lib/enrichments'
import { count, plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { Value } from '../../ui/Value'

const KIND_WORDS: Record<string, { word: string; adds: string }> = {
  geoip: { word: 'Places and networks', adds: 'country, city, autonomous system of addresses' },
  assets: { word: 'Assets', adds: 'criticality, owner, zone of machines' },
  identities: { word: 'Identities', adds: 'full name, department, groups of accounts' },
  leases: { word: 'Leases', adds: 'who held an address when the event happened' },
}

const LINES = `[enrich]
geoip = ["/var/lib/GeoIP/GeoLite2-City.mmdb"]
assets = ["/etc/watchfloor/assets.csv"]
identities = ["/etc/watchfloor/ad.ldif"]
leases = ["/var/lib/dhcp/dhcpd.leases"]`

export function Enrichment() {
  const { data, error, refetch } = useQuery(enrichmentQuery)
  if (error && !data)
    return <Problem what="The tables did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={6} />
  const troubles = data.items.filter((file) => file.troubles.length > 0)
  return (
    <>
      {data.items.length === 0 ? (
        <Empty title="No tables yet" line={LINES}>
          Name files in the configuration: what they know stands beside each event, and rules see it. Leases
          and translations are also learnt from events, without a file.
        </Empty>
      ) : (
        <Section title="Tables" note="looked at every second, taken up when they change">
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Holds</th>
                  <th scope="col">File</th>
                  <th scope="col" className="number">
                    Entries
                  </th>
                  <th scope="col">Read</th>
                  <th scope="col">Faults</th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((file) => (
                  <Row key={file.path} file={file} />
                ))}
              </tbody>
            </table>
          </div>
        </Section>
      )}
      {troubles.length > 0 && (
        <Section title="What could not be read" note="the rest of each file is in force">
          {troubles.map((file) => (
            <div key={file.path} className="stack-tight">
              <p className="mono small">{visible(file.path)}</p>
              <ul className="standing small">
                {file.troubles.map((trouble, i) => (
                  <li key={i} className="warn">
                    {visible(trouble)}
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </Section>
      )}
      <Added />
    </>
  )
}

function Row({ file }: { file: EnrichmentFile }) {
  const kind = KIND_WORDS[file.kind]
  return (
    <tr>
      <td>
        <span className="strong">{kind?.word ?? file.kind}</span>
        {kind && <div className="muted small">{kind.adds}</div>}
      </td>
      <td className="mono small wrap">{visible(file.path)}</td>
      <td className="number">
        {file.entries === null ? <span className="muted">–</span> : count(file.entries)}
      </td>
      <td className="muted small">
        <Ago iso={file.loaded_at} />
      </td>
      <td className={file.troubles.length > 0 ? 'warn' : 'muted'}>
        {file.troubles.length > 0 ? plural(file.troubles.length, 'fault') : 'none'}
      </td>
    </tr>
  )
}

/** What added which value: counted in the newest events that got one, because no total is kept. */
function Added() {
  const { data, error, refetch } = useQuery(enrichedEventsQuery)
  const rows = addedBy(data?.events ?? [])
  const looked = data?.events.length ?? 0
  return (
    <Section
      title="What added which value"
      note={data ? `of the newest ${plural(looked, 'event')} of the last day that got one` : ''}
    >
      {error && !data ? (
        <Problem what="Enriched events did not load" error={error} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={4} />
      ) : rows.length === 0 ? (
        <p className="muted quiet">No event of the last day got a value from elsewhere.</p>
      ) : (
        <div className="table-scroll">
          <table className="table">
            <thead>
              <tr>
                <th scope="col">From</th>
                <th scope="col">Kind</th>
                <th scope="col">Attribute</th>
                <th scope="col" className="number">
                  Events
                </th>
                <th scope="col">Such as</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${row.provider}\n${row.type}\n${row.path}`}>
                  <td className="mono small wrap">{visible(row.provider)}</td>
                  <td className="muted small">{visible(row.type)}</td>
                  <td className="mono small wrap">
                    <Link to="/hunt" search={{ q: `${row.path}:*`, t: '24h' }}>
                      {visible(row.path)}
                    </Link>
                  </td>
                  <td className="number">{count(row.events)}</td>
                  <td>
                    <Value field={row.path} value={row.value} max={40} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  )
}
