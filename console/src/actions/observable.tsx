/** Adding a value seen anywhere as an observable: to the incident on screen, or to one that is picked. */
import { useQueryClient } from '@tanstack/react-query'
import { api } from '../api/client'
import { createStore } from '../lib/store'
import { visible } from '../lib/text'
import { Dialog, openDialog } from '../ui/Dialog'
import { toast, toastError } from '../ui/toast'
import { IncidentPicker } from './attachDialog'

/** The incident that the page shows, so that a value on it need not ask where to go. */
export const currentIncident = createStore<{ id: string; number: number } | null>(null)

export function addObservableDialog(kind: string, value: string): void {
  openDialog((close) => <AddObservable kind={kind} value={value} close={close} />)
}

function AddObservable({ kind, value, close }: { kind: string; value: string; close: () => void }) {
  const client = useQueryClient()
  const here = currentIncident.use()
  const add = (incident: { id: string; number: number }) => {
    api
      .post(`/incidents/${incident.id}/observables`, { kind, value })
      .then(() => {
        toast({ tone: 'plain', text: `Observable added to incident #${incident.number}` })
        void client.invalidateQueries({ queryKey: ['incident', incident.id] })
      })
      .catch(toastError('Observable not added'))
  }
  if (!here) {
    return (
      <IncidentPicker
        title={`Add ${visible(value).slice(0, 60)} as observable to`}
        close={close}
        choose={(incident) => incident && add(incident)}
      />
    )
  }
  return (
    <Dialog title="Add observable" onClose={close} width={440}>
      <p>
        Add {kind} <span className="mono">{visible(value)}</span> to incident #{here.number}?
      </p>
      <footer className="dialog-foot">
        <button type="button" className="button" onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          className="button button-primary"
          data-autofocus
          onClick={() => {
            close()
            add(here)
          }}
        >
          Add observable
        </button>
      </footer>
    </Dialog>
  )
}
