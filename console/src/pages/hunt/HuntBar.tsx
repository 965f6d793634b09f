/** The large query bar: completes field names, shows where a question does not parse and why. */
import { useQuery } from '@tanstack/react-query'
import { CornerDownLeft } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import type { ProblemBody } from '../../api/client'
import { fieldsQuery } from '../../api/queries'
import type { FieldInfo } from '../../api/types'
import { QueryError } from '../../ui/QueryError'

interface HuntBarProps {
  query: string
  error: ProblemBody | null
  isBusy: boolean
  onAsk: (text: string) => void
}

const SHOWN_MAX = 8
const EXAMPLES: readonly [string, string][] = [
  ['powershell', 'a word, anywhere'],
  ['actor.user.name:root', 'a field and its value'],
  ['src_endpoint.ip:203.0.113.*', 'a wildcard'],
  ['NOT device.hostname:WS-001 AND failed', 'combined'],
]

/** The word the caret stands in, as long as it can still become a field name. */
function wordAt(text: string, caret: number): { start: number; word: string } {
  const start = Math.max(text.lastIndexOf(' ', caret - 1), text.lastIndexOf('(', caret - 1)) + 1
  return { start, word: text.slice(start, caret) }
}

function completions(fields: readonly FieldInfo[], word: string): { name: string; note: string }[] {
  if (word.length < 2 || word.includes(':') || word.includes('"')) return []
  const needle = word.toLowerCase()
  const found: { name: string; note: string; rank: number }[] = []
  for (const field of fields) {
    const alias = field.aliases?.find((a) => a.toLowerCase().includes(needle))
    const at = field.name.toLowerCase().indexOf(needle)
    if (at < 0 && !alias) continue
    const note = at < 0 ? `also ${alias}` : (field.description ?? field.type)
    found.push({ name: field.name, note, rank: at < 0 ? 50 : at })
  }
  return found.sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name)).slice(0, SHOWN_MAX)
}

export function HuntBar({ query, error, isBusy, onAsk }: HuntBarProps) {
  const [text, setText] = useState(query)
  const [caret, setCaret] = useState(query.length)
  const [at, setAt] = useState(-1)
  const [isOpen, setOpen] = useState(false)
  const input = useRef<HTMLInputElement>(null)
  const { data } = useQuery(fieldsQuery)
  useEffect(() => setText(query), [query])

  const { start, word } = wordAt(text, caret)
  const options = isOpen ? completions(data?.items ?? [], word) : []
  const complete = (name: string) => {
    const next = `${text.slice(0, start)}${name}:${text.slice(caret)}`
    const position = start + name.length + 1
    setText(next)
    setCaret(position)
    setOpen(false)
    setAt(-1)
    requestAnimationFrame(() => input.current?.setSelectionRange(position, position))
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    const chosen = options[at]
    if (event.key === 'ArrowDown' && options.length > 0) setAt((at + 1) % options.length)
    else if (event.key === 'ArrowUp' && options.length > 0) setAt((at - 1 + options.length) % options.length)
    else if ((event.key === 'Enter' || event.key === 'Tab') && chosen) complete(chosen.name)
    else if (event.key === 'Escape' && options.length > 0) {
      setOpen(false)
      event.stopPropagation()
    } else return
    event.preventDefault()
  }
  return (
    <div className="hunt-head">
      <form
        className="hunt-bar"
        onSubmit={(event) => {
          event.preventDefault()
          setOpen(false)
          input.current?.blur()
          onAsk(text.trim())
        }}
      >
        <input
          ref={input}
          data-hunt-query
          className="mono"
          role="combobox"
          aria-label="Hunt"
          aria-expanded={options.length > 0}
          aria-controls="hunt-fields"
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 ? `hunt-field-${at}` : undefined}
          aria-invalid={error !== null}
          aria-describedby={error ? 'hunt-error' : undefined}
          placeholder="Words, or field:value. Empty shows everything in the time range."
          spellCheck={false}
          autoComplete="off"
          value={text}
          onChange={(event) => {
            setText(event.target.value)
            setCaret(event.target.selectionStart ?? event.target.value.length)
            setOpen(true)
            setAt(-1)
          }}
          onKeyDown={onKeyDown}
          onBlur={() => setOpen(false)}
        />
        <button type="submit" className="button button-primary" aria-busy={isBusy}>
          Search <CornerDownLeft size={13} aria-hidden="true" />
        </button>
        {options.length > 0 && (
          <div id="hunt-fields" role="listbox" aria-label="Fields" className="menu hunt-fields">
            {options.map((option, i) => (
              <div
                key={option.name}
                id={`hunt-field-${i}`}
                role="option"
                tabIndex={-1}
                aria-selected={i === at}
                className="option"
                onPointerDown={(event) => {
                  event.preventDefault()
                  complete(option.name)
                }}
              >
                <span className="mono">{option.name}</span>
                <span className="muted small">{option.note}</span>
              </div>
            ))}
          </div>
        )}
      </form>
      {error && <QueryError id="hunt-error" query={query} problem={error} />}
      {!query && !error && (
        <div className="hunt-examples small">
          <span className="muted">Try</span>
          {EXAMPLES.map(([example, meaning]) => (
            <button
              key={example}
              type="button"
              className="value value-plain"
              title={meaning}
              onClick={() => onAsk(example)}
            >
              {example}
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
