//! Conditions of pipeline items: on rules, on detection items, on field names.
//!
//! # Source
//! pySigma documentation, "Conditions".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use watchfloor_event::{FindingLevel, Logsource};

use crate::condition as expression;
use crate::detection::DetectionItem;
use crate::expr::{Expr, Leaf};
use crate::matcher::Matcher;
use crate::modifiers::written;
use crate::pattern::{Part, Pattern};
use crate::pipeline::{MAX_REGEX_BYTES, State, Subject, values};
use crate::rule::{self, kind};

/// Statuses, the least mature first.
const STATUSES: [&str; 5] = [
    "unsupported",
    "deprecated",
    "experimental",
    "test",
    "stable",
];

/// Conditions of one kind and how they are linked.
#[derive(Debug)]
pub(super) struct Conditions<C> {
    conditions: BTreeMap<String, C>,
    link: Link,
    negated: bool,
}

#[derive(Debug)]
enum Link {
    All,
    Any,
    /// Over the names of conditions.
    Expression(Expr),
}

/// An order or membership between an attribute or a state and a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Op {
    #[default]
    Eq,
    Ne,
    Gte,
    Gt,
    Lte,
    Lt,
    In,
    NotIn,
}

/// How many of an item's values must meet a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Quantity {
    #[default]
    Any,
    All,
}

/// A condition on the whole rule.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RuleCondition {
    Logsource {
        category: Option<String>,
        product: Option<String>,
        service: Option<String>,
    },
    ContainsDetectionItem {
        field: String,
        value: Value,
    },
    ContainsField {
        field: String,
    },
    ProcessingItemApplied {
        processing_item_id: String,
    },
    ProcessingState {
        key: String,
        val: Value,
        #[serde(default)]
        op: Op,
    },
    IsSigmaRule {},
    IsSigmaCorrelationRule {},
    RuleAttribute {
        attribute: String,
        value: Value,
        #[serde(default)]
        op: Op,
    },
    Tag {
        tag: String,
    },
    Taxonomy {
        taxonomy: String,
    },
}

/// A condition on an item of a detection.
#[derive(Debug)]
pub(super) enum ItemCondition {
    MatchString {
        regex: regex::Regex,
        quantity: Quantity,
        negated: bool,
    },
    MatchValue {
        value: Value,
        quantity: Quantity,
    },
    ContainsWildcard(Quantity),
    IsNull(Quantity),
    Applied(String),
    State {
        key: String,
        val: Value,
        op: Op,
    },
}

/// A condition on a field name.
#[derive(Debug)]
pub(super) enum FieldCondition {
    Names { names: FieldNames, include: bool },
    Applied(String),
    State { key: String, val: Value, op: Op },
}

