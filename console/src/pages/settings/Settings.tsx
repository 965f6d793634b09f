/** Settings: people, tokens, sessions, exceptions, the audit log, the server, and this browser. */
import type { ReactNode } from 'react'
import { useSession } from '../../frame/session'
import { useUrlState } from '../../lib/url'
import { PageHead } from '../../ui/Page'
import { Appearance } from './Appearance'
import { Audit } from './Audit'
import { Clocks } from './Clocks'
import { Server } from './Server'
import { Sessions } from './Sessions'
import { Suppressions } from './Suppressions'
import { Tokens } from './Tokens'
import { Users } from './Users'

interface Tab {
  id: string
  label: string
  adminOnly?: boolean
  page: () => ReactNode
}

const TABS: readonly Tab[] = [
  { id: 'appearance', label: 'Appearance and keys', page: () => <Appearance /> },
  { id: 'sessions', label: 'Sessions and password', page: () => <Sessions /> },
  { id: 'clocks', label: 'Clocks and escalation', page: () => <Clocks /> },
  { id: 'users', label: 'Users', adminOnly: true, page: () => <Users /> },
  { id: 'tokens', label: 'API tokens', adminOnly: true, page: () => <Tokens /> },
  { id: 'suppressions', label: 'Suppressions', page: () => <Suppressions /> },
  { id: 'audit', label: 'Audit log', adminOnly: true, page: () => <Audit /> },
  { id: 'server', label: 'Server', page: () => <Server /> },
]

export default function Settings() {
  const [search, set] = useUrlState()
  const { user } = useSession()
  const tabs = TABS.filter((tab) => !tab.adminOnly || user.role === 'admin' || user.role === 'lead')
  const current = tabs.find((tab) => tab.id === search.tab) ?? tabs[0]
  return (
    <div className="page">
      <PageHead title="Settings" />
      <div className="settings">
        <nav className="side-nav" aria-label="Settings">
          {tabs.map((tab) => (
            <button
              key={tab.id}
              type="button"
              aria-current={tab === current ? 'page' : undefined}
              onClick={() => set({ tab: tab.id }, { push: true })}
            >
              {tab.label}
            </button>
          ))}
        </nav>
        <div className="settings-body">{current?.page()}</div>
      </div>
    </div>
  )
}
