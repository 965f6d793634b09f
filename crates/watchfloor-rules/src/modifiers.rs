//! Field modifiers: from what a rule writes beside a field to matchers.
//!
//! # Source
//! Sigma specification 2.1, modifiers appendix.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::expr::{Expr, Leaf};
use crate::matcher::{CompareOp, FieldCompare, Matcher, TimePart};
use crate::pattern::{Part, Pattern};

/// Most values of one item, before and after modifiers multiply them.
pub(crate) const MAX_VALUES: usize = 100_000;
/// Most bytes of a compiled regular expression.
const MAX_REGEX_BYTES: usize = 8 << 20;
/// What `windash` takes a dash for.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
/// Dashes that are varied independently; beyond, all are varied alike.
const MAX_VARIED_DASHES: usize = 3;

/// The modifiers of one item, sorted by what they act on.
#[derive(Debug, Default)]
struct Plan {
    transforms: Vec<Transform>,
    place: Place,
    test: Test,
    cased: bool,
    all: bool,
    negated: bool,
    regex_flags: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transform {
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    Windash,
    Expand,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Whole,
    Contains,
    Start,
    End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Test {
    #[default]
    Text,
    Regex,
    Cidr,
    Exists,
    Field,
    Compare(CompareOp),
    Time(TimePart),
}

/// Values for `%placeholder%`, asked by `expand`.
pub(crate) type Placeholders = std::collections::BTreeMap<String, Vec<String>>;

/// One item of a selection: a field with modifiers, and its values.
pub(crate) struct Item<'a> {
    pub selection: &'a str,
    pub field: Option<&'a str>,
    pub modifiers: &'a [&'a str],
    pub values: &'a [Value],
    pub placeholders: &'a Placeholders,
}

/// A value on its way through the transforms.
#[derive(Clone)]
enum Working {
    Text(Pattern),
    Bytes(Vec<u8>),
}

/// Turns an item into a condition; the names of placeholders without values are added to
/// `unresolved`.
pub(crate) fn apply(item: &Item<'_>, unresolved: &mut Vec<String>) -> Result<Expr, String> {
    let plan = plan(item.modifiers)?;
    if item.values.len() > MAX_VALUES {
        return Err(format!(
            "{} values in one list; the limit is {MAX_VALUES}",
            item.values.len()
        ));
    }
    let mut leaves = Vec::with_capacity(item.values.len());
    for value in item.values {
        leaves.push(value_expr(item, &plan, value, unresolved)?);
    }
    let joined = if leaves.len() == 1 {
        leaves.remove(0)
    } else if plan.all {
        Expr::And(leaves)
    } else {
        Expr::Or(leaves)
    };
    Ok(if plan.negated {
        Expr::Not(Box::new(joined))
    } else {
        joined
    })
}

fn plan(modifiers: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for modifier in modifiers {
        match *modifier {
            "contains" => plan.place = Place::Contains,
            "startswith" => plan.place = Place::Start,
            "endswith" => plan.place = Place::End,
            "all" => plan.all = true,
            "cased" => plan.cased = true,
            "neq" => plan.negated = true,
            "re" => plan.test = Test::Regex,
            "i" | "m" | "s" if plan.test == Test::Regex => plan.regex_flags.push_str(modifier),
            "ignorecase" | "multiline" | "dotall" if plan.test == Test::Regex => {
                plan.regex_flags.push_str(&modifier[..1].replace('d', "s"));
            }
            "cidr" => plan.test = Test::Cidr,
            "exists" => plan.test = Test::Exists,
            "fieldref" => plan.test = Test::Field,
            "gt" => plan.test = Test::Compare(CompareOp::Greater),
            "gte" => plan.test = Test::Compare(CompareOp::GreaterOrEqual),
            "lt" => plan.test = Test::Compare(CompareOp::Less),
            "lte" => plan.test = Test::Compare(CompareOp::LessOrEqual),
            "minute" => plan.test = Test::Time(TimePart::Minute),
            "hour" => plan.test = Test::Time(TimePart::Hour),
            "day" => plan.test = Test::Time(TimePart::Day),
            "week" => plan.test = Test::Time(TimePart::Week),
            "month" => plan.test = Test::Time(TimePart::Month),
            "year" => plan.test = Test::Time(TimePart::Year),
            "base64" => plan.transforms.push(Transform::Base64),
            "base64offset" => plan.transforms.push(Transform::Base64Offset),
            "wide" | "utf16le" => plan.transforms.push(Transform::Utf16Le),
            "utf16be" => plan.transforms.push(Transform::Utf16Be),
            "utf16" => plan.transforms.push(Transform::Utf16),
            "windash" => plan.transforms.push(Transform::Windash),
            "expand" => plan.transforms.push(Transform::Expand),
            unknown => return Err(format!("unknown modifier '{unknown}'")),
        }
    }
    Ok(plan)
}

