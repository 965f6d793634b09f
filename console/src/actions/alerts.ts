/** Everything that can be done to alerts, for one or many alike, each with its way back. */
import { useQueryClient } from '@tanstack/react-query'
import { useMemo } from 'react'
import { patchAlerts } from '../api/cache'
import { api, withQuery } from '../api/client'
import type { Alert, BulkResult, Verdict } from '../api/types'
import { useSession } from '../frame/session'
import { plural, VERDICT_WORD } from '../lib/format'
import { pushUndo } from '../lib/undo'
import { toast } from '../ui/toast'

type BulkAction = 'acknowledge' | 'assign' | 'close' | 'attach'
interface BulkBody {
  action: BulkAction
  assignee?: string | null
  verdict?: Verdict
  reason?: string
  incident_id?: string | null
}

/** The most alerts that one call may change. */
const BULK_MAX = 1000

async function sendBulk(ids: string[], body: BulkBody): Promise<BulkResult> {
  const result: BulkResult = { done: [], failed: [], incident_id: body.incident_id ?? null }
  for (let at = 0; at < ids.length; at += BULK_MAX) {
    // What the first call opened takes the alerts of the later ones too.
    const incident = body.action === 'attach' ? { incident_id: result.incident_id } : {}
    const part = await api.post<BulkResult>('/alerts/bulk', {
      ids: ids.slice(at, at + BULK_MAX),
      ...body,
      ...incident,
    })
    result.done.push(...part.done)
    result.failed.push(...part.failed)
    result.incident_id = part.incident_id ?? result.incident_id
  }
  return result
}

interface Change {
  alerts: readonly Alert[]
  body: BulkBody
  patch: Partial<Alert>
  label: string
  /** The call that takes it back; absent where the server has none. */
  revert?: (alert: Alert) => { path: string; body?: unknown; patch: Partial<Alert> }
}

