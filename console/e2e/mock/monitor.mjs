/** What the mock is fed by besides events: tables, destinations of copies, mapping packs. */
import { readFileSync } from 'node:fs'

const PACKS = JSON.parse(readFileSync(new URL('./fixtures/mappings.json', import.meta.url)))

export function monitorRoutes(world, api) {
  const file = (kind, path, entries, troubles = []) => ({
    kind,
    path,
    entries,
    troubles,
    loaded_at: new Date(Date.now() - 7_200_000).toISOString(),
  })
  const enrichment = [
    file('geoip', '/var/lib/GeoIP/GeoLite2-City.mmdb', null),
    file('geoip', '/var/lib/GeoIP/GeoLite2-ASN.mmdb', null),
    file('assets', '/etc/watchfloor/assets.csv', 412, [
      "line 17: 'hihg' is no criticality; write low, medium, high or critical",
      'line 203: 10.20.300.1 is no address; the row is left out',
    ]),
    file('identities', '/etc/watchfloor/ad.ldif', 2_318),
    file('leases', '/var/lib/dhcp/dhcpd.leases', 118),
  ]
  const forwards = [
    {
      name: 'partner',
      target: 'https://partner.example/ingest',
      sent: 1_204_331,
      dropped: 0,
      pending_bytes: 0,
      trouble: null,
    },
    {
      name: 'old-siem',
      target: 'tls://siem.example:6514',
      sent: 88_120,
      dropped: 412,
      pending_bytes: 1_070_000_000,
      trouble: 'siem.example:6514: connection refused; check that it listens and is reached from here',
    },
  ]
  return [
    ['GET', api('/enrichment'), (c) => c.send({ items: enrichment, next: null })],
    ['GET', api('/forwards'), (c) => c.send({ items: forwards, next: null })],
    [
      'GET',
      api('/mappings'),
      (c) =>
        c.send({
          packs: PACKS,
          held_back:
            'mappings/door/pack.yaml: line 9: kind entry: the class door_access is not known; name an OCSF class',
        }),
    ],
    ['GET', api('/escalations'), (c) => c.send({ items: world.escalations ?? [], next: null })],
  ]
}
