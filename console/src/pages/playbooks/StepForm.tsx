/** The properties of one step, as a form; each way out can be set by key as well as by drawing. */
import { useQuery } from '@tanstack/react-query'
import { playbooksQuery, policiesQuery } from '../../api/queries'
import type { PlaybookFault } from '../../api/types'
import {
  connect,
  disconnect,
  type JsonObject,
  KIND_WORD,
  linksOf,
  type PlaybookDocument,
  patchStep,
  removeStep,
  stepName,
  waysOut,
  wayWord,
} from '../../lib/playbook'
import { kindWord } from '../../lib/response'
import { visible } from '../../lib/text'

interface Props {
  document: PlaybookDocument
  id: string
  faults: readonly PlaybookFault[]
  change: ((document: PlaybookDocument) => void) | undefined
  choose: (id: string | null) => void
}

const text = (value: unknown): string =>
  typeof value === 'string' ? value : value === undefined ? '' : String(value)

export function StepForm({ document, id, faults, change, choose }: Props) {
  const step = document.workflow[id]
  if (!step) return null
  const isFixed = change === undefined
  const patch = (values: JsonObject) => change?.(patchStep(document, id, values))
  const own = faults.filter((fault) => fault.step === id)
  return (
    <fieldset className="stack" disabled={isFixed}>
      <legend className="strong">
        {KIND_WORD[step.type] ?? step.type}: {visible(stepName(document, id))}
      </legend>
      {own.length > 0 && <FaultList faults={own} />}
      <label className="field">
        Name
        <input className="input" value={text(step.name)} onChange={(e) => patch({ name: e.target.value })} />
      </label>
      <label className="field">
        What it is for
        <textarea
          rows={2}
          value={text(step.description)}
          onChange={(e) => patch({ description: e.target.value })}
        />
      </label>
      {(step.type === 'if-condition' || step.type === 'while-condition') && (
        <label className="field">
          Condition
          <input
            className="input mono"
            placeholder="__severity__:value = 'high'"
            spellCheck={false}
            value={text(step.condition)}
            onChange={(e) => patch({ condition: e.target.value })}
          />
        </label>
      )}
      {step.type === 'switch-condition' && (
        <label className="field">
          Which value?
          <input
            className="input mono"
            placeholder="__kind__:value"
            value={text(step.switch)}
            onChange={(e) => patch({ switch: e.target.value })}
          />
        </label>
      )}
      {step.type === 'playbook-action' && (
        <Called value={text(step.playbook_id)} set={(value) => patch({ playbook_id: value })} />
      )}
      {step.type === 'action' && <Commands step={step} patch={patch} />}
      {step.type !== 'start' && step.type !== 'end' && (
        <div className="two-fields">
          <Milliseconds label="Wait first, seconds" value={step.delay} set={(ms) => patch({ delay: ms })} />
          <Milliseconds
            label="Fails after, seconds"
            value={step.timeout}
            set={(ms) => patch({ timeout: ms })}
          />
        </div>
      )}
      <Ways document={document} id={id} change={change} />
      {step.type !== 'start' && !isFixed && (
        <button
          type="button"
          className="button"
          onClick={() => {
            change(removeStep(document, id))
            choose(null)
          }}
        >
          Remove this step
        </button>
      )}
    </fieldset>
  )
}

export function FaultList({ faults }: { faults: readonly PlaybookFault[] }) {
  return (
    <ul className="fault-list small" aria-label="Faults">
      {faults.map((fault) => (
        <li key={`${fault.place} ${fault.message}`} className={fault.gravity === 'error' ? 'warn' : 'muted'}>
          {visible(fault.message)} <span className="muted">({visible(fault.mend)})</span>
        </li>
      ))}
    </ul>
  )
}

function Milliseconds({
  label,
  value,
  set,
}: {
  label: string
  value: unknown
  set: (ms: number | null) => void
}) {
  return (
    <label className="field">
      {label}
      <input
        className="input"
        type="number"
        min={0}
        value={typeof value === 'number' ? value / 1000 : ''}
        onChange={(e) => set(e.target.value === '' ? null : Math.round(Number(e.target.value) * 1000))}
      />
    </label>
  )
}

