/** What can be done to an incident, each with its way back where there is one. */
import { useQueryClient } from '@tanstack/react-query'
import { useMemo } from 'react'
import { ApiError, api } from '../api/client'
import type { Incident, IncidentDetail, IncidentStatus, Severity, Verdict } from '../api/types'
import { useSession } from '../frame/session'
import { INCIDENT_STATUS_WORD, plural, VERDICT_WORD, VERDICTS } from '../lib/format'
import { pushUndo } from '../lib/undo'
import { Dialog, openDialog } from '../ui/Dialog'
import { Kbd } from '../ui/Kbd'
import { toast } from '../ui/toast'
import { IncidentPicker } from './attachDialog'

interface Patch {
  title?: string
  summary?: string
  severity?: Severity
  status?: IncidentStatus
  assignee?: string | null
  verdict?: Verdict | null
}

export function useIncidentActions(incident: IncidentDetail) {
  const client = useQueryClient()
  const me = useSession().user.name
  return useMemo(() => {
    const path = `/incidents/${incident.id}`
    const key = ['incident', incident.id]
    const refresh = () => {
      void client.invalidateQueries({ queryKey: key })
      void client.invalidateQueries({ queryKey: ['incidents'] })
      void client.invalidateQueries({ queryKey: ['overview'] })
    }
    const patch = async (change: Patch, label: string) => {
      const before: Patch = {}
      for (const name of Object.keys(change) as (keyof Patch)[]) {
        Object.assign(before, { [name]: incident[name] })
      }
      client.setQueryData<IncidentDetail>(key, (data) => (data ? { ...data, ...change } : data))
      try {
        await api.patch(path, change, incident.version)
        pushUndo({
          label,
          revert: async () => {
            await api.patch(path, before)
            refresh()
          },
        })
        toast({ tone: 'plain', text: label, undo: true })
      } catch (error) {
        const isConflict = error instanceof ApiError && error.status === 412
        toast({
          tone: 'error',
          text: isConflict
            ? 'Somebody changed this incident at the same time. It now shows their version; do it again if it still holds.'
            : `Not done: ${label.toLowerCase()}`,
          error,
        })
      }
      refresh()
    }
    const post = async (what: string, body: unknown, label: string) => {
      await api.post(`${path}/${what}`, body)
      toast({ tone: 'plain', text: label })
      refresh()
    }
    return {
      refresh,
      patch,
      setStatus: (status: IncidentStatus, verdict?: Verdict) =>
        patch(
          verdict ? { status, verdict } : { status },
          verdict ? `Resolved as ${VERDICT_WORD[verdict].toLowerCase()}` : `Marked ${INCIDENT_STATUS_WORD[status].toLowerCase()}`,
        ),
      assign: (assignee: string | null = me) =>
        patch({ assignee }, assignee === me ? 'Assigned to you' : `Assigned to ${assignee ?? 'nobody'}`),
      note: (text: string) => post('notes', { text }, 'Note added'),
      task: (title: string) => post('tasks', { title }, 'Task added'),
      observable: (kind: string, value: string, note: string) =>
        post('observables', { kind, value, note: note || undefined }, 'Observable added'),
      merge: (from: Incident) => post('merge', { from: [from.id] }, `Incident #${from.number} merged into this one`),
      setTask: async (taskId: string, status: 'open' | 'done') => {
        client.setQueryData<IncidentDetail>(key, (data) =>
          data ? { ...data, tasks: data.tasks.map((t) => (t.id === taskId ? { ...t, status } : t)) } : data,
        )
        try {
          await api.patch(`${path}/tasks/${taskId}`, { status })
        } catch (error) {
          toast({ tone: 'error', text: 'The task was not changed', error })
        }
        refresh()
      },
      split: async (alertIds: string[]): Promise<Incident | undefined> => {
        try {
          const made = await api.post<Incident>(`${path}/split`, { alert_ids: alertIds })
          toast({ tone: 'plain', text: `${plural(alertIds.length, 'alert')} moved to a new incident` })
          refresh()
          return made
        } catch (error) {
          toast({ tone: 'error', text: 'Not split', error })
          return undefined
        }
      },
    }
  }, [client, incident, me])
}

export type IncidentActions = ReturnType<typeof useIncidentActions>

export function resolveDialog(actions: IncidentActions): void {
  openDialog((close) => {
    const choose = (verdict: Verdict) => {
      close()
      void actions.setStatus('resolved', verdict)
    }
    return (
      <Dialog title="Resolve with verdict" onClose={close} width={380}>
        <div
          className="stack"
          role="group"
          aria-label="Verdict"
          onKeyDown={(event) => {
            const verdict = VERDICTS[Number(event.key) - 1]
            if (verdict) {
              event.preventDefault()
              choose(verdict)
            }
          }}
        >
          {VERDICTS.map((verdict, i) => (
            <button
              key={verdict}
              type="button"
              className="choice"
              // biome-ignore lint/a11y/noAutofocus: a dialog opened by key must take the next key.
              autoFocus={i === 0}
              onClick={() => choose(verdict)}
            >
              <Kbd keys={String(i + 1)} />
              <strong>{VERDICT_WORD[verdict]}</strong>
            </button>
          ))}
        </div>
      </Dialog>
    )
  })
}

export function mergeDialog(incident: IncidentDetail, actions: IncidentActions): void {
  openDialog((close) => (
    <IncidentPicker
      title={`Merge into #${incident.number}`}
      close={close}
      exclude={incident.id}
      choose={(other) => {
        if (other) actions.merge(other).catch((error) => toast({ tone: 'error', text: 'Not merged', error }))
      }}
    />
  ))
}
