/** The mock's lake: what it takes, retention, holds and deletions; nothing of it is deleted. */
import { createHash } from 'node:crypto'

const DAY_MS = 86_400_000
const GIB = 1024 ** 3
const DONE_AFTER_MS = 4000

function usageOf() {
  const share = (name, gib, rows, day = 0) => ({
    name,
    rows: Math.round(rows),
    bytes: Math.round(gib * GIB),
    raw_bytes: Math.round(gib * GIB * 7.4),
    bytes_per_day: Math.round(day * GIB),
  })
  const days = Array.from({ length: 84 }, (_, i) => {
    const at = new Date(Date.now() - (83 - i) * DAY_MS).toISOString().slice(0, 10)
    return share(at, 2.1 + ((i * 37) % 11) / 10, 31_000_000 + i * 90_000)
  })
  const sources = ['windows', 'zeek', 'suricata', 'nginx', 'linux-auth'].map((name, i) =>
    share(name, 96 / (i + 1), 1_100_000_000 / (i + 2), 1.2 / (i + 1)),
  )
  const classes = [4001, 1007, 3002, 4003, 4002].map((uid, i) =>
    share(String(uid), 90 / (i + 1), 1_000_000_000 / (i + 2)),
  )
  return {
    rows: 2_600_000_000,
    bytes: 219 * GIB,
    raw_bytes: 1580 * GIB,
    tiers: [
      { role: 'hot', place: '/srv/watchfloor/lake', files: 412, bytes: 60 * GIB, filter_bytes: 2 * GIB },
      { role: 'cold', place: 's3://soc-archive/lake', files: 1210, bytes: 155 * GIB, filter_bytes: 2 * GIB },
    ],
    days: days.filter((_, i) => i !== 40 && i !== 41),
    sources,
    classes,
    bytes_per_day: Math.round(2.7 * GIB),
    free_bytes: 110 * GIB,
    full_in_days: 41,
    steady_bytes: null,
    unknown_files: 2,
    price_per_gb_month: 0.023,
    kept_at: new Date(Date.now() - 22 * 60_000).toISOString(),
    expired: 1_204_331,
    held: 96,
    keeper_error: null,
  }
}

export function storageRoutes(world, api) {
  let retention = {
    rules: [
      { source: 'win*', class_uid: 3002, days: 400 },
      { source: 'nginx', class_uid: null, days: 30 },
      { source: null, class_uid: 4003, days: 90 },
    ],
    default_days: null,
    cold_after_days: 30,
    version: 3,
    changed_by: 'admin',
    changed_at: world.now(),
  }
  const holds = []
  const erasures = []
  const digest = (text) => createHash('sha256').update(text).digest('hex')
  return [
    ['GET', api('/storage'), (c) => c.send({ usage: usageOf(), retention, holds, erasures })],
    [
      'PUT',
      api('/storage/retention'),
      (c) => {
        if (c.body.version !== retention.version)
          return c.problem(412, 'version_conflict', 'retention was changed meanwhile')
        retention = {
          ...c.body,
          version: retention.version + 1,
          changed_by: c.user.name,
          changed_at: world.now(),
        }
        c.send(retention)
      },
    ],
    [
      'POST',
      api('/storage/holds'),
      (c) => {
        const hold = {
          ...c.body,
          id: world.newId('hold'),
          created_by: c.user.name,
          created_at: world.now(),
          released_by: null,
          released_at: null,
        }
        holds.unshift(hold)
        c.send(hold, 201)
      },
    ],
    [
      'POST',
      api('/storage/holds/:id/release'),
      (c) => {
        const hold = holds.find((one) => one.id === c.params[0])
        if (!hold) return c.problem(404, 'not_found', 'no such hold')
        Object.assign(hold, { released_by: c.user.name, released_at: world.now() })
        c.send(undefined, 204)
      },
    ],
    ['POST', api('/storage/erasures/preview'), (c) => c.send({ events: 1204, held: 3, files: 7 })],
    [
      'POST',
      api('/storage/erasures'),
      (c) => {
        const erasure = {
          id: world.newId('erasure'),
          query: c.body.query,
          digest: digest(c.body.query),
          reason: c.body.reason,
          created_by: c.user.name,
          created_at: world.now(),
          state: 'running',
          events: 0,
          held: 0,
          files: 0,
          ended_at: null,
          error: null,
        }
        erasures.unshift(erasure)
        const end = { query: null, state: 'done', events: 1204, held: 3, files: 7 }
        setTimeout(() => Object.assign(erasure, end, { ended_at: world.now() }), DONE_AFTER_MS).unref()
        c.send(erasure, 202)
      },
    ],
  ]
}
