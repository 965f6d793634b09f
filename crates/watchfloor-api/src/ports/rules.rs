//! Rules as the API shows and changes them.

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use watchfloor_model::Suppression;

use super::explain::{ExplainError, ExplainedEvent};
use super::{HistogramBucket, StatusError};

/// Whether and how a rule is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// As its file has it.
    Active,
    /// Its file does not load; its last good version is in force.
    Held,
    /// It is not evaluated: it cost too much, or somebody wants it so.
    Suspended,
    /// It is evaluated again; the events that it missed are being looked through.
    CatchingUp,
}

/// Why a rule is not evaluated.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleSuspension {
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why.
    pub reason: String,
    /// Who suspended it; `watchfloor` for the program itself.
    pub by: String,
    /// When it is tried again; `null` if only a person resumes it.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// A loaded rule, as a row.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleInfo {
    /// Its id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Level word.
    pub level: String,
    /// Sigma status, such as `stable`.
    pub status: String,
    /// Log source in words.
    pub logsource: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Where it was read.
    pub path: String,
    /// Hash of its text.
    pub version: String,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// Whether and how it is in force.
    pub state: RuleState,
    /// Findings in the last 24 hours.
    pub findings_last_24h: u64,
    /// Findings in the last seven days.
    pub findings_last_7d: u64,
    /// Last finding.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub last_fired: Option<Timestamp>,
    /// Why it could not have fired on the events of the last 24 hours; `null` if it could.
    #[schema(required)]
    pub dead: Option<String>,
    /// Whether its positive case fires.
    pub canary: CanaryOutcome,
    /// Microseconds that it takes per event of its log sources; `null` until measured.
    #[schema(required)]
    pub cost_us: Option<f64>,
}

/// Whether a rule's positive case fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CanaryOutcome {
    /// It does.
    Pass,
    /// It does not.
    Fail,
    /// There is none, or it was not run yet.
    #[default]
    None,
}

/// A positive case that was sent through decoding, normalising and all rules in force, outside
/// of real data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Canary {
    /// Whether it fired.
    pub outcome: CanaryOutcome,
    /// When it was run.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// Which case, and what became of it.
    pub detail: String,
}

/// A case beside a rule: records that must, or must not, make it fire.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleCase {
    /// Its name.
    pub name: String,
    /// Whether the rule must fire.
    pub fires: bool,
    /// Its raw records.
    pub records: Vec<String>,
}

/// Events of a kind.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct KindCount {
    /// Pack and kind, such as `windows/sysmon_process_creation`.
    pub kind: String,
    /// Events of the last 24 hours.
    pub events: u64,
}

/// Events with a field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldCount {
    /// The field as the rule names it.
    pub field: String,
    /// Events of the last 24 hours that the rule may meet and that have a value in it.
    pub events: u64,
}

/// Whether a rule could have fired on what came in.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleLiveness {
    /// Id of the rule.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Events of its log sources in the last 24 hours.
    pub events_24h: u64,
    /// Those since midnight, UTC.
    pub events_today: u64,
    /// The kinds of event that it may meet and that came, most first.
    pub kinds: Vec<KindCount>,
    /// Each field that it names.
    pub fields: Vec<FieldCount>,
    /// Whether it could have fired.
    pub could_fire: bool,
    /// Why not, in words.
    #[schema(required)]
    pub reason: Option<String>,
    /// Findings in the last 24 hours.
    pub findings_24h: u64,
    /// Event time of the last finding.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub last_fired: Option<Timestamp>,
    /// Its canary.
    pub canary: Canary,
}

/// Whether the rules could have fired.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LivenessReport {
    /// Since when events are counted, at most 24 hours ago: right after the first start, rules
    /// look deader than they are.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The rules, by title.
    pub items: Vec<RuleLiveness>,
    /// Always `null`: the list is whole.
    #[schema(required)]
    pub next: Option<String>,
}