fn value_expr(
    item: &Item<'_>,
    plan: &Plan,
    value: &Value,
    unresolved: &mut Vec<String>,
) -> Result<Expr, String> {
    let written = written(value);
    let matchers = match plan.test {
        Test::Text => text_matchers(item, plan, value, unresolved)?,
        Test::Regex => vec![regex(&written, &plan.regex_flags)?],
        Test::Cidr => vec![cidr(&written)?],
        Test::Exists => vec![Matcher::Exists(truth(value)?)],
        Test::Field => vec![field(&written, plan)],
        Test::Compare(op) => vec![Matcher::Compare(op, number(value)?)],
        Test::Time(part) => vec![Matcher::Time(part, number(value)? as i64)],
    };
    let leaf = |matcher| {
        Expr::Leaf(Box::new(Leaf {
            selection: item.selection.to_owned(),
            field: item.field.map(str::to_owned),
            matcher,
            written: shown(item.modifiers, &written),
        }))
    };
    let mut leaves: Vec<Expr> = matchers.into_iter().map(leaf).collect();
    Ok(if leaves.len() == 1 {
        leaves.remove(0)
    } else {
        Expr::Or(leaves)
    })
}

fn shown(modifiers: &[&str], written: &str) -> String {
    let modifiers: Vec<&str> = modifiers
        .iter()
        .copied()
        .filter(|name| *name != "all")
        .collect();
    if modifiers.is_empty() {
        written.to_owned()
    } else {
        format!("{}: {written}", modifiers.join(" "))
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => Err(format!("'exists' takes true or false, not {other}")),
    }
}

fn number(value: &Value) -> Result<f64, String> {
    let parsed = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    parsed.ok_or_else(|| format!("a number is needed here, not {value}"))
}

fn cidr(text: &str) -> Result<Matcher, String> {
    let network: Result<ipnet::IpNet, _> = text.parse();
    let network = network.or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
    network
        .map(Matcher::Cidr)
        .map_err(|_| format!("'{text}' is no network in CIDR form"))
}

fn field(other: &str, plan: &Plan) -> Matcher {
    Matcher::Field {
        other: other.to_owned(),
        compare: match plan.place {
            Place::Whole => FieldCompare::Equal,
            Place::Contains => FieldCompare::Contains,
            Place::Start => FieldCompare::StartsWith,
            Place::End => FieldCompare::EndsWith,
        },
        cased: plan.cased,
    }
}

fn regex(text: &str, flags: &str) -> Result<Matcher, String> {
    let pattern = if flags.is_empty() {
        text.to_owned()
    } else {
        format!("(?{flags}){text}")
    };
    let build = |pattern: &str| {
        regex::RegexBuilder::new(pattern)
            .size_limit(MAX_REGEX_BYTES)
            .build()
    };
    let reason = |error: regex::Error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim().to_owned();
        format!("regular expression cannot be used: {last}")
    };
    build(&pattern).map(Matcher::Regex).map_err(reason)
}

fn text_matchers(
    item: &Item<'_>,
    plan: &Plan,
    value: &Value,
    unresolved: &mut Vec<String>,
) -> Result<Vec<Matcher>, String> {
    let text = match value {
        Value::Null => return Ok(vec![Matcher::Null]),
        Value::Array(_) | Value::Object(_) => {
            return Err("a value must be a text, number, truth value or null".to_owned());
        }
        other => written(other),
    };
    if plan.transforms.contains(&Transform::Expand) {
        return expanded(item, plan, &text, unresolved);
    }
    let mut working = vec![Working::Text(Pattern::parse(&text))];
    for transform in &plan.transforms {
        working = working
            .into_iter()
            .flat_map(|value| transformed(*transform, value))
            .collect();
    }
    let whole_field = item.field.is_some();
    Ok(working
        .into_iter()
        .map(|value| placed(value, plan, whole_field))
        .collect())
}

