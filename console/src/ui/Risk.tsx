/** How much something matters: a number with a bar, and the parts that make it up. */
import type { RiskPart } from '../api/types'

const PART_WORD: Record<RiskPart['kind'], string> = {
  severity: 'Severity',
  criticality: 'Asset criticality',
  indicator: 'Indicator confidence',
  rarity: 'Rarity',
  vulnerability: 'Vulnerability',
  progress: 'Tactic progress',
}

export function Risk({ score }: { score: number }) {
  return (
    <span className="risk tabular" title={`Risk ${score} of 100`}>
      <span className="risk-bar" aria-hidden="true">
        <span style={{ width: `${score}%` }} />
      </span>
      {score}
    </span>
  )
}

export function RiskParts({ parts }: { parts: readonly RiskPart[] }) {
  return (
    <table className="risk-parts">
      <tbody>
        {parts.map((part) => (
          <tr key={part.kind}>
            <th scope="row">{PART_WORD[part.kind]}</th>
            <td className="tabular number">
              {part.points} <span className="muted">of {part.max}</span>
            </td>
            <td className="muted">{part.reason}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
