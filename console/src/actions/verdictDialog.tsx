/** Closing with a verdict: one key from 1 to 4 chooses; a false positive needs its reason. */
import { useState } from 'react'
import type { Alert, Verdict } from '../api/types'
import { plural, VERDICT_WORD, VERDICTS } from '../lib/format'
import { Dialog, openDialog } from '../ui/Dialog'
import { Kbd } from '../ui/Kbd'
import type { AlertActions } from './alerts'
import { falsePositiveDialog } from './falsePositiveDialog'

const MEANING: Record<Verdict, string> = {
  true_positive: 'It happened and it is hostile.',
  benign_positive: 'It happened and it is allowed.',
  false_positive: 'It did not happen as the rule says.',
  inconclusive: 'The data does not decide it.',
}

export function closeDialog(alerts: readonly Alert[], actions: AlertActions, onDone?: () => void): void {
  if (alerts.length === 0) return
  openDialog((close) => <VerdictDialog alerts={alerts} actions={actions} close={close} onDone={onDone} />)
}

interface Props {
  alerts: readonly Alert[]
  actions: AlertActions
  close: () => void
  onDone?: () => void
}

function VerdictDialog({ alerts, actions, close, onDone }: Props) {
  const [reason, setReason] = useState('')
  const choose = (verdict: Verdict) => {
    if (verdict === 'false_positive' && !reason.trim()) {
      close()
      falsePositiveDialog(alerts, actions, onDone)
      return
    }
    close()
    void actions.close(alerts, verdict, reason.trim())
    onDone?.()
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.target instanceof HTMLTextAreaElement) return
    const verdict = VERDICTS[Number(event.key) - 1]
    if (verdict) {
      event.preventDefault()
      choose(verdict)
    }
  }
  return (
    <Dialog
      title={`Close ${alerts.length === 1 ? 'alert' : plural(alerts.length, 'alert')}`}
      onClose={close}
      width={420}
    >
      <div className="stack" onKeyDown={onKeyDown} role="group" aria-label="Verdict">
        {VERDICTS.map((verdict, i) => (
          <button
            key={verdict}
            type="button"
            className="choice"
            data-autofocus={i === 0 || undefined}
            onClick={() => choose(verdict)}
          >
            <Kbd keys={String(i + 1)} />
            <span>
              <strong>{VERDICT_WORD[verdict]}</strong>
              <small>{MEANING[verdict]}</small>
            </span>
          </button>
        ))}
        <label className="field">
          Reason (optional)
          <textarea rows={2} value={reason} onChange={(e) => setReason(e.target.value)} />
        </label>
      </div>
    </Dialog>
  )
}
