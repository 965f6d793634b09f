/** Level, state and canary of a rule: a word and a sign, never colour alone. */
import { AlertTriangle, Check, CircleDashed, PauseCircle, RotateCw, X } from 'lucide-react'
import type { RuleRow, Severity as SeverityWord } from '../../api/types'
import { SEVERITIES } from '../../lib/format'
import { visible } from '../../lib/text'
import { Severity } from '../../ui/Severity'

const isLevel = (level: string): level is SeverityWord => (SEVERITIES as readonly string[]).includes(level)

export function Level({ level }: { level: string }) {
  return isLevel(level) ? <Severity level={level} /> : visible(level)
}

export function CanaryMark({ outcome }: { outcome: RuleRow['canary'] }) {
  if (outcome === 'pass')
    return (
      <span className="mark-line good">
        <Check size={13} aria-hidden="true" /> fires
      </span>
    )
  if (outcome === 'fail')
    return (
      <span className="mark-line warn strong">
        <X size={13} aria-hidden="true" /> fails
      </span>
    )
  return <span className="faint">none</span>
}

export function StateMark({ rule }: { rule: RuleRow }) {
  if (rule.state === 'suspended')
    return (
      <span className="mark-line warn">
        <PauseCircle size={13} aria-hidden="true" /> suspended
      </span>
    )
  if (rule.state === 'catching_up')
    return (
      <span className="mark-line">
        <RotateCw size={13} aria-hidden="true" /> catching up
      </span>
    )
  if (rule.state === 'held')
    return (
      <span className="mark-line warn" title="Its file does not load; the last good version is in force">
        <AlertTriangle size={13} aria-hidden="true" /> file broken
      </span>
    )
  if (rule.dead)
    return (
      <span className="mark-line muted" title={visible(rule.dead)}>
        <CircleDashed size={13} aria-hidden="true" /> dead
      </span>
    )
  return <span className="muted">in force</span>
}
