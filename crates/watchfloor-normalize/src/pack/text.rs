//! The YAML form of a pack, as it is written.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::PackError;

/// Longest pack text, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PackText {
    pub(super) product: String,
    pub(super) title: String,
    pub(super) versions: String,
    pub(super) documentation: Vec<String>,
    #[serde(default = "usual_order")]
    pub(super) order: i32,
    /// Any of these must hold for every kind of the pack.
    #[serde(default)]
    pub(super) recognize: Vec<Ordered<TestText>>,
    /// The status of kinds that say nothing of it.
    #[serde(default)]
    pub(super) status: ChoiceText,
    /// Field maps that kinds include.
    #[serde(default)]
    pub(super) sets: Ordered<Ordered<TargetsText>>,
    pub(super) kinds: Vec<KindText>,
}

fn usual_order() -> i32 {
    100
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KindText {
    pub(super) name: String,
    pub(super) product: Option<String>,
    #[serde(default)]
    pub(super) when: OneOrMany<Ordered<TestText>>,
    /// Expressions of which one must match; the first that does gives its fields.
    #[serde(rename = "match", default)]
    pub(super) matching: OneOrMany<MatchText>,
    pub(super) key_values: Option<String>,
    /// What draws fields out of fields once the kind is known, in this order.
    #[serde(default)]
    pub(super) extract: Vec<ExtractText>,
    #[serde(default = "base_event")]
    pub(super) class: String,
    #[serde(default)]
    pub(super) activity: ChoiceText,
    #[serde(default)]
    pub(super) severity: ChoiceText,
    pub(super) status: Option<ChoiceText>,
    #[serde(default)]
    pub(super) logsources: Vec<String>,
    #[serde(default)]
    pub(super) time: Vec<TimeText>,
    /// Whether that time goes before the one of the syslog header.
    #[serde(default)]
    pub(super) prefer_time: bool,
    #[serde(default)]
    pub(super) include: Vec<String>,
    #[serde(default)]
    pub(super) fields: Ordered<TargetsText>,
    #[serde(default)]
    pub(super) join: Vec<JoinText>,
    #[serde(default)]
    pub(super) set: Ordered<Scalar>,
}

fn base_event() -> String {
    "base_event".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MatchText {
    #[serde(default = "message")]
    pub(super) field: String,
    pub(super) regex: Option<String>,
    pub(super) grok: Option<String>,
}

fn message() -> String {
    "message".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExtractText {
    /// csv, key_values, json, xml, cef, leef, syslog, regex, grok.
    #[serde(rename = "as")]
    pub(super) form: String,
    #[serde(default = "message")]
    pub(super) field: String,
    pub(super) separator: Option<char>,
    pub(super) assign: Option<char>,
    #[serde(default)]
    pub(super) columns: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) grok: Option<String>,
}

/// Where the time stands: a field, or several that are put together, and in which form.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum TimeText {
    Field(String),
    Named(Box<NamedTime>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedTime {
    pub(super) field: Option<String>,
    #[serde(default)]
    pub(super) join: Vec<String>,
    /// Patterns of `strptime`, tried in this order before the usual forms.
    #[serde(default)]
    pub(super) format: OneOrMany<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct JoinText {
    pub(super) from: Vec<String>,
    #[serde(default)]
    pub(super) with: String,
    pub(super) to: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ChoiceText {
    Fixed(i32),
    Mapped {
        field: OneOrMany<String>,
        map: Ordered<i32>,
        #[serde(default)]
        default: i32,
    },
}

impl Default for ChoiceText {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum TestText {
    Named(Box<NamedTest>),
    Many(Vec<Scalar>),
    One(Scalar),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamedTest {
    pub(super) exists: Option<bool>,
    pub(super) prefix: Option<OneOrMany<Scalar>>,
    pub(super) suffix: Option<OneOrMany<Scalar>>,
    pub(super) contains: Option<OneOrMany<Scalar>>,
    pub(super) regex: Option<String>,
    pub(super) not: Option<OneOrMany<Scalar>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum TargetsText {
    Path(String),
    One(Box<TargetText>),
    Many(Vec<TargetOrPath>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum TargetOrPath {
    Path(String),
    One(Box<TargetText>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetText {
    pub(super) to: String,
    #[serde(rename = "as", default)]
    pub(super) convert: OneOrMany<String>,
    pub(super) map: Option<Ordered<Scalar>>,
    pub(super) default: Option<Scalar>,
}

/// One value or a list of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    Many(Vec<T>),
    One(T),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(many) => many,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

/// A scalar of any type, as text.
#[derive(Clone, Debug)]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number or truth value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Scalar, E> {
        Ok(Scalar(truth.to_string()))
    }
}

/// A YAML mapping in the order in which it is written: the first of two maps to one
/// attribute wins, so order carries meaning.
#[derive(Clone, Debug)]
pub(super) struct Ordered<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Ordered<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OrderedVisitor(PhantomData))
    }
}

struct OrderedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrderedVisitor<T> {
    type Value = Ordered<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((Scalar(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(Ordered(entries))
    }
}

pub(super) fn parse(path: &str, text: &str) -> Result<PackText, PackError> {
    let error = |line, reason: String| PackError {
        path: path.to_owned(),
        line,
        reason,
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(0, format!("longer than {TEXT_BYTES_MAX} bytes")));
    }
    serde_saphyr::from_str(text).map_err(|fault| {
        let line = fault.location().map_or(0, |location| location.line());
        let shown = fault.to_string();
        error(line, shown.lines().next().unwrap_or("not valid").to_owned())
    })
}
