/** An exception from the alert itself: fields and values of its event, hours, how long, why, and what it would have silenced. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { api } from '../api/client'
import { alertQuery, suppressionsQuery } from '../api/queries'
import type { Alert, AlertDetail, BacktestReport, ConditionOp, SuppressionPreview } from '../api/types'
import { candidates, chosenConditions, type DraftCondition, OP_WORD, OPS, windowOf } from '../lib/exceptions'
import { count, plural } from '../lib/format'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { Foot, sendOnControlEnter } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { Time } from '../ui/Time'
import { SkeletonRows } from '../ui/Trouble'
import { toast } from '../ui/toast'
import { useSubmit } from './useForm'

export function exceptDialog(alert: Alert): void {
  openDialog((close) => <ExceptDialog id={alert.id} close={close} />)
}

function ExceptDialog({ id, close }: { id: string; close: () => void }) {
  const { data, error } = useQuery(alertQuery(id))
  return (
    <Dialog title="Except from this rule" onClose={close} width={760} className="except-dialog">
      {data ? (
        <Form alert={data} close={close} />
      ) : error ? (
        <FormError error={error} />
      ) : (
        <SkeletonRows rows={10} />
      )}
    </Dialog>
  )
}

const DAY_MS = 86_400_000
const ENDS: readonly [string, string][] = [
  ['1', 'for a day'],
  ['7', 'for a week'],
  ['30', 'for 30 days'],
  ['90', 'for 90 days'],
  ['date', 'until a date'],
  ['never', 'without an end'],
]
/** Conditions of an event beyond those that people mostly use are folded away. */
const SHOWN = 6