function Called({ value, set }: { value: string; set: (id: string) => void }) {
  const items = useQuery(playbooksQuery).data?.items ?? []
  return (
    <label className="field">
      Which playbook?
      <select className="input" value={value} onChange={(e) => set(e.target.value)}>
        <option value="">choose one</option>
        {items.map((one) => (
          <option key={one.id} value={one.id}>
            {visible(one.name)}
          </option>
        ))}
        {value && !items.some((one) => one.id === value) && (
          <option value={value}>{visible(value)} (not here)</option>
        )}
      </select>
    </label>
  )
}

/** Commands of an action step: a person's words, or one of the actions with its arguments. */
function Commands({ step, patch }: { step: JsonObject; patch: (values: JsonObject) => void }) {
  const policies = useQuery(policiesQuery).data?.items ?? []
  const commands = (Array.isArray(step.commands) ? step.commands : []) as JsonObject[]
  const set = (index: number, command: JsonObject) =>
    patch({ commands: commands.map((one, i) => (i === index ? command : one)) })
  return (
    <>
      {commands.map((command, index) => {
        const isOurs = command.type === 'watchfloor-action'
        const policy = policies.find((one) => one.kind === command.command)
        const given = (command.arguments as JsonObject | undefined) ?? {}
        return (
          <div key={index} className="stack-tight">
            <label className="field">
              Command {commands.length > 1 ? index + 1 : ''}
              <select
                className="input"
                value={isOurs ? text(command.command) : text(command.type)}
                onChange={(e) => {
                  const kind = policies.find((one) => one.kind === e.target.value)
                  set(
                    index,
                    kind
                      ? { type: 'watchfloor-action', command: kind.kind, arguments: {} }
                      : { type: e.target.value, command: isOurs ? '' : text(command.command) },
                  )
                }}
              >
                <option value="manual">a person does it</option>
                {policies.map((one) => (
                  <option key={one.kind} value={one.kind}>
                    {kindWord(one.kind)}
                  </option>
                ))}
                {!isOurs && command.type !== 'manual' && (
                  <option value={text(command.type)}>{text(command.type)}</option>
                )}
              </select>
            </label>
            {isOurs && policy ? (
              policy.arguments.map((argument) => (
                <label className="field" key={argument.name}>
                  {argument.name}
                  <input
                    className="input mono"
                    spellCheck={false}
                    placeholder={`${argument.doc}, or __${argument.name}__:value`}
                    value={text(given[argument.name])}
                    onChange={(e) => {
                      const next = { ...given, [argument.name]: e.target.value }
                      if (e.target.value === '') delete next[argument.name]
                      set(index, { ...command, arguments: next })
                    }}
                  />
                </label>
              ))
            ) : (
              <label className="field">
                Text
                <textarea
                  rows={3}
                  value={text(command.command)}
                  onChange={(e) => set(index, { ...command, command: e.target.value })}
                />
              </label>
            )}
          </div>
        )
      })}
    </>
  )
}

function Ways({ document, id, change }: { document: PlaybookDocument; id: string; change: Props['change'] }) {
  const step = document.workflow[id]
  const ways = waysOut(step?.type ?? '')
  if (ways.length === 0) return null
  const links = linksOf(document).filter((link) => link.from === id)
  const others = Object.keys(document.workflow).filter(
    (to) => to !== id && document.workflow[to]?.type !== 'start',
  )
  return (
    <div className="stack-tight">
      <span className="strong small">Leads to</span>
      <ul className="plain-list">
        {links.map((link) => (
          <li key={`${link.by} ${link.to}`} className="row small">
            <span className="muted">{wayWord(link.by)}</span> {visible(stepName(document, link.to))}
            {change && (
              <button
                type="button"
                className="link-button"
                aria-label={`Cut the way to ${visible(stepName(document, link.to))}`}
                onClick={() => change(disconnect(document, link))}
              >
                Cut
              </button>
            )}
          </li>
        ))}
      </ul>
      {change &&
        ways.map((way) => (
          <label className="field" key={way}>
            {wayWord(way === 'cases' ? 'cases/…' : way)}
            <select
              className="input"
              value=""
              onChange={(e) => e.target.value && change(connect(document, id, e.target.value, way))}
            >
              <option value="">connect to…</option>
              {others.map((to) => (
                <option key={to} value={to}>
                  {visible(stepName(document, to))} ({KIND_WORD[document.workflow[to]?.type ?? ''] ?? ''})
                </option>
              ))}
            </select>
          </label>
        ))}
    </div>
  )
}
