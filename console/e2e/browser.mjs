/** Chromium from the system, and what every step needs of it. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export const WIDTHS = [
  [1280, 800],
  [1920, 1080],
]
export const THEMES = ['dark', 'light']

export async function openBrowser() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  const context = await browser.newContext({
    viewport: { width: WIDTHS[0][0], height: WIDTHS[0][1] },
    timezoneId: 'Europe/Berlin',
    locale: 'en-US',
    reducedMotion: 'reduce',
    acceptDownloads: true,
  })
  context.setDefaultTimeout(20_000)
  const page = await context.newPage()
  const troubles = []
  page.on('pageerror', (error) => troubles.push(`uncaught in page: ${error.message}`))
  page.on('console', (message) => {
    const text = message.text()
    // A refused sign-in or query is part of the story; the browser reports the answer's status as an error.
    if (message.type() === 'error' && !text.startsWith('Failed to load resource'))
      troubles.push(`console: ${text}`)
  })
  return { browser, context, page, troubles }
}

export async function setTheme(page, theme) {
  await page.evaluate((t) => {
    document.documentElement.dataset.theme = t
    localStorage.setItem('wf.theme', t)
    // As if another tab had changed it: the open page follows.
    window.dispatchEvent(new StorageEvent('storage', { key: 'wf.theme', newValue: t }))
  }, theme)
}

/** What axe finds serious or critical on the page as it stands. */
export async function axe(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axeSource)
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  return found.violations
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .map(
      (v) =>
        `${v.impact} ${v.id}: ${v.help}\n${v.nodes
          .slice(0, 4)
          .map(
            (n) =>
              `      ${n.target.join(' ')}\n        ${n.failureSummary?.split('\n').slice(1, 3).join(' ').trim()}`,
          )
          .join('\n')}`,
    )
}

/** Calls the API as the signed-in browser does. */
export function call(page, method, path, body) {
  return page.evaluate(
    async ([m, p, b]) => {
      const response = await fetch(`/api/v1${p}`, {
        method: m,
        headers: { 'X-Watchfloor': '1', 'Content-Type': 'application/json' },
        body: b === null ? undefined : JSON.stringify(b),
      })
      const text = await response.text()
      return { status: response.status, body: text ? JSON.parse(text) : null }
    },
    [method, path, body ?? null],
  )
}

/** Asks again until the answer is the wanted one; the only waiting in the story besides the page's own. */
export async function until(what, ask, { timeout_ms = 180_000, every_ms = 300 } = {}) {
  const end = Date.now() + timeout_ms
  let last
  while (Date.now() < end) {
    last = await ask()
    if (last) return last
    await new Promise((resolve) => setTimeout(resolve, every_ms))
  }
  throw new Error(`waited ${timeout_ms / 1000} s in vain for: ${what}`)
}
