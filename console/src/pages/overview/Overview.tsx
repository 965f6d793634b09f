/** The floor at a glance; every number opens its rows. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { incidentsQuery, onCallQuery, overviewQuery } from '../../api/queries'
import type { Bucket, Overview as OverviewData } from '../../api/types'
import { TACTICS, tacticKey } from '../../lib/attack'
import { fillBuckets } from '../../lib/buckets'
import { compact, count, plural, SEVERITIES, SEVERITY_WORD, severityRank } from '../../lib/format'
import { visible } from '../../lib/text'
import { duration } from '../../lib/time'
import { Bars } from '../../ui/Bars'
import { PageHead, Section } from '../../ui/Page'
import { Severity, SeverityIcon } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { Panels } from './Panels'

export default function Overview() {
  const { data, error, refetch } = useQuery(overviewQuery)
  return (
    <div className="page">
      <PageHead title="Overview" />
      {error && !data ? (
        <Problem what="The overview did not load" error={error} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={12} />
      ) : data.events_last_24h === 0 && data.alerts_open === 0 ? (
        <FirstData />
      ) : (
        <Loaded data={data} />
      )}
    </div>
  )
}

export function FirstData() {
  return (
    <Empty
      title="No data yet"
      line={`curl -H 'Authorization: Bearer TOKEN' --data-binary @events.ndjson \\\n  ${location.origin}/ingest/ndjson`}
    >
      Make a token with the scope “ingest” under{' '}
      <Link to="/settings" search={{ tab: 'tokens' }}>
        Settings
      </Link>
      , then send a file of JSON lines. Events show here within a second.
    </Empty>
  )
}

const DAY_MS = 86_400_000
/** The server counts in quarters of an hour; with two buckets or more the data itself says so. */
const QUARTER_S = 900

function bucketSeconds(buckets: readonly Bucket[]): number {
  const starts = buckets.map((b) => Date.parse(b.start))
  const steps = starts.slice(1).map((start, i) => (start - (starts[i] ?? start)) / 1000)
  return steps.length > 0 ? Math.min(...steps, QUARTER_S) : QUARTER_S
}

