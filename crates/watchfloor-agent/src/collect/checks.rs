//! Runs the configuration checks of the policy.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::checks::{Facts, evaluate};
use crate::collect::inventory;
use crate::core::Core;
use crate::platform::sockets;
use crate::record::{Fields, put};

const NAME: &str = "checks";
/// How often it is looked whether checks are due.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Runs checks until the agent ends: at times, and when the policy brings others.
pub(super) fn run(core: &Core) {
    let mut last: Option<(Instant, u64)> = None;
    while core.rest(LOOK_EVERY) {
        let policy = core.policy();
        if policy.checks_every_s == 0 || policy.checks.is_empty() {
            core.board.off(NAME);
            continue;
        }
        let every = Duration::from_secs(u64::from(policy.checks_every_s));
        let is_due =
            last.is_none_or(|(at, revision)| at.elapsed() >= every || revision != policy.revision);
        if is_due {
            run_all(core);
            last = Some((Instant::now(), policy.revision));
        }
    }
}

fn run_all(core: &Core) {
    let policy = core.policy();
    let packages = inventory::state(core, "packages").unwrap_or_default();
    let name_of = |row: &Fields| {
        row.get("name")
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let facts = Facts {
        packages: packages.iter().filter_map(name_of).collect(),
        listening: sockets::sockets()
            .iter()
            .filter(|one| one.is_listening)
            .map(|one| one.local)
            .collect(),
    };
    let mut wrong = None;
    for check in &policy.checks {
        let verdict = match evaluate(check, Path::new("/"), &facts) {
            Ok(verdict) => verdict,
            Err(reason) => {
                wrong = Some(format!("check {} cannot be run: {reason}", check.id));
                continue;
            }
        };
        let mut fields = Fields::new();
        put(&mut fields, "id", check.id.as_str());
        put(&mut fields, "title", check.title.as_str());
        put(&mut fields, "severity", check.severity.as_str());
        put(&mut fields, "evidence", verdict.evidence);
        put(&mut fields, "references", check.references.join(", "));
        let kind = match verdict.holds {
            true => "check_passed",
            false => {
                put(&mut fields, "rationale", check.rationale.as_str());
                put(&mut fields, "remediation", check.remediation.as_str());
                "check_failed"
            }
        };
        core.observe(NAME, kind, fields);
        core.pace.step();
        if !core.is_running() {
            return;
        }
    }
    match wrong {
        Some(words) => core.board.trouble(NAME, &words),
        None => core.board.well(NAME),
    }
}
