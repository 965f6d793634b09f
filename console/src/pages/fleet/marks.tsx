/** How an agent stands, and what a person should look at, in few words. */
import type { Agent } from '../../api/types'
import { visible } from '../../lib/text'

export const DOUBT_WORD: Record<Agent['doubts'][number]['kind'], string> = {
  other_machine: 'used on another machine',
  two_machines: 'two machines at once',
  other_name: 'another name',
  clock: 'clock is off',
  flood: 'floods',
  replay: 'sends again',
  expired: 'certificate is over',
  revoked: 'came though revoked',
}

export function AgentState({ agent }: { agent: Agent }) {
  if (agent.status === 'revoked') return <span className="muted">revoked</span>
  const isolated = agent.health?.is_isolated && <span className="warn">isolated</span>
  return agent.is_connected ? (
    <>
      connected{isolated && ', '}
      {isolated}
    </>
  ) : (
    <>
      <span className="warn">away</span>
      {isolated && ', '}
      {isolated}
    </>
  )
}

export function Doubts({ agent }: { agent: Agent }) {
  const troubles = agent.health?.collectors.filter((one) => one.trouble) ?? []
  if (agent.doubts.length === 0 && troubles.length === 0) return <span className="muted">–</span>
  return (
    <>
      {agent.doubts.map((doubt) => (
        <span key={doubt.kind} className="warn" title={visible(doubt.text)}>
          {DOUBT_WORD[doubt.kind]}{' '}
        </span>
      ))}
      {troubles.map((one) => (
        <span key={one.name} className="muted" title={visible(one.trouble ?? '')}>
          {visible(one.name)}{' '}
        </span>
      ))}
    </>
  )
}
