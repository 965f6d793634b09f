/** A value as a chip: click hunts it, hover or ArrowDown or right click opens its card. */
import { AtSign, Box, FileText, Globe, Hash, Link2, Monitor, Network, Terminal, User } from 'lucide-react'
import type { Entity } from '../api/types'
import { useHunt } from '../frame/useHunt'
import { truncateMiddle, visible } from '../lib/text'
import { leaveValue, showValue } from './valueMenu'

const ICONS: Record<string, typeof Box> = {
  host: Monitor,
  user: User,
  process: Terminal,
  address: Network,
  domain: Globe,
  file: FileText,
  hash: Hash,
  url: Link2,
  email: AtSign,
}

export function KindIcon({ kind, size = 12 }: { kind: string; size?: number }) {
  const Icon = ICONS[kind] ?? Box
  return <Icon size={size} aria-hidden="true" className="kind-icon" />
}

interface ValueProps {
  kind?: string
  value: string
  field?: string
  role?: string | null
  max?: number
  /** In long lists the row is the tab stop, not its chips. */
  passive?: boolean
  plain?: boolean
  /** What a rule matched: marked inside, so that the mark follows the text over lines. */
  marked?: boolean
}

export function Value({ kind = 'value', value, field, role, max = 64, passive, plain, marked }: ValueProps) {
  const hunt = useHunt()
  const full = visible(value).slice(0, 200)
  const shown = truncateMiddle(visible(value), max)
  // The name begins with what is seen, so that speech input finds it (WCAG 2.5.3).
  const name = `${kind === 'value' ? '' : `${kind} `}${shown}${shown === full ? '' : `, ${full}`}`
  const target = (element: HTMLElement, pinned: boolean) => ({
    kind,
    value,
    field,
    role,
    pinned,
    rect: element.getBoundingClientRect(),
    opener: element,
  })
  return (
    <button
      type="button"
      className={`value ${plain ? 'value-plain' : ''}`}
      tabIndex={passive ? -1 : 0}
      aria-haspopup="dialog"
      aria-label={name}
      onClick={(event) => {
        event.stopPropagation()
        leaveValue()
        if (event.altKey) hunt(field ?? null, value, true)
        else hunt(field ?? null, value)
      }}
      onContextMenu={(event) => {
        event.preventDefault()
        event.stopPropagation()
        showValue(target(event.currentTarget, true))
      }}
      onKeyDown={(event) => {
        if (event.key === 'ArrowDown') {
          event.preventDefault()
          event.stopPropagation()
          showValue(target(event.currentTarget, true))
        }
      }}
      onPointerEnter={(event) => {
        if (event.pointerType === 'mouse') showValue(target(event.currentTarget, false))
      }}
      onPointerLeave={leaveValue}
    >
      {!plain && <KindIcon kind={kind} />}
      {marked ? <mark>{shown}</mark> : <span>{shown}</span>}
    </button>
  )
}

export function Entities({ items, max, passive }: { items: Entity[]; max?: number; passive?: boolean }) {
  const shown = max ? items.slice(0, max) : items
  return (
    <span className="values">
      {shown.map((e) => (
        <Value
          key={`${e.kind}:${e.value}:${e.role}`}
          kind={e.kind}
          value={e.value}
          role={e.role}
          max={28}
          passive={passive}
        />
      ))}
      {shown.length < items.length && (
        <span className="muted small" title={items.map((e) => `${e.kind} ${visible(e.value)}`).join('\n')}>
          +{items.length - shown.length}
        </span>
      )}
    </span>
  )
}
