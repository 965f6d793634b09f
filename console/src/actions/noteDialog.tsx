import { useState } from 'react'
import { Dialog, openDialog } from '../ui/Dialog'
import { FormError } from '../ui/FormError'
import { NoteBox } from '../ui/NoteBox'
import { useSubmit } from './useForm'

interface TextDialogOptions {
  title: string
  label: string
  submitLabel: string
  initial?: string
  multiline?: boolean
  /** A note: `@name` tells that person. */
  isNote?: boolean
  /** Whether it may be left empty. */
  isOptional?: boolean
  save: (text: string) => Promise<void>
}

/** One field of text, for notes, titles and tasks. */
export function textDialog(options: TextDialogOptions): void {
  openDialog((close) => <TextDialog {...options} close={close} />)
}

function TextDialog({
  title,
  label,
  submitLabel,
  initial = '',
  multiline,
  isNote,
  isOptional,
  save,
  close,
}: TextDialogOptions & { close: () => void }) {
  const [text, setText] = useState(initial)
  const { submit, isBusy, error } = useSubmit(async () => {
    if (!text.trim() && !isOptional) throw new Error('Write something first.')
    await save(text.trim())
    close()
  })
  return (
    <Dialog title={title} onClose={close}>
      <form className="stack" onSubmit={submit}>
        <label className="field">
          {label}
          {isNote ? (
            <NoteBox
              label={label}
              rows={5}
              autoFocus
              value={text}
              onChange={setText}
              onSend={() => void submit()}
            />
          ) : multiline ? (
            <textarea
              rows={5}
              data-autofocus
              value={text}
              onChange={(e) => setText(e.target.value)}
              onKeyDown={(e) => {
                if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void submit()
              }}
            />
          ) : (
            <input className="input" data-autofocus value={text} onChange={(e) => setText(e.target.value)} />
          )}
        </label>
        <FormError error={error} />
        <footer className="dialog-foot">
          {isNote ? (
            <span className="muted small">@name tells that person; Ctrl Enter saves</span>
          ) : (
            multiline && <span className="muted small">Ctrl Enter saves</span>
          )}
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button button-primary" disabled={isBusy}>
            {submitLabel}
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
