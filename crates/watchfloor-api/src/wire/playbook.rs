//! Playbooks and their runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::response::{Action, ActionKind, RunStatus, StepStatus, Touched, WaitsFor};

/// Something wrong with a playbook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaybookFault {
    /// `error` or `warning`; one with errors cannot be run.
    pub(crate) gravity: String,
    /// Stable word.
    pub(crate) code: String,
    /// JSON pointer to the place.
    pub(crate) place: String,
    #[schema(required)]
    pub(crate) step: Option<String>,
    pub(crate) message: String,
    /// How to mend it.
    pub(crate) mend: String,
}

pub(crate) fn faults(list: Vec<casework::playbook::Fault>) -> Vec<PlaybookFault> {
    let list = list.into_iter();
    list.map(|fault| PlaybookFault {
        gravity: fault.gravity.as_str().to_owned(),
        code: fault.code.to_owned(),
        place: fault.place,
        step: fault.step,
        message: fault.message,
        mend: fault.mend,
    })
    .collect()
}

/// A playbook in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaybookRow {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    /// Whether it came with the program and was not changed.
    pub(crate) is_built_in: bool,
    pub(crate) is_runnable: bool,
    pub(crate) changed_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) changed_at: Timestamp,
    pub(crate) version: u64,
}

impl From<&model::PlaybookRecord> for PlaybookRow {
    fn from(record: &model::PlaybookRecord) -> Self {
        Self {
            id: record.id.clone(),
            name: record.name.clone(),
            description: record.description.clone(),
            is_built_in: record.is_built_in,
            is_runnable: record.is_runnable,
            changed_by: record.changed_by.clone(),
            changed_at: record.changed_at,
            version: record.version,
        }
    }
}

/// A playbook with its document and what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Playbook {
    #[serde(flatten)]
    pub(crate) row: PlaybookRow,
    /// CACAO 2.0.
    #[schema(value_type = Object)]
    pub(crate) document: Value,
    pub(crate) faults: Vec<PlaybookFault>,
}

impl From<casework::CheckedPlaybook> for Playbook {
    fn from(checked: casework::CheckedPlaybook) -> Self {
        Self {
            row: (&checked.record).into(),
            document: serde_json::from_str(&checked.record.document).unwrap_or_default(),
            faults: faults(checked.faults),
        }
    }
}

/// What is wrong with a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PlaybookFaults {
    pub(crate) faults: Vec<PlaybookFault>,
}

/// A run that is to be begun, or rehearsed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    pub(crate) playbook_id: String,
    /// Values of external variables, by name.
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, String>,
    pub(crate) incident_id: Option<String>,
}

/// A rehearsal of a document that is not kept yet, or of a kept playbook.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTrial {
    pub(crate) playbook_id: Option<String>,
    #[schema(value_type = Option<Object>)]
    pub(crate) document: Option<Value>,
    #[serde(default)]
    pub(crate) inputs: BTreeMap<String, String>,
    pub(crate) incident_id: Option<String>,
}

/// An action as a run would ask for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialAction {
    pub(crate) kind: ActionKind,
    pub(crate) target: String,
    /// By whom; null where a person would do it.
    #[schema(required)]
    pub(crate) way: Option<String>,
    pub(crate) needs_approval: bool,
    #[schema(required)]
    pub(crate) time_limit_s: Option<u32>,
    pub(crate) touches: Vec<Touched>,
    pub(crate) warnings: Vec<String>,
}

/// A step as it would go.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialStep {
    pub(crate) step: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    /// Whether it is certain that it is reached.
    pub(crate) is_certain: bool,
    pub(crate) detail: String,
    /// What a person would do.
    pub(crate) by_hand: Vec<String>,
    pub(crate) actions: Vec<TrialAction>,
}

/// A run as it would go. Nothing was done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Trial {
    pub(crate) faults: Vec<PlaybookFault>,
    /// Variables that must be given first.
    pub(crate) missing: Vec<String>,
    pub(crate) steps: Vec<TrialStep>,
}

impl From<casework::TrialRun> for Trial {
    fn from(trial: casework::TrialRun) -> Self {
        let action = |one: casework::TrialAction| TrialAction {
            kind: one.kind.into(),
            target: one.target,
            way: one.way,
            needs_approval: one.needs_approval,
            time_limit_s: one.time_limit_s,
            touches: one
                .touches
                .into_iter()
                .map(|one| Touched {
                    kind: one.kind,
                    value: one.value,
                    why: one.why,
                })
                .collect(),
            warnings: one.warnings,
        };
        let steps = trial.steps.into_iter();
        Self {
            faults: faults(trial.faults),
            missing: trial.missing,
            steps: steps
                .map(|step| TrialStep {
                    step: step.step,
                    name: step.name,
                    kind: step.kind.to_owned(),
                    is_certain: step.is_certain,
                    detail: step.detail,
                    by_hand: step.by_hand,
                    actions: step.actions.into_iter().map(action).collect(),
                })
                .collect(),
        }
    }
}

