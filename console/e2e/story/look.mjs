import { axe, setTheme, THEMES, WIDTHS } from '../browser.mjs'

function pages({ incident, alert }) {
  const at = alert ? `&at=${alert.id}` : ''
  return [
    ['overview', '/', (p) => p.locator('.figures, .empty').first()],
    ['queue', `/queue?status=all${at}`, (p) => p.locator('[role=row][data-id]').first()],
    ['queue-panel', `/queue?status=all${at}&panel=1`, (p) => p.getByRole('region', { name: 'Raw event' })],
    ['alert', `/alerts/${alert?.id}`, (p) => p.getByRole('region', { name: 'Same rule elsewhere' })],
    ['incidents', '/incidents?status=all', (p) => p.locator('tr[data-id]').first()],
    ['incident', `/incidents/${incident?.id}`, (p) => p.locator('.graph-node').first()],
    ['hunt', '/hunt?t=24h', (p) => p.locator('.hunt-answer [role=row]').first()],
    ['hunt-error', `/hunt?q=${encodeURIComponent('device.hostname:"')}`, (p) => p.locator('#hunt-error')],
    ['sources', '/sources', (p) => p.getByText('Completeness ledger')],
    ['rules', '/rules', (p) => p.getByRole('table')],
    ['rules-refused', '/rules?tab=refused', (p) => p.locator('.work table, .work .empty').first()],
    ['settings', '/settings', (p) => p.getByRole('heading', { name: 'Keys' })],
    ['settings-users', '/settings?tab=users', (p) => p.locator('table')],
    ['settings-tokens', '/settings?tab=tokens', (p) => p.locator('table')],
    ['settings-audit', '/settings?tab=audit', (p) => p.locator('table')],
    ['settings-server', '/settings?tab=server', (p) => p.getByText('Listeners')],
  ]
}

export async function lookAtPages(world) {
  const { page, url, out, problems } = world
  for (const [name, path, ready] of pages(world)) {
    await page.goto(`${url}${path}`)
    await ready(page).waitFor()
    await page.locator('[aria-busy=true]').first().waitFor({ state: 'detached' })
    for (const theme of THEMES) {
      await setTheme(page, theme)
      for (const [width, height] of WIDTHS) {
        await page.setViewportSize({ width, height })
        // Two frames: one for the new size, one for what measures itself.
        await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))))
        await page.screenshot({ path: `${out}/${name}-${theme}-${width}.png` })
      }
      problems.push(...(await axe(page)).map((p) => `${name}, ${theme}: ${p}`))
    }
  }
  await page.setViewportSize({ width: WIDTHS[0][0], height: WIDTHS[0][1] })
}
