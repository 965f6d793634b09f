//! Actions on the outside world: who asks, who agrees, what is done, how it is undone, and what
//! proves it.

mod connectors;
mod decide;
mod engine;
mod port;
mod rehearsal;
mod seal;
mod vault;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use jiff::SignedDuration;
use tokio::sync::{Notify, Semaphore};
use watchfloor_model::{
    Action, ActionId, ActionKind, ActionPolicy, ActionRequest, ActionStatus, Actor, ActorKind,
    ArgumentValue, Connector, ConnectorId, IncidentId, Permission, Principal, RunId, TenantId,
    check_arguments,
};
use watchfloor_store::{Page, PageRequest, Queries, WriteTx};

use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::{Casework, CaseworkError, LiveChange, ResponseNotice};

pub use connectors::{ConnectorPatch, NewConnector};
pub use decide::Settlement;
pub use port::{Acted, ActedFuture, AgentFuture, Neighbor, NeighborsFuture, Responder, Way};
pub use rehearsal::{Rehearsal, Touched};
pub use seal::ActionRecord;
pub use vault::{Vault, VaultError};

/// Actions that are being done at the same time.
const SLOTS: usize = 16;
/// And of those that take long, so that an isolation never waits for a collection.
const LONG_SLOTS: usize = 32;
/// An approval that nobody gives lapses.
pub(crate) const APPROVAL_LIFE: SignedDuration = SignedDuration::from_hours(24);
/// How often what the program itself asks for is tried again, and after how many seconds.
const PROGRAM_RETRIES: u32 = 5;
const PROGRAM_RETRY_WAIT_S: u32 = 30;
/// Longest time limit of an action in seconds: 90 days.
const TIME_LIMIT_S_MAX: u32 = 90 * 24 * 3_600;
/// Shortest time limit of an action in seconds.
const TIME_LIMIT_S_MIN: u32 = 5;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct NewAction {
    /// Which.
    pub kind: ActionKind,
    /// With what.
    pub arguments: BTreeMap<String, ArgumentValue>,
    /// Through which connector; whichever serves it without.
    pub connector: Option<ConnectorId>,
    /// For which incident.
    pub incident_id: Option<IncidentId>,
    /// Why.
    pub reason: String,
    /// Undone after so many seconds: `None` as policy says, `Some(None)` never.
    pub time_limit_s: Option<Option<u32>>,
}

/// What the response side of casework shares.
pub(crate) struct Response {
    responder: OnceLock<Arc<dyn Responder>>,
    vault: OnceLock<Vault>,
    pub(crate) wake: Notify,
    slots: Arc<Semaphore>,
    long_slots: Arc<Semaphore>,
    worker: OnceLock<(String, String)>,
    /// Before it open runs are not looked at again: looking must not be all that is done.
    pub(crate) next_watch: Mutex<Option<Instant>>,
}

impl Response {
    /// Where an action of a kind takes its slot.
    fn slots_of(&self, kind: ActionKind) -> Arc<Semaphore> {
        match kind {
            ActionKind::CollectTriage | ActionKind::ScanFiles => Arc::clone(&self.long_slots),
            _ => Arc::clone(&self.slots),
        }
    }

    pub(crate) fn new() -> Self {
        Self {
            responder: OnceLock::new(),
            vault: OnceLock::new(),
            wake: Notify::new(),
            slots: Arc::new(Semaphore::new(SLOTS)),
            long_slots: Arc::new(Semaphore::new(LONG_SLOTS)),
            worker: OnceLock::new(),
            next_watch: Mutex::new(None),
        }
    }
}

/// Where an action comes from.
pub(crate) enum Origin {
    /// A person asked for it; whoever asked sees how it went.
    Person,
    /// A step of a playbook.
    Step(FromStep),
    /// The program itself: tried again for a while, since nobody looks.
    Program,
}

impl Origin {
    /// The step, how often it is tried again, and after how many seconds.
    fn into_parts(self) -> (Option<(RunId, u64)>, u32, u32) {
        match self {
            Self::Person => (None, 0, 10),
            Self::Step(step) => {
                let of = (step.run, step.instance);
                (Some(of), step.retries, step.retry_wait_s)
            }
            Self::Program => (None, PROGRAM_RETRIES, PROGRAM_RETRY_WAIT_S),
        }
    }
}

/// The step of a playbook from which an action comes.
pub(crate) struct FromStep {
    pub(crate) run: RunId,
    pub(crate) instance: u64,
    pub(crate) retries: u32,
    pub(crate) retry_wait_s: u32,
}

