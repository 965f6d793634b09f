import { axe, call, setTheme, THEMES, until } from '../browser.mjs'

export async function signIn({ page, url, options, out, problems }) {
  const { name, password } = options
  await page.goto(`${url}/`)
  await page.locator('.door').waitFor()
  for (const theme of THEMES) {
    await setTheme(page, theme)
    await page.screenshot({ path: `${out}/door-${theme}-1280.png` })
    problems.push(...(await axe(page)).map((p) => `door, ${theme}: ${p}`))
  }
  if (options['setup-url']) {
    await page.goto(options['setup-url'])
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.getByLabel('Password again').fill(password)
    for (const theme of THEMES) {
      await setTheme(page, theme)
      await page.screenshot({ path: `${out}/setup-${theme}-1280.png` })
      problems.push(...(await axe(page)).map((p) => `setup, ${theme}: ${p}`))
    }
    await page.getByRole('button', { name: 'Create account' }).click()
    await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    // The account must also work from the outside: sign out, be refused once, sign in.
    await page.locator('.user-button').click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Password').fill('not the password at all')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
  } else {
    await page.getByLabel('Name').fill(name)
  }
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('navigation', { name: 'Pages' }).waitFor()
}

/** The first alert comes soon, and the story of the recording stands as one incident in time. */
export async function waitForStory(world) {
  const { page, options } = world
  const started = Number(options['started-ms'])
  const wanted = options.tactics.split(',')
  await until('a first alert', async () => (await call(page, 'GET', '/alerts?limit=1')).body.total > 0, {
    timeout_ms: 60_000,
  })
  const first = Date.now() - started
  if (first > 60_000) throw new Error(`the first alert came after ${first} ms`)
  const incident = await until(`one incident with ${wanted.join(', ')}`, async () => {
    const { body } = await call(page, 'GET', '/incidents?limit=100')
    return body.items?.find((i) => wanted.every((tactic) => i.tactics.includes(tactic)))
  })
  const whole = Date.now() - started
  if (whole > 180_000) throw new Error(`the story stood after ${whole} ms`)
  for (const kind of ['host', 'user', 'process', 'address'])
    if (!incident.entities.some((e) => e.kind === kind)) throw new Error(`the incident has no ${kind}`)
  const { body } = await call(page, 'GET', `/incidents/${incident.id}`)
  const times = body.alert_rows.map((a) => a.time)
  if (times.some((t, i) => i > 0 && t < times[i - 1])) throw new Error('its alerts are not in order')
  console.log(
    `     first alert after ${(first / 1000).toFixed(1)} s, the whole story after ${(whole / 1000).toFixed(1)} s`,
  )
}

export async function waitForIncident(world) {
  const { page, options } = world
  const least = Number(options['min-alerts'])
  world.incident = await until(`an incident with ${least} alerts or more`, async () => {
    const { body } = await call(page, 'GET', '/incidents?limit=100')
    return body.items?.filter((i) => i.alert_count >= least).sort((a, b) => b.alert_count - a.alert_count)[0]
  })
  console.log(`     #${world.incident.number} ${world.incident.title}: ${world.incident.alert_count} alerts`)
}

export async function engineerPages(world) {
  const { page, url, options } = world
  await page.keyboard.press('g')
  await page.keyboard.press('s')
  await page.getByRole('heading', { name: 'Sources', exact: true }).waitFor()
  const ledger = page.getByRole('region', { name: 'Completeness ledger' })
  await ledger.getByRole('columnheader', { name: 'Received' }).waitFor()
  await ledger.getByText('Total').waitFor()

  await page.keyboard.press('g')
  await page.keyboard.press('r')
  const rules = page.getByRole('table', { name: 'Loaded rules' })
  await rules.waitFor()
  const before = Number(await rules.getAttribute('aria-rowcount'))
  if (before < 2) throw new Error('no rule is listed')
  await page.getByLabel('Search rules').fill('powershell')
  await until('the search to narrow the rules', async () => {
    if ((await page.locator('.work .empty').count()) > 0) return true
    return (await rules.count()) > 0 && Number(await rules.getAttribute('aria-rowcount')) < before
  })
  await page.getByRole('button', { name: /^Refused/ }).click()
  await page.locator('.work table, .work .empty').first().waitFor()

  await page.goto(`${url}/settings?tab=tokens`)
  await page.getByRole('button', { name: 'New token' }).click()
  await page.getByLabel('Name').fill('end to end')
  await page.getByRole('button', { name: 'Make token' }).click()
  const made = await page.locator('[data-token]').textContent()
  world.token = options.token ?? made
  await page.keyboard.press('Escape')
  await page.getByRole('cell', { name: 'end to end' }).first().waitFor()
  for (const [tab, text] of [
    ['users', options.name],
    ['sessions', 'Change password'],
    ['audit', 'Audit log'],
    ['server', 'Events stored'],
    ['suppressions', 'Suppressions'],
  ]) {
    await page.goto(`${url}/settings?tab=${tab}`)
    await page.locator('.settings-body').getByText(text).first().waitFor()
  }
}
