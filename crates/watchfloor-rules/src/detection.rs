//! The `detection` part of a rule: named selections and a condition.
//!
//! # Source
//! Sigma specification 2.1, "Detection".

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::condition;
use crate::expr::Expr;
use crate::modifiers::{self, Item, Placeholders};

/// Reads selections and condition into one expression.
pub(crate) fn parse(
    detection: &Map<String, Value>,
    placeholders: &Placeholders,
    unresolved: &mut Vec<String>,
) -> Result<Expr, String> {
    let mut selections = BTreeMap::new();
    for (name, body) in detection {
        if name == "condition" || name == "timeframe" {
            continue;
        }
        let mut reader = Reader {
            selection: name,
            placeholders,
            unresolved,
        };
        let expr = reader
            .selection(body)
            .map_err(|reason| format!("selection '{name}': {reason}"))?;
        selections.insert(name.clone(), expr);
    }
    let conditions = conditions(detection.get("condition"))?;
    let mut exprs = Vec::with_capacity(conditions.len());
    for text in conditions {
        exprs.push(condition::parse(text, &selections)?);
    }
    Ok(if exprs.len() == 1 {
        exprs.remove(0)
    } else {
        Expr::Or(exprs)
    })
}

fn conditions(value: Option<&Value>) -> Result<Vec<&str>, String> {
    match value {
        Some(Value::String(text)) => Ok(vec![text]),
        Some(Value::Array(texts)) if !texts.is_empty() => texts
            .iter()
            .map(|text| {
                text.as_str()
                    .ok_or_else(|| "a condition must be a text".to_owned())
            })
            .collect(),
        Some(_) => Err("the condition must be a text or a list of texts".to_owned()),
        None => Err("detection has no condition".to_owned()),
    }
}

struct Reader<'a> {
    selection: &'a str,
    placeholders: &'a Placeholders,
    unresolved: &'a mut Vec<String>,
}

impl Reader<'_> {
    fn selection(&mut self, body: &Value) -> Result<Expr, String> {
        match body {
            Value::Object(map) => self.map(map),
            Value::Array(items) => {
                let parsed: Result<Vec<Expr>, String> =
                    items.iter().map(|item| self.list_item(item)).collect();
                Ok(Expr::Or(parsed?))
            }
            Value::Null => Err("is empty".to_owned()),
            scalar => self.keyword(&[], std::slice::from_ref(scalar)),
        }
    }

    fn list_item(&mut self, item: &Value) -> Result<Expr, String> {
        match item {
            Value::Object(map) => self.map(map),
            Value::Array(_) => Err("a list stands directly in a list".to_owned()),
            scalar => self.keyword(&[], std::slice::from_ref(scalar)),
        }
    }

    fn map(&mut self, map: &Map<String, Value>) -> Result<Expr, String> {
        if map.is_empty() {
            return Err("is an empty map".to_owned());
        }
        let mut items = Vec::with_capacity(map.len());
        for (key, value) in map {
            let mut names = key.split('|');
            let field = names.next().unwrap_or_default();
            let modifiers: Vec<&str> = names.collect();
            let values = match value {
                Value::Array(values) => values.as_slice(),
                single => std::slice::from_ref(single),
            };
            let item = if field.is_empty() {
                self.keyword(&modifiers, values)
            } else {
                self.item(Some(field), &modifiers, values)
            };
            items.push(item.map_err(|reason| format!("field '{key}': {reason}"))?);
        }
        Ok(if items.len() == 1 {
            items.remove(0)
        } else {
            Expr::And(items)
        })
    }

    fn keyword(&mut self, modifiers: &[&str], values: &[Value]) -> Result<Expr, String> {
        self.item(None, modifiers, values)
    }

    fn item(
        &mut self,
        field: Option<&str>,
        modifiers: &[&str],
        values: &[Value],
    ) -> Result<Expr, String> {
        let item = Item {
            selection: self.selection,
            field,
            modifiers,
            values,
            placeholders: self.placeholders,
        };
        modifiers::apply(&item, self.unresolved)
    }
}
