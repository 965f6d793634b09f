import { describe, expect, it } from 'vitest'
import { patternCore, splitMarks } from '../marks'

const shown = (text: string, values: string[]) =>
  splitMarks(text, values)
    .map((p) => (p.marked ? `[${p.text}]` : p.text))
    .join('')

describe('splitMarks', () => {
  const check = (text: string, values: string[], expected: string) =>
    expect(shown(text, values)).toBe(expected)

  it('marks every place, whatever the case', () => {
    check('Cmd and CMD', ['cmd'], '[Cmd] and [CMD]')
  })
  it('finds a value in the form JSON gives it', () => {
    check('{"p":"C:\\\\Windows\\\\x.exe"}', ['C:\\Windows\\x.exe'], '{"p":"[C:\\\\Windows\\\\x.exe]"}')
  })
  it('finds a value in the form XML gives it', () => {
    check('<a>x &amp; y</a>', ['x & y'], '<a>[x &amp; y]</a>')
  })
  it('joins overlapping marks', () => {
    check('abcdef', ['abcd', 'cdef'], '[abcdef]')
    check('abcdef', ['abcdef', 'cd'], '[abcdef]')
  })
  it('does not mark single characters or nothing', () => {
    check('1 1 1', ['1', ''], '1 1 1')
  })
  it('never loses text', () => {
    const text = 'İstanbul \u202e <b>x</b>'
    expect(
      splitMarks(text, ['stan', '<b>'])
        .map((p) => p.text)
        .join(''),
    ).toBe(text)
  })
})

describe('patternCore', () => {
  it('is the longest literal piece', () => {
    expect(patternCore('* -EncodedCommand *')).toBe(' -EncodedCommand ')
    expect(patternCore('*')).toBe('')
  })
})
