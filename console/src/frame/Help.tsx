/** All keys that work here and now, read from the bindings themselves. */
import { activeScopes, keysVersion } from '../lib/keys'
import { Dialog } from '../ui/Dialog'
import { Kbd } from '../ui/Kbd'
import { helpStore } from './stores'

export function HelpHost() {
  return helpStore.use() ? <Help /> : null
}

/** What belongs to the page comes first, then where to go, then what works everywhere. */
const order = (group: string) => ['Go to', 'Anywhere'].indexOf(group)

export function KeyList() {
  keysVersion.use()
  const groups = new Map<string, Map<string, string>>()
  for (const scope of activeScopes()) {
    const group = groups.get(scope.group) ?? new Map<string, string>()
    for (const binding of scope.bindings) if (!binding.quiet) group.set(binding.keys, binding.label)
    if (group.size > 0) groups.set(scope.group, group)
  }
  return (
    <div className="key-groups">
      {[...groups]
        .sort(([a], [b]) => order(a) - order(b))
        .map(([name, bindings]) => (
          <section key={name}>
            <h3>{name}</h3>
            <dl>
              {[...bindings].map(([keys, label]) => (
                <div key={keys}>
                  <dt>
                    <Kbd keys={keys} />
                  </dt>
                  <dd>{label}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
    </div>
  )
}

function Help() {
  return (
    <Dialog title="Keys" onClose={() => helpStore.set(false)} width={760} className="help">
      <KeyList />
      <p className="muted small">
        On any value: click hunts it, Alt click excludes it, ↓ or right click opens its card.
      </p>
      <p className="muted small">
        The language of the hunt: its verbs, functions and fields stand in{' '}
        <code>docs/guide/hunt-reference.md</code>, and the query bar offers them as you write (Ctrl Space).
      </p>
    </Dialog>
  )
}
