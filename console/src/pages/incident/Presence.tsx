/** Who else looks at this incident now. The page says that it is open; the live stream tells others. */
import { Eye } from 'lucide-react'
import { useEffect, useState } from 'react'
import { api } from '../../api/client'
import { onPresence } from '../../api/live'
import { useSession } from '../../frame/session'
import { visible } from '../../lib/text'

/** Three times in the time for which the server believes it. */
const SAY_MS = 15_000

export function Presence({ id }: { id: string }) {
  const me = useSession().user.name
  const [names, setNames] = useState<string[]>([])
  useEffect(() => {
    const path = `/incidents/${encodeURIComponent(id)}/presence`
    const say = () =>
      api
        .post<{ names: string[] }>(path, { is_there: true })
        .then((answer) => setNames(answer.names))
        // The page is of use without it, and says so again soon.
        .catch(() => undefined)
    void say()
    const timer = setInterval(() => void say(), SAY_MS)
    const stop = onPresence((told) => {
      if (told.incident_id === id) setNames(told.names)
    })
    return () => {
      clearInterval(timer)
      stop()
      void api.post(path, { is_there: false }).catch(() => undefined)
    }
  }, [id])
  const others = names.filter((name) => name !== me)
  if (others.length === 0) return null
  return (
    <span className="presence" role="status">
      <Eye size={13} aria-hidden="true" /> {others.map((name) => visible(name)).join(', ')}{' '}
      {others.length === 1 ? 'looks' : 'look'} at this now
    </span>
  )
}
