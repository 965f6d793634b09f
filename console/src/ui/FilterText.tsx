/** A filter by text: what is typed goes into the address once the hands rest. */
import { useEffect, useRef, useState } from 'react'
import { useUrlState } from '../lib/url'

const TYPING_MS = 200

export function FilterText({ label, placeholder }: { label: string; placeholder: string }) {
  const [search, set] = useUrlState()
  const asked = search.text ?? ''
  const [text, setText] = useState(asked)
  const sent = useRef(asked)
  useEffect(() => {
    // Going back changes the address too; what came from here must not overwrite what is typed since.
    if (asked !== sent.current) setText(asked)
    sent.current = asked
  }, [asked])
  useEffect(() => {
    if (text === asked) return
    const timer = setTimeout(() => {
      sent.current = text
      set({ text })
    }, TYPING_MS)
    return () => clearTimeout(timer)
  }, [text, asked, set])
  return (
    <input
      className="input filter-text"
      type="search"
      aria-label={label}
      placeholder={placeholder}
      value={text}
      onChange={(e) => setText(e.target.value)}
    />
  )
}
