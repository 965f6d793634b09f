/** The fleet's policy and a connector, by form: what the server refuses stands at its field. */
import { axe, call, setTheme, THEMES, until } from '../browser.mjs'

async function look({ page, out, problems }, name) {
  for (const theme of THEMES) {
    await setTheme(page, theme)
    await page.screenshot({ path: `${out}/${name}-${theme}-1280.png` })
    problems.push(...(await axe(page)).map((p) => `${name}, ${theme}: ${p}`))
  }
}

const groupNow = async (page, id) =>
  (await call(page, 'GET', '/fleet')).body.groups.find((one) => one.id === id)

export async function fleetStory(world) {
  const { page, url } = world
  await page.goto(`${url}/fleet`)
  await page.getByRole('button', { name: 'New group' }).click()
  await page.getByLabel('Name').fill('Databases')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/fleet/groups/*')
  await page.getByRole('region', { name: 'What an agent may use' }).waitFor()
  const id = new URL(page.url()).pathname.split('/').at(-1)
  world.group = { id }

  // What is added takes the focus: the path is written without the mouse.
  await page.getByRole('button', { name: 'Add a log file' }).focus()
  await page.keyboard.press('Enter')
  await page.keyboard.type('var/log/postgresql.log')
  await page.getByRole('button', { name: 'Hand out' }).click()
  const fault = page.getByRole('alert').getByText("'var/log/postgresql.log' is not an absolute path")
  await fault.waitFor()
  await look(world, 'fleet-fault')
  const wrong = page.locator('[aria-invalid=true]')
  await wrong.fill('/var/log/postgresql.log')
  await page.getByLabel('Processor').fill('12')
  await page.getByRole('button', { name: 'Hand out' }).click()
  await until('the policy to be kept', async () => (await groupNow(page, id)).policy.cpu_percent === 12)
  const { policy } = await groupNow(page, id)
  if (!policy.log_files.some((one) => one.path === '/var/log/postgresql.log'))
    throw new Error('the log file is not in the policy')

  await page.getByRole('button', { name: 'As JSON' }).click()
  const text = page.getByLabel('Policy', { exact: true })
  await text.fill((await text.inputValue()).replace('"cpu_percent": 12', '"cpu_percent": 14'))
  await page.getByRole('button', { name: 'Form', exact: true }).click()
  if ((await page.getByLabel('Processor').inputValue()) !== '14')
    throw new Error('the form does not show what the JSON said')

  // Somebody else is faster: both versions are shown, and nothing is lost.
  await call(page, 'PATCH', `/fleet/groups/${id}`, { policy: { ...policy, memory_mib: 64 } })
  await page.getByRole('button', { name: 'Hand out' }).click()
  const conflict = page.getByRole('alert', { name: 'Changed meanwhile' })
  await conflict.getByText('memory_mib').waitFor()
  await look(world, 'fleet-conflict')
  await conflict.getByRole('button', { name: 'Take theirs' }).click()
  await until('theirs to be shown', async () => (await page.getByLabel('Memory').inputValue()) === '64')
  await connectorByForm(world)
}

async function connectorByForm(world) {
  const { page, url } = world
  await page.goto(`${url}/connectors`)
  await page.getByRole('button', { name: 'Open a connector' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Name', { exact: true }).fill('Ticket hook')
  await dialog.getByLabel('URL').fill('ftp://tickets.example/hook')
  await dialog.getByLabel('Secret: Signing key').fill('not shown again')
  await dialog.getByRole('button', { name: 'Open', exact: true }).click()
  await dialog.getByText('ftp://tickets.example/hook is no http or https URL').waitFor()
  await look(world, 'connector-fault')
  await dialog.getByLabel('URL').fill('https://tickets.example/hook')
  await dialog.getByRole('button', { name: 'Open', exact: true }).click()
  await dialog.waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Change Ticket hook' }).click()
  const secret = dialog.getByLabel('Secret: Signing key')
  if ((await secret.inputValue()) !== '') throw new Error('a secret is shown')
  await dialog.getByLabel('Forget signing key').check()
  await look(world, 'connector-change')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await dialog.waitFor({ state: 'detached' })
  const { body } = await call(page, 'GET', '/connectors')
  const ours = body.items.find((one) => one.name === 'Ticket hook')
  if (ours.secrets.length > 0) throw new Error('the secret was not forgotten')
  await call(page, 'DELETE', `/connectors/${ours.id}`)
}
