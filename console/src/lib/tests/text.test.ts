import { describe, expect, it } from 'vitest'
import { charIndex, defang, truncateMiddle, valueText, visible, visibleBlock } from '../text'

describe('visible', () => {
  const check = (input: string, expected: string) => expect(visible(input)).toBe(expected)

  it('leaves plain text, accents and emoji alone', () => {
    check('powershell.exe -NoP', 'powershell.exe -NoP')
    check('Zoë Müller 日本 🙂', 'Zoë Müller 日本 🙂')
  })
  it('shows controls', () => {
    check('a\u0000b\u001b[31mc', 'a\\0b\\x1b[31mc')
    check('a\nb\r\tc', 'a\\nb\\r\\tc')
    check('a\u0085b', 'a\\x85b')
  })
  it('shows bidi overrides and isolates', () => {
    check('\u202egnp.exe', '\\u{202e}gnp.exe')
    check('\u2066x\u2069', '\\u{2066}x\\u{2069}')
  })
  it('shows what has no width', () => {
    check('pay\u200bpal\ufeff', 'pay\\u{200b}pal\\u{feff}')
    check('soft\u00adhyphen', 'soft\\xadhyphen')
  })
  it('shows lone surrogates', () => {
    check('a\ud83db', 'a\\u{d83d}b')
    check('a\ude42b', 'a\\u{de42}b')
  })
  it('leaves markup as the text it is', () => {
    check('<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>')
  })
})

describe('visibleBlock', () => {
  it('keeps line feeds and tabs only', () => {
    expect(visibleBlock('a\n\tb\u0007')).toBe('a\n\tb\\x07')
  })
})

describe('defang', () => {
  const check = (input: string, expected: string) => expect(defang(input)).toBe(expected)
  it('breaks addresses, domains, URLs and mail', () => {
    check('203.0.113.9', '203[.]0[.]113[.]9')
    check('https://evil.example/a', 'hxxps[://]evil[.]example/a')
    check('a@evil.example', 'a[@]evil[.]example')
    check('2001:db8::1', '2001[:]db8[:]:1')
  })
})

describe('valueText', () => {
  it('writes any value on one line', () => {
    expect(valueText(null)).toBe('')
    expect(valueText(0)).toBe('0')
    expect(valueText(['a', 1])).toBe('["a",1]')
  })
})

describe('truncateMiddle', () => {
  it('keeps both ends', () => {
    expect(truncateMiddle('abcdefghij', 10)).toBe('abcdefghij')
    expect(truncateMiddle('abcdefghijk', 6)).toBe('abc…jk')
  })
})

describe('charIndex', () => {
  it('turns places in bytes into places in the text', () => {
    expect(charIndex('user:"x', 5)).toBe(5)
    expect(charIndex('é:"', 3)).toBe(2)
    expect(charIndex('ab', 99)).toBe(2)
  })
})
