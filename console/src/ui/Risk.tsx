/** How much something matters: a number with a bar, and the parts that make it up. */
import type { RiskPart } from '../api/types'
import { visible } from '../lib/text'

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

interface RiskPartsProps {
  score: number
  parts: readonly RiskPart[]
  isOpen?: boolean
}

/** What a risk is made of: each part as a bar of the most that it can be, with its reason. */
export function RiskParts({ score, parts, isOpen }: RiskPartsProps) {
  if (parts.length === 0) return <p className="muted quiet">Its parts were not kept.</p>
  return (
    <details className="risk-details" open={isOpen}>
      <summary>What the risk of {score} is made of</summary>
      <ul className="risk-parts">
        {parts.map((part) => (
          <li key={part.kind} data-empty={part.points === 0}>
            <span>{PART_WORD[part.kind]}</span>
            <span className="risk-bar" aria-hidden="true">
              <span style={{ width: `${part.max > 0 ? (100 * part.points) / part.max : 0}%` }} />
            </span>
            <span className="tabular">
              {part.points} <span className="muted">of {part.max}</span>
            </span>
            <span className="muted small">{visible(part.reason)}</span>
          </li>
        ))}
      </ul>
    </details>
  )
}
