/** The query bar: the same on every page; Enter hunts. */
import { useNavigate } from '@tanstack/react-router'
import { Search as SearchIcon } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useKeys } from '../lib/keys'
import { usePath, useUrlState } from '../lib/url'
import { Kbd } from '../ui/Kbd'
import { QueryInput } from '../ui/QueryInput'

export function QueryBar() {
  const [search] = useUrlState()
  const path = usePath()
  const asked = path === '/hunt' ? (search.q ?? '') : ''
  const [text, setText] = useState(asked)
  const input = useRef<HTMLInputElement>(null)
  const navigate = useNavigate()
  useEffect(() => setText(asked), [asked])
  useKeys('Anywhere', [
    {
      keys: '/',
      label: 'Query',
      run: () => {
        // On the hunt page the large bar is the one in view.
        const large = document.querySelector<HTMLInputElement>('[data-hunt-query]')
        const target = large ?? input.current
        target?.focus()
        target?.select()
      },
    },
  ])
  return (
    <form
      role="search"
      className="query-bar"
      onSubmit={(event) => {
        event.preventDefault()
        input.current?.blur()
        void navigate({
          to: '/hunt',
          search: { q: text || undefined, t: search.t, from: search.from, to: search.to },
        })
      }}
    >
      <SearchIcon size={14} aria-hidden="true" />
      <QueryInput
        ref={input}
        label="Query events"
        placeholder="Query events: words or field:value"
        value={text}
        onChange={setText}
      />
      <Kbd keys="/" />
    </form>
  )
}
