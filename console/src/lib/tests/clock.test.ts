import { describe, expect, it } from 'vitest'
import type { Incident, ServiceLevels } from '../../api/types'
import { incidentClock, minutesText, readMinutes } from '../clock'

const targets = { acknowledge: 15, contain: 60, resolve: null }
const levels = { targets: { critical: targets } } as unknown as ServiceLevels
const at = (minutes: number) => Date.parse('2026-03-02T12:00:00Z') + minutes * 60_000
const incident = (more: object) =>
  ({
    severity: 'critical',
    status: 'new',
    clocks: {
      detected_at: '2026-03-02T12:00:00Z',
      acknowledged_at: null,
      contained_at: null,
      resolved_at: null,
      away_s: 0,
      ...more,
    },
  }) as unknown as Incident

describe('clocks', () => {
  it('runs, is at risk, breaks, and the next one follows', () => {
    expect(incidentClock(incident({}), levels, at(11))?.state).toBe('running')
    expect(incidentClock(incident({}), levels, at(12))?.state).toBe('at_risk')
    expect(incidentClock(incident({}), levels, at(15))?.state).toBe('breached')
    const seen = incident({ acknowledged_at: '2026-03-02T12:05:00Z', away_s: 600 })
    expect(incidentClock(seen, levels, at(20))).toEqual({ kind: 'contain', dueAt: at(70), state: 'running' })
    const contained = incident({ acknowledged_at: 'x', contained_at: 'x' })
    expect(incidentClock(contained, levels, at(20))).toBeNull()
  })
  it('reads and writes minutes', () => {
    for (const text of ['90m', '4h', '3d']) expect(minutesText(readMinutes(text) ?? null)).toBe(text)
    expect(readMinutes('')).toBeNull()
    expect(readMinutes('soon')).toBeUndefined()
  })
})
