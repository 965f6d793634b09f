/** What the lake takes: the figures, their growth by day, and who has which share of it. */
import { Link, useNavigate } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import type { StorageShare, StorageUsage } from '../../api/types'
import { className } from '../../lib/classes'
import { bytes, compact, count, percent, plural } from '../../lib/format'
import { clause } from '../../lib/query'
import { costWords, dayBars, forecastWords, monthCost, ratioWords } from '../../lib/storage'
import { visible } from '../../lib/text'
import { Bars } from '../../ui/Bars'
import { Section } from '../../ui/Page'

const DAYS_LEAST = 30
const DAYS_MOST = 400
/** Shares beyond these are folded: they take next to nothing. */
const SHOWN = 12

export function Figures({ usage }: { usage: StorageUsage }) {
  const forecast = forecastWords(usage)
  const ratio = ratioWords(usage.raw_bytes, usage.bytes)
  const price = usage.price_per_gb_month
  const { free_bytes: free } = usage
  return (
    <div className="figures storage-figures">
      <div className="figure">
        <span className="figure-label">In all</span>
        <strong>{bytes(usage.bytes)}</strong>
        <span className="muted small">
          {price === null ? 'data and filters' : `costs ${costWords(monthCost(usage.bytes, price))} a month`}
        </span>
      </div>
      <Link to="/hunt" search={{ t: 'all' }} className="figure">
        <span className="figure-label">Events and findings</span>
        <strong>{compact(usage.rows)}</strong>
        <span className="muted small">{count(usage.rows)} in files</span>
      </Link>
      <div className="figure">
        <span className="figure-label">Smaller than what arrived</span>
        <strong>{ratio || '—'}</strong>
        <span className="muted small">
          {ratio ? `from ${bytes(usage.raw_bytes)} of raw records` : 'no raw records'}
        </span>
      </div>
      <div className="figure">
        <span className="figure-label">Growth a day</span>
        <strong>{bytes(usage.bytes_per_day)}</strong>
        <span className="muted small">over the last whole days, at most seven</span>
      </div>
      <div className="figure">
        <span className="figure-label">Forecast</span>
        <strong className={`figure-words ${forecast.isTight ? 'warn' : ''}`}>{forecast.text}</strong>
        <span className="muted small">{forecast.note}</span>
      </div>
      <div className="figure">
        <span className="figure-label">Free</span>
        <strong>{free === null ? '—' : bytes(free)}</strong>
        <span className="muted small">
          {free === null ? 'a bucket does not say' : 'where new events are written'}
        </span>
      </div>
    </div>
  )
}

export function Growth({ usage }: { usage: StorageUsage }) {
  const navigate = useNavigate()
  const bars = useMemo(() => dayBars(usage.days, DAYS_LEAST, DAYS_MOST), [usage.days])
  return (
    <Section
      title="Bytes by day"
      note="day of the event, UTC; drag, or Shift and arrows, then Enter, to hunt in a time"
    >
      {bars.length === 0 ? (
        <p className="muted quiet">
          Nothing is stored yet. <Link to="/sources">Sources</Link> says how to send the first events.
        </p>
      ) : (
        <Bars
          buckets={bars}
          seconds={86_400}
          height={104}
          label="Bytes by day"
          format={bytes}
          onBrush={(from, to) => void navigate({ to: '/hunt', search: { from, to } })}
        />
      )}
      {usage.unknown_files > 0 && (
        <p className="small capped">
          {plural(usage.unknown_files, 'file does', 'files do')} not say what{' '}
          {usage.unknown_files === 1 ? 'it holds' : 'they hold'}; the total counts{' '}
          {usage.unknown_files === 1 ? 'it' : 'them'}, days, sources and classes do not.
        </p>
      )}
    </Section>
  )
}

