/** Dialogs are the browser's own: it traps focus, returns it, and closes on Escape. */
import { X } from 'lucide-react'
import { type ReactNode, useEffect, useId, useRef } from 'react'
import { createStore } from '../lib/store'

type Render = (close: () => void) => ReactNode

const current = createStore<{ key: number; render: Render } | null>(null)
let nextKey = 1

export function openDialog(render: Render): void {
  current.set({ key: nextKey++, render })
}

export function DialogHost() {
  const dialog = current.use()
  if (!dialog) return null
  const close = () => current.set((now) => (now?.key === dialog.key ? null : now))
  return <div key={dialog.key}>{dialog.render(close)}</div>
}

interface DialogProps {
  title: string
  onClose: () => void
  width?: number
  className?: string
  children: ReactNode
}

export function Dialog({ title, onClose, width = 480, className = '', children }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => {
    const element = ref.current
    if (element && !element.open) {
      element.showModal()
      // The browser would focus the close button; a dialog opened by key must take the next key.
      element.querySelector<HTMLElement>('[data-autofocus]')?.focus()
    }
    return () => element?.close()
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the keyboard's way; a click on the backdrop is the mouse's.
    <dialog
      ref={ref}
      className={`dialog ${className}`}
      style={{ width }}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      onClick={(event) => {
        if (event.target === ref.current) onClose()
      }}
    >
      <div className="dialog-body">
        <header className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
            <X size={16} />
          </button>
        </header>
        {children}
      </div>
    </dialog>
  )
}
