//! Transformations of the values of items.
//!
//! Those that change texts leave values alone that a modifier has encoded or made into
//! something else (a regular expression, a network, a number), as in pySigma.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::detection::{Block, DetectionItem};
use crate::modifiers::{self, MAX_VALUES, Piece, filled, joined, pieces, written};
use crate::pattern::{Part, Pattern};
use crate::pipeline::fields::Letters;

/// Modifiers that say where in the field a value stands.
const PLACES: [&str; 3] = ["contains", "startswith", "endswith"];
/// Modifiers beside which a value still is a text.
const TEXTUAL: [&str; 7] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "neq",
    "expand",
];

/// A change of values.
#[derive(Debug)]
pub(super) enum ValueChange {
    Replace {
        regex: regex::Regex,
        replacement: String,
        skip_special: bool,
        interpret_special: bool,
    },
    Map(BTreeMap<String, Vec<String>>),
    /// To a regular expression that minds letter case, or not.
    Regex {
        cased: bool,
    },
    Set(Value),
    ToText,
    ToNumber,
    Case(Letters),
    Placeholders(Names, Fill),
    Hashes {
        /// In upper case.
        algorithms: Vec<String>,
        prefix: String,
        name_algorithm: bool,
    },
}

/// Which placeholders a transformation takes.
#[derive(Debug)]
pub(super) enum Names {
    All,
    Only(Vec<String>),
    AllBut(Vec<String>),
}

/// What stands for a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    Wildcard,
    Vars,
}

impl Names {
    pub(super) fn of(
        include: Option<Vec<String>>,
        exclude: Option<Vec<String>>,
    ) -> Result<Self, String> {
        match (include, exclude) {
            (None, None) => Ok(Self::All),
            (Some(names), None) => Ok(Self::Only(names)),
            (None, Some(names)) => Ok(Self::AllBut(names)),
            (Some(_), Some(_)) => Err("has both 'include' and 'exclude'; keep one".to_owned()),
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|one| one == name),
            Self::AllBut(names) => !names.iter().any(|one| one == name),
        }
    }
}

impl ValueChange {
    pub(super) fn regex(method: Option<&str>) -> Result<Self, String> {
        match method {
            Some("plain") => Ok(Self::Regex { cased: true }),
            None | Some("ignore_case_brackets" | "ignore_case_flag") => {
                Ok(Self::Regex { cased: false })
            }
            Some(other) => Err(format!(
                "'method' must be plain, ignore_case_flag or ignore_case_brackets, not '{other}'"
            )),
        }
    }

    pub(super) fn set(value: Value, force_type: Option<&str>) -> Result<Self, String> {
        if matches!(value, Value::Array(_) | Value::Object(_)) {
            return Err("'value' must be a text, number, truth value or null".to_owned());
        }
        match force_type {
            None => Ok(Self::Set(value)),
            Some("str") => Ok(Self::Set(Value::String(written(&value)))),
            Some("num") => Ok(Self::Set(number(&written(&value))?)),
            Some(other) => Err(format!("'force_type' must be str or num, not '{other}'")),
        }
    }

    pub(super) fn convert(target: &str) -> Result<Self, String> {
        match target {
            "str" => Ok(Self::ToText),
            "num" => Ok(Self::ToNumber),
            other => Err(format!("'target_type' must be str or num, not '{other}'")),
        }
    }

    pub(super) fn hashes(
        algorithms: Vec<String>,
        prefix: String,
        drop_name: bool,
    ) -> Result<Self, String> {
        if drop_name && prefix.is_empty() {
            return Err(
                "needs 'field_prefix' beside 'drop_algo_prefix', or the field has no name"
                    .to_owned(),
            );
        }
        if algorithms.is_empty() {
            return Err("needs names such as MD5 in 'valid_hash_algos'".to_owned());
        }
        Ok(Self::Hashes {
            algorithms: algorithms.iter().map(|name| name.to_uppercase()).collect(),
            prefix,
            name_algorithm: !drop_name,
        })
    }
}

