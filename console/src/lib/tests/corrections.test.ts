import { describe, expect, it } from 'vitest'
import type { IncidentAlert } from '../../api/types'
import { attachedByHand, correctionsOf } from '../corrections'

const entry = (minute: number, actor: string, action: string, detail: string) => ({
  at: `2026-03-02T12:0${minute}:00Z`,
  actor,
  action,
  detail,
})

describe('corrections', () => {
  it('are told apart from other work, newest first, what apart from why', () => {
    const found = correctionsOf([
      entry(1, 'watchfloor', 'incident.merge', 'incident #2 was merged into #1: they share WS-042'),
      entry(2, 'mara', 'incident.note', 'alert al-1 taken out: no'),
      entry(3, 'mara', 'incident.detach', 'alert al-7 taken out: another machine: the backup'),
      entry(4, 'jo', 'incident.split', '#9 was split off from #1'),
    ])
    expect(found.map((one) => [one.title, one.what, one.reason, one.alertId])).toEqual([
      ['Split', '#9 was split off from #1', '', null],
      ['Alert taken out', 'alert al-7 taken out', 'another machine: the backup', 'al-7'],
    ])
  })

  it('names the alerts that a person attached', () => {
    const alerts = [
      { id: 'al-1', attachment_reasons: ['same user j.doe'] },
      { id: 'al-2', attachment_reasons: ['attached by mara: the same mail'] },
    ] as unknown as IncidentAlert[]
    expect(attachedByHand(alerts).map((one) => [one.alert.id, one.why])).toEqual([
      ['al-2', 'attached by mara: the same mail'],
    ])
  })
})
