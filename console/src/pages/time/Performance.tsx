/** How long the floor takes: medians and ninetieth percentiles; every figure opens its incidents. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { performanceQuery } from '../../api/queries'
import type { Severity as Level, TimesFigure, TimesFigures } from '../../api/types'
import { count, plural, SEVERITIES, VERDICT_WORD } from '../../lib/format'
import type { LineSet } from '../../lib/series'
import { duration, localShort } from '../../lib/time'
import { useUrlState } from '../../lib/url'
import { LineChart } from '../../ui/LineChart'
import { PageHead, Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Time } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'

const MEASURES = [
  ['detect', 'Detect', 'from the earliest evidence to detection'],
  ['acknowledge', 'Acknowledge', 'from detection to the first look'],
  ['contain', 'Contain', 'from detection to containment'],
  ['resolve', 'Resolve', 'from detection to the end'],
] as const
type MeasureName = (typeof MEASURES)[number][0]
const WEEKS = ['4', '12', '26', '52']
const WEEK_MS = 7 * 86_400_000
const HOUR_S = 3600
const ANY = 'all'
const KINDS: readonly [string, string][] = [
  [ANY, 'All'],
  ['true_positive,inconclusive,none', 'Without benign and false'],
  ['true_positive', VERDICT_WORD.true_positive],
  ['benign_positive', VERDICT_WORD.benign_positive],
  ['false_positive', VERDICT_WORD.false_positive],
]

interface Scope {
  from: string
  to: string
  verdict: string
}

export default function Performance() {
  const [search, set] = useUrlState()
  const weeks = WEEKS.includes(search.weeks ?? '') ? String(search.weeks) : '12'
  const verdict = KINDS.some(([key]) => key === search.verdict) ? String(search.verdict) : ANY
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const from = useMemo(() => new Date(Date.now() - Number(weeks) * WEEK_MS).toISOString(), [weeks])
  const query = useQuery(performanceQuery({ from, verdict: verdict === ANY ? undefined : verdict, zone }))
  const { data } = query
  return (
    <div className="page">
      <PageHead title="Performance">
        <label className="field-inline">
          Over
          <select className="input" value={weeks} onChange={(e) => set({ weeks: e.target.value })}>
            {WEEKS.map((n) => (
              <option key={n} value={n}>
                {n} weeks
              </option>
            ))}
          </select>
        </label>
        <label className="field-inline">
          Verdict
          <select
            className="input"
            value={verdict}
            onChange={(e) => set({ verdict: e.target.value === ANY ? null : e.target.value })}
          >
            {KINDS.map(([key, word]) => (
              <option key={key} value={key}>
                {word}
              </option>
            ))}
          </select>
        </label>
      </PageHead>
      {query.error && !data ? (
        <Problem what="The times did not load" error={query.error} retry={() => void query.refetch()} />
      ) : !data ? (
        <SkeletonRows rows={10} />
      ) : data.all.incidents === 0 ? (
        <Empty title="No incident in this time">
          Times are counted once incidents are detected. Choose a longer time, or another verdict.
        </Empty>
      ) : (
        <>
          <Figures figures={data.all} scope={{ from: data.from, to: data.to, verdict }} />
          {data.capped && (
            <p className="capped">More incidents than are looked at: the latest are left out.</p>
          )}
          <Section title="By week" note="medians in hours, of the incidents detected in each week">
            <LineChart set={lines(data.by_week)} isArea={false} xTitle="Week from" yTitle="Hours" />
          </Section>
          <Section title="By severity">
            <table className="table">
              <Heads first="Severity" />
              <tbody>
                {SEVERITIES.flatMap((level) => {
                  const figures = data.by_severity[level]
                  if (!figures) return []
                  const scope = { from: data.from, to: data.to, verdict }
                  return [
                    <Row key={level} figures={figures} scope={scope} severity={level}>
                      <Severity level={level} />
                    </Row>,
                  ]
                })}
              </tbody>
            </table>
          </Section>
          <Section title="Weeks">
            <table className="table">
              <Heads first="Week from" />
              <tbody>
                {[...data.by_week].reverse().map((week) => (
                  <Row
                    key={week.from}
                    figures={week.figures}
                    scope={{
                      from: later(week.from, data.from),
                      to: sooner(week.to, data.to),
                      verdict,
                    }}
                  >
                    <Time iso={week.from} show="short" />
                  </Row>
                ))}
              </tbody>
            </table>
            <p className="muted small">
              Time that an incident stood resolved before it was opened again is left out. What was merged
              counts once. Targets are those that hold now.
            </p>
          </Section>
        </>
      )}
    </div>
  )
}

function lines(weeks: readonly { from: string; figures: TimesFigures }[]): LineSet {
  const of = (name: MeasureName, word: string) => ({
    name: word,
    points: weeks.flatMap((week) => {
      const figure = week.figures[name]
      return figure
        ? [{ at: Date.parse(week.from), value: Math.round((figure.median_s / HOUR_S) * 100) / 100 }]
        : []
    }),
  })
  return {
    time: 'week',
    unit: 'hours',
    lines: MEASURES.map(([name, word]) => of(name, word)).filter((line) => line.points.length > 0),
    left: 0,
    step: null,
  }
}

const later = (a: string, b: string) => [a, b].sort()[1] ?? a
const sooner = (a: string, b: string) => [a, b].sort()[0] ?? a

function linkOf(scope: Scope, reached: MeasureName | null, severity?: Level) {
  return {
    status: 'all',
    severity,
    verdict: scope.verdict === ANY ? undefined : scope.verdict,
    dfrom: scope.from,
    dto: scope.to,
    reached: reached === null || reached === 'detect' ? undefined : reached,
  }
}

function Figures({ figures, scope }: { figures: TimesFigures; scope: Scope }) {
  return (
    <div className="figures">
      {MEASURES.map(([name, word, title]) => {
        const figure = figures[name]
        return (
          <Link
            key={name}
            to="/incidents"
            search={linkOf(scope, name)}
            className="figure"
            title={`${title}; opens the incidents`}
          >
            <span className="figure-label">{word}, median</span>
            <strong>{figure ? duration(figure.median_s) : '—'}</strong>
            <span className="muted small">
              {figure
                ? `p90 ${duration(figure.p90_s)} · ${plural(figure.count, 'incident')}`
                : 'none reached it'}
              {figure && figure.in_time !== null
                ? ` · ${count(figure.in_time)} of ${count(figure.with_target)} in time`
                : ''}
            </span>
          </Link>
        )
      })}
    </div>
  )
}

function Heads({ first }: { first: string }) {
  return (
    <thead>
      <tr>
        <th scope="col">{first}</th>
        <th scope="col" className="number">
          Incidents
        </th>
        {MEASURES.map(([name, word]) => (
          <th key={name} scope="col" className="number">
            {word}: median · p90 · n
          </th>
        ))}
      </tr>
    </thead>
  )
}

interface RowProps {
  figures: TimesFigures
  scope: Scope
  severity?: Level
  children: React.ReactNode
}

function Row({ figures, scope, severity, children }: RowProps) {
  return (
    <tr>
      <td>{children}</td>
      <td className="number">
        <Link
          to="/incidents"
          search={linkOf(scope, null, severity)}
          aria-label={`${figures.incidents} incidents since ${localShort(scope.from)}`}
        >
          {count(figures.incidents)}
        </Link>
      </td>
      {MEASURES.map(([name]) => (
        <td key={name} className="number tabular">
          <Cell figure={figures[name]} search={linkOf(scope, name, severity)} />
        </td>
      ))}
    </tr>
  )
}

function Cell({ figure, search }: { figure: TimesFigure | null; search: ReturnType<typeof linkOf> }) {
  if (!figure) return <span className="faint">—</span>
  return (
    <Link to="/incidents" search={search}>
      {duration(figure.median_s)} · {duration(figure.p90_s)} · {count(figure.count)}
    </Link>
  )
}
