//! A rule file: one or more YAML documents, with `action` documents applied.

use serde_json::{Map, Value};

/// Largest rule file in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 8 << 20;

/// One document of a file.
pub(crate) struct Document {
    pub map: Map<String, Value>,
    /// Line of its first text, from 1.
    pub line: usize,
    pub yaml: String,
}

/// Why a file or a document cannot be read.
pub(crate) struct BadDocument {
    pub line: usize,
    pub reason: String,
}

/// Splits a file into its rule documents. `action: global` is merged into those that follow,
/// `action: repeat` into the one before, `action: reset` forgets the global part.
pub(crate) fn split(text: &str) -> Vec<Result<Document, BadDocument>> {
    if text.len() > MAX_FILE_BYTES {
        let reason = format!(
            "file has {} bytes; the limit is {MAX_FILE_BYTES}",
            text.len()
        );
        return vec![Err(BadDocument { line: 1, reason })];
    }
    let mut global = Map::new();
    let mut previous = Map::new();
    let mut documents = Vec::new();
    for (line, part) in parts(text) {
        let map = match parse(line, part) {
            Ok(Some(map)) => map,
            Ok(None) => continue,
            Err(bad) => {
                documents.push(Err(bad));
                continue;
            }
        };
        let mut map = map;
        let merged = match map.remove("action").as_ref().and_then(Value::as_str) {
            Some("global") => {
                global = map;
                continue;
            }
            Some("reset") => {
                global.clear();
                continue;
            }
            Some("repeat") => merge(previous.clone(), map),
            Some(other) => {
                let reason = format!("action '{other}' is none of global, repeat, reset");
                documents.push(Err(BadDocument { line, reason }));
                continue;
            }
            None => merge(global.clone(), map),
        };
        previous = merged.clone();
        documents.push(Ok(Document {
            map: merged,
            line,
            yaml: part.trim_matches('\n').to_owned(),
        }));
    }
    documents
}

/// The texts between `---` lines, with the line at which each starts.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        if line.trim_end() == "---" {
            parts.push((start_line, &text[start..at]));
            start = end;
            start_line = index + 2;
        }
        at = end;
    }
    parts.push((start_line, &text[start..]));
    parts
}

fn parse(line: usize, part: &str) -> Result<Option<Map<String, Value>>, BadDocument> {
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if part.lines().all(is_comment) {
        return Ok(None);
    }
    match serde_saphyr::from_str::<Value>(part) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(Value::Null) => Ok(None),
        Ok(_) => Err(BadDocument {
            line,
            reason: "a rule must be a map".to_owned(),
        }),
        Err(error) => {
            let at = error
                .location()
                .map_or(0, |location| location.line() as usize);
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().to_owned();
            Err(BadDocument {
                line: line + at.saturating_sub(1),
                reason: format!("no valid YAML: {reason}"),
            })
        }
    }
}

fn merge(mut base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in over {
        match (base.remove(&key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => {
                base.insert(key, Value::Object(merge(below, above)));
            }
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
    base
}

/// Reads YAML into any type, within the limits that rule files have.
///
/// # Errors
/// With line and reason, if the text is no such YAML.
pub fn from_yaml<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > MAX_FILE_BYTES {
        return Err(format!(
            "file has {} bytes; the limit is {MAX_FILE_BYTES}",
            text.len()
        ));
    }
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let text = error.to_string();
        format!("line {line}: {}", text.lines().next().unwrap_or_default())
    })
}
