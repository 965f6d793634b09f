/** The places of the console: one list for rail, palette and `g` keys. */
import {
  Activity,
  ArrowLeftRight,
  Crosshair,
  Fingerprint,
  Gauge,
  HardDrive,
  Inbox,
  Laptop,
  type LucideIcon,
  PhoneCall,
  Plug,
  ScrollText,
  Settings,
  ShieldAlert,
  Timer,
  UserCheck,
  Workflow,
} from 'lucide-react'

export interface Place {
  to:
    | '/'
    | '/queue'
    | '/incidents'
    | '/hunt'
    | '/approvals'
    | '/playbooks'
    | '/connectors'
    | '/fleet'
    | '/indicators'
    | '/sources'
    | '/storage'
    | '/rules'
    | '/on-call'
    | '/handover'
    | '/performance'
    | '/settings'
  label: string
  key: string
  icon: LucideIcon
  /** The second group: what feeds and tunes the floor. */
  isUpkeep?: boolean
}

export const PLACES: readonly Place[] = [
  { to: '/', label: 'Overview', key: 'g o', icon: Gauge },
  { to: '/queue', label: 'Queue', key: 'g q', icon: Inbox },
  { to: '/incidents', label: 'Incidents', key: 'g i', icon: ShieldAlert },
  { to: '/hunt', label: 'Hunt', key: 'g h', icon: Crosshair },
  { to: '/approvals', label: 'Approvals', key: 'g a', icon: UserCheck },
  { to: '/on-call', label: 'On call', key: 'g w', icon: PhoneCall },
  { to: '/handover', label: 'Handover', key: 'g v', icon: ArrowLeftRight },
  { to: '/performance', label: 'Performance', key: 'g m', icon: Timer },
  { to: '/playbooks', label: 'Playbooks', key: 'g p', icon: Workflow, isUpkeep: true },
  { to: '/connectors', label: 'Connectors', key: 'g c', icon: Plug, isUpkeep: true },
  { to: '/fleet', label: 'Fleet', key: 'g f', icon: Laptop, isUpkeep: true },
  { to: '/indicators', label: 'Indicators', key: 'g n', icon: Fingerprint, isUpkeep: true },
  { to: '/sources', label: 'Sources', key: 'g s', icon: Activity, isUpkeep: true },
  { to: '/storage', label: 'Storage', key: 'g d', icon: HardDrive, isUpkeep: true },
  { to: '/rules', label: 'Rules', key: 'g r', icon: ScrollText, isUpkeep: true },
  { to: '/settings', label: 'Settings', key: 'g t', icon: Settings, isUpkeep: true },
]
