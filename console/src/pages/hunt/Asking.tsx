/** How far a question is, and the way to stop it. */
import type { Progress } from '../../api/search'
import { bytes, count } from '../../lib/format'

export function Asking({ progress, onCancel }: { progress: Progress | null; onCancel: () => void }) {
  const { files_read, files } = progress ?? { files_read: 0, files: 0 }
  return (
    <span className="asking">
      <progress
        aria-label="Files read"
        max={Math.max(files, 1)}
        {...(files > 0 ? { value: files_read } : {})}
      />
      <span className="tabular muted">
        {files > 0 ? `${count(files_read)} of ${count(files)} files` : 'Asking'}
        {progress && progress.bytes > 0 && ` · ${bytes(progress.bytes)}`}
      </span>
      <button type="button" className="button" onClick={onCancel}>
        Stop
      </button>
    </span>
  )
}
