/** The alert on one screen: what happened, why it fired, who, what else, what others judged, what next. */

import { useQuery } from '@tanstack/react-query'
import { useAlertActions } from '../../actions/alerts'
import { JudgeButtons } from '../../actions/JudgeButtons'
import type { AlertVerbs } from '../../actions/useAlertKeys'
import { alertContextQuery, alertQuery } from '../../api/queries'
import type { AlertDetail } from '../../api/types'
import { count } from '../../lib/format'
import { visible } from '../../lib/text'
import { EventView } from '../../ui/EventView'
import { Kbd } from '../../ui/Kbd'
import { Section, useTitle } from '../../ui/Page'
import { Severity } from '../../ui/Severity'
import { Status } from '../../ui/Status'
import { Ago, Time } from '../../ui/Time'
import { Problem, SkeletonRows } from '../../ui/Trouble'
import { BeforeAfter, ProcessTree, SameRule } from './Around'
import { Attachment, EntityCards, History, Judgements, RiskOf } from './Aside'
import { WhyItFired } from './WhyItFired'

interface AlertViewProps {
  id: string
  verbs: AlertVerbs
  isPanel?: boolean
}

export function AlertView({ id, verbs, isPanel }: AlertViewProps) {
  const { data, error, refetch } = useQuery(alertQuery(id))
  if (error && !data) {
    return <Problem what="The alert did not load" error={error} retry={() => void refetch()} />
  }
  if (!data) return <SkeletonRows rows={18} />
  return <Loaded alert={data} verbs={verbs} isPanel={isPanel ?? false} />
}

function Loaded({ alert, verbs, isPanel }: { alert: AlertDetail; verbs: AlertVerbs; isPanel: boolean }) {
  useTitle(visible(alert.title))
  const context = useQuery(alertContextQuery(alert.id))
  const aside = (
    <>
      <EntityCards alert={alert} context={context.data} />
      <Attachment alert={alert} />
      <RiskOf alert={alert} />
      <Judgements alert={alert} />
    </>
  )
  return (
    <article className={`alert ${isPanel ? 'alert-panel' : ''}`} aria-label={visible(alert.title)}>
      <header className="alert-head">
        <div className="alert-line">
          <Severity level={alert.severity} />
          <Status status={alert.status} verdict={alert.verdict} />
          <Time iso={alert.time} />
          <span className="muted">
            <Ago iso={alert.time} />
          </span>
          {alert.count > 1 && (
            <span className="muted tabular" title="How often the same finding came again">
              seen {count(alert.count)}×
            </span>
          )}
          <span className="muted">{alert.assignee ? `with ${visible(alert.assignee)}` : 'unassigned'}</span>
        </div>
        <h1>{visible(alert.title)}</h1>
        <p className="sentence">{visible(alert.summary)}</p>
        {alert.verdict_reason && <p className="prose">Judged so because: {visible(alert.verdict_reason)}</p>}
        <NextActions alert={alert} verbs={verbs} />
      </header>
      <div className="alert-body">
        <div className="alert-main">
          <WhyItFired alert={alert} />
          {isPanel && aside}
          {alert.event ? (
            <EventView event={alert.event} reasons={alert.reasons} />
          ) : (
            <Section title="Event">
              <p className="muted quiet">The lake holds the event no more; what matched is above.</p>
            </Section>
          )}
          <BeforeAfter alert={alert} query={context} />
          <ProcessTree nodes={context.data?.process_tree ?? []} />
          <SameRule alert={alert} rows={context.data?.same_rule} />
          {isPanel && <History alert={alert} />}
        </div>
        {!isPanel && (
          <div className="alert-aside">
            {aside}
            <History alert={alert} />
          </div>
        )}
      </div>
    </article>
  )
}

function NextActions({ alert, verbs }: { alert: AlertDetail; verbs: AlertVerbs }) {
  const actions = useAlertActions()
  const isClosed = alert.status === 'closed'
  return (
    <div className="actions" role="toolbar" aria-label="What to do next">
      {isClosed ? (
        <button type="button" className="button" onClick={() => void actions.reopen(alert)}>
          Reopen
        </button>
      ) : (
        <>
          {alert.status === 'new' && (
            <button type="button" className="button button-primary" onClick={verbs.acknowledge}>
              Acknowledge <Kbd keys="a" />
            </button>
          )}
          <JudgeButtons verbs={verbs} />
        </>
      )}
      <button type="button" className="button" onClick={verbs.except}>
        Except… <Kbd keys="s" />
      </button>
      <button type="button" className="button" onClick={verbs.attach}>
        {alert.incident_id ? 'Move to incident' : 'Attach'} <Kbd keys="m" />
      </button>
      <button type="button" className="button" onClick={verbs.note}>
        Note <Kbd keys="n" />
      </button>
      <button type="button" className="button" onClick={verbs.hunt}>
        Hunt <Kbd keys="h" />
      </button>
    </div>
  )
}
