/** Short answers to what was done, at the foot of the window; errors stay until dismissed. */
import { X } from 'lucide-react'
import { ApiError } from '../api/client'
import { createStore } from '../lib/store'
import { visible } from '../lib/text'
import { Kbd } from './Kbd'

interface Toast {
  id: number
  tone: 'plain' | 'error'
  text: string
  undo?: boolean
  error?: unknown
}

const PLAIN_MS = 5000
const SHOWN_MAX = 4
let nextId = 1
const toasts = createStore<Toast[]>([])
const dismiss = (id: number) => toasts.set((all) => all.filter((t) => t.id !== id))

export function toast(item: Omit<Toast, 'id'>): void {
  const id = nextId++
  toasts.set((all) => [...all, { ...item, id }].slice(-SHOWN_MAX))
  if (item.tone === 'plain') setTimeout(() => dismiss(id), PLAIN_MS)
}

export function toastError(text: string) {
  return (error: unknown) => toast({ tone: 'error', text, error })
}

function errorText(error: unknown): string {
  if (error instanceof ApiError) {
    const fields = error.problem.fields?.map((f) => `${f.field}: ${f.reason}`).join(' · ')
    return [error.message, fields].filter(Boolean).join(' · ')
  }
  return error instanceof Error ? error.message : ''
}

export function Toasts() {
  const all = toasts.use()
  return (
    <div className="toasts" role="status" aria-live="polite">
      {all.map((t) => (
        <div key={t.id} className={`toast toast-${t.tone}`}>
          <div>
            <strong>{t.text}</strong>
            {t.error !== undefined && <div className="toast-detail">{visible(errorText(t.error))}</div>}
            {t.error instanceof ApiError && t.error.problem.request_id && (
              <div className="toast-detail mono">request {t.error.problem.request_id}</div>
            )}
          </div>
          {t.undo && (
            <span className="toast-undo">
              <Kbd keys="z" /> undo
            </span>
          )}
          <button type="button" className="icon-button" aria-label="Dismiss" onClick={() => dismiss(t.id)}>
            <X size={14} />
          </button>
        </div>
      ))}
    </div>
  )
}
