import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useMemo } from 'react'
import { rulesQuery, suppressionsQuery } from '../../api/queries'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Ago } from '../../ui/Time'
import { Conditions, Ends, useRemoveException } from '../rules/ExceptionRows'
import { ListSection } from './parts'

export function Suppressions() {
  const query = useQuery(suppressionsQuery)
  const rules = useQuery(rulesQuery(''))
  const remove = useRemoveException()
  const titles = useMemo(() => new Map(rules.data?.items.map((r) => [r.id, r.title])), [rules.data])
  return (
    <ListSection
      title="Suppressions"
      note="exceptions to rules, each with a reason"
      query={query}
      empty="None. “Except…” on an alert makes one, with its measured effect."
      heads={['Rule', 'When', 'Reason', 'Held back', 'Made', 'Ends', '']}
      row={(s) => (
        <tr key={s.id}>
          <td className="wrap">
            {s.rule_id ? (
              <Link to="/rules/$id" params={{ id: s.rule_id }}>
                {visible(titles.get(s.rule_id) ?? s.rule_id)}
              </Link>
            ) : (
              'Every rule'
            )}
          </td>
          <td className="wrap">
            <Conditions exception={s} />
          </td>
          <td className="wrap">{visible(s.reason)}</td>
          <td className="tabular">
            {plural(s.count, 'finding')}
            {s.last_at && (
              <div className="muted small">
                last <Ago iso={s.last_at} />
              </div>
            )}
          </td>
          <td className="muted small">
            {visible(s.created_by)}, <Ago iso={s.created_at} />
          </td>
          <td>
            <Ends exception={s} />
          </td>
          <td className="number">
            <button type="button" className="link-button" onClick={() => remove(s.id)}>
              Remove
            </button>
          </td>
        </tr>
      )}
    />
  )
}
