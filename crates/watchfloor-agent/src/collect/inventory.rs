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

/// What was told of each kind: the words that tell rows apart, and the hash of each whole row.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    full_at_ms: i64,
    rows: BTreeMap<String, BTreeMap<String, String>>,
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
    let mut told: Told = core.data.read_json("inventory.json").unwrap_or_default();
    let now = own_ms();
    // A clock that was set back must not hold the full one up for ever.
    let is_full = now - told.full_at_ms >= FULL_EVERY_MS || told.full_at_ms > now;
    if is_full {
        told = Told {
            full_at_ms: now,
            ..Told::default()
        };
    }
    let snapshot = format!("{now:x}");
    for (kind, keys, rows) in KINDS {
        let rows = rows(core);
        let before = told.rows.entry((*kind).to_owned()).or_default();
        let changes = compare(before, rows, keys, is_full);
        write(core, kind, &snapshot, changes);
        core.pace.step();
        if !core.is_running() {
            return;
        }
    }
    if let Err(error) = core.data.write_json("inventory.json", &told) {
        core.board
            .trouble(NAME, &format!("what was told cannot be kept: {error}"));
    }
}

/// What changed since the last time; `before` becomes what is now.
fn compare(
    before: &mut BTreeMap<String, String>,
    rows: Vec<Fields>,
    keys: &[&str],
    is_full: bool,
) -> Vec<(&'static str, Fields)> {
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
            changes.push((change, row));
        }
    }
    for key in before.keys().filter(|key| !now.contains_key(*key)) {
        if let Ok(row) = serde_json::from_str::<Fields>(key) {
            changes.push(("removed", row));
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

fn write(core: &Core, kind: &str, snapshot: &str, changes: Vec<(&'static str, Fields)>) {
    let mut records = Vec::new();
    for (change, mut row) in changes {
        put(&mut row, "snapshot", snapshot);
        put(&mut row, "change", change);
        records.push(core.recorder.event(kind, Timestamp::now(), row));
        if records.len() >= WRITE_MAX {
            core.keep(
                NAME,
                Class::Momentary,
                std::mem::take(&mut records),
                Positions::new(),
            );
            core.pace.step();
        }
    }
    core.keep(NAME, Class::Momentary, records, Positions::new());
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
