/** Service levels per severity, and whom to tell when a clock runs out. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { connectorsQuery, escalationQuery, onCallQuery, serviceLevelsQuery } from '../../api/queries'
import type {
  ClockKind,
  Connector,
  EscalationLevel,
  EscalationPolicy,
  Severity as Level,
  Recipient,
  Roster,
  ServiceLevels,
} from '../../api/types'
import { useSession } from '../../frame/session'
import { CLOCK_WORD, CLOCKS, minutesText, readMinutes } from '../../lib/clock'
import { SEVERITIES, SEVERITY_WORD } from '../../lib/format'
import { visible } from '../../lib/text'
import { FormError } from '../../ui/FormError'
import { Section } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Ago } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { toast } from '../../ui/toast'

export function Clocks() {
  const levels = useQuery(serviceLevelsQuery)
  const policy = useQuery(escalationQuery)
  const rosters = useQuery(onCallQuery)
  const connectors = useQuery(connectorsQuery)
  const { user } = useSession()
  const mayManage = user.role === 'lead' || user.role === 'admin'
  const error = levels.error ?? policy.error
  if (error)
    return <Problem what="The clocks did not load" error={error} retry={() => void levels.refetch()} />
  if (!levels.data || !policy.data) return <SkeletonRows rows={8} />
  return (
    <>
      <Targets key={levels.data.version} levels={levels.data} mayManage={mayManage} />
      <Escalation
        key={`e${policy.data.version}`}
        policy={policy.data}
        rosters={rosters.data?.items ?? []}
        connectors={connectors.data?.items ?? []}
        mayManage={mayManage}
      />
    </>
  )
}

function Targets({ levels, mayManage }: { levels: ServiceLevels; mayManage: boolean }) {
  const client = useQueryClient()
  const [draft, setDraft] = useState<Record<string, string>>({})
  const shown = (severity: Level, kind: ClockKind) =>
    draft[`${severity} ${kind}`] ?? minutesText(levels.targets[severity][kind])
  const { submit, isBusy, error } = useSubmit(async () => {
    const targets = structuredClone(levels.targets)
    for (const severity of SEVERITIES) {
      for (const kind of CLOCKS) {
        const minutes = readMinutes(shown(severity, kind))
        if (minutes === undefined)
          throw new Error(
            `${SEVERITY_WORD[severity]}, ${CLOCK_WORD[kind]}: write a time such as 15m, 4h or 3d.`,
          )
        targets[severity][kind] = minutes
      }
    }
    await api.put('/service-levels', { targets }, levels.version)
    void client.invalidateQueries({ queryKey: ['service-levels'] })
    toast({ tone: 'plain', text: 'Service levels saved' })
  })
  return (
    <Section
      title="Service levels"
      note={
        levels.changed_at ? (
          <>
            set by {visible(levels.changed_by ?? '')}, <Ago iso={levels.changed_at} />
          </>
        ) : (
          'as they came'
        )
      }
    >
      <p className="muted small">
        Time from detection, around the clock; 15m, 4h or 3d, empty for none. A clock is at risk from three
        quarters of its time on, and stands still while an incident is resolved. Alerts without an incident
        have the clock of a first look.
      </p>
      <form onSubmit={submit} className="stack">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Severity</th>
              {CLOCKS.map((kind) => (
                <th key={kind} scope="col">
                  {CLOCK_WORD[kind]} within
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {SEVERITIES.map((severity) => (
              <tr key={severity}>
                <td>
                  <Severity level={severity} />
                </td>
                {CLOCKS.map((kind) => (
                  <td key={kind}>
                    <input
                      className="input input-short"
                      aria-label={`${SEVERITY_WORD[severity]}: ${CLOCK_WORD[kind]} within`}
                      disabled={!mayManage}
                      value={shown(severity, kind)}
                      onChange={(e) => setDraft({ ...draft, [`${severity} ${kind}`]: e.target.value })}
                    />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        <FormError error={error} />
        {mayManage && (
          <div>
            <button type="submit" className="button button-primary" disabled={isBusy}>
              Save service levels
            </button>
          </div>
        )}
      </form>
    </Section>
  )
}

const RECIPIENTS: readonly [Recipient, string][] = [
  ['primary', 'on call, primary'],
  ['secondary', 'on call, secondary'],
  ['leads', 'leads'],
]
const MESSAGES = ['send_message', 'send_email', 'call_webhook']
const FIRST: EscalationLevel = {
  clock: 'acknowledge',
  after_percent: 75,
  after_minutes: null,
  severity_min: 'high',
  recipient: 'primary',
  connector_id: null,
}

interface EscalationProps {
  policy: EscalationPolicy
  rosters: readonly Roster[]
  connectors: readonly Connector[]
  mayManage: boolean
}

function Escalation({ policy, rosters, connectors, mayManage }: EscalationProps) {
  const client = useQueryClient()
  const [draft, setDraft] = useState(policy)
  const speaking = connectors.filter((one) => one.serves.some((kind) => MESSAGES.includes(kind)))
  const { submit, isBusy, error } = useSubmit(async () => {
    const { is_on, primary, secondary, with_alerts, levels } = draft
    await api.put('/escalation', { is_on, primary, secondary, with_alerts, levels }, policy.version)
    void client.invalidateQueries({ queryKey: ['escalation'] })
    toast({ tone: 'plain', text: 'Escalation saved' })
  })
  const change = (index: number, more: Partial<EscalationLevel>) =>
    setDraft({ ...draft, levels: draft.levels.map((one, i) => (i === index ? { ...one, ...more } : one)) })
  const rotation = (key: 'primary' | 'secondary', label: string, none: string) => (
    <label className="field-inline">
      {label}
      <select
        className="input"
        value={draft[key] ?? ''}
        onChange={(e) => setDraft({ ...draft, [key]: e.target.value || null })}
      >
        <option value="">{none}</option>
        {rosters.map(({ rotation: one }) => (
          <option key={one.id} value={one.id}>
            {visible(one.name)}
          </option>
        ))}
      </select>
    </label>
  )
  return (
    <Section title="Escalation" note="who is told when a clock runs on; each level once per incident">
      <form onSubmit={submit} className="stack">
        <fieldset className="plain-fieldset stack" disabled={!mayManage}>
          <div className="inline-fields">
            <label className="check">
              <input
                type="checkbox"
                checked={draft.is_on}
                onChange={(e) => setDraft({ ...draft, is_on: e.target.checked })}
              />{' '}
              Tell people
            </label>
            <label className="check">
              <input
                type="checkbox"
                checked={draft.with_alerts}
                onChange={(e) => setDraft({ ...draft, with_alerts: e.target.checked })}
              />{' '}
              Alerts without an incident too
            </label>
            {rotation('primary', 'Primary', 'no rotation')}
            {rotation('secondary', 'Secondary', 'next in the first')}
          </div>
          {draft.levels.length === 0 ? (
            <p className="muted quiet">No level yet: nobody is told. Add one, then turn it on.</p>
          ) : (
            <table className="table">
              <thead>
                <tr>
                  {['Level', 'Clock', 'From severity', 'After', 'Tell', 'Through', ''].map((head) => (
                    <th key={head} scope="col">
                      {head || <span className="hidden-text">Remove</span>}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {draft.levels.map((level, i) => (
                  <tr key={i}>
                    <td className="tabular">{i + 1}</td>
                    <td>
                      <Choice
                        label={`Clock of level ${i + 1}`}
                        value={level.clock}
                        options={CLOCKS.map((kind) => [kind, CLOCK_WORD[kind]])}
                        onChange={(clock) => change(i, { clock })}
                      />
                    </td>
                    <td>
                      <Choice
                        label={`Severity of level ${i + 1}`}
                        value={level.severity_min}
                        options={SEVERITIES.map((one) => [one, SEVERITY_WORD[one]])}
                        onChange={(severity_min) => change(i, { severity_min })}
                      />
                    </td>
                    <td>
                      <After level={level} number={i + 1} onChange={(more) => change(i, more)} />
                    </td>
                    <td>
                      <Choice
                        label={`Who is told at level ${i + 1}`}
                        value={level.recipient}
                        options={RECIPIENTS}
                        onChange={(recipient) => change(i, { recipient })}
                      />
                    </td>
                    <td>
                      <Choice
                        label={`Connector of level ${i + 1}`}
                        value={level.connector_id ?? ''}
                        options={[
                          ['', 'the console only'],
                          ...speaking.map((one): [string, string] => [one.id, visible(one.name)]),
                        ]}
                        onChange={(id) => change(i, { connector_id: id || null })}
                      />
                    </td>
                    <td>
                      <button
                        type="button"
                        className="link-button"
                        aria-label={`Remove level ${i + 1}`}
                        onClick={() =>
                          setDraft({ ...draft, levels: draft.levels.filter((_, at) => at !== i) })
                        }
                      >
                        Remove
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          <FormError error={error} />
          {mayManage && (
            <div className="inline-fields">
              <button
                type="button"
                className="button"
                onClick={() => setDraft({ ...draft, levels: [...draft.levels, FIRST] })}
              >
                Add level
              </button>
              <button type="submit" className="button button-primary" disabled={isBusy}>
                Save escalation
              </button>
            </div>
          )}
        </fieldset>
      </form>
    </Section>
  )
}

interface ChoiceProps<T extends string> {
  label: string
  value: T
  options: readonly (readonly [T, string])[]
  onChange: (value: T) => void
}

function Choice<T extends string>({ label, value, options, onChange }: ChoiceProps<T>) {
  return (
    <select
      className="input"
      aria-label={label}
      value={value}
      onChange={(e) => onChange(e.target.value as T)}
    >
      {options.map(([key, word]) => (
        <option key={key} value={key}>
          {word}
        </option>
      ))}
    </select>
  )
}

interface AfterProps {
  level: EscalationLevel
  number: number
  onChange: (more: Partial<EscalationLevel>) => void
}

function After({ level, number, onChange }: AfterProps) {
  const isShare = level.after_percent !== null
  return (
    <span className="inline-fields">
      <input
        className="input input-short"
        type="number"
        min={0}
        aria-label={`After how much, level ${number}`}
        value={(isShare ? level.after_percent : level.after_minutes) ?? 0}
        onChange={(e) =>
          onChange(
            isShare ? { after_percent: Number(e.target.value) } : { after_minutes: Number(e.target.value) },
          )
        }
      />
      <Choice
        label={`Unit of level ${number}`}
        value={isShare ? 'share' : 'minutes'}
        options={[
          ['share', '% of the target'],
          ['minutes', 'minutes'],
        ]}
        onChange={(unit) =>
          onChange(
            unit === 'share'
              ? { after_percent: 100, after_minutes: null }
              : { after_percent: null, after_minutes: 30 },
          )
        }
      />
    </span>
  )
}
