//! A rule file: one or more YAML documents, with `action` documents applied.

use serde_json::{Map, Value};

use crate::rule::{self, kind};

/// Largest rule file in bytes.
pub(crate) const MAX_FILE_BYTES: usize = 8 << 20;
/// Most bytes that `action: global` and `action: repeat` may add to the documents of a file.
const MAX_MERGED_BYTES: usize = 32 << 20;

/// One document of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub map: Map<String, Value>,
    /// Line of its first text, from 1.
    pub line: usize,
    /// Its own text, from that line on.
    pub yaml: String,
    /// The text of what `action` merged into it.
    pub merged: String,
}

/// Why a file or a document cannot be read.
#[derive(Debug)]
pub(crate) struct BadDocument {
    pub line: usize,
    /// Id or title, where they can be made out.
    pub rule: String,
    pub reason: String,
}

/// The state of `action` while the documents of a file are read.
#[derive(Default)]
struct Actions {
    global: Document,
    previous: Document,
    merged_bytes: usize,
}

/// The documents of a file, or why they cannot be read, in order.
pub(crate) type Documents = Vec<Result<Document, BadDocument>>;

/// Reads a file's rule documents.
pub(crate) fn documents(text: &str) -> Documents {
    let mut documents = Vec::new();
    split(text, |document| documents.push(document));
    documents
}

/// Reads a file's rule documents and gives each to `take`. `action: global` is merged into
/// those that follow, `action: repeat` into the one before, `action: reset` forgets the global
/// part.
fn split(text: &str, mut take: impl FnMut(Result<Document, BadDocument>)) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Err(reason) = check_size(text) {
        return take(Err(BadDocument {
            line: 1,
            rule: String::new(),
            reason,
        }));
    }
    let mut actions = Actions::default();
    for (line, part) in parts(text) {
        match parse(line, part) {
            Ok(Some(map)) => {
                let document = Document {
                    map,
                    line,
                    yaml: part.trim_end().to_owned(),
                    merged: String::new(),
                };
                match actions.apply(document) {
                    Ok(Some(document)) => take(Ok(document)),
                    Ok(None) => {}
                    Err(reason) => take(Err(BadDocument {
                        line,
                        rule: named(part),
                        reason,
                    })),
                }
            }
            Ok(None) => {}
            Err((line, reason)) => take(Err(BadDocument {
                line,
                rule: named(part),
                reason,
            })),
        }
    }
}

fn check_size(text: &str) -> Result<(), String> {
    if text.len() > MAX_FILE_BYTES {
        return Err(format!(
            "file has {} bytes; the limit is {MAX_FILE_BYTES}; split it into several files",
            text.len()
        ));
    }
    Ok(())
}

impl Actions {
    fn apply(&mut self, mut document: Document) -> Result<Option<Document>, String> {
        let below = match document.map.remove("action") {
            None => &self.global,
            Some(Value::String(word)) => match word.as_str() {
                "global" => {
                    self.global = document;
                    return Ok(None);
                }
                "reset" => {
                    self.global = Document::default();
                    return Ok(None);
                }
                "repeat" => &self.previous,
                other => {
                    return Err(format!(
                        "action '{other}' is none of global, repeat, reset{}",
                        crate::near::hint(other, ["global", "repeat", "reset"])
                    ));
                }
            },
            Some(other) => {
                return Err(format!(
                    "'action' must be one of the words global, repeat, reset, not {}",
                    kind(&other)
                ));
            }
        };
        if !below.map.is_empty() {
            self.merged_bytes += below.yaml.len() + below.merged.len();
            if self.merged_bytes > MAX_MERGED_BYTES {
                return Err(format!(
                    "'action' repeats more than {MAX_MERGED_BYTES} bytes in this file; write the rules out in several files"
                ));
            }
            document.map = merge(below.map.clone(), document.map);
            document.merged = format!("{}{}\n---\n", below.merged, below.yaml);
        }
        self.previous = document.clone();
        Ok(Some(document))
    }
}

/// The texts between `---` lines, with the line of the first text of each.
fn parts(text: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        let marked = line.trim_end().strip_prefix("---");
        let rest = marked.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        if let Some(rest) = rest {
            parts.push(without_blank_lines(start_line, &text[start..at]));
            let alone = rest.trim_start();
            // Content may stand on the marker's line.
            (start, start_line) = if alone.is_empty() || alone.starts_with('#') {
                (end, index + 2)
            } else {
                (at + 3, index + 1)
            };
        }
        at = end;
    }
    parts.push(without_blank_lines(start_line, &text[start..]));
    parts
}

fn without_blank_lines(mut line: usize, mut part: &str) -> (usize, &str) {
    while let Some((first, rest)) = part.split_once('\n') {
        if !first.trim().is_empty() {
            break;
        }
        part = rest;
        line += 1;
    }
    (line, part)
}

/// YAML 1.2 as Sigma asks for: `no`, `on` and `y` are texts. So are numbers with leading zeros
/// or underscores, which would lose them.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    }
}

fn parse(line: usize, part: &str) -> Result<Option<Map<String, Value>>, (usize, String)> {
    let is_comment = |line: &str| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "..."
    };
    if part.lines().all(is_comment) {
        return Ok(None);
    }
    match serde_saphyr::from_str_with_options::<Value>(part, options()) {
        Ok(Value::Object(map)) => Ok(Some(map)),
        Ok(Value::Null) => Ok(None),
        Ok(other) => Err((
            line,
            format!(
                "a rule must be a map that starts with its title, not {}",
                kind(&other)
            ),
        )),
        Err(error) => {
            let at = error
                .location()
                .map_or(0, |location| location.line() as usize);
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default();
            let at = at.saturating_sub(1);
            Err((
                line + at,
                format!("no valid YAML: {reason}; {}", mend(part, at)),
            ))
        }
    }
}

/// What most often is wrong with a line that YAML does not take.
fn mend(part: &str, line: usize) -> &'static str {
    let text = part.lines().nth(line).unwrap_or_default();
    let indent = text.len() - text.trim_start().len();
    if part.contains(['\0', '\u{fffd}']) {
        "this is no text file; give a rule in YAML and UTF-8"
    } else if text
        .as_bytes()
        .iter()
        .take(indent)
        .any(|byte| *byte == b'\t')
    {
        "indent with spaces, not with tabs"
    } else {
        "look at the indentation, quotation marks and doubled keys at that line"
    }
}

/// Id or title of a document that cannot be parsed.
fn named(part: &str) -> String {
    let value = |key: &str| {
        let line = part.lines().find_map(|line| line.strip_prefix(key))?;
        let text = line.trim().trim_matches(['\'', '"']);
        (!text.is_empty() && text.len() <= 256).then(|| text.to_owned())
    };
    value("id:").or_else(|| value("title:")).unwrap_or_default()
}

/// Id or title of a document.
pub(crate) fn name_of(map: &Map<String, Value>) -> String {
    let names = ["id", "title"].map(|key| rule::text(map, key));
    let found = names.into_iter().find(|name| !name.is_empty());
    found.unwrap_or_default()
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
    check_size(text)?;
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let text = error.to_string();
        format!("line {line}: {}", text.lines().next().unwrap_or_default())
    })
}
