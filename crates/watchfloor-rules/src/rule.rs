//! A rule, ready to be compiled into the engine.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use watchfloor_event::{FindingLevel, Logsource};

use crate::expr::Expr;
use crate::near;

/// What a rule says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMeta {
    /// Id; the file's path where the rule has none.
    pub id: String,
    /// Name, used by correlations; empty where the rule has none.
    pub name: String,
    /// Title.
    pub title: String,
    /// Gravity of its findings; `Medium` where the rule says nothing.
    pub level: FindingLevel,
    /// Maturity as written, such as `test`; may be empty.
    pub status: String,
    /// What it finds.
    pub description: String,
    /// Links.
    pub references: Vec<String>,
    /// Known benign causes.
    pub falsepositives: Vec<String>,
    /// Tags as written.
    pub tags: Vec<String>,
    /// ATT&CK tactics among the tags, e.g. `credential-access`; sorted.
    pub tactics: Vec<String>,
    /// ATT&CK techniques among the tags, e.g. `T1059.001`; sorted.
    pub techniques: Vec<String>,
    /// The file it came from.
    pub path: Arc<str>,
    /// First line of the rule in its file, from 1.
    pub line: usize,
    /// First 12 hex digits of the SHA-256 of its text.
    pub version: String,
    /// Its text.
    pub yaml: Arc<str>,
}

/// A rule over single events.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it says about itself.
    pub meta: RuleMeta,
    /// Which events it meets.
    pub logsource: Logsource,
    /// When it fires.
    pub expr: Expr,
    /// Its condition as written, for people; several are linked by OR. Filters and conditions
    /// that pipelines add stand in `expr` alone.
    pub conditions: Vec<String>,
}

impl RuleMeta {
    /// Reads the head of a rule document.
    pub(crate) fn parse(
        map: &Map<String, Value>,
        path: &Arc<str>,
        line: usize,
        yaml: &str,
    ) -> Result<Self, String> {
        let title = required_text(map, "title")?;
        if title.is_empty() {
            return Err("has no title; give it one".to_owned());
        }
        let tags = texts(map, "tags")?;
        let (tactics, techniques) = attack(&tags);
        let id = required_text(map, "id")?;
        Ok(Self {
            id: if id.is_empty() { path.to_string() } else { id },
            name: required_text(map, "name")?,
            title,
            level: level(map)?,
            status: required_text(map, "status")?,
            description: required_text(map, "description")?.trim().to_owned(),
            references: texts(map, "references")?,
            falsepositives: texts(map, "falsepositives")?,
            tags,
            tactics,
            techniques,
            path: Arc::clone(path),
            line,
            version: hex::encode(&Sha256::digest(yaml.as_bytes())[..6]),
            yaml: Arc::from(yaml),
        })
    }
}

impl RuleMeta {
    /// Whether a reference by id or name means this rule.
    pub fn answers_to(&self, reference: &str) -> bool {
        self.id == reference || (!self.name.is_empty() && self.name == reference)
    }
}

/// Reads a `logsource`.
pub(crate) fn logsource(map: &Map<String, Value>) -> Result<Logsource, String> {
    let Some(value) = map.get("logsource") else {
        return Ok(Logsource::default());
    };
    let source = value.as_object().ok_or_else(|| {
        format!(
            "'logsource' must be a map with product, category or service, not {}",
            kind(value)
        )
    })?;
    let part = |key: &str| match source.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.to_lowercase())),
        Some(other) => Err(format!(
            "logsource '{key}' must be a text, not {}; put it in quotation marks",
            kind(other)
        )),
    };
    Ok(Logsource {
        product: part("product")?,
        category: part("category")?,
        service: part("service")?,
    })
}

fn level(map: &Map<String, Value>) -> Result<FindingLevel, String> {
    match map.get("level") {
        None | Some(Value::Null) => Ok(FindingLevel::Medium),
        Some(Value::String(word)) => FindingLevel::parse(&word.to_lowercase()).ok_or_else(|| {
            let words = FindingLevel::ALL.map(FindingLevel::as_str);
            format!(
                "level '{word}' is none of {}{}",
                words.join(", "),
                near::hint(word, words)
            )
        }),
        Some(other) => Err(format!(
            "'level' must be one of the words informational, low, medium, high, critical, not {}",
            kind(other)
        )),
    }
}

/// A text attribute; numbers, truth values and dates are taken as written. What is no text,
/// or absent, is empty.
pub(crate) fn text(map: &Map<String, Value>, key: &str) -> String {
    required_text(map, key).unwrap_or_default()
}

/// A text attribute, empty where it is absent.
///
/// # Errors
/// If a map or a list stands there.
pub(crate) fn required_text(map: &Map<String, Value>, key: &str) -> Result<String, String> {
    match map.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        None | Some(Value::Null) => Ok(String::new()),
        Some(scalar @ (Value::Number(_) | Value::Bool(_))) => Ok(scalar.to_string()),
        Some(other) => Err(format!("'{key}' must be a text, not {}", kind(other))),
    }
}

/// A list of texts; a single text is a list of one, an absent list is empty.
///
/// # Errors
/// If something else than texts and numbers stands there.
pub(crate) fn texts(map: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        scalar @ (Value::Number(_) | Value::Bool(_)) => Ok(scalar.to_string()),
        other => Err(format!(
            "'{key}' must be a list of texts; {} stands in it",
            kind(other)
        )),
    };
    match map.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(values)) => values
            .iter()
            .filter(|value| !value.is_null())
            .map(one)
            .collect(),
        Some(other) => Ok(vec![one(other)?]),
    }
}

/// What a value is, for messages.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn attack(tags: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut tactics, mut techniques) = (Vec::new(), Vec::new());
    for tag in tags {
        let Some(name) = tag.strip_prefix("attack.") else {
            continue;
        };
        let is_id = |prefix: char| {
            let rest = name.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        };
        if is_id('t') {
            techniques.push(name.to_uppercase());
        } else if !is_id('g') && !is_id('s') {
            tactics.push(name.replace('_', "-"));
        }
    }
    tactics.sort();
    tactics.dedup();
    techniques.sort();
    techniques.dedup();
    (tactics, techniques)
}
