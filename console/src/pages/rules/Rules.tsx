/** The rules: which are in force, which cannot fire, which are suspended, tested, or refused. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { Download, FlaskConical, RefreshCw } from 'lucide-react'
import { useRef } from 'react'
import { reloadRules, useMayManageRules } from '../../actions/rules'
import { refusedRulesQuery, rulesQuery } from '../../api/queries'
import type { RefusedRule, RuleRow } from '../../api/types'
import { count, plural } from '../../lib/format'
import { costText, onTab, RULE_TABS, type RuleTab, ruleTab, tabCount } from '../../lib/rules'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { FilterText } from '../../ui/FilterText'
import { useTitle } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { CanaryMark, Level, StateMark } from './marks'

const ROW_PX = 30

export default function Rules() {
  useTitle('Rules')
  const [search, set] = useUrlState()
  const asked = search.text ?? ''
  const rules = useQuery(rulesQuery(asked))
  const refused = useQuery(refusedRulesQuery)
  const mayManage = useMayManageRules()
  const tab = ruleTab(search.tab)
  return (
    <div className="work">
      <header className="work-head">
        <h1>Rules</h1>
        <div className="filters" role="group" aria-label="Filters">
          <FilterText label="Search rules" placeholder="Search by title, tag, id" />
          <div className="segments" role="group" aria-label="Which rules">
            {RULE_TABS.map(({ id, label, hint }) => (
              <button
                key={id}
                type="button"
                title={hint}
                aria-pressed={tab === id}
                onClick={() => set({ tab: id === 'all' ? null : id }, { push: true })}
              >
                {label}{' '}
                {rules.data && refused.data && (
                  <span className="tabular">{count(tabCount(id, rules.data.items, refused.data.items))}</span>
                )}
              </button>
            ))}
          </div>
        </div>
        <Link to="/backtest" className="button">
          <FlaskConical size={14} aria-hidden="true" /> Try a rule
        </Link>
        <a
          className="button"
          href="/api/v1/rules/coverage"
          download="watchfloor-coverage.json"
          title="A layer for ATT&CK Navigator: for each technique whether there is data, a rule, a tested rule, a finding"
        >
          <Download size={14} aria-hidden="true" /> Coverage
        </a>
        {mayManage && (
          <button
            type="button"
            className="button"
            title="Read the rule files now; they are looked at every two seconds anyway"
            onClick={() => void reloadRules()}
          >
            <RefreshCw size={14} aria-hidden="true" /> Reload
          </button>
        )}
      </header>
      {tab === 'refused' ? (
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
      ) : (
        <Shown rules={onTab(rules.data.items, tab)} tab={tab} isSearch={asked !== ''} />
      )}
    </div>
  )
}

const NONE: Record<Exclude<RuleTab, 'all' | 'refused'>, [string, string]> = {
  dead: [
    'No rule is dead',
    'Each could have fired on the events of the last 24 hours: its log source came, and its fields had values.',
  ],
  suspended: ['No rule is suspended', 'A rule that costs more than its budget is suspended and stands here.'],
  tested: [
    'No rule has a positive case',
    'Put RULE.cases.yaml beside RULE.yml; its positive case is then run as a canary every 15 minutes.',
  ],
}

function Shown({ rules, tab, isSearch }: { rules: RuleRow[]; tab: RuleTab; isSearch: boolean }) {
  if (rules.length > 0) return <Loaded rules={rules} isDead={tab === 'dead'} />
  if (isSearch) {
    return (
      <Empty title="No rule matches">
        Search for a word of the title, a tag such as attack.t1059, or an id.
      </Empty>
    )
  }
  if (tab !== 'all' && tab !== 'refused') {
    const [title, text] = NONE[tab]
    return <Empty title={title}>{text}</Empty>
  }
  return (
    <Empty title="No rule is loaded" line="watchfloor serve --rules FOLDER">
      Name a folder of Sigma rules when the server starts.
    </Empty>
  )
}

const HEADS = ['Level', 'Rule', 'Log source', 'State', 'Canary', 'Cost', '24 h', '7 d', 'Last fired']
const NUMBERS = new Set(['Cost', '24 h', '7 d'])

function Loaded({ rules, isDead }: { rules: RuleRow[]; isDead: boolean }) {
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: rules.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 16,
    paddingStart: ROW_PX,
  })
  const columns = isDead
    ? '88px minmax(150px, 1.2fr) minmax(100px, .7fr) minmax(170px, 1.7fr) 66px 52px 44px 44px 96px'
    : '88px minmax(200px, 2fr) minmax(110px, 1fr) minmax(100px, .7fr) 66px 52px 44px 44px 96px'
  return (
    <div
      ref={scroller}
      className="grid grid-static"
      role="table"
      aria-label="Loaded rules"
      aria-rowcount={rules.length + 1}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
      tabIndex={0}
      style={{ '--columns': columns, '--least': '920px' } as React.CSSProperties}
    >
      <div role="rowgroup" className="grid-head">
        <div role="row" aria-rowindex={1} className="grid-row">
          {HEADS.map((word) => (
            <div
              key={word}
              role="columnheader"
              className={`grid-cell ${NUMBERS.has(word) ? 'number' : ''}`}
              title={word === 'Cost' ? 'Time per event of its log sources, measured as they come' : undefined}
            >
              {isDead && word === 'State' ? 'Why it could not fire' : word}
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
              <Cells rule={rule} isDead={isDead} />
            </div>
          )
        })}
      </div>
    </div>
  )
}

function Cells({ rule, isDead }: { rule: RuleRow; isDead: boolean }) {
  const figure = (n: number) =>
    n > 0 ? (
      <Link to="/queue" search={{ rule_id: rule.id, status: 'all' }}>
        {count(n)}
      </Link>
    ) : (
      <span className="faint">0</span>
    )
  return (
    <>
      <div role="cell" className="grid-cell">
        <Level level={rule.level} />
      </div>
      <div role="cell" className="grid-cell">
        <Link
          to="/rules/$id"
          params={{ id: rule.id }}
          className="cell-title"
          title={`${visible(rule.title)}\n${rule.id}\n${visible(rule.path)}\n${rule.tags.join(' ')}`}
        >
          {visible(rule.title)}
        </Link>
      </div>
      <div role="cell" className="grid-cell muted">
        <span className="cell-title">{visible(rule.logsource)}</span>
      </div>
      <div role="cell" className="grid-cell">
        {isDead ? (
          <span className="cell-title warn" title={visible(rule.dead ?? '')}>
            {visible(rule.dead ?? '')}
          </span>
        ) : (
          <StateMark rule={rule} />
        )}
      </div>
      <div role="cell" className="grid-cell">
        <CanaryMark outcome={rule.canary} />
      </div>
      <div role="cell" className="grid-cell number muted">
        {costText(rule.cost_us) || <span className="faint">–</span>}
      </div>
      <div role="cell" className="grid-cell number">
        {figure(rule.findings_last_24h)}
      </div>
      <div role="cell" className="grid-cell number">
        {figure(rule.findings_last_7d)}
      </div>
      <div role="cell" className="grid-cell muted">
        <Ago iso={rule.last_fired} />
      </div>
    </>
  )
}

function Refused({ rules, text }: { rules: RefusedRule[]; text: string }) {
  const needle = text.toLowerCase()
  const shown = rules.filter((r) => `${r.path} ${r.rule} ${r.reason}`.toLowerCase().includes(needle))
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
            <th scope="col">Rule</th>
            <th scope="col">What is wrong</th>
            <th scope="col">In force</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((rule, i) => (
            <tr key={i}>
              <td className="mono small wrap">{visible(rule.path)}</td>
              <td className="number muted">{rule.line ?? ''}</td>
              <td className="muted wrap">{visible(rule.rule)}</td>
              <td className="wrap">{visible(rule.reason)}</td>
              <td className="wrap">
                {rule.held_since ? (
                  <span title="The file has an error; nothing of it was taken over">
                    its last good version, since <Ago iso={rule.held_since} />
                  </span>
                ) : (
                  <span className="warn">nothing</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
