/** Exceptions, as the rule's page and the settings show them. */
import { useQueryClient } from '@tanstack/react-query'
import { api } from '../../api/client'
import { suppressionsQuery } from '../../api/queries'
import type { Suppression } from '../../api/types'
import { limitsText, OP_WORD } from '../../lib/exceptions'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Ago, Time } from '../../ui/Time'
import { toast, toastError } from '../../ui/toast'

export function Conditions({ exception }: { exception: Suppression }) {
  const limits = limitsText(exception)
  return (
    <>
      {exception.conditions.map((c) => (
        <div key={c.field + c.value} className="mono small wrap">
          {visible(c.field)} <span className="muted">{OP_WORD[c.op ?? 'is']}</span> {visible(c.value)}
        </div>
      ))}
      {limits && <div className="small">{limits}</div>}
      {exception.conditions.length === 0 && !limits && <div className="small">every finding of the rule</div>}
    </>
  )
}

export function Ends({ exception }: { exception: Suppression }) {
  if (!exception.active) return <span className="muted">ended</span>
  if (!exception.expires_at) return <span className="warn">never ends</span>
  return (
    <>
      until <Time iso={exception.expires_at} show="short" />
    </>
  )
}

export function useRemoveException(): (id: string) => void {
  const client = useQueryClient()
  return (id) =>
    void api
      .delete(`/suppressions/${id}`)
      .then(() => {
        toast({ tone: 'plain', text: 'Exception removed' })
        for (const queryKey of [suppressionsQuery.queryKey, ['rule']])
          void client.invalidateQueries({ queryKey })
      })
      .catch(toastError('The exception was not removed'))
}

export function ExceptionRows({ items }: { items: Suppression[] }) {
  const remove = useRemoveException()
  return (
    <Section title="Exceptions" note={items.length > 0 ? plural(items.length, 'exception') : undefined}>
      {items.length === 0 ? (
        <p className="muted quiet">None. “Except…” on an alert makes one, with its measured effect.</p>
      ) : (
        <ul className="exception-list">
          {items.map((one) => (
            <li key={one.id} data-ended={!one.active}>
              <Conditions exception={one} />
              <div className="small">{visible(one.reason)}</div>
              <div className="row small muted">
                <Ends exception={one} />
                <span className="tabular">held back {plural(one.count, 'finding')}</span>
                <span>
                  {visible(one.created_by)}, <Ago iso={one.created_at} />
                </span>
                <button type="button" className="link-button" onClick={() => remove(one.id)}>
                  Remove
                </button>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}
