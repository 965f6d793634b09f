import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { api } from '../../api/client'
import { rulesQuery, suppressionsQuery } from '../../api/queries'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Ago, Time } from '../../ui/Time'
import { toast, toastError } from '../../ui/toast'
import { ListSection } from './parts'

export function Suppressions() {
  const query = useQuery(suppressionsQuery)
  const rules = useQuery(rulesQuery(''))
  const client = useQueryClient()
  const titles = useMemo(() => new Map(rules.data?.items.map((r) => [r.id, r.title])), [rules.data])
  const remove = (id: string) =>
    api
      .delete(`/suppressions/${id}`)
      .then(() => {
        toast({ tone: 'plain', text: 'Suppression removed' })
        void client.invalidateQueries({ queryKey: suppressionsQuery.queryKey })
      })
      .catch(toastError('The suppression was not removed'))
  return (
    <ListSection
      title="Suppressions"
      note="exceptions to rules, each with a reason and an end"
      query={query}
      empty="None. Pressing f on an alert offers one, with its measured effect."
      heads={['Rule', 'When', 'Reason', 'Held back', 'Made', 'Ends', '']}
      row={(s) => (
        <tr key={s.id}>
          <td>
            {s.rule_id ? (
              <Link to="/queue" search={{ rule_id: s.rule_id, status: 'all' }}>
                {visible(titles.get(s.rule_id) ?? s.rule_id)}
              </Link>
            ) : (
              'Every rule'
            )}
          </td>
          <td className="mono small wrap">
            {s.conditions.map((c) => (
              <div key={c.field + c.value}>
                {c.field} = {visible(c.value)}
              </div>
            ))}
          </td>
          <td className="wrap">{visible(s.reason)}</td>
          <td className="tabular">{plural(s.count, 'finding')}</td>
          <td className="muted small">
            {visible(s.created_by)}, <Ago iso={s.created_at} />
          </td>
          <td>
            {s.active ? <Time iso={s.expires_at} show="short" /> : <span className="muted">ended</span>}
          </td>
          <td className="number">
            <button type="button" className="link-button" onClick={() => void remove(s.id)}>
              Remove
            </button>
          </td>
        </tr>
      )}
    />
  )
}
