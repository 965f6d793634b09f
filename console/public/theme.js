// Runs before the first paint so that a light-theme user never sees a dark flash.
// It is a file of its own because the server's policy forbids inline script.
;(() => {
  let theme = null
  try {
    theme = localStorage.getItem('wf.theme')
  } catch {
    // Storage may be blocked; the system preference decides then.
  }
  if (theme !== 'dark' && theme !== 'light') {
    theme = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
  }
  document.documentElement.dataset.theme = theme
})()
