import { plural } from '../../lib/format'

/** Says that an answer lacks what stands in files that cannot be read. */
export function Unread({ files }: { files: string[] }) {
  if (files.length === 0) return null
  return (
    <span className="capped" title={files.join('\n')}>
      {` · incomplete: ${plural(files.length, 'file')} of this time cannot be read; run watchfloor lake verify`}
    </span>
  )
}
