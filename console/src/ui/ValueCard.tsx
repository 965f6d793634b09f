import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useLayoutEffect, useRef } from 'react'
import { addObservableDialog } from '../actions/observable'
import { api } from '../api/client'
import type { Alert, ListOf } from '../api/types'
import { useHunt } from '../frame/useHunt'
import { plural } from '../lib/format'
import { defang, visible } from '../lib/text'
import { copyText } from './CopyButton'
import { KindIcon } from './Value'
import { closeValue, keepValue, leaveValue, type ValueTarget, valueMenu } from './valueMenu'

const WIDTH = 320
const GAP = 4
const MOVED_PX = 2

export function ValueCardHost() {
  const target = valueMenu.use()
  return target ? <ValueCard key={`${target.kind}${target.value}${target.pinned}`} target={target} /> : null
}

function ValueCard({ target }: { target: ValueTarget }) {
  const ref = useRef<HTMLDivElement>(null)
  const hunt = useHunt()
  const { kind, value, field } = target
  const known = useQuery({
    queryKey: ['alerts-of', value],
    queryFn: () => api.get<ListOf<Alert>>('/alerts', { entity: value, limit: 1 }),
    enabled: kind !== 'value' && value.length < 512,
    staleTime: 30_000,
  })

  useLayoutEffect(() => {
    const element = ref.current
    if (!element) return
    element.showPopover()
    const height = element.offsetHeight
    const below = target.rect.bottom + GAP
    element.style.left = `${Math.max(8, Math.min(target.rect.left, window.innerWidth - WIDTH - 8))}px`
    element.style.top = `${below + height > window.innerHeight ? Math.max(8, target.rect.top - GAP - height) : below}px`
  }, [target])

  useEffect(() => {
    const element = ref.current
    if (target.pinned) element?.querySelector('button')?.focus()
    const onKey = (event: KeyboardEvent) => {
      if (event.key === 'Escape') {
        event.preventDefault()
        event.stopPropagation()
        closeValue()
      } else if (target.pinned && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
        const options = [...(element?.querySelectorAll<HTMLElement>('button, a') ?? [])]
        const step = event.key === 'ArrowDown' ? 1 : -1
        const at = options.indexOf(document.activeElement as HTMLElement) + step
        options[(at + options.length) % options.length]?.focus()
        event.preventDefault()
        event.stopPropagation()
      }
    }
    const onPointer = (event: PointerEvent) => {
      if (!element?.contains(event.target as Node)) closeValue()
    }
    // Only when the value moved away from its card; a list that scrolls elsewhere does not matter.
    const onScroll = () => {
      if (Math.abs(target.opener.getBoundingClientRect().top - target.rect.top) > MOVED_PX)
        valueMenu.set(null)
    }
    window.addEventListener('keydown', onKey, true)
    document.addEventListener('pointerdown', onPointer)
    document.addEventListener('scroll', onScroll, true)
    return () => {
      window.removeEventListener('keydown', onKey, true)
      document.removeEventListener('pointerdown', onPointer)
      document.removeEventListener('scroll', onScroll, true)
    }
  }, [target])

  const act = (run: () => void) => () => {
    closeValue()
    run()
  }
  return (
    <div
      ref={ref}
      popover="manual"
      role="dialog"
      aria-label={`Value ${visible(value).slice(0, 80)}`}
      className="value-card"
      style={{ width: WIDTH }}
      onPointerEnter={keepValue}
      onPointerLeave={leaveValue}
    >
      <div className="value-card-head">
        <KindIcon kind={kind} size={14} />
        <span>{kind === 'value' ? (field ?? 'value') : kind}</span>
        {target.role && <span className="muted">{target.role}</span>}
      </div>
      <div className="value-card-value mono">{visible(value)}</div>
      {known.data?.total !== undefined && (
        <Link
          to="/queue"
          search={{ entity: value, status: 'all' }}
          className="small"
          onClick={() => closeValue()}
        >
          {plural(known.data.total, 'alert')} with this value
        </Link>
      )}
      <div className="value-card-actions">
        <button type="button" onClick={act(() => hunt(field ?? null, value))}>
          Hunt
        </button>
        <button type="button" onClick={act(() => hunt(field ?? null, value, true))}>
          Exclude from hunt
        </button>
        <button type="button" onClick={act(() => addObservableDialog(kind, value))}>
          Add as observable…
        </button>
        <button type="button" onClick={act(() => void copyText(value))}>
          Copy
        </button>
        <button type="button" onClick={act(() => void copyText(defang(value)))}>
          Copy defanged
        </button>
      </div>
    </div>
  )
}