impl Casework {
    /// Opens the way to the outside: who does actions, and where secrets are kept; once. `place`
    /// names what only one server at a time has, such as its data folder.
    pub fn respond_with(
        &self,
        responder: Arc<dyn Responder>,
        vault: Vault,
        place: &str,
        boot: &str,
    ) {
        let response = self.response();
        // The first ones stay.
        let _ = response.responder.set(responder);
        let _ = response.vault.set(vault);
        let _ = response.worker.set((place.to_owned(), boot.to_owned()));
    }

    pub(crate) fn responder(&self) -> Result<&Arc<dyn Responder>, CaseworkError> {
        self.response()
            .responder
            .get()
            .ok_or(CaseworkError::System {
                what: "this process does no actions",
            })
    }

    pub(crate) fn vault(&self) -> Result<&Vault, CaseworkError> {
        self.response().vault.get().ok_or(CaseworkError::System {
            what: "this process keeps no secrets",
        })
    }

    /// A page of actions, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn actions(
        &self,
        actor: &Actor,
        statuses: &[ActionStatus],
        incident: Option<&IncidentId>,
        page: &PageRequest,
    ) -> Result<Page<Action>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().actions(statuses, incident, page).await?)
    }

    /// One action.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn action(&self, actor: &Actor, id: &ActionId) -> Result<Action, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().action(id).await?)
    }

    /// Asks for an action. It begins at once where policy wants no second person.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn propose_action(
        &self,
        actor: &Actor,
        new: NewAction,
    ) -> Result<Action, CaseworkError> {
        self.authorize(actor, Permission::ProposeActions)?;
        let reason = checked_text("reason", &new.reason, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        if let Some(incident) = &new.incident_id {
            tx.q().incident(incident).await?;
        }
        let principal = principal_of(&mut tx.q(), actor).await?;
        let new = NewAction { reason, ..new };
        let action = self
            .add_action(&mut tx, &actor.tenant, new, principal, Origin::Person)
            .await?;
        tx.commit().await?;
        self.tell_action(&actor.tenant, &action);
        Ok(action)
    }

    /// Writes a new action: checked, with a way to be done, and with its approval.
    pub(crate) async fn add_action(
        &self,
        tx: &mut WriteTx,
        tenant: &TenantId,
        new: NewAction,
        by: Principal,
        origin: Origin,
    ) -> Result<Action, CaseworkError> {
        check_arguments(new.kind, &new.arguments).map_err(|fault| invalid("arguments", fault))?;
        let policy = policy_of(&mut tx.q(), new.kind).await?;
        let time_limit_s = time_limit(&new, policy)?;
        let needs_approval = policy.needs_approval && !is_reading(&new);
        let now = self.now();
        let id = ActionId::numbered(tx.next_number("action").await?);
        let target = new.arguments.get(new.kind.target_argument());
        let target: String = target.map(ArgumentValue::shown).unwrap_or_default();
        let (step, retries_max, retry_wait_s) = origin.into_parts();
        let mut action = Action {
            id,
            kind: new.kind,
            target: target.chars().take(200).collect(),
            arguments: new.arguments,
            connector: new.connector,
            incident_id: new.incident_id,
            retries_max,
            retry_wait_s,
            step,
            reason: new.reason,
            status: match needs_approval {
                true => ActionStatus::Proposed,
                false => ActionStatus::Ready,
            },
            proposed_by: by,
            proposed_at: now,
            needs_approval,
            decided_by: None,
            decided_at: None,
            decision_note: None,
            time_limit_s,
            undo_at: None,
            undo_of: None,
            undone_by: None,
            attempts: 0,
            redone: 0,
            not_before: None,
            started_at: None,
            ended_at: None,
            worker: None,
            outcome: None,
            error: None,
            request_hash: String::new(),
            result_hash: None,
            version: 1,
        };
        // What is approved is done that way: a connector that serves it later changes nothing.
        if let Way::Connector(connector) = self.way_of(&mut tx.q(), tenant, &action).await? {
            action.connector = Some(connector.id);
        }
        action.request_hash = seal::request_hash(&action);
        let verb = match needs_approval {
            true => "action.propose",
            false => "action.ready",
        };
        let (words, hash) = (action.in_words(), &action.request_hash);
        let detail = format!("{words}: {}; request sha256:{hash}", action.reason);
        let change = self.change_by(&action.proposed_by.name, verb, detail);
        tx.save_action(&action, &change).await?;
        Ok(action)
    }

    /// How an action is done: by the connector that it names, an agent, or the first connector
    /// that serves it.
    pub(crate) async fn way_of(
        &self,
        queries: &mut Queries<'_>,
        tenant: &TenantId,
        action: &Action,
    ) -> Result<Way<Connector>, CaseworkError> {
        let responder = self.responder()?;
        let request = request_of(tenant, action);
        if let Some(id) = &action.connector {
            let connector = queries.connector(id).await?;
            if responder.covers(&connector, &request) {
                return Ok(Way::Connector(connector));
            }
            let reason = format!(
                "connector '{}' is off, or does not serve {} {}",
                connector.name, action.kind, action.target
            );
            return Err(invalid("connector", reason));
        }
        if responder.agent_serves(&request).await {
            return Ok(Way::Agent);
        }
        let mut connectors = queries.connectors().await?.into_iter();
        match connectors.find(|connector| responder.covers(connector, &request)) {
            Some(connector) => Ok(Way::Connector(connector)),
            None => Err(invalid(
                "kind",
                format!(
                    "no agent on {} and no connector serves {}; an administrator opens one under Connectors",
                    action.target, action.kind
                ),
            )),
        }
    }

    pub(crate) fn tell_action(&self, tenant: &TenantId, action: &Action) {
        self.tell(LiveChange::Response(
            tenant.clone(),
            Arc::new(ResponseNotice {
                kind: "action",
                id: action.id.to_string(),
                status: action.status.as_str(),
                incident_id: action.incident_id.clone(),
                text: action.in_words(),
            }),
        ));
        self.response().wake.notify_one();
    }
}

