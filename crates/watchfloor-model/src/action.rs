//! What can be done to the outside world: a closed list of actions with typed arguments, who
//! decided them, and how they went.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::argument::{ArgumentKind as A, ArgumentSpec, ArgumentValue};
use crate::grade::words;
use crate::{ActionId, ConnectorId, IllegalMove, IncidentId, RunId, TenantId};

/// What can be done. The list is closed: nothing else ever leaves the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionKind {
    /// Cut a host off from all but the server.
    IsolateHost,
    /// Give an isolated host its network back.
    ReleaseHost,
    /// Block an address at a gateway.
    BlockAddress,
    /// Unblock an address.
    UnblockAddress,
    /// Block a DNS name.
    BlockDomain,
    /// Unblock a DNS name.
    UnblockDomain,
    /// End a process and what it started.
    KillProcess,
    /// Take a file away, so that it can be given back.
    QuarantineFile,
    /// Give a quarantined file back.
    RestoreFile,
    /// Disable an account.
    DisableUser,
    /// Enable an account again.
    EnableUser,
    /// End all sessions of an account.
    EndSessions,
    /// Collect files and state of a host for examination.
    CollectTriage,
    /// Restart a service of a host.
    RestartService,
    /// Look for YARA rules in files of a host.
    ScanFiles,
    /// Call a web hook.
    CallWebhook,
    /// Send an e-mail.
    SendEmail,
    /// Send a message to a channel.
    SendMessage,
    /// Open a ticket elsewhere.
    OpenTicket,
    /// Send a request to an HTTP API.
    HttpRequest,
    /// Run a program that the administrator allowed, with arguments as arguments.
    RunProgram,
}

words!(ActionKind {
    IsolateHost = "isolate_host",
    ReleaseHost = "release_host",
    BlockAddress = "block_address",
    UnblockAddress = "unblock_address",
    BlockDomain = "block_domain",
    UnblockDomain = "unblock_domain",
    KillProcess = "kill_process",
    QuarantineFile = "quarantine_file",
    RestoreFile = "restore_file",
    DisableUser = "disable_user",
    EnableUser = "enable_user",
    EndSessions = "end_sessions",
    CollectTriage = "collect_triage",
    RestartService = "restart_service",
    ScanFiles = "scan_files",
    CallWebhook = "call_webhook",
    SendEmail = "send_email",
    SendMessage = "send_message",
    OpenTicket = "open_ticket",
    HttpRequest = "http_request",
    RunProgram = "run_program",
});

const HOST: ArgumentSpec = ArgumentSpec::needed("host", A::Host, "name of the host");
const ON_HOST: ArgumentSpec = ArgumentSpec::optional(
    "host",
    A::Host,
    "on this host alone, by its agent; else by a connector",
);
const ADDRESS: ArgumentSpec = ArgumentSpec::needed("address", A::Address, "IPv4 or IPv6 address");
const DOMAIN: ArgumentSpec = ArgumentSpec::needed("domain", A::Domain, "DNS name");
const USER: ArgumentSpec = ArgumentSpec::needed("user", A::User, "name of the account");
const SUBJECT: ArgumentSpec = ArgumentSpec::needed("subject", A::Line, "one line");
const TEXT: ArgumentSpec = ArgumentSpec::needed("text", A::Text, "the text");

