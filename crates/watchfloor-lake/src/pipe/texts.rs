//! What functions of texts do with them: words, regular expressions, JSON, addresses, paths.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use regex::Regex;

/// Regular expressions kept ready on a thread.
const KEPT_REGEXES: usize = 64;
/// Most bytes of a compiled regular expression.
const MAX_REGEX_BYTES: usize = 4 << 20;

thread_local! {
    static REGEXES: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// Lets a regular expression work, which is compiled once a thread; one that cannot be compiled
/// or would be too large matches nothing.
pub(super) fn with_regex<T>(pattern: &str, work: impl FnOnce(&Regex) -> T) -> Option<T> {
    REGEXES.with_borrow_mut(|known| {
        if known.len() > KEPT_REGEXES {
            known.clear();
        }
        let compiled = known
            .entry(pattern.to_owned())
            .or_insert_with(|| regex_of(pattern).ok());
        compiled.as_ref().map(work)
    })
}

/// Compiles a regular expression within limits.
pub(in crate::pipe) fn regex_of(pattern: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .build()
}

pub(super) fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Whether a text holds a word: what stands before and behind it is no letter or digit.
pub(super) fn has(text: &str, word: &str, is_exact: bool) -> bool {
    if is_exact {
        return holds_word(text, word, (true, true));
    }
    holds_word(&folded(text), &folded(word), (true, true))
}

pub(super) fn has_at(text: &str, word: &str, ends: (bool, bool)) -> bool {
    holds_word(&folded(text), &folded(word), ends)
}

pub(super) fn holds_word(text: &str, word: &str, (begins, ends): (bool, bool)) -> bool {
    if word.is_empty() {
        return true;
    }
    let is_free = |next: Option<char>, inner: Option<char>| {
        !(next.is_some_and(char::is_alphanumeric) && inner.is_some_and(char::is_alphanumeric))
    };
    let (first, last) = (word.chars().next(), word.chars().next_back());
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        (!begins || is_free(before, first)) && (!ends || is_free(after, last))
    })
}

/// A member of a JSON document: a name, a number, or a path such as `$.a.b[0]`.
pub(super) fn json_of(json: &str, key: &str) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(json).ok()?;
    let shown = |value: &serde_json::Value| match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let member = |of: &serde_json::Value, key: &str| -> Option<serde_json::Value> {
        match of {
            serde_json::Value::Array(items) => {
                let index: i64 = key.parse().ok()?;
                let index = if index < 0 {
                    items.len() as i64 + index
                } else {
                    index
                };
                items.get(usize::try_from(index).ok()?).cloned()
            }
            of => of.get(key).cloned(),
        }
    };
    let Some(path) = key.strip_prefix('$') else {
        return shown(&member(&document, key)?);
    };
    let steps = path
        .split(['.', '[', ']'])
        .map(|step| step.trim_matches(['\'', '"']));
    let mut steps = steps.filter(|step| !step.is_empty());
    shown(&steps.try_fold(document, |of, step| member(&of, step))?)
}

/// The items of a JSON list; another document is its only item.
pub(super) fn items(json: &str) -> Option<Vec<String>> {
    match serde_json::from_str(json) {
        Ok(serde_json::Value::Array(items)) => {
            let shown = |item: serde_json::Value| match item {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Some(items.into_iter().map(shown).collect())
        }
        Ok(serde_json::Value::Object(_)) => Some(vec![json.to_owned()]),
        _ => None,
    }
}

pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private(),
        IpAddr::V6(address) => address.is_unique_local(),
    }
}

pub(super) fn in_range(address: &str, range: &str) -> Option<bool> {
    let address: IpAddr = address.parse().ok()?;
    let network = range
        .parse::<IpNet>()
        .or_else(|_| range.parse::<IpAddr>().map(IpNet::from))
        .ok()?;
    Some(network.contains(&address))
}

/// UTF-8, or UTF-16 as PowerShell encodes its commands.
pub(super) fn decoded(bytes: &[u8]) -> String {
    let is_wide = bytes.len() >= 2
        && bytes.len().is_multiple_of(2)
        && bytes.iter().skip(1).step_by(2).all(|byte| *byte == 0);
    if !is_wide {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    bytes
        .iter()
        .step_by(2)
        .map(|byte| char::from(*byte))
        .collect()
}

pub(super) fn url_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten();
        let escaped = escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) fn path_parts(path: &str) -> String {
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let folder = path[..path.len() - name.len()].trim_end_matches(['/', '\\']);
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    serde_json::json!({
        "DirectoryPath": folder,
        "DirectoryName": folder.rsplit(['/', '\\']).next(),
        "Filename": name,
        "Extension": extension,
    })
    .to_string()
}

pub(super) fn url_parts(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let parameters: serde_json::Map<String, serde_json::Value> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
        .collect();
    Some(
        serde_json::json!({
            "Scheme": url.scheme(),
            "Host": url.host_str(),
            "Port": url.port_or_known_default().map(|port| port.to_string()),
            "Path": url.path(),
            "Username": url.username(),
            "Query Parameters": parameters,
            "Fragment": url.fragment(),
        })
        .to_string(),
    )
}
