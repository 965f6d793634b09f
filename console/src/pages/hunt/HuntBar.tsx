/** The large query bar: completes what is written, shows where a question does not parse and why. */
import { CornerDownLeft } from 'lucide-react'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import type { ProblemBody } from '../../api/client'
import { QueryError } from '../../ui/QueryError'
import { QueryInput } from '../../ui/QueryInput'

interface HuntBarProps {
  query: string
  error: ProblemBody | null
  isBusy: boolean
  onAsk: (text: string) => void
  /** What else can be done with the question. */
  children?: ReactNode
}

const EXAMPLES: readonly [string, string][] = [
  ['powershell', 'a word, anywhere'],
  ['actor.user.name:root', 'a field and its value'],
  ['src_endpoint.ip:203.0.113.*', 'a wildcard'],
  ['NOT device.hostname:WS-001 AND failed', 'combined'],
]

export function HuntBar({ query, error, isBusy, onAsk, children }: HuntBarProps) {
  const [text, setText] = useState(query)
  const input = useRef<HTMLInputElement>(null)
  useEffect(() => setText(query), [query])
  return (
    <div className="hunt-head">
      <form
        className="hunt-bar"
        onSubmit={(event) => {
          event.preventDefault()
          input.current?.blur()
          onAsk(text.trim())
        }}
      >
        <QueryInput
          ref={input}
          value={text}
          onChange={setText}
          label="Hunt"
          isLarge
          isInvalid={error !== null}
          describedBy={error ? 'hunt-error' : undefined}
          placeholder="Words, field:value, or verbs behind |. Empty shows everything in the time range."
        />
        <button type="submit" className="button button-primary" aria-busy={isBusy}>
          Search <CornerDownLeft size={13} aria-hidden="true" />
        </button>
        {children}
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
