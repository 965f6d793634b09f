//! One item of a pipeline: a transformation and the conditions under which it is applied.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use watchfloor_event::Logsource;

use crate::detection::DetectionItem;
use crate::near;
use crate::pipeline::condition::{Conditions, FieldCondition, ItemCondition, RuleCondition, regex};
use crate::pipeline::fields::{FieldChange, Letters};
use crate::pipeline::template::Addition;
use crate::pipeline::values::{self, ValueChange};
use crate::pipeline::{MAX_ITEMS, MAX_NESTING, State};
use crate::rule::{self, kind};

/// One item of a pipeline.
#[derive(Debug)]
pub(super) struct PipelineItem {
    /// Empty where it has none.
    pub id: String,
    type_name: String,
    pub transformation: Transformation,
    pub rule_conditions: Conditions<RuleCondition>,
    item_conditions: Conditions<ItemCondition>,
    pub field_conditions: Conditions<FieldCondition>,
}

/// What an item does.
#[derive(Debug)]
pub(super) enum Transformation {
    Field(FieldChange),
    Value(ValueChange),
    Drop,
    ItemFailure {
        message: String,
    },
    RuleFailure {
        message: String,
    },
    AddCondition(Addition),
    ChangeLogsource(Logsource),
    SetState {
        key: String,
        value: Value,
    },
    SetAttribute {
        attribute: String,
        value: Value,
    },
    StrictMapping,
    /// Changes the list of fields that a query returns, which there is none of here.
    OutputFields,
    Nest(Vec<PipelineItem>),
}

/// One text or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Many {
    One(String),
    More(Vec<String>),
}

/// The parameters of each transformation, as they are written.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    FieldNameMapping {
        mapping: BTreeMap<String, Many>,
    },
    FieldNamePrefixMapping {
        mapping: BTreeMap<String, Many>,
    },
    FieldNameSuffix {
        suffix: String,
    },
    FieldNamePrefix {
        prefix: String,
    },
    FieldNameTransform {
        transform_func: String,
        #[serde(default)]
        mapping: BTreeMap<String, Many>,
    },
    DropDetectionItem {},
    HashesFields {
        valid_hash_algos: Vec<String>,
        #[serde(default)]
        field_prefix: String,
        #[serde(default)]
        drop_algo_prefix: bool,
    },
    WildcardPlaceholders {
        include: Option<Vec<String>>,
        exclude: Option<Vec<String>>,
    },
    ValuePlaceholders {
        include: Option<Vec<String>>,
        exclude: Option<Vec<String>>,
    },
    AddCondition {
        #[serde(default)]
        conditions: Map<String, Value>,
        #[serde(default)]
        name: String,
        #[serde(default)]
        template: bool,
        #[serde(default)]
        negated: bool,
    },
    ChangeLogsource {
        category: Option<String>,
        product: Option<String>,
        service: Option<String>,
    },
    ReplaceString {
        regex: String,
        replacement: String,
        #[serde(default)]
        skip_special: bool,
        #[serde(default)]
        interpret_special: bool,
    },
    MapString {
        mapping: BTreeMap<String, Many>,
    },
    SetState {
        key: String,
        #[serde(alias = "value")]
        val: Value,
    },
    Regex {
        #[serde(default)]
        method: Option<String>,
    },
    SetValue {
        value: Value,
        #[serde(default)]
        force_type: Option<String>,
    },
    ConvertType {
        target_type: String,
    },
    SetField {
        #[serde(rename = "fields")]
        _fields: Vec<String>,
    },
    AddField {
        #[serde(rename = "field")]
        _field: Many,
    },
    RemoveField {
        #[serde(rename = "field")]
        _field: Many,
    },
    Nest {
        items: Value,
    },
    Case {
        #[serde(default)]
        method: Option<String>,
    },
    RuleFailure {
        message: String,
    },
    DetectionItemFailure {
        message: String,
    },
    SetCustomAttribute {
        attribute: String,
        value: Value,
    },
    StrictFieldMappingFailure {},
}

/// The words of [`Written`].
const TYPES: [&str; 26] = [
    "field_name_mapping",
    "field_name_prefix_mapping",
    "field_name_suffix",
    "field_name_prefix",
    "field_name_transform",
    "drop_detection_item",
    "hashes_fields",
    "wildcard_placeholders",
    "value_placeholders",
    "add_condition",
    "change_logsource",
    "replace_string",
    "map_string",
    "set_state",
    "regex",
    "set_value",
    "convert_type",
    "set_field",
    "add_field",
    "remove_field",
    "nest",
    "case",
    "rule_failure",
    "detection_item_failure",
    "set_custom_attribute",
    "strict_field_mapping_failure",
];

