//! What an action would touch, before anybody agrees to it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use watchfloor_model::{
    Action, ActionKind, ActionPolicy, ActionStatus, Actor, EntityKind, EntityRef, Incident,
    Permission, TenantId, check_arguments,
};
use watchfloor_store::Queries;

use super::{NewAction, Way, invalid, is_reading, principal_of, request_of};
use crate::{Casework, CaseworkError};

/// Days of alerts that are looked at.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Alerts that are looked at.
const ALERTS_MAX: u32 = 500;
/// Things that are named.
const TOUCHED_MAX: usize = 40;

/// Something that an action would touch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Touched {
    /// What kind of thing: a word of entities, `incident`, `session` or `action`.
    pub kind: String,
    /// Its name.
    pub value: String,
    /// How it is known.
    pub why: String,
}

/// What an action would do.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// By whom: the name of a connector, or the agent.
    pub way: String,
    /// What would be sent where.
    pub preview: String,
    /// What it would touch.
    pub touches: Vec<Touched>,
    /// What somebody should think of first.
    pub warnings: Vec<String>,
    /// Whether a second person must agree.
    pub needs_approval: bool,
    /// Undone after so many seconds.
    pub time_limit_s: Option<u32>,
    /// What would undo it.
    pub undo: Option<ActionKind>,
    /// Whether it can be begun again after a crash without being done twice.
    pub is_repeatable: bool,
}

/// Kind of the thing that an action is done to.
fn kind_of(kind: ActionKind) -> Option<EntityKind> {
    match kind.target_argument() {
        "host" => Some(EntityKind::Host),
        "user" => Some(EntityKind::User),
        "address" => Some(EntityKind::Address),
        "domain" => Some(EntityKind::Domain),
        _ => None,
    }
}

impl Casework {
    /// Says what an action would do and touch, without doing anything.
    ///
    /// # Errors
    /// [`CaseworkError`]; also why it could not be done.
    pub async fn rehearse_action(
        &self,
        actor: &Actor,
        new: &NewAction,
    ) -> Result<Rehearsal, CaseworkError> {
        self.authorize(actor, Permission::ProposeActions)?;
        check_arguments(new.kind, &new.arguments).map_err(|fault| invalid("arguments", fault))?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let mut queries = reader.q();
        let by = principal_of(&mut queries, actor).await?;
        let policies = queries.action_policies().await?;
        let policy = policies.get(&new.kind).copied();
        let policy = policy.unwrap_or(ActionPolicy::standard(new.kind));
        let action = self.draft(new, by);
        let way = self.way_of(&mut queries, &actor.tenant, &action).await?;
        let request = request_of(&actor.tenant, &action);
        let responder = self.responder()?;
        let preview = responder
            .preview(&way, &request)
            .map_err(|reason| invalid("kind", reason))?;
        let mut warnings = Vec::new();
        let touches = self
            .touches(&mut queries, &actor.tenant, &action, &mut warnings)
            .await?;
        let time_limit_s = match new.time_limit_s {
            Some(limit) => limit,
            None => policy.time_limit_s,
        };
        let undo = new.kind.undo();
        if undo.is_none() && new.kind.is_containing() {
            warnings.push("nothing undoes it".to_owned());
        }
        if undo.is_some() && time_limit_s.is_none() {
            warnings.push("it has no time limit: it lasts until somebody undoes it".to_owned());
        }
        let is_repeatable = responder.is_repeatable(&way, new.kind);
        Ok(Rehearsal {
            way: match &way {
                Way::Agent => format!("the agent on {}", action.target),
                Way::Connector(connector) => connector.name.clone(),
            },
            preview,
            touches,
            warnings,
            needs_approval: policy.needs_approval && !is_reading(new),
            time_limit_s: time_limit_s.filter(|_| undo.is_some()),
            undo,
            is_repeatable,
        })
    }

    /// An action that is written nowhere.
    fn draft(&self, new: &NewAction, by: watchfloor_model::Principal) -> Action {
        let target = new.arguments.get(new.kind.target_argument());
        Action {
            id: watchfloor_model::ActionId::numbered(0),
            kind: new.kind,
            target: target.map(|value| value.shown()).unwrap_or_default(),
            arguments: new.arguments.clone(),
            connector: new.connector.clone(),
            incident_id: new.incident_id.clone(),
            step: None,
            reason: new.reason.clone(),
            status: ActionStatus::Proposed,
            proposed_by: by,
            proposed_at: self.now(),
            needs_approval: true,
            decided_by: None,
            decided_at: None,
            decision_note: None,
            time_limit_s: None,
            undo_at: None,
            undo_of: None,
            undone_by: None,
            attempts: 0,
            redone: 0,
            retries_max: 0,
            retry_wait_s: 0,
            not_before: None,
            started_at: None,
            ended_at: None,
            worker: None,
            outcome: None,
            error: None,
            request_hash: "0".repeat(64),
            result_hash: None,
            version: 1,
        }
    }

