import { ApiError } from '../api/client'
import { visible } from '../lib/text'

export function FormError({ error }: { error: unknown }) {
  if (!error) return null
  const problem = error instanceof ApiError ? error.problem : null
  return (
    <div className="form-error" role="alert">
      {visible(error instanceof Error ? error.message : String(error))}
      {problem?.fields?.map((f) => (
        <div key={f.field}>
          <span className="mono">{f.field}</span>: {visible(f.reason)}
        </div>
      ))}
      {problem?.request_id && <div className="mono small">request {problem.request_id}</div>}
    </div>
  )
}
