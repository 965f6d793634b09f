import { Link } from '@tanstack/react-router'
import { Maximize2, X } from 'lucide-react'
import type { AlertVerbs } from '../../actions/useAlertKeys'
import { AlertView } from './AlertView'

export function AlertPanel({ id, verbs, onClose }: { id: string; verbs: AlertVerbs; onClose: () => void }) {
  return (
    <aside className="panel" aria-label="Alert">
      <div className="panel-tools">
        <Link
          to="/alerts/$id"
          params={{ id }}
          className="icon-button"
          aria-label="Open as a page"
          title="Open as a page (Enter)"
        >
          <Maximize2 size={14} />
        </Link>
        <button
          type="button"
          className="icon-button"
          aria-label="Close panel"
          title="Close (Esc)"
          onClick={onClose}
        >
          <X size={16} />
        </button>
      </div>
      <AlertView id={id} verbs={verbs} isPanel />
    </aside>
  )
}
