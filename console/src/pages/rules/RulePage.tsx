/** A rule on one screen: is it in force and alive, what did it find, its text and the texts it had, its exceptions. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { AlertTriangle, FlaskConical, PauseCircle, Play } from 'lucide-react'
import { useState } from 'react'
import { resumeRule, runCanary, suspendDialog, useMayManageRules } from '../../actions/rules'
import { ruleQuery, ruleTextQuery } from '../../api/queries'
import type { RulePageData } from '../../api/types'
import { count, plural } from '../../lib/format'
import { costText, diffLines, lastDays } from '../../lib/rules'
import { visible, visibleBlock } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { Bars } from '../../ui/Bars'
import { Section, useTitle } from '../../ui/Page'
import { Ago, Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { toastError } from '../../ui/toast'
import { ExceptionRows } from './ExceptionRows'
import { CanaryMark, Level, StateMark } from './marks'

const DAYS = 30

export default function RulePage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const { data, error, refetch } = useQuery(ruleQuery(id))
  if (error && !data) {
    return (
      <div className="page">
        <Problem
          what={
            id.includes(':')
              ? 'Another tool or an indicator told of this: there is no rule of ours behind it'
              : 'The rule did not load'
          }
          error={error}
          retry={() => void refetch()}
        />
      </div>
    )
  }
  if (!data) {
    return (
      <div className="page">
        <SkeletonRows rows={18} />
      </div>
    )
  }
  return <Loaded rule={data} />
}

function Loaded({ rule }: { rule: RulePageData }) {
  useTitle(visible(rule.title))
  const { info, detail, facts } = rule
  return (
    <article className="page page-rule" aria-label={visible(rule.title)}>
      <header className="alert-head">
        <div className="alert-line">
          {info ? (
            <>
              <Level level={info.level} />
              <StateMark rule={info} />
              <span className="muted">{visible(info.logsource)}</span>
              {info.status && <span className="muted">{visible(info.status)}</span>}
            </>
          ) : (
            <span className="warn">not loaded any more</span>
          )}
          <span className="muted mono small">{visible(rule.id)}</span>
        </div>
        <h1>{visible(rule.title)}</h1>
        {detail?.description && <p className="sentence">{visible(detail.description)}</p>}
        <Notices rule={rule} />
        <Verbs rule={rule} />
      </header>
      <div className="alert-body">
        <div className="alert-main">
          {facts && (
            <Section
              title="Findings per day"
              note={`${DAYS} days, UTC`}
              tools={
                <Link to="/queue" search={{ rule_id: rule.id, status: 'all' }}>
                  Its alerts
                </Link>
              }
            >
              <Bars
                buckets={lastDays(facts.per_day, DAYS, Date.now())}
                seconds={86_400}
                height={92}
                label="Findings per day"
                unit="finding"
              />
            </Section>
          )}
          <Texts rule={rule} />
          {facts && facts.cases.length > 0 && <Cases rule={rule} />}
        </div>
        <div className="alert-aside">
          <Alive rule={rule} />
          <ExceptionRows items={rule.exceptions} />
          <Versions rule={rule} />
          {detail && <About rule={rule} />}
        </div>
      </div>
    </article>
  )
}

function Notices({ rule }: { rule: RulePageData }) {
  const hold = rule.detail?.hold
  const suspension = rule.detail?.suspension
  return (
    <>
      {suspension && (
        <p className="notice" role="status">
          <PauseCircle size={15} aria-hidden="true" />
          <span>
            Suspended <Ago iso={suspension.since} /> by {visible(suspension.by)}: {visible(suspension.reason)}
            .{' '}
            {suspension.until ? (
              <>
                It is tried again <Time iso={suspension.until} show="short" />.
              </>
            ) : (
              'It stays so until somebody resumes it.'
            )}{' '}
            What it misses is looked through afterwards.
          </span>
        </p>
      )}
      {hold && (
        <p className="notice" role="status">
          <AlertTriangle size={15} aria-hidden="true" />
          <span>
            Its file does not load since <Ago iso={hold.since} />; the last good version stays in force. Line{' '}
            {hold.line ?? '?'}: {visible(hold.reason)}
          </span>
        </p>
      )}
      {rule.info?.dead && !suspension && (
        <p className="notice" role="status">
          <AlertTriangle size={15} aria-hidden="true" />
          <span>It could not have fired in the last 24 hours: {visible(rule.info.dead)}.</span>
        </p>
      )}
    </>
  )
}

function Verbs({ rule }: { rule: RulePageData }) {
  const client = useQueryClient()
  const mayManage = useMayManageRules()
  const [isRunning, setRunning] = useState(false)
  const refresh = () => {
    for (const queryKey of [['rule', rule.id], ['rules']]) void client.invalidateQueries({ queryKey })
  }
  const { info } = rule
  if (!info) return null
  return (
    <div className="actions" role="toolbar" aria-label="What to do with the rule">
      <Link to="/backtest" search={{ rule: rule.id }} className="button">
        <FlaskConical size={14} aria-hidden="true" /> Backtest
      </Link>
      <button
        type="button"
        className="button"
        disabled={isRunning || info.canary === 'none'}
        title={
          info.canary === 'none'
            ? 'No positive case stands beside the rule'
            : 'Send its positive case through the pipeline'
        }
        onClick={() => {
          setRunning(true)
          runCanary(rule.id)
            .then(refresh)
            .catch(toastError('The canary was not run'))
            .finally(() => setRunning(false))
        }}
      >
        <Play size={14} aria-hidden="true" /> Run canary
      </button>
      {mayManage &&
        (info.state === 'suspended' ? (
          <button
            type="button"
            className="button button-primary"
            onClick={() => void resumeRule(rule.id, refresh)}
          >
            Resume and catch up
          </button>
        ) : (
          <button
            type="button"
            className="button"
            onClick={() => suspendDialog(rule.id, rule.title, refresh)}
          >
            Suspend
          </button>
        ))}
    </div>
  )
}

function Alive({ rule }: { rule: RulePageData }) {
  const { facts } = rule
  if (!facts) return null
  const { liveness } = facts
  const total = liveness.events_24h
  return (
    <Section title="Could it fire?" note="on the events of 24 hours">
      <dl className="facts">
        <dt>Events it may meet</dt>
        <dd className="tabular">
          {count(total)} <span className="muted">({count(liveness.events_today)} since midnight UTC)</span>
        </dd>
        <dt>Findings</dt>
        <dd className="tabular">
          {count(liveness.findings_24h)}{' '}
          <span className="muted">
            last <Ago iso={liveness.last_fired} />
          </span>
        </dd>
        <dt>Canary</dt>
        <dd>
          <CanaryMark outcome={liveness.canary.outcome} />{' '}
          <span className="muted small">
            {visible(liveness.canary.detail)}
            {liveness.canary.at && (
              <>
                , <Ago iso={liveness.canary.at} />
              </>
            )}
          </span>
        </dd>
        <dt>Cost</dt>
        <dd className="tabular">
          {facts.cost_us === null ? (
            <span className="muted">not measured yet</span>
          ) : (
            <>
              {costText(facts.cost_us)} per event{' '}
              <span className="muted">of a budget of {costText(facts.budget_us)}</span>
            </>
          )}
        </dd>
      </dl>
      {liveness.fields.length > 0 && (
        <table className="table fields-met">
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col" className="number">
                Events with it
              </th>
              <th scope="col">
                <span className="hidden-text">Share</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {liveness.fields.map((field) => (
              <tr key={field.field}>
                <td className="mono small wrap">{visible(field.field)}</td>
                <td className={`number ${field.events === 0 ? 'warn' : ''}`}>{count(field.events)}</td>
                <td className="share">
                  <span className="meter-track">
                    <span
                      className="meter-fill"
                      style={{ width: `${total ? Math.min(100, (100 * field.events) / total) : 0}%` }}
                    />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {liveness.kinds.length > 0 && (
        <div className="tags">
          {liveness.kinds.slice(0, 12).map((kind) => (
            <span key={kind.kind} className="tag mono">
              {visible(kind.kind)} {count(kind.events)}
            </span>
          ))}
          {liveness.kinds.length > 12 && (
            <span className="muted small">and {liveness.kinds.length - 12} more</span>
          )}
        </div>
      )}
    </Section>
  )
}

/** The text in force, or one that the rule had, with what changed since. */
function Texts({ rule }: { rule: RulePageData }) {
  const [search, set] = useUrlState()
  const current = rule.detail?.version
  const asked = search.version && search.version !== current ? search.version : null
  const fallback = rule.detail ? null : rule.versions[0]?.version
  const shown = asked ?? fallback ?? null
  const old = useQuery({ ...ruleTextQuery(rule.id, shown ?? ''), enabled: shown !== null })
  const text = shown ? old.data?.yaml : rule.detail?.yaml
  const isDiff = asked !== null && rule.detail !== null && search.diff !== 'off'
  return (
    <Section
      title={shown ? `Text of version ${shown}` : 'Text'}
      note={
        shown ? (
          old.data && (
            <>
              in force from <Time iso={old.data.first_at} show="short" />
            </>
          )
        ) : (
          <>
            version {current} · {visible(rule.info?.path ?? '')}
          </>
        )
      }
      tools={
        asked && rule.detail ? (
          <>
            <button
              type="button"
              className="link-button"
              onClick={() => set({ diff: isDiff ? 'off' : null })}
            >
              {isDiff ? 'Plain text' : 'What changed since'}
            </button>
            <button type="button" className="link-button" onClick={() => set({ version: null, diff: null })}>
              Text in force
            </button>
          </>
        ) : undefined
      }
    >
      {old.error && shown ? (
        <Problem what="That text is not kept" error={old.error} />
      ) : text === undefined ? (
        <SkeletonRows rows={8} height={18} />
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        <pre className="raw rule-text" tabIndex={0} role="region" aria-label="Rule text">
          {isDiff
            ? diffLines(text, rule.detail?.yaml ?? '').map((line, i) => (
                <span key={i} className={`diff-${line.kind}`}>
                  <span aria-hidden="true">{{ same: '  ', added: '+ ', removed: '− ' }[line.kind]}</span>
                  {visibleBlock(line.text)}
                  {'\n'}
                </span>
              ))
            : visibleBlock(text)}
        </pre>
      )}
    </Section>
  )
}

