//! Variables: their names, types and values, and texts that use them.
//!
//! # Source
//! CACAO 2.0, section 10.18.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

/// Longest name with its underscores.
const NAME_BYTES_MAX: usize = 250;
/// Longest value in bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Longest text that comes of filling in values, in bytes.
const FILLED_BYTES_MAX: usize = 256 * 1024;
/// What follows a name where its value is meant.
const USE: &str = ":value";

/// A variable as it is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Word of `variable-type-ov`.
    pub kind: String,
    /// What it is for.
    pub description: String,
    /// First value; `None` for unknown.
    pub value: Option<String>,
    /// It never changes.
    pub is_constant: bool,
    /// Its value is given from outside when a run begins.
    pub is_external: bool,
}

/// Values by name; `None` for unknown.
pub type Values = BTreeMap<String, Option<String>>;

/// Whether a text is a name of a variable: `__` around letters, digits, `_` and `-`, the first a
/// letter or `_`.
pub fn is_variable_name(text: &str) -> bool {
    let inner = text
        .strip_prefix("__")
        .and_then(|rest| rest.strip_suffix("__"));
    inner.is_some_and(|inner| {
        text.len() <= NAME_BYTES_MAX
            && inner.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && inner
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    })
}

/// The next use of a variable in a text: first byte, byte after, name.
fn next_use(text: &str, from: usize) -> Option<(usize, usize, &str)> {
    let mut at = from;
    loop {
        let end = at + text.get(at..)?.find(USE)?;
        let before = text.get(from..end)?;
        // The longest name that ends here; a name may itself hold underscores.
        let starts = before.match_indices("__").map(|(start, _)| from + start);
        for start in starts {
            let name = text.get(start..end)?;
            if is_variable_name(name) {
                return Some((start, end + USE.len(), name));
            }
        }
        at = end + USE.len();
    }
}

/// Names of the variables whose values a text uses.
pub fn names_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some((_, end, name)) = next_use(text, at) {
        found.insert(name.to_owned());
        at = end;
    }
    found
}

/// Puts values in the places of their names. A value is text and is never looked at again: a
/// value that looks like a name stays what it is.
///
/// # Errors
/// The name of a variable that has no value, or why the text became too long.
pub fn fill(text: &str, value_of: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some((start, end, name)) = next_use(text, at) {
        out.push_str(text.get(at..start).unwrap_or_default());
        let value = value_of(name).ok_or_else(|| {
            format!("variable {name} has no value; give it one when the run begins, or let a step before set it")
        })?;
        out.push_str(&value);
        if out.len() > FILLED_BYTES_MAX {
            return Err(format!(
                "the text is longer than {FILLED_BYTES_MAX} bytes with its values"
            ));
        }
        at = end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

/// Checks a value against the type of its variable. A type that the vocabulary does not know
/// takes any value.
///
/// # Errors
/// What would do instead.
pub fn check_value(kind: &str, value: &str) -> Result<(), String> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(format!("is longer than {VALUE_BYTES_MAX} bytes"));
    }
    let is_hex = |length: usize| {
        (length == 0 || value.len() == length) && value.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let (is_right, expected) = match kind {
        "bool" => (matches!(value, "true" | "false"), "true or false"),
        "integer" | "long" => (value.parse::<i64>().is_ok(), "a whole number"),
        "float" => (value.parse::<f64>().is_ok_and(f64::is_finite), "a number"),
        "ipv4-addr" => (is_network::<std::net::Ipv4Addr>(value), "an IPv4 address"),
        "ipv6-addr" => (is_network::<std::net::Ipv6Addr>(value), "an IPv6 address"),
        "mac-addr" => {
            let parts: Vec<_> = value.split([':', '-']).collect();
            let is_byte = |part: &&str| part.len() == 2 && u8::from_str_radix(part, 16).is_ok();
            (
                parts.len() == 6 && parts.iter().all(is_byte),
                "six bytes such as 02:00:5e:10:00:01",
            )
        }
        "hexstring" => (is_hex(0), "hexadecimal digits"),
        "hash" => (is_hex(0) && !value.is_empty(), "hexadecimal digits"),
        "md5-hash" => (is_hex(32), "32 hexadecimal digits"),
        "sha256-hash" => (is_hex(64), "64 hexadecimal digits"),
        "uuid" => (is_uuid(value), "a UUID"),
        "uri" => (value.contains(':'), "a URI"),
        "date-time" => (value.parse::<Timestamp>().is_ok(), "a time as in RFC 3339"),
        "dictionary" => (
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(value).is_ok(),
            "a JSON object",
        ),
        _ => (true, ""),
    };
    let shown: String = value.chars().take(80).collect();
    is_right
        .then_some(())
        .ok_or_else(|| format!("'{shown}' is not {expected}"))
}

fn is_network<A: std::str::FromStr>(value: &str) -> bool {
    let (address, bits) = value.split_once('/').unwrap_or((value, "0"));
    address.parse::<A>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let parts: Vec<_> = text.split('-').collect();
    parts.len() == lengths.len()
        && parts.iter().zip(lengths).all(|(part, length)| {
            part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        fill(text, |name| match name {
            "__host__" => Some("ws-1; rm -rf / __user__:value".to_owned()),
            "__a__b__" => Some("long".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn values_stay_text() {
        assert_eq!(
            filled("on __host__:value!").unwrap(),
            "on ws-1; rm -rf / __user__:value!"
        );
        assert_eq!(filled("x__a__b__:value").unwrap(), "xlong");
        assert_eq!(
            filled("__host__ alone, :value alone").unwrap(),
            "__host__ alone, :value alone"
        );
        assert!(filled("__user__:value").unwrap_err().contains("__user__"));
    }

    #[test]
    fn names() {
        for (text, expected) in [
            ("__a__", true),
            ("__a-b_c__", true),
            ("__1__", false),
            ("____", false),
            ("_a_", false),
            ("__a b__", false),
        ] {
            assert_eq!(is_variable_name(text), expected, "{text}");
        }
        let found: Vec<_> = names_in("__a__:value and __b__:value, __c__")
            .into_iter()
            .collect();
        assert_eq!(found, ["__a__", "__b__"]);
    }

    #[test]
    fn types() {
        for (kind, good, bad) in [
            ("ipv4-addr", "10.0.0.0/8", "10.0.0"),
            ("ipv6-addr", "2001:db8::1", "10.0.0.1"),
            ("bool", "true", "yes"),
            ("integer", "-7", "7.5"),
            ("md5-hash", "d41d8cd98f00b204e9800998ecf8427e", "d41d"),
            ("mac-addr", "02:00:5e:10:00:01", "02:00"),
            ("uuid", "0d4a2b0e-43a0-4b02-8c40-6f2b7d1b7a11", "x"),
            ("dictionary", "{}", "[]"),
        ] {
            assert!(check_value(kind, good).is_ok(), "{kind} {good}");
            assert!(check_value(kind, bad).is_err(), "{kind} {bad}");
        }
        assert!(check_value("something-else", "anything").is_ok());
    }
}
