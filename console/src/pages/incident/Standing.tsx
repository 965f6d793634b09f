/** How grave the incident is and why, and how much it matters, in parts. */
import type { IncidentDetail } from '../../api/types'
import { visible } from '../../lib/text'
import { Section } from '../../ui/Page'
import { Risk, RiskParts } from '../../ui/Risk'
import { Severity } from '../../ui/Severity'

export function Standing({ incident }: { incident: IncidentDetail }) {
  return (
    <Section title="Severity and risk">
      <div className="row">
        <Severity level={incident.severity} />
        <Risk score={incident.risk} />
      </div>
      <ul className="small standing">
        {incident.severity_by_hand && <li>A person set this severity; by the criteria:</li>}
        {incident.severity_reasons.map((reason) => (
          <li key={reason}>{visible(reason)}</li>
        ))}
      </ul>
      <RiskParts score={incident.risk} parts={incident.risk_parts} />
    </Section>
  )
}