function Form({ alert, close }: { alert: AlertDetail; close: () => void }) {
  const client = useQueryClient()
  const [draft, setDraft] = useState<DraftCondition[]>(() => candidates(alert))
  const [filter, setFilter] = useState('')
  const [isAll, setAll] = useState(false)
  const [hours, setHours] = useState<[string, string] | null>(null)
  const [threshold, setThreshold] = useState<{ count: number; minutes: number; per: string } | null>(null)
  const [ends, setEnds] = useState('30')
  const [date, setDate] = useState('')
  const [reason, setReason] = useState('')
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const conditions = chosenConditions(draft)
  const window = hours ? windowOf(hours[0], hours[1], zone) : null
  const what = { rule_id: alert.rule_id, conditions, window }
  const isSomething = conditions.length > 0 || window !== null || threshold !== null

  const preview = useQuery({
    queryKey: ['suppression-preview', what],
    queryFn: () => api.post<SuppressionPreview>('/suppressions/preview', what),
    enabled: isSomething && (!hours || window !== null),
    placeholderData: (before) => before,
  })

  const { submit, isBusy, error } = useSubmit(async () => {
    if (!isSomething) throw new Error('Choose at least one condition, hours or a threshold.')
    if (!reason.trim()) throw new Error('Say why; whoever wonders about the silence will read it.')
    if (hours && !window) throw new Error('The hours are not a window; write them as 22:00 and 06:00.')
    if (ends === 'date' && !date) throw new Error('Choose the date on which it ends.')
    const until =
      ends === 'never'
        ? null
        : ends === 'date'
          ? new Date(`${date}T23:59:59`).toISOString()
          : new Date(Date.now() + Number(ends) * DAY_MS).toISOString()
    await api.post('/suppressions', {
      ...what,
      threshold: threshold && {
        count: threshold.count,
        within_s: threshold.minutes * 60,
        per: threshold.per,
      },
      reason: reason.trim(),
      expires_at: until,
    })
    for (const queryKey of [suppressionsQuery.queryKey, ['rule', alert.rule_id]])
      void client.invalidateQueries({ queryKey })
    toast({ tone: 'plain', text: 'Exception made; it holds from the next finding on' })
    close()
  })

  const change = (at: number, patch: Partial<DraftCondition>) =>
    setDraft((all) => all.map((one, i) => (i === at ? { ...one, ...patch } : one)))
  const needle = filter.toLowerCase()
  const rows = draft
    .map((one, at) => ({ one, at }))
    .filter(({ one }) => needle === '' || `${one.field} ${one.value}`.toLowerCase().includes(needle))
  const shown = isAll || needle ? rows : rows.filter(({ one }, i) => i < SHOWN || one.chosen)
  return (
    <form className="stack" onSubmit={submit}>
      <p className="muted small">
        Findings of “{visible(alert.rule_title)}” make no alert when all of these hold. They stay in the lake
        and are counted here.
      </p>
      <fieldset className="offer except-conditions">
        <legend>When</legend>
        <input
          className="input"
          type="search"
          aria-label="Find a field"
          placeholder="Find a field or value of the event"
          value={filter}
          onChange={(e) => setFilter(e.target.value)}
        />
        <div className="except-rows">
          {shown.map(({ one, at }) => (
            <ConditionRow key={`${one.field}${at}`} draft={one} change={(patch) => change(at, patch)} />
          ))}
        </div>
        {!isAll && !needle && rows.length > shown.length && (
          <button type="button" className="link-button" onClick={() => setAll(true)}>
            {plural(rows.length - shown.length, 'more field')} of the event
          </button>
        )}
      </fieldset>
      <Limits
        hours={hours}
        setHours={setHours}
        zone={zone}
        threshold={threshold}
        setThreshold={setThreshold}
      />
      <div className="except-end">
        <label className="field">
          Ends
          <select value={ends} onChange={(e) => setEnds(e.target.value)}>
            {ENDS.map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </select>
          {ends === 'date' && (
            <input
              className="input"
              type="date"
              aria-label="Last day"
              value={date}
              onChange={(e) => setDate(e.target.value)}
            />
          )}
        </label>
        <label className="field">
          Why?
          <textarea
            rows={2}
            required
            data-autofocus
            placeholder="Such as: the backup agent of the file servers, change 4711"
            value={reason}
            onChange={(e) => setReason(e.target.value)}
            onKeyDown={sendOnControlEnter}
          />
        </label>
      </div>
      {ends === 'never' && (
        <p className="warn small" role="note">
          Without an end it silences for ever, also what nobody thought of today. A date makes somebody look
          again.
        </p>
      )}
      <Effect
        preview={preview.data}
        isAsked={isSomething}
        failed={preview.error !== null}
        hasThreshold={threshold !== null}
      />
      {isSomething && conditions.length + (window ? 1 : 0) > 0 && <Forecast what={what} />}
      <FormError error={error} />
      <Foot close={close} isBusy={isBusy} word="Make exception" />
    </form>
  )
}

function ConditionRow({
  draft,
  change,
}: {
  draft: DraftCondition
  change: (patch: Partial<DraftCondition>) => void
}) {
  return (
    <div className="except-row" data-chosen={draft.chosen}>
      <label className="check">
        <input
          type="checkbox"
          checked={draft.chosen}
          onChange={(e) => change({ chosen: e.target.checked })}
        />
        <span className="mono small cell-title" title={draft.field}>
          {visible(draft.field)}
        </span>
      </label>
      <select
        aria-label={`How ${draft.field} is compared`}
        value={draft.op}
        onChange={(e) => change({ op: e.target.value as ConditionOp, chosen: true })}
      >
        {OPS.map((op) => (
          <option key={op} value={op}>
            {OP_WORD[op]}
          </option>
        ))}
      </select>
      <input
        className="input mono small"
        aria-label={`Value of ${draft.field}`}
        value={draft.value}
        onChange={(e) => change({ value: e.target.value, chosen: true })}
      />
    </div>
  )
}

interface LimitsProps {
  hours: [string, string] | null
  setHours: (hours: [string, string] | null) => void
  zone: string
  threshold: { count: number; minutes: number; per: string } | null
  setThreshold: (threshold: { count: number; minutes: number; per: string } | null) => void
}

function Limits({ hours, setHours, zone, threshold, setThreshold }: LimitsProps) {
  return (
    <fieldset className="offer">
      <legend>Limits</legend>
      <div className="row">
        <label className="check">
          <input
            type="checkbox"
            checked={hours !== null}
            onChange={(e) => setHours(e.target.checked ? ['22:00', '06:00'] : null)}
          />
          Only at some hours of the day
        </label>
        {hours && (
          <>
            <input
              className="input clock-input"
              aria-label="From"
              value={hours[0]}
              onChange={(e) => setHours([e.target.value, hours[1]])}
            />
            –
            <input
              className="input clock-input"
              aria-label="To"
              value={hours[1]}
              onChange={(e) => setHours([hours[0], e.target.value])}
            />
            <span className="muted small">{zone}</span>
          </>
        )}
      </div>
      <div className="row">
        <label className="check">
          <input
            type="checkbox"
            checked={threshold !== null}
            onChange={(e) =>
              setThreshold(e.target.checked ? { count: 5, minutes: 10, per: 'entity.host' } : null)
            }
          />
          Alert all the same when it piles up
        </label>
        {threshold && (
          <>
            from
            <input
              className="input count-input"
              type="number"
              min={2}
              aria-label="Findings"
              value={threshold.count}
              onChange={(e) => setThreshold({ ...threshold, count: Number(e.target.value) })}
            />
            findings in
            <input
              className="input count-input"
              type="number"
              min={1}
              max={10_080}
              aria-label="Minutes"
              value={threshold.minutes}
              onChange={(e) => setThreshold({ ...threshold, minutes: Number(e.target.value) })}
            />
            minutes per
            <select
              aria-label="Counted per"
              value={threshold.per}
              onChange={(e) => setThreshold({ ...threshold, per: e.target.value })}
            >
              <option value="entity.host">host</option>
              <option value="entity.user">user</option>
              <option value="entity.address">address</option>
              <option value="source">source</option>
              <option value="">rule</option>
            </select>
          </>
        )}
      </div>
    </fieldset>
  )
}

interface EffectProps {
  preview: SuppressionPreview | undefined
  isAsked: boolean
  failed: boolean
  hasThreshold: boolean
}

function Effect({ preview, isAsked, failed, hasThreshold }: EffectProps) {
  if (!isAsked) return <p className="muted">Choose what it is about; its effect is measured at once.</p>
  if (failed) return <p className="warn">Its effect could not be measured.</p>
  if (!preview) return <p className="muted">Measuring its effect…</p>
  const share = preview.alerts_total ? preview.alerts_matched / preview.alerts_total : 0
  return (
    <div className="except-effect" aria-live="polite">
      <strong className="tabular">
        Would have silenced {count(preview.alerts_matched)} of {plural(preview.alerts_total, 'alert')} in{' '}
        {plural(preview.days, 'day')}
        {preview.capped && ', the newest looked at'}
      </strong>
      <span className="meter-track">
        <span className="meter-fill" style={{ width: `${share * 100}%` }} />
      </span>
      {hasThreshold && <span className="muted small">Those that pile up would still have come.</span>}
      <ul className="plain-list small">
        {preview.examples.map((one) => (
          <li key={one.id} className="cell-title">
            <Time iso={one.time} show="short" /> <span className="muted">{visible(one.summary)}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

/** What is in the lake says more than the alerts: repeats count, and those that are gone. */
function Forecast({ what }: { what: { rule_id: string; conditions: unknown; window: unknown } }) {
  const key = JSON.stringify(what)
  const [asked, setAsked] = useState<string | null>(null)
  const run = useQuery({
    queryKey: ['backtest', key],
    queryFn: () => api.post<BacktestReport>('/rules/backtest', { ...what, days: 30 }),
    enabled: asked === key,
    retry: false,
    staleTime: 60_000,
  })
  const text = useMemo(() => {
    const after = run.data?.after
    if (!run.data || !after) return null
    const { before } = run.data
    return `${plural(before.findings, 'finding')} → ${count(after.findings)}, ${plural(before.alerts, 'alert')} → ${count(after.alerts)}`
  }, [run.data])
  if (asked !== key) {
    return (
      <div>
        <button type="button" className="link-button" onClick={() => setAsked(key)}>
          Run the rule over the lake's last 30 days with and without it
        </button>
      </div>
    )
  }
  if (run.error)
    return <p className="warn small">It could not be run: {visible(String(run.error.message))}</p>
  if (!text) return <p className="muted small">Running over the lake…</p>
  return (
    <p className="small tabular">
      Over the lake, 30 days: <strong>{text}</strong>
      {!run.data?.is_whole && <span className="capped"> · only part of the events was looked at</span>} ·{' '}
      <Link to="/backtest" search={{ rule: what.rule_id }}>
        more
      </Link>
    </p>
  )
}
