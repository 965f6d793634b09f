//! Actions, connectors and playbooks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::{HistoryEntry, history};

mirrored!(
    /// What can be done.
    ActionKind = model::ActionKind {
        IsolateHost, ReleaseHost, BlockAddress, UnblockAddress, BlockDomain, UnblockDomain,
        KillProcess, QuarantineFile, RestoreFile, DisableUser, EnableUser, EndSessions,
        CollectTriage, RestartService, ScanFiles, CallWebhook, SendEmail, SendMessage, OpenTicket,
        HttpRequest, RunProgram,
    }
);
mirrored!(
    /// State of an action.
    ActionStatus = model::ActionStatus {
        Proposed, Rejected, Ready, Running, Done, Failed, Uncertain, Cancelled, Undone,
    }
);
mirrored!(
    /// What a connector speaks.
    ConnectorKind = model::ConnectorKind {
        Webhook, Smtp, Slack, Teams, Jira, Servicenow, Github, Http, Program,
    }
);
mirrored!(
    /// State of a run.
    RunStatus = model::RunStatus { Running, Done, Failed, Cancelled }
);
mirrored!(
    /// State of a step.
    StepStatus = model::StepStatus { Waiting, Done, Failed, Cancelled }
);
mirrored!(
    /// What a step waits for.
    WaitsFor = model::WaitsFor { Time, Person, Action, Run, Branches }
);

/// An argument: one text, or a list.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Argument {
    /// One text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl From<&model::ArgumentValue> for Argument {
    fn from(value: &model::ArgumentValue) -> Self {
        match value {
            model::ArgumentValue::One(text) => Self::One(text.clone()),
            model::ArgumentValue::Many(list) => Self::Many(list.clone()),
        }
    }
}

impl From<Argument> for model::ArgumentValue {
    fn from(value: Argument) -> Self {
        match value {
            Argument::One(text) => Self::One(text),
            Argument::Many(list) => Self::Many(list),
        }
    }
}

/// What came of an action.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionOutcome {
    /// In words.
    pub(crate) summary: String,
    /// What proves it, by name.
    pub(crate) evidence: BTreeMap<String, String>,
}

/// An action.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Action {
    pub(crate) id: String,
    pub(crate) kind: ActionKind,
    pub(crate) arguments: BTreeMap<String, Argument>,
    /// To whom.
    pub(crate) target: String,
    /// Through which connector; null for an agent.
    #[schema(required)]
    pub(crate) connector: Option<String>,
    #[schema(required)]
    pub(crate) incident_id: Option<String>,
    /// The run of a playbook that asked for it.
    #[schema(required)]
    pub(crate) run_id: Option<String>,
    pub(crate) reason: String,
    pub(crate) status: ActionStatus,
    pub(crate) proposed_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) proposed_at: Timestamp,
    pub(crate) needs_approval: bool,
    #[schema(required)]
    pub(crate) decided_by: Option<String>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) decided_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) decision_note: Option<String>,
    /// Undone after so many seconds.
    #[schema(required)]
    pub(crate) time_limit_s: Option<u32>,
    /// When it is undone.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) undo_at: Option<Timestamp>,
    /// What would undo it.
    #[schema(required)]
    pub(crate) undo_kind: Option<ActionKind>,
    #[schema(required)]
    pub(crate) undo_of: Option<String>,
    #[schema(required)]
    pub(crate) undone_by: Option<String>,
    pub(crate) attempts: u32,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) started_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) ended_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) outcome: Option<ActionOutcome>,
    #[schema(required)]
    pub(crate) error: Option<String>,
    /// SHA-256 of the request.
    pub(crate) request_hash: String,
    #[schema(required)]
    pub(crate) result_hash: Option<String>,
    pub(crate) version: u64,
}

impl From<&model::Action> for Action {
    fn from(action: &model::Action) -> Self {
        Self {
            id: action.id.to_string(),
            kind: action.kind.into(),
            arguments: arguments(&action.arguments),
            target: action.target.clone(),
            connector: action.connector.as_ref().map(ToString::to_string),
            incident_id: action.incident_id.as_ref().map(ToString::to_string),
            run_id: action.step.as_ref().map(|(run, _)| run.to_string()),
            reason: action.reason.clone(),
            status: action.status.into(),
            proposed_by: action.proposed_by.name.clone(),
            proposed_at: action.proposed_at,
            needs_approval: action.needs_approval,
            decided_by: action.decided_by.as_ref().map(|one| one.name.clone()),
            decided_at: action.decided_at,
            decision_note: action.decision_note.clone(),
            time_limit_s: action.time_limit_s,
            undo_at: action
                .undo_at
                .filter(|_| action.status == model::ActionStatus::Done),
            undo_kind: action.kind.undo().map(Into::into),
            undo_of: action.undo_of.as_ref().map(ToString::to_string),
            undone_by: action.undone_by.as_ref().map(ToString::to_string),
            attempts: action.attempts,
            started_at: action.started_at,
            ended_at: action.ended_at,
            outcome: action.outcome.as_ref().map(|outcome| ActionOutcome {
                summary: outcome.summary.clone(),
                evidence: outcome.evidence.clone(),
            }),
            error: action.error.clone(),
            request_hash: action.request_hash.clone(),
            result_hash: action.result_hash.clone(),
            version: action.version,
        }
    }
}

