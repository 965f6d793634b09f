/** What arrives, how much of it is understood, and where every record went. */
import { useQuery } from '@tanstack/react-query'
import { sourcesQuery } from '../../api/queries'
import type { SourceRow } from '../../api/types'
import { count, delay, percent, plural, sum } from '../../lib/format'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { Spark } from '../../ui/Bars'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { FirstData } from '../overview/Overview'
import { Enrichment } from './Enrichment'
import { Ledger } from './Ledger'
import { Mappings } from './Mappings'
import { Routing } from './Routing'

const TABS = [
  { id: 'sources', label: 'Sources', page: () => <Arriving /> },
  { id: 'mappings', label: 'Mapping packs', page: () => <Mappings /> },
  { id: 'enrichment', label: 'Enrichment', page: () => <Enrichment /> },
  { id: 'routing', label: 'Routing', page: () => <Routing /> },
] as const

export default function Sources() {
  const { data } = useQuery(sourcesQuery)
  const [search, set] = useUrlState()
  const current = TABS.find((tab) => tab.id === search.tab) ?? TABS[0]
  return (
    <div className="page">
      <PageHead
        title="Sources"
        meta={data && <span className="muted">{plural(data.items.length, 'source')}</span>}
      >
        <div className="segments" role="group" aria-label="What of them">
          {TABS.map((tab) => (
            <button
              key={tab.id}
              type="button"
              aria-pressed={tab === current}
              onClick={() => set({ tab: tab.id === 'sources' ? null : tab.id, text: null }, { push: true })}
            >
              {tab.label}
            </button>
          ))}
        </div>
      </PageHead>
      {current.page()}
    </div>
  )
}

function Arriving() {
  const { data, error, refetch } = useQuery(sourcesQuery)
  const [search, set] = useUrlState()
  return (
    <>
      {error && !data ? (
        <Problem what="Sources did not load" error={error} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={10} height={40} />
      ) : data.items.length === 0 ? (
        <FirstData />
      ) : (
        <>
          <div className="table-scroll">
            <table className="table table-rows">
              <thead>
                <tr>
                  <th scope="col">Source</th>
                  <th scope="col">Kind</th>
                  <th scope="col">State</th>
                  <th scope="col">Products</th>
                  <th scope="col">Last 60 minutes</th>
                  <th scope="col" className="number">
                    Last hour
                  </th>
                  <th scope="col" className="number">
                    Total
                  </th>
                  <th scope="col" className="number">
                    Understood
                  </th>
                  <th scope="col" className="number">
                    Dropped
                  </th>
                  <th scope="col" className="number">
                    Delay
                  </th>
                  <th scope="col">Last seen</th>
                </tr>
              </thead>
              <tbody>
                {data.items.map((source) => (
                  <Row
                    key={source.name}
                    source={source}
                    isPicked={search.source === source.name}
                    onPick={() => set({ source: search.source === source.name ? null : source.name })}
                  />
                ))}
              </tbody>
            </table>
          </div>
          <Connections sources={data.items.filter((s) => !search.source || s.name === search.source)} />
          <Ledger source={search.source} onAll={() => set({ source: null })} />
          <Anomalies sources={data.items.filter((s) => !search.source || s.name === search.source)} />
        </>
      )}
    </>
  )
}

