//! What the server asks to be done: checked, written down before and after, done once.

mod account;
mod arguments;
mod block;
mod isolate;
mod ledger;
mod process;
mod quarantine;
mod scan;
mod service;
mod triage;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use watchfloor_link::{AGENT_ACTIONS, Act, ActOutcome};

use crate::core::{Core, LARGE_STACK, SMALL_STACK};
use crate::platform::host;
use crate::record::{Fields, put};
use crate::tell::tell;

use arguments::Arguments;
pub(crate) use isolate::SERVER;
pub(crate) use ledger::Ledger;
use ledger::{Begun, Deadline};
pub(crate) use scan::aside as look_aside;

/// What its records and troubles are under.
const NAME: &str = "actions";
/// Actions that are done at the same time.
const AT_ONCE_MAX: usize = 8;
/// How often it is looked whether something is to be undone.
const UNDO_LOOK_EVERY: Duration = Duration::from_millis(500);
/// An undo that fails is tried again after this time, then after twice of it, and so on.
const UNDO_AGAIN_AFTER: Duration = Duration::from_secs(15);
/// Longest time between these tries. They do not end: a host must not stay isolated.
const UNDO_AGAIN_MAX: Duration = Duration::from_secs(300);
/// How often isolation is looked at: somebody may have taken the rules away.
const GUARD_EVERY: u32 = 60;

/// What was done, and what proves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) summary: String,
    pub(crate) evidence: BTreeMap<String, String>,
}

impl Done {
    /// Something was done.
    fn new(summary: impl Into<String>) -> Self {
        Self {
            summary: summary.into(),
            evidence: BTreeMap::new(),
        }
    }

    /// With a proof.
    fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.evidence.insert(name.to_owned(), value.into());
        self
    }
}

/// Takes an action from the server: does it, or says again what came of it.
pub(crate) fn take(core: &Arc<Core>, act: Act) {
    let deadline = act.undo_at_ms.map(|at| Deadline {
        boot: core.host.boot.clone(),
        uptime_ms: host::uptime_ms().saturating_add_signed(at - core.clock.now_ms()),
    });
    let key = act.key.clone();
    if let Some(reason) = refusal(core, &act) {
        if core.ledger.refuse(act, &reason) {
            tell(format_args!("action {key}: {reason}"));
        }
        core.outcomes.notify_one();
        return;
    }
    if core.ledger.running() >= AT_ONCE_MAX && !core.ledger.knows(&key) {
        let reason = format!("{AT_ONCE_MAX} other actions are being done; try again later");
        core.ledger.refuse(act, &reason);
        core.outcomes.notify_one();
        return;
    }
    match core.ledger.begin(act.clone(), deadline) {
        Ok(Begun::New) => start(core, act),
        Ok(Begun::Running) => {}
        Ok(Begun::Known) => core.outcomes.notify_one(),
        Err(error) => {
            // What cannot be written down is not done: after a crash nobody would know.
            let reason = format!("the log of actions cannot be written: {error}");
            core.ledger.answer_unwritten(&key, reason);
            core.outcomes.notify_one();
        }
    }
}

/// Why an action is not begun.
fn refusal(core: &Core, act: &Act) -> Option<String> {
    if !AGENT_ACTIONS.contains(&act.kind.as_str()) {
        return Some(format!(
            "refused: {:?} is not on this agent's list",
            act.kind
        ));
    }
    let late = core.clock.now_ms() - act.not_after_ms;
    (late > 0 && !core.ledger.knows(&act.key))
        .then(|| format!("came too late, by {} s", late.div_euclid(1_000) + 1))
}

fn start(core: &Arc<Core>, act: Act) {
    let stack = match act.kind.as_str() {
        "scan_files" | "collect_triage" => LARGE_STACK,
        _ => SMALL_STACK,
    };
    let key = act.key.clone();
    let started = core.spawn("action", stack, move |core| {
        tell(format_args!("action {}: {} begins", act.key, act.kind));
        let outcome = outcome_of(perform(&core, &act));
        finish(&core, &act, outcome);
    });
    if started.is_none() {
        core.ledger.end(
            &key,
            ActOutcome::Failed {
                reason: "no thread could be started for it".to_owned(),
            },
        );
        core.outcomes.notify_one();
    }
}

fn outcome_of(result: Result<Done>) -> ActOutcome {
    match result {
        Ok(Done { summary, evidence }) => ActOutcome::Done { summary, evidence },
        Err(error) => ActOutcome::Failed {
            reason: format!("{error:#}"),
        },
    }
}

fn finish(core: &Core, act: &Act, outcome: ActOutcome) {
    let (word, summary) = match &outcome {
        ActOutcome::Done { summary, .. } => ("done", summary),
        ActOutcome::Failed { reason } => ("failed", reason),
        ActOutcome::Uncertain { reason } => ("uncertain", reason),
    };
    tell(format_args!("action {}: {word}: {summary}", act.key));
    record(core, "action_done", act, word, summary);
    if word == "done" {
        core.ledger.settle_undone(act);
    }
    core.ledger.end(&act.key, outcome);
    core.outcomes.notify_one();
}

fn record(core: &Core, kind: &str, act: &Act, outcome: &str, summary: &str) {
    let mut fields = Fields::new();
    put(&mut fields, "action", act.kind.as_str());
    put(&mut fields, "key", act.key.as_str());
    put(&mut fields, "outcome", outcome);
    put(&mut fields, "message", summary);
    for (name, value) in &act.arguments {
        // Rules of a scan are long, and no target.
        if name != "rules" {
            put(&mut fields, &format!("argument_{name}"), value.clone());
        }
    }
    core.observe(NAME, kind, fields);
}

