/**
 * Text from events is hostile. It is only ever put into text nodes, and characters that would hide
 * or reorder what the analyst reads (controls, bidi overrides, zero width) are shown escaped.
 */

const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

const SHORT: Record<string, string> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' }

function escapeCharacter(character: string): string {
  const short = SHORT[character]
  if (short) return short
  const code = character.charCodeAt(0)
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u{${code.toString(16).padStart(4, '0')}}`
}

/** Shows every control, bidi and invisible character as an escape. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escapeCharacter)
}

/** As `visible`, but keeps line feeds and tabs, for blocks that wrap. */
export function visibleBlock(text: string): string {
  return text.replace(HIDDEN, (c) => (c === '\n' || c === '\t' ? c : escapeCharacter(c)))
}

/** Writes an address or name so that no program will turn it into a link. */
export function defang(value: string): string {
  return value
    .replace(/^http/i, (scheme) => (scheme === scheme.toUpperCase() ? 'HXXP' : 'hxxp'))
    .replace(/:\/\//g, '[://]')
    .replace(/@/g, '[@]')
    .replace(/\./g, '[.]')
    .replace(/(?<=[0-9a-f]):(?=[0-9a-f:])/gi, '[:]')
}

/** Any field value as one line of text. */
export function valueText(value: unknown): string {
  if (value === null || value === undefined) return ''
  return typeof value === 'string' ? value : typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export function truncateMiddle(text: string, max: number): string {
  if (text.length <= max) return text
  const head = Math.ceil((max - 1) * 0.6)
  return `${text.slice(0, head)}…${text.slice(text.length - (max - 1 - head))}`
}

/** The server counts places in bytes of UTF-8; the screen counts in characters of JavaScript. */
export function charIndex(text: string, byte: number): number {
  const head = new TextEncoder().encode(text).subarray(0, Math.max(0, byte))
  return new TextDecoder().decode(head).length
}

/** The other way round: the byte at which a character of JavaScript begins. */
export function byteIndex(text: string, index: number): number {
  return new TextEncoder().encode(text.slice(0, index)).length
}
