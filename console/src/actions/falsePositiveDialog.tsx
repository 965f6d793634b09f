/** A false positive asks why, and offers an exception whose effect was measured before it is made. */
import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { api } from '../api/client'
import type { Alert, SuppressionCondition } from '../api/types'
import { plural } from '../lib/format'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { FormError } from '../ui/FormError'
import { toast } from '../ui/toast'
import type { AlertActions } from './alerts'
import { useSubmit } from './useForm'

export function falsePositiveDialog(
  alerts: readonly Alert[],
  actions: AlertActions,
  onDone?: () => void,
): void {
  if (alerts.length === 0) return
  openDialog((close) => (
    <FalsePositiveDialog alerts={alerts} actions={actions} close={close} onDone={onDone} />
  ))
}

const DAYS: readonly number[] = [1, 7, 30, 90]
const DAY_MS = 86_400_000

interface Props {
  alerts: readonly Alert[]
  actions: AlertActions
  close: () => void
  onDone?: () => void
}

function FalsePositiveDialog({ alerts, actions, close, onDone }: Props) {
  const [reason, setReason] = useState('')
  const [withException, setWithException] = useState(false)
  const [days, setDays] = useState(30)
  const first = alerts[0]
  const isOneRule = alerts.every((a) => a.rule_id === first?.rule_id)
  const candidates = useMemo(() => uniqueConditions(first), [first])
  const [chosen, setChosen] = useState<ReadonlySet<number>>(new Set([0]))
  const conditions = candidates.filter((_, i) => chosen.has(i))

  const preview = useQuery({
    queryKey: ['suppression-preview', first?.rule_id, conditions],
    queryFn: () =>
      api.post<{ alerts_matched: number; days: number }>('/suppressions/preview', {
        rule_id: first?.rule_id,
        conditions,
      }),
    enabled: withException && conditions.length > 0,
  })

  const { submit, isBusy, error } = useSubmit(async () => {
    if (!reason.trim()) throw new Error('Say why it is a false positive; the next analyst will read it.')
    if (withException && conditions.length > 0) {
      await api.post('/suppressions', {
        rule_id: first?.rule_id,
        conditions,
        reason: reason.trim(),
        expires_at: new Date(Date.now() + days * DAY_MS).toISOString(),
      })
      toast({ tone: 'plain', text: `Exception made for ${plural(days, 'day')}` })
    }
    close()
    onDone?.()
    await actions.close(alerts, 'false_positive', reason.trim())
  })

  return (
    <Dialog title="False positive" onClose={close} width={520}>
      <form className="stack" onSubmit={submit}>
        <label className="field">
          Why is it not what the rule says?
          <textarea
            rows={3}
            required
            data-autofocus
            value={reason}
            onChange={(e) => setReason(e.target.value)}
            onKeyDown={(e) => {
              if (e.key === 'Enter' && (e.ctrlKey || e.metaKey)) void submit()
            }}
          />
        </label>
        {isOneRule && candidates.length > 0 && (
          <fieldset className="offer">
            <label className="check">
              <input
                type="checkbox"
                checked={withException}
                onChange={(e) => setWithException(e.target.checked)}
              />
              Also make an exception for this rule
            </label>
            {withException && (
              <>
                <p className="muted small">
                  Alerts of “{visible(first?.rule_title ?? '')}” are suppressed when all of:
                </p>
                {candidates.map((condition, i) => (
                  <label key={`${condition.field}${condition.value}`} className="check">
                    <input
                      type="checkbox"
                      checked={chosen.has(i)}
                      onChange={(e) => {
                        const next = new Set(chosen)
                        if (e.target.checked) next.add(i)
                        else next.delete(i)
                        setChosen(next)
                      }}
                    />
                    <span className="mono small">
                      {condition.field} = {visible(condition.value)}
                    </span>
                  </label>
                ))}
                <div className="row">
                  <label className="row">
                    for
                    <select value={days} onChange={(e) => setDays(Number(e.target.value))}>
                      {DAYS.map((n) => (
                        <option key={n} value={n}>
                          {plural(n, 'day')}
                        </option>
                      ))}
                    </select>
                  </label>
                  <strong aria-live="polite" className="tabular">
                    {conditions.length === 0
                      ? 'Choose at least one condition'
                      : preview.data
                        ? `Would have suppressed ${plural(preview.data.alerts_matched, 'alert')} in ${plural(preview.data.days, 'day')}`
                        : preview.error
                          ? 'Its effect could not be measured'
                          : 'Measuring its effect…'}
                  </strong>
                </div>
              </>
            )}
          </fieldset>
        )}
        <FormError error={error} />
        <footer className="dialog-foot">
          <button type="button" className="button" onClick={close}>
            Cancel
          </button>
          <button type="submit" className="button button-primary" disabled={isBusy}>
            Close as false positive
          </button>
        </footer>
      </form>
    </Dialog>
  )
}

function uniqueConditions(alert: Alert | undefined): SuppressionCondition[] {
  const seen = new Set<string>()
  const conditions: SuppressionCondition[] = []
  for (const { kind, value } of alert?.entities ?? []) {
    const key = `${kind}=${value}`
    if (seen.has(key)) continue
    seen.add(key)
    conditions.push({ field: `entity.${kind}`, value })
  }
  return conditions
}
