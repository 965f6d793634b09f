/** The large query bar: completes what is written, shows where a question does not parse and why. */
import { CornerDownLeft } from 'lucide-react'
import { type ReactNode, useEffect, useRef, useState } from 'react'
import type { ProblemBody } from '../../api/client'
import { charIndex, visible } from '../../lib/text'
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
      {error && <QueryError query={query} problem={error} />}
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

function QueryError({ query, problem }: { query: string; problem: ProblemBody }) {
  const { position } = problem
  const from = position ? charIndex(query, position.start) : 0
  const to = position ? Math.max(from, charIndex(query, position.end)) : query.length
  return (
    <div id="hunt-error" className="query-error" role="alert">
      <div>
        <strong>{visible(problem.detail ?? problem.title ?? 'This question does not parse')}</strong>
        {problem.hint && <span> {visible(problem.hint)}</span>}
      </div>
      <pre className="mono">
        {visible(query.slice(0, from))}
        <span className="query-wrong">{visible(query.slice(from, to)) || ' '}</span>
        {visible(query.slice(to))}
      </pre>
      {problem.request_id && <div className="small mono muted">request {problem.request_id}</div>}
    </div>
  )
}
