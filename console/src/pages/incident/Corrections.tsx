/** What people corrected here, each with its reason: it wins over what is automatic from then on. */
import { Link } from '@tanstack/react-router'
import type { IncidentDetail } from '../../api/types'
import { attachedByHand, correctionsOf } from '../../lib/corrections'
import { plural } from '../../lib/format'
import { visible, visibleBlock } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Time } from '../../ui/Time'

export function Corrections({ incident }: { incident: IncidentDetail }) {
  const corrections = correctionsOf(incident.history)
  const attached = attachedByHand(incident.alert_rows)
  return (
    <Section
      title="Corrections"
      note={corrections.length > 0 ? `${plural(corrections.length, 'correction')}, kept` : undefined}
    >
      {corrections.length === 0 && attached.length === 0 ? (
        <p className="muted quiet">
          Nobody corrected what was put together here. Attach, take out, split and merge ask why and are
          remembered.
        </p>
      ) : (
        <ol className="history">
          {corrections.map((one, i) => (
            <li key={i}>
              <div className="small">
                <strong>{one.title}</strong>{' '}
                <span className="muted">
                  {visible(one.actor)}, <Time iso={one.at} show="short" />
                </span>
              </div>
              {one.alertId ? (
                <Link className="small" to="/alerts/$id" params={{ id: one.alertId }}>
                  Alert {visible(one.alertId)}
                </Link>
              ) : (
                one.what.toLowerCase() !== one.title.toLowerCase() && (
                  <div className="small muted">{visible(one.what)}</div>
                )
              )}
              <div className="history-detail">
                {one.reason ? visibleBlock(one.reason) : <span className="muted">No reason was given.</span>}
              </div>
            </li>
          ))}
        </ol>
      )}
      {attached.length > 0 && (
        <ul className="plain-list small" aria-label="Alerts attached by people">
          {attached.map(({ alert, why }) => (
            <li key={alert.id}>
              <Link to="/alerts/$id" params={{ id: alert.id }}>
                {visible(alert.title)}
              </Link>{' '}
              <span className="muted">{visible(why)}</span>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}