fn expanded(
    item: &Item<'_>,
    plan: &Plan,
    text: &str,
    unresolved: &mut Vec<String>,
) -> Result<Vec<Matcher>, String> {
    let inner = |start: usize| text[start..].find('%').map(|end| start + end);
    let Some(open) = inner(0) else {
        return Ok(vec![placed(
            Working::Text(Pattern::parse(text)),
            plan,
            item.field.is_some(),
        )]);
    };
    let close = inner(open + 1).ok_or_else(|| format!("'{text}' has an open placeholder"))?;
    let name = &text[open + 1..close];
    let Some(values) = item.placeholders.get(name) else {
        unresolved.push(name.to_owned());
        return Ok(vec![Matcher::Never]);
    };
    let fill = |value: &String| {
        let filled = format!("{}{value}{}", &text[..open], &text[close + 1..]);
        placed(
            Working::Text(Pattern::parse(&filled)),
            plan,
            item.field.is_some(),
        )
    };
    Ok(values.iter().map(fill).collect())
}

fn transformed(transform: Transform, value: Working) -> Vec<Working> {
    match transform {
        Transform::Windash => match value {
            Working::Text(pattern) => windash(&pattern).into_iter().map(Working::Text).collect(),
            bytes @ Working::Bytes(_) => vec![bytes],
        },
        Transform::Base64 => vec![Working::Bytes(
            STANDARD.encode(bytes_of(value)).into_bytes(),
        )],
        Transform::Base64Offset => base64_offsets(&bytes_of(value)),
        Transform::Utf16Le => vec![Working::Bytes(utf16(value, u16::to_le_bytes))],
        Transform::Utf16Be => vec![Working::Bytes(utf16(value, u16::to_be_bytes))],
        Transform::Utf16 => {
            let mut bytes = vec![0xff, 0xfe];
            bytes.extend(utf16(value, u16::to_le_bytes));
            vec![Working::Bytes(bytes)]
        }
        Transform::Expand => vec![value],
    }
}

fn bytes_of(value: Working) -> Vec<u8> {
    match value {
        Working::Bytes(bytes) => bytes,
        Working::Text(pattern) => text_of(&pattern).into_bytes(),
    }
}

/// Encodings act on the text as written, wildcards taken literally.
fn text_of(pattern: &Pattern) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Any => "*".to_owned(),
        Part::One => "?".to_owned(),
    };
    pattern.parts().iter().map(part).collect()
}

fn utf16(value: Working, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = match value {
        Working::Text(pattern) => text_of(&pattern),
        Working::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    text.encode_utf16().flat_map(order).collect()
}

/// The parts of the three base64 forms that do not depend on the bytes around the value.
fn base64_offsets(bytes: &[u8]) -> Vec<Working> {
    const START: [usize; 3] = [0, 2, 3];
    const CUT: [usize; 3] = [0, 3, 2];
    (0..3)
        .map(|offset| {
            let mut padded = vec![b' '; offset];
            padded.extend_from_slice(bytes);
            let encoded = STANDARD.encode(&padded);
            let end = encoded.len().saturating_sub(CUT[padded.len() % 3]);
            let start = START[offset].min(end);
            Working::Bytes(encoded.as_bytes()[start..end].to_vec())
        })
        .collect()
}

/// Each dash that starts a word, in every form that Windows programs take for one.
fn windash(pattern: &Pattern) -> Vec<Pattern> {
    let dashes: usize = pattern
        .parts()
        .iter()
        .map(|part| dash_places(part).len())
        .sum();
    if dashes == 0 {
        return vec![pattern.clone()];
    }
    if dashes > MAX_VARIED_DASHES {
        let alike = |dash: char| vary(pattern, &mut || dash);
        return DASHES.into_iter().map(alike).collect();
    }
    let combinations = DASHES.len().pow(u32::try_from(dashes).unwrap_or(0));
    (0..combinations)
        .map(|mut combination| {
            vary(pattern, &mut || {
                let dash = DASHES[combination % DASHES.len()];
                combination /= DASHES.len();
                dash
            })
        })
        .collect()
}

fn vary(pattern: &Pattern, next_dash: &mut impl FnMut() -> char) -> Pattern {
    pattern.map_literals(|text| {
        let places = dash_places(&Part::Literal(text.to_owned()));
        let with_dash = |(at, character): (usize, char)| {
            if places.contains(&at) {
                next_dash()
            } else {
                character
            }
        };
        text.char_indices().map(with_dash).collect()
    })
}

/// Byte offsets of dashes after a non-word character (or at the start) and before a word.
fn dash_places(part: &Part) -> Vec<usize> {
    let Part::Literal(text) = part else {
        return Vec::new();
    };
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let mut places = Vec::new();
    let mut before: Option<char> = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let after = characters.peek().map(|(_, next)| *next);
        if matches!(character, '-' | '/')
            && !before.is_some_and(is_word)
            && after.is_some_and(is_word)
        {
            places.push(at);
        }
        before = Some(character);
    }
    places
}

