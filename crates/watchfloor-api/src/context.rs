//! What happened around an alert: which values tie events to it, and the process tree, as pure
//! functions over events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watchfloor_model::{Alert, EntityKind};

use crate::ports::Event;
use crate::wire::alert::ProcessNode;

/// Values of an alert by which events are looked for.
const VALUES_MAX: usize = 20;

/// Events of the alert itself that are read for the tree.
pub(crate) const ALERT_EVENTS_MAX: usize = 20;

/// Nodes of a tree.
const NODES_MAX: usize = 300;

/// OCSF class Process Activity.
const PROCESS_ACTIVITY: u32 = 1007;

/// Shortest value that is looked for; shorter ones are in everything.
const VALUE_CHARS_MIN: usize = 2;

/// The values by which events are related: hosts, users, addresses, then the rest.
pub(crate) fn related_values(alert: &Alert) -> Vec<String> {
    let mut values = Vec::new();
    for first in [true, false] {
        for entity in &alert.entities {
            let anchors = matches!(
                entity.kind,
                EntityKind::Host | EntityKind::User | EntityKind::Address
            );
            let long_enough = entity.value.chars().count() >= VALUE_CHARS_MIN;
            if anchors == first && long_enough && !values.contains(&entity.value) {
                values.push(entity.value.clone());
            }
        }
    }
    values.truncate(VALUES_MAX);
    values
}

fn field<'e>(event: &'e Event, names: &[&str]) -> Option<&'e str> {
    names
        .iter()
        .filter_map(|name| event.fields.get(*name))
        .map(String::as_str)
        .find(|value| !value.is_empty())
}

/// Identity of a process: its uid, or host and pid where there is no uid.
fn identity(event: &Event, prefix: &str) -> Option<String> {
    let uid = format!("{prefix}.uid");
    if let Some(uid) = field(event, &[&uid]) {
        return Some(format!("uid {uid}"));
    }
    let pid = format!("{prefix}.pid");
    let pid = field(event, &[&pid])?;
    let host = field(event, &["device.hostname", "device.name", "device.uid"]).unwrap_or("");
    Some(format!("{} pid {pid}", host.to_lowercase()))
}

fn file_name(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    if name.is_empty() { path } else { name }.to_owned()
}

fn name(event: &Event, prefix: &str) -> Option<String> {
    let path = format!("{prefix}.file.path");
    let plain = format!("{prefix}.file.name");
    field(event, &[&path])
        .map(file_name)
        .or_else(|| field(event, &[&plain]).map(file_name))
}

/// Builds the process tree of events. A process that starts is a node; its parent is one too,
/// known by name only unless its own start is among the events. Parents come before children.
pub(crate) fn process_tree(events: &[Event], alerted: &[String]) -> Vec<ProcessNode> {
    let mut nodes: BTreeMap<String, ProcessNode> = BTreeMap::new();
    let mut ordered: Vec<&Event> = events.iter().collect();
    ordered.sort_by(|left, right| (left.time, &left.id).cmp(&(right.time, &right.id)));
    for event in ordered {
        let is_alerted = alerted.contains(&event.id);
        let actor = ["process.parent_process", "actor.process"]
            .into_iter()
            .find_map(|prefix| Some((identity(event, prefix)?, prefix)));
        let target = identity(event, "process");
        let touches = is_touch(event);
        if let Some((id, prefix)) = &actor {
            let is_alerted = is_alerted && (touches || target.is_none());
            note(&mut nodes, id, event, prefix, None, is_alerted);
        }
        if let Some(id) = target {
            let parent = actor
                .map(|(actor, _)| actor)
                .filter(|actor| *actor != id && !touches);
            note(&mut nodes, &id, event, "process", parent, is_alerted);
        }
    }
    arrange(nodes)
}

/// Whether one process reached into another (opened or injected into it): then the one that
/// acts is not the parent.
///
/// # Source
/// OCSF 1.x class 1007, Process Activity, `activity_id` 3 and 4.
fn is_touch(event: &Event) -> bool {
    event.class_uid == PROCESS_ACTIVITY
        && field(event, &["activity_id"]).is_some_and(|id| matches!(id, "3" | "4"))
}

/// Writes down what an event says of a process; the first to say it is kept, but a start
/// (prefix `process`) beats what others say of it.
fn note(
    nodes: &mut BTreeMap<String, ProcessNode>,
    id: &str,
    event: &Event,
    prefix: &str,
    parent_id: Option<String>,
    is_alerted: bool,
) {
    let is_own = prefix == "process";
    let cmd_line = format!("{prefix}.cmd_line");
    let cmd_line = field(event, &[&cmd_line]).unwrap_or_default().to_owned();
    let user = if is_own {
        field(
            event,
            &["process.user.name", "actor.user.name", "user.name"],
        )
    } else {
        field(event, &["actor.process.user.name"])
    };
    let time: Option<Timestamp> = is_own.then_some(event.time);
    let node = nodes.entry(id.to_owned()).or_insert_with(|| ProcessNode {
        id: id.to_owned(),
        parent_id: None,
        name: String::new(),
        cmd_line: String::new(),
        user: String::new(),
        time: None,
        is_alerted: false,
        event_id: None,
    });
    if node.name.is_empty() {
        node.name = name(event, prefix).unwrap_or_default();
    }
    if node.cmd_line.is_empty() {
        node.cmd_line = cmd_line;
    }
    if node.user.is_empty() {
        node.user = user.unwrap_or_default().to_owned();
    }
    if node.parent_id.is_none() {
        node.parent_id = parent_id;
    }
    node.time = node.time.or(time);
    if is_alerted || is_own && node.event_id.is_none() {
        node.event_id = Some(event.id.clone());
    }
    node.is_alerted |= is_alerted;
}