/// What a rule's page shows besides its text.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleFacts {
    /// Whether it could have fired.
    pub liveness: RuleLiveness,
    /// Microseconds that it takes per event of its log sources; `null` until measured.
    #[schema(required)]
    pub cost_us: Option<f64>,
    /// Microseconds above which a rule is suspended.
    pub budget_us: f64,
    /// The cases beside it.
    pub cases: Vec<RuleCase>,
    /// Findings per day of event time, of the last 30; days without one are left out.
    pub per_day: Vec<HistogramBucket>,
}

/// Why a rule's last good version is in force and not the text of its file.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleHold {
    /// Since when the file does not load.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Line of the trouble.
    #[schema(required)]
    pub line: Option<u32>,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// A rule in full, as an alert and its own page show it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleDetail {
    /// Its id.
    pub id: String,
    /// Title.
    pub title: String,
    /// What it looks for.
    pub description: String,
    /// Level word.
    pub level: String,
    /// Hash of its text.
    pub version: String,
    /// Its text.
    pub yaml: String,
    /// Where to read more.
    pub references: Vec<String>,
    /// Known reasons for false positives.
    pub falsepositives: Vec<String>,
    /// Why its last good version is in force.
    #[schema(required)]
    pub hold: Option<RuleHold>,
    /// Why it is not evaluated.
    #[schema(required)]
    pub suspension: Option<RuleSuspension>,
}

/// A rule that was not loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RefusedRule {
    /// The file.
    pub path: String,
    /// Line, where known.
    #[schema(required)]
    pub line: Option<u32>,
    /// Id or title, where known.
    pub rule: String,
    /// What is wrong and how to mend it.
    pub reason: String,
    /// Since when the file's last good version is in force in its place; `null` where there is
    /// none.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub held_since: Option<Timestamp>,
}

/// A rule that came, changed or went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleChange {
    /// Its id.
    pub id: String,
    /// Title.
    pub title: String,
    /// Hash of the text before; `null` for a new rule.
    #[schema(required)]
    pub from: Option<String>,
    /// Hash of the text now; `null` for one that went.
    #[schema(required)]
    pub to: Option<String>,
}

/// What became of rules when their files were read.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RuleReload {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// How long reading, checking and compiling took.
    pub took_ms: u64,
    /// Rules in force.
    pub loaded: u64,
    /// Rules that came, changed or went.
    pub changes: Vec<RuleChange>,
    /// Rules that were not loaded.
    pub refused: Vec<RefusedRule>,
    /// Folders and files that could not be read; what was read of them before stays in force.
    pub unreadable: Vec<String>,
}

/// What a rule is to be tried on.
#[derive(Clone, Debug)]
pub struct BacktestRequest {
    /// A rule in force, or suspended.
    pub rule_id: Option<String>,
    /// The text of a rule, which need not be in force; goes before `rule_id`.
    pub yaml: Option<String>,
    /// From this event time.
    pub from: Timestamp,
    /// To this event time.
    pub to: Timestamp,
    /// A proposed exception.
    pub exception: Option<Suppression>,
}

/// Findings and the alerts that they would make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct BacktestCount {
    /// Findings.
    pub findings: u64,
    /// Alerts: findings that do not repeat an earlier one within an hour.
    pub alerts: u64,
}

/// A day of a forecast.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BacktestDay {
    /// Its start, UTC.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// Without the proposed exception.
    pub before: BacktestCount,
    /// With it; `null` where none is proposed.
    #[schema(required)]
    pub after: Option<BacktestCount>,
}

/// A host or user of a forecast.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BacktestValue {
    /// Its name.
    pub value: String,
    /// Findings without the proposed exception.
    pub before: u64,
    /// Findings with it; `null` where none is proposed.
    #[schema(required)]
    pub after: Option<u64>,
}

/// A finding of a forecast.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BacktestExample {
    /// Event time.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// What happened.
    pub summary: String,
    /// The first event.
    pub event_id: String,
    /// Whether the proposed exception would hold it back.
    pub held_back: bool,
}