fn placed(value: Working, plan: &Plan, whole_field: bool) -> Matcher {
    let pattern = match value {
        Working::Text(pattern) => pattern,
        Working::Bytes(bytes) => Pattern::literal(&String::from_utf8_lossy(&bytes)),
    };
    let pattern = match plan.place {
        // A keyword is looked for anywhere in a value.
        Place::Whole if !whole_field => pattern.contained(),
        Place::Whole => pattern,
        Place::Contains => pattern.contained(),
        Place::Start => pattern.open_end(),
        Place::End => pattern.open_start(),
    };
    let pattern = if plan.cased {
        pattern
    } else {
        pattern.map_literals(str::to_lowercase)
    };
    Matcher::Text {
        pattern,
        cased: plan.cased,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(modifiers: &[&str], value: Value, expected: &[&str]) {
        let placeholders = Placeholders::from([(
            "users".to_owned(),
            vec!["Ann".to_owned(), "bob*".to_owned()],
        )]);
        let item = Item {
            selection: "s",
            field: Some("f"),
            modifiers,
            values: std::slice::from_ref(&value),
            placeholders: &placeholders,
        };
        let mut unresolved = Vec::new();
        let found = match apply(&item, &mut unresolved) {
            Ok(expr) => {
                let mut found = Vec::new();
                expr.for_each_leaf(&mut |leaf| {
                    found.push(match &leaf.matcher {
                        Matcher::Text { pattern, .. } => text_of(pattern),
                        other => other.key(),
                    })
                });
                found
            }
            Err(reason) => vec![reason],
        };
        assert_eq!(found, expected, "{modifiers:?} {value}");
    }

    #[test]
    fn places_and_tests() {
        check(&[], json!("Abc"), &["abc"]);
        check(&["cased"], json!("Abc"), &["Abc"]);
        check(&["contains"], json!("a*b"), &["*a*b*"]);
        check(&["startswith"], json!("a"), &["a*"]);
        check(&["endswith"], json!("a"), &["*a"]);
        check(&[], json!(null), &["0"]);
        check(&[], json!(4624), &["4624"]);
        check(&["gte"], json!(5), &["n>=5"]);
        check(&["cidr"], json!("10.0.0.0/8"), &["c10.0.0.0/8"]);
        check(&["cidr"], json!("x"), &["'x' is no network in CIDR form"]);
        check(&["re", "i"], json!("a.c"), &["r(?i)a.c"]);
        check(&["exists"], json!(false), &["e0"]);
        check(&["nonsense"], json!(1), &["unknown modifier 'nonsense'"]);
    }

    #[test]
    fn encodings_follow_the_specification() {
        check(&["base64"], json!("foobar"), &["zm9vymfy"]);
        check(
            &["cased", "base64offset", "contains"],
            json!("foobar"),
            &["*Zm9vYmFy*", "*Zvb2Jhc*", "*mb29iYX*"],
        );
        check(&["cased", "utf16le", "base64"], json!("ab"), &["YQBiAA=="]);
        check(&["cased", "utf16", "base64"], json!("a"), &["//5hAA=="]);
        check(&["cased", "utf16be", "base64"], json!("a"), &["AGE="]);
    }

    #[test]
    fn dashes_vary_only_before_words() {
        check(
            &["windash"],
            json!("a -b"),
            &["a -b", "a /b", "a \u{2013}b", "a \u{2014}b", "a \u{2015}b"],
        );
        check(&["windash"], json!("a-b"), &["a-b"]);
    }

    #[test]
    fn placeholders_are_filled() {
        check(&["expand"], json!("x%users%"), &["xann", "xbob*"]);
        check(&["expand"], json!("%none%"), &["-"]);
    }
}