impl ActionKind {
    /// What it needs to know.
    pub const fn arguments(self) -> &'static [ArgumentSpec] {
        match self {
            Self::IsolateHost | Self::ReleaseHost => const { &[HOST] },
            Self::CollectTriage => {
                const {
                    &[
                        HOST,
                        ArgumentSpec::optional(
                            "artifacts",
                            A::Names,
                            "names of artifact definitions",
                        ),
                    ]
                }
            }
            Self::BlockAddress | Self::UnblockAddress => const { &[ADDRESS, ON_HOST] },
            Self::BlockDomain | Self::UnblockDomain => const { &[DOMAIN, ON_HOST] },
            Self::KillProcess => {
                const {
                    &[
                        HOST,
                        ArgumentSpec::needed("pid", A::Number, "number of the process"),
                        ArgumentSpec::optional(
                            "program",
                            A::Path,
                            "its program, so that a reused number is spared",
                        ),
                    ]
                }
            }
            Self::QuarantineFile | Self::RestoreFile => {
                const {
                    &[
                        HOST,
                        ArgumentSpec::needed("path", A::Path, "absolute path of the file"),
                        ArgumentSpec::optional(
                            "sha256",
                            A::Sha256,
                            "hash, so that another file is spared",
                        ),
                    ]
                }
            }
            Self::DisableUser | Self::EnableUser | Self::EndSessions => const { &[USER, ON_HOST] },
            Self::RestartService => {
                const {
                    &[
                        HOST,
                        ArgumentSpec::needed("service", A::Service, "name of the service"),
                    ]
                }
            }
            Self::ScanFiles => {
                const {
                    &[
                        HOST,
                        ArgumentSpec::needed("rules", A::Text, "YARA rules"),
                        ArgumentSpec::needed("paths", A::Texts, "files and folders, absolute"),
                    ]
                }
            }
            Self::CallWebhook
            | Self::SendEmail
            | Self::SendMessage
            | Self::OpenTicket
            | Self::HttpRequest
            | Self::RunProgram => self.words_arguments(),
        }
    }

    /// As [`ActionKind::arguments`], for what says something or calls something.
    const fn words_arguments(self) -> &'static [ArgumentSpec] {
        match self {
            Self::CallWebhook => {
                const { &[ArgumentSpec::optional("text", A::Text, "what it is told")] }
            }
            Self::SendEmail => {
                const {
                    &[
                        ArgumentSpec::needed("to", A::Emails, "one or more addresses"),
                        SUBJECT,
                        TEXT,
                    ]
                }
            }
            Self::SendMessage => const { &[TEXT] },
            Self::OpenTicket => const { &[SUBJECT, TEXT] },
            Self::HttpRequest => {
                const {
                    &[
                        ArgumentSpec::needed(
                            "method",
                            A::Method,
                            "GET, POST, PUT, PATCH or DELETE",
                        ),
                        ArgumentSpec::needed("url", A::Url, "http or https"),
                        ArgumentSpec::optional("headers", A::Headers, "each as `Name: value`"),
                        ArgumentSpec::optional("body", A::Text, "the body"),
                    ]
                }
            }
            Self::RunProgram => {
                const {
                    &[
                        ArgumentSpec::needed("program", A::Name, "name under which it is allowed"),
                        ArgumentSpec::optional("arguments", A::Texts, "passed as they are"),
                    ]
                }
            }
            _ => &[],
        }
    }

    /// The argument that names whom it is done to.
    pub const fn target_argument(self) -> &'static str {
        match self {
            Self::IsolateHost
            | Self::ReleaseHost
            | Self::KillProcess
            | Self::QuarantineFile
            | Self::RestoreFile
            | Self::CollectTriage
            | Self::RestartService
            | Self::ScanFiles => "host",
            Self::BlockAddress | Self::UnblockAddress => "address",
            Self::BlockDomain | Self::UnblockDomain => "domain",
            Self::DisableUser | Self::EnableUser | Self::EndSessions => "user",
            Self::CallWebhook | Self::SendMessage => "text",
            Self::SendEmail => "to",
            Self::OpenTicket => "subject",
            Self::HttpRequest => "url",
            Self::RunProgram => "program",
        }
    }

    /// Whether it takes something away from somebody: such an action has a second person's
    /// approval unless policy says otherwise.
    pub const fn is_containing(self) -> bool {
        match self {
            Self::IsolateHost
            | Self::BlockAddress
            | Self::BlockDomain
            | Self::KillProcess
            | Self::QuarantineFile
            | Self::DisableUser
            | Self::EndSessions
            | Self::RestartService
            | Self::HttpRequest
            | Self::RunProgram => true,
            Self::ReleaseHost
            | Self::UnblockAddress
            | Self::UnblockDomain
            | Self::RestoreFile
            | Self::EnableUser
            | Self::CollectTriage
            | Self::ScanFiles
            | Self::CallWebhook
            | Self::SendEmail
            | Self::SendMessage
            | Self::OpenTicket => false,
        }
    }

    /// What undoes it, with the same arguments; `None` where nothing does.
    pub const fn undo(self) -> Option<Self> {
        match self {
            Self::IsolateHost => Some(Self::ReleaseHost),
            Self::BlockAddress => Some(Self::UnblockAddress),
            Self::BlockDomain => Some(Self::UnblockDomain),
            Self::QuarantineFile => Some(Self::RestoreFile),
            Self::DisableUser => Some(Self::EnableUser),
            Self::ReleaseHost
            | Self::UnblockAddress
            | Self::UnblockDomain
            | Self::KillProcess
            | Self::RestoreFile
            | Self::EnableUser
            | Self::EndSessions
            | Self::CollectTriage
            | Self::RestartService
            | Self::ScanFiles
            | Self::CallWebhook
            | Self::SendEmail
            | Self::SendMessage
            | Self::OpenTicket
            | Self::HttpRequest
            | Self::RunProgram => None,
        }
    }

    /// For people: `isolate host`.
    pub fn in_words(self) -> String {
        self.as_str().replace('_', " ")
    }
}

