import { useState } from 'react'
import { openDialog } from '../ui/Dialog'
import { Field, FormDialog, sendOnControlEnter, TextField } from '../ui/Form'
import { NoteBox } from '../ui/NoteBox'

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
  const send = async () => {
    if (!text.trim() && !isOptional) throw new Error('Write something first.')
    await save(text.trim())
  }
  const keys = 'Ctrl Enter saves'
  return (
    <FormDialog
      title={title}
      close={close}
      word={submitLabel}
      send={send}
      hint={isNote ? `@name tells that person; ${keys}` : multiline ? keys : undefined}
    >
      {isNote ? (
        <Field label={label}>
          {({ id }) => <NoteBox id={id} label={label} rows={5} autoFocus value={text} onChange={setText} />}
        </Field>
      ) : multiline ? (
        <Field label={label}>
          {(wired) => (
            <textarea
              {...wired}
              rows={5}
              data-autofocus
              value={text}
              onChange={(e) => setText(e.target.value)}
              onKeyDown={sendOnControlEnter}
            />
          )}
        </Field>
      ) : (
        <TextField label={label} isFirst value={text} onChange={setText} />
      )}
    </FormDialog>
  )
}
