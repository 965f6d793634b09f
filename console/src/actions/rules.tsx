/** What a person does to rules: read them again, suspend, resume, run the canary. */
import { useState } from 'react'
import { api } from '../api/client'
import type { Canary, RuleReload } from '../api/types'
import { useSession } from '../frame/session'
import { plural } from '../lib/format'
import { visible } from '../lib/text'
import { openDialog } from '../ui/Dialog'
import { FormDialog, WhyField } from '../ui/Form'
import { toast, toastError } from '../ui/toast'

/** Leads and admins change what is in force; the server checks it, this only spares the others a refusal. */
export function useMayManageRules(): boolean {
  const { user } = useSession()
  return user.role === 'lead' || user.role === 'admin'
}

const path = (id: string, verb: string) => `/rules/${encodeURIComponent(id)}/${verb}`

export async function reloadRules(): Promise<void> {
  try {
    const done = await api.post<RuleReload>('/rules/reload')
    const changes = done.changes.length === 0 ? 'nothing changed' : plural(done.changes.length, 'change')
    toast({
      tone: 'plain',
      text: `Read again in ${done.took_ms} ms: ${changes}, ${plural(done.loaded, 'rule')} loaded, ${done.refused.length} refused`,
    })
  } catch (error) {
    toastError('The rules were not read again')(error)
  }
}

export const runCanary = (id: string): Promise<Canary> => api.post<Canary>(path(id, 'canary'))

export async function resumeRule(id: string, onDone: () => void): Promise<void> {
  try {
    await api.post(path(id, 'resume'))
    onDone()
  } catch (error) {
    toastError('The rule was not resumed')(error)
  }
}

export function suspendDialog(id: string, title: string, onDone: () => void): void {
  openDialog((close) => <SuspendDialog id={id} title={title} close={close} onDone={onDone} />)
}

function SuspendDialog({
  id,
  title,
  close,
  onDone,
}: {
  id: string
  title: string
  close: () => void
  onDone: () => void
}) {
  const [reason, setReason] = useState('')
  const send = async () => {
    await api.post(path(id, 'suspend'), { reason: reason.trim() })
    onDone()
  }
  return (
    <FormDialog title="Suspend rule" close={close} word="Suspend" send={send}>
      <p className="muted">
        “{visible(title)}” is not evaluated until somebody resumes it. What it misses until then is looked
        through afterwards.
      </p>
      <WhyField label="Why?" value={reason} onChange={setReason} isFirst />
    </FormDialog>
  )
}
