import { axe, call, setTheme, THEMES, until } from '../browser.mjs'

async function made(page, path, body) {
  const answer = await call(page, 'POST', path, body)
  if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

async function look({ page, out, problems }, name) {
  for (const theme of THEMES) {
    await setTheme(page, theme)
    await page.screenshot({ path: `${out}/${name}-${theme}-1280.png` })
    problems.push(...(await axe(page)).map((p) => `${name}, ${theme}: ${p}`))
  }
}

/** A connector, an action that is rehearsed and asked for, and a playbook that a person answers. */
export async function respondStory(world) {
  const { page, url, incident } = world
  const id = incident?.id ?? (await call(page, 'GET', '/incidents?limit=1')).body.items[0].id
  await made(page, '/connectors', {
    name: 'Gateway',
    kind: 'webhook',
    settings: { url: 'https://gate.example/hook' },
    secrets: { signing_key: 'not shown again' },
  })
  await page.goto(`${url}/incidents/${id}`)
  const response = page.getByRole('region', { name: 'Response' })
  await response.getByRole('button', { name: 'Act…' }).click()
  const dialog = page.locator('dialog[open]')
  await dialog.getByLabel('Why?').fill('contain it')
  await dialog.getByRole('button', { name: 'Rehearse first' }).click()
  await dialog.getByRole('region', { name: 'Rehearsal' }).waitFor()
  await look(world, 'respond-rehearsal')
  await dialog.getByRole('button', { name: 'Ask a second person' }).click()
  await response.getByText('Waits for approval').waitFor()
  // Whoever asked is not offered to agree.
  if ((await response.getByRole('button', { name: 'Agree…' }).count()) > 0)
    throw new Error('one may agree to their own action')
  await response.getByRole('button', { name: 'Run a playbook…' }).click()
  const phishing = (await call(page, 'GET', '/playbooks')).body.items.find((one) =>
    one.name.startsWith('Ransomware'),
  )
  await dialog.getByLabel('Playbook').selectOption(phishing.id)
  await dialog.getByRole('button', { name: 'Rehearse', exact: true }).click()
  await dialog.getByText('Nothing was done.').waitFor()
  await look(world, 'respond-playbook-rehearsal')
  await page.keyboard.press('Escape')
  const lost = (await call(page, 'GET', '/playbooks')).body.items.find((one) =>
    one.name.startsWith('Phishing'),
  )
  const run = await made(page, '/playbook-runs', {
    playbook_id: lost.id,
    inputs: { __user__: 'j.doe' },
    incident_id: id,
  })
  await page.goto(`${url}/runs/${run.id}`)
  await page.locator('.step-node').first().waitFor()
  await page.locator('select').last().selectOption('false')
  await page.getByRole('button', { name: 'Done', exact: true }).click()
  await until('the run goes on', async () => {
    const { body } = await call(page, 'GET', `/playbook-runs/${run.id}`)
    return body.steps.filter((step) => step.kind === 'action').length > 1
  })
  world.run = run
  world.playbook = phishing
  await editByKey(world)
}

/** A step is added, named and connected without the mouse; its fault is told and goes away. */
async function editByKey(world) {
  const { page, url, playbook } = world
  await page.goto(`${url}/playbooks/${encodeURIComponent(playbook.id)}`)
  await page.locator('.step-node').first().waitFor()
  await page.getByRole('button', { name: 'Action', exact: true }).focus()
  await page.keyboard.press('Enter')
  await page.getByLabel('Name', { exact: true }).fill('Call the lead')
  await page
    .getByText(/no step leads to 'Call the lead'/)
    .first()
    .waitFor()
  await look(world, 'respond-edit')
  await page.getByLabel('then').selectOption({ index: 1 })
  await page.getByRole('button', { name: 'Remove this step' }).click()
  await page.getByRole('region', { name: 'Faults' }).waitFor()
}
