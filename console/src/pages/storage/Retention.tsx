/** How long events are kept: the rules in their order, what the keeper did, and the dialog that changes them. */
import { useQueryClient } from '@tanstack/react-query'
import { ArrowDown, ArrowUp, X } from 'lucide-react'
import { type ReactNode, useId, useMemo, useRef, useState } from 'react'
import { useRefreshStorage } from '../../actions/storage'
import { useSubmit } from '../../actions/useForm'
import { ApiError, api } from '../../api/client'
import { storageQuery } from '../../api/queries'
import type { Retention as Policy, Storage, StorageUsage } from '../../api/types'
import { CLASSES, className } from '../../lib/classes'
import { count, plural } from '../../lib/format'
import {
  DAYS_WANTED,
  type DraftRule,
  draftTrouble,
  keptWords,
  moved,
  RULES_MAX,
  readDays,
  retentionEffect,
  ruleOf,
  ruleScope,
  someOf,
} from '../../lib/storage'
import { visible } from '../../lib/text'
import { Dialog, openDialog } from '../../ui/Dialog'
import { FormError } from '../../ui/FormError'
import { Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { toast } from '../../ui/toast'

export function Retention({ storage, tools }: { storage: Storage; tools: ReactNode }) {
  const { retention, usage } = storage
  const hasCold = usage.tiers.some((tier) => tier.role === 'cold')
  return (
    <Section
      title="Retention"
      note={
        retention.changed_by ? (
          <>
            days after receipt; changed by {visible(retention.changed_by)}, <Ago iso={retention.changed_at} />
          </>
        ) : (
          'days after receipt; nobody has changed it yet'
        )
      }
      tools={tools}
    >
      <div className="storage-columns">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">The first that fits counts</th>
              <th scope="col">Class</th>
              <th scope="col" className="number">
                Kept
              </th>
            </tr>
          </thead>
          <tbody>
            {retention.rules.map((rule, i) => (
              <tr key={i}>
                <td>
                  <span className="faint tabular storage-place">{i + 1}</span>
                  {rule.source === null ? (
                    <span className="muted">all sources</span>
                  ) : (
                    <span className="mono">{visible(rule.source)}</span>
                  )}
                </td>
                <td>
                  {rule.class_uid === null ? <span className="muted">all</span> : className(rule.class_uid)}
                </td>
                <td className="number">{keptWords(rule.days)}</td>
              </tr>
            ))}
            <tr>
              <td colSpan={2}>{retention.rules.length === 0 ? 'All events' : 'All others'}</td>
              <td className="number">{keptWords(retention.default_days)}</td>
            </tr>
          </tbody>
        </table>
        <dl className="facts">
          <dt>Cold after</dt>
          <dd>{coldWords(retention.cold_after_days, hasCold)}</dd>
          <Keeper usage={usage} />
        </dl>
      </div>
    </Section>
  )
}

function coldWords(days: number | null, hasCold: boolean): string {
  if (!hasCold) return 'there is no cold place; [lake] cold names one'
  return days === null ? 'as the configuration says' : plural(days, 'day')
}

function Keeper({ usage }: { usage: StorageUsage }) {
  return (
    <>
      <dt>Last round</dt>
      <dd>
        {usage.kept_at ? <Ago iso={usage.kept_at} /> : 'none yet; the first begins a minute after the start'}
        {usage.keeper_error && <div className="warn">It failed: {visible(usage.keeper_error)}</div>}
      </dd>
      <dt>Deleted</dt>
      <dd className="tabular">{plural(usage.expired, 'event')} over their time, since the server started</dd>
      <dt>Kept by holds</dt>
      <dd className="tabular">{plural(usage.held, 'event')} over their time</dd>
    </>
  )
}

export function retentionDialog(storage: Storage): void {
  openDialog((close) => <RetentionDialog storage={storage} close={close} />)
}

interface Draft {
  rules: DraftRule[]
  defaultDays: string
  coldDays: string
}

let nextKey = 1
const daysText = (days: number | null) => (days === null ? '' : String(days))

const draftOf = (policy: Policy): Draft => ({
  rules: policy.rules.map((rule) => ({
    key: nextKey++,
    source: rule.source ?? '',
    classUid: rule.class_uid === null ? '' : String(rule.class_uid),
    days: String(rule.days),
  })),
  defaultDays: daysText(policy.default_days),
  coldDays: daysText(policy.cold_after_days),
})

const isConflict = (error: unknown): boolean => error instanceof ApiError && error.code === 'version_conflict'

/** What the server says of a field, and of those below it. */
function fieldReason(error: unknown, field: string): string | null {
  const fields = error instanceof ApiError ? (error.problem.fields ?? []) : []
  const found = fields.find((one) => one.field === field || one.field.startsWith(`${field}.`))
  return found ? found.reason : null
}

const optionalTrouble = (text: string): string | null =>
  text.trim() !== '' && readDays(text) === null ? `Write ${DAYS_WANTED}, or nothing.` : null

function RetentionDialog({ storage, close }: { storage: Storage; close: () => void }) {
  const client = useQueryClient()
  const refresh = useRefreshStorage()
  const [before, setBefore] = useState(storage.retention)
  const [theirs, setTheirs] = useState<Policy | null>(null)
  const [draft, setDraft] = useState(() => draftOf(storage.retention))
  const [isTried, setTried] = useState(false)
  const sources = useMemo(() => storage.usage.sources.map((one) => one.name), [storage])
  const wanted = {
    rules: draft.rules.map(ruleOf),
    default_days: readDays(draft.defaultDays),
    cold_after_days: readDays(draft.coldDays),
  }
  const troubles = draft.rules.map((_, at) => draftTrouble(draft.rules, at))
  const isWrong =
    troubles.some(Boolean) || optionalTrouble(draft.defaultDays) || optionalTrouble(draft.coldDays)
  const { submit, isBusy, error } = useSubmit(async () => {
    setTried(true)
    if (isWrong) return
    try {
      await api.put<Policy>('/storage/retention', { ...wanted, version: before.version })
    } catch (cause) {
      if (isConflict(cause)) {
        // The one that is in force now; both are shown.
        const now = await client.fetchQuery({ ...storageQuery, staleTime: 0 })
        setTheirs(now.retention)
      }
      throw cause
    }
    await refresh()
    toast({ tone: 'plain', text: 'Changed; the keeper begins a round now' })
    close()
  })
  const settle = (isTheirs: boolean) => {
    if (!theirs) return
    if (isTheirs) setDraft(draftOf(theirs))
    setBefore(theirs)
    setTheirs(null)
  }
  const listReason = fieldReason(error, 'rules')
  const isElsewhere =
    listReason || fieldReason(error, 'default_days') || fieldReason(error, 'cold_after_days')
  return (
    <Dialog title="How long events are kept" onClose={close} width={760} className="except-dialog">
      <form className="stack" onSubmit={submit} noValidate>
        <p className="muted small">
          Days count from receipt. The first rule that fits an event counts. A source may have * and ?. Alt ↑
          and Alt ↓ move a rule.
        </p>
        <Rules
          rules={draft.rules}
          troubles={
            isTried ? troubles : troubles.map((text) => (text?.startsWith('This fits') ? text : null))
          }
          sources={sources}
          onChange={(rules) => setDraft({ ...draft, rules })}
        />
        {listReason && (
          <p className="form-error small" role="alert">
            {visible(listReason)}
          </p>
        )}
        <div className="two-fields">
          <Days
            label={draft.rules.length === 0 ? 'All events, days' : 'All others, days'}
            hint="empty: for ever"
            value={draft.defaultDays}
            trouble={
              (isTried ? optionalTrouble(draft.defaultDays) : null) ?? fieldReason(error, 'default_days')
            }
            onChange={(defaultDays) => setDraft({ ...draft, defaultDays })}
          />
          <Days
            label="To the cold place after, days"
            hint="empty: as the configuration says"
            value={draft.coldDays}
            trouble={
              (isTried ? optionalTrouble(draft.coldDays) : null) ?? fieldReason(error, 'cold_after_days')
            }
            onChange={(coldDays) => setDraft({ ...draft, coldDays })}
          />
        </div>
        <Effect before={before} after={wanted} sources={sources} isReady={!isWrong} />
        {theirs && <Conflict theirs={theirs} settle={settle} />}
        {!isElsewhere && !isConflict(error) && <FormError error={error} />}
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button button-primary" disabled={isBusy || theirs !== null}>
            Keep by these rules
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

interface RulesProps {
  rules: readonly DraftRule[]
  troubles: readonly (string | null)[]
  sources: readonly string[]
  onChange: (rules: DraftRule[]) => void
}

function Rules({ rules, troubles, sources, onChange }: RulesProps) {
  const list = useRef<HTMLOListElement>(null)
  const [said, setSaid] = useState('')
  const listId = useId()
  /** The focus goes along with the rule, to the same part of its row. */
  const move = (from: number, to: number) => {
    if (to < 0 || to >= rules.length) return
    const part = (document.activeElement as HTMLElement | null)?.dataset.part
    onChange(moved(rules, from, to))
    setSaid(`Rule ${from + 1} is now number ${to + 1}`)
    requestAnimationFrame(() => {
      const row = list.current?.children[to]
      const same = row?.querySelector<HTMLButtonElement>(`[data-part="${part}"]:not(:disabled)`)
      const target = same ?? row?.querySelector<HTMLElement>('[data-part="source"]')
      target?.focus()
    })
  }
  const add = () => {
    onChange([...rules, { key: nextKey++, source: '', classUid: '', days: '' }])
    requestAnimationFrame(() =>
      list.current?.lastElementChild?.querySelector<HTMLElement>('[data-part="source"]')?.focus(),
    )
  }
  const remove = (at: number) => {
    onChange(rules.filter((_, i) => i !== at))
    setSaid(`Rule ${at + 1} removed`)
    requestAnimationFrame(() => {
      const row = list.current?.children[Math.min(at, rules.length - 2)]
      const next = row?.querySelector<HTMLElement>('[data-part="remove"]')
      ;(next ?? list.current?.parentElement?.querySelector<HTMLElement>('[data-part="add"]'))?.focus()
    })
  }
  const change = (at: number, patch: Partial<DraftRule>) =>
    onChange(rules.map((rule, i) => (i === at ? { ...rule, ...patch } : rule)))
  return (
    <div>
      <ol ref={list} className="retention-rules" aria-label="Rules, in their order">
        {rules.map((rule, at) => (
          <RuleRow
            key={rule.key}
            rule={rule}
            at={at}
            of={rules.length}
            trouble={troubles[at] ?? null}
            listId={listId}
            onChange={(patch) => change(at, patch)}
            onMove={(by) => move(at, at + by)}
            onRemove={() => remove(at)}
          />
        ))}
      </ol>
      <datalist id={listId}>
        {sources.map((source) => (
          <option key={source} value={source} />
        ))}
      </datalist>
      <button
        type="button"
        className="button"
        data-part="add"
        data-autofocus={rules.length === 0 || undefined}
        disabled={rules.length >= RULES_MAX}
        onClick={add}
      >
        Add a rule
      </button>
      <span className="hidden-text" aria-live="polite">
        {said}
      </span>
    </div>
  )
}

interface RuleRowProps {
  rule: DraftRule
  at: number
  of: number
  trouble: string | null
  listId: string
  onChange: (patch: Partial<DraftRule>) => void
  onMove: (by: number) => void
  onRemove: () => void
}

function RuleRow({ rule, at, of, trouble, listId, onChange, onMove, onRemove }: RuleRowProps) {
  const id = useId()
  const name = `rule ${at + 1}`
  const classes = CLASSES.some((one) => String(one.uid) === rule.classUid)
  return (
    <li
      onKeyDown={(event) => {
        if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return
        event.preventDefault()
        onMove(event.key === 'ArrowUp' ? -1 : 1)
      }}
    >
      <div className="retention-rule">
        <span className="faint tabular">{at + 1}</span>
        <input
          className="input mono"
          data-part="source"
          data-autofocus={at === 0 || undefined}
          aria-label={`Source of ${name}`}
          placeholder="all sources"
          list={listId}
          spellCheck={false}
          autoComplete="off"
          value={rule.source}
          onChange={(e) => onChange({ source: e.target.value })}
        />
        <select
          data-part="class"
          aria-label={`Class of ${name}`}
          value={rule.classUid}
          onChange={(e) => onChange({ classUid: e.target.value })}
        >
          <option value="">all classes</option>
          {rule.classUid && !classes && <option value={rule.classUid}>Class {rule.classUid}</option>}
          {CLASSES.map((one) => (
            <option key={one.uid} value={one.uid}>
              {one.name}
            </option>
          ))}
        </select>
        <input
          className="input"
          data-part="days"
          inputMode="numeric"
          aria-label={`Days of ${name}`}
          aria-invalid={trouble !== null}
          aria-describedby={trouble ? id : undefined}
          value={rule.days}
          onChange={(e) => onChange({ days: e.target.value })}
        />
        <span className="muted small">days</span>
        <button
          type="button"
          className="icon-button"
          data-part="up"
          aria-label={`Move ${name} up`}
          title="Up (Alt ↑)"
          disabled={at === 0}
          onClick={() => onMove(-1)}
        >
          <ArrowUp size={14} />
        </button>
        <button
          type="button"
          className="icon-button"
          data-part="down"
          aria-label={`Move ${name} down`}
          title="Down (Alt ↓)"
          disabled={at === of - 1}
          onClick={() => onMove(1)}
        >
          <ArrowDown size={14} />
        </button>
        <button
          type="button"
          className="icon-button"
          data-part="remove"
          aria-label={`Remove ${name}`}
          title="Remove"
          onClick={onRemove}
        >
          <X size={14} />
        </button>
      </div>
      {trouble && (
        <p id={id} className="warn small retention-trouble">
          {trouble}
        </p>
      )}
    </li>
  )
}

interface DaysProps {
  label: string
  hint: string
  value: string
  trouble: string | null
  onChange: (text: string) => void
}

function Days({ label, hint, value, trouble, onChange }: DaysProps) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        className="input"
        inputMode="numeric"
        aria-invalid={trouble !== null}
        aria-describedby={`${id}-note`}
        value={value}
        onChange={(e) => onChange(e.target.value)}
      />
      <span id={`${id}-note`} className={`small plain ${trouble ? 'warn' : 'muted'}`}>
        {trouble ? visible(trouble) : value.trim() ? '' : hint}
      </span>
    </div>
  )
}

interface EffectProps {
  before: Policy
  after: Pick<Policy, 'rules' | 'default_days'>
  sources: readonly string[]
  isReady: boolean
}

/** What would happen, in words; of the sources that there are. */
function Effect({ before, after, sources, isReady }: EffectProps) {
  const effect = isReady ? retentionEffect(before, after, sources) : null
  const names = (all: readonly string[]) => `${plural(all.length, 'source')} (${visible(someOf(all))})`
  return (
    <div className="offer retention-effect" aria-live="polite">
      {effect === null ? (
        <p className="muted">Complete the rules to see what would happen.</p>
      ) : effect.shorter.length + effect.longer.length === 0 ? (
        <p className="muted">As it stands, no source is kept for another time than now.</p>
      ) : (
        <>
          {effect.shorter.length > 0 && (
            <p>
              <strong>Kept shorter:</strong> {names(effect.shorter)}. What is over its time then is deleted
              within minutes, and cannot be brought back. Held events stay.
            </p>
          )}
          {effect.longer.length > 0 && (
            <p>
              <strong>Kept longer:</strong> {names(effect.longer)}. What is deleted already does not come
              back.
            </p>
          )}
        </>
      )}
    </div>
  )
}

function Conflict({ theirs, settle }: { theirs: Policy; settle: (isTheirs: boolean) => void }) {
  return (
    <div className="form-error" role="alert">
      <p>
        <strong>{visible(theirs.changed_by ?? 'Somebody')} changed it meanwhile.</strong> Now it is:
      </p>
      <ul>
        {theirs.rules.map((rule, i) => (
          <li key={i}>
            {visible(ruleScope(rule))}: {plural(rule.days, 'day')}
          </li>
        ))}
        <li>
          {theirs.rules.length === 0 ? 'All events' : 'All others'}: {keptWords(theirs.default_days)}
        </li>
        {theirs.cold_after_days !== null && <li>cold after {count(theirs.cold_after_days)} days</li>}
      </ul>
      <div className="row">
        <button type="button" className="button" onClick={() => settle(true)}>
          Start from theirs
        </button>
        <button type="button" className="button" onClick={() => settle(false)}>
          Go on with mine
        </button>
      </div>
    </div>
  )
}
