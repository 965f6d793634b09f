/** One action: what, who, how it stands, how long it lasts, and what can be done about it. */
import { Link } from '@tanstack/react-router'
import { CircleAlert, CircleCheck, CircleDashed, LoaderCircle } from 'lucide-react'
import { decideDialog, settleDialog, useMay } from '../actions/response'
import type { Action } from '../api/types'
import { useSession } from '../frame/session'
import { kindWord, lasting, STATUS_WORD, timeLeft, tone } from '../lib/response'
import { visible } from '../lib/text'
import { Ago, useNow } from './Time'

export function ResponseState({ status, word }: { status: string; word: string }) {
  const mood = tone(status)
  const Icon =
    status === 'running'
      ? LoaderCircle
      : mood === 'warn'
        ? CircleAlert
        : mood === 'good'
          ? CircleCheck
          : CircleDashed
  return (
    <span className="response-state" data-tone={mood}>
      <Icon size={13} aria-hidden="true" /> {word}
    </span>
  )
}

function Left({ until }: { until: string }) {
  const now = useNow()
  return (
    <span className="tabular" title={new Date(until).toLocaleString()}>
      undone in {timeLeft(until, now)}
    </span>
  )
}

export function ActionCard({ action }: { action: Action }) {
  const mayPropose = useMay('actions.propose')
  const mayApprove = useMay('actions.approve')
  const { user } = useSession()
  const isOwn = user.name === action.proposed_by
  return (
    <article className="response-card" aria-label={`${kindWord(action.kind)} ${visible(action.target)}`}>
      <header>
        <strong>{kindWord(action.kind)}</strong>
        <span className="mono wrap">{visible(action.target)}</span>
        <ResponseState status={action.status} word={STATUS_WORD[action.status]} />
        {action.undo_at && <Left until={action.undo_at} />}
      </header>
      <p className="muted small">
        {visible(action.proposed_by)}, <Ago iso={action.proposed_at} />: {visible(action.reason)}
        {action.decided_by && ` · decided by ${visible(action.decided_by)}`}
        {action.decision_note && `: ${visible(action.decision_note)}`}
      </p>
      {action.status === 'proposed' && action.time_limit_s && (
        <p className="muted small">It would last {lasting(action.time_limit_s)}.</p>
      )}
      {action.outcome && <p className="small wrap">{visible(action.outcome.summary)}</p>}
      {action.error && <p className="warn small wrap">{visible(action.error)}</p>}
      <p className="muted small">
        <span className="mono">{action.id}</span>
        {action.run_id && (
          <>
            {' · of '}
            <Link to="/runs/$id" params={{ id: action.run_id }}>
              {action.run_id}
            </Link>
          </>
        )}
        {action.incident_id && (
          <>
            {' · '}
            <Link to="/incidents/$id" params={{ id: action.incident_id }}>
              {action.incident_id}
            </Link>
          </>
        )}
        {action.attempts > 1 && ` · attempt ${action.attempts}`}
        <span title={`request sha256:${action.request_hash}`}>
          {' '}
          · sealed {action.request_hash.slice(0, 8)}
        </span>
      </p>
      <div className="response-tools">
        {action.status === 'proposed' && mayApprove && !isOwn && (
          <>
            <button type="button" className="button" onClick={() => decideDialog(action, 'approve')}>
              Agree…
            </button>
            <button type="button" className="button" onClick={() => decideDialog(action, 'reject')}>
              Refuse…
            </button>
          </>
        )}
        {action.status === 'proposed' && isOwn && (
          <span className="muted small">A second person must agree.</span>
        )}
        {(action.status === 'proposed' || action.status === 'ready') &&
          mayPropose &&
          (isOwn || mayApprove) && (
            <button type="button" className="button" onClick={() => decideDialog(action, 'cancel')}>
              Take back…
            </button>
          )}
        {action.status === 'done' && action.undo_kind && mayPropose && (
          <button type="button" className="button" onClick={() => decideDialog(action, 'undo')}>
            Undo…
          </button>
        )}
        {(action.status === 'uncertain' || action.status === 'failed') && mayApprove && (
          <button type="button" className="button" onClick={() => settleDialog(action)}>
            {action.status === 'failed' ? 'Try again…' : 'Settle…'}
          </button>
        )}
      </div>
    </article>
  )
}
