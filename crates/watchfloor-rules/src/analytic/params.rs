//! Parameters of analytics: each with a default or demanded, in range, and none unknown.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::correlation::{known_keys, timespan};
use crate::rule::{kind, required_text, texts};

/// The parameters of one analytic.
pub(super) struct Params<'a> {
    body: &'a Map<String, Value>,
    word: &'a str,
    known: Vec<&'static str>,
}

impl<'a> Params<'a> {
    pub(super) fn of(body: &'a Map<String, Value>, word: &'a str) -> Self {
        Self {
            body,
            word,
            known: Vec::new(),
        }
    }

    /// Keys that are read elsewhere.
    pub(super) fn take(&mut self, keys: &[&'static str]) {
        self.known.extend(keys);
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<String, String> {
        self.known.push(key);
        required_text(self.body, key)
    }

    /// One field or several, which must be there.
    pub(super) fn fields(&mut self, key: &'static str) -> Result<Vec<String>, String> {
        let fields = self.fields_or(key, &[])?;
        if fields.is_empty() {
            return Err(format!("analytic type '{}' needs '{key}'", self.word));
        }
        Ok(fields)
    }

    /// One field or several.
    pub(super) fn fields_or(
        &mut self,
        key: &'static str,
        default: &[&str],
    ) -> Result<Vec<String>, String> {
        self.known.push(key);
        let fields = texts(self.body, key)?;
        if fields.iter().any(String::is_empty) {
            return Err(format!("'{key}' names a field without a name"));
        }
        Ok(if fields.is_empty() {
            default.iter().map(|field| (*field).to_owned()).collect()
        } else {
            fields
        })
    }

    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> Result<f64, String> {
        self.known.push(key);
        let value = match self.body.get(key) {
            None | Some(Value::Null) => return Ok(default),
            Some(value) => value,
        };
        value
            .as_f64()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                format!(
                    "'{key}' must be a number from {} to {}, not {}",
                    range.start(),
                    range.end(),
                    shown(value)
                )
            })
    }

    pub(super) fn whole(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, String> {
        self.known.push(key);
        let value = match self.body.get(key) {
            None | Some(Value::Null) => return Ok(default),
            Some(value) => value,
        };
        value
            .as_u64()
            .filter(|number| range.contains(number))
            .ok_or_else(|| {
                format!(
                    "'{key}' must be a whole number from {} to {}, not {}",
                    range.start(),
                    range.end(),
                    shown(value)
                )
            })
    }

    /// A span of time such as `10m`; the default is in seconds.
    pub(super) fn span(&mut self, key: &'static str, default: u64) -> Result<Duration, String> {
        self.known.push(key);
        let text = required_text(self.body, key)?;
        if text.is_empty() {
            return Ok(Duration::from_secs(default));
        }
        timespan(&text).map_err(|reason| format!("'{key}': {reason}"))
    }

    /// Refuses what nobody has asked for.
    pub(super) fn finish(&self) -> Result<(), String> {
        let what = format!("analytic of type {}", self.word);
        known_keys(self.body, &self.known, &what)
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => kind(other).to_owned(),
    }
}
