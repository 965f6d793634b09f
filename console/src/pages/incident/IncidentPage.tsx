/** The incident, read from top to bottom as the story. */
import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
import { useEffect } from 'react'
import { useIncidentActions } from '../../actions/incidents'
import { currentIncident } from '../../actions/observable'
import { incidentQuery } from '../../api/queries'
import type { IncidentDetail } from '../../api/types'
import { plural } from '../../lib/format'
import { visible } from '../../lib/text'
import { Section, useTitle } from '../../ui/Page'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { HistoryList } from '../alert/Aside'
import { AlertsInOrder } from './AlertsInOrder'
import { Around } from './Around'
import { AttackPath } from './AttackPath'
import { Corrections } from './Corrections'
import { EntityGraph } from './EntityGraph'
import { IncidentHead } from './IncidentHead'
import { Response } from './Response'
import { Clocks, Scope } from './Scope'
import { Similar } from './Similar'
import { Standing } from './Standing'
import { Timeline } from './Timeline'
import { Notes, Observables, Tasks } from './Work'

export default function IncidentPage() {
  const { id } = useParams({ strict: false }) as { id: string }
  const { data, error, refetch } = useQuery(incidentQuery(id))
  if (error && !data) {
    return <Problem what="The incident did not load" error={error} retry={() => void refetch()} />
  }
  if (!data) return <SkeletonRows rows={18} />
  return <Loaded key={id} incident={data} />
}

function Loaded({ incident }: { incident: IncidentDetail }) {
  useTitle(`#${incident.number} ${visible(incident.title)}`)
  const actions = useIncidentActions(incident)
  const { id, number } = incident
  useEffect(() => {
    currentIncident.set({ id, number })
    return () => currentIncident.set(null)
  }, [id, number])
  return (
    <div className="page">
      <IncidentHead incident={incident} actions={actions} />
      <div className="alert-body">
        <div className="alert-main">
          <AttackPath incident={incident} />
          <Response incident={incident} />
          <Timeline incident={incident} />
          <EntityGraph alerts={incident.alert_rows} />
          <AlertsInOrder incident={incident} actions={actions} />
          <Around id={incident.id} />
          <Similar id={incident.id} />
        </div>
        <div className="alert-aside">
          <Standing incident={incident} />
          <Clocks incident={incident} />
          <Tasks incident={incident} actions={actions} />
          <Notes incident={incident} actions={actions} />
          <Observables incident={incident} actions={actions} />
          <Scope incident={incident} />
          <Corrections incident={incident} />
          <Section title="History" note={plural(incident.history.length, 'entry', 'entries')}>
            <HistoryList items={incident.history} />
          </Section>
        </div>
      </div>
    </div>
  )
}
