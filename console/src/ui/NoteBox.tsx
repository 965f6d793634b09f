/**
 * A box for a note, which offers people once an `@` is written: the caret stays in the text, arrows walk
 * the list that stands at it, Enter or Tab puts a name in, Escape closes the list and nothing else.
 */
import { useQuery } from '@tanstack/react-query'
import { type KeyboardEvent, useEffect, useId, useLayoutEffect, useRef, useState } from 'react'
import { usersQuery } from '../api/queries'
import type { UserRow } from '../api/types'
import { caretPlace } from '../lib/caret'
import { plural } from '../lib/format'
import { type Mentioning, mentionAt, peopleFor, putMention } from '../lib/mention'
import { visible } from '../lib/text'
import { sendOnControlEnter } from './Form'

type Box = HTMLTextAreaElement | HTMLInputElement

interface NoteBoxProps {
  value: string
  onChange: (text: string) => void
  id?: string
  /** One line, or so many. */
  rows?: number
  /** Its name; the list that comes and goes is no part of it. */
  label: string
  placeholder?: string
  disabled?: boolean
  autoFocus?: boolean
}

const GAP_PX = 4
const LIST_WIDTH_PX = 260
const LIST_HEIGHT_PX = 250

export function NoteBox(props: NoteBoxProps) {
  const { value, onChange, rows, label, placeholder, disabled, autoFocus, id: boxId } = props
  const id = useId()
  const box = useRef<Box | null>(null)
  const list = useRef<HTMLDivElement>(null)
  const caret = useRef<number | null>(null)
  const [at, setAt] = useState<Mentioning | null>(null)
  const [active, setActive] = useState(0)
  const people = useQuery({ ...usersQuery, enabled: at !== null, staleTime: 60_000 }).data?.items
  const found = at && people ? peopleFor(people, at.typed) : []
  const isOpen = found.length > 0
  const chosen = Math.min(active, found.length - 1)
  const start = at?.start ?? 0

  useLayoutEffect(() => {
    if (caret.current === null) return
    box.current?.setSelectionRange(caret.current, caret.current)
    caret.current = null
  })
  useLayoutEffect(() => {
    const element = list.current
    if (!isOpen || !element || !box.current) return
    element.showPopover()
    const place = caretPlace(box.current, start)
    const height = Math.min(element.offsetHeight, LIST_HEIGHT_PX)
    const isAbove = place.bottom + GAP_PX + height > window.innerHeight
    element.style.left = `${Math.max(GAP_PX, Math.min(place.left, window.innerWidth - LIST_WIDTH_PX - GAP_PX))}px`
    element.style.top = `${isAbove ? place.top - GAP_PX - height : place.bottom + GAP_PX}px`
  })
  useEffect(() => {
    if (!isOpen) return
    // The list stands where the letter stood; when that moves, it is in the way.
    const close = (event: Event) => event.target !== list.current && setAt(null)
    window.addEventListener('scroll', close, true)
    window.addEventListener('resize', close)
    return () => {
      window.removeEventListener('scroll', close, true)
      window.removeEventListener('resize', close)
    }
  }, [isOpen])

  const look = (element: Box) => {
    const { selectionStart: from, selectionEnd: to } = element
    setAt(from !== null && from === to ? mentionAt(element.value, from) : null)
    setActive(0)
  }
  const put = (person: UserRow) => {
    if (!at) return
    const next = putMention(value, at, person.name)
    caret.current = next.caret
    setAt(null)
    onChange(next.text)
  }
  const onKeyDown = (event: KeyboardEvent<Box>) => {
    const person = found[chosen]
    const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.shiftKey
    if (event.nativeEvent.isComposing) return
    if (rows) sendOnControlEnter(event)
    if (!person || !isPlain) return
    else if (event.key === 'ArrowDown') setActive(chosen >= found.length - 1 ? 0 : chosen + 1)
    else if (event.key === 'ArrowUp') setActive(chosen <= 0 ? found.length - 1 : chosen - 1)
    else if (event.key === 'Enter' || event.key === 'Tab') put(person)
    else if (event.key === 'Escape') {
      setAt(null)
      event.stopPropagation()
    } else return
    event.preventDefault()
  }
  const shared = {
    ref: (element: Box | null) => {
      box.current = element
    },
    // A box of several lines is a text box; it is a combobox as long as there is something to choose.
    role: isOpen ? ('combobox' as const) : undefined,
    id: boxId,
    'aria-label': label,
    'aria-autocomplete': 'list' as const,
    'aria-expanded': isOpen ? true : undefined,
    'aria-controls': isOpen ? `${id}-people` : undefined,
    'aria-activedescendant': isOpen ? `${id}-${chosen}` : undefined,
    'data-autofocus': autoFocus || undefined,
    placeholder,
    disabled,
    value,
    onChange: (event: { target: Box }) => {
      onChange(event.target.value)
      look(event.target)
    },
    onKeyDown,
    onKeyUp: (event: KeyboardEvent<Box>) => {
      if (/^(ArrowLeft|ArrowRight|Home|End)$/.test(event.key)) look(event.currentTarget)
    },
    onPointerUp: (event: { currentTarget: Box }) => look(event.currentTarget),
    onBlur: () => setAt(null),
  }
  return (
    <div className="note-box">
      {rows ? (
        <textarea {...shared} rows={rows} className="input" />
      ) : (
        <input {...shared} className="input" />
      )}
      {isOpen && (
        <div
          ref={list}
          id={`${id}-people`}
          role="listbox"
          aria-label="People"
          popover="manual"
          className="menu people"
        >
          {found.map((person, i) => (
            <div
              key={person.id}
              id={`${id}-${i}`}
              role="option"
              tabIndex={-1}
              aria-selected={i === chosen}
              className="option"
              // The box keeps the focus, so that writing goes on.
              onPointerDown={(event) => {
                event.preventDefault()
                put(person)
              }}
              onPointerMove={() => setActive(i)}
            >
              <span className="option-title">@{visible(person.name)}</span>
              <span className="muted small">{person.role}</span>
            </div>
          ))}
        </div>
      )}
      <span className="hidden-text" aria-live="polite">
        {isOpen ? `${plural(found.length, 'person', 'people')}: arrows choose, Enter puts in` : ''}
      </span>
    </div>
  )
}
