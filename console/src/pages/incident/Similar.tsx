/** Incidents like this one, and how they ended. */
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { similarIncidentsQuery } from '../../api/queries'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Status } from '../../ui/Status'
import { Ago } from '../../ui/Time'

export function Similar({ id }: { id: string }) {
  const { data } = useQuery(similarIncidentsQuery(id))
  const rows = data?.items ?? []
  return (
    <Section title="Similar incidents before" note={data ? plural(rows.length, 'incident') : undefined}>
      {data && rows.length === 0 && (
        <p className="muted quiet">None in the last half year with the same rules or things.</p>
      )}
      <ul className="plain-list similar">
        {rows.map((other) => (
          <li key={other.id}>
            <div className="row">
              <Link to="/incidents/$id" params={{ id: other.id }} className="strong">
                #{other.number} {visible(other.title)}
              </Link>
              <Status status={other.status} verdict={other.verdict} />
              <span className="muted small">
                <Ago iso={other.last_time} />
              </span>
            </div>
            <div className="small muted">{other.reasons.map((reason) => visible(reason)).join(' · ')}</div>
          </li>
        ))}
      </ul>
    </Section>
  )
}
