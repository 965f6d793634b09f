/** Forms, as all dialogs and pages have them: the dialog with its end, and fields with what is wrong at them. */
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef } from 'react'
import { useSubmit } from '../actions/useForm'
import { ApiError } from '../api/client'
import { visible } from '../lib/text'
import { Dialog } from './Dialog'
import { FormError } from './FormError'

interface FormDialogProps {
  title: string
  close: () => void
  /** What the button that sends says. */
  word: string
  /** Sends the form; what it throws is shown, and the dialog stays. It closes the dialog otherwise. */
  send: () => Promise<unknown>
  width?: number
  /** What stands before the buttons. */
  hint?: ReactNode
  /** Further buttons. */
  tools?: ReactNode
  isDanger?: boolean
  children: ReactNode
}

export function FormDialog({
  title,
  close,
  word,
  send,
  width,
  hint,
  tools,
  isDanger,
  children,
}: FormDialogProps) {
  const { submit, isBusy, error } = useSubmit(async () => {
    // `false` keeps it open: there is another step.
    if ((await send()) !== false) close()
  })
  return (
    <Dialog title={title} onClose={close} width={width}>
      <form className="stack" onSubmit={submit}>
        {children}
        <FormError error={error} />
        <Foot close={close} isBusy={isBusy} word={word} hint={hint} tools={tools} isDanger={isDanger} />
      </form>
    </Dialog>
  )
}

interface FootProps {
  close: () => void
  isBusy: boolean
  word: string
  hint?: ReactNode
  tools?: ReactNode
  isDanger?: boolean
}

export function Foot({ close, isBusy, word, hint, tools, isDanger }: FootProps) {
  return (
    <footer className="dialog-foot">
      {hint && <span className="muted small">{hint}</span>}
      {tools}
      <button type="button" className="button" onClick={close}>
        Cancel
      </button>
      <button
        type="submit"
        className={`button ${isDanger ? 'button-danger' : 'button-primary'}`}
        disabled={isBusy}
      >
        {word}
      </button>
    </footer>
  )
}

interface FormOrJsonProps {
  label: string
  isJson: boolean
  toForm: () => void
  toJson: () => void
}

/** Shows the same thing as fields, or as JSON for who knows it by heart. */
export function FormOrJson({ label, isJson, toForm, toJson }: FormOrJsonProps) {
  return (
    <div className="switch" role="group" aria-label={label}>
      <button type="button" className="button" aria-pressed={!isJson} onClick={isJson ? toForm : undefined}>
        Form
      </button>
      <button type="button" className="button" aria-pressed={isJson} onClick={isJson ? undefined : toJson}>
        As JSON
      </button>
    </div>
  )
}

/** In a box of several lines Enter is a new line; with Control it sends the form. */
export function sendOnControlEnter(event: KeyboardEvent<HTMLElement>): void {
  if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
  event.preventDefault()
  event.currentTarget.closest('form')?.requestSubmit()
}

/** What the server said of single fields, by the field's name. */
export type Faults = ReadonlyMap<string, string>

/**
 * Sorts what the server refused to the fields that it names. It names a field by itself, or inside the
 * sentence about the object around it (`timeout_s must be from 1 to 120`), or not at all: `locate` may
 * know from what it says. `rest` fits no field.
 */
export function faultsOf(
  error: unknown,
  names: readonly string[],
  locate: (reason: string) => string | undefined = () => undefined,
): { faults: Faults; rest: unknown } {
  const faults = new Map<string, string>()
  if (!(error instanceof ApiError)) return { faults, rest: error }
  const given = error.problem.fields ?? []
  for (const { field, reason } of given) {
    const inside = names
      .map(
        (name) =>
          [name, new RegExp(`(?<![\\w.])${escapeRegExp(name)}(?![\\w.])`).exec(reason)?.index] as const,
      )
      .filter((one): one is readonly [string, number] => one[1] !== undefined)
      .sort((a, b) => a[1] - b[1] || b[0].length - a[0].length)
    const name = names.includes(field) ? field : (locate(reason) ?? inside[0]?.[0])
    if (name && !faults.has(name)) faults.set(name, reason)
  }
  return { faults, rest: given.length > 0 && faults.size === given.length ? null : error }
}

const escapeRegExp = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

interface Wired {
  id: string
  'aria-describedby'?: string
  'aria-invalid'?: boolean
}

interface FieldProps {
  label: ReactNode
  /** What it does, in which unit, from where to where. */
  hint?: ReactNode
  fault?: string
  className?: string
  children: (wired: Wired) => ReactNode
}

