import { call, until } from '../browser.mjs'

const active = (page) => page.locator('[role=row][data-active=true]')

export async function keyboardInQueue(world) {
  const { page, url } = world
  await page.goto(`${url}/`)
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.keyboard.press('g')
  await page.keyboard.press('q')
  await page.getByRole('grid', { name: 'Alerts' }).waitFor()
  await page.locator('[role=row][data-id]').nth(2).waitFor()

  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  await page.keyboard.press('k')
  const second = await page.locator('[role=row][data-id]').nth(1).getAttribute('data-id')
  await active(page).waitFor()
  if ((await active(page).getAttribute('data-id')) !== second)
    throw new Error('j j j k did not stop at the second row')
  await page.waitForURL((u) => u.searchParams.get('at') === second)

  await page.keyboard.press('?')
  await page.getByRole('dialog', { name: 'Keys' }).getByText('Close with verdict').waitFor()
  await page.keyboard.press('Escape')

  await page.keyboard.press('x')
  await page.keyboard.press('J')
  await page.getByRole('toolbar', { name: 'Selected alerts' }).getByText('2 alerts selected').waitFor()
  await page.keyboard.press('Escape')

  await page.keyboard.press('o')
  await page.getByRole('complementary', { name: 'Alert' }).getByText('Why it fired').waitFor()
  await page.waitForURL((u) => u.searchParams.get('panel') === '1')
  await page.keyboard.press('Escape')
  await page.getByRole('complementary', { name: 'Alert' }).waitFor({ state: 'detached' })

  await page.keyboard.press('/')
  const focused = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))
  if (focused !== 'Query events') throw new Error(`/ focused ${focused}, not the query bar`)
  await page.keyboard.press('Escape')

  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: 'Command' }).fill('incidents')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Incidents' }).waitFor()
  await page.keyboard.press('g')
  await page.keyboard.press('q')
  await page.locator('[role=row][data-id]').first().waitFor()

  // The address alone must bring the same list back.
  await page.goto(`${url}/queue?severity=critical,high&sort=-severity`)
  await page.getByRole('columnheader', { name: 'Severity' }).waitFor()
  const words = await page.locator('[role=row][data-id] .severity').allTextContents()
  if (words.some((w) => !/Critical|High/.test(w)))
    throw new Error('the severity filter of the address was not kept')
}

export async function liveAlert(world) {
  const { page, url, token } = world
  await page.goto(`${url}/queue?status=all`)
  await page.locator('[role=row][data-id]').first().waitFor()
  await page.getByRole('switch', { name: /Live updates: Live/ }).waitFor()
  await page.mouse.move(5, 400)
  const first = await sendAlerting(url, token)
  const id = await alertOf(page, first)
  await until(
    'the new alert without reload',
    async () => {
      // Alerts of the background may hold the list; the pill is then the way to see ours.
      if ((await page.locator('.pill').count()) > 0) await page.keyboard.press('.')
      return (await page.locator(`[role=row][data-id="${id}"]`).count()) > 0
    },
    { timeout_ms: 30_000 },
  )
  // Scrolled or pointed at, the list holds still and a pill says how many are waiting.
  await page.keyboard.press('j')
  const held = await active(page).getAttribute('data-id')
  await alertOf(page, await sendAlerting(url, token))
  await page.locator('.pill').waitFor({ timeout: 30_000 })
  if ((await active(page).getAttribute('data-id')) !== held) throw new Error('the row under the cursor moved')
  await page.keyboard.press('.')
  await page.locator('.pill').waitFor({ state: 'detached' })
}

/** Waits until the server made an alert of what was sent from this host. */
async function alertOf(page, host) {
  const alert = await until(
    `an alert for ${host}: does a loaded rule find encoded PowerShell started by Word?`,
    async () => {
      const { body } = await call(page, 'GET', '/alerts?limit=200')
      return body.items.find((a) => a.entities.some((e) => e.value.toLowerCase() === host.toLowerCase()))
    },
    { timeout_ms: 30_000 },
  )
  return alert.id
}

let sent = 0

/** A Sysmon process start that rules for encoded PowerShell find; each time on another host. */
async function sendAlerting(url, token) {
  sent += 1
  const host = `E2E-${process.pid}-${sent}`
  const event = {
    Channel: 'Microsoft-Windows-Sysmon/Operational',
    Provider_Name: 'Microsoft-Windows-Sysmon',
    EventID: 1,
    Computer: host,
    UtcTime: new Date().toISOString().replace('T', ' ').replace('Z', ''),
    '@timestamp': new Date().toISOString(),
    Image: 'C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe',
    OriginalFileName: 'PowerShell.EXE',
    CommandLine:
      'powershell.exe -NoP -NonI -W Hidden -EncodedCommand SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkA',
    ParentImage: 'C:\\Program Files\\Microsoft Office\\root\\Office16\\WINWORD.EXE',
    ParentCommandLine: 'WINWORD.EXE /n invoice.docm',
    User: `CORP\\e2e-${sent}`,
    ProcessId: 4711,
    ProcessGuid: `{00000000-0000-0000-0000-00000000${String(4711 + sent).padStart(4, '0')}}`,
  }
  const response = await fetch(`${url}/ingest/ndjson`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
    body: `${JSON.stringify(event)}\n`,
  })
  const body = await response.json()
  if (!response.ok) throw new Error(`/ingest/ndjson answered ${response.status}: ${JSON.stringify(body)}`)
  if (body.accepted !== 1) throw new Error(`the event was not accepted: ${JSON.stringify(body)}`)
  return host
}

/** Goes to the end of the list and back by the scroll bar; frames must keep coming. */
export async function manyRows({ page, url }) {
  await page.goto(`${url}/queue?status=all`)
  const grid = page.getByRole('grid', { name: 'Alerts' })
  await grid.waitFor()
  const { body } = await call(page, 'GET', '/alerts?limit=1')
  const measured = await grid.evaluate(async (element) => {
    const gaps = []
    let last = performance.now()
    for (let i = 1; i <= 90; i += 1) {
      element.scrollTop = (element.scrollHeight * i) / 90
      await new Promise(requestAnimationFrame)
      const now = performance.now()
      gaps.push(now - last)
      last = now
    }
    gaps.sort((a, b) => a - b)
    return { median: gaps[45], p95: gaps[85], rows: element.querySelectorAll('[role=row]').length }
  })
  console.log(
    `     ${body.total} alerts: frame ${measured.median.toFixed(0)} ms median, ${measured.p95.toFixed(0)} ms p95, ${measured.rows} rows in the page`,
  )
  if (measured.rows > 120) throw new Error(`the list is not virtual: ${measured.rows} rows in the page`)
  if (measured.median > 100) throw new Error(`scrolling stutters: ${measured.median.toFixed(0)} ms a frame`)
}
