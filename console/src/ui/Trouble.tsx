/** What a page shows when there is nothing, not yet, or no answer. */
import type { ReactNode } from 'react'
import { ApiError } from '../api/client'
import { visible } from '../lib/text'
import { CopyButton } from './CopyButton'

export function Empty({ title, children, line }: { title: string; children?: ReactNode; line?: string }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {line && (
        <div className="paste">
          <pre>{line}</pre>
          <CopyButton text={line} label="Copy the command" />
        </div>
      )}
    </div>
  )
}

export function Problem({ error, retry, what }: { error: unknown; retry?: () => void; what: string }) {
  const api = error instanceof ApiError ? error : null
  return (
    <div className="problem" role="alert">
      <h2>{what}</h2>
      <p>{visible(error instanceof Error ? error.message : String(error))}</p>
      {api?.problem.fields?.map((field) => (
        <p key={field.field}>
          <span className="mono">{field.field}</span>: {visible(field.reason)}
        </p>
      ))}
      <p className="muted mono small">
        {api ? `${api.status || 'no answer'} · ${api.code}` : 'console error'}
        {api?.problem.request_id && ` · request ${api.problem.request_id}`}
      </p>
      {retry && (
        <button type="button" className="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  )
}

/** Rows in the shape of what will come, so that nothing jumps when it does. */
export function SkeletonRows({ rows = 8, height = 32 }: { rows?: number; height?: number }) {
  return (
    <div className="skeleton" aria-busy="true" aria-label="Loading" role="status">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} style={{ height }}>
          <span style={{ width: `${38 + ((i * 37) % 52)}%` }} />
        </div>
      ))}
    </div>
  )
}
