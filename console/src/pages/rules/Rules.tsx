/** The rules that are loaded, and those that were refused with the reason why. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef, useState } from 'react'
import { refusedRulesQuery, rulesQuery } from '../../api/queries'
import type { Severity as Level, RefusedRule, RuleRow } from '../../api/types'
import { count, plural, SEVERITIES } from '../../lib/format'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { useTitle } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'

const TYPING_MS = 200
const ROW_PX = 30

export default function Rules() {
  useTitle('Rules')
  const [search, set] = useUrlState()
  const asked = search.text ?? ''
  const [text, setText] = useState(asked)
  useEffect(() => {
    const timer = setTimeout(() => text !== asked && set({ text }), TYPING_MS)
    return () => clearTimeout(timer)
  }, [text, asked, set])
  const rules = useQuery(rulesQuery(asked))
  const refused = useQuery(refusedRulesQuery)
  const isRefusedShown = search.tab === 'refused'
  const loadedCount = rules.data?.total ?? rules.data?.items.length
  return (
    <div className="work">
      <header className="work-head">
        <h1>Rules</h1>
        <div className="filters" role="group" aria-label="Filters">
          <input
            className="input filter-text"
            type="search"
            aria-label="Search rules"
            placeholder="Search by title, tag, id"
            value={text}
            onChange={(e) => setText(e.target.value)}
          />
          <div className="segments" role="group" aria-label="Which rules">
            <button
              type="button"
              aria-pressed={!isRefusedShown}
              onClick={() => set({ tab: null }, { push: true })}
            >
              Loaded {loadedCount !== undefined && <span className="tabular">{count(loadedCount)}</span>}
            </button>
            <button
              type="button"
              aria-pressed={isRefusedShown}
              onClick={() => set({ tab: 'refused' }, { push: true })}
            >
              Refused {refused.data && <span className="tabular">{count(refused.data.items.length)}</span>}
            </button>
          </div>
        </div>
      </header>
      {isRefusedShown ? (
        refused.error ? (
          <Problem
            what="Refused rules did not load"
            error={refused.error}
            retry={() => void refused.refetch()}
          />
        ) : refused.data ? (
          <Refused rules={refused.data.items} text={asked} />
        ) : (
          <SkeletonRows rows={12} />
        )
      ) : rules.error && !rules.data ? (
        <Problem what="Rules did not load" error={rules.error} retry={() => void rules.refetch()} />
      ) : !rules.data ? (
        <SkeletonRows rows={16} />
      ) : rules.data.items.length === 0 ? (
        <Empty
          title={asked ? 'No rule matches' : 'No rule is loaded'}
          line={asked ? undefined : 'watchfloor serve --rules FOLDER'}
        >
          {asked
            ? 'Search for a word of the title, a tag such as attack.t1059, or an id.'
            : 'Name a folder of Sigma rules when the server starts.'}
        </Empty>
      ) : (
        <Loaded rules={rules.data.items} />
      )}
    </div>
  )
}

const isLevel = (level: string): level is Level => (SEVERITIES as readonly string[]).includes(level)

function Loaded({ rules }: { rules: RuleRow[] }) {
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rules.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 16,
    paddingStart: ROW_PX,
  })
  const columns = '92px minmax(280px, 2fr) minmax(160px, 1fr) minmax(160px, 1fr) 92px 92px 110px'
  return (
    <div
      ref={scroller}
      className="grid grid-static"
      role="table"
      aria-label="Loaded rules"
      aria-rowcount={rules.length + 1}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
      tabIndex={0}
      style={{ '--columns': columns, '--least': '1000px' } as React.CSSProperties}
    >
      <div role="rowgroup" className="grid-head">
        <div role="row" aria-rowindex={1} className="grid-row">
          {['Level', 'Rule', 'Log source', 'Tags', 'Status', 'Findings 7 d', 'Last fired'].map((word) => (
            <div
              key={word}
              role="columnheader"
              className={`grid-cell ${word.startsWith('Findings') ? 'number' : ''}`}
            >
              {word}
            </div>
          ))}
        </div>
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize() - ROW_PX }}>
        {virtual.getVirtualItems().map((item) => {
          const rule = rules[item.index]
          if (!rule) return null
          return (
            <div
              key={rule.id}
              role="row"
              aria-rowindex={item.index + 2}
              className="grid-row"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <div role="cell" className="grid-cell">
                {isLevel(rule.level) ? <Severity level={rule.level} /> : rule.level}
              </div>
              <div role="cell" className="grid-cell">
                <span
                  className="cell-title"
                  title={`${visible(rule.title)}\n${rule.id}\n${visible(rule.path)}`}
                >
                  {visible(rule.title)}
                </span>
              </div>
              <div role="cell" className="grid-cell muted">
                <span className="cell-title">{visible(rule.logsource)}</span>
              </div>
              <div role="cell" className="grid-cell muted small">
                <span className="cell-title mono" title={rule.tags.join('\n')}>
                  {rule.tags.map((t) => t.replace(/^attack\./, '')).join(' ')}
                </span>
              </div>
              <div role="cell" className="grid-cell muted">
                {rule.enabled ? rule.status : 'disabled'}
              </div>
              <div role="cell" className="grid-cell number">
                {rule.findings_last_7d > 0 ? (
                  <Link to="/queue" search={{ rule_id: rule.id, status: 'all' }}>
                    {count(rule.findings_last_7d)}
                  </Link>
                ) : (
                  <span className="faint">0</span>
                )}
              </div>
              <div role="cell" className="grid-cell muted">
                <Ago iso={rule.last_fired} />
              </div>
            </div>
          )
        })}
      </div>
    </div>
  )
}

function Refused({ rules, text }: { rules: RefusedRule[]; text: string }) {
  const needle = text.toLowerCase()
  const shown = rules.filter((r) => `${r.path} ${r.reason}`.toLowerCase().includes(needle))
  if (rules.length === 0) {
    return <Empty title="No rule was refused">Every rule file that was found is loaded.</Empty>
  }
  return (
    <div className="scroll">
      <table className="table table-rows">
        <caption className="hidden-text">{plural(rules.length, 'refused rule')}</caption>
        <thead>
          <tr>
            <th scope="col">File</th>
            <th scope="col" className="number">
              Line
            </th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((rule, i) => (
            <tr key={i}>
              <td className="mono small wrap">{visible(rule.path)}</td>
              <td className="number muted">{rule.line ?? ''}</td>
              <td className="wrap">{visible(rule.reason)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
