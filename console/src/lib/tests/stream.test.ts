import { describe, expect, it } from 'vitest'
import { mergeEvents } from '../../api/search'
import { EventCutter } from '../../api/stream'
import type { SocEvent } from '../../api/types'
import { byteIndex, charIndex } from '../text'

const event = (id: string, time: string) => ({ id, time }) as SocEvent

describe('streams', () => {
  it('are cut into events wherever the pieces end', () => {
    const text = 'event: part\ndata: {"a":1}\n\nevent: ping\ndata: {}\n\nevent: end\ndata: [1,\ndata: 2]\n\n'
    for (let size = 1; size < text.length; size += 1) {
      const cutter = new EventCutter()
      const events = []
      for (let at = 0; at < text.length; at += size) events.push(...cutter.push(text.slice(at, at + size)))
      expect(events).toEqual([
        { name: 'part', data: { a: 1 } },
        { name: 'ping', data: {} },
        { name: 'end', data: [1, 2] },
      ])
    }
  })

  it('keep the first events of all parts in the asked order', () => {
    const known = [event('9-0', '2026-01-01T00:00:09Z'), event('5-0', '2026-01-01T00:00:05Z')]
    const more = [event('10-0', '2026-01-01T00:00:09Z'), event('7-0', '2026-01-01T00:00:07.5Z')]
    const ids = (order: 'asc' | 'desc', limit: number) =>
      mergeEvents(known, more, order, limit).map((e) => e.id)
    expect(ids('desc', 3)).toEqual(['10-0', '9-0', '7-0'])
    expect(ids('asc', 9)).toEqual(['5-0', '7-0', '9-0', '10-0'])
  })
})

describe('places', () => {
  it('go from characters to bytes and back', () => {
    const text = 'ü"€😀x'
    for (const at of [0, 1, 2, 3, 5, 6]) expect(charIndex(text, byteIndex(text, at))).toBe(at)
    expect(byteIndex(text, 3)).toBe(6)
  })
})
