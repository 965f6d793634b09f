/** The frame of every page: rail, top bar, and what lies over them. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Outlet, useNavigate } from '@tanstack/react-router'
import { Command } from 'lucide-react'
import { lazy, Suspense, useEffect } from 'react'
import { setSignedOutHandler } from '../api/client'
import { type SignInState, sessionQuery } from '../api/queries'
import { handleKey, useKeys } from '../lib/keys'
import { railStore } from '../lib/settings'
import { undoLast } from '../lib/undo'
import { DialogHost } from '../ui/Dialog'
import { Kbd } from '../ui/Kbd'
import { Problem, SkeletonRows } from '../ui/Trouble'
import { Toasts } from '../ui/toast'
import { ValueCardHost } from '../ui/ValueCard'
import { HelpHost } from './Help'
import { LiveSwitch } from './LiveSwitch'
import { Mentions } from './Mentions'
import { PLACES } from './nav'
import { PaletteHost } from './Palette'
import { QueryBar } from './QueryBar'
import { Rail } from './Rail'
import { RangePicker } from './RangePicker'
import { SessionProvider } from './session'
import { helpStore, paletteStore } from './stores'
import { UserMenu } from './UserMenu'

const SignIn = lazy(() => import('../pages/SignIn'))

export function Shell() {
  const client = useQueryClient()
  const { data, error, refetch } = useQuery(sessionQuery)
  useEffect(() => {
    setSignedOutHandler(() =>
      client.setQueryData<SignInState>(sessionQuery.queryKey, { session: null, setupRequired: false }),
    )
  }, [client])

  if (error && !data)
    return <Problem what="The console could not start" error={error} retry={() => void refetch()} />
  if (!data) return <div className="boot" aria-busy="true" />
  if (!data.session) {
    return (
      <Suspense fallback={<div className="boot" />}>
        <SignIn setupRequired={data.setupRequired} />
      </Suspense>
    )
  }
  return (
    <SessionProvider value={data.session}>
      <Frame />
    </SessionProvider>
  )
}

function Frame() {
  const { collapsed } = railStore.use()
  const navigate = useNavigate()
  useEffect(() => {
    window.addEventListener('keydown', handleKey)
    return () => window.removeEventListener('keydown', handleKey)
  }, [])
  useKeys(
    'Go to',
    PLACES.map((place) => ({
      keys: place.key,
      label: place.label,
      run: () => void navigate({ to: place.to }),
    })),
  )
  useKeys('Anywhere', [
    { keys: 'mod+k', label: 'Commands', run: () => paletteStore.set((open) => !open) },
    { keys: '?', label: 'Keys', run: () => helpStore.set(true) },
    { keys: 'z', label: 'Undo', run: () => void undoLast() },
  ])
  return (
    <div className="frame" data-rail={collapsed ? 'narrow' : 'wide'}>
      <a className="skip" href="#main">
        Skip to content
      </a>
      <Rail />
      <header className="top">
        <QueryBar />
        <RangePicker />
        <LiveSwitch />
        <button type="button" className="button" title="Commands" onClick={() => paletteStore.set(true)}>
          <Command size={14} aria-hidden="true" />
          <span className="hidden-text">Commands </span>
          <Kbd keys="mod+k" />
        </button>
        <Mentions />
        <UserMenu />
      </header>
      <main id="main" className="main" tabIndex={-1}>
        <Suspense fallback={<SkeletonRows rows={14} />}>
          <Outlet />
        </Suspense>
      </main>
      <ValueCardHost />
      <DialogHost />
      <PaletteHost />
      <HelpHost />
      <Toasts />
    </div>
  )
}
