import { describe, expect, it } from 'vitest'
import { addClause, clause, isPipe, pipeHead, quoteValue } from '../query'

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

describe('isPipe', () => {
  it('knows SQL by its beginning', () => {
    expect(isPipe('SELECT count(*)\nFROM events')).toBe(true)
    expect(isPipe('with a as (select 1) select * from a')).toBe(true)
    expect(isPipe('select user')).toBe(false)
    expect(isPipe('with john')).toBe(false)
  })

  const check = (input: string, expected: boolean) => expect(isPipe(input), input).toBe(expected)
  it('finds a pipe outside of quotes', () => {
    check('class:authentication | summarize count() by user.name', true)
    check('|take 5', true)
    check('cmd:"a b" | take 5', true)
    check('cmd:"a \\" | b"', false)
    check('cmd:"a \\\\" | take 5', true)
    check('cmd:"curl x | sh"', false)
    check('C:\\" | take 5', false)
  })
  it('knows beginnings that need no pipe', () => {
    check('let x = 5; print x', true)
    check('  print now()', true)
    check('union a, b | count', true)
    check('datatable(a:string)["x"]', true)
    check('// a note', true)
    check('range x from 1 to 10 step 1', true)
  })
  it('leaves searches alone', () => {
    for (const text of [
      '',
      'powershell',
      'printer',
      'letter',
      'unions',
      'print spooler',
      'let me in',
      'union jack',
      'range from',
      'user:"let x"',
    ]) {
      check(text, false)
    }
  })
})

describe('pipeHead', () => {
  it('is the search before the verbs', () => {
    expect(pipeHead('a "x|y" | take 5 | count')).toBe('a "x|y"')
    expect(pipeHead('a')).toBe('a')
    expect(pipeHead('let x = a | take 5')).toBe('')
  })
  it('is what a value of a row narrows', () => {
    expect(addClause('class:x | summarize count() by user', 'user', 'root')).toBe('class:x AND user:root')
    expect(addClause('* | count', 'user', 'root', true)).toBe('NOT user:root')
    expect(addClause('print x = 1', 'user', 'root')).toBe('user:root')
  })
})

describe('clause', () => {
  it('is a word without a field', () => {
    expect(clause(null, 'x')).toBe('x')
  })
})
