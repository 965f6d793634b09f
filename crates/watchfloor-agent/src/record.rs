//! The form of records: one JSON object each.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// The agent's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Fields of a record.
pub(crate) type Fields = Map<String, Value>;

/// Makes records: who says it, and where.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    agent: String,
    host: String,
}

impl Recorder {
    /// A maker of records of an agent on a host.
    pub(crate) fn new(agent: &str, host: &str) -> Self {
        Self {
            agent: agent.to_owned(),
            host: host.to_owned(),
        }
    }

    fn about(&self, kind: &str) -> Fields {
        let mut about = Fields::new();
        about.insert("kind".to_owned(), kind.into());
        about.insert("agent".to_owned(), self.agent.as_str().into());
        about.insert("agent_version".to_owned(), VERSION.into());
        about
    }

    /// Something that was observed.
    pub(crate) fn event(&self, kind: &str, time: Timestamp, fields: Fields) -> Vec<u8> {
        let mut record = Fields::new();
        record.insert("watchfloor".to_owned(), self.about(kind).into());
        record.insert("time".to_owned(), format!("{time:.3}").into());
        record.insert("host".to_owned(), json!({"name": self.host}));
        record.extend(fields);
        bytes(&record)
    }

    /// A line of a log file, as it stands there.
    pub(crate) fn line(&self, line: &LogLine<'_>) -> Vec<u8> {
        let mut about = self.about("log");
        if let Some(product) = line.product {
            about.insert("product".to_owned(), product.into());
        }
        let message = String::from_utf8_lossy(line.bytes);
        if matches!(message, std::borrow::Cow::Owned(_)) {
            about.insert("is_lossy".to_owned(), true.into());
        }
        if line.is_cut {
            about.insert("is_cut".to_owned(), true.into());
        }
        let record = json!({
            "watchfloor": about,
            "@timestamp": format!("{:.3}", line.read_at),
            "host": {"name": self.host},
            "log": {"file": {"path": line.path}},
            "message": message,
        });
        match &record {
            Value::Object(map) => bytes(map),
            _ => Vec::new(),
        }
    }

    /// An entry of the systemd journal, as `journalctl -o json` gives it.
    pub(crate) fn journal(&self, mut entry: Fields) -> Vec<u8> {
        entry.insert("watchfloor".to_owned(), self.about("journal").into());
        bytes(&entry)
    }
}

/// A line of a log file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLine<'a> {
    pub(crate) path: &'a str,
    pub(crate) product: Option<&'a str>,
    pub(crate) read_at: Timestamp,
    pub(crate) bytes: &'a [u8],
    /// Whether more of it was left out.
    pub(crate) is_cut: bool,
}

/// Maps of texts always become JSON.
fn bytes(record: &Fields) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

/// Puts a field in if there is something to say.
pub(crate) fn put(fields: &mut Fields, name: &str, value: impl Into<Value>) {
    let value = value.into();
    let is_empty = match &value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    };
    if !is_empty {
        fields.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_text_and_says_what_was_done_to_it() {
        let recorder = Recorder::new("a1", "ws-042");
        let line = LogLine {
            path: "/var/log/auth.log",
            product: Some("linux"),
            read_at: Timestamp::UNIX_EPOCH,
            bytes: b"caf\xe9 \x1b[1m",
            is_cut: true,
        };
        let value: Value = serde_json::from_slice(&recorder.line(&line)).unwrap();
        assert_eq!(value["message"], "caf\u{fffd} \u{1b}[1m");
        assert_eq!(value["watchfloor"]["is_lossy"], true);
        assert_eq!(value["watchfloor"]["is_cut"], true);
        assert_eq!(value["@timestamp"], "1970-01-01T00:00:00.000Z");
        assert!(!recorder.line(&line).contains(&b'\n'));
    }
}
