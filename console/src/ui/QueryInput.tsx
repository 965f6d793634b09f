/**
 * An input for the hunt language with completion, as the ARIA combobox pattern has it: the caret stays
 * in the text, arrows walk the list, Tab or Enter puts the walked-to one in, and Enter without one asks.
 */
import { type Ref, useEffect, useId, useImperativeHandle, useRef, useState } from 'react'
import { api } from '../api/client'
import type { Completion, Completions } from '../api/types'
import { byteIndex, charIndex, visible } from '../lib/text'

/** The text is left alone for so long before it is asked what fits. */
const REST_MS = 60
const SHOWN_MAX = 40

const KINDS: Record<string, string> = {
  field: 'field',
  verb: 'verb',
  function: 'function',
  table: 'table',
  keyword: 'word',
  value: 'value',
}

interface QueryInputProps {
  ref?: Ref<HTMLInputElement>
  value: string
  onChange: (text: string) => void
  label: string
  placeholder: string
  isLarge?: boolean
  describedBy?: string
  isInvalid?: boolean
}

interface Offer {
  items: Completion[]
  start: number
  end: number
  /** For this text and caret. */
  text: string
  caret: number
}

async function ask(text: string, caret: number, signal: AbortSignal): Promise<Offer> {
  const body = { query: text, at: byteIndex(text, caret) }
  const found = await api.post<Completions>('/completions', body, signal)
  return {
    items: found.items.slice(0, SHOWN_MAX),
    start: charIndex(text, found.start),
    end: charIndex(text, found.end),
    text,
    caret,
  }
}

export function QueryInput(props: QueryInputProps) {
  const { ref, value, onChange, label, placeholder, isLarge, describedBy, isInvalid } = props
  const id = useId()
  const input = useRef<HTMLInputElement>(null)
  useImperativeHandle(ref, () => input.current as HTMLInputElement)
  const [offer, setOffer] = useState<Offer | null>(null)
  const [at, setAt] = useState(-1)
  const [wanted, setWanted] = useState<{ text: string; caret: number; isAsked: boolean } | null>(null)

  useEffect(() => {
    if (!wanted) return
    const abort = new AbortController()
    const timer = setTimeout(
      () =>
        ask(wanted.text, wanted.caret, abort.signal).then(
          (found) => {
            // What is written out already is no help.
            const written = wanted.text.slice(found.start, wanted.caret)
            const items = found.items.filter((item) => item.insert.trimEnd() !== written)
            setOffer(items.length > 0 ? { ...found, items } : null)
            setAt(-1)
          },
          // Completion is a help: without it the question is written by hand.
          () => {},
        ),
      wanted.isAsked ? 0 : REST_MS,
    )
    return () => {
      clearTimeout(timer)
      abort.abort()
    }
  }, [wanted])

  const close = () => {
    setWanted(null)
    setOffer(null)
    setAt(-1)
  }
  const want = (text: string, caret: number, isAsked = false) => {
    // Nothing is offered before something was written: an empty bar is for Enter and examples.
    if (text.slice(0, caret).trim() === '' && !isAsked) close()
    else setWanted({ text, caret, isAsked })
  }
  const putIn = (item: Completion, from: Offer) => {
    const next = from.text.slice(0, from.start) + item.insert + from.text.slice(from.end)
    const caret = from.start + item.insert.length
    onChange(next)
    setOffer(null)
    setAt(-1)
    requestAnimationFrame(() => input.current?.setSelectionRange(caret, caret))
    // A field wants its value, a verb what stands behind it.
    if (/[:( ]$/.test(item.insert)) want(next, caret)
    else setWanted(null)
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    const chosen = offer?.items[at]
    const first = offer?.items[0]
    const last = (offer?.items.length ?? 0) - 1
    if (event.key === ' ' && event.ctrlKey) {
      const element = event.currentTarget as HTMLInputElement
      want(element.value, element.selectionStart ?? element.value.length, true)
    } else if (!offer || event.nativeEvent.isComposing) return
    else if (event.key === 'ArrowDown') setAt(at >= last ? 0 : at + 1)
    else if (event.key === 'ArrowUp') setAt(at <= 0 ? last : at - 1)
    else if (event.key === 'Tab' && !event.shiftKey && first) putIn(chosen ?? first, offer)
    else if (event.key === 'Enter' && chosen) putIn(chosen, offer)
    else if (event.key === 'Escape') {
      close()
      event.stopPropagation()
    } else return
    event.preventDefault()
  }
  const written = offer ? offer.text.slice(offer.start, offer.caret) : ''
  return (
    <div className="query-input">
      <input
        ref={input}
        {...(isLarge ? { 'data-hunt-query': '' } : {})}
        className="mono"
        role="combobox"
        aria-label={label}
        aria-expanded={offer !== null}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        aria-activedescendant={offer && at >= 0 ? `${id}-${at}` : undefined}
        aria-invalid={isInvalid}
        aria-describedby={describedBy}
        placeholder={placeholder}
        spellCheck={false}
        autoComplete="off"
        autoCapitalize="off"
        value={value}
        onChange={(event) => {
          const { value: text, selectionStart } = event.target
          onChange(text)
          want(text, selectionStart ?? text.length)
        }}
        onKeyDown={onKeyDown}
        onKeyUp={(event) => {
          // The caret moved to another place: what was offered stands no more.
          if (/^(ArrowLeft|ArrowRight|Home|End)$/.test(event.key)) close()
        }}
        onPointerDown={close}
        onBlur={close}
      />
      {/* The list is there while it is empty, so that what the input controls always exists. */}
      <div
        id={`${id}-list`}
        role="listbox"
        aria-label="What fits here"
        className="menu completions"
        hidden={!offer}
      >
        {offer?.items.map((item, i) => (
          <Option
            key={i}
            id={`${id}-${i}`}
            item={item}
            written={written}
            isChosen={i === at}
            onChoose={() => putIn(item, offer)}
          />
        ))}
      </div>
    </div>
  )
}

interface OptionProps {
  id: string
  item: Completion
  written: string
  isChosen: boolean
  onChoose: () => void
}

function Option({ id, item, written, isChosen, onChoose }: OptionProps) {
  const element = useRef<HTMLDivElement>(null)
  useEffect(() => {
    if (isChosen) element.current?.scrollIntoView({ block: 'nearest' })
  }, [isChosen])
  const label = visible(item.label)
  const from = written ? label.toLowerCase().indexOf(written.toLowerCase()) : -1
  return (
    <div
      ref={element}
      id={id}
      role="option"
      tabIndex={-1}
      aria-selected={isChosen}
      className="option completion"
      onPointerDown={(event) => {
        event.preventDefault()
        onChoose()
      }}
    >
      <span className="completion-kind muted">{KINDS[item.kind] ?? item.kind}</span>
      <span className="completion-name mono">
        {from < 0 ? (
          label
        ) : (
          <>
            {label.slice(0, from)}
            <mark>{label.slice(from, from + written.length)}</mark>
            {label.slice(from + written.length)}
          </>
        )}
      </span>
      <span className="completion-detail mono muted">{visible(item.detail)}</span>
      <span className="completion-about muted">{visible(item.about)}</span>
    </div>
  )
}