#[derive(Debug)]
pub(super) enum FieldNames {
    Plain(Vec<String>),
    Patterns(Vec<regex::Regex>),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum WrittenItem {
    MatchString {
        pattern: String,
        #[serde(default)]
        cond: Quantity,
        #[serde(default)]
        negate: bool,
    },
    MatchValue {
        value: Value,
        #[serde(default)]
        cond: Quantity,
    },
    ContainsWildcard {
        #[serde(default)]
        cond: Quantity,
    },
    IsNull {
        #[serde(default)]
        cond: Quantity,
    },
    ProcessingItemApplied {
        processing_item_id: String,
    },
    ProcessingState {
        key: String,
        val: Value,
        #[serde(default)]
        op: Op,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum WrittenField {
    IncludeFields {
        fields: Vec<String>,
        #[serde(default)]
        mode: Option<String>,
    },
    ExcludeFields {
        fields: Vec<String>,
        #[serde(default)]
        mode: Option<String>,
    },
    ProcessingItemApplied {
        processing_item_id: String,
    },
    ProcessingState {
        key: String,
        val: Value,
        #[serde(default)]
        op: Op,
    },
}

/// A regular expression of a pipeline; `anchored` has it start where the text starts.
pub(super) fn regex(pattern: &str, anchored: bool) -> Result<regex::Regex, String> {
    let whole = if anchored {
        format!("^(?:{pattern})")
    } else {
        pattern.to_owned()
    };
    regex::RegexBuilder::new(&whole)
        .size_limit(MAX_REGEX_BYTES)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            format!("regular expression '{pattern}' cannot be used: {last}; write it without look-around and back references")
        })
}

impl<C> Conditions<C> {
    /// Takes the conditions of one kind out of a pipeline item.
    pub(super) fn take(
        map: &mut Map<String, Value>,
        prefix: &str,
        read: impl Fn(Value) -> Result<C, String>,
    ) -> Result<Self, String> {
        let mut taken = |name: String| map.remove(&name).filter(|value| !value.is_null());
        let list = taken(format!("{prefix}_conditions"));
        let op = taken(format!("{prefix}_cond_op"));
        let negated = taken(format!("{prefix}_cond_not"));
        let expression = taken(format!("{prefix}_cond_expression"));
        let expression = expression.or_else(|| taken(format!("{prefix}_cond_expr")));
        let conditions = named_conditions(list, prefix, read)?;
        let link = match (op, expression) {
            (Some(_), Some(_)) => {
                return Err(format!(
                    "has both '{prefix}_cond_op' and '{prefix}_cond_expr'; keep one"
                ));
            }
            (None, None) => Link::All,
            (Some(Value::String(word)), None) if word == "and" => Link::All,
            (Some(Value::String(word)), None) if word == "or" => Link::Any,
            (Some(other), None) => {
                return Err(format!("'{prefix}_cond_op' must be and or or, not {other}"));
            }
            (None, Some(text)) => Link::Expression(names_expression(&text, &conditions)?),
        };
        let negated = match negated {
            None => false,
            Some(Value::Bool(negated)) => negated,
            Some(other) => {
                return Err(format!(
                    "'{prefix}_cond_not' must be true or false, not {other}"
                ));
            }
        };
        Ok(Self {
            conditions,
            link,
            negated,
        })
    }

    /// Whether the conditions hold, `holds` telling it of each. No conditions hold.
    pub(super) fn hold(&self, holds: impl Fn(&C) -> bool) -> bool {
        if self.conditions.is_empty() {
            return true;
        }
        let linked = match &self.link {
            Link::All => self.conditions.values().all(holds),
            Link::Any => self.conditions.values().any(holds),
            Link::Expression(expr) => {
                holds_expr(expr, &|name| self.conditions.get(name).is_some_and(&holds))
            }
        };
        linked != self.negated
    }
}

fn named_conditions<C>(
    list: Option<Value>,
    prefix: &str,
    read: impl Fn(Value) -> Result<C, String>,
) -> Result<BTreeMap<String, C>, String> {
    let named: Vec<(String, Value)> = match list {
        None => Vec::new(),
        Some(Value::Array(list)) => list
            .into_iter()
            .enumerate()
            .map(|(index, value)| (format!("number {}", index + 1), value))
            .collect(),
        Some(Value::Object(map)) => map.into_iter().collect(),
        Some(other) => {
            return Err(format!(
                "'{prefix}_conditions' must be a list, or a map of names to conditions, not {}",
                kind(&other)
            ));
        }
    };
    named
        .into_iter()
        .map(|(name, value)| {
            let condition =
                read(value).map_err(|reason| format!("'{prefix}_conditions' {name}: {reason}"))?;
            Ok((name, condition))
        })
        .collect()
}

fn names_expression<C>(text: &Value, conditions: &BTreeMap<String, C>) -> Result<Expr, String> {
    let text = text
        .as_str()
        .ok_or_else(|| format!("an expression of conditions must be a text, not {text}"))?;
    let leaf = |name: &String| {
        let leaf = Leaf {
            selection: name.clone(),
            field: None,
            matcher: Matcher::Never,
            written: String::new(),
        };
        (name.clone(), Expr::Leaf(Box::new(leaf)))
    };
    expression::parse(text, &conditions.keys().map(leaf).collect())
}

fn holds_expr(expr: &Expr, holds: &impl Fn(&str) -> bool) -> bool {
    match expr {
        Expr::And(items) => items.iter().all(|item| holds_expr(item, holds)),
        Expr::Or(items) => items.iter().any(|item| holds_expr(item, holds)),
        Expr::Not(item) => !holds_expr(item, holds),
        Expr::Leaf(leaf) => holds(&leaf.selection),
    }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    if !value.is_object() {
        return Err(format!("must be a map with a 'type', not {}", kind(&value)));
    }
    serde_json::from_value(value).map_err(|error| error.to_string().replace('`', "'"))
}

impl RuleCondition {
    pub(super) fn read(value: Value) -> Result<Self, String> {
        read(value)
    }

