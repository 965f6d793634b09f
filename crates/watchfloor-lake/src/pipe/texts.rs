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

/// What a list or a document gives a row for: an item, or a member with its name.
pub(super) fn rows_of(json: &str) -> Option<Vec<String>> {
    match serde_json::from_str(json) {
        Ok(serde_json::Value::Object(members)) => {
            let one = |(name, value): (String, serde_json::Value)| {
                serde_json::json!({ name: value }).to_string()
            };
            Some(members.into_iter().map(one).collect())
        }
        Ok(serde_json::Value::Array(_)) => items(json),
        // A value alone is its only item.
        _ => Some(vec![json.to_owned()]),
    }
}

/// All matches: the group of each where there is one, the groups as a list where there are more.
pub(super) fn all_groups(regex: &Regex, text: &str) -> String {
    let group = |found: &regex::Captures<'_>, index: usize| {
        found.get(index).map(|part| part.as_str().to_owned())
    };
    let found: Vec<serde_json::Value> = regex
        .captures_iter(text)
        .map(|found| match found.len() {
            1 => serde_json::json!(group(&found, 0)),
            2 => serde_json::json!(group(&found, 1)),
            count => (1..count).map(|index| group(&found, index)).collect(),
        })
        .collect();
    serde_json::Value::Array(found).to_string()
}

/// A part of a text; a start below 0 counts from the end.
pub(super) fn substring(text: &str, start: &str, length: Option<&str>) -> Option<String> {
    let text: Vec<char> = text.chars().collect();
    let start: i64 = start.parse().ok()?;
    let from = if start < 0 {
        (text.len() as i64).saturating_add(start).max(0)
    } else {
        start
    };
    let from = usize::try_from(from).ok()?.min(text.len());
    let length = length
        .and_then(|length| length.parse::<i64>().ok())
        .filter(|length| *length >= 0)
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(usize::MAX);
    Some(text[from..].iter().take(length).collect())
}

/// Where a text stands in another, from a start, within a length, the nth time; -1 where nowhere.
pub(super) fn index_of(row: &[Option<&str>]) -> Option<i64> {
    let (text, sought) = (row[0]?, row[1]?);
    let number = |index: usize| -> Option<i64> { row.get(index)?.and_then(|one| one.parse().ok()) };
    let text: Vec<char> = text.chars().collect();
    let sought: Vec<char> = sought.chars().collect();
    let start = number(2).unwrap_or(0);
    let start = if start < 0 {
        text.len() as i64 + start
    } else {
        start
    };
    let start = usize::try_from(start.max(0)).ok()?.min(text.len());
    let length = number(3).filter(|length| *length >= 0);
    let length = length.and_then(|length| usize::try_from(length).ok());
    let end = length.map_or(text.len(), |length| {
        start.saturating_add(length).min(text.len())
    });
    let nth = usize::try_from(number(4).unwrap_or(1)).ok()?.max(1);
    let places = (start..end).filter(|at| text[*at..end].starts_with(&sought));
    Some(places.into_iter().nth(nth - 1).map_or(-1, |at| at as i64))
}

/// How often a text stands in another, also where it overlaps itself; or a regular expression.
pub(super) fn count_of(text: &str, sought: &str, kind: Option<&str>) -> Option<i64> {
    if kind == Some("regex") {
        return with_regex(sought, |regex| regex.find_iter(text).count() as i64);
    }
    if sought.is_empty() {
        return Some(0);
    }
    let places = text.char_indices();
    let count = places
        .filter(|(at, _)| text[*at..].starts_with(sought))
        .count();
    Some(count as i64)
}

/// Each character of one text as that of another at the same place.
pub(super) fn translated(from: &str, to: &str, text: &str) -> String {
    let to: Vec<char> = to.chars().collect();
    let changed =
        text.chars()
            .filter_map(|next| match from.chars().position(|other| other == next) {
                Some(at) => to.get(at).or(to.last()).copied(),
                None => Some(next),
            });
    changed.collect()
}

