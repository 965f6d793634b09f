//! What is on the host: itself, processes, accounts, packages, services, timers, modules, ports.
//! All of it once a day, and in between only what changed.

mod accounts;
mod host;
mod packages;
mod services;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{logins, network, processes};
use crate::clock::own_ms;
use crate::core::Core;
use crate::data::sha256_hex;
use crate::platform::process;
use crate::record::{Fields, put};
use crate::spool::{Class, Positions};

const NAME: &str = "inventory";
/// How often it is looked whether an inventory is due.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After this time all is told again.
const FULL_EVERY_MS: i64 = 24 * 3_600 * 1_000;
/// Rows of one kind.
const ROWS_MAX: usize = 50_000;
/// Records of one write.
const WRITE_MAX: usize = 200;

/// A kind of inventory: its records' kind, what tells its rows apart, and the rows.
type Kind = (
    &'static str,
    &'static [&'static str],
    fn(&Core) -> Vec<Fields>,
);

/// All kinds.
const KINDS: &[Kind] = &[
    ("host_inventory", &["machine"], host::rows),
    ("process_inventory", &["pid", "started_s"], process_rows),
    ("user_inventory", &["user"], accounts::users),
    ("group_inventory", &["group"], accounts::groups),
    (
        "package_inventory",
        &["manager", "name", "arch", "path"],
        packages::rows,
    ),
    ("service_inventory", &["service"], services::services),
    (
        "timer_inventory",
        &["type", "timer", "path", "command"],
        services::timers,
    ),
    ("module_inventory", &["module"], host::modules),
    (
        "listening_inventory",
        &["protocol", "address", "port"],
        network::listening,
    ),
];

/// What was told of a kind: when all of it was, and of each row the words that tell it apart, and
/// its hash.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    full_at_ms: i64,
    rows: BTreeMap<String, String>,
}

/// What is to be told of a kind. It stands on disk before the first row is told; how many rows
/// were, the spool says. So an end of the agent in between tells no row twice, and passes none over.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Plan {
    snapshot: String,
    changes: Vec<(String, Fields)>,
    /// What was told once all of it is.
    after: Told,
}

/// How much of a plan was told.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    snapshot: String,
    count: usize,
}

/// Takes inventories until the agent ends.
pub(super) fn run(core: &Core) {
    let mut taken: Option<Instant> = None;
    while core.rest(LOOK_EVERY) {
        let every = core.policy().inventory_every_s;
        if every == 0 {
            core.board.off(NAME);
            continue;
        }
        let every = Duration::from_secs(u64::from(every));
        if taken.is_none_or(|at| at.elapsed() >= every) {
            take(core);
            taken = Some(Instant::now());
        }
    }
}

/// The state of a name, as artifact definitions call it; `None` if there is no such state.
pub(crate) fn state(core: &Core, name: &str) -> Option<Vec<Fields>> {
    let kind = match name {
        "connections" => return Some(network::connections(core)),
        "mounts" => return Some(host::mounts()),
        "logins" => return Some(logins::current()),
        "processes" => "process_inventory",
        "users" => "user_inventory",
        "groups" => "group_inventory",
        "packages" => "package_inventory",
        "services" => "service_inventory",
        "timers" => "timer_inventory",
        "modules" => "module_inventory",
        "ports" => "listening_inventory",
        "host" => "host_inventory",
        _ => return None,
    };
    let (_, _, rows) = KINDS.iter().find(|(name, ..)| *name == kind)?;
    Some(rows(core))
}

fn take(core: &Core) {
    for (kind, keys, rows) in KINDS {
        if let Err(error) = take_kind(core, kind, keys, *rows) {
            core.board
                .trouble(NAME, &format!("what was told cannot be kept: {error}"));
        }
        core.pace.step();
        if !core.is_running() {
            return;
        }
    }
}

fn take_kind(
    core: &Core,
    kind: &str,
    keys: &[&str],
    rows: fn(&Core) -> Vec<Fields>,
) -> std::io::Result<()> {
    let folder = core.data.folder(NAME)?;
    let plan_file = format!("{NAME}/{kind}.plan.json");
    let told_file = format!("{NAME}/{kind}.json");
    if let Some(plan) = core.data.read_json::<Plan>(&plan_file) {
        // An end of the agent came before all of it was told.
        if !tell_plan(core, kind, &plan)? {
            return Ok(());
        }
        core.data.write_json(&told_file, &plan.after)?;
        std::fs::remove_file(core.data.path(&plan_file))?;
    }
    let mut told: Told = core.data.read_json(&told_file).unwrap_or_default();
    let now = own_ms();
    // A clock that was set back must not hold the full one up for ever.
    let is_full = now - told.full_at_ms >= FULL_EVERY_MS || told.full_at_ms > now;
    if is_full {
        told = Told {
            full_at_ms: now,
            rows: BTreeMap::new(),
        };
    }
    let changes = compare(&mut told.rows, rows(core), keys, is_full);
    if changes.is_empty() && !is_full {
        return Ok(());
    }
    let plan = Plan {
        snapshot: format!("{now:x}"),
        changes,
        after: told,
    };
    core.data.write_json(&plan_file, &plan)?;
    crate::data::sync_folder_of(&folder.join(kind));
    if tell_plan(core, kind, &plan)? {
        core.data.write_json(&told_file, &plan.after)?;
        std::fs::remove_file(core.data.path(&plan_file))?;
    }
    Ok(())
}