/// What policy says of a kind of action.
async fn policy_of(
    queries: &mut Queries<'_>,
    kind: ActionKind,
) -> Result<ActionPolicy, CaseworkError> {
    let policies = queries.action_policies().await?;
    let policy = policies.get(&kind).copied();
    Ok(policy.unwrap_or(ActionPolicy::standard(kind)))
}

/// Undone after so many seconds: as asked for, as policy says, or never.
fn time_limit(new: &NewAction, policy: ActionPolicy) -> Result<Option<u32>, CaseworkError> {
    let limit = match (new.kind.undo(), new.time_limit_s) {
        (None, Some(Some(_))) => {
            let what = new.kind.in_words();
            let reason = format!("{what} cannot be undone, so it has no time limit");
            return Err(invalid("time_limit_s", reason));
        }
        (None, _) => None,
        (Some(_), Some(limit)) => limit,
        (Some(_), None) => policy.time_limit_s,
    };
    if limit.is_some_and(|s| !(TIME_LIMIT_S_MIN..=TIME_LIMIT_S_MAX).contains(&s)) {
        let reason = format!("must be {TIME_LIMIT_S_MIN} to {TIME_LIMIT_S_MAX} seconds");
        return Err(invalid("time_limit_s", reason));
    }
    Ok(limit)
}

/// A request that only reads needs nobody's approval.
pub(crate) fn is_reading(new: &NewAction) -> bool {
    let method = new.arguments.get("method");
    new.kind == ActionKind::HttpRequest && method.is_some_and(|method| method.shown() == "GET")
}

/// An action as whoever does it gets it.
pub(crate) fn request_of(tenant: &TenantId, action: &Action) -> ActionRequest {
    ActionRequest {
        tenant: tenant.clone(),
        id: action.id.clone(),
        idempotency_key: action.idempotency_key(),
        kind: action.kind,
        target: action.target.clone(),
        arguments: action.arguments.clone(),
        reason: action.reason.clone(),
        incident_id: action.incident_id.clone(),
        expires_at: action.undo_at,
        redone: action.redone,
    }
}

pub(crate) fn invalid(field: &'static str, reason: impl ToString) -> CaseworkError {
    CaseworkError::Invalid {
        field,
        reason: reason.to_string(),
    }
}

/// Who an actor is, with the person behind it.
pub(crate) async fn principal_of(
    queries: &mut Queries<'_>,
    actor: &Actor,
) -> Result<Principal, CaseworkError> {
    Ok(match &actor.kind {
        ActorKind::Session { user, .. } => Principal {
            id: user.to_string(),
            name: actor.name.clone(),
            person: user.to_string(),
        },
        ActorKind::Token(token) => {
            let tokens = queries.tokens().await?;
            let maker = tokens.into_iter().find(|one| one.id == *token);
            let maker = maker.map_or_else(|| token.to_string(), |one| one.created_by);
            let user = queries.user_by_name(&maker).await?;
            Principal {
                id: token.to_string(),
                name: actor.name.clone(),
                person: user.map_or(maker, |(user, _)| user.id.to_string()),
            }
        }
        ActorKind::System => Principal {
            id: "system".to_owned(),
            name: actor.name.clone(),
            person: "system".to_owned(),
        },
    })
}