/// What a rule would have found in stored events.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BacktestReport {
    /// Title of the rule.
    pub title: String,
    /// From this event time.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// To this event time.
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    /// Without the proposed exception.
    pub before: BacktestCount,
    /// With it; `null` where none is proposed.
    #[schema(required)]
    pub after: Option<BacktestCount>,
    /// Per day; days without a finding are left out.
    pub per_day: Vec<BacktestDay>,
    /// Hosts, most findings first.
    pub hosts: Vec<BacktestValue>,
    /// Users, most findings first.
    pub users: Vec<BacktestValue>,
    /// The newest findings.
    pub examples: Vec<BacktestExample>,
    /// Events that the rule was run on.
    pub events_judged: u64,
    /// Events of its log sources in the range.
    pub events_in_range: u64,
    /// Receipt of the last event that it was run on.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub reached: Option<Timestamp>,
    /// Whether all of them were.
    pub is_whole: bool,
    /// Time taken.
    pub took_ms: u64,
}

/// Why there is no forecast.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BacktestError {
    /// No rule has the id.
    #[error("no rule has this id")]
    Missing,
    /// The text is no rule.
    #[error("line {line}: {reason}")]
    Refused {
        /// Line, from 1.
        line: usize,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// Another one is running; each takes a core.
    #[error("another backtest is running; try again when it is done")]
    Busy,
    /// The lake failed; the text is for the log.
    #[error("stored events could not be read: {0}")]
    Failed(String),
}

/// Answers about rules and changes them. Implemented over the rule files and the pipeline.
pub trait RuleDesk: Send + Sync {
    /// The loaded rules, by title.
    fn rules(&self) -> BoxFuture<'_, Result<Vec<RuleInfo>, StatusError>>;

    /// One rule in full; `None` when it is not loaded (any more).
    fn rule(&self, id: String) -> BoxFuture<'_, Result<Option<RuleDetail>, StatusError>>;

    /// The rules that were not loaded, by path.
    fn refused(&self) -> BoxFuture<'_, Result<Vec<RefusedRule>, StatusError>>;

    /// The last times that rules were read and something changed, newest first.
    fn reloads(&self) -> BoxFuture<'_, Result<Vec<RuleReload>, StatusError>>;

    /// Whether each rule could have fired.
    fn liveness(&self) -> BoxFuture<'_, Result<LivenessReport, StatusError>>;

    /// What a rule's page shows besides its text; `None` when it is not loaded (any more).
    fn facts(&self, id: String) -> BoxFuture<'_, Result<Option<RuleFacts>, StatusError>>;

    /// Runs a rule's canary now; `None` when the rule is not loaded (any more).
    fn run_canary(&self, id: String) -> BoxFuture<'_, Result<Option<Canary>, StatusError>>;

    /// Runs a rule over stored events.
    fn backtest(
        &self,
        request: BacktestRequest,
    ) -> BoxFuture<'_, Result<BacktestReport, BacktestError>>;

    /// Explains a rule on one event: the JSON object that `watchfloor rules explain` prints.
    fn explain(
        &self,
        rule: String,
        event: ExplainedEvent,
    ) -> BoxFuture<'_, Result<serde_json::Value, ExplainError>>;

    /// ATT&CK coverage as a Navigator layer.
    fn coverage(&self) -> BoxFuture<'_, Result<serde_json::Value, StatusError>>;

    /// Takes a rule out of force until it is resumed; `false` if it is not in force.
    fn suspend(
        &self,
        id: String,
        reason: String,
        actor: String,
    ) -> BoxFuture<'_, Result<bool, StatusError>>;

    /// Takes a suspended rule into force again and looks through what it missed; `false` if it
    /// is not suspended.
    fn resume(&self, id: String, actor: String) -> BoxFuture<'_, Result<bool, StatusError>>;

    /// Reads the rule files now.
    fn reload(&self, actor: String) -> BoxFuture<'_, Result<RuleReload, StatusError>>;
}
