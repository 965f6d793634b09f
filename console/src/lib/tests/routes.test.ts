import { describe, expect, it } from 'vitest'
import type { LedgerRow, SocEvent } from '../../api/types'
import { addedBy } from '../enrichments'
import { kindsOfPacks } from '../mappings'
import { leftOutByRoutes } from '../routes'

describe('what stands beside events', () => {
  it('routes are told by their reason in the ledger, over all hours', () => {
    const row = (source: string, received: number, dropped: Record<string, number>) =>
      ({ source, received, dropped }) as unknown as LedgerRow
    expect(
      leftOutByRoutes([
        row('shop', 100, { 'route:no-debug': 20, too_large: 3 }),
        row('shop', 100, { 'route:no-debug': 30 }),
        row('fw', 10, { 'route:few-flows': 9 }),
      ]),
    ).toEqual([
      { route: 'no-debug', source: 'shop', records: 50, share: 0.25 },
      { route: 'few-flows', source: 'fw', records: 9, share: 0.9 },
    ])
  })

  it('a kind that many rules meet counts once', () => {
    const kinds = kindsOfPacks([
      { kinds: [{ kind: 'windows/process', events: 7 }] },
      {
        kinds: [
          { kind: 'windows/process', events: 7 },
          { kind: 'windows/logon', events: 9 },
        ],
      },
    ])
    expect(kinds.get('windows')).toEqual([
      { name: 'logon', events: 9 },
      { name: 'process', events: 7 },
    ])
  })

  it('an attribute is counted once an event, by who added it', () => {
    const event = (value: string) =>
      ({
        fields: {
          enrichments: JSON.stringify([
            { type: 'asset', provider: 'assets.csv', data: { 'device.criticality': value } },
          ]),
        },
      }) as unknown as SocEvent
    expect(addedBy([event('high'), event('low')])).toEqual([
      { provider: 'assets.csv', type: 'asset', path: 'device.criticality', value: 'high', events: 2 },
    ])
  })
})
