import { call, until } from '../browser.mjs'

/** The widest time that events can have. */
const EVER = { from: '1601-01-01T00:00:00Z', to: '9999-12-30T00:00:00Z' }

const total = async (page) =>
  Number((await page.locator('.hunt-count strong').first().textContent()).replace(/\D/g, ''))

/** An answer comes in parts: the number is whole when it no longer grows. */
async function wholeTotal(page) {
  let all = await total(page)
  for (let before = -1; before !== all; ) {
    before = all
    await page.waitForTimeout(700)
    all = await total(page)
  }
  return all
}

async function ask(page, text) {
  await page.keyboard.press('/')
  await page.keyboard.press('Control+a')
  await page.keyboard.type(text)
  await page.keyboard.press('Enter')
  await page.waitForURL((u) => u.searchParams.get('q') === text)
  await page.locator('.hunt-answer[data-stale=false]').waitFor()
}

export async function huntStory(world) {
  const { page, url, alert } = world
  const host = alert.entities.find((e) => e.kind === 'host')?.value ?? alert.entities[0].value
  await page.goto(`${url}/hunt?t=all`)
  await page.locator('.hunt-answer[data-stale=false]').waitFor()
  const all = await wholeTotal(page)

  await ask(page, host)
  const byWord = await wholeTotal(page)
  if (byWord < 1 || byWord > all) throw new Error(`the word ${host} found ${byWord} of ${all} events`)

  const field = Object.entries(alert.event.fields).find(([, value]) => value === host)?.[0]
  if (field) {
    await ask(page, `${field}:${/^[\w.@-]+$/.test(host) ? host : `"${host}"`}`)
    if ((await wholeTotal(page)) < 1) throw new Error(`${field}:${host} found nothing`)
  }

  const first = page.getByRole('grid', { name: 'Events' }).locator('[role=row][data-id]').first()
  await first.waitFor()
  await page.keyboard.press('j')
  await page.keyboard.press('o')
  await page
    .getByRole('complementary', { name: 'Event' })
    .getByRole('region', { name: 'Raw event' })
    .waitFor()
  await page.keyboard.press('Escape')

  // A value of the field list narrows the question.
  const value = page.locator(`.facet:not([aria-label="${field}"]) .facet-value`).first()
  await value.click()
  await page.waitForURL((u) => / AND /.test(u.searchParams.get('q') ?? ''))
  await page.locator('.hunt-answer[data-stale=false]').waitFor()

  await brush(page)

  await page.goto(`${url}/hunt?t=all&q=${encodeURIComponent('device.hostname:')}`)
  const refused = await call(page, 'POST', '/search', {
    query: 'device.hostname:"',
    ...EVER,
    limit: 1,
    order: 'desc',
  })
  if (refused.status !== 400 || refused.body.code !== 'query_invalid') {
    throw new Error(`an open quotation mark was answered ${refused.status} ${refused.body?.code}`)
  }
  await page.goto(`${url}/hunt?t=all&q=${encodeURIComponent('device.hostname:"')}`)
  await page.locator('#hunt-error .query-wrong').waitFor()

  await hostileText(world)
}

async function brush(page) {
  const bars = page.locator('.bars')
  const box = await bars.boundingBox()
  await page.mouse.move(box.x + box.width * 0.5, box.y + 40)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.9, box.y + 40, { steps: 4 })
  await page.mouse.up()
  await page.waitForURL((u) => u.searchParams.has('from') && u.searchParams.has('to'))
  await page.locator('.hunt-answer').waitFor()
}

/** Markup in an event must show as text, and its bidi override as an escape. */
async function hostileText({ page, url, options }) {
  const { body: made } = await call(page, 'POST', '/tokens', {
    name: 'hostile text',
    scope: ['ingest'],
    expires_in_days: 1,
  })
  const word = `hostile${process.pid}`
  await fetch(`${url}/ingest/ndjson`, {
    method: 'POST',
    headers: { authorization: `Bearer ${options.token ?? made.token}` },
    body: `${JSON.stringify({ '@timestamp': new Date().toISOString(), message: `${word} <img src=x onerror=alert(1)> \u202etxt.exe`, user: '<b>x</b>' })}\n`,
  })
  const found = await until(
    'the hostile event to be searchable',
    async () =>
      (await call(page, 'POST', '/search', { query: word, ...EVER, limit: 1, order: 'desc' })).body
        .events?.[0],
    { timeout_ms: 15_000 },
  ).catch(() => null)
  if (!found) {
    console.log('     the hostile event is not searchable here: its display is not tried')
    return
  }
  await page.goto(`${url}/hunt?t=all&q=${word}&event=${encodeURIComponent(found.id)}`)
  const raw = page.getByRole('region', { name: 'Raw event' })
  await raw.waitFor()
  const text = await raw.textContent()
  if (!text.includes('<img src=x')) throw new Error('markup of an event was not shown as text')
  if (text.includes('\u202e')) throw new Error('a bidi override of an event was not escaped')
  if ((await page.locator('main img').count()) > 0) throw new Error('an event made an image')
}