/// A run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunRow {
    pub(crate) id: String,
    pub(crate) playbook_id: String,
    pub(crate) playbook_name: String,
    pub(crate) status: RunStatus,
    #[schema(required)]
    pub(crate) incident_id: Option<String>,
    pub(crate) started_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) updated_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) ended_at: Option<Timestamp>,
    /// The run that called it.
    #[schema(required)]
    pub(crate) parent_run: Option<String>,
    /// Why it failed or was ended.
    #[schema(required)]
    pub(crate) reason: Option<String>,
    /// Why it is stuck.
    #[schema(required)]
    pub(crate) stuck: Option<String>,
    pub(crate) version: u64,
}

impl From<&model::PlaybookRun> for RunRow {
    fn from(run: &model::PlaybookRun) -> Self {
        Self {
            id: run.id.to_string(),
            playbook_id: run.playbook_id.clone(),
            playbook_name: run.playbook_name.clone(),
            status: run.status.into(),
            incident_id: run.incident_id.as_ref().map(ToString::to_string),
            started_by: run.started_by.name.clone(),
            started_at: run.started_at,
            updated_at: run.updated_at,
            ended_at: run.ended_at,
            parent_run: run.parent.as_ref().map(|(run, _)| run.to_string()),
            reason: run.reason.clone(),
            stuck: run.stuck.clone(),
            version: run.version,
        }
    }
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RunStep {
    /// Number in the run, in the order of entering.
    pub(crate) instance: u64,
    /// Id in the playbook.
    pub(crate) step: String,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) status: StepStatus,
    #[schema(required)]
    pub(crate) waits_for: Option<WaitsFor>,
    pub(crate) detail: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) entered_at: Timestamp,
    /// Since when it waits for what it waits for.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) due_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) ended_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) action_id: Option<String>,
    #[schema(required)]
    pub(crate) child_run: Option<String>,
    #[schema(required)]
    pub(crate) decided_by: Option<String>,
}

impl From<&model::RunStep> for RunStep {
    fn from(step: &model::RunStep) -> Self {
        Self {
            instance: step.instance,
            step: step.step.clone(),
            name: step.name.clone(),
            kind: step.kind.clone(),
            status: step.status.into(),
            waits_for: step.waits_for.map(Into::into),
            detail: step.detail.clone(),
            entered_at: step.entered_at,
            since: step.since,
            due_at: step.due_at,
            ended_at: step.ended_at,
            action_id: step.action.as_ref().map(ToString::to_string),
            child_run: step.child.as_ref().map(ToString::to_string),
            decided_by: step.decided_by.clone(),
        }
    }
}

/// A run with everything.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) row: RunRow,
    /// The playbook as it was when the run began.
    #[schema(value_type = Object)]
    pub(crate) document: Value,
    pub(crate) steps: Vec<RunStep>,
    pub(crate) actions: Vec<Action>,
    /// Variables that the steps of persons give out, by step and name, with their types.
    pub(crate) outputs: BTreeMap<String, BTreeMap<String, String>>,
}

impl From<casework::RunDetail> for Run {
    fn from(detail: casework::RunDetail) -> Self {
        Self {
            row: (&detail.run).into(),
            document: serde_json::from_str(&detail.run.document).unwrap_or_default(),
            steps: detail.steps.iter().map(Into::into).collect(),
            actions: detail.actions.iter().map(Into::into).collect(),
            outputs: detail
                .outputs
                .into_iter()
                .map(|(instance, outputs)| (instance.to_string(), outputs))
                .collect(),
        }
    }
}

/// How a person says that a step went.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepAnswer {
    pub(crate) is_done: bool,
    /// Values of its variables.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    /// Needed where it was not done.
    #[serde(default)]
    pub(crate) note: String,
}

impl From<StepAnswer> for casework::StepAnswer {
    fn from(answer: StepAnswer) -> Self {
        Self {
            is_done: answer.is_done,
            values: answer.values,
            note: answer.note,
        }
    }
}

/// A step that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedStep {
    pub(crate) run: RunRow,
    pub(crate) step: RunStep,
}

/// What waits for somebody.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Approvals {
    /// Actions that wait for a second person.
    pub(crate) proposed: Vec<Action>,
    /// Actions of which nobody knows whether they were done.
    pub(crate) uncertain: Vec<Action>,
    /// Steps that a person does.
    pub(crate) steps: Vec<AskedStep>,
    /// Runs that are stuck.
    pub(crate) stuck: Vec<RunRow>,
}

/// Which runs.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RunsQuery {
    pub(crate) status: Option<String>,
    pub(crate) incident_id: Option<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: Option<u32>,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reason {
    pub(crate) reason: String,
}