    async fn touches(
        &self,
        queries: &mut Queries<'_>,
        tenant: &TenantId,
        action: &Action,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Touched>, CaseworkError> {
        let Some(kind) = kind_of(action.kind) else {
            return Ok(Vec::new());
        };
        let own = EntityRef::new(kind, &action.target);
        let mut found = vec![Touched {
            kind: kind.to_string(),
            value: action.target.clone(),
            why: "the target".to_owned(),
        }];
        self.from_alerts(queries, &own, warnings, &mut found)
            .await?;
        for neighbor in self
            .responder()?
            .neighbors(tenant, kind, &action.target)
            .await
        {
            let is_new = !found
                .iter()
                .any(|one| one.value.eq_ignore_ascii_case(&neighbor.value));
            if is_new {
                found.push(Touched {
                    kind: neighbor.kind.to_string(),
                    value: neighbor.value,
                    why: format!("in {} of its events of the last day", neighbor.events),
                });
            }
        }
        self.from_records(queries, action, &own, warnings, &mut found)
            .await?;
        found.truncate(TOUCHED_MAX);
        Ok(found)
    }

    /// What stood in alerts with the target: those who work with it, and open incidents.
    async fn from_alerts(
        &self,
        queries: &mut Queries<'_>,
        own: &EntityRef,
        warnings: &mut Vec<String>,
        found: &mut Vec<Touched>,
    ) -> Result<(), CaseworkError> {
        let now = self.now();
        let since = now.saturating_sub(LOOK_BACK).unwrap_or(now);
        let until = now.saturating_add(LOOK_BACK).unwrap_or(now);
        let alerts = queries
            .alerts_with_entity(own, since, until, ALERTS_MAX)
            .await?;
        if alerts.is_empty() {
            warnings.push(format!(
                "{} {} is in no alert of the last 30 days; is the name right?",
                own.kind, own.value
            ));
        }
        let mut with: BTreeMap<(EntityKind, String), usize> = BTreeMap::new();
        let mut incidents = BTreeMap::new();
        for alert in &alerts {
            for entity in &alert.entities {
                let key = entity.key();
                let counts = matches!(
                    key.kind,
                    EntityKind::Host | EntityKind::User | EntityKind::Address | EntityKind::Domain
                );
                if key != *own && counts {
                    *with.entry((key.kind, key.value)).or_default() += 1;
                }
            }
            if let Some(id) = alert.incident_id() {
                *incidents.entry(id.clone()).or_insert(0_usize) += 1;
            }
        }
        for (id, count) in incidents {
            let incident: Incident = queries.incident(&id).await?;
            if incident.status.is_open() {
                found.push(Touched {
                    kind: "incident".to_owned(),
                    value: format!("#{} {}", incident.number, incident.title),
                    why: format!("open, with {count} alerts about it"),
                });
            }
        }
        let mut with: Vec<_> = with.into_iter().collect();
        with.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        found.extend(with.into_iter().map(|((kind, value), count)| Touched {
            kind: kind.to_string(),
            value,
            why: format!("in {count} of its alerts of the last 30 days"),
        }));
        Ok(())
    }

    /// Our own records: sessions of the account, and actions that hold already.
    async fn from_records(
        &self,
        queries: &mut Queries<'_>,
        action: &Action,
        own: &EntityRef,
        warnings: &mut Vec<String>,
        found: &mut Vec<Touched>,
    ) -> Result<(), CaseworkError> {
        if own.kind == EntityKind::User
            && let Some((user, _)) = queries.user_by_name(&own.value).await?
        {
            warnings.push(format!("{} works on this floor", user.name));
            for session in queries.sessions_of(&user.id).await? {
                found.push(Touched {
                    kind: "session".to_owned(),
                    value: session.address,
                    why: format!("signed in to Watchfloor since {}", session.created_at),
                });
            }
        }
        if own.kind == EntityKind::Address
            && let Ok(address) = own.value.parse::<std::net::IpAddr>()
            && (address.is_loopback() || address.is_unspecified() || address.is_multicast())
        {
            warnings.push(format!("{address} stands for no single machine"));
        }
        let page = watchfloor_store::PageRequest::new(None, Some(200));
        let holding = queries
            .actions(&[ActionStatus::Done, ActionStatus::Running], None, &page)
            .await?;
        for one in holding.items {
            let same = EntityRef::new(own.kind, &one.target) == *own;
            if same && one.kind == action.kind && one.kind.undo().is_some() {
                warnings.push(format!("{} did this already and still holds", one.id));
                found.push(Touched {
                    kind: "action".to_owned(),
                    value: one.id.to_string(),
                    why: format!("{} is {}", one.in_words(), one.status),
                });
            }
        }
        Ok(())
    }
}
