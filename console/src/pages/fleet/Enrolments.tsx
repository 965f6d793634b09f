/** Rights to enrol: the one line that brings an endpoint in. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { enrolmentsQuery } from '../../api/queries'
import type { AgentGroup, Enrolment, MadeEnrolment } from '../../api/types'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { CopyButton } from '../../ui/CopyButton'
import { Dialog } from '../../ui/Dialog'
import { FormDialog, NumberField, SelectField } from '../../ui/Form'
import { FormError } from '../../ui/FormError'
import { Section } from '../../ui/Page'
import { Ago, Time } from '../../ui/Time'

export function Enrolments({ groups }: { groups: AgentGroup[] }) {
  const rows = useQuery(enrolmentsQuery).data?.items ?? []
  const open = rows.filter((row) => row.uses_left > 0 && Date.parse(row.expires_at) > Date.now())
  if (open.length === 0) return null
  return (
    <Section title="Rights to enrol" note="tokens that still let endpoints in; their secrets are not kept">
      <table className="table">
        <thead>
          <tr>
            {['Token', 'Group', 'Uses left', 'Until', 'Made', ''].map((head) => (
              <th key={head} scope="col">
                {head || <span className="hidden-text">Tools</span>}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {open.map((row) => (
            <Row
              key={row.id}
              row={row}
              group={groups.find((group) => group.id === row.group)?.name ?? row.group}
            />
          ))}
        </tbody>
      </table>
    </Section>
  )
}

function Row({ row, group }: { row: Enrolment; group: string }) {
  const client = useQueryClient()
  const end = useSubmit(async () => {
    await api.delete(`/fleet/enrolments/${encodeURIComponent(row.id)}`)
    await client.invalidateQueries({ queryKey: enrolmentsQuery.queryKey })
  })
  return (
    <tr>
      <td className="mono small">{row.id}</td>
      <td>{visible(group)}</td>
      <td className="tabular">{row.uses_left}</td>
      <td className="muted">
        <Time iso={row.expires_at} />
      </td>
      <td className="muted small">
        {visible(row.created_by)}, <Ago iso={row.created_at} />
      </td>
      <td>
        <button
          type="button"
          className="link-button"
          aria-label={`Take back ${row.id}`}
          onClick={() => void end.submit()}
        >
          Take back
        </button>
        <FormError error={end.error} />
      </td>
    </tr>
  )
}

export function EnrolDialog({ groups, close }: { groups: AgentGroup[]; close: () => void }) {
  const client = useQueryClient()
  const [group, setGroup] = useState(groups[0]?.id ?? '')
  const [uses, setUses] = useState<number | null>(1)
  const [hours, setHours] = useState<number | null>(24)
  const [made, setMade] = useState<MadeEnrolment | null>(null)
  const send = async () => {
    const body = { group: group || null, uses, life_hours: hours }
    setMade(await api.post<MadeEnrolment>('/fleet/enrolments', body))
    await client.invalidateQueries({ queryKey: enrolmentsQuery.queryKey })
    // It stays: the line is shown now, and only now.
    return false
  }
  if (made) {
    return (
      <Dialog title="Enrol an endpoint" onClose={close} width={720}>
        <div className="stack">
          <p>
            Run this on the endpoint. It is shown once, and lets{' '}
            {plural(made.enrolment.uses_left, 'endpoint')} in until <Time iso={made.enrolment.expires_at} />.
          </p>
          <div className="paste">
            <pre className="wrap">{made.command}</pre>
            <CopyButton text={made.command} label="Copy the line" />
          </div>
          <p className="muted small">
            The line downloads the agent, checks its hash, gets it a certificate of its own by the token, and
            starts it as a service where there is systemd.
          </p>
          <div className="dialog-foot">
            <button type="button" className="button button-primary" data-autofocus onClick={close}>
              Done
            </button>
          </div>
        </div>
      </Dialog>
    )
  }
  return (
    <FormDialog title="Enrol an endpoint" close={close} width={480} word="Make the line" send={send}>
      {groups.length > 0 && (
        <SelectField
          label="Group"
          options={groups.map((one) => [one.id, visible(one.name)] as const)}
          value={group}
          onChange={setGroup}
        />
      )}
      <div className="two-fields">
        <NumberField label="How many endpoints" min={1} max={100_000} value={uses} onChange={setUses} />
        <NumberField
          label="Until it is over"
          unit="hours"
          min={1}
          max={2_160}
          value={hours}
          onChange={setHours}
        />
      </div>
    </FormDialog>
  )
}