/** A field with its label, what to know of it, and what is wrong with it, tied together for all senses. */
export function Field({ label, hint, fault, className = '', children }: FieldProps) {
  const id = useId()
  const describedBy = [hint ? `${id}-hint` : '', fault ? `${id}-fault` : ''].filter(Boolean).join(' ')
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id}>{label}</label>
      {children({
        id,
        'aria-describedby': describedBy || undefined,
        'aria-invalid': fault ? true : undefined,
      })}
      {hint && (
        <span className="hint muted small" id={`${id}-hint`}>
          {hint}
        </span>
      )}
      {fault && (
        <span className="fault small" id={`${id}-fault`} role="alert">
          {visible(fault)}
        </span>
      )}
    </div>
  )
}

type Shape = Omit<FieldProps, 'children'>

interface TextFieldProps extends Shape {
  value: string
  onChange: (value: string) => void
  type?: 'text' | 'url' | 'email' | 'password' | 'date' | 'time' | 'datetime-local' | 'number'
  isMono?: boolean
  isRequired?: boolean
  isFirst?: boolean
  placeholder?: string
  /** Id of a `datalist`. */
  list?: string
  /** For the browser's keeper of passwords. */
  name?: string
  autoComplete?: string
  minLength?: number
}

export function TextField(props: TextFieldProps) {
  const { value, onChange, type = 'text', isMono, isRequired, isFirst, placeholder, list, ...shape } = props
  const { autoComplete = 'off', name, minLength, ...field } = shape
  return (
    <Field {...field}>
      {(wired) => (
        <input
          {...wired}
          className={`input ${isMono ? 'mono' : ''}`}
          type={type}
          required={isRequired}
          data-autofocus={isFirst || undefined}
          placeholder={placeholder}
          list={list}
          spellCheck={false}
          name={name}
          minLength={minLength}
          autoComplete={autoComplete}
          value={value}
          onChange={(e) => onChange(e.target.value)}
        />
      )}
    </Field>
  )
}

interface WhyFieldProps {
  label: string
  value: string
  onChange: (value: string) => void
  placeholder?: string
  isFirst?: boolean
  isRequired?: boolean
}

/** The reason for what somebody does. */
export function WhyField({ label, value, onChange, placeholder, isFirst, isRequired = true }: WhyFieldProps) {
  return (
    <Field label={label}>
      {(wired) => (
        <textarea
          {...wired}
          rows={2}
          required={isRequired}
          placeholder={placeholder}
          data-autofocus={isFirst || undefined}
          value={value}
          onChange={(e) => onChange(e.target.value)}
        />
      )}
    </Field>
  )
}

interface NumberFieldProps extends Shape {
  value: number | null
  onChange: (value: number | null) => void
  min?: number
  max?: number
  unit?: string
  isRequired?: boolean
  /** Whether parts of the unit do. */
  isWhole?: boolean
}

export function NumberField(props: NumberFieldProps) {
  const { value, onChange, min, max, unit, isRequired = true, isWhole = true, ...shape } = props
  return (
    <Field {...shape}>
      {(wired) => (
        <span className="with-unit">
          <input
            {...wired}
            className="input tabular"
            type="number"
            step={isWhole ? 1 : 'any'}
            min={min}
            max={max}
            required={isRequired}
            value={value ?? ''}
            onChange={(e) => onChange(e.target.value === '' ? null : Number(e.target.value))}
          />
          {unit && <span className="muted">{unit}</span>}
        </span>
      )}
    </Field>
  )
}

interface SelectFieldProps extends Shape {
  value: string
  onChange: (value: string) => void
  options: readonly (readonly [value: string, word: string])[]
}

export function SelectField({ value, onChange, options, ...shape }: SelectFieldProps) {
  return (
    <Field {...shape}>
      {(wired) => (
        <select {...wired} className="input" value={value} onChange={(e) => onChange(e.target.value)}>
          {options.map(([one, word]) => (
            <option key={one} value={one}>
              {word}
            </option>
          ))}
        </select>
      )}
    </Field>
  )
}

interface CheckFieldProps {
  label: string
  hint?: string
  value: boolean
  onChange: (value: boolean) => void
}

export function CheckField({ label, hint, value, onChange }: CheckFieldProps) {
  const id = useId()
  return (
    <div className="field">
      <label className="check plain">
        <input
          type="checkbox"
          aria-describedby={hint ? id : undefined}
          checked={value}
          onChange={(e) => onChange(e.target.checked)}
        />
        <span>{label}</span>
      </label>
      {hint && (
        <span className="hint muted small" id={id}>
          {hint}
        </span>
      )}
    </div>
  )
}

