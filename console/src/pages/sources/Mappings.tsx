/** The mapping packs in force, what of theirs arrives, and why others are not in force. */
import { useQuery } from '@tanstack/react-query'
import { livenessQuery, mappingsQuery } from '../../api/queries'
import { count, plural } from '../../lib/format'
import { kindsOfPacks } from '../../lib/mappings'
import { visible } from '../../lib/text'
import { useUrlState } from '../../lib/url'
import { CopyButton } from '../../ui/CopyButton'
import { FilterText } from '../../ui/FilterText'
import { Section } from '../../ui/Page'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'

const KINDS_SHOWN = 4

export function Mappings() {
  const { data, error, refetch } = useQuery(mappingsQuery)
  const liveness = useQuery(livenessQuery)
  const [search] = useUrlState()
  if (error && !data)
    return <Problem what="Mapping packs did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={12} />
  const needle = (search.text ?? '').toLowerCase()
  const kinds = kindsOfPacks(liveness.data?.items ?? [])
  const packs = data.packs.filter((pack) =>
    `${pack.name} ${pack.title} ${pack.versions}`.toLowerCase().includes(needle),
  )
  return (
    <>
      {data.held_back && (
        <section className="form-error stack-tight" role="status" aria-label="Held back">
          <strong>The packs as their files are now are not in force; those of before are.</strong>
          <span className="mono small wrap">{visible(data.held_back)}</span>
        </section>
      )}
      <Section title="Try a line" note="on the machine of the server, or where the program is">
        <p className="muted small">
          Shows for each line the kind of event that it becomes, the conditions that made it so, its
          attributes, and what nothing took.
        </p>
        <div className="paste">
          <pre>watchfloor mapping try /var/log/door.log</pre>
          <CopyButton text="watchfloor mapping try /var/log/door.log" label="Copy the command" />
        </div>
      </Section>
      <Section
        title="Packs"
        note={`${plural(packs.length, 'pack')}${needle ? ` of ${count(data.packs.length)}` : ''}`}
        tools={<FilterText label="Filter packs" placeholder="Filter by product" />}
      >
        {packs.length === 0 ? (
          <Empty title="No pack fits">Another word, or a pack of your own in the folder “mappings”.</Empty>
        ) : (
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  <th scope="col">Pack</th>
                  <th scope="col">Product</th>
                  <th scope="col">Follows</th>
                  <th scope="col">Kinds that came in 24 h and that rules read</th>
                </tr>
              </thead>
              <tbody>
                {packs.map((pack) => {
                  const found = kinds.get(pack.name) ?? []
                  return (
                    <tr key={pack.name}>
                      <td className="mono small">{visible(pack.name)}</td>
                      <td className="strong">{visible(pack.title)}</td>
                      <td className="muted small wrap">{visible(pack.versions)}</td>
                      <td className="small wrap">
                        {found.length === 0 ? (
                          <span className="faint">{liveness.data ? 'none' : '…'}</span>
                        ) : (
                          <span title={found.map((one) => `${one.name}: ${count(one.events)}`).join('\n')}>
                            {found.slice(0, KINDS_SHOWN).map((one, i) => (
                              <span key={one.name}>
                                {i > 0 && ', '}
                                {visible(one.name)} <span className="muted tabular">{count(one.events)}</span>
                              </span>
                            ))}
                            {found.length > KINDS_SHOWN && (
                              <span className="muted"> +{found.length - KINDS_SHOWN}</span>
                            )}
                          </span>
                        )}
                      </td>
                    </tr>
                  )
                })}
              </tbody>
            </table>
          </div>
        )}
      </Section>
    </>
  )
}
