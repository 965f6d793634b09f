import { useQuery } from '@tanstack/react-query'
import { X } from 'lucide-react'
import { eventQuery } from '../../api/queries'
import type { SocEvent } from '../../api/types'
import { EventView } from '../../ui/EventView'
import { Problem, SkeletonRows } from '../../ui/Trouble'

interface EventPanelProps {
  id: string
  held: readonly SocEvent[]
  onClose: () => void
}

/** An event beside its list; by its address it opens even when the list no longer holds it. */
export function EventPanel({ id, held, onClose }: EventPanelProps) {
  const known = held.find((e) => e.id === id)
  const { data, error } = useQuery({ ...eventQuery(id), enabled: !known })
  const event = known ?? data
  return (
    <aside className="panel" aria-label="Event">
      <div className="panel-tools">
        <button
          type="button"
          className="icon-button"
          aria-label="Close event"
          title="Close (Esc)"
          onClick={onClose}
        >
          <X size={16} />
        </button>
      </div>
      {event ? (
        <EventView event={event} />
      ) : error ? (
        <Problem what="The event did not load" error={error} />
      ) : (
        <SkeletonRows rows={10} />
      )}
    </aside>
  )
}