/// State of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionStatus {
    /// Waits for a second person.
    Proposed,
    /// A second person said no.
    Rejected,
    /// Will be done as soon as it is its turn.
    Ready,
    /// Being done.
    Running,
    /// Done.
    Done,
    /// Not done.
    Failed,
    /// Whether it was done is not known; a person decides.
    Uncertain,
    /// Taken back before it was done.
    Cancelled,
    /// Was done, and was undone since.
    Undone,
}

words!(ActionStatus {
    Proposed = "proposed",
    Rejected = "rejected",
    Ready = "ready",
    Running = "running",
    Done = "done",
    Failed = "failed",
    Uncertain = "uncertain",
    Cancelled = "cancelled",
    Undone = "undone",
});

impl ActionStatus {
    /// Whether nothing more happens to it by itself (an undo aside).
    pub const fn is_over(self) -> bool {
        match self {
            Self::Proposed | Self::Ready | Self::Running | Self::Uncertain => false,
            Self::Rejected | Self::Done | Self::Failed | Self::Cancelled | Self::Undone => true,
        }
    }

    /// Whether the move is legal.
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Proposed => matches!(to, Self::Ready | Self::Rejected | Self::Cancelled),
            Self::Ready => matches!(to, Self::Running | Self::Cancelled | Self::Failed),
            Self::Running => {
                matches!(
                    to,
                    Self::Done | Self::Failed | Self::Uncertain | Self::Ready
                )
            }
            Self::Uncertain => matches!(to, Self::Done | Self::Failed | Self::Ready),
            Self::Done => matches!(to, Self::Undone),
            Self::Failed => matches!(to, Self::Ready),
            Self::Rejected | Self::Cancelled | Self::Undone => false,
        }
    }
}

/// Somebody, as it is written down beside what was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Id of the user or token; `system` for the program itself.
    pub id: String,
    /// Name in the audit log.
    pub name: String,
    /// The person behind it, folded: a token stands for whoever made it, so that nobody approves
    /// with a token what they proposed in a browser.
    pub person: String,
}

impl Principal {
    /// Whether both stand for one person.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.person == other.person || self.id == other.id
    }
}

/// How an action went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionOutcome {
    /// In words.
    pub summary: String,
    /// What proves it, by name: a status line, a ticket's number, a file's hash.
    pub evidence: BTreeMap<String, String>,
}

/// Something that was, is or will be done to the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Its id.
    pub id: ActionId,
    /// What.
    pub kind: ActionKind,
    /// With what.
    pub arguments: BTreeMap<String, ArgumentValue>,
    /// To whom, for people.
    pub target: String,
    /// Through which connector; `None` for whichever serves it.
    pub connector: Option<ConnectorId>,
    /// For which incident.
    pub incident_id: Option<IncidentId>,
    /// Which run of a playbook and which of its steps asked for it.
    pub step: Option<(RunId, u64)>,
    /// Why.
    pub reason: String,
    /// State.
    pub status: ActionStatus,
    /// Who asked for it.
    pub proposed_by: Principal,
    /// When.
    pub proposed_at: Timestamp,
    /// Whether a second person must agree.
    pub needs_approval: bool,
    /// Who agreed or refused.
    pub decided_by: Option<Principal>,
    /// When.
    pub decided_at: Option<Timestamp>,
    /// In words.
    pub decision_note: Option<String>,
    /// Undone after so many seconds, if at all.
    pub time_limit_s: Option<u32>,
    /// When it is undone, once it is done.
    pub undo_at: Option<Timestamp>,
    /// The action that this one undoes.
    pub undo_of: Option<ActionId>,
    /// The action that undoes this one, once there is one.
    pub undone_by: Option<ActionId>,
    /// How often it was begun.
    pub attempts: u32,
    /// How often a person found that it was not done, and had it begun again.
    pub redone: u32,
    /// How often it may be begun again after a failure.
    pub retries_max: u32,
    /// Seconds between attempts.
    pub retry_wait_s: u32,
    /// Not begun before.
    pub not_before: Option<Timestamp>,
    /// Last begin.
    pub started_at: Option<Timestamp>,
    /// End.
    pub ended_at: Option<Timestamp>,
    /// Process that does it, while it is running.
    pub worker: Option<String>,
    /// How it went.
    pub outcome: Option<ActionOutcome>,
    /// Why it failed or is uncertain.
    pub error: Option<String>,
    /// SHA-256 of the request as it was approved, in hexadecimal.
    pub request_hash: String,
    /// SHA-256 of the outcome, in hexadecimal.
    pub result_hash: Option<String>,
    /// Raised by each change.
    pub version: u64,
}

