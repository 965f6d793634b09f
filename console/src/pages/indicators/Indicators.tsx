/** The lists of indicators: what each gave, what of it could not be used and why, how often it was met. */
import { useQuery } from '@tanstack/react-query'
import { indicatorsQuery } from '../../api/queries'
import type { IndicatorListRow } from '../../api/types'
import { count, plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'

export default function Indicators() {
  const { data, error, refetch } = useQuery(indicatorsQuery)
  const lists = data?.items ?? []
  const total = lists.reduce((all, list) => all + list.indicators, 0)
  return (
    <div className="page">
      <PageHead
        title="Indicators"
        meta={
          data && (
            <span className="muted">
              {plural(total, 'indicator')} in {plural(lists.length, 'list')}
            </span>
          )
        }
      />
      {error && !data ? (
        <Problem what="Indicators did not load" error={error} retry={() => void refetch()} />
      ) : !data ? (
        <SkeletonRows rows={8} height={40} />
      ) : lists.length === 0 ? (
        <Empty title="No lists yet">
          Bring one in with <code>watchfloor intel import --data DIR feed.csv</code>: plain text, CSV, STIX
          2.1 or MISP. It is looked for in every event a moment later.
        </Empty>
      ) : (
        <>
          <Lists lists={lists} />
          <Faults lists={lists} />
        </>
      )}
    </div>
  )
}

function Lists({ lists }: { lists: readonly IndicatorListRow[] }) {
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">List</th>
            <th scope="col">Form</th>
            <th scope="col">Kinds</th>
            {['Indicators', 'Refused', 'Passed over', 'Met'].map((word) => (
              <th key={word} scope="col" className="number">
                {word}
              </th>
            ))}
            <th scope="col">Read</th>
          </tr>
        </thead>
        <tbody>
          {lists.map((list) => (
            <tr key={list.path}>
              <td title={visible(list.path)}>
                <span className="strong">{visible(list.name)}</span>
                {list.trouble && <div className="warn small">{visible(list.trouble)}</div>}
              </td>
              <td>{list.format ?? 'unknown'}</td>
              <td className="muted">
                {Object.entries(list.kinds)
                  .map(([kind, n]) => `${count(n)} ${kind}`)
                  .join(', ')}
              </td>
              <td className="number">{count(list.indicators)}</td>
              <td className="number">
                <span className={list.refused > 0 ? 'warn' : 'faint'}>{count(list.refused)}</span>
              </td>
              <td className="number">{count(passedOver(list))}</td>
              <td className="number">{count(list.matches)}</td>
              <td>
                <Ago iso={list.loaded_at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const passedOver = (list: IndicatorListRow) =>
  Object.values(list.not_understood).reduce((all, n) => all + n, 0)

function Faults({ lists }: { lists: readonly IndicatorListRow[] }) {
  const faulty = lists.filter((list) => list.refused > 0 || passedOver(list) > 0)
  if (faulty.length === 0) return null
  return (
    <Section title="What could not be used" note="a line costs nothing else of its list">
      {faulty.map((list) => (
        <div key={list.path}>
          <h3>{visible(list.name)}</h3>
          <ul>
            {Object.entries(list.not_understood).map(([reason, n]) => (
              <li key={reason}>
                {count(n)} passed over: {visible(reason)}
              </li>
            ))}
            {list.refused_lines.map((line) => (
              <li key={line.line}>
                line {count(line.line)}: {visible(line.reason)}
              </li>
            ))}
          </ul>
          {list.refused > list.refused_lines.length && (
            <p className="small capped">
              The first {count(list.refused_lines.length)} of {count(list.refused)} refused lines.
            </p>
          )}
        </div>
      ))}
    </Section>
  )
}