/// A replacement of Python's form, `\1` and `\g<name>`, in that of this program's expressions.
pub(super) fn replacement(text: &str) -> String {
    let mut converted = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '$']) {
        converted.push_str(&rest[..at]);
        let escape = &rest[at..];
        let after = escape.get(1..).unwrap_or_default();
        if escape.starts_with('$') {
            converted.push_str("$$");
            rest = after;
            continue;
        }
        let digits = after.bytes().take(2).take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            converted.push_str(&format!("${{{}}}", &after[..digits]));
            rest = &after[digits..];
        } else if let Some((name, behind)) = after
            .strip_prefix("g<")
            .and_then(|after| after.split_once('>'))
        {
            converted.push_str(&format!("${{{name}}}"));
            rest = behind;
        } else {
            let mut letters = after.chars();
            match letters.next() {
                Some('n') => converted.push('\n'),
                Some('t') => converted.push('\t'),
                Some('\\') | None => converted.push('\\'),
                Some(other) => {
                    converted.push('\\');
                    converted.push(other);
                }
            }
            rest = letters.as_str();
        }
    }
    converted.push_str(rest);
    converted
}

/// Whether the values of an item are texts as they stand.
pub(super) fn is_text(item: &DetectionItem) -> bool {
    item.modifiers
        .iter()
        .all(|name| TEXTUAL.contains(&name.as_str()))
}

/// A value with the wildcards that the item's modifiers put around it.
pub(super) fn placed(item: &DetectionItem, text: &str) -> Pattern {
    let has = |name: &str| item.modifiers.iter().any(|one| one == name);
    let mut pattern = Pattern::parse(text);
    if has("contains") || has("endswith") {
        pattern = pattern.open_start();
    }
    if has("contains") || has("startswith") {
        pattern = pattern.open_end();
    }
    pattern
}

/// A pattern as text, its escapes taken away.
pub(super) fn plain(pattern: &Pattern) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Any => "*".to_owned(),
        Part::One => "?".to_owned(),
    };
    pattern.parts().iter().map(part).collect()
}

/// A pattern as a rule would write it; `interpreted` lets wildcards in its literals count.
fn escaped(pattern: &Pattern, interpreted: bool) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => {
            let text = text.replace('\\', "\\\\");
            if interpreted {
                text
            } else {
                text.replace('*', "\\*").replace('?', "\\?")
            }
        }
        Part::Any => "*".to_owned(),
        Part::One => "?".to_owned(),
    };
    pattern.parts().iter().map(part).collect()
}

fn number(text: &str) -> Result<Value, String> {
    let whole = text.trim().parse::<i64>().ok().map(Value::from);
    let broken = || text.trim().parse::<f64>().ok().map(Value::from);
    whole
        .or_else(broken)
        .filter(Value::is_number)
        .ok_or_else(|| format!("value '{text}' is no number"))
}

/// What becomes of one value.
enum Outcome {
    Kept,
    /// Beside the item's modifiers.
    Within(Vec<Value>),
    /// With the places of the modifiers written out as wildcards.
    Placed(Vec<Value>),
}

/// Changes an item's values; `None` leaves it as it is.
pub(super) fn change(
    item: &DetectionItem,
    change: &ValueChange,
    vars: Option<&BTreeMap<String, Vec<String>>>,
) -> Result<Option<Block>, String> {
    match change {
        ValueChange::Set(value) => Ok(Some(Block::Item(set(item, value)))),
        ValueChange::Placeholders(names, fill) => placeholders(item, names, *fill, vars),
        ValueChange::Hashes {
            algorithms,
            prefix,
            name_algorithm,
        } => hashes(item, algorithms, prefix, *name_algorithm),
        _ if !is_text(item) => Ok(None),
        ValueChange::Regex { cased } => Ok(regexes(item, *cased)),
        ValueChange::Replace { .. }
        | ValueChange::Map(_)
        | ValueChange::ToText
        | ValueChange::ToNumber
        | ValueChange::Case(_) => texts(item, change),
    }
}

fn set(item: &DetectionItem, value: &Value) -> DetectionItem {
    let stays = |name: &&String| matches!(name.as_str(), "neq" | "cased");
    DetectionItem {
        modifiers: item.modifiers.iter().filter(stays).cloned().collect(),
        values: vec![value.clone()],
        ..item.clone()
    }
}

fn texts(item: &DetectionItem, change: &ValueChange) -> Result<Option<Block>, String> {
    let (mut within, mut placed_values) = (Vec::new(), Vec::new());
    let mut changed = false;
    for value in &item.values {
        let outcome = match value {
            Value::Null => Outcome::Kept,
            other => text(item, change, other)?,
        };
        match outcome {
            Outcome::Kept => within.push(value.clone()),
            Outcome::Within(values) => {
                changed = true;
                within.extend(values);
            }
            Outcome::Placed(values) => {
                changed = true;
                placed_values.extend(values);
            }
        }
    }
    if within.len() + placed_values.len() > MAX_VALUES {
        return Err(format!("makes more than {MAX_VALUES} values of a list"));
    }
    let without = |names: &[&str]| -> Vec<String> {
        let stays = |name: &&String| !names.contains(&name.as_str());
        item.modifiers.iter().filter(stays).cloned().collect()
    };
    Ok(changed.then(|| regrouped(item, within, placed_values, without(&PLACES))))
}