/// Transformations of pySigma that have no meaning here, and what to write instead.
const ELSEWHERE: [(&str, &str); 4] = [
    (
        "query_expression_placeholders",
        "it writes the text of a query, and rules are evaluated here; use value_placeholders",
    ),
    (
        "file_placeholders",
        "rules are read without access to files; put the values under 'vars' and use value_placeholders",
    ),
    (
        "http_placeholders",
        "rules are read without access to the network; put the values under 'vars' and use value_placeholders",
    ),
    (
        "command_placeholders",
        "rules run no commands; put the values under 'vars' and use value_placeholders",
    ),
];

/// Reads a list of items.
pub(super) fn list(
    value: &Value,
    depth: usize,
    count: &mut usize,
) -> Result<Vec<PipelineItem>, String> {
    if depth > MAX_NESTING {
        return Err(format!("'nest' is nested deeper than {MAX_NESTING}"));
    }
    let items = value.as_array().ok_or_else(|| {
        format!(
            "'transformations' and the 'items' of 'nest' must be lists, not {}",
            kind(value)
        )
    })?;
    *count += items.len();
    if *count > MAX_ITEMS {
        return Err(format!(
            "more than {MAX_ITEMS} transformations; split the pipeline"
        ));
    }
    let read = |(index, value): (usize, &Value)| {
        let shown = || {
            let id = value.get("id").and_then(Value::as_str);
            id.map_or_else(|| format!("number {}", index + 1), |id| format!("'{id}'"))
        };
        one(value, depth, count).map_err(|reason| format!("item {}: {reason}", shown()))
    };
    items.iter().enumerate().map(read).collect()
}

fn one(value: &Value, depth: usize, count: &mut usize) -> Result<PipelineItem, String> {
    let map = value
        .as_object()
        .ok_or_else(|| format!("must be a map with a 'type', not {}", kind(value)))?;
    let mut map = map.clone();
    let type_name = rule::required_text(&map, "type")?;
    let id = rule::required_text(&map, "id")?;
    map.remove("id");
    let rule_conditions = Conditions::take(&mut map, "rule", RuleCondition::read)?;
    let item_conditions = Conditions::take(&mut map, "detection_item", ItemCondition::read)?;
    let field_conditions = Conditions::take(&mut map, "field_name", FieldCondition::read)?;
    if type_name == "field_name_transform" {
        // Keywords have no name to change.
        map.remove("apply_keyword");
    }
    check_type(&type_name)?;
    let written: Written = serde_json::from_value(Value::Object(map))
        .map_err(|error| format!("'{type_name}': {error}; see the guide to rules"))?;
    let transformation =
        checked(written, depth, count).map_err(|reason| format!("'{type_name}': {reason}"))?;
    Ok(PipelineItem {
        id,
        type_name,
        transformation,
        rule_conditions,
        item_conditions,
        field_conditions,
    })
}

fn check_type(word: &str) -> Result<(), String> {
    if let Some((_, mend)) = ELSEWHERE.iter().find(|(name, _)| *name == word) {
        return Err(format!("'{word}' has no meaning here: {mend}"));
    }
    if word.is_empty() {
        return Err(format!(
            "has no 'type'; give it one of {}",
            TYPES.join(", ")
        ));
    }
    if !TYPES.contains(&word) {
        return Err(format!(
            "unknown transformation '{word}'{}; known are {}",
            near::hint(word, TYPES),
            TYPES.join(", ")
        ));
    }
    Ok(())
}

