/** Keeping a question, opening those that are kept, and making a rule of one. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Copy, Pencil, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { api } from '../api/client'
import { searchesQuery } from '../api/queries'
import type { NewSearch, SavedSearch, SearchSchedule, Severity } from '../api/types'
import { saveText } from '../lib/exportRows'
import { plural, SEVERITIES, SEVERITY_WORD } from '../lib/format'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { FormDialog } from '../ui/Form'
import { FormError } from '../ui/FormError'
import { Ago } from '../ui/Time'
import { Empty, Problem, SkeletonRows } from '../ui/Trouble'
import { toast } from '../ui/toast'

const SPANS = ['15m', '1h', '24h', '7d', '30d', 'all']
const SPAN_WORDS: Record<string, string> = {
  '15m': 'the last 15 minutes',
  '1h': 'the last hour',
  '24h': 'the last 24 hours',
  '7d': 'the last 7 days',
  '30d': 'the last 30 days',
  all: 'all time',
}

export const saveSearchDialog = (query: string, span: string) =>
  openDialog((close) => <SaveDialog query={query} span={span} close={close} />)

export const savedSearchesDialog = () => openDialog((close) => <SavedDialog close={close} />)

export const ruleDialog = (query: string) => openDialog((close) => <RuleDialog query={query} close={close} />)

interface SaveDialogProps {
  query: string
  span: string
  known?: SavedSearch
  close: () => void
}

function SaveDialog({ query, span, known, close }: SaveDialogProps) {
  const client = useQueryClient()
  const [form, setForm] = useState<NewSearch>({
    name: known?.name ?? '',
    description: known?.description ?? '',
    query: known?.query ?? query,
    span: known?.span ?? (SPANS.includes(span) ? span : '24h'),
    sharing: known?.sharing ?? 'own',
    panel: known?.panel ?? false,
    schedule: known?.schedule ?? null,
    alarm: known?.alarm ?? null,
  })
  const change = (part: Partial<NewSearch>) => setForm((now) => ({ ...now, ...part }))
  const send = async () => {
    if (known) await api.put(`/searches/${known.id}`, form, known.version)
    else await api.post('/searches', form)
    await client.invalidateQueries({ queryKey: ['searches'] })
    toast({ tone: 'plain', text: `Kept as ${visible(form.name)}` })
  }
  return (
    <FormDialog
      title={known ? 'Change the question' : 'Keep this question'}
      close={close}
      width={560}
      word="Keep"
      send={send}
    >
      <label className="field">
        Name
        <input
          className="input"
          data-autofocus
          required
          maxLength={200}
          value={form.name}
          onChange={(e) => change({ name: e.target.value })}
        />
      </label>
      <label className="field">
        Question
        <textarea
          className="mono"
          rows={3}
          spellCheck={false}
          value={form.query}
          onChange={(e) => change({ query: e.target.value })}
        />
      </label>
      <div className="field-row">
        <label className="field">
          Looks back over
          <select className="input" value={form.span} onChange={(e) => change({ span: e.target.value })}>
            {[...new Set([...SPANS, form.span])].map((one) => (
              <option key={one} value={one}>
                {SPAN_WORDS[one] ?? one}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          Who sees it
          <select
            className="input"
            value={form.sharing}
            onChange={(e) => change({ sharing: e.target.value as NewSearch['sharing'] })}
          >
            <option value="own">Only I</option>
            <option value="tenant">Everybody here</option>
          </select>
        </label>
      </div>
      <ScheduleFields
        schedule={form.schedule ?? null}
        onChange={(schedule) => change({ schedule, ...(schedule ? {} : { alarm: null }) })}
      />
      {form.schedule && <AlarmFields alarm={form.alarm ?? null} onChange={(alarm) => change({ alarm })} />}
      <label className="check">
        <input
          type="checkbox"
          checked={form.panel ?? false}
          onChange={(e) => change({ panel: e.target.checked })}
        />
        Show on the first page
      </label>
    </FormDialog>
  )
}

const EVERY: readonly [number, string][] = [
  [5, 'every 5 minutes'],
  [15, 'every 15 minutes'],
  [60, 'every hour'],
  [360, 'every 6 hours'],
]
const MORNING = 7 * 60

function ScheduleFields(props: {
  schedule: SearchSchedule | null
  onChange: (schedule: SearchSchedule | null) => void
}) {
  const { schedule, onChange } = props
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const value = !schedule ? 'never' : schedule.kind === 'daily' ? 'daily' : String(schedule.minutes)
  const choices =
    EVERY.some(([minutes]) => String(minutes) === value) || !schedule || schedule.kind === 'daily'
      ? EVERY
      : [...EVERY, [schedule.minutes, `every ${plural(schedule.minutes, 'minute')}`] as [number, string]]
  const choose = (next: string) =>
    onChange(
      next === 'never'
        ? null
        : next === 'daily'
          ? { kind: 'daily', minute: MORNING, zone }
          : { kind: 'every', minutes: Number(next) },
    )
  return (
    <div className="field-row">
      <label className="field">
        Asked by the server
        <select className="input" value={value} onChange={(e) => choose(e.target.value)}>
          <option value="never">never</option>
          {choices.map(([minutes, words]) => (
            <option key={minutes} value={minutes}>
              {words}
            </option>
          ))}
          <option value="daily">once a day</option>
        </select>
      </label>
      {schedule?.kind === 'daily' && (
        <label className="field">
          At ({schedule.zone})
          <input
            className="input"
            type="time"
            value={`${String(Math.floor(schedule.minute / 60)).padStart(2, '0')}:${String(schedule.minute % 60).padStart(2, '0')}`}
            onChange={(e) => {
              const [hour = 0, minute = 0] = e.target.value.split(':').map(Number)
              onChange({ ...schedule, minute: hour * 60 + minute })
            }}
          />
        </label>
      )}
    </div>
  )
}

type Alarm = NonNullable<NewSearch['alarm']>

function AlarmFields({ alarm, onChange }: { alarm: Alarm | null; onChange: (alarm: Alarm | null) => void }) {
  return (
    <fieldset className="stack alarm-fields">
      <label className="check">
        <input
          type="checkbox"
          checked={alarm !== null}
          onChange={(e) => onChange(e.target.checked ? { rows: 1, severity: 'medium', key: [] } : null)}
        />
        Raise an alert
      </label>
      {alarm && (
        <div className="field-row">
          <label className="field">
            From so many rows on
            <input
              className="input"
              type="number"
              min={1}
              value={alarm.rows}
              onChange={(e) => onChange({ ...alarm, rows: Math.max(1, Number(e.target.value)) })}
            />
          </label>
          <label className="field">
            Severity
            <select
              className="input"
              value={alarm.severity}
              onChange={(e) => onChange({ ...alarm, severity: e.target.value as Severity })}
            >
              {SEVERITIES.map((level) => (
                <option key={level} value={level}>
                  {SEVERITY_WORD[level]}
                </option>
              ))}
            </select>
          </label>
          <label className="field">
            One alert for each
            <input
              className="input mono"
              placeholder="user.name, src_endpoint.ip"
              title="Columns whose values tell one alert from another; empty for one alert of all rows"
              defaultValue={(alarm.key ?? []).join(', ')}
              onChange={(e) =>
                onChange({
                  ...alarm,
                  key: e.target.value
                    .split(',')
                    .map((name) => name.trim())
                    .filter(Boolean),
                })
              }
            />
          </label>
        </div>
      )}
    </fieldset>
  )
}

export function scheduleWords(schedule: SearchSchedule | null): string {
  if (!schedule) return 'when somebody asks'
  if (schedule.kind === 'every') return `every ${plural(schedule.minutes, 'minute')}`
  const two = (n: number) => String(n).padStart(2, '0')
  return `daily at ${two(Math.floor(schedule.minute / 60))}:${two(schedule.minute % 60)} (${schedule.zone})`
}

const linkOf = (search: SavedSearch) =>
  `${location.origin}/hunt?${new URLSearchParams({ q: search.query, t: search.span })}`

function SavedDialog({ close }: { close: () => void }) {
  const { data, error, refetch } = useQuery(searchesQuery)
  const [needle, setNeedle] = useState('')
  const items = data?.items.filter((one) =>
    `${one.name} ${one.query}`.toLowerCase().includes(needle.toLowerCase()),
  )
  return (
    <Dialog title="Kept questions" onClose={close} width={760} className="saved-searches">
      {error && !data ? (
        <Problem what="The kept questions did not load" error={error} retry={() => void refetch()} />
      ) : !items ? (
        <SkeletonRows rows={5} />
      ) : data?.items.length === 0 ? (
        <Empty title="No question is kept yet">Ask one in the hunt, then press “Save”.</Empty>
      ) : (
        <>
          <input
            className="input"
            type="search"
            data-autofocus
            aria-label="Find a kept question"
            placeholder="Find by name or text"
            value={needle}
            onChange={(e) => setNeedle(e.target.value)}
          />
          <ul className="saved-list">
            {items.map((search) => (
              <SavedRow key={search.id} search={search} close={close} />
            ))}
          </ul>
        </>
      )}
    </Dialog>
  )
}

function SavedRow({ search, close }: { search: SavedSearch; close: () => void }) {
  const navigate = useNavigate()
  const client = useQueryClient()
  const run = search.last_run
  const remove = async () => {
    try {
      await api.delete(`/searches/${search.id}`)
      await client.invalidateQueries({ queryKey: ['searches'] })
      toast({ tone: 'plain', text: `${visible(search.name)} is no longer kept` })
    } catch (error) {
      toast({ tone: 'error', text: 'It could not be removed', error })
    }
  }
  return (
    <li className="saved-row">
      <button
        type="button"
        className="saved-open"
        onClick={() => {
          close()
          void navigate({ to: '/hunt', search: { q: search.query, t: search.span } })
        }}
      >
        <strong>{visible(search.name)}</strong>
        <span className="mono small muted">{visible(search.query)}</span>
        <span className="small muted">
          {search.sharing === 'own' ? 'only you' : `shared by ${visible(search.created_by)}`} ·{' '}
          {SPAN_WORDS[search.span] ?? search.span} · {scheduleWords(search.schedule)}
          {search.panel && ' · on the first page'}
        </span>
        {run && (
          <span className={`small ${run.error ? 'warn' : 'muted'}`}>
            Asked <Ago iso={run.at} />
            {run.error
              ? `: failed: ${visible(run.error)}`
              : `: ${run.capped ? 'more than ' : ''}${plural(run.rows, 'row')} in ${run.took_ms} ms${run.alerts > 0 ? `, ${plural(run.alerts, 'alert')}` : ''}`}
          </span>
        )}
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={`Copy the link to ${visible(search.name)}`}
        title="Copy the link"
        onClick={() => {
          void navigator.clipboard.writeText(linkOf(search))
          toast({ tone: 'plain', text: 'The link is copied' })
        }}
      >
        <Copy size={14} />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={`Change ${visible(search.name)}`}
        title="Change"
        onClick={() =>
          openDialog((end) => (
            <SaveDialog query={search.query} span={search.span} known={search} close={end} />
          ))
        }
      >
        <Pencil size={14} />
      </button>
      <button
        type="button"
        className="icon-button"
        aria-label={`Remove ${visible(search.name)}`}
        title="Remove"
        onClick={() => void remove()}
      >
        <Trash2 size={14} />
      </button>
    </li>
  )
}

function RuleDialog({ query, close }: { query: string; close: () => void }) {
  const { data, error } = useQuery({
    queryKey: ['rule-draft', query],
    queryFn: () => api.post<{ yaml: string }>('/searches/rule', { title: 'From a hunt', query }),
    retry: false,
  })
  return (
    <Dialog title="As a Sigma rule" onClose={close} width={680}>
      {error ? (
        <FormError error={error} />
      ) : !data ? (
        <SkeletonRows rows={6} />
      ) : (
        <div className="stack">
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long rule scrolls, also by keys. */}
          <pre className="mono rule-draft" tabIndex={0}>
            {data.yaml}
          </pre>
          <p className="muted small">
            Give it a title, put it into a folder of rules that the server watches, and it is in force.
          </p>
          <footer className="dialog-foot">
            <button
              type="button"
              className="button"
              onClick={() => saveText('rule.yml', 'application/yaml', data.yaml)}
            >
              Save as a file
            </button>
            <button
              type="button"
              className="button button-primary"
              data-autofocus
              onClick={() => {
                void navigator.clipboard.writeText(data.yaml)
                toast({ tone: 'plain', text: 'The rule is copied' })
                close()
              }}
            >
              Copy
            </button>
          </footer>
        </div>
      )}
    </Dialog>
  )
}
