/** The chart that a query asks for with `render`. It draws the server's rows, whatever their order below. */
import { useMemo } from 'react'
import type { RowColumn, RowRender } from '../../api/rows'
import { percent, plural } from '../../lib/format'
import { type BarSet, barSet, lineSet } from '../../lib/series'
import { cellText } from '../../lib/table'
import { visible } from '../../lib/text'
import { LineChart } from '../../ui/LineChart'

const BARS = ['barchart', 'columnchart', 'piechart']
const LINES = ['timechart', 'areachart', 'linechart']

interface PipeChartProps {
  columns: RowColumn[]
  rows: unknown[][]
  render: RowRender
}

export function PipeChart({ columns, rows, render }: PipeChartProps) {
  const { kind } = render
  const option = (name: string) => render.with.find((w) => w.name === name)?.value ?? ''
  const bars = useMemo(() => (BARS.includes(kind) ? barSet(columns, rows) : null), [columns, rows, kind])
  const lines = useMemo(() => (LINES.includes(kind) ? lineSet(columns, rows) : null), [columns, rows, kind])
  if (kind === 'table') return null
  const title = option('title')
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a tall chart scrolls, also by keys.
    <section className="pipe-chart" aria-label={visible(title) || 'Chart'} tabIndex={0}>
      {title && <h2>{visible(title)}</h2>}
      {bars && <BarList set={bars} isPie={kind === 'piechart'} />}
      {lines && (
        <LineChart
          set={lines}
          isArea={kind === 'areachart'}
          xTitle={option('xtitle')}
          yTitle={option('ytitle')}
        />
      )}
      {!bars && !lines && <p className="muted small">{reason(kind)}</p>}
    </section>
  )
}

function reason(kind: string): string {
  if (BARS.includes(kind)) return `A ${kind} needs a column of names and one of numbers.`
  if (LINES.includes(kind)) return `A ${kind} needs a column of times and one of numbers.`
  return `“${visible(kind)}” is not a chart that this console draws; the rows are below.`
}

function BarList({ set, isPie }: { set: BarSet; isPie: boolean }) {
  const max = Math.max(0, ...set.bars.map((b) => b.value)) || 1
  return (
    <>
      <div className="pipe-bars-head muted small">
        <span>{visible(set.label)}</span>
        <span>{visible(set.unit)}</span>
        <span className="spacer" />
        {set.left > 0 && <span className="capped">… and {plural(set.left, 'more', 'more')} not drawn</span>}
      </div>
      <ol className="pipe-bars" aria-label={`${visible(set.unit)} by ${visible(set.label)}`}>
        {set.bars.map((bar, i) => (
          <li key={i}>
            <span className="pipe-bar-name mono" title={visible(bar.name)}>
              {visible(bar.name) || '(empty)'}
            </span>
            <span className="pipe-bar-room" aria-hidden="true">
              <span style={{ width: `${Math.max(0, bar.value / max) * 100}%` }} />
            </span>
            <span className="tabular">{cellText(bar.value)}</span>
            {isPie && set.total > 0 && (
              <span className="tabular muted pipe-bar-share">{percent(bar.value / set.total)}</span>
            )}
          </li>
        ))}
      </ol>
    </>
  )
}