interface LinesFieldProps extends Shape {
  value: readonly string[]
  onChange: (value: string[]) => void
  rows?: number
  placeholder?: string
  isRequired?: boolean
}

/** Several texts, one a line. Blank lines are kept while one writes; `withoutBlanks` takes them out. */
export function LinesField({
  value,
  onChange,
  rows = 2,
  placeholder,
  isRequired,
  ...shape
}: LinesFieldProps) {
  return (
    <Field {...shape}>
      {(wired) => (
        <textarea
          {...wired}
          className="mono"
          rows={Math.max(rows, Math.min(8, value.length))}
          required={isRequired}
          spellCheck={false}
          placeholder={placeholder}
          value={value.join('\n')}
          onChange={(e) => onChange(e.target.value === '' ? [] : e.target.value.split('\n'))}
        />
      )}
    </Field>
  )
}

export const withoutBlanks = (lines: readonly string[]): string[] =>
  lines.map((line) => line.trim()).filter((line) => line !== '')

const SPANS = [
  [1, 'seconds'],
  [60, 'minutes'],
  [3_600, 'hours'],
  [86_400, 'days'],
] as const

interface SpanFieldProps extends Shape {
  /** Seconds. */
  value: number
  onChange: (seconds: number) => void
  max: number
  /** What 0 means. */
  zero: string
}

/** A time as a number and its unit, the largest that says it whole. */
export function SpanField({ value, onChange, max, zero, ...shape }: SpanFieldProps) {
  const kept = useRef<number | null>(null)
  const whole = [...SPANS].reverse().find(([size]) => value > 0 && value % size === 0)?.[0] ?? 3_600
  // While one writes, the unit stays the one that was chosen.
  const unit = kept.current ?? whole
  return (
    <Field {...shape}>
      {(wired) => (
        <span className="with-unit">
          <input
            {...wired}
            className="input tabular"
            type="number"
            min={0}
            max={Math.floor(max / unit)}
            step="any"
            required
            value={value / unit}
            onChange={(e) => {
              kept.current = unit
              onChange(Math.round(Number(e.target.value) * unit))
            }}
          />
          <select
            className="input"
            aria-label={`Unit of ${typeof shape.label === 'string' ? shape.label : 'it'}`}
            value={unit}
            onChange={(e) => {
              const next = Number(e.target.value)
              kept.current = next
              onChange(Math.min(max, Math.round((value / unit) * next)))
            }}
          >
            {SPANS.map(([size, word]) => (
              <option key={size} value={size}>
                {word}
              </option>
            ))}
          </select>
          {value === 0 && <span className="muted">{zero}</span>}
        </span>
      )}
    </Field>
  )
}

interface RowsProps<T> {
  /** What one is called: `log file`. */
  one: string
  items: readonly T[]
  onChange: (items: T[]) => void
  make: () => T
  /** What tells a row from the others. */
  nameOf: (item: T) => string
  empty?: string
  children: (item: T, set: (item: T) => void, index: number) => ReactNode
}

/** A list of like things, each with its fields. What is added takes the focus, so that keys alone do. */
export function Rows<T>({ one, items, onChange, make, nameOf, empty, children }: RowsProps<T>) {
  const list = useRef<HTMLDivElement>(null)
  const add = useRef<HTMLButtonElement>(null)
  const grew = useRef(false)
  useEffect(() => {
    if (!grew.current) return
    grew.current = false
    list.current
      ?.querySelector<HTMLElement>(':scope > fieldset:last-of-type :is(input, select, textarea)')
      ?.focus()
  })
  return (
    <div className="form-rows" ref={list}>
      {items.length === 0 && empty && <p className="muted small">{empty}</p>}
      {items.map((item, i) => (
        <fieldset key={i} className="form-row">
          <legend className="hidden-text">
            {one} {visible(nameOf(item)) || i + 1}
          </legend>
          <div className="form-row-fields">
            {children(item, (next) => onChange(items.map((old, j) => (j === i ? next : old))), i)}
          </div>
          <button
            type="button"
            className="link-button"
            aria-label={`Remove ${one} ${visible(nameOf(item)) || i + 1}`}
            onClick={() => {
              onChange(items.filter((_, j) => j !== i))
              add.current?.focus()
            }}
          >
            Remove
          </button>
        </fieldset>
      ))}
      <button
        ref={add}
        type="button"
        className="button"
        onClick={() => {
          grew.current = true
          onChange([...items, make()])
        }}
      >
        Add {/^[aeiou]/.test(one) ? 'an' : 'a'} {one}
      </button>
    </div>
  )
}
