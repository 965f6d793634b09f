/** All that a question finds as a file, made by the server. */
import { send } from '../api/client'
import { wholeBounds } from '../api/rows'
import { saveBlob } from '../lib/exportRows'
import { toast } from '../ui/toast'

export type ExportFormat = 'csv' | 'ndjson' | 'parquet'

export async function exportAnswer(
  query: string,
  bounds: { from?: string; to?: string },
  format: ExportFormat,
): Promise<void> {
  try {
    const body = { query, ...wholeBounds(bounds), format }
    const response = await send('POST', '/export', { body, accept: '*/*' })
    const name = `watchfloor-${new Date().toISOString().replace(/[:.]/g, '-')}.${format}`
    saveBlob(name, await response.blob())
  } catch (error) {
    toast({ tone: 'error', text: 'The export failed', error })
  }
}
