/** Where the letter at a place of a text box is on the screen: the browser says so of no text box. */

const COPIED = [
  'boxSizing',
  'width',
  'borderTopWidth',
  'borderRightWidth',
  'borderBottomWidth',
  'borderLeftWidth',
  'paddingTop',
  'paddingRight',
  'paddingBottom',
  'paddingLeft',
  'fontFamily',
  'fontSize',
  'fontWeight',
  'fontStyle',
  'fontVariantNumeric',
  'fontFeatureSettings',
  'letterSpacing',
  'lineHeight',
  'tabSize',
  'textIndent',
  'textTransform',
  'wordSpacing',
] as const

export interface CaretPlace {
  left: number
  top: number
  bottom: number
}

/** Lays the text out once more, unseen, and measures there. In coordinates of the window. */
export function caretPlace(box: HTMLTextAreaElement | HTMLInputElement, at: number): CaretPlace {
  const style = getComputedStyle(box)
  const isLine = box instanceof HTMLInputElement
  const twin = document.createElement('div')
  for (const name of COPIED) twin.style[name] = style[name]
  Object.assign(twin.style, {
    position: 'fixed',
    top: '0',
    left: '0',
    visibility: 'hidden',
    whiteSpace: isLine ? 'pre' : 'pre-wrap',
    overflowWrap: 'break-word',
    ...(isLine ? { width: 'auto' } : {}),
  })
  twin.textContent = box.value.slice(0, at)
  const mark = document.createElement('span')
  mark.textContent = box.value.slice(at, at + 1) || '.'
  twin.append(mark)
  document.body.append(twin)
  const frame = twin.getBoundingClientRect()
  const letter = mark.getBoundingClientRect()
  twin.remove()
  const rect = box.getBoundingClientRect()
  const left = rect.left + letter.left - frame.left - box.scrollLeft
  // A line is centred in its box by the browser; the twin begins at its top.
  const top = isLine ? rect.top : rect.top + letter.top - frame.top - box.scrollTop
  const bottom = isLine ? rect.bottom : top + letter.height
  return {
    left: Math.max(rect.left, Math.min(left, rect.right)),
    top: Math.max(rect.top, Math.min(top, rect.bottom)),
    bottom: Math.max(rect.top, Math.min(bottom, rect.bottom)),
  }
}
