import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { api } from '../../api/client'
import { suppressionsQuery } from '../../api/queries'
import { visible } from '../../lib/text'
import { Ago, Time } from '../../ui/Time'
import { toast, toastError } from '../../ui/toast'
import { ListSection } from './parts'

export function Suppressions() {
  const query = useQuery(suppressionsQuery)
  const client = useQueryClient()
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
      heads={['Rule', 'When', 'Reason', 'Made', 'Ends', '']}
      row={(s) => (
        <tr key={s.id}>
          <td>
            <Link to="/queue" search={{ rule_id: s.rule_id, status: 'all' }}>
              {visible(s.rule_title ?? s.rule_id)}
            </Link>
          </td>
          <td className="mono small wrap">
            {s.conditions.map((c) => (
              <div key={c.field + c.value}>
                {c.field} = {visible(c.value)}
              </div>
            ))}
          </td>
          <td className="wrap">{visible(s.reason)}</td>
          <td className="muted small">
            {s.created_by && `${visible(s.created_by)}, `}
            <Ago iso={s.created_at} />
          </td>
          <td>
            <Time iso={s.expires_at} show="short" />
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