    /// Whether a rule meets it.
    pub(super) fn of_rule(&self, subject: &Subject<'_>, state: &State<'_>) -> bool {
        let items = || {
            let detection = subject.detection.as_ref();
            detection
                .map(|detection| detection.items())
                .unwrap_or_default()
        };
        match self {
            Self::Logsource {
                category,
                product,
                service,
            } => {
                let agrees = |wanted: &Option<String>, has: &Option<String>| {
                    wanted.as_ref().is_none_or(|wanted| {
                        has.as_ref()
                            .is_some_and(|has| wanted.eq_ignore_ascii_case(has))
                    })
                };
                let meets = |source: &Logsource| {
                    agrees(category, &source.category)
                        && agrees(product, &source.product)
                        && agrees(service, &source.service)
                };
                if subject.detection.is_some() {
                    meets(&subject.logsource)
                } else {
                    subject.rests_on.iter().any(meets)
                }
            }
            Self::ContainsDetectionItem { field, value } => items().iter().any(|item| {
                item.field.as_ref() == Some(field)
                    && item.values.iter().any(|one| equal(one, value))
            }),
            Self::ContainsField { field } => items()
                .iter()
                .any(|item| item.field.as_ref() == Some(field)),
            Self::ProcessingItemApplied { processing_item_id } => {
                state.applied.contains(processing_item_id)
            }
            Self::ProcessingState { key, val, op } => of_state(state, key, val, *op),
            Self::IsSigmaRule {} => subject.detection.is_some(),
            Self::IsSigmaCorrelationRule {} => subject.detection.is_none(),
            Self::RuleAttribute {
                attribute,
                value,
                op,
            } => {
                let custom = state.attributes.get(attribute);
                let has = custom.or_else(|| subject.document.get(attribute));
                has.is_some_and(|has| of_attribute(attribute, has, value, *op))
            }
            Self::Tag { tag } => subject.meta.tags.iter().any(|one| one == tag),
            Self::Taxonomy { taxonomy } => {
                let written = rule::text(subject.document, "taxonomy");
                let has = if written.is_empty() {
                    "sigma"
                } else {
                    &written
                };
                has == taxonomy
            }
        }
    }
}

fn equal(left: &Value, right: &Value) -> bool {
    left.is_null() == right.is_null() && written(left) == written(right)
}

fn of_state(state: &State<'_>, key: &str, val: &Value, op: Op) -> bool {
    let Some(has) = state.values.get(key) else {
        return false;
    };
    compared(has, val, op)
}

fn compared(has: &Value, wanted: &Value, op: Op) -> bool {
    let order = match (has.as_f64(), wanted.as_f64()) {
        (Some(has), Some(wanted)) => has.partial_cmp(&wanted),
        _ => Some(written(has).cmp(&written(wanted))),
    };
    match op {
        Op::Eq | Op::In => equal(has, wanted),
        Op::Ne | Op::NotIn => !equal(has, wanted),
        Op::Gte => order.is_some_and(|order| order.is_ge()),
        Op::Gt => order.is_some_and(|order| order.is_gt()),
        Op::Lte => order.is_some_and(|order| order.is_le()),
        Op::Lt => order.is_some_and(|order| order.is_lt()),
    }
}

fn of_attribute(attribute: &str, has: &Value, wanted: &Value, op: Op) -> bool {
    if let Value::Array(list) = has {
        let holds = list.iter().any(|one| equal(one, wanted));
        return match op {
            Op::In => holds,
            Op::NotIn => !holds,
            Op::Ne => true,
            Op::Eq | Op::Gte | Op::Gt | Op::Lte | Op::Lt => false,
        };
    }
    let rank = |value: &Value| -> Option<Value> {
        let word = written(value).to_lowercase();
        let rank = match attribute {
            "level" => FindingLevel::parse(&word).map(|level| level as usize),
            "status" => STATUSES.iter().position(|status| *status == word),
            "date" | "modified" => return Some(Value::String(word.replace('/', "-"))),
            _ => None,
        };
        rank.map(Value::from)
    };
    match (rank(has), rank(wanted)) {
        (Some(has), Some(wanted)) => compared(&has, &wanted, op),
        _ => compared(has, wanted, op),
    }
}

impl ItemCondition {
    pub(super) fn read(value: Value) -> Result<Self, String> {
        Ok(match read(value)? {
            WrittenItem::MatchString {
                pattern,
                cond,
                negate,
            } => Self::MatchString {
                regex: regex(&pattern, true)?,
                quantity: cond,
                negated: negate,
            },
            WrittenItem::MatchValue { value, cond } => Self::MatchValue {
                value,
                quantity: cond,
            },
            WrittenItem::ContainsWildcard { cond } => Self::ContainsWildcard(cond),
            WrittenItem::IsNull { cond } => Self::IsNull(cond),
            WrittenItem::ProcessingItemApplied { processing_item_id } => {
                Self::Applied(processing_item_id)
            }
            WrittenItem::ProcessingState { key, val, op } => Self::State { key, val, op },
        })
    }

