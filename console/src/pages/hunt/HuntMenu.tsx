/** What can be done with a question beside asking it. */
import { Bookmark } from 'lucide-react'
import { exportAnswer } from '../../actions/exports'
import { ruleDialog, savedSearchesDialog, saveSearchDialog } from '../../actions/searches'
import { useKeys } from '../../lib/keys'
import { isPipe } from '../../lib/query'
import { Menu } from '../../ui/Menu'

interface HuntMenuProps {
  query: string
  span: string
  bounds: { from?: string; to?: string }
}

export function HuntMenu({ query, span, bounds }: HuntMenuProps) {
  useKeys('Hunt', [
    { keys: 's', label: 'Keep this question', run: () => saveSearchDialog(query, span) },
    { keys: 'S', label: 'Kept questions', run: savedSearchesDialog },
  ])
  return (
    <Menu
      label="Keep, open, export"
      align="end"
      button={
        <>
          <Bookmark size={13} aria-hidden="true" /> Save
        </>
      }
      items={[
        { label: 'Keep this question…', run: () => saveSearchDialog(query, span) },
        { label: 'Kept questions…', run: savedSearchesDialog },
        ...(isPipe(query) || !query.trim()
          ? []
          : [{ label: 'As a Sigma rule…', run: () => ruleDialog(query), separated: true }]),
        { label: 'Export CSV', run: () => void exportAnswer(query, bounds, 'csv'), separated: true },
        { label: 'Export NDJSON', run: () => void exportAnswer(query, bounds, 'ndjson') },
        { label: 'Export Parquet', run: () => void exportAnswer(query, bounds, 'parquet') },
      ]}
    />
  )
}
