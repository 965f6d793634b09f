/** The keys that judge: the same in the queue, beside it, and on the alert's own page. */
import { useNavigate } from '@tanstack/react-router'
import type { Alert } from '../api/types'
import { useKeys } from '../lib/keys'
import { clause } from '../lib/query'
import { type AlertActions, useAlertActions } from './alerts'
import { attachDialog } from './attachDialog'
import { exceptDialog } from './exceptDialog'
import { falsePositiveDialog } from './falsePositiveDialog'
import { textDialog } from './noteDialog'
import { closeDialog } from './verdictDialog'

/** A hunt from an alert starts with the hour before and after it. */
const AROUND_MS = 3_600_000

export function noteDialog(alert: Alert, actions: AlertActions): void {
  textDialog({
    title: 'Note on alert',
    label: 'Note',
    submitLabel: 'Add note',
    isNote: true,
    save: (text) => actions.note(alert, text),
  })
}

interface Options {
  targets: () => Alert[]
  /** Called when the targets are judged, so that a list may go on to the next. */
  onJudged?: () => void
  enabled?: boolean
}

export function useAlertKeys({ targets, onJudged, enabled = true }: Options) {
  const actions = useAlertActions()
  const navigate = useNavigate()
  const withOne = (run: (alert: Alert) => void) => () => {
    const [alert] = targets()
    if (alert) run(alert)
  }
  const verbs = {
    acknowledge: () => void actions.acknowledge(targets()),
    assign: () => void actions.assign(targets()),
    close: () => closeDialog(targets(), actions, onJudged),
    falsePositive: () => falsePositiveDialog(targets(), actions, onJudged),
    except: withOne((alert) => exceptDialog(alert)),
    attach: () => attachDialog(targets(), actions),
    note: withOne((alert) => noteDialog(alert, actions)),
    hunt: withOne((alert) => {
      const entity = alert.entities.find((e) => e.kind === 'host') ?? alert.entities[0]
      if (!entity) return
      const at = Date.parse(alert.time)
      const iso = (ms: number) => new Date(ms).toISOString()
      void navigate({
        to: '/hunt',
        search: { q: clause(null, entity.value), from: iso(at - AROUND_MS), to: iso(at + AROUND_MS) },
      })
    }),
  }
  useKeys(
    'Alert',
    [
      { keys: 'a', label: 'Acknowledge', run: verbs.acknowledge },
      { keys: 'c', label: 'Assign to me', run: verbs.assign },
      { keys: 'e', label: 'Close with verdict', run: verbs.close },
      { keys: 'f', label: 'False positive', run: verbs.falsePositive },
      { keys: 's', label: 'Except from the rule', run: verbs.except },
      { keys: 'm', label: 'Attach to incident', run: verbs.attach },
      { keys: 'n', label: 'Note', run: verbs.note },
      { keys: 'h', label: 'Hunt from here', run: verbs.hunt },
    ],
    enabled,
  )
  return { actions, verbs }
}

export type AlertVerbs = ReturnType<typeof useAlertKeys>['verbs']