export function Shares({ usage, kind }: { usage: StorageUsage; kind: 'source' | 'class' }) {
  const [isAll, setAll] = useState(false)
  const rows = kind === 'source' ? usage.sources : usage.classes
  const shown = isAll ? rows : rows.slice(0, SHOWN)
  const total = rows.reduce((all, row) => all + row.bytes, 0)
  const price = usage.price_per_gb_month
  const isSources = kind === 'source'
  const heads = ['Bytes', 'Events', 'Bytes an event', 'Smaller', ...(isSources ? ['Growth a day'] : [])]
  return (
    <Section
      title={isSources ? 'By source' : 'By class'}
      note={`${plural(rows.length, kind, isSources ? 'sources' : 'classes')}, the largest first`}
      tools={
        rows.length > SHOWN && (
          <button type="button" className="link-button" aria-expanded={isAll} onClick={() => setAll(!isAll)}>
            {isAll ? 'Show fewer' : `Show all ${count(rows.length)}`}
          </button>
        )
      }
    >
      {rows.length === 0 ? (
        <p className="muted quiet">Nothing is stored yet.</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard.
        <div className="storage-scroll" tabIndex={0} role="region" aria-label={`Bytes by ${kind}`}>
          <table className="table storage-table">
            <thead>
              <tr>
                <th scope="col">{isSources ? 'Source' : 'Class'}</th>
                <th scope="col" colSpan={2}>
                  Share
                </th>
                {heads.map((head) => (
                  <th key={head} scope="col" className="number">
                    {head}
                  </th>
                ))}
                {price !== null && (
                  <th
                    scope="col"
                    className="number"
                    title={`at ${price} a GB (1,000,000,000 bytes) and month`}
                  >
                    Cost a month
                  </th>
                )}
                {isSources && (
                  <th scope="col">
                    <span className="hidden-text">More</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <ShareRow key={row.name} row={row} total={total} price={price} isSource={isSources} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  )
}

interface ShareRowProps {
  row: StorageShare
  total: number
  price: number | null
  isSource: boolean
}

function ShareRow({ row, total, price, isSource }: ShareRowProps) {
  const share = row.bytes / Math.max(1, total)
  return (
    <tr>
      <td>
        <Link
          to="/hunt"
          search={{ q: isSource ? clause('source', row.name) : `class_uid:${row.name}`, t: 'all' }}
          title={isSource ? 'Hunt in its events' : `Hunt in events of class ${row.name}`}
        >
          {isSource ? visible(row.name) : className(Number(row.name))}
        </Link>
      </td>
      <td className="share">
        <span className="meter-track">
          <span className="meter-fill" style={{ width: `${share * 100}%` }} />
        </span>
      </td>
      <td className="number storage-percent">{percent(share)}</td>
      <td className="number">{bytes(row.bytes)}</td>
      <td className="number">{count(row.rows)}</td>
      <td className="number">{row.rows > 0 ? bytes(Math.round(row.bytes / row.rows)) : '—'}</td>
      <td className="number">{ratioWords(row.raw_bytes, row.bytes) || '—'}</td>
      {isSource && <td className="number">{bytes(row.bytes_per_day)}</td>}
      {price !== null && <td className="number">{costWords(monthCost(row.bytes, price))}</td>}
      {isSource && (
        <td className="number">
          <Link to="/sources" search={{ source: row.name }}>
            Source<span className="hidden-text"> {visible(row.name)}</span>
          </Link>
        </td>
      )}
    </tr>
  )
}

const ROLE_WORD: Record<string, string> = {
  hot: 'new events are written here',
  cold: 'old events are moved here',
  former: 'was written to before; still read',
}

export function Tiers({ usage }: { usage: StorageUsage }) {
  return (
    <Section title="Places" note="where the events stand; the configuration’s [lake] says so">
      <div className="storage-scroll">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Tier</th>
              <th scope="col">Place</th>
              {['Files', 'Bytes', 'Filters'].map((head) => (
                <th key={head} scope="col" className="number">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {usage.tiers.map((tier) => (
              <tr key={`${tier.role}${tier.place}`}>
                <td>
                  <span className="strong">{tier.role}</span>{' '}
                  <span className="muted small">{ROLE_WORD[tier.role]}</span>
                </td>
                <td className="mono wrap">{visible(tier.place)}</td>
                <td className="number">{count(tier.files)}</td>
                <td className="number">{bytes(tier.bytes)}</td>
                <td className="number">{bytes(tier.filter_bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Section>
  )
}
