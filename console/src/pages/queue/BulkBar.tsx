import { useQueryClient } from '@tanstack/react-query'
import { JudgeButtons } from '../../actions/JudgeButtons'
import type { AlertVerbs } from '../../actions/useAlertKeys'
import { api } from '../../api/client'
import { useSession } from '../../frame/session'
import { plural } from '../../lib/format'
import { Kbd } from '../../ui/Kbd'
import { Menu } from '../../ui/Menu'
import { toast, toastError } from '../../ui/toast'
import type { QueueFilters } from './filters'

interface Props {
  size: number
  total: number
  filters: QueueFilters
  verbs: AlertVerbs
  clear: () => void
}

interface BulkAnswer {
  done: string[]
  failed: { id: string; reason: string }[]
}

/** What is done to all that match the filter, and not only to the rows that were loaded. */
function useMatching(filters: QueueFilters, clear: () => void) {
  const client = useQueryClient()
  const { sort: _, ...matching } = filters
  return (body: object, done: string) => {
    api
      .post<BulkAnswer>('/alerts/bulk', { matching, ...body })
      .then((answer) => {
        clear()
        const failed = answer.failed.length > 0 ? `; ${plural(answer.failed.length, 'alert')} stayed` : ''
        toast({ tone: 'plain', text: `${plural(answer.done.length, 'alert')} ${done}${failed}` })
        for (const key of ['alerts', 'alert', 'incidents', 'incident', 'overview'])
          void client.invalidateQueries({ queryKey: [key] })
      })
      .catch(toastError('Not done'))
  }
}

export function BulkBar({ size, total, filters, verbs, clear }: Props) {
  const me = useSession().user.name
  const doAll = useMatching(filters, clear)
  return (
    <div className="bulk" role="toolbar" aria-label="Selected alerts">
      <strong className="tabular">{plural(size, 'alert')} selected</strong>
      <button type="button" className="button" onClick={verbs.acknowledge}>
        Acknowledge <Kbd keys="a" />
      </button>
      <JudgeButtons verbs={verbs} />
      <button type="button" className="button" onClick={verbs.attach}>
        Attach <Kbd keys="m" />
      </button>
      {total > size && (
        <Menu
          label={`Do one thing to all ${total} alerts that match the filter`}
          className="button"
          button={`All ${total} that match`}
          items={[
            {
              label: `Acknowledge all ${total}`,
              run: () => doAll({ action: 'acknowledge' }, 'acknowledged'),
            },
            {
              label: `Assign all ${total} to me`,
              run: () => doAll({ action: 'assign', assignee: me }, 'assigned'),
            },
            {
              label: `Close all ${total} as benign`,
              run: () => doAll({ action: 'close', verdict: 'benign_positive' }, 'closed'),
            },
            {
              label: `Attach all ${total} to a new incident`,
              run: () => doAll({ action: 'attach' }, 'attached to a new incident'),
            },
          ]}
        />
      )}
      <span className="spacer" />
      <button type="button" className="button" onClick={clear}>
        Clear <Kbd keys="Escape" />
      </button>
    </div>
  )
}
