import { KeyList } from '../../frame/Help'
import { setTheme, type Theme, themeStore } from '../../lib/settings'
import { Section } from '../../ui/Page'

const THEMES: readonly [Theme, string][] = [
  ['dark', 'Dark'],
  ['light', 'Light'],
]

export function Appearance() {
  const theme = themeStore.use()
  return (
    <>
      <Section title="Theme" note="kept in this browser">
        <div className="segments" role="group" aria-label="Theme">
          {THEMES.map(([key, label]) => (
            <button key={key} type="button" aria-pressed={theme === key} onClick={() => setTheme(key)}>
              {label}
            </button>
          ))}
        </div>
      </Section>
      <Section title="Keys" note="those that work here; press ? on any page for its own">
        <KeyList />
      </Section>
    </>
  )
}