fn arguments(list: &BTreeMap<String, model::ArgumentValue>) -> BTreeMap<String, Argument> {
    let list = list.iter();
    list.map(|(name, value)| (name.clone(), value.into()))
        .collect()
}

/// An action that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAction {
    pub(crate) kind: ActionKind,
    pub(crate) arguments: BTreeMap<String, Argument>,
    /// Through which connector; whichever serves it without.
    pub(crate) connector: Option<String>,
    pub(crate) incident_id: Option<String>,
    /// Why; may be empty for a rehearsal.
    #[serde(default)]
    pub(crate) reason: String,
    /// Undone after so many seconds: absent as policy says, null never.
    #[serde(default, deserialize_with = "crate::extract::present")]
    #[schema(value_type = Option<u32>)]
    pub(crate) time_limit_s: Option<Option<u32>>,
}

impl NewAction {
    pub(crate) fn into_casework(self) -> Result<casework::NewAction, crate::problem::ApiError> {
        let bad = |field: &str| crate::problem::ApiError::invalid(field, "is no id");
        Ok(casework::NewAction {
            kind: self.kind.into(),
            arguments: self
                .arguments
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
            connector: self
                .connector
                .map(|text| text.parse().map_err(|_| bad("connector")))
                .transpose()?,
            incident_id: self
                .incident_id
                .map(|text| text.parse().map_err(|_| bad("incident_id")))
                .transpose()?,
            reason: self.reason,
            time_limit_s: self.time_limit_s,
        })
    }
}

/// Something that an action would touch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Touched {
    /// An entity's kind, `incident`, `session` or `action`.
    pub(crate) kind: String,
    pub(crate) value: String,
    /// How it is known.
    pub(crate) why: String,
}

fn touched(list: Vec<casework::Touched>) -> Vec<Touched> {
    let list = list.into_iter();
    list.map(|one| Touched {
        kind: one.kind,
        value: one.value,
        why: one.why,
    })
    .collect()
}

/// What an action would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rehearsal {
    /// By whom.
    pub(crate) way: String,
    /// What would be sent where.
    pub(crate) preview: String,
    pub(crate) touches: Vec<Touched>,
    pub(crate) warnings: Vec<String>,
    pub(crate) needs_approval: bool,
    #[schema(required)]
    pub(crate) time_limit_s: Option<u32>,
    /// What would undo it.
    #[schema(required)]
    pub(crate) undo: Option<ActionKind>,
    /// Whether it can be begun again after a crash without being done twice.
    pub(crate) is_repeatable: bool,
}

impl From<casework::Rehearsal> for Rehearsal {
    fn from(found: casework::Rehearsal) -> Self {
        Self {
            way: found.way,
            preview: found.preview,
            touches: touched(found.touches),
            warnings: found.warnings,
            needs_approval: found.needs_approval,
            time_limit_s: found.time_limit_s,
            undo: found.undo.map(Into::into),
            is_repeatable: found.is_repeatable,
        }
    }
}

/// What a person decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// In words; needed for a refusal.
    #[serde(default)]
    pub(crate) note: String,
}

/// What became of an action, as a person found out.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Settlement {
    /// It was done.
    Done,
    /// It was not done, and is not to be.
    NotDone,
    /// It was not done, and is to be done.
    Again,
}

/// What became of an action, and how it is known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleAction {
    pub(crate) how: Settlement,
    pub(crate) note: String,
}

/// The sealed record of an action.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionRecord {
    pub(crate) action: Action,
    pub(crate) history: Vec<HistoryEntry>,
    /// The request is the one that the audit chain names.
    pub(crate) is_request_sealed: bool,
    /// The outcome is the one that the audit chain names.
    pub(crate) is_result_sealed: bool,
}

impl From<casework::ActionRecord> for ActionRecord {
    fn from(record: casework::ActionRecord) -> Self {
        Self {
            action: (&record.action).into(),
            history: history(record.history),
            is_request_sealed: record.is_request_sealed,
            is_result_sealed: record.is_result_sealed,
        }
    }
}

