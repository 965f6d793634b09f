import { expect, test } from 'vitest'
import type { SocEvent } from '../../api/types'
import { enrichmentsOf } from '../enrichments'

const event = (enrichments: string) => ({ fields: { enrichments } }) as unknown as SocEvent

test('added values say where they came from', () => {
  const note = {
    name: 'src_endpoint.ip',
    value: '81.2.69.142',
    type: 'geo',
    provider: 'city.mmdb',
    data: { 'src_endpoint.location.country': 'GB' },
  }
  expect(enrichmentsOf(event(JSON.stringify([note])))).toEqual([
    { path: 'src_endpoint.location.country', value: 'GB', type: 'geo', provider: 'city.mmdb' },
  ])
})

test('hostile text adds nothing', () => {
  for (const text of ['', '[', '{}', '[1,null,{"data":3},{"data":null}]']) {
    expect(enrichmentsOf(event(text))).toEqual([])
  }
})