/// Parents before children, without cycles (a reused pid can make one), only trees that hold an
/// alerted process when there is one, at most [`NODES_MAX`] nodes.
fn arrange(mut nodes: BTreeMap<String, ProcessNode>) -> Vec<ProcessNode> {
    let parents: BTreeMap<String, String> = nodes
        .values()
        .filter_map(|node| Some((node.id.clone(), node.parent_id.clone()?)))
        .collect();
    let root_of = |id: &str| {
        let mut at = id;
        for _ in 0..=parents.len() {
            match parents.get(at) {
                Some(parent) => at = parent,
                None => return Some(at.to_owned()),
            }
        }
        None
    };
    let roots: BTreeMap<String, Option<String>> =
        nodes.keys().map(|id| (id.clone(), root_of(id))).collect();
    for node in nodes.values_mut() {
        if roots.get(&node.id).is_none_or(Option::is_none) {
            node.parent_id = None;
        }
    }
    let wanted: Vec<&Option<String>> = nodes
        .values()
        .filter(|node| node.is_alerted)
        .filter_map(|node| roots.get(&node.id))
        .collect();
    let depth_of = |node: &ProcessNode| {
        let mut depth = 0_usize;
        let mut at = node.parent_id.as_ref();
        while let Some(parent) = at.filter(|_| depth <= parents.len()) {
            depth += 1;
            at = parents.get(parent);
        }
        depth
    };
    let mut list: Vec<(usize, ProcessNode)> = nodes
        .values()
        .filter(|node| {
            wanted.is_empty()
                || roots
                    .get(&node.id)
                    .is_some_and(|root| wanted.contains(&root))
        })
        .map(|node| (depth_of(node), node.clone()))
        .collect();
    list.sort_by(|left, right| {
        (left.0, left.1.time, &left.1.id).cmp(&(right.0, right.1.time, &right.1.id))
    });
    list.truncate(NODES_MAX);
    list.into_iter().map(|(_, node)| node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, fields: &[(&str, &str)]) -> Event {
        let time: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        Event {
            id: id.to_owned(),
            time,
            received_at: time,
            source: "sysmon".to_owned(),
            class_uid: PROCESS_ACTIVITY,
            class_name: "Process Activity".to_owned(),
            product: String::new(),
            message: String::new(),
            raw: String::new(),
            anomalies: Vec::new(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    /// The tree as `id<parent`, an alerted node with `!`.
    fn check(events: &[Event], alerted: &[&str], expected: &[&str]) {
        let alerted: Vec<String> = alerted.iter().map(|id| (*id).to_owned()).collect();
        let found: Vec<String> = process_tree(events, &alerted)
            .into_iter()
            .map(|node| {
                let mark = if node.is_alerted { "!" } else { "" };
                let parent = node.parent_id.map_or_else(String::new, |p| format!("<{p}"));
                format!("{}{mark}{parent}", node.id)
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn trees() {
        let start =
            |id, uid, parent| event(id, &[("process.uid", uid), ("actor.process.uid", parent)]);
        check(&[], &[], &[]);
        check(
            &[
                start("e2", "c", "b"),
                start("e1", "b", "a"),
                start("e3", "y", "x"),
            ],
            &["e2"],
            &["uid a", "uid b<uid a", "uid c!<uid b"],
        );
        // A reused identity can close a circle: it is cut, and the walk ends.
        check(
            &[start("e1", "b", "a"), start("e2", "a", "b")],
            &[],
            &["uid a", "uid b"],
        );
        // Who reads the memory of another process is not its parent.
        let touch = event(
            "e4",
            &[
                ("process.uid", "lsass"),
                ("actor.process.uid", "b"),
                ("activity_id", "3"),
            ],
        );
        check(
            &[start("e1", "b", "a"), touch],
            &["e4"],
            &["uid a", "uid lsass!", "uid b!<uid a"],
        );
        let by_pid = event(
            "e5",
            &[
                ("device.hostname", "WS-1"),
                ("process.pid", "7"),
                ("process.file.path", "C:\\x\\y.exe"),
            ],
        );
        let tree = process_tree(&[by_pid], &[]);
        assert_eq!(
            (tree[0].id.as_str(), tree[0].name.as_str()),
            ("ws-1 pid 7", "y.exe")
        );
    }
}