function Versions({ rule }: { rule: RulePageData }) {
  const [search] = useUrlState()
  const current = rule.detail?.version
  const shown = search.version ?? current
  return (
    <Section title="Versions" note={plural(rule.versions.length, 'text')}>
      <ul className="plain-list version-list">
        {rule.versions.map((version) => (
          <li key={version.version}>
            <Link
              to="/rules/$id"
              params={{ id: rule.id }}
              search={version.version === current ? {} : { version: version.version }}
              className="mono"
              aria-current={version.version === shown ? 'true' : undefined}
            >
              {version.version}
            </Link>
            <span className="muted small">
              from <Time iso={version.first_at} show="short" />
            </span>
            <span className="small tabular">{plural(version.alerts, 'alert')}</span>
            <span className="small">{version.version === current ? 'in force' : ''}</span>
          </li>
        ))}
      </ul>
    </Section>
  )
}

function Cases({ rule }: { rule: RulePageData }) {
  const cases = rule.facts?.cases ?? []
  return (
    <Section title="Cases" note="records that must, or must not, make it fire">
      {cases.map((one) => (
        <details key={one.name}>
          <summary>
            {one.fires ? 'Fires' : 'Stays silent'}: {visible(one.name)}{' '}
            <span className="muted small">{plural(one.records.length, 'record')}</span>
          </summary>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard. */}
          <pre className="raw" tabIndex={0} role="region" aria-label={`Records of ${visible(one.name)}`}>
            {one.records.map((record) => visibleBlock(record)).join('\n\n')}
          </pre>
        </details>
      ))}
    </Section>
  )
}

function About({ rule }: { rule: RulePageData }) {
  const { detail, info } = rule
  if (!detail) return null
  return (
    <Section title="About">
      {detail.falsepositives.length > 0 && (
        <p className="small">Known to be harmless when: {visible(detail.falsepositives.join('; '))}</p>
      )}
      <div className="tags">
        {info?.tags.map((tag) => (
          <span key={tag} className="tag mono">
            {visible(tag.replace(/^attack\./, ''))}
          </span>
        ))}
      </div>
      {detail.references.map((reference) => (
        <div key={reference} className="small mono wrap muted">
          {visible(reference)}
        </div>
      ))}
    </Section>
  )
}