impl Action {
    /// Moves the action.
    ///
    /// # Errors
    /// [`IllegalMove::NotJoined`].
    pub fn set_status(&mut self, to: ActionStatus) -> Result<(), IllegalMove> {
        if !self.status.may_become(to) {
            return Err(IllegalMove::NotJoined {
                what: "action",
                from: self.status.as_str(),
                to: to.as_str(),
            });
        }
        self.status = to;
        self.version += 1;
        Ok(())
    }

    /// The same key for every attempt, so that whoever gets it twice does it once.
    pub fn idempotency_key(&self) -> String {
        format!(
            "wf-{}-{}",
            self.id,
            &self.request_hash[..self.request_hash.len().min(16)]
        )
    }

    /// For people: `isolate host ws-042`.
    pub fn in_words(&self) -> String {
        format!("{} {}", self.kind.in_words(), self.target)
    }
}

/// An action on its way to whoever does it: a connector or an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// Whose.
    pub tenant: TenantId,
    /// The action.
    pub id: ActionId,
    /// Whoever gets two requests with one key does it once.
    pub idempotency_key: String,
    /// What.
    pub kind: ActionKind,
    /// To whom.
    pub target: String,
    /// With what; checked.
    pub arguments: BTreeMap<String, ArgumentValue>,
    /// Why, for people.
    pub reason: String,
    /// The incident it belongs to.
    pub incident_id: Option<IncidentId>,
    /// When it is to be undone by whoever did it, should this server be away then.
    pub expires_at: Option<Timestamp>,
    /// How often a person found that it was not done, and had it begun again. Whoever cannot say
    /// what came of a key does it again only when this has grown.
    pub redone: u32,
}

impl ActionRequest {
    /// An argument that is one text; empty when it is not there.
    pub fn text(&self, name: &str) -> &str {
        match self.arguments.get(name) {
            Some(ArgumentValue::One(text)) => text,
            Some(ArgumentValue::Many(list)) => list.first().map_or("", String::as_str),
            None => "",
        }
    }

    /// An argument as a list; empty when it is not there.
    pub fn list(&self, name: &str) -> &[String] {
        self.arguments.get(name).map_or(&[], ArgumentValue::items)
    }
}

/// Why an action was not done, or is not known to be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionFailure {
    /// It was certainly not done.
    #[error("{reason}")]
    NotDone {
        /// What, where and how to mend it.
        reason: String,
        /// Whether trying again can help.
        may_retry: bool,
    },
    /// It may have been done.
    #[error("{reason}")]
    Unknown {
        /// What is known.
        reason: String,
    },
}

impl ActionFailure {
    /// It was not done, and trying again does not help.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::NotDone {
            reason: reason.into(),
            may_retry: false,
        }
    }

    /// It was not done, and trying again may help.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::NotDone {
            reason: reason.into(),
            may_retry: true,
        }
    }

    /// Nobody knows whether it was done.
    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown {
            reason: reason.into(),
        }
    }
}

/// What policy says of one kind of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionPolicy {
    /// Whether a second person must agree.
    pub needs_approval: bool,
    /// Undone after so many seconds where nobody says otherwise; `None` for never.
    pub time_limit_s: Option<u32>,
}

impl ActionPolicy {
    /// What holds where nobody decided: containing actions need a second person, and what can be
    /// undone is undone after a day.
    pub const fn standard(kind: ActionKind) -> Self {
        Self {
            needs_approval: kind.is_containing(),
            time_limit_s: match kind.undo() {
                Some(_) => Some(24 * 3_600),
                None => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_does_not_begin_again_by_itself() {
        for from in ActionStatus::ALL {
            for to in ActionStatus::ALL {
                let allowed = from.may_become(*to);
                let reopened = from.is_over() && !to.is_over() && allowed;
                // Only a person tries a failed action again.
                assert!(!reopened || *from == ActionStatus::Failed, "{from} to {to}");
            }
        }
        assert!(!ActionStatus::Uncertain.may_become(ActionStatus::Running));
    }

    #[test]
    fn every_kind_names_its_target_and_undoes_with_the_same_arguments() {
        for kind in ActionKind::ALL {
            let names: Vec<_> = kind.arguments().iter().map(|one| one.name).collect();
            assert!(names.contains(&kind.target_argument()), "{kind}");
            if let Some(undo) = kind.undo() {
                assert_eq!(kind.arguments(), undo.arguments(), "{kind}");
                assert!(!undo.is_containing());
            }
        }
    }
}
