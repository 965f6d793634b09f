/** Who is signed in. Pages inside the frame may rely on there being someone. */
import { createContext, useContext } from 'react'
import type { Session } from '../api/types'

const SessionContext = createContext<Session | null>(null)
export const SessionProvider = SessionContext.Provider

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (!session) throw new Error('a page of the frame was shown without a session')
  return session
}
