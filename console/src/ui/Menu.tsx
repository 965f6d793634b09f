/** A button that opens a list of choices; arrows move, Enter chooses, Escape closes and gives focus back. */
import { type ReactNode, useEffect, useRef, useState } from 'react'

export interface MenuItem {
  label: ReactNode
  run: () => void
  checked?: boolean
  separated?: boolean
}

interface MenuProps {
  label: string
  button: ReactNode
  items: MenuItem[]
  className?: string
  align?: 'start' | 'end'
  keepOpen?: boolean
}

export function Menu({ label, button, items, className = 'button', align = 'start', keepOpen }: MenuProps) {
  const [isOpen, setOpen] = useState(false)
  const root = useRef<HTMLDivElement>(null)
  const trigger = useRef<HTMLButtonElement>(null)
  const list = useRef<HTMLDivElement>(null)

  useEffect(() => {
    if (!isOpen) return
    list.current?.querySelector<HTMLElement>('[role^="menuitem"]')?.focus()
    const onPointer = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false)
    }
    document.addEventListener('pointerdown', onPointer)
    return () => document.removeEventListener('pointerdown', onPointer)
  }, [isOpen])

  const onKeyDown = (event: React.KeyboardEvent) => {
    const options = [...(list.current?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])]
    const at = options.indexOf(document.activeElement as HTMLElement)
    const move = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: options.length - 1 }[event.key]
    if (move !== undefined) options[(move + options.length) % options.length]?.focus()
    else if (event.key === 'Escape') {
      setOpen(false)
      trigger.current?.focus()
    } else if (event.key === 'Tab') {
      setOpen(false)
      return
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <div className="menu-root" ref={root}>
      <button
        ref={trigger}
        type="button"
        className={className}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        {button}
      </button>
      {isOpen && (
        <div
          ref={list}
          role="menu"
          aria-label={label}
          tabIndex={-1}
          className={`menu menu-${align}`}
          onKeyDown={onKeyDown}
        >
          {items.map((item, i) => (
            <button
              key={i}
              type="button"
              tabIndex={-1}
              role={item.checked === undefined ? 'menuitem' : 'menuitemcheckbox'}
              aria-checked={item.checked}
              className={`menu-item ${item.separated ? 'menu-separated' : ''}`}
              onClick={() => {
                item.run()
                if (!keepOpen) {
                  setOpen(false)
                  trigger.current?.focus()
                }
              }}
            >
              {item.checked !== undefined && (
                <span className="menu-check" aria-hidden="true">
                  {item.checked ? '✓' : ''}
                </span>
              )}
              {item.label}
            </button>
          ))}
        </div>
      )}
    </div>
  )
}
