import { describe, expect, it } from 'vitest'
import { mentionAt, peopleFor, putMention } from '../mention'

const person = (name: string, disabled = false) => ({ name, disabled })

describe('mentions', () => {
  it('is one where the server reads one', () => {
    expect(mentionAt('ask @ma', 7)).toEqual({ start: 4, end: 7, typed: 'ma' })
    expect(mentionAt('@', 1)).toEqual({ start: 0, end: 1, typed: '' })
    expect(mentionAt('(@jörg.k, please', 7)).toEqual({ start: 1, end: 8, typed: 'jörg.' })
    expect(mentionAt('mail j.doe@example.org', 22)).toBeNull()
    expect(mentionAt('ask @mara now', 13)).toBeNull()
    expect(mentionAt('no name', 7)).toBeNull()
  })

  it('offers those who can be meant, the likeliest first', () => {
    const people = [person('tamara'), person('mark', true), person('mara'), person('ma ya'), person('mo.')]
    expect(peopleFor(people, 'MA').map((one) => one.name)).toEqual(['mara', 'tamara'])
    expect(peopleFor(people, '').map((one) => one.name)).toEqual(['mara', 'tamara'])
  })

  it('puts the name in for the whole word and goes behind it', () => {
    const text = 'ask @maxx and wait'
    const at = mentionAt(text, 7)
    expect(at && putMention(text, at, 'mara')).toEqual({ text: 'ask @mara and wait', caret: 10 })
    const end = mentionAt('@m', 2)
    expect(end && putMention('@m', end, 'mara')).toEqual({ text: '@mara ', caret: 6 })
  })
})
