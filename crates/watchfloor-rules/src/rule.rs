//! A rule, ready to be compiled into the engine.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use watchfloor_event::{FindingLevel, Logsource};

use crate::expr::Expr;

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
}

impl RuleMeta {
    /// Reads the head of a rule document.
    pub(crate) fn parse(
        map: &Map<String, Value>,
        path: &Arc<str>,
        line: usize,
        yaml: &str,
    ) -> Result<Self, String> {
        let title = text(map, "title");
        if title.is_empty() {
            return Err("has no title".to_owned());
        }
        let tags = texts(map, "tags");
        let (tactics, techniques) = attack(&tags);
        let id = text(map, "id");
        Ok(Self {
            id: if id.is_empty() { path.to_string() } else { id },
            name: text(map, "name"),
            title,
            level: level(map)?,
            status: text(map, "status"),
            description: text(map, "description").trim().to_owned(),
            references: texts(map, "references"),
            falsepositives: texts(map, "falsepositives"),
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

/// Reads a `logsource`.
pub(crate) fn logsource(map: &Map<String, Value>) -> Result<Logsource, String> {
    let Some(value) = map.get("logsource") else {
        return Ok(Logsource::default());
    };
    let source = value.as_object().ok_or("logsource must be a map")?;
    let part = |key: &str| {
        let text = text(source, key);
        (!text.is_empty()).then(|| text.to_lowercase())
    };
    Ok(Logsource {
        product: part("product"),
        category: part("category"),
        service: part("service"),
    })
}

fn level(map: &Map<String, Value>) -> Result<FindingLevel, String> {
    match map.get("level") {
        None | Some(Value::Null) => Ok(FindingLevel::Medium),
        Some(Value::String(word)) => FindingLevel::parse(&word.to_lowercase()).ok_or_else(|| {
            format!("level '{word}' is none of informational, low, medium, high, critical")
        }),
        Some(other) => Err(format!("level must be a word, not {other}")),
    }
}

/// A text attribute; numbers and dates are taken as written.
pub(crate) fn text(map: &Map<String, Value>, key: &str) -> String {
    match map.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A list of texts; a single text is a list of one.
pub(crate) fn texts(map: &Map<String, Value>, key: &str) -> Vec<String> {
    match map.get(key) {
        Some(Value::Array(values)) => values
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect(),
        Some(Value::String(text)) => vec![text.clone()],
        _ => Vec::new(),
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
