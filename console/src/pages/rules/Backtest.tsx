/** A rule over stored events: the alerts that it would have made, before it is enabled. */
import { useMutation, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { api } from '../../api/client'
import { ruleQuery } from '../../api/queries'
import type { BacktestReport, ConditionOp } from '../../api/types'
import { OP_WORD, OPS } from '../../lib/exceptions'
import { count, plural } from '../../lib/format'
import { lastDays } from '../../lib/rules'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { Bars } from '../../ui/Bars'
import { openEvent } from '../../ui/eventDialog'
import { FormError } from '../../ui/FormError'
import { PageHead, Section } from '../../ui/Page'
import { Time } from '../../ui/Time'
import { SkeletonRows } from '../../ui/Trouble'

const SPANS: readonly number[] = [1, 7, 30, 90, 365]
const EXAMPLE = `title: Encoded PowerShell
id: 3f1c0b52-0000-4000-8000-000000000000
logsource:
  product: windows
  category: process_creation
detection:
  selection:
    CommandLine|contains: ' -enc'
  condition: selection
level: high
`

export default function Backtest() {
  const [search, set] = useUrlState()
  const id = search.rule ?? ''
  const rule = useQuery({ ...ruleQuery(id), enabled: id !== '' })
  const [yaml, setYaml] = useState('')
  const [days, setDays] = useState(30)
  const [field, setField] = useState('')
  const [op, setOp] = useState<ConditionOp>('is')
  const [value, setValue] = useState('')
  const run = useMutation({
    mutationFn: () =>
      api.post<BacktestReport>('/rules/backtest', {
        rule_id: id || null,
        yaml: id ? null : yaml,
        days,
        conditions: field.trim() && value.trim() ? [{ field: field.trim(), op, value: value.trim() }] : [],
      }),
  })
  return (
    <div className="page">
      <PageHead
        title="Backtest"
        meta={<span className="muted">what a rule would have found in stored events</span>}
      />
      <form
        className="section backtest-form"
        onSubmit={(e) => {
          e.preventDefault()
          run.mutate()
        }}
      >
        {id ? (
          <p>
            <Link to="/rules/$id" params={{ id }} className="strong">
              {visible(rule.data?.title ?? id)}
            </Link>{' '}
            <button type="button" className="link-button" onClick={() => set({ rule: null })}>
              another text
            </button>
          </p>
        ) : (
          <label className="field">
            Rule, which need not be in force
            <textarea
              className="mono rule-input"
              rows={14}
              required
              spellCheck={false}
              placeholder={EXAMPLE}
              value={yaml}
              onChange={(e) => setYaml(e.target.value)}
            />
          </label>
        )}
        <div className="row backtest-line">
          <label className="row">
            over the last
            <select value={days} onChange={(e) => setDays(Number(e.target.value))}>
              {SPANS.map((n) => (
                <option key={n} value={n}>
                  {plural(n, 'day')}
                </option>
              ))}
            </select>
          </label>
          <span className="muted">with a proposed exception where</span>
          <input
            className="input mono small"
            aria-label="Field of the exception"
            placeholder="entity.user"
            value={field}
            onChange={(e) => setField(e.target.value)}
          />
          <select aria-label="Comparison" value={op} onChange={(e) => setOp(e.target.value as ConditionOp)}>
            {OPS.map((one) => (
              <option key={one} value={one}>
                {OP_WORD[one]}
              </option>
            ))}
          </select>
          <input
            className="input mono small"
            aria-label="Value of the exception"
            placeholder="svc-backup"
            value={value}
            onChange={(e) => setValue(e.target.value)}
          />
          <button type="submit" className="button button-primary" disabled={run.isPending}>
            {run.isPending ? 'Running…' : 'Run'}
          </button>
        </div>
        <FormError error={run.error} />
      </form>
      {run.isPending ? <SkeletonRows rows={8} /> : run.data && <Report report={run.data} />}
    </div>
  )
}

const arrow = (before: number, after: number | null | undefined) =>
  after === null || after === undefined ? count(before) : `${count(before)} → ${count(after)}`

function Report({ report }: { report: BacktestReport }) {
  const days = Math.max(1, Math.round((Date.parse(report.to) - Date.parse(report.from)) / 86_400_000))
  const perDay = (report.after ?? report.before).alerts / days
  return (
    <>
      <div className="figures">
        <Figure label="Alerts" value={arrow(report.before.alerts, report.after?.alerts)} />
        <Figure label="Findings" value={arrow(report.before.findings, report.after?.findings)} />
        <Figure label="Alerts per day" value={perDay >= 10 ? count(perDay) : perDay.toFixed(1)} />
        <Figure
          label={report.is_whole ? 'Events judged' : `Events judged, of ${count(report.events_in_range)}`}
          value={count(report.events_judged)}
        />
      </div>
      {!report.is_whole && (
        <p className="notice" role="status">
          Not whole: the run ended at its limit
          {report.reached && (
            <>
              , at what arrived until <Time iso={report.reached} show="short" />
            </>
          )}
          . Choose a shorter time, or use <code>watchfloor rules backtest</code>, which has no limit.
        </p>
      )}
      <Section title="Alerts per day" note={report.after ? 'with the exception' : 'UTC'}>
        <Bars
          buckets={lastDays(
            report.per_day.map((day) => ({ start: day.start, count: (day.after ?? day.before).alerts })),
            days,
            Date.parse(report.to),
          )}
          seconds={86_400}
          height={110}
          label="Alerts per day"
          unit="alert"
        />
      </Section>
      <div className="columns-2">
        <Section title="Newest findings" note={plural(report.examples.length, 'finding')}>
          {report.examples.length === 0 ? (
            <p className="muted quiet">None. Look whether the rule’s log source and fields occur at all.</p>
          ) : (
            <ol className="events">
              {report.examples.map((one) => (
                <li key={one.event_id + one.time}>
                  <button type="button" onClick={() => openEvent(one.event_id)}>
                    <Time iso={one.time} show="short" />
                    <span className="muted">{one.held_back ? 'held back' : ''}</span>
                    <span className="events-text">{visible(one.summary).slice(0, 240)}</span>
                  </button>
                </li>
              ))}
            </ol>
          )}
        </Section>
        <div>
          <Values title="Hosts" items={report.hosts} />
          <Values title="Users" items={report.users} />
        </div>
      </div>
    </>
  )
}

function Figure({ label, value }: { label: string; value: string }) {
  return (
    <div className="figure">
      <span className="figure-label">{label}</span>
      <strong>{value}</strong>
    </div>
  )
}

function Values({ title, items }: { title: string; items: BacktestReport['hosts'] }) {
  const most = Math.max(1, ...items.map((one) => one.before))
  return (
    <Section title={title} note="findings">
      {items.length === 0 ? (
        <p className="muted quiet">None.</p>
      ) : (
        <table className="table">
          <tbody>
            {items.map((one) => (
              <tr key={one.value}>
                <td className="mono small wrap">{visible(one.value)}</td>
                <td className="number">{arrow(one.before, one.after)}</td>
                <td className="share">
                  <span className="meter-track">
                    <span className="meter-fill" style={{ width: `${(100 * one.before) / most}%` }} />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  )
}
