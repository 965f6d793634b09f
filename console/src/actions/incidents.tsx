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
import { textDialog } from './noteDialog'

interface Patch {
  title?: string
  summary?: string
  severity?: Severity
  status?: IncidentStatus
  assignee?: string | null
  verdict?: Verdict | null
}

/** The record as it stands on the server, when it refused a change made on an older version. */
function conflictOf(error: unknown): (Incident & Patch) | null {
  return error instanceof ApiError && error.status === 412
    ? ((error.problem.current as Incident & Patch) ?? null)
    : null
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
      // The page may be a moment behind; what is held now is what the change is made on.
      const now = client.getQueryData<IncidentDetail>(key) ?? incident
      const names = Object.keys(change) as (keyof Patch)[]
      const before = Object.fromEntries(names.map((name) => [name, now[name]])) as Patch
      const send = async (version: number) => {
        const answer = await api.patch<Partial<Incident> | undefined>(path, change, version)
        client.setQueryData<IncidentDetail>(key, (data) =>
          data ? { ...data, ...change, version: answer?.version ?? data.version } : data,
        )
      }
      client.setQueryData<IncidentDetail>(key, (data) => (data ? { ...data, ...change } : data))
      try {
        await send(now.version).catch((error) => {
          const current = conflictOf(error)
          // Somebody changed something else (a note, a task): there is nothing to decide.
          if (current && names.every((name) => current[name] === before[name])) return send(current.version)
          throw error
        })
        pushUndo({
          label,
          revert: async () => {
            await api.patch(path, before)
            refresh()
          },
        })
        toast({ tone: 'plain', text: label, undo: true })
      } catch (error) {
        const current = conflictOf(error)
        toast({
          tone: 'error',
          text: current
            ? `Somebody else set ${names.map((name) => `${name} to “${current[name] ?? 'nothing'}”`).join(', ')}; you wanted “${names.map((name) => change[name] ?? 'nothing').join(', ')}”. Theirs is shown; do it again if yours still holds.`
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
          verdict
            ? `Resolved as ${VERDICT_WORD[verdict].toLowerCase()}`
            : `Marked ${INCIDENT_STATUS_WORD[status].toLowerCase()}`,
        ),
      assign: (assignee: string | null = me) =>
        patch({ assignee }, assignee === me ? 'Assigned to you' : `Assigned to ${assignee ?? 'nobody'}`),
      note: (text: string) => post('notes', { text }, 'Note added'),
      task: (title: string) => post('tasks', { title }, 'Task added'),
      observable: (kind: string, value: string, note: string) =>
        post('observables', { kind, value, note: note || undefined }, 'Observable added'),
      merge: (from: Incident, reason: string) =>
        post(
          'merge',
          { from: [from.id], reason: reason || undefined },
          `Incident #${from.number} merged into this one`,
        ),
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
      split: async (alertIds: string[], reason: string): Promise<Incident | undefined> => {
        try {
          const made = await api.post<Incident>(`${path}/split`, {
            alert_ids: alertIds,
            reason: reason || undefined,
          })
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
              data-autofocus={i === 0 || undefined}
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
        if (!other) return
        textDialog({
          title: `Merge #${other.number} into #${incident.number}`,
          label: 'Why they are one (kept with the correction)',
          submitLabel: 'Merge',
          save: (reason) => actions.merge(other, reason),
        })
      }}
    />
  ))
}