fn checked(written: Written, depth: usize, count: &mut usize) -> Result<Transformation, String> {
    let field = |change| Ok(Transformation::Field(change));
    let value = |change| Ok(Transformation::Value(change));
    match written {
        Written::FieldNameMapping { mapping } => field(FieldChange::Map(names(mapping)?)),
        Written::FieldNamePrefixMapping { mapping } => {
            field(FieldChange::MapPrefix(names(mapping)?))
        }
        Written::FieldNameSuffix { suffix } => field(FieldChange::Suffix(suffix)),
        Written::FieldNamePrefix { prefix } => field(FieldChange::Prefix(prefix)),
        Written::FieldNameTransform {
            transform_func,
            mapping,
        } => field(FieldChange::Letters(
            letters(&transform_func)?,
            names(mapping)?,
        )),
        Written::DropDetectionItem {} => Ok(Transformation::Drop),
        Written::HashesFields {
            valid_hash_algos,
            field_prefix,
            drop_algo_prefix,
        } => value(ValueChange::hashes(
            valid_hash_algos,
            field_prefix,
            drop_algo_prefix,
        )?),
        Written::WildcardPlaceholders { include, exclude } => value(ValueChange::Placeholders(
            values::Names::of(include, exclude)?,
            values::Fill::Wildcard,
        )),
        Written::ValuePlaceholders { include, exclude } => value(ValueChange::Placeholders(
            values::Names::of(include, exclude)?,
            values::Fill::Vars,
        )),
        Written::ReplaceString {
            regex: pattern,
            replacement,
            skip_special,
            interpret_special,
        } => value(ValueChange::Replace {
            regex: regex(&pattern, false)?,
            replacement: values::replacement(&replacement),
            skip_special,
            interpret_special,
        }),
        Written::MapString { mapping } => value(ValueChange::Map(many(mapping))),
        Written::Regex { method } => value(ValueChange::regex(method.as_deref())?),
        Written::SetValue {
            value: new,
            force_type,
        } => value(ValueChange::set(new, force_type.as_deref())?),
        Written::ConvertType { target_type } => value(ValueChange::convert(&target_type)?),
        Written::Case { method } => value(ValueChange::Case(letters(
            method.as_deref().unwrap_or("lower"),
        )?)),
        other => checked_rule(other, depth, count),
    }
}

/// The transformations that act on the rule as a whole.
fn checked_rule(
    written: Written,
    depth: usize,
    count: &mut usize,
) -> Result<Transformation, String> {
    let lower = |text: Option<String>| text.map(|text| text.to_lowercase());
    Ok(match written {
        Written::AddCondition {
            conditions,
            name,
            template,
            negated,
        } => {
            if conditions.is_empty() {
                return Err("needs 'conditions', a map of fields to values".to_owned());
            }
            Transformation::AddCondition(Addition {
                conditions,
                name,
                template,
                negated,
            })
        }
        Written::ChangeLogsource {
            category,
            product,
            service,
        } => Transformation::ChangeLogsource(Logsource {
            category: lower(category),
            product: lower(product),
            service: lower(service),
        }),
        Written::SetState { key, val } => Transformation::SetState { key, value: val },
        Written::SetField { .. } | Written::AddField { .. } | Written::RemoveField { .. } => {
            Transformation::OutputFields
        }
        Written::Nest { items } => Transformation::Nest(list(&items, depth + 1, count)?),
        Written::RuleFailure { message } => Transformation::RuleFailure { message },
        Written::DetectionItemFailure { message } => Transformation::ItemFailure { message },
        Written::SetCustomAttribute { attribute, value } => {
            Transformation::SetAttribute { attribute, value }
        }
        Written::StrictFieldMappingFailure {} => Transformation::StrictMapping,
        _ => return Err("is read elsewhere".to_owned()),
    })
}

fn many(mapping: BTreeMap<String, Many>) -> BTreeMap<String, Vec<String>> {
    let list = |many| match many {
        Many::One(one) => vec![one],
        Many::More(more) => more,
    };
    mapping
        .into_iter()
        .map(|(from, to)| (from, list(to)))
        .collect()
}

fn names(mapping: BTreeMap<String, Many>) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mapping = many(mapping);
    match mapping.iter().find(|(_, to)| to.is_empty()) {
        Some((from, _)) => Err(format!(
            "maps '{from}' to no field; give it one, or use drop_detection_item"
        )),
        None => Ok(mapping),
    }
}

fn letters(word: &str) -> Result<Letters, String> {
    let found = Letters::ALL.into_iter().find(|(name, _)| *name == word);
    found.map(|(_, letters)| letters).ok_or_else(|| {
        let words = Letters::ALL.map(|(name, _)| name);
        format!("'{word}' is none of {}", words.join(", "))
    })
}

impl PipelineItem {
    /// Its id, or its type where it has none.
    pub(super) fn shown(&self) -> &str {
        if self.id.is_empty() {
            &self.type_name
        } else {
            &self.id
        }
    }

    /// Whether a detection item meets the conditions on items and field names.
    pub(super) fn meets(&self, item: &DetectionItem, state: &State<'_>) -> bool {
        self.item_conditions.hold(|one| one.of_item(item, state))
            && self.field_conditions.hold(|one| one.of_item(item, state))
    }
}
