//! Windows events: the names that Sigma, Hayabusa and Chainsaw agree on, whatever the shape
//! in which the event came (EVTX as JSON, XML, Winlogbeat, flat JSON).
//!
//! `System` fields keep their names with attributes joined by `_` (`Provider_Name`,
//! `Execution_ProcessID`), `TimeCreated` is the time itself, `EventData` and `UserData` are
//! flattened to bare names.

mod inserts;
pub(crate) mod xml;

use watchfloor_event::{Namespace, ValueKind};

use crate::sink::Sink;

/// Whether a flattened JSON path lies inside an event as EVTX tools render it.
pub(crate) fn is_event_path(path: &str) -> bool {
    path.strip_prefix("Event.").is_some_and(|rest| {
        rest.starts_with("System.")
            || rest.starts_with("EventData")
            || rest.starts_with("UserData")
            || rest.starts_with("RenderingInfo")
            || rest.starts_with("ProcessingErrorData")
    }) || path.starts_with("Event.#attributes")
        || path.starts_with("Event_attributes")
}

/// Puts a field of an event rendered as JSON under its bare name.
pub(crate) fn put_event_path(sink: &mut Sink<'_>, path: &str, kind: ValueKind, text: &str) {
    let Some(rest) = path.strip_prefix("Event.") else {
        return;
    };
    if let Some(name) = rest.strip_prefix("System.") {
        put_system(sink, name, kind, text);
        return;
    }
    let inner = rest
        .strip_prefix("EventData.")
        .or_else(|| rest.strip_prefix("ProcessingErrorData."))
        .or_else(|| {
            // UserData holds one element whose name says nothing to rules.
            let inside = rest.strip_prefix("UserData.")?;
            Some(inside.split_once('.').map_or(inside, |(_, name)| name))
        });
    match inner {
        // Attributes of data are name spaces and types.
        Some(name) if has_attribute(name) => {}
        Some(name) => {
            put_data(
                sink,
                name.strip_suffix(".#text").unwrap_or(name),
                kind,
                text,
            );
        }
        None if rest.starts_with("RenderingInfo.Message") => sink.put("Message", kind, text),
        None => {}
    }
}

/// Puts a datum; a name with blanks (`Threat Name` of Defender) also without them, as rules
/// write it.
pub(crate) fn put_data(sink: &mut Sink<'_>, name: &str, kind: ValueKind, text: &str) {
    sink.put(name, kind, text);
    if name.as_bytes().contains(&b' ') {
        sink.put(&name.replace(' ', ""), kind, text);
    }
}

/// Whether a path names an XML attribute. Bytes are looked for first, since a search for
/// text costs more than the rest of a field's handling.
fn has_attribute(name: &str) -> bool {
    let bytes = name.as_bytes();
    (bytes.contains(&b'#') && name.contains("#attributes"))
        || (bytes.contains(&b'_') && name.contains("_attributes"))
}

fn put_system(sink: &mut Sink<'_>, name: &str, kind: ValueKind, text: &str) {
    let split = if has_attribute(name) {
        name.split_once(".#attributes.")
            .or_else(|| name.split_once("_attributes."))
    } else {
        None
    };
    match split {
        Some(("TimeCreated", _)) => sink.put("TimeCreated", kind, text),
        Some((element, attribute)) => {
            let mut joined = String::with_capacity(element.len() + attribute.len() + 1);
            joined.push_str(element);
            joined.push('_');
            joined.push_str(attribute);
            sink.put(&joined, kind, text);
        }
        None => sink.put(name.strip_suffix(".#text").unwrap_or(name), kind, text),
    }
}

/// The bare name of a Winlogbeat field.
pub(crate) fn bare_winlog(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("winlog.")?;
    if let Some(name) = rest
        .strip_prefix("event_data.")
        .or_else(|| rest.strip_prefix("user_data."))
    {
        return Some(name);
    }
    Some(match rest {
        "channel" => "Channel",
        "event_id" => "EventID",
        "computer_name" => "Computer",
        "provider_name" => "Provider_Name",
        "provider_guid" => "Provider_Guid",
        "record_id" => "EventRecordID",
        "task" => "Task",
        "opcode" => "Opcode",
        "version" => "Version",
        "process.pid" => "Execution_ProcessID",
        "process.thread.id" => "Execution_ThreadID",
        "user.identifier" => "Security_UserID",
        _ => return None,
    })
}

/// Names of Winlogbeat 6 at the root, and what they are called.
const WINLOGBEAT_6: [(&str, &str); 5] = [
    ("event_id", "EventID"),
    ("log_name", "Channel"),
    ("computer_name", "Computer"),
    ("source_name", "Provider_Name"),
    ("record_number", "EventRecordID"),
];

/// The bare name of a datum in an object of its own at the root.
pub(crate) fn bare_data(path: &str) -> Option<&str> {
    ["EventData.", "event_data.", "UserData.", "user_data."]
        .iter()
        .find_map(|object| path.strip_prefix(object))
}

/// Data that stand in an object of their own below a flat event: `{"EventID": …, "Channel": …,
/// "EventData": {…}}`, and `event_data` of Winlogbeat 6.
fn bare_root(sink: &mut Sink<'_>) {
    let is_old = sink.get("log_name").is_some() && sink.get("event_id").is_some();
    if !is_old && !sink.holds_windows_data {
        return;
    }
    let is_flat = sink.get("EventID").is_some() || sink.get("EventId").is_some();
    if !is_old && !is_flat {
        return;
    }
    let mut bare: Vec<(String, ValueKind, String)> = Vec::new();
    let columns = sink.batch.columns(Namespace::Source);
    for column in sink.batch.source_columns_of(sink.row) {
        let Some(column) = columns.get(column) else {
            continue;
        };
        if let Some(name) = bare_data(column.name())
            && let Some(value) = column.get(sink.row)
        {
            bare.push((name.to_owned(), value.kind, value.text.to_owned()));
        }
    }
    if is_old {
        for (old, name) in WINLOGBEAT_6 {
            if let Some(value) = sink.get(old) {
                bare.push((name.to_owned(), value.kind, value.text.to_owned()));
            }
        }
    }
    for (name, kind, text) in bare {
        if sink.get(&name).is_none() {
            put_data(sink, &name, kind, &text);
        }
    }
}

/// Fills in what a shape leaves to be concluded: the event number of a Winlogbeat record, the
/// names of values that stand by place alone.
pub(crate) fn complete(sink: &mut Sink<'_>) {
    bare_root(sink);
    inserts::name(sink);
    if sink.get("winlog.channel").is_none() || sink.get("EventID").is_some() {
        return;
    }
    let Some(code) = sink.get("event.code") else {
        return;
    };
    let (kind, text) = (code.kind, code.text.to_owned());
    sink.put("EventID", kind, &text);
}
