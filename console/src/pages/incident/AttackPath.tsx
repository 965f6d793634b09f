/** The path through ATT&CK: all fourteen tactics in order, the touched ones marked, techniques beneath. */
import type { IncidentDetail } from '../../api/types'
import { TACTICS, tacticKey } from '../../lib/attack'
import { plural } from '../../lib/format'
import { belongsTo } from '../../lib/techniques'
import { Section } from '../../ui/Page'

export function AttackPath({ incident }: { incident: IncidentDetail }) {
  const touched = new Set(incident.tactics.map(tacticKey))
  const techniques = new Map<string, Set<string>>()
  const alerts = new Map<string, number>()
  for (const alert of incident.alert_rows) {
    for (const tactic of alert.tactics.map(tacticKey)) {
      alerts.set(tactic, (alerts.get(tactic) ?? 0) + 1)
      const set = techniques.get(tactic) ?? new Set<string>()
      for (const technique of alert.techniques) if (belongsTo(technique, tactic)) set.add(technique)
      techniques.set(tactic, set)
    }
  }
  return (
    <Section title="ATT&CK path" note={`${plural(touched.size, 'tactic')} of ${TACTICS.length}`}>
      <ol className="tactic-strip path">
        {TACTICS.map(([key, word]) => {
          const n = alerts.get(key) ?? 0
          const isTouched = touched.has(key) || n > 0
          return (
            <li key={key} data-touched={isTouched}>
              <span>{word}</span>
              <strong className="tabular">{isTouched ? plural(n, 'alert') : '·'}</strong>
              {[...(techniques.get(key) ?? [])].sort().map((technique) => (
                <span key={technique} className="mono technique">
                  {technique}
                </span>
              ))}
            </li>
          )
        })}
      </ol>
    </Section>
  )
}
