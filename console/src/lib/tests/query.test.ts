import { describe, expect, it } from 'vitest'
import { addClause, clause, quoteValue } from '../query'

describe('quoteValue', () => {
  const check = (input: string, expected: string) => expect(quoteValue(input)).toBe(expected)
  it('leaves plain values bare', () => {
    check('WS-042', 'WS-042')
    check('203.0.113.9', '203.0.113.9')
  })
  it('quotes what the language would read otherwise', () => {
    check('a b', '"a b"')
    check('or', '"or"')
    check('say "x"', '"say \\"x\\""')
    check('C:\\Windows', '"C:\\\\Windows"')
    check('2001:db8::1', '"2001:db8::1"')
    check('', '""')
  })
})

describe('addClause', () => {
  it('starts, adds and excludes', () => {
    expect(addClause('', 'user', 'root')).toBe('user:root')
    expect(addClause('ssh', 'user', 'root')).toBe('ssh AND user:root')
    expect(addClause('ssh', 'user', 'root', true)).toBe('ssh AND NOT user:root')
  })
  it('keeps the meaning of an OR', () => {
    expect(addClause('a OR b', null, 'c')).toBe('(a OR b) AND c')
  })
  it('does not add the same twice', () => {
    expect(addClause('ssh AND user:root', 'user', 'root')).toBe('ssh AND user:root')
  })
})

describe('clause', () => {
  it('is a word without a field', () => {
    expect(clause(null, 'x')).toBe('x')
  })
})
