import { Link } from '@tanstack/react-router'
import { PanelLeftClose, PanelLeftOpen } from 'lucide-react'
import { keyCaps } from '../lib/keys'
import { railStore } from '../lib/settings'
import { Logo } from '../ui/Logo'
import { PLACES, type Place } from './nav'

export function Rail() {
  const { collapsed } = railStore.use()
  const link = (place: Place) => (
    <Link
      key={place.to}
      to={place.to}
      className="rail-link"
      activeProps={{ 'aria-current': 'page' }}
      activeOptions={{ exact: place.to === '/', includeSearch: false }}
      title={`${place.label} (${keyCaps(place.key).join(' ')})`}
    >
      <place.icon size={16} aria-hidden="true" />
      <span>{place.label}</span>
    </Link>
  )
  return (
    <nav className="rail" aria-label="Pages" data-collapsed={collapsed}>
      <Link to="/" className="brand" aria-label="Watchfloor, overview">
        <Logo size={20} />
        <span>Watchfloor</span>
      </Link>
      <div className="rail-group">{PLACES.filter((p) => !p.isUpkeep).map(link)}</div>
      <div className="rail-group">{PLACES.filter((p) => p.isUpkeep).map(link)}</div>
      <button
        type="button"
        className="rail-link rail-toggle"
        aria-expanded={!collapsed}
        title={collapsed ? 'Widen the rail' : 'Narrow the rail'}
        onClick={() => railStore.set({ collapsed: !collapsed })}
      >
        {collapsed ? (
          <PanelLeftOpen size={16} aria-hidden="true" />
        ) : (
          <PanelLeftClose size={16} aria-hidden="true" />
        )}
        <span>Narrow</span>
      </button>
    </nav>
  )
}