/// An argument that an action takes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ArgumentSpec {
    pub(crate) name: String,
    pub(crate) is_needed: bool,
    pub(crate) is_list: bool,
    pub(crate) doc: String,
}

/// A kind of action, and what policy says of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ActionPolicy {
    pub(crate) kind: ActionKind,
    pub(crate) arguments: Vec<ArgumentSpec>,
    /// The argument that names whom it is done to.
    pub(crate) target_argument: String,
    /// Whether it takes something away from somebody.
    pub(crate) is_containing: bool,
    #[schema(required)]
    pub(crate) undo: Option<ActionKind>,
    pub(crate) needs_approval: bool,
    #[schema(required)]
    pub(crate) time_limit_s: Option<u32>,
}

impl ActionPolicy {
    pub(crate) fn new(kind: model::ActionKind, policy: model::ActionPolicy) -> Self {
        use model::ArgumentKind as A;
        let specs = kind.arguments().iter();
        Self {
            kind: kind.into(),
            arguments: specs
                .map(|spec| ArgumentSpec {
                    name: spec.name.to_owned(),
                    is_needed: spec.is_needed,
                    is_list: matches!(spec.kind, A::Names | A::Texts | A::Emails | A::Headers),
                    doc: spec.doc.to_owned(),
                })
                .collect(),
            target_argument: kind.target_argument().to_owned(),
            is_containing: kind.is_containing(),
            undo: kind.undo().map(Into::into),
            needs_approval: policy.needs_approval,
            time_limit_s: policy.time_limit_s,
        }
    }
}

/// What policy is to say of a kind of action.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyChange {
    pub(crate) needs_approval: bool,
    /// Null for never.
    pub(crate) time_limit_s: Option<u32>,
}

/// Which actions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ActionsQuery {
    /// Any of these states, with commas; all without.
    pub(crate) status: Option<String>,
    pub(crate) incident_id: Option<String>,
    pub(crate) cursor: Option<String>,
    pub(crate) limit: Option<u32>,
}

/// A way to the outside world.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connector {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) kind: ConnectorKind,
    pub(crate) serves: Vec<ActionKind>,
    /// Settings; empty for those who do not manage connectors.
    #[schema(value_type = Object)]
    pub(crate) settings: Value,
    /// Names of the secrets that are set; their values are never shown.
    pub(crate) secrets: Vec<String>,
    pub(crate) is_enabled: bool,
    pub(crate) changed_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) changed_at: Timestamp,
    pub(crate) version: u64,
}

impl From<model::Connector> for Connector {
    fn from(connector: model::Connector) -> Self {
        Self {
            id: connector.id.to_string(),
            name: connector.name,
            kind: connector.kind.into(),
            serves: connector.serves.into_iter().map(Into::into).collect(),
            settings: serde_json::from_str(&connector.settings).unwrap_or_default(),
            secrets: connector.secrets,
            is_enabled: connector.is_enabled,
            changed_by: connector.changed_by,
            changed_at: connector.changed_at,
            version: connector.version,
        }
    }
}

/// A connector to be opened.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConnector {
    pub(crate) name: String,
    pub(crate) kind: ConnectorKind,
    /// What it may do; all that its kind can if none is named.
    #[serde(default)]
    pub(crate) serves: Vec<ActionKind>,
    #[schema(value_type = Object)]
    pub(crate) settings: Value,
    /// Secrets by name; written once, never shown.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, String>,
}

impl From<NewConnector> for casework::NewConnector {
    fn from(new: NewConnector) -> Self {
        Self {
            name: new.name,
            kind: new.kind.into(),
            serves: new.serves.into_iter().map(Into::into).collect(),
            settings: new.settings.to_string(),
            secrets: new.secrets,
        }
    }
}

/// What is to be changed of a connector; absent fields stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectorPatch {
    pub(crate) name: Option<String>,
    pub(crate) serves: Option<Vec<ActionKind>>,
    #[schema(value_type = Option<Object>)]
    pub(crate) settings: Option<Value>,
    /// Secrets by name; null forgets one.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, Option<String>>,
    pub(crate) is_enabled: Option<bool>,
}

impl From<ConnectorPatch> for casework::ConnectorPatch {
    fn from(patch: ConnectorPatch) -> Self {
        let serves = patch
            .serves
            .map(|list| list.into_iter().map(Into::into).collect());
        Self {
            name: patch.name,
            serves,
            settings: patch.settings.map(|settings| settings.to_string()),
            secrets: patch.secrets,
            is_enabled: patch.is_enabled,
        }
    }
}