/// Does one thing. The list is closed.
fn perform(core: &Arc<Core>, act: &Act) -> Result<Done> {
    let arguments = Arguments(&act.arguments);
    match act.kind.as_str() {
        "isolate_host" => isolate::isolate(core),
        "release_host" => isolate::release(core),
        "block_address" => block::block_address(arguments.address()?),
        "unblock_address" => block::unblock_address(arguments.address()?),
        "block_domain" => block::block_domain(&arguments.domain()?),
        "unblock_domain" => block::unblock_domain(&arguments.domain()?),
        "kill_process" => process::kill(arguments.pid()?, arguments.optional_path("program")?),
        "quarantine_file" => {
            quarantine::quarantine(core, &arguments.path("path")?, arguments.sha256()?)
        }
        "restore_file" => quarantine::restore(core, &arguments.path("path")?),
        "disable_user" => account::disable(core, &arguments.user()?),
        "enable_user" => account::enable(core, &arguments.user()?),
        "end_sessions" => account::end_sessions(&arguments.user()?),
        "restart_service" => service::restart(&arguments.service()?),
        "collect_triage" => triage::collect(core, &act.key, &arguments.names("artifacts")?),
        "scan_files" => scan::scan(
            core,
            &act.key,
            &arguments.text("rules")?,
            &arguments.paths("paths")?,
        ),
        other => anyhow::bail!("refused: {other:?} is not on this agent's list"),
    }
}

/// What undoes a kind of action.
fn undo_of(kind: &str) -> Option<&'static str> {
    match kind {
        "isolate_host" => Some("release_host"),
        "block_address" => Some("unblock_address"),
        "block_domain" => Some("unblock_domain"),
        "quarantine_file" => Some("restore_file"),
        "disable_user" => Some("enable_user"),
        _ => None,
    }
}

/// Whether doing it twice is the same as doing it once.
fn is_idempotent(kind: &str) -> bool {
    matches!(
        kind,
        "isolate_host"
            | "release_host"
            | "block_address"
            | "unblock_address"
            | "block_domain"
            | "unblock_domain"
            | "disable_user"
            | "enable_user"
            | "collect_triage"
            | "scan_files"
    )
}

/// Settles what an end of the agent cut short, and puts back what must be in force.
pub(crate) fn resume(core: &Arc<Core>) {
    isolate::resume(core);
    triage::sweep(&core.data.path("triage"));
    for act in core.ledger.take_cut_short() {
        if is_idempotent(&act.kind) {
            start(core, act);
            continue;
        }
        let reason = "the agent ended while it was being done; look whether it was".to_owned();
        finish(core, &act, ActOutcome::Uncertain { reason });
    }
}

/// Undoes what is due, whether the server is there or not, until the agent ends.
pub(crate) fn guard(core: &Arc<Core>) {
    let mut looks = 0u32;
    let mut tries: BTreeMap<String, (Duration, Instant)> = BTreeMap::new();
    while core.rest(UNDO_LOOK_EVERY) {
        let due = core
            .ledger
            .due(&core.host.boot, host::uptime_ms(), core.clock.now_ms());
        for act in due {
            let failed = tries.get(&act.key).copied();
            if failed.is_some_and(|(_, next)| Instant::now() < next) {
                continue;
            }
            if undo(core, &act, failed.is_none()) {
                tries.remove(&act.key);
                if tries.is_empty() {
                    core.board.well(NAME);
                }
                continue;
            }
            let wait = failed.map_or(UNDO_AGAIN_AFTER, |(wait, _)| (wait * 2).min(UNDO_AGAIN_MAX));
            tries.insert(act.key, (wait, Instant::now() + wait));
        }
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(GUARD_EVERY) {
            isolate::guard(core);
        }
    }
}

/// Undoes an action whose time is over; says whether it is settled. What cannot be undone is told
/// at the first try, and stands among the agent's troubles until it can.
fn undo(core: &Arc<Core>, act: &Act, is_first: bool) -> bool {
    let over = |word: &str, summary: &str| {
        core.ledger.undone(&act.key);
        record(core, "action_undone", act, word, summary);
        true
    };
    let Some(kind) = undo_of(&act.kind) else {
        return over("done", "there is nothing to undo");
    };
    if core.ledger.is_held_by_another(act) {
        return over("kept", "another action still asks for it");
    }
    let opposite = Act {
        kind: kind.to_owned(),
        ..act.clone()
    };
    match perform(core, &opposite) {
        Ok(done) => {
            tell(format_args!(
                "action {}: time is over: {}",
                act.key, done.summary
            ));
            over("done", &done.summary)
        }
        Err(error) => {
            let reason = format!("{error:#}");
            let words = format!("action {} cannot be undone: {reason}", act.key);
            tell(format_args!("{words}"));
            core.board.trouble(NAME, &words);
            if is_first {
                record(core, "action_undone", act, "failed", &reason);
            }
            false
        }
    }
}

/// Notes where the server is, for isolation.
pub(crate) fn note_server(core: &Core, peer: SocketAddr) {
    isolate::note_server(core, peer);
}

/// Lets the agent out to addresses of the server while the host is isolated.
pub(crate) fn open_way(core: &Core, server: &str) {
    isolate::open_way(core, server);
}
