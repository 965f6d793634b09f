/** Splits text into plain and marked parts, so that matches are shown with <mark> and never as markup. */

export interface Part {
  text: string
  marked: boolean
}

/** Forms in which a field value may stand in the raw line: as it is, and as JSON or XML escape it. */
function forms(value: string): string[] {
  const json = JSON.stringify(value).slice(1, -1)
  const xml = value.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;')
  return [...new Set([value, json, xml])]
}

export function splitMarks(text: string, values: readonly string[]): Part[] {
  const haystack = text.toLowerCase()
  // Lower-casing may change the length of rare characters; offsets would then lie.
  const comparable = haystack.length === text.length ? haystack : text
  const spans: [number, number][] = []
  for (const value of values) {
    if (value.length < 2) continue
    for (const form of forms(value)) {
      const needle = comparable === haystack ? form.toLowerCase() : form
      for (
        let at = comparable.indexOf(needle);
        at >= 0;
        at = comparable.indexOf(needle, at + needle.length)
      ) {
        spans.push([at, at + needle.length])
      }
    }
  }
  spans.sort((a, b) => a[0] - b[0] || b[1] - a[1])
  const parts: Part[] = []
  let end = 0
  for (const [from, to] of spans) {
    const start = Math.max(from, end)
    if (to <= end) continue
    if (start > end) parts.push({ text: text.slice(end, start), marked: false })
    const last = parts.at(-1)
    if (last?.marked) last.text += text.slice(start, to)
    else parts.push({ text: text.slice(start, to), marked: true })
    end = to
  }
  if (end < text.length) parts.push({ text: text.slice(end), marked: false })
  return parts
}

/** The literal core of a pattern (wildcards and anchors cut), for marking where the value itself is not found. */
export function patternCore(pattern: string): string {
  return pattern
    .split(/[*?]+/)
    .reduce((longest, piece) => (piece.length > longest.length ? piece : longest), '')
}
