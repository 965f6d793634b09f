import { axe, setTheme, THEMES, WIDTHS } from '../browser.mjs'

const HUNT_COLUMNS = 'device.hostname,actor.user.name'

function pages({ incident, alert, playbook, run, group }) {
  const at = alert ? `&at=${alert.id}` : ''
  return [
    ['overview', '/', (p) => p.locator('.figures, .empty').first()],
    ['queue', `/queue?status=all${at}`, (p) => p.locator('[role=row][data-id]').first()],
    ['queue-panel', `/queue?status=all${at}&panel=1`, (p) => p.getByRole('region', { name: 'Raw event' })],
    ['alert', `/alerts/${alert?.id}`, (p) => p.getByRole('region', { name: 'Same rule elsewhere' })],
    ['incidents', '/incidents?status=all', (p) => p.locator('tr[data-id]').first()],
    ['incident', `/incidents/${incident?.id}`, (p) => p.locator('.graph-node').first()],
    ['hunt', '/hunt?t=24h', (p) => p.locator('.hunt-answer [role=row]').first()],
    [
      'hunt-event',
      `/hunt?t=all&cols=${HUNT_COLUMNS}&event=${encodeURIComponent(alert?.event?.id ?? '')}`,
      (p) => p.getByRole('region', { name: 'Raw event' }),
    ],
    ['hunt-error', `/hunt?q=${encodeURIComponent('device.hostname:"')}`, (p) => p.locator('#hunt-error')],
    ['approvals', '/approvals', (p) => p.locator('.response-card, .empty').first()],
    ['playbooks', '/playbooks', (p) => p.getByRole('region', { name: 'Library' })],
    [
      'playbook',
      `/playbooks/${encodeURIComponent(playbook?.id ?? '')}`,
      (p) => p.locator('.step-node').first(),
    ],
    ['run', `/runs/${run?.id}`, (p) => p.locator('.step-node').first()],
    ['connectors', '/connectors', (p) => p.getByRole('region', { name: 'Actions' })],
    ['indicators', '/indicators', (p) => p.locator('.table, .empty').first()],
    ['sources', '/sources', (p) => p.getByText('Completeness ledger')],
    ['sources-mappings', '/sources?tab=mappings', (p) => p.getByRole('region', { name: 'Packs' })],
    [
      'sources-enrichment',
      '/sources?tab=enrichment',
      (p) => p.getByRole('region', { name: 'What added which value' }),
    ],
    ['sources-routing', '/sources?tab=routing', (p) => p.locator('.section, .empty').first()],
    ['fleet', '/fleet', (p) => p.getByRole('region', { name: 'Versions' })],
    [
      'fleet-group',
      `/fleet/groups/${group?.id}`,
      (p) => p.getByRole('region', { name: 'What an agent may use' }),
    ],
    [
      'fleet-group-json',
      `/fleet/groups/${group?.id}?view=json`,
      (p) => p.getByLabel('Policy', { exact: true }),
    ],
    ['storage', '/storage', (p) => p.getByRole('region', { name: 'Deletions on demand' })],
    ['rules', '/rules', (p) => p.getByRole('table')],
    ['rules-refused', '/rules?tab=refused', (p) => p.locator('.work table, .work .empty').first()],
    ['rules-dead', '/rules?tab=dead', (p) => p.locator('.work [role=table], .work .empty').first()],
    ['rules-tested', '/rules?tab=tested', (p) => p.locator('.work [role=table], .work .empty').first()],
    [
      'rule',
      `/rules/${encodeURIComponent(alert?.rule_id ?? '')}`,
      (p) => p.getByRole('region', { name: 'Rule text' }),
    ],
    [
      'backtest',
      `/backtest?rule=${encodeURIComponent(alert?.rule_id ?? '')}`,
      (p) => p.getByRole('button', { name: 'Run', exact: true }),
    ],
    ['settings-suppressions', '/settings?tab=suppressions', (p) => p.getByText('exceptions to rules')],
    ['performance', '/performance', (p) => p.locator('.figures, .empty').first()],
    ['on-call', '/on-call', (p) => p.getByRole('region', { name: 'How people are reached' })],
    ['handover', '/handover', (p) => p.getByRole('region', { name: 'Open incidents' })],
    ['settings-clocks', '/settings?tab=clocks', (p) => p.getByRole('region', { name: 'Escalation' })],
    ['incidents-due', '/incidents?sort=due&clock=at_risk', (p) => p.locator('tr[data-id], .empty').first()],
    ['settings', '/settings', (p) => p.getByRole('heading', { name: 'Keys' })],
    ['settings-users', '/settings?tab=users', (p) => p.locator('table')],
    ['settings-tokens', '/settings?tab=tokens', (p) => p.locator('table')],
    ['settings-audit', '/settings?tab=audit', (p) => p.locator('table')],
    ['settings-server', '/settings?tab=server', (p) => p.getByText('Listeners')],
  ]
}

/** What lies over a page: opened by key, looked at, closed by Escape. */
function overlays({ alert, incident }) {
  // The incident's own alerts: in a long queue the alert may lie beyond the first rows.
  const queue = `/queue?status=all&incident_id=${incident?.id}&at=${alert?.id}`
  const dialog = (p) => p.locator('dialog[open]')
  return [
    ['over-keys', queue, (p) => p.keyboard.press('?'), dialog],
    ['over-commands', queue, (p) => p.keyboard.press('Control+k'), dialog],
    ['over-close', queue, (p) => p.keyboard.press('e'), dialog],
    ['over-false-positive', queue, falsePositive, (p) => p.getByText(/Would have suppressed/)],
    ['over-except', queue, (p) => p.keyboard.press('s'), (p) => p.getByText(/Would have silenced/)],
    ['over-attach', queue, (p) => p.keyboard.press('m'), (p) => p.getByRole('option').nth(1)],
    ['over-value', `/alerts/${alert?.id}`, valueCard, (p) => p.locator('.value-card a')],
    ['over-menu', queue, (p) => p.getByTitle('Filter by status').click(), (p) => p.getByRole('menu')],
    ['over-selection', queue, selection, (p) => p.getByRole('toolbar', { name: 'Selected alerts' })],
  ]
}

async function falsePositive(page) {
  await page.keyboard.press('f')
  await page.getByLabel('Also make an exception for this rule').check()
}

async function valueCard(page) {
  await page.getByRole('region', { name: 'Who and what' }).locator('.value').first().focus()
  await page.keyboard.press('ArrowDown')
}

async function selection(page) {
  await page.keyboard.press('x')
  for (let i = 0; i < 4; i += 1) await page.keyboard.press('J')
}

async function lookAtOverlays({ page, url, out, problems, ...world }) {
  for (const [name, path, open, ready] of overlays(world)) {
    await page.goto(`${url}${path}`)
    await page.locator('[role=row][data-active=true], .alert').first().waitFor()
    await open(page)
    await ready(page).waitFor()
    for (const theme of THEMES) {
      await setTheme(page, theme)
      await page.screenshot({ path: `${out}/${name}-${theme}-1280.png` })
      problems.push(...(await axe(page)).map((p) => `${name}, ${theme}: ${p}`))
    }
    await page.keyboard.press('Escape')
  }
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
  await lookAtOverlays(world)
}
