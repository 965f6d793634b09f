/** Where a question does not parse, and why. */
import type { ProblemBody } from '../api/client'
import { charIndex, visible } from '../lib/text'

export function QueryError({ id, query, problem }: { id: string; query: string; problem: ProblemBody }) {
  const { position } = problem
  const from = position ? charIndex(query, position.start) : 0
  const to = position ? Math.max(from, charIndex(query, position.end)) : query.length
  return (
    <div id={id} className="query-error" role="alert">
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
