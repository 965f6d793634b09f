import { call, until } from '../browser.mjs'

/** From the alert to the text that made it, its liveness, a forecast, and an exception with its effect. */
export async function rulesStory(world) {
  const { page, url } = world
  const { body } = await call(page, 'GET', '/alerts?limit=1&sort=-severity')
  const alert = body.items[0]
  await page.goto(`${url}/alerts/${alert.id}`)
  const why = page.getByRole('region', { name: 'Why it fired' })
  await why.getByRole('link', { name: /^version/ }).click()
  await page.getByRole('region', { name: 'Rule text' }).getByText('title:').first().waitFor()
  await page.getByRole('region', { name: 'Could it fire?' }).waitFor()
  const { body: rule } = await call(page, 'GET', `/rules/${encodeURIComponent(alert.rule_id)}`)
  if (!rule.versions.some((v) => v.alerts > 0)) throw new Error('no version of the rule counts its alert')

  await page.getByRole('link', { name: 'Backtest' }).click()
  await page.getByRole('button', { name: 'Run', exact: true }).click()
  await page.getByRole('region', { name: 'Alerts per day' }).waitFor()
  await page.getByRole('region', { name: 'Hosts' }).waitFor()

  await page.goto(`${url}/alerts/${alert.id}`)
  await why.waitFor()
  await page.keyboard.press('s')
  const dialog = page.locator('dialog[open]')
  await dialog.getByText(/Would have silenced [1-9]/).waitFor()
  await dialog.getByRole('button', { name: /^Run the rule over the lake/ }).click()
  await dialog.getByText(/finding.* → /).waitFor()
  await dialog.getByLabel('Why?').fill('a rehearsal of the story')
  await dialog.getByLabel('Ends').selectOption('never')
  await dialog.getByRole('note').waitFor()
  await dialog.getByLabel('Ends').selectOption('7')
  await dialog.getByRole('button', { name: 'Make exception' }).click()
  await dialog.waitFor({ state: 'detached' })

  await page.goto(`${url}/rules/${encodeURIComponent(alert.rule_id)}`)
  const exceptions = page.getByRole('region', { name: 'Exceptions' })
  await exceptions.getByText('a rehearsal of the story').waitFor()
  // Later steps need the rule to speak.
  await exceptions.getByRole('button', { name: 'Remove' }).click()
  await until('the exception to be gone', async () => {
    const { body: left } = await call(page, 'GET', '/suppressions')
    return left.items.every((one) => one.reason !== 'a rehearsal of the story')
  })
}
