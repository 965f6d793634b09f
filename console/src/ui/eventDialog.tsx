import { useQuery } from '@tanstack/react-query'
import { eventQuery } from '../api/queries'
import type { SocEvent } from '../api/types'
import { Dialog, openDialog } from './Dialog'
import { EventView } from './EventView'
import { Problem, SkeletonRows } from './Trouble'

/** An event over the page it was opened from; Escape goes back to exactly there. */
export function openEvent(event: SocEvent | string): void {
  openDialog((close) => (
    <Dialog title="Event" onClose={close} width={880} className="event-dialog">
      {typeof event === 'string' ? <EventById id={event} /> : <EventView event={event} />}
    </Dialog>
  ))
}

function EventById({ id }: { id: string }) {
  const { data, error } = useQuery(eventQuery(id))
  if (error) return <Problem what="The event did not load" error={error} />
  return data ? <EventView event={data} /> : <SkeletonRows rows={10} />
}
