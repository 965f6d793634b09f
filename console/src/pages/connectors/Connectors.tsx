/** Ways to the outside world, and what policy says of each kind of action. */
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useMay, useRefreshResponse } from '../../actions/response'
import { useSubmit } from '../../actions/useForm'
import { api } from '../../api/client'
import { connectorsQuery, policiesQuery } from '../../api/queries'
import type { ActionPolicy, Connector } from '../../api/types'
import { KINDS } from '../../lib/connectors'
import { kindWord, lasting } from '../../lib/response'
import { visible } from '../../lib/text'
import { openDialog } from '../../ui/Dialog'
import { FormError } from '../../ui/FormError'
import { PageHead, Section } from '../../ui/Page'
import { Ago } from '../../ui/Time'
import { Empty, Problem, SkeletonRows } from '../../ui/Trouble'
import { ConnectorDialog } from './ConnectorDialog'

export default function Connectors() {
  const { data, error, refetch } = useQuery(connectorsQuery)
  const policies = useQuery(policiesQuery).data?.items ?? []
  const mayManage = useMay('connectors.manage')
  if (error && !data)
    return <Problem what="Connectors did not load" error={error} retry={() => void refetch()} />
  if (!data) return <SkeletonRows rows={10} />
  return (
    <div className="page">
      <PageHead
        title="Connectors"
        meta={<span className="muted">ways to the outside world; secrets are sealed and never shown</span>}
      >
        {mayManage && (
          <button
            type="button"
            className="button button-primary"
            onClick={() => openDialog((close) => <ConnectorDialog close={close} />)}
          >
            Open a connector
          </button>
        )}
      </PageHead>
      {data.items.length === 0 ? (
        <Empty title="No connectors yet">
          {mayManage
            ? 'Open one, so that actions have a way to gateways, mail, channels and tickets.'
            : 'An administrator opens them.'}
        </Empty>
      ) : (
        <Section title="Open ways">
          <div className="table-scroll">
            <table className="table">
              <thead>
                <tr>
                  {['Connector', 'Does', 'Secrets', 'Changed', 'State'].map((head) => (
                    <th key={head} scope="col">
                      {head}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {data.items.map((one) => (
                  <Row key={one.id} connector={one} mayManage={mayManage} />
                ))}
              </tbody>
            </table>
          </div>
        </Section>
      )}
      <Section title="Actions" note="the list is closed: nothing else leaves the server">
        <div className="table-scroll">
          <table className="table">
            <thead>
              <tr>
                {['Action', 'Second person', 'Undone by itself after', 'Undone by'].map((head) => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {policies.map((one) => (
                <PolicyRow key={one.kind} policy={one} mayManage={mayManage} />
              ))}
            </tbody>
          </table>
        </div>
      </Section>
    </div>
  )
}

function Row({ connector, mayManage }: { connector: Connector; mayManage: boolean }) {
  const refresh = useRefreshResponse()
  const toggle = useSubmit(async () => {
    await api.patch(`/connectors/${encodeURIComponent(connector.id)}`, { is_enabled: !connector.is_enabled })
    await refresh()
  })
  const remove = useSubmit(async () => {
    await api.delete(`/connectors/${encodeURIComponent(connector.id)}`)
    await refresh()
  })
  return (
    <tr>
      <td>
        <span className="strong">{visible(connector.name)}</span>{' '}
        <span className="muted small">{KINDS[connector.kind].word}</span>
        <FormError error={toggle.error ?? remove.error} />
      </td>
      <td className="muted small wrap">{connector.serves.map(kindWord).join(', ')}</td>
      <td className="mono small">{connector.secrets.map(visible).join(', ')}</td>
      <td className="muted small">
        {visible(connector.changed_by)}, <Ago iso={connector.changed_at} />
      </td>
      <td>
        {connector.is_enabled ? 'on' : <span className="warn">off</span>}
        {mayManage && (
          <>
            {' '}
            <button
              type="button"
              className="link-button"
              aria-label={`Change ${visible(connector.name)}`}
              onClick={() => openDialog((close) => <ConnectorDialog connector={connector} close={close} />)}
            >
              Change…
            </button>{' '}
            <button
              type="button"
              className="link-button"
              aria-label={`Switch ${connector.is_enabled ? 'off' : 'on'}: ${visible(connector.name)}`}
              onClick={() => void toggle.submit()}
            >
              {connector.is_enabled ? 'Switch off' : 'Switch on'}
            </button>{' '}
            <button
              type="button"
              className="link-button"
              aria-label={`Close ${visible(connector.name)}`}
              onClick={() => void remove.submit()}
            >
              Close
            </button>
          </>
        )}
      </td>
    </tr>
  )
}

function PolicyRow({ policy, mayManage }: { policy: ActionPolicy; mayManage: boolean }) {
  const client = useQueryClient()
  const { submit, error } = useSubmit(async () => {
    await api.put(`/actions/policies/${policy.kind}`, {
      needs_approval: !policy.needs_approval,
      time_limit_s: policy.time_limit_s,
    })
    await client.invalidateQueries({ queryKey: policiesQuery.queryKey })
  })
  return (
    <tr>
      <td>{kindWord(policy.kind)}</td>
      <td>
        <label className="check">
          <input
            type="checkbox"
            checked={policy.needs_approval}
            disabled={!mayManage}
            onChange={() => void submit()}
          />
          <span>{policy.needs_approval ? 'must agree' : 'not needed'}</span>
        </label>
        <FormError error={error} />
      </td>
      <td className="muted">{policy.undo ? lasting(policy.time_limit_s) : '—'}</td>
      <td className="muted">{policy.undo ? kindWord(policy.undo) : 'nothing'}</td>
    </tr>
  )
}
