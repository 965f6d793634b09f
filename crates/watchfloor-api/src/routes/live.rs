//! Live data as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event as SseEvent, Sse};
use futures::Stream;
use futures::stream::unfold;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework::LiveChange;
use watchfloor_model::{Permission, TenantId};

use super::ApiResult;
use crate::extract::Caller;
use crate::state::ApiState;
use crate::wire::alert::Alert;
use crate::wire::incident::Incident;

/// How often counters are sent.
const LEDGER_EVERY: Duration = Duration::from_secs(2);

/// How often a ping is sent, so that proxies keep the connection.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A stream ends after this long and the browser connects again, which checks that the session
/// still holds.
const STREAM_LIFE: Duration = Duration::from_secs(15 * 60);

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_live))
}

#[derive(Serialize)]
struct Counters {
    received: u64,
    stored: u64,
    lag_ms: u64,
}

/// The rules in force changed, or one needs somebody.
#[derive(Serialize)]
struct RulesChanged<'a> {
    action: &'a str,
    text: &'a str,
    needs_attention: bool,
}

/// People are told that a clock runs out, or who is on call changed.
#[derive(Serialize)]
struct DutyChanged<'a> {
    recipients: &'a [String],
    subjects: &'a [String],
    text: &'a str,
}

/// An action or a run changed: read it again.
#[derive(Serialize)]
struct ResponseChanged<'a> {
    kind: &'a str,
    id: &'a str,
    status: &'a str,
    incident_id: Option<String>,
    text: &'a str,
}

/// Others look at an incident now.
#[derive(Serialize)]
struct PresenceChanged<'a> {
    incident_id: &'a str,
    names: &'a [String],
}

/// A user was mentioned.
#[derive(Serialize)]
struct Mentioned<'a> {
    name: &'a str,
    parent_id: &'a str,
}

struct Watcher {
    state: ApiState,
    tenant: TenantId,
    changes: broadcast::Receiver<LiveChange>,
    ledger: Interval,
    ping: Interval,
    ends: tokio::time::Instant,
}

/// Live data: `alert`, `alert_changed` (rows), `incident` (row), `rules` (what changed in words),
/// `response` (an action or a run changed), `presence` (who looks at an incident now),
/// `mention` (a user was mentioned), `duty` (a clock runs out, or the roster changed),
/// `ledger` (counters, every two seconds), `lagged` (changes were missed: read again), `ping`.
#[utoipa::path(get, path = "/live", tag = "live", responses(
    (status = 200, description = "server-sent events", content_type = "text/event-stream", body = String)))]
async fn get_live(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    state
        .casework()
        .authorize(caller.actor(), Permission::ReadCases)?;
    let mut ledger = interval(LEDGER_EVERY);
    ledger.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watcher = Watcher {
        changes: state.casework().watch(),
        tenant: caller.actor().tenant.clone(),
        state,
        ledger,
        ping: interval(PING_EVERY),
        ends: tokio::time::Instant::now() + STREAM_LIFE,
    };
    let stream = unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Some((Ok(event), watcher))
    });
    Ok(Sse::new(stream))
}

impl Watcher {
    async fn next(&mut self) -> Option<SseEvent> {
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(self.ends) => return None,
                change = self.changes.recv() => match change {
                    Ok(change) if *change.tenant() == self.tenant => return Some(event_of(&change)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(missed)) => {
                        return Some(SseEvent::default().event("lagged").data(missed.to_string()));
                    }
                    Err(RecvError::Closed) => return None,
                },
                _ = self.ledger.tick() => {
                    let now = self.state.pipeline().counters();
                    return Some(json_event("ledger", &Counters {
                        received: now.received,
                        stored: now.stored,
                        lag_ms: now.lag_ms,
                    }));
                }
                _ = self.ping.tick() => return Some(SseEvent::default().event("ping").data("{}")),
            }
        }
    }
}

fn event_of(change: &LiveChange) -> SseEvent {
    match change {
        LiveChange::AlertNew(_, alert) => json_event("alert", &Alert::from(&**alert)),
        LiveChange::AlertChanged(_, alert) => json_event("alert_changed", &Alert::from(&**alert)),
        LiveChange::Incident(_, incident) => json_event("incident", &Incident::from(&**incident)),
        LiveChange::Rules(_, notice) => json_event(
            "rules",
            &RulesChanged {
                action: notice.action,
                text: &notice.text,
                needs_attention: notice.needs_attention,
            },
        ),
        LiveChange::Fleet(_, notice) => json_event(
            "fleet",
            &FleetChanged {
                action: notice.action,
                target: &notice.target,
            },
        ),
        LiveChange::Presence(_, incident, names) => json_event(
            "presence",
            &PresenceChanged {
                incident_id: incident.as_str(),
                names,
            },
        ),
        LiveChange::Mention(_, name, parent) => json_event(
            "mention",
            &Mentioned {
                name,
                parent_id: parent,
            },
        ),
        LiveChange::Duty(_, notice) => json_event(
            "duty",
            &DutyChanged {
                recipients: &notice.recipients,
                subjects: &notice.subjects,
                text: &notice.text,
            },
        ),
        LiveChange::Response(_, notice) => json_event(
            "response",
            &ResponseChanged {
                kind: notice.kind,
                id: &notice.id,
                status: notice.status,
                incident_id: notice.incident_id.as_ref().map(ToString::to_string),
                text: &notice.text,
            },
        ),
    }
}

/// An agent or a group of agents that changed.
#[derive(Serialize)]
struct FleetChanged<'a> {
    action: &'static str,
    target: &'a str,
}

fn json_event(name: &'static str, body: &impl Serialize) -> SseEvent {
    let text = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
    SseEvent::default().event(name).data(text)
}