    /// Whether an item meets it.
    pub(super) fn of_item(&self, item: &DetectionItem, state: &State<'_>) -> bool {
        let met = |quantity: Quantity, holds: &dyn Fn(&Value) -> bool| match quantity {
            Quantity::Any => item.values.iter().any(holds),
            Quantity::All => item.values.iter().all(holds),
        };
        match self {
            Self::MatchString {
                regex,
                quantity,
                negated,
            } => met(*quantity, &|value| {
                let text = values::is_text(item).then(|| value.as_str()).flatten();
                let meets = text.is_some_and(|text| {
                    regex.is_match(&values::plain(&values::placed(item, text)))
                });
                meets != *negated
            }),
            Self::MatchValue { value, quantity } => met(*quantity, &|one| equal(one, value)),
            Self::ContainsWildcard(quantity) => met(*quantity, &|value| {
                let text = values::is_text(item).then(|| value.as_str()).flatten();
                text.is_some_and(|text| {
                    let pattern: Pattern = values::placed(item, text);
                    let is_wildcard = |part: &Part| !matches!(part, Part::Literal(_));
                    pattern.parts().iter().any(is_wildcard)
                })
            }),
            Self::IsNull(quantity) => met(*quantity, &Value::is_null),
            Self::Applied(id) => item.applied.contains(id),
            Self::State { key, val, op } => of_state(state, key, val, *op),
        }
    }
}

impl FieldCondition {
    pub(super) fn read(value: Value) -> Result<Self, String> {
        let names = |fields: Vec<String>, mode: Option<String>, include| {
            let names = match mode.as_deref() {
                None | Some("plain") => FieldNames::Plain(fields),
                Some("re") => {
                    let patterns: Result<_, String> =
                        fields.iter().map(|field| regex(field, true)).collect();
                    FieldNames::Patterns(patterns?)
                }
                Some(other) => {
                    return Err(format!("'mode' must be plain or re, not '{other}'"));
                }
            };
            Ok(Self::Names { names, include })
        };
        match read(value)? {
            WrittenField::IncludeFields { fields, mode } => names(fields, mode, true),
            WrittenField::ExcludeFields { fields, mode } => names(fields, mode, false),
            WrittenField::ProcessingItemApplied { processing_item_id } => {
                Ok(Self::Applied(processing_item_id))
            }
            WrittenField::ProcessingState { key, val, op } => Ok(Self::State { key, val, op }),
        }
    }

    /// Whether the field of an item meets it.
    pub(super) fn of_item(&self, item: &DetectionItem, state: &State<'_>) -> bool {
        match self {
            Self::Applied(id) => item.applied.contains(id),
            Self::Names { .. } | Self::State { .. } => self.of_field(item.field.as_deref(), state),
        }
    }

    /// Whether a field of a correlation or of a reference meets it.
    pub(super) fn of_field(&self, field: Option<&str>, state: &State<'_>) -> bool {
        match self {
            Self::Names { names, include } => {
                let named = field.is_some_and(|field| match names {
                    FieldNames::Plain(names) => names.iter().any(|name| name == field),
                    FieldNames::Patterns(patterns) => {
                        patterns.iter().any(|pattern| pattern.is_match(field))
                    }
                });
                named == *include
            }
            Self::Applied(id) => field
                .and_then(|field| state.fields.get(field))
                .is_some_and(|applied| applied.contains(id)),
            Self::State { key, val, op } => of_state(state, key, val, *op),
        }
    }
}