function Row({ source, isPicked, onPick }: { source: SourceRow; isPicked: boolean; onPick: () => void }) {
  const dropped = sum(source.dropped)
  return (
    <tr data-active={isPicked}>
      <td>
        <button type="button" className="link-button strong" aria-pressed={isPicked} onClick={onPick}>
          {visible(source.name)}
        </button>
      </td>
      <td className="muted">{visible(source.kind)}</td>
      <td className="small wrap">
        <SourceState source={source} />
      </td>
      <td className="muted small wrap">{visible(source.products.join(', '))}</td>
      <td>
        <Spark
          values={source.rate}
          label={`${count(source.rate.reduce((a, b) => a + b, 0))} events in sixty minutes`}
        />
      </td>
      <td className="number">{count(source.events_last_hour)}</td>
      <td className="number">{count(source.events_total)}</td>
      <td className="number">
        {source.events_total > 0 ? (
          <span className={source.understood_share < 0.95 ? 'warn' : ''}>
            {percent(source.understood_share)}
          </span>
        ) : (
          <span className="muted">–</span>
        )}
      </td>
      <td className="number">
        <span
          className={dropped > 0 ? 'warn' : 'muted'}
          title={Object.entries(source.dropped)
            .map(([reason, n]) => `${reason}: ${count(n)}`)
            .join('\n')}
        >
          {count(dropped)}
        </span>
      </td>
      <td
        className="number muted"
        title="From an event's own time to its receipt, the median of the last ones"
      >
        {delay(source.delay_ms)}
      </td>
      <td className="muted">
        {source.events_total > 0 || dropped > 0 ? <Ago iso={source.last_seen} /> : 'nothing yet'}
      </td>
    </tr>
  )
}

/** How a source stands, most pressing first: that it stopped, that it cannot read, that it waits. */
function SourceState({ source }: { source: SourceRow }) {
  if (source.quiet) {
    const usual = source.quiet.usual_silence_s
    return (
      <span
        className="warn"
        title={usual > 0 ? `Its longest silence before was ${delay(usual * 1000)}` : undefined}
      >
        went quiet <Ago iso={source.quiet.since} />
      </span>
    )
  }
  const link = source.link
  if (!link) return <span className="muted">by HTTP or command</span>
  const isUp = link.state === 'listening' || link.state === 'connected'
  return (
    <span className={isUp ? 'muted' : 'warn'} title={link.error ?? link.place ?? undefined}>
      {link.state}
    </span>
  )
}

/** What stands in the way of configured sources, and how it is mended. */
function Connections({ sources }: { sources: SourceRow[] }) {
  const rows = new Map<string, { source: string; what: string; times: string; text: string; last: string }>()
  for (const { link, troubles } of sources) {
    if (!link) continue
    if (link.error) {
      rows.set(link.name, {
        source: link.name,
        what: link.state,
        times: '',
        text: `${link.error}. Mend: ${link.mend ?? ''}`,
        last: link.since,
      })
    }
    for (const trouble of troubles) {
      rows.set(`${link.name} ${trouble.word}`, {
        source: link.name,
        what: trouble.word,
        times: count(trouble.count),
        text: trouble.message,
        last: trouble.last_at,
      })
    }
  }
  if (rows.size === 0) return null
  return (
    <Section title="Connections" note="what stands in the way of sources, and how it is mended">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Source</th>
            <th scope="col">What</th>
            <th scope="col" className="number">
              Times
            </th>
            <th scope="col">Last</th>
            <th scope="col">Why, and what to do</th>
          </tr>
        </thead>
        <tbody>
          {[...rows].map(([key, row]) => (
            <tr key={key}>
              <td>{visible(row.source)}</td>
              <td className="mono">{row.what}</td>
              <td className="number">{row.times}</td>
              <td className="muted">
                <Ago iso={row.last} />
              </td>
              <td className="small wrap">{visible(row.text)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Anomalies({ sources }: { sources: SourceRow[] }) {
  const rows = sources
    .flatMap((s) => s.anomalies.map((anomaly) => ({ source: s.name, ...anomaly })))
    .sort((a, b) => b.count - a.count)
  return (
    <Section title="Anomalies" note="records that were stored although something in them was odd">
      {rows.length === 0 ? (
        <p className="muted quiet">None. Every record was as its format says.</p>
      ) : (
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Source</th>
              <th scope="col">Anomaly</th>
              <th scope="col" className="number">
                Records
              </th>
              <th scope="col">Example</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <tr key={`${row.source}${row.code}`}>
                <td>{visible(row.source)}</td>
                <td className="mono">{row.code}</td>
                <td className="number">{count(row.count)}</td>
                <td className="mono small wrap muted">{visible(row.example ?? '').slice(0, 300)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}
