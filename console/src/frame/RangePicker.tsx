import { CalendarClock } from 'lucide-react'
import { useState } from 'react'
import { RANGES, rangeLabel } from '../lib/time'
import { useRange, useUrlState } from '../lib/url'
import { Dialog, openDialog } from '../ui/Dialog'
import { Menu } from '../ui/Menu'
import { ZONE } from '../ui/Time'

export function RangePicker() {
  const range = useRange()
  const [, set] = useUrlState()
  const items = [
    ...RANGES.map(([key, label]) => ({
      label,
      checked: range.last === key,
      run: () => set({ t: key, from: null, to: null }, { push: true }),
    })),
    {
      label: 'From and to…',
      separated: true,
      checked: Boolean(range.from || range.to),
      run: () =>
        openDialog((close) => (
          <RangeDialog
            from={range.from}
            to={range.to}
            close={close}
            save={(from, to) => set({ t: null, from, to }, { push: true })}
          />
        )),
    },
  ]
  return (
    <Menu
      label={`Time range: ${rangeLabel(range)}`}
      className="button range-button"
      align="end"
      items={items}
      button={
        <>
          <CalendarClock size={14} aria-hidden="true" />
          <span className="tabular">{rangeLabel(range)}</span>
        </>
      }
    />
  )
}

/** `datetime-local` speaks local time without a zone. */
function toLocalInput(iso: string): string {
  if (!iso) return ''
  const date = new Date(iso)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19)
}

interface RangeDialogProps {
  from: string
  to: string
  close: () => void
  save: (from: string, to: string) => void
}

function RangeDialog({ from, to, close, save }: RangeDialogProps) {
  const [start, setStart] = useState(toLocalInput(from))
  const [end, setEnd] = useState(toLocalInput(to))
  const iso = (local: string) => (local ? new Date(local).toISOString() : '')
  const isReversed = Boolean(start && end && start >= end)
  return (
    <Dialog title="Time range" onClose={close} width={400}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          if (isReversed) return
          close()
          save(iso(start), iso(end))
        }}
      >
        <label className="field">
          From ({ZONE})
          <input
            className="input"
            type="datetime-local"
            step="1"
            value={start}
            onChange={(e) => setStart(e.target.value)}
          />
        </label>
        <label className="field">
          To ({ZONE}, empty for now)
          <input
            className="input"
            type="datetime-local"
            step="1"
            value={end}
            onChange={(e) => setEnd(e.target.value)}
          />
        </label>
        {isReversed && <div className="form-error">The end must be after the start.</div>}
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button button-primary">
            Set range
          </button>
        </footer>
      </form>
    </Dialog>
  )
}
