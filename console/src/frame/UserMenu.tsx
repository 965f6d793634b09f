import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { CircleUser } from 'lucide-react'
import { api } from '../api/client'
import { setTheme, themeStore } from '../lib/settings'
import { visible } from '../lib/text'
import { Menu } from '../ui/Menu'
import { toastError } from '../ui/toast'
import { useSession } from './session'
import { helpStore } from './stores'

export function useSignOut(): () => void {
  const client = useQueryClient()
  return () => {
    api
      .delete('/session')
      .then(() => {
        client.clear()
        location.assign('/')
      })
      .catch(toastError('Not signed out'))
  }
}

export function UserMenu() {
  const { user } = useSession()
  const navigate = useNavigate()
  const theme = themeStore.use()
  const signOut = useSignOut()
  const other = theme === 'dark' ? 'light' : 'dark'
  return (
    <Menu
      label={`Signed in as ${user.name}, ${user.role}`}
      className="button user-button"
      align="end"
      button={
        <>
          <CircleUser size={15} aria-hidden="true" />
          <span>{visible(user.name)}</span>
          <span className="muted small">{user.role}</span>
        </>
      }
      items={[
        { label: `Use the ${other} theme`, run: () => setTheme(other) },
        { label: 'Keys', run: () => helpStore.set(true) },
        { label: 'Settings', run: () => void navigate({ to: '/settings' }) },
        { label: 'Sign out', separated: true, run: signOut },
      ]}
    />
  )
}