/// An item whose values have come to stand beside different modifiers.
fn regrouped(
    item: &DetectionItem,
    kept: Vec<Value>,
    changed: Vec<Value>,
    modifiers: Vec<String>,
) -> Block {
    let has = |name: &str| item.modifiers.iter().any(|one| one == name);
    let mut blocks = Vec::new();
    if modifiers == item.modifiers {
        let mut values = kept;
        values.extend(changed);
        if !values.is_empty() {
            blocks.push(Block::Item(DetectionItem {
                values,
                ..item.clone()
            }));
        }
    } else {
        for (values, modifiers) in [(kept, item.modifiers.clone()), (changed, modifiers)] {
            if !values.is_empty() {
                blocks.push(Block::Item(DetectionItem {
                    values,
                    modifiers,
                    ..item.clone()
                }));
            }
        }
    }
    match blocks.len() {
        0 => Block::dropped(),
        1 => blocks.remove(0),
        _ if has("all") != has("neq") => Block::All(blocks),
        _ => Block::Any(blocks),
    }
}

fn text(item: &DetectionItem, change: &ValueChange, value: &Value) -> Result<Outcome, String> {
    let written = written(value);
    Ok(match change {
        ValueChange::Replace {
            regex,
            replacement,
            skip_special: true,
            interpret_special,
        } => {
            let before = Pattern::parse(&written);
            let after =
                before.map_literals(|text| regex.replace_all(text, replacement).into_owned());
            if after == before {
                Outcome::Kept
            } else {
                Outcome::Within(vec![escaped(&after, *interpret_special).into()])
            }
        }
        ValueChange::Replace {
            regex, replacement, ..
        } => {
            let before = plain(&placed(item, &written));
            let after = regex.replace_all(&before, replacement);
            if after == before {
                Outcome::Kept
            } else {
                Outcome::Placed(vec![literal_backslashes(&after).into()])
            }
        }
        ValueChange::Map(mapping) => match mapping.get(&plain(&placed(item, &written))) {
            None => Outcome::Kept,
            Some(values) => Outcome::Placed(values.iter().cloned().map(Value::from).collect()),
        },
        ValueChange::Case(letters) => {
            let pattern = Pattern::parse(&written).map_literals(|text| letters.of(text));
            match value {
                Value::String(_) => Outcome::Within(vec![escaped(&pattern, false).into()]),
                _ => Outcome::Kept,
            }
        }
        ValueChange::ToText => Outcome::Within(vec![written.into()]),
        ValueChange::ToNumber => Outcome::Placed(vec![number(&plain(&placed(item, &written)))?]),
        ValueChange::Regex { .. }
        | ValueChange::Set(_)
        | ValueChange::Placeholders(..)
        | ValueChange::Hashes { .. } => Outcome::Kept,
    })
}

/// Backslashes doubled, but for those before a wildcard, which escape it.
fn literal_backslashes(text: &str) -> String {
    let mut doubled = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        doubled.push(letter);
        if letter == '\\' && !matches!(letters.peek(), Some('*' | '?')) {
            doubled.push('\\');
        }
    }
    doubled
}

fn regexes(item: &DetectionItem, cased: bool) -> Option<Block> {
    let is_text = |value: &&Value| value.as_str().is_some_and(|text| !text.is_empty());
    let kept: Vec<Value> = item
        .values
        .iter()
        .filter(|value| !is_text(value))
        .cloned()
        .collect();
    let changed: Vec<Value> = item
        .values
        .iter()
        .filter(is_text)
        .map(|value| expression(&placed(item, &written(value)), item.field.is_none()).into())
        .collect();
    if changed.is_empty() {
        return None;
    }
    let stays = |name: &&String| matches!(name.as_str(), "all" | "neq");
    let mut modifiers: Vec<String> = item.modifiers.iter().filter(stays).cloned().collect();
    modifiers.push("re".to_owned());
    if !cased {
        modifiers.push("i".to_owned());
    }
    modifiers.push("s".to_owned());
    Some(regrouped(item, kept, changed, modifiers))
}