/// Tells what is left of a plan; says whether all of it is told.
fn tell_plan(core: &Core, kind: &str, plan: &Plan) -> std::io::Result<bool> {
    let position = format!("{NAME}:{kind}");
    let progress: Option<Progress> = core
        .spool
        .position(&position)
        .and_then(|value| serde_json::from_value(value).ok());
    let mut count = match progress {
        Some(progress) if progress.snapshot == plan.snapshot => progress.count,
        _ => 0,
    };
    while let Some(rest) = plan.changes.get(count..).filter(|rest| !rest.is_empty()) {
        let records: Vec<Vec<u8>> = rest
            .iter()
            .take(WRITE_MAX)
            .map(|(change, row)| {
                let mut row = row.clone();
                put(&mut row, "snapshot", plan.snapshot.as_str());
                put(&mut row, "change", change.as_str());
                core.recorder.event(kind, Timestamp::now(), row)
            })
            .collect();
        count += records.len();
        let progress = Progress {
            snapshot: plan.snapshot.clone(),
            count,
        };
        let progress = serde_json::to_value(progress).map_err(std::io::Error::other)?;
        let positions = Positions::from([(position.clone(), progress)]);
        core.keep(NAME, Class::Momentary, records, positions);
        core.pace.step();
        if !core.is_running() {
            return Ok(false);
        }
    }
    // The plan must not go before what it told is durable.
    core.spool.sync()?;
    Ok(true)
}

/// What changed since the last time; `before` becomes what is now.
fn compare(
    before: &mut BTreeMap<String, String>,
    rows: Vec<Fields>,
    keys: &[&str],
    is_full: bool,
) -> Vec<(String, Fields)> {
    let mut now = BTreeMap::new();
    let mut changes = Vec::new();
    for row in rows.into_iter().take(ROWS_MAX) {
        let key = key_of(&row, keys);
        let hash = sha256_hex(&serde_json::to_vec(&row).unwrap_or_default());
        let change = match before.get(&key) {
            _ if is_full => Some("present"),
            None => Some("added"),
            Some(old) if *old != hash => Some("changed"),
            Some(_) => None,
        };
        if now.insert(key, hash).is_none()
            && let Some(change) = change
        {
            changes.push((change.to_owned(), row));
        }
    }
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        if let Ok(row) = serde_json::from_str::<Fields>(key) {
            changes.push(("removed".to_owned(), row));
        }
    }
    *before = now;
    changes
}

/// The words that tell a row apart, as JSON: of a row that is gone nothing else is known.
fn key_of(row: &Fields, keys: &[&str]) -> String {
    let mut key = Fields::new();
    for name in keys {
        if let Some(value) = row.get(*name) {
            key.insert((*name).to_owned(), value.clone());
        }
    }
    Value::from(key).to_string()
}

fn process_rows(core: &Core) -> Vec<Fields> {
    let all = process::pids().into_iter().filter_map(process::facts);
    all.filter(|facts| !facts.exe.is_empty())
        .map(|facts| {
            let mut fields = processes::process_fields(core, &facts);
            put(&mut fields, "threads", facts.threads);
            fields
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, version: &str) -> Fields {
        let mut row = Fields::new();
        put(&mut row, "name", name);
        put(&mut row, "version", version);
        row
    }

    #[test]
    fn only_what_changed_is_told_after_the_first_time() {
        let mut before = BTreeMap::new();
        let keys = &["name"];
        let mut told = |rows: Vec<Fields>, is_full: bool| -> Vec<String> {
            let changes = compare(&mut before, rows, keys, is_full);
            let words = changes
                .iter()
                .map(|(change, row)| format!("{change} {}", row["name"]));
            words.collect()
        };
        let first = told(vec![row("a", "1"), row("b", "1")], true);
        assert_eq!(first, ["present \"a\"", "present \"b\""]);
        assert!(told(vec![row("a", "1"), row("b", "1")], false).is_empty());
        let next = told(vec![row("a", "2"), row("c", "1")], false);
        assert_eq!(next, ["changed \"a\"", "added \"c\"", "removed \"b\""]);
    }
}
