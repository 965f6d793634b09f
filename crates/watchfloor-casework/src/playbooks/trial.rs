//! Rehearsing a playbook: what a run would do, by which way, and who would have to agree.

use std::collections::BTreeMap;

use watchfloor_model::{ActionKind, Actor, EntityKind, IncidentId, Permission};
use watchfloor_playbook::{Fault, Rehearsed, missing_inputs, rehearse};

use super::{all_faults, record_of};
use crate::response::{NewAction, Touched};
use crate::{Casework, CaseworkError};

/// Actions that are rehearsed one by one; a rehearsal looks at alerts and events of each.
const ACTIONS_MAX: usize = 30;

/// An action as a run would ask for it.
#[derive(Clone, Debug)]
pub struct TrialAction {
    /// Which.
    pub kind: ActionKind,
    /// To whom; texts may name variables that have no value yet.
    pub target: String,
    /// By whom; `None` where nobody serves it, so that a person would do it.
    pub way: Option<String>,
    /// Whether a second person must agree.
    pub needs_approval: bool,
    /// Undone after so many seconds.
    pub time_limit_s: Option<u32>,
    /// What it would touch.
    pub touches: Vec<Touched>,
    /// What somebody should think of first, or why it could not be done.
    pub warnings: Vec<String>,
}

/// A step as it would go.
#[derive(Clone, Debug)]
pub struct TrialStep {
    /// Its id.
    pub step: String,
    /// Its name.
    pub name: String,
    /// Its kind in CACAO's words.
    pub kind: &'static str,
    /// Whether it is certain that it is reached.
    pub is_certain: bool,
    /// In words.
    pub detail: String,
    /// What a person would do.
    pub by_hand: Vec<String>,
    /// What would be done outside.
    pub actions: Vec<TrialAction>,
}

/// A run as it would go.
#[derive(Clone, Debug)]
pub struct TrialRun {
    /// What is wrong with the playbook.
    pub faults: Vec<Fault>,
    /// Variables that must be given first.
    pub missing: Vec<String>,
    /// The steps, in the order in which they would be entered.
    pub steps: Vec<TrialStep>,
}

impl Casework {
    /// Rehearses a playbook that is kept, or a document.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn rehearse_playbook(
        &self,
        actor: &Actor,
        playbook: Result<&str, &[u8]>,
        inputs: &BTreeMap<String, String>,
        incident: Option<&IncidentId>,
    ) -> Result<TrialRun, CaseworkError> {
        self.authorize(actor, Permission::RunPlaybooks)?;
        let (found, faults, observed) = {
            let mut reader = self.store().read(&actor.tenant).await?;
            let document = match playbook {
                Ok(id) => record_of(&mut reader.q(), id).await?.document.into_bytes(),
                Err(document) => document.to_vec(),
            };
            let (found, faults) = all_faults(&mut reader.q(), &document).await?;
            let mut observed: Vec<(EntityKind, String)> = Vec::new();
            if let Some(id) = incident {
                let incident = reader.q().incident(id).await?;
                observed.extend(
                    incident
                        .entities
                        .into_iter()
                        .map(|one| (one.kind, one.value)),
                );
                let more = reader.q().observables_of(id).await?;
                observed.extend(more.into_iter().map(|one| (one.kind, one.value)));
            }
            (found, faults, observed)
        };
        let Some(found) = found else {
            return Ok(TrialRun {
                faults,
                missing: Vec::new(),
                steps: Vec::new(),
            });
        };
        let mut steps = Vec::new();
        let mut left = ACTIONS_MAX;
        for step in rehearse(&found, inputs, &observed) {
            let mut by_hand = Vec::new();
            let mut actions = Vec::new();
            for piece in step.does {
                match piece {
                    Rehearsed::Person { text, why } => {
                        let why = why.map_or(String::new(), |why| format!(" ({why})"));
                        by_hand.push(format!("{text}{why}"));
                    }
                    Rehearsed::Action { .. } => {
                        actions.push(self.trial(actor, piece, incident, &mut left).await?);
                    }
                }
            }
            steps.push(TrialStep {
                step: step.step,
                name: step.name,
                kind: step.kind,
                is_certain: step.is_certain,
                detail: step.detail,
                by_hand,
                actions,
            });
        }
        Ok(TrialRun {
            faults,
            missing: missing_inputs(&found, inputs),
            steps,
        })
    }

    async fn trial(
        &self,
        actor: &Actor,
        piece: Rehearsed,
        incident: Option<&IncidentId>,
        left: &mut usize,
    ) -> Result<TrialAction, CaseworkError> {
        let Rehearsed::Action {
            kind,
            arguments,
            time_limit_s,
            unknown,
            ..
        } = piece
        else {
            return Err(CaseworkError::System {
                what: "no action to rehearse",
            });
        };
        let target = arguments.get(kind.target_argument());
        let target = target
            .map(watchfloor_model::ArgumentValue::shown)
            .unwrap_or_default();
        let policies = self.action_policies(actor).await?;
        let needs_approval = policies
            .get(&kind)
            .is_some_and(|policy| policy.needs_approval);
        let mut trial = TrialAction {
            kind,
            target,
            way: None,
            needs_approval,
            time_limit_s,
            touches: Vec::new(),
            warnings: unknown.clone().into_iter().collect(),
        };
        if unknown.is_some() || *left == 0 || !actor.may(Permission::ProposeActions) {
            return Ok(trial);
        }
        *left -= 1;
        let new = NewAction {
            kind,
            arguments,
            connector: None,
            incident_id: incident.cloned(),
            reason: String::new(),
            time_limit_s: time_limit_s.map(Some),
        };
        match self.rehearse_action(actor, &new).await {
            Ok(found) => {
                trial.way = Some(found.way);
                trial.needs_approval = found.needs_approval;
                trial.time_limit_s = found.time_limit_s;
                trial.touches = found.touches;
                trial.warnings = found.warnings;
            }
            Err(CaseworkError::Invalid { reason, .. }) => trial.warnings.push(reason),
            Err(error) => return Err(error),
        }
        Ok(trial)
    }
}
