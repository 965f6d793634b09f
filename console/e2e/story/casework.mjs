import { readFileSync } from 'node:fs'
import { call, until } from '../browser.mjs'

const statusOf = async (page, id) => (await call(page, 'GET', `/alerts/${id}`)).body

/** The alert of the incident that tells the most: one whose matched fields are in its event. */
async function tellingAlert(page, incident) {
  const { body } = await call(page, 'GET', `/incidents/${incident.id}`)
  for (const row of body.alert_rows) {
    const detail = await statusOf(page, row.id)
    // A detection of another tool has no rule of ours that the story could open.
    const isOurs = !detail.rule_id.includes(':')
    if (isOurs && detail.reasons?.length > 0 && detail.event && detail.status === 'new') return detail
  }
  throw new Error('no new alert of the incident has matched fields and an event')
}

export async function workAlert(world) {
  const { page, url, incident } = world
  const alert = await tellingAlert(page, incident)
  world.alert = alert
  await page.goto(`${url}/queue?incident_id=${incident.id}&status=all&at=${alert.id}`)
  await page.locator(`[role=row][data-id="${alert.id}"][data-active=true]`).waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/alerts/${alert.id}`)
  await page.getByRole('region', { name: 'Why it fired' }).locator('mark').first().waitFor()
  await page.getByRole('region', { name: 'Event', exact: true }).locator('mark').first().waitFor()
  const raw = page.getByRole('region', { name: 'Raw event' })
  await raw.waitFor()
  if ((await raw.locator('mark').count()) === 0) throw new Error('nothing is marked in the raw line')
  for (const section of [
    'Who and what',
    'Before and after',
    'Earlier judgements',
    'Same rule elsewhere',
    'History and notes',
  ]) {
    await page.getByRole('region', { name: section }).waitFor()
  }

  await page.keyboard.press('a')
  await until(
    'the alert to be acknowledged',
    async () => (await statusOf(page, alert.id)).status === 'acknowledged',
  )
  await page.keyboard.press('c')
  await until(
    'the alert to be assigned',
    async () => (await statusOf(page, alert.id)).assignee === world.options.name,
  )
  await page.getByText('Assigned to you').waitFor()
  await page.keyboard.press('z')
  await until('the undo to unassign it', async () => !(await statusOf(page, alert.id)).assignee)
  await page.keyboard.press('c')
  await until(
    'the alert to be assigned again',
    async () => (await statusOf(page, alert.id)).assignee === world.options.name,
  )
  await page.keyboard.press('n')
  await page.getByRole('dialog').getByLabel('Note').fill('The command fetches a second stage.')
  await page.getByRole('button', { name: 'Add note' }).click()
  await page
    .getByRole('region', { name: 'History and notes' })
    .getByText('The command fetches a second stage.')
    .waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('grid', { name: 'Alerts' }).waitFor()

  await judgeOthers(world)
}

/** Closes one alert with a key, another as false positive with an exception measured. */
async function judgeOthers({ page, url, incident }) {
  const { body } = await call(page, 'GET', '/alerts?status=new&limit=200')
  const free = body.items.filter((a) => a.incident_id !== incident.id && a.entities.length > 0)
  const [first, second] = free
  if (!first || !second) {
    console.log('     no two new alerts outside the incident: e and f are not tried')
    return
  }
  await page.goto(`${url}/queue?at=${first.id}`)
  await page.locator(`[data-id="${first.id}"][data-active=true]`).waitFor()
  await page.keyboard.press('e')
  await page.getByRole('dialog', { name: /^Close/ }).waitFor()
  await page.keyboard.press('2')
  await until('the alert to be closed', async () => {
    const now = await statusOf(page, first.id)
    return now.status === 'closed' && now.verdict === 'benign_positive'
  })
  await page.goto(`${url}/queue?at=${second.id}`)
  await page.locator(`[data-id="${second.id}"][data-active=true]`).waitFor()
  await page.keyboard.press('f')
  const dialog = page.getByRole('dialog', { name: 'False positive' })
  await dialog.getByLabel(/^Why is it not/).fill('The deployment tool does this every night.')
  await dialog.getByLabel('Also make an exception for this rule').check()
  await dialog.getByText(/Would have suppressed \d/).waitFor()
  await dialog.getByRole('button', { name: 'Close as false positive' }).click()
  await until(
    'the false positive to be kept',
    async () => (await statusOf(page, second.id)).verdict === 'false_positive',
  )
  const { body: made } = await call(page, 'GET', '/suppressions')
  const ours = made.items.find((s) => s.reason === 'The deployment tool does this every night.')
  if (!ours) throw new Error('the exception was not made')
  // It would hide alerts from the steps that follow.
  await call(page, 'DELETE', `/suppressions/${ours.id}`)
}

const incidentNow = async (page, id) => (await call(page, 'GET', `/incidents/${id}`)).body

async function attachOne({ page, url, incident }) {
  const { body } = await call(page, 'GET', '/alerts?limit=500')
  const loose = body.items.find((a) => a.incident_id !== incident.id && a.status !== 'closed')
  if (!loose) {
    console.log('     no alert outside the incident: m is not tried')
    return false
  }
  await page.goto(`${url}/queue?status=all&at=${loose.id}`)
  await page.locator(`[data-id="${loose.id}"][data-active=true]`).waitFor()
  await page.keyboard.press('m')
  const dialog = page.getByRole('dialog', { name: /^Attach/ })
  // The title may have grown with the incident since it was first seen.
  await dialog.getByRole('combobox').fill((await incidentNow(page, incident.id)).title)
  const option = dialog.getByRole('option', { name: new RegExp(`#${incident.number}\\b`) })
  await option.waitFor()
  await option.click()
  const why = page.getByRole('dialog', { name: /^Attach 1 alert to #/ })
  await why.getByLabel(/^Why/).fill('the same document')
  await why.getByRole('button', { name: 'Attach' }).click()
  await until('the alert to be attached', async () =>
    (await incidentNow(page, incident.id)).alerts.includes(loose.id),
  )
  return true
}

/** People are offered at the caret once an @ is written; Escape closes the list and not the dialog. */
async function mention({ page, options }) {
  await page.keyboard.press('n')
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Note').pressSequentially(`please look, @${options.name.slice(0, 2)}`)
  const people = page.getByRole('listbox', { name: 'People' })
  await people.getByRole('option', { name: new RegExp(`@${options.name}`) }).waitFor()
  await page.keyboard.press('Escape')
  await people.waitFor({ state: 'detached' })
  await page.keyboard.press('Backspace')
  await people.waitFor()
  await page.keyboard.press('Enter')
  const text = await dialog.locator('textarea').inputValue()
  if (text !== `please look, @${options.name} `) throw new Error(`the name was not put in: '${text}'`)
  await page.keyboard.press('Control+Enter')
  await dialog.waitFor({ state: 'detached' })
}

export async function workIncident(world) {
  const { page, url, incident } = world
  const isAttached = await attachOne(world)
  await page.goto(`${url}/incidents?status=all`)
  await page.locator(`tr[data-id="${incident.id}"]`).getByRole('link').first().click()
  await page.waitForURL(`**/incidents/${incident.id}`)
  for (const section of [
    'ATT&CK path',
    'Timeline',
    'Entities',
    'Alerts in order',
    'Scope',
    'Clocks',
    'Tasks',
    'Notes',
    'Observables',
    'Corrections',
  ]) {
    await page.getByRole('region', { name: section, exact: true }).waitFor()
  }
  // The alert that was attached above came with its reason.
  if (isAttached)
    await page.getByRole('region', { name: 'Corrections' }).getByText('the same document').first().waitFor()
  const marked = await page.locator('.path li[data-touched=true]').count()
  if (marked < 2) throw new Error(`only ${marked} tactics are marked on the path`)
  await page
    .getByText(/^Here because/)
    .first()
    .waitFor()

  await page.keyboard.press('c')
  await until(
    'the incident to be assigned',
    async () => (await incidentNow(page, incident.id)).assignee === world.options.name,
  )
  await page.keyboard.press('n')
  await page.getByRole('dialog').getByLabel('Note').fill('j.doe was called: the document came by mail.')
  await page.getByRole('button', { name: 'Add note' }).click()
  await page
    .getByRole('region', { name: 'Notes', exact: true })
    .getByText('the document came by mail')
    .waitFor()
  await mention(world)
  await page.keyboard.press('t')
  await page.getByRole('dialog').getByLabel('Task').fill('Reset the password of j.doe')
  await page.getByRole('button', { name: 'Add task' }).click()
  await page.getByRole('checkbox', { name: 'Reset the password of j.doe' }).click()
  await until('the task to be done', async () =>
    (await incidentNow(page, incident.id)).tasks.some((t) => t.status === 'done'),
  )
  await page.keyboard.press('b')
  await page.getByRole('dialog').getByLabel('Value').fill('203.0.113.9')
  await page.getByRole('dialog').getByRole('button', { name: 'Add observable' }).click()
  await page.getByRole('region', { name: 'Observables' }).getByText('203.0.113.9').waitFor()

  await page.keyboard.press('s')
  await until(
    'the incident to be contained',
    async () => (await incidentNow(page, incident.id)).status === 'contained',
  )
  await page.keyboard.press('e')
  await page.getByRole('dialog', { name: 'Resolve with verdict' }).waitFor()
  await page.keyboard.press('1')
  await until('the incident to be resolved', async () => {
    const now = await incidentNow(page, incident.id)
    return now.status === 'resolved' && now.verdict === 'true_positive'
  })
  await page.getByRole('button', { name: 'Reopen' }).waitFor()
}

export async function downloadReports({ page, url, incident }) {
  await page.goto(`${url}/incidents/${incident.id}`)
  const take = async (name) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name }).click(),
    ])
    return readFileSync(await download.path())
  }
  const html = (await take('Report HTML')).toString()
  if (!html.includes(`#${incident.number}`) && !html.includes(incident.title)) {
    throw new Error('the HTML report does not name the incident')
  }
  if (/<script/i.test(html)) throw new Error('the HTML report holds a script')
  const pdf = await take('Report PDF')
  if (pdf.subarray(0, 5).toString() !== '%PDF-') throw new Error('the PDF report is not a PDF')
  if (!pdf.subarray(-1024).toString('latin1').includes('%%EOF')) throw new Error('the PDF report is cut off')
}
