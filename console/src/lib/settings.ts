/** Choices of this browser: theme, rail, live updates, list columns. */
import { createStore, createStoredStore } from './store'

export type Theme = 'dark' | 'light'

export const themeStore = createStore<Theme>(
  document.documentElement.dataset.theme === 'light' ? 'light' : 'dark',
)

/** The key is plain text, not JSON, because theme.js reads it before any module runs. */
export function setTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme
  try {
    localStorage.setItem('wf.theme', theme)
  } catch {
    // Without storage the choice lasts for this page only.
  }
  themeStore.set(theme)
}

/** Another tab of the console changed the theme: this one follows. */
window.addEventListener('storage', (event) => {
  if (event.key === 'wf.theme' && (event.newValue === 'dark' || event.newValue === 'light'))
    setTheme(event.newValue)
})

export const railStore = createStoredStore('wf.rail', { collapsed: false })
export const liveStore = createStoredStore('wf.live', true)
export const queueColumnsStore = createStoredStore<string[]>('wf.queue.hidden', [])
export const huntColumnsStore = createStoredStore<string[]>('wf.hunt.columns', [])
