import { expect, it } from 'vitest'
import { lasting, timeLeft } from '../response'

it('says how long', () => {
  expect(lasting(null)).toBe('without end')
  expect(lasting(3600)).toBe('1 hour')
  expect(lasting(172_800)).toBe('2 days')
  expect(lasting(90)).toBe('90 seconds')
  expect(timeLeft('2026-01-01T02:00:05Z', Date.parse('2026-01-01T00:58:00Z'))).toBe('1:02:05')
  expect(timeLeft('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:58:00Z'))).toBe('0:00:00')
})
