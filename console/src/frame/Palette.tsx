/** The command palette: go anywhere, do anything that has a key here, or hunt what was typed. */
import { useInfiniteQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { type ReactNode, useMemo, useState } from 'react'
import { incidentsQuery } from '../api/queries'
import { activeScopes, type Binding } from '../lib/keys'
import { setTheme, themeStore } from '../lib/settings'
import { visible } from '../lib/text'
import { Dialog } from '../ui/Dialog'
import { Kbd } from '../ui/Kbd'
import { PLACES } from './nav'
import { paletteStore } from './stores'
import { useSignOut } from './UserMenu'

interface Command {
  id: string
  group: string
  label: string
  keys?: string
  hint?: ReactNode
  run: () => void
}

const SHOWN_MAX = 12

export function PaletteHost() {
  return paletteStore.use() ? <Palette /> : null
}

function useCommands(text: string): Command[] {
  const navigate = useNavigate()
  const signOut = useSignOut()
  const theme = themeStore.use()
  const incidents = useInfiniteQuery(incidentsQuery({}))
  const doable = useMemo(() => bindingsHere(), [])
  const other = theme === 'dark' ? 'light' : 'dark'
  const all: Command[] = [
    ...PLACES.map((place) => ({
      id: place.to,
      group: 'Go to',
      label: place.label,
      keys: place.key,
      run: () => void navigate({ to: place.to }),
    })),
    ...doable.map(([group, binding]) => ({
      id: `${group}${binding.keys}`,
      group,
      label: binding.label,
      keys: binding.keys,
      run: () => binding.run(new KeyboardEvent('keydown')),
    })),
    ...(incidents.data?.pages[0]?.items ?? []).slice(0, 30).map((incident) => ({
      id: `incident-${incident.id}`,
      group: 'Incident',
      label: `#${incident.number} ${visible(incident.title)}`,
      run: () => void navigate({ to: '/incidents/$id', params: { id: incident.id } }),
    })),
    { id: 'theme', group: 'Settings', label: `Use the ${other} theme`, run: () => setTheme(other) },
    { id: 'out', group: 'Settings', label: 'Sign out', run: signOut },
  ]
  const needles = text.toLowerCase().split(/\s+/).filter(Boolean)
  const found = all.filter((c) => {
    const hay = `${c.group} ${c.label}`.toLowerCase()
    return needles.every((needle) => hay.includes(needle))
  })
  if (text.trim()) {
    found.push({
      id: 'hunt',
      group: 'Hunt',
      label: text.trim(),
      run: () => void navigate({ to: '/hunt', search: { q: text.trim() } }),
    })
  }
  return found.slice(0, text.trim() ? SHOWN_MAX : undefined)
}

/** Moving the cursor by palette makes no sense; what acts on something does. */
function bindingsHere(): [string, Binding][] {
  return activeScopes()
    .filter((scope) => scope.group !== 'Anywhere' && scope.group !== 'Go to')
    .flatMap((scope) => scope.bindings.map((b): [string, Binding] => [scope.group, b]))
    .filter(([, b]) => !b.quiet && /^[a-z]$/.test(b.keys) && !['j', 'k'].includes(b.keys))
}

function Palette() {
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const commands = useCommands(text)
  const active = Math.min(at, commands.length - 1)
  const close = () => paletteStore.set(false)
  const pick = (index: number) => {
    const command = commands[index]
    if (!command) return
    close()
    // The dialog must be gone before the command may open its own.
    queueMicrotask(command.run)
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (event.key === 'ArrowDown') setAt((active + 1) % commands.length)
    else if (event.key === 'ArrowUp') setAt((active - 1 + commands.length) % commands.length)
    else if (event.key === 'Enter') pick(active)
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Commands" onClose={close} width={600} className="palette">
      <input
        className="input"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-options"
        aria-activedescendant={`palette-option-${active}`}
        aria-label="Command"
        placeholder="Go anywhere, do anything"
        data-autofocus
        value={text}
        onChange={(e) => {
          setText(e.target.value)
          setAt(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div id="palette-options" role="listbox" aria-label="Commands" className="options">
        {commands.map((command, i) => (
          <div
            key={command.id}
            id={`palette-option-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === active}
            className="option"
            ref={i === active ? (el) => el?.scrollIntoView({ block: 'nearest' }) : undefined}
            onClick={() => pick(i)}
            onKeyDown={onKeyDown}
            onPointerMove={() => setAt(i)}
          >
            <span className="muted small option-group">{command.group}</span>
            <span className="option-title">{command.label}</span>
            {command.keys && <Kbd keys={command.keys} />}
          </div>
        ))}
      </div>
    </Dialog>
  )
}