/// A regular expression that finds what the pattern is met by.
fn expression(pattern: &Pattern, anywhere: bool) -> String {
    let parts = pattern.parts();
    let open = |part: Option<&Part>| anywhere || part == Some(&Part::Any);
    let mut expression = String::new();
    if !open(parts.first()) {
        expression.push('^');
    }
    for (index, part) in parts.iter().enumerate() {
        let at_end = index == 0 || index + 1 == parts.len();
        match part {
            Part::Any if at_end => {}
            Part::Any => expression.push_str(".*"),
            Part::One => expression.push('.'),
            Part::Literal(text) => expression.push_str(&regex::escape(text)),
        }
    }
    if !open(parts.last()) {
        expression.push('$');
    }
    expression
}

fn placeholders(
    item: &DetectionItem,
    names: &Names,
    fill: Fill,
    vars: Option<&BTreeMap<String, Vec<String>>>,
) -> Result<Option<Block>, String> {
    if !item.modifiers.iter().any(|name| name == "expand") {
        return Ok(None);
    }
    let wildcard = ["*".to_owned()];
    let known = |name: &str| -> Option<&[String]> {
        if !names.has(name) {
            return None;
        }
        match fill {
            Fill::Wildcard => Some(&wildcard),
            Fill::Vars => vars?.get(name).map(Vec::as_slice),
        }
    };
    let mut forms = Vec::new();
    for value in &item.values {
        forms.extend(filled(&pieces(&written(value)), known, MAX_VALUES)?);
    }
    let is_open = |piece: &Piece| matches!(piece, Piece::Placeholder(_));
    let open = forms.iter().flatten().any(is_open);
    let text = |form: &Vec<Piece>| {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Placeholder(text) => text.clone(),
        };
        Value::String(if open {
            joined(form)
        } else {
            form.iter().map(text).collect()
        })
    };
    let values: Vec<Value> = forms.iter().map(text).collect();
    if values.is_empty() {
        return Err("placeholders have no values; give them some under 'vars'".to_owned());
    }
    let stays = |name: &&String| open || name.as_str() != "expand";
    Ok(Some(Block::Item(DetectionItem {
        modifiers: item.modifiers.iter().filter(stays).cloned().collect(),
        values,
        ..item.clone()
    })))
}

/// `Hashes: MD5=…,SHA256=…` as one item per algorithm.
fn hashes(
    item: &DetectionItem,
    algorithms: &[String],
    prefix: &str,
    name_algorithm: bool,
) -> Result<Option<Block>, String> {
    if !is_text(item) || !item.values.iter().all(Value::is_string) {
        return Ok(None);
    }
    let mut by_field: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut kept = Vec::new();
    for value in &item.values {
        let text = modifiers::written(value);
        let plain = text.trim_matches('*');
        let (algorithm, hash) = plain
            .split_once(['=', '|'])
            .unwrap_or((of_length(plain), plain));
        let algorithm = algorithm.to_uppercase();
        if algorithms.contains(&algorithm) {
            let name = if name_algorithm {
                algorithm.as_str()
            } else {
                ""
            };
            let field = by_field.entry(format!("{prefix}{name}")).or_default();
            field.push(hash.trim_matches('*').into());
        } else {
            kept.push(value.clone());
        }
    }
    if by_field.is_empty() {
        return Err(format!(
            "'{}' has no hash of the kinds {}",
            item.key(),
            algorithms.join(", ")
        ));
    }
    let has = |name: &str| item.modifiers.iter().any(|one| one == name);
    let mut blocks: Vec<Block> = by_field
        .into_iter()
        .map(|(field, values)| {
            let stays = |name: &&String| matches!(name.as_str(), "all" | "neq" | "cased");
            Block::Item(DetectionItem {
                field: Some(field),
                modifiers: item.modifiers.iter().filter(stays).cloned().collect(),
                values,
                mapped: true,
                applied: item.applied.clone(),
            })
        })
        .collect();
    if !kept.is_empty() {
        blocks.push(Block::Item(DetectionItem {
            values: kept,
            ..item.clone()
        }));
    }
    Ok(Some(match blocks.len() {
        1 => blocks.remove(0),
        _ if has("all") != has("neq") => Block::All(blocks),
        _ => Block::Any(blocks),
    }))
}

fn of_length(hash: &str) -> &'static str {
    match hash.len() {
        32 => "MD5",
        40 => "SHA1",
        64 => "SHA256",
        128 => "SHA512",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_of_python_become_those_of_rust() {
        let check = |python: &str, rust: &str| assert_eq!(replacement(python), rust);
        check(r"\1-\2", "${1}-${2}");
        check(r"\g<name>$", "${name}$$");
        check(r"a\\b", r"a\b");
        check(r"\", r"\");
        check("é", "é");
    }
}