/// A value of 16 bytes as Kusto writes it; none where the text is no such value.
pub(super) fn guid(text: &str) -> Option<String> {
    let digits: String = text
        .trim_matches(['{', '}'])
        .replace('-', "")
        .to_lowercase();
    if digits.len() != 32 || !digits.bytes().all(|next| next.is_ascii_hexdigit()) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    ))
}

pub(super) fn url_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The parameters of a URL's query.
pub(super) fn query_parts(text: &str) -> String {
    let text = text.split_once('?').map_or(text, |(_, query)| query);
    let parameters: serde_json::Map<String, serde_json::Value> =
        url::form_urlencoded::parse(text.as_bytes())
            .map(|(name, value)| (name.into_owned(), value.into_owned().into()))
            .collect();
    serde_json::json!({ "Query Parameters": parameters }).to_string()
}

/// The values of a line with commas, as a list.
pub(super) fn csv_parts(text: &str) -> String {
    let mut values = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(next) = characters.next() {
        match next {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => push(&mut values, '"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => values.push(String::new()),
            '\r' | '\n' if !is_quoted => break,
            other => push(&mut values, other),
        }
    }
    serde_json::json!(values).to_string()
}

fn push(values: &mut [String], next: char) {
    if let Some(last) = values.last_mut() {
        last.push(next);
    }
}

/// The arguments of a command line as Windows splits it, as a list.
pub(super) fn command_parts(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut part: Option<String> = None;
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(next) = characters.next() {
        match next {
            '\\' if characters.peek() == Some(&'"') => {
                characters.next();
                part.get_or_insert_default().push('"');
            }
            '"' => {
                is_quoted = !is_quoted;
                part.get_or_insert_default();
            }
            ' ' | '\t' if !is_quoted => parts.extend(part.take()),
            other => part.get_or_insert_default().push(other),
        }
    }
    parts.extend(part);
    serde_json::json!(parts).to_string()
}

/// A version of up to four parts as a number that orders as they do.
pub(super) fn version_number(text: &str) -> Option<f64> {
    let mut number = 0.0;
    let mut parts = text.split('.');
    for _ in 0..4 {
        let part: f64 = parts.next().unwrap_or("0").trim().parse().ok()?;
        number = number * 1e8 + part;
    }
    Some(number)
}

/// A member of a record that is a JSON document, at its top or below `properties`, whatever the
/// case of its name.
pub(super) fn object_in(record: &str, name: &str) -> Option<String> {
    if !record.trim_start().starts_with('{') {
        return None;
    }
    let document: serde_json::Value = serde_json::from_str(record).ok()?;
    let member = |of: &serde_json::Value| {
        let members = of.as_object()?.iter();
        let mut found = members.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.clone())
    };
    let below = |key: &str| document.get(key).and_then(member);
    let found = member(&document)
        .or_else(|| below("properties"))
        .or_else(|| below("protoPayload"))
        .or_else(|| below("detail"))?;
    match found {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// One of the hashes of a file, as Sysmon lists them or as it stands alone.
pub(super) fn hash_of(hashes: &str, kind: &str) -> Option<String> {
    let pairs = hashes.split([',', ';', ' ']);
    let named = pairs
        .filter_map(|pair| pair.split_once(['=', ':']))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(kind));
    if let Some((_, hash)) = named {
        return Some(hash.trim().to_owned());
    }
    let length = match kind {
        "MD5" | "IMPHASH" => 32,
        "SHA1" => 40,
        _ => 64,
    };
    let is_alone = hashes.len() == length && hashes.bytes().all(|next| next.is_ascii_hexdigit());
    is_alone.then(|| hashes.to_owned())
}

/// The value of a name in a text of names and values: text, name, what parts pairs, what parts a
/// name from its value, quotes.
pub(super) fn kv_value(row: &[Option<&str>]) -> Option<String> {
    let (text, name) = (row[0]?, row[1]?);
    let pair = row[2].filter(|one| !one.is_empty()).unwrap_or(" ");
    let between = row[3].filter(|one| !one.is_empty()).unwrap_or("=");
    let quote = row[4].and_then(|quote| quote.chars().next());
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once(between)?;
        let quoted = quote.and_then(|quote| Some((quote, after.strip_prefix(quote)?)));
        let (value, next) = match quoted {
            Some((quote, inner)) => {
                let (value, next) = inner.split_once(quote).unwrap_or((inner, ""));
                (value, next.strip_prefix(pair).unwrap_or(next))
            }
            None => after.split_once(pair).unwrap_or((after, "")),
        };
        let key = key.trim();
        let key = key.rsplit(pair).next().unwrap_or(key);
        if key.trim_matches(|next| Some(next) == quote) == name {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

/// Deepest nesting of an XML document.
const MAX_XML_DEPTH: usize = 64;

/// An XML document as JSON: elements by name, attributes with `@`, texts as `#text`.
pub(super) fn xml_document(text: &str) -> Option<String> {
    let mut stack: Vec<(String, serde_json::Map<String, serde_json::Value>)> =
        vec![(String::new(), serde_json::Map::new())];
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let inside = rest[..open].trim();
        if let (false, Some((_, members))) = (inside.is_empty(), stack.last_mut()) {
            add(members, "#text", xml_text(inside).into());
        }
        rest = &rest[open..];
        if let Some(data) = rest.strip_prefix("<![CDATA[") {
            let (data, after) = data.split_once("]]>")?;
            if let Some((_, members)) = stack.last_mut() {
                add(members, "#text", data.into());
            }
            rest = after;
            continue;
        }
        let (tag, after) = rest[1..].split_once('>')?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if tag.starts_with('/') {
            close(&mut stack)?;
            continue;
        }
        if stack.len() > MAX_XML_DEPTH {
            return None;
        }
        let (tag, is_closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        stack.push((name.to_owned(), xml_attributes(attributes)));
        if is_closed {
            close(&mut stack)?;
        }
    }
    let (_, root) = stack.into_iter().next()?;
    Some(serde_json::Value::Object(root).to_string())
}

/// Puts the innermost element into the one around it; one with a text alone is that text.
fn close(stack: &mut Vec<(String, serde_json::Map<String, serde_json::Value>)>) -> Option<()> {
    if stack.len() < 2 {
        return None;
    }
    let (name, mut members) = stack.pop()?;
    let value = match (members.len(), members.contains_key("#text")) {
        (1, true) => members.remove("#text")?,
        (0, _) => serde_json::Value::String(String::new()),
        _ => serde_json::Value::Object(members),
    };
    add(&mut stack.last_mut()?.1, &name, value);
    Some(())
}

/// Adds a member; several of one name become a list.
fn add(
    members: &mut serde_json::Map<String, serde_json::Value>,
    name: &str,
    value: serde_json::Value,
) {
    match members.get_mut(name) {
        Some(serde_json::Value::Array(items)) => items.push(value),
        Some(first) => {
            let first = std::mem::take(first);
            members.insert(name.to_owned(), serde_json::json!([first, value]));
        }
        None => {
            members.insert(name.to_owned(), value);
        }
    }
}

fn xml_attributes(text: &str) -> serde_json::Map<String, serde_json::Value> {
    let mut members = serde_json::Map::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let Some(quote) = after
            .chars()
            .next()
            .filter(|next| matches!(next, '"' | '\''))
        else {
            break;
        };
        let Some((value, next)) = after[1..].split_once(quote) else {
            break;
        };
        members.insert(format!("@{}", name.trim()), xml_text(value).into());
        rest = next.trim_start();
    }
    members
}

fn xml_text(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}