function Loaded({ data }: { data: OverviewData }) {
  const seconds = bucketSeconds(data.events_rate)
  const now = Date.now()
  const rate = fillBuckets(
    data.events_rate,
    seconds,
    new Date(now - DAY_MS).toISOString(),
    new Date(now).toISOString(),
  )
  const isBehind = data.ingest.lag_ms > 5000
  return (
    <>
      <Duty />
      <div className="figures">
        <Link to="/queue" className="figure">
          <span className="figure-label">Open alerts</span>
          <strong>{count(data.alerts_open)}</strong>
          <span className="severity-split">
            {SEVERITIES.map((level) => {
              const n = data.alerts_by_severity[level] ?? 0
              return n > 0 ? (
                <span key={level} className={`sev-${level}`} title={`${count(n)} ${SEVERITY_WORD[level]}`}>
                  <SeverityIcon level={level} size={10} /> {compact(n)}
                </span>
              ) : null
            })}
          </span>
        </Link>
        <Link to="/incidents" className="figure">
          <span className="figure-label">Open incidents</span>
          <strong>{count(data.incidents_open)}</strong>
          <span className="muted small">to be worked</span>
        </Link>
        <Link to="/hunt" search={{ t: '24h' }} className="figure">
          <span className="figure-label">Events, last 24 h</span>
          <strong>{compact(data.events_last_24h)}</strong>
          <span className="muted small">{count(data.events_last_24h)} stored</span>
        </Link>
        <Link to="/sources" className="figure">
          <span className="figure-label">Ingest</span>
          <strong className={isBehind ? 'warn' : ''}>
            {data.ingest.lag_ms < 1000 ? `${data.ingest.lag_ms} ms` : duration(data.ingest.lag_ms / 1000)}
          </strong>
          <span className="muted small">
            {isBehind ? 'behind' : 'in step'}, {count(data.ingest.journal_pending)} waiting in the journal
          </span>
        </Link>
        <Link to="/performance" className="figure">
          <span className="figure-label">Time to acknowledge, median</span>
          <strong>{meanText(data.median_times?.acknowledge_s)}</strong>
          <span className="muted small">
            contain {meanText(data.median_times?.contain_s)} · resolve{' '}
            {meanText(data.median_times?.resolve_s)}
          </span>
        </Link>
      </div>
      <Section title="Events" note="last 24 hours">
        <Bars buckets={rate} seconds={seconds} height={104} label="Events over time" />
      </Section>
      <Panels />
      <div className="columns-2">
        <OpenIncidents />
        <div className="stack">
          <Section title="Open alerts by severity">
            <div className="meter-list">
              {SEVERITIES.map((level) => {
                const n = data.alerts_by_severity[level] ?? 0
                return (
                  <Link key={level} to="/queue" search={{ severity: level }} className="meter">
                    <Severity level={level} />
                    <span className="meter-track">
                      <span
                        className={`meter-fill fill-${level}`}
                        style={{ width: `${(n / Math.max(1, data.alerts_open)) * 100}%` }}
                      />
                    </span>
                    <span className="tabular">{count(n)}</span>
                  </Link>
                )
              })}
            </div>
          </Section>
          <Section title="Rules that fire most" note="last 7 days">
            <table className="table">
              <tbody>
                {data.top_rules.slice(0, 8).map((rule) => (
                  <tr key={rule.rule_id}>
                    <td>
                      <Link to="/queue" search={{ rule_id: rule.rule_id, status: 'all' }}>
                        {visible(rule.title)}
                      </Link>
                    </td>
                    <td className="number">{count(rule.count)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Section>
        </div>
      </div>
      <Section title="ATT&CK" note="tactics of the alerts of the last 7 days, in kill-chain order">
        <ol className="tactic-strip">
          {TACTICS.map(([key, word]) => {
            const n = data.tactics.find((t) => tacticKey(t.tactic) === key)?.alerts ?? 0
            return (
              <li key={key} data-touched={n > 0}>
                <span>{word}</span>
                <strong className="tabular">{n > 0 ? count(n) : '·'}</strong>
              </li>
            )
          })}
        </ol>
      </Section>
    </>
  )
}

/** Who is on call now, where anybody is. */
function Duty() {
  const { data } = useQuery(onCallQuery)
  const now = data?.items.filter((roster) => roster.now) ?? []
  if (now.length === 0) return null
  return (
    <p className="duty-now">
      On call now:{' '}
      {now.map((roster, i) => (
        <span key={roster.rotation.id}>
          {i > 0 && ' · '}
          <Link to="/on-call">
            <strong>{visible(roster.now?.name ?? '')}</strong>
          </Link>{' '}
          <span className="muted">({visible(roster.rotation.name)})</span>
        </span>
      ))}
    </p>
  )
}

const meanText = (seconds: number | null | undefined) =>
  seconds === null || seconds === undefined ? '—' : duration(seconds)

function OpenIncidents() {
  const { data } = useInfiniteQuery(incidentsQuery({ status: 'new,in_progress,contained' }))
  const incidents = [...(data?.pages[0]?.items ?? [])].sort(
    (a, b) => severityRank(b.severity) - severityRank(a.severity) || b.last_time.localeCompare(a.last_time),
  )
  return (
    <Section
      title="Open incidents"
      note="the most severe first"
      tools={<Link to="/incidents">All incidents</Link>}
    >
      {!data ? (
        <SkeletonRows rows={6} height={44} />
      ) : incidents.length === 0 ? (
        <p className="muted quiet">No open incident. Alerts that share entities become one by themselves.</p>
      ) : (
        <ul className="incident-list">
          {incidents.slice(0, 9).map((incident) => (
            <li key={incident.id}>
              <Link to="/incidents/$id" params={{ id: incident.id }}>
                <Severity level={incident.severity} />
                <span className="incident-list-title">
                  <span className="muted tabular">#{incident.number}</span> {visible(incident.title)}
                </span>
                <Status status={incident.status} />
                <span className="muted small tabular">
                  {plural(incident.alert_count, 'alert')} · <Ago iso={incident.last_time} />
                </span>
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}