export function useAlertActions() {
  const client = useQueryClient()
  const me = useSession().user.name

  return useMemo(() => {
    const refresh = (ids: readonly string[], withIncidents: boolean) => {
      for (const id of ids) void client.invalidateQueries({ queryKey: ['alert', id] })
      void client.invalidateQueries({ queryKey: ['overview'] })
      if (withIncidents) {
        void client.invalidateQueries({ queryKey: ['incidents'] })
        void client.invalidateQueries({ queryKey: ['incident'] })
      }
    }

    const send = async (ids: string[], body: BulkBody): Promise<BulkResult> => {
      const { action, ...rest } = body
      const [only] = ids
      if (ids.length !== 1 || !only) return sendBulk(ids, body)
      const answer = await api.post<{ incident_id?: string | null } | undefined>(
        `/alerts/${only}/${action}`,
        rest,
      )
      return { done: [only], failed: [], incident_id: answer?.incident_id ?? null }
    }

    const apply = async ({ alerts, body, patch, label, revert }: Change): Promise<BulkResult | null> => {
      if (alerts.length === 0) return null
      const ids = alerts.map((a) => a.id)
      patchAlerts(client, new Set(ids), patch)
      try {
        const result = await send(ids, body)
        const done = new Set(result.done)
        const before = alerts.filter((a) => done.has(a.id))
        for (const failed of alerts.filter((a) => !done.has(a.id))) {
          patchAlerts(client, new Set([failed.id]), failed)
        }
        if (result.incident_id) patchAlerts(client, done, { incident_id: result.incident_id })
        if (before.length > 0 && revert) {
          pushUndo({
            label,
            revert: async () => {
              for (const alert of before) {
                const step = revert(alert)
                await api.post(`/alerts/${alert.id}/${step.path}`, step.body)
                patchAlerts(client, new Set([alert.id]), step.patch)
              }
              refresh(ids, body.action === 'attach')
            },
          })
        }
        if (before.length > 0) toast({ tone: 'plain', text: label, undo: revert !== undefined })
        if (result.failed.length > 0) {
          const reasons = [...new Set(result.failed.map((f) => f.reason))].join('; ')
          toast({ tone: 'error', text: `${plural(result.failed.length, 'alert')} not changed: ${reasons}` })
        }
        refresh(ids, body.action === 'attach')
        return result
      } catch (error) {
        for (const alert of alerts) patchAlerts(client, new Set([alert.id]), alert)
        toast({ tone: 'error', text: `Not done: ${label.toLowerCase()}`, error })
        return null
      }
    }

    const named = (verb: string, alerts: readonly Alert[]) =>
      alerts.length === 1 ? verb : `${verb}: ${plural(alerts.length, 'alert')}`

    return {
      acknowledge: (alerts: readonly Alert[]) =>
        apply({
          alerts: alerts.filter((a) => a.status === 'new'),
          body: { action: 'acknowledge' },
          patch: { status: 'acknowledged' },
          label: named('Acknowledged', alerts),
        }),
      assign: (alerts: readonly Alert[], assignee: string | null = me) =>
        apply({
          alerts,
          body: { action: 'assign', assignee },
          patch: { assignee },
          label: named(assignee === me ? 'Assigned to you' : `Assigned to ${assignee ?? 'nobody'}`, alerts),
          revert: (a) => ({
            path: 'assign',
            body: { assignee: a.assignee },
            patch: { assignee: a.assignee },
          }),
        }),
      close: (alerts: readonly Alert[], verdict: Verdict, reason: string) =>
        apply({
          alerts,
          body: { action: 'close', verdict, reason },
          patch: { status: 'closed', verdict },
          label: named(`Closed as ${VERDICT_WORD[verdict].toLowerCase()}`, alerts),
          revert: (a) => ({
            path: 'reopen',
            patch: { status: a.status === 'closed' ? 'new' : a.status, verdict: null },
          }),
        }),
      attach: (alerts: readonly Alert[], incidentId: string | null, reason: string) =>
        apply({
          alerts,
          body: { action: 'attach', incident_id: incidentId, ...(reason ? { reason } : {}) },
          patch: incidentId ? { incident_id: incidentId } : {},
          label: named(incidentId ? 'Attached to incident' : 'Attached to a new incident', alerts),
          revert: (a) =>
            a.incident_id
              ? {
                  path: 'attach',
                  body: { incident_id: a.incident_id },
                  patch: { incident_id: a.incident_id },
                }
              : { path: 'detach', patch: { incident_id: null } },
        }),
      detach: async (alert: Alert, reason: string) => {
        try {
          await api.post(withQuery(`/alerts/${alert.id}/detach`, { reason }))
          patchAlerts(client, new Set([alert.id]), { incident_id: null })
          pushUndo({
            label: 'Detached from incident',
            revert: async () => {
              await api.post(`/alerts/${alert.id}/attach`, {
                incident_id: alert.incident_id,
                reason: 'taken out by mistake',
              })
              refresh([alert.id], true)
            },
          })
          toast({ tone: 'plain', text: 'Detached from incident', undo: true })
          refresh([alert.id], true)
        } catch (error) {
          toast({ tone: 'error', text: 'Not detached', error })
        }
      },
      reopen: async (alert: Alert) => {
        try {
          await api.post(`/alerts/${alert.id}/reopen`)
          patchAlerts(client, new Set([alert.id]), { status: 'in_progress', verdict: null })
          toast({ tone: 'plain', text: 'Reopened' })
          refresh([alert.id], false)
        } catch (error) {
          toast({ tone: 'error', text: 'Not reopened', error })
        }
      },
      note: async (alert: Alert, text: string) => {
        await api.post(`/alerts/${alert.id}/notes`, { text })
        toast({ tone: 'plain', text: 'Note added' })
        refresh([alert.id], false)
      },
    }
  }, [client, me])
}

export type AlertActions = ReturnType<typeof useAlertActions>
