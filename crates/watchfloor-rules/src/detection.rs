//! The `detection` part of a rule: named selections and a condition.
//!
//! It is read into blocks of items first, which processing pipelines may change
//! ([`crate::pipeline`]), and compiled into one expression then.
//!
//! # Source
//! Sigma specification 2.1, "Detection".

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::condition;
use crate::expr::Expr;
use crate::modifiers::{self, Notes, Placeholders};
use crate::rule::kind;

/// A detection as written, or as pipelines have changed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detection {
    pub selections: BTreeMap<String, Block>,
    /// Linked by OR.
    pub conditions: Vec<String>,
    /// What pipelines demand beside the condition.
    pub added: Vec<Added>,
}

/// A demand that a pipeline adds.
#[derive(Clone, Debug)]
pub(crate) struct Added {
    pub name: String,
    pub block: Block,
    pub negated: bool,
}

/// A tree of items.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Item(DetectionItem),
    All(Vec<Block>),
    Any(Vec<Block>),
}

/// A field with modifiers, and its values.
#[derive(Clone, Debug, Default)]
pub(crate) struct DetectionItem {
    /// `None` for keywords.
    pub field: Option<String>,
    pub modifiers: Vec<String>,
    pub values: Vec<Value>,
    /// Ids of pipeline items that changed it.
    pub applied: BTreeSet<String>,
    /// Whether a pipeline has mapped its field.
    pub mapped: bool,
}

impl Detection {
    /// Reads a `detection`.
    pub(crate) fn read(detection: &Map<String, Value>) -> Result<Self, String> {
        let mut read = Self {
            conditions: conditions(detection.get("condition"))?,
            ..Self::default()
        };
        for (name, body) in detection {
            if name == "condition" || name == "timeframe" {
                continue;
            }
            let block =
                selection(body).map_err(|reason| format!("selection '{name}': {reason}"))?;
            read.selections.insert(name.clone(), block);
        }
        if read.selections.is_empty() {
            return Err(
                "'detection' has no selection; give it one beside the condition".to_owned(),
            );
        }
        Ok(read)
    }

    /// Every block, selections first.
    pub(crate) fn blocks_mut(&mut self) -> impl Iterator<Item = &mut Block> {
        let added = self.added.iter_mut().map(|added| &mut added.block);
        self.selections.values_mut().chain(added)
    }

    /// Every item.
    pub(crate) fn items(&self) -> Vec<&DetectionItem> {
        let mut items = Vec::new();
        let added = self.added.iter().map(|added| &added.block);
        for block in self.selections.values().chain(added) {
            block.collect(&mut items);
        }
        items
    }

    /// Puts selections and condition into one expression.
    pub(crate) fn compile(
        &self,
        placeholders: &Placeholders,
        notes: &mut Notes,
    ) -> Result<Expr, String> {
        let mut selections = BTreeMap::new();
        for (name, block) in &self.selections {
            let expr = block
                .compile(name, placeholders, notes)
                .map_err(|reason| format!("selection '{name}': {reason}"))?;
            selections.insert(name.clone(), expr);
        }
        let mut exprs = Vec::with_capacity(self.conditions.len());
        for text in &self.conditions {
            exprs.extend(without_dropped(condition::parse(text, &selections)?));
        }
        let joined = match exprs.len() {
            0 => None,
            1 => exprs.pop(),
            _ => Some(Expr::Or(exprs)),
        };
        let mut all = Vec::with_capacity(self.added.len() + 1);
        for added in &self.added {
            let expr = added
                .block
                .compile(&added.name, placeholders, notes)
                .map_err(|reason| format!("added condition '{}': {reason}", added.name))?;
            all.extend(without_dropped(expr).map(|expr| negated_if(added.negated, expr)));
        }
        all.extend(joined);
        match all.len() {
            0 => {
                Err("pipelines drop all that the rule asks for; narrow their conditions".to_owned())
            }
            1 => Ok(all.remove(0)),
            _ => Ok(Expr::And(all)),
        }
    }
}

impl Block {
    fn collect<'a>(&'a self, items: &mut Vec<&'a DetectionItem>) {
        match self {
            Self::Item(item) => items.push(item),
            Self::All(blocks) | Self::Any(blocks) => {
                blocks.iter().for_each(|block| block.collect(items));
            }
        }
    }

    fn compile(
        &self,
        name: &str,
        placeholders: &Placeholders,
        notes: &mut Notes,
    ) -> Result<Expr, String> {
        let mut many = |blocks: &[Self]| -> Result<Vec<Expr>, String> {
            blocks
                .iter()
                .map(|block| block.compile(name, placeholders, notes))
                .collect()
        };
        match self {
            Self::All(blocks) => Ok(single_or(many(blocks)?, Expr::And)),
            Self::Any(blocks) => Ok(single_or(many(blocks)?, Expr::Or)),
            Self::Item(item) => modifiers::apply(name, item, placeholders, notes)
                .map_err(|reason| format!("field '{}': {reason}", item.key())),
        }
    }

    /// A block from which a pipeline has dropped everything.
    pub(crate) const fn dropped() -> Self {
        Self::Any(Vec::new())
    }

    /// Whether a pipeline has dropped everything.
    pub(crate) fn is_dropped(&self) -> bool {
        matches!(self, Self::Any(blocks) if blocks.is_empty())
    }
}

impl DetectionItem {
    /// The key as a rule would write it.
    pub(crate) fn key(&self) -> String {
        let mut key = self.field.clone().unwrap_or_default();
        for modifier in &self.modifiers {
            key.push('|');
            key.push_str(modifier);
        }
        key
    }
}

fn single_or(mut items: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    if items.len() == 1 {
        items.remove(0)
    } else {
        many(items)
    }
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    if negated {
        Expr::Not(Box::new(expr))
    } else {
        expr
    }
}

/// The expression without the parts that a pipeline has dropped: an empty OR, which nothing
/// else makes. What is left of a link without them is what the rule asks for.
fn without_dropped(expr: Expr) -> Option<Expr> {
    let rest =
        |items: Vec<Expr>| -> Vec<Expr> { items.into_iter().filter_map(without_dropped).collect() };
    match expr {
        Expr::Or(items) => {
            let rest = rest(items);
            (!rest.is_empty()).then(|| single_or(rest, Expr::Or))
        }
        Expr::And(items) => {
            let rest = rest(items);
            (!rest.is_empty()).then(|| single_or(rest, Expr::And))
        }
        Expr::Not(item) => without_dropped(*item).map(|item| Expr::Not(Box::new(item))),
        leaf @ Expr::Leaf(_) => Some(leaf),
    }
}

fn conditions(value: Option<&Value>) -> Result<Vec<String>, String> {
    let error = |value: &Value| {
        format!(
            "'condition' must be a text or a list of texts, not {}; write it like: selection and not filter",
            kind(value)
        )
    };
    match value {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(texts)) if !texts.is_empty() => texts
            .iter()
            .map(|text| text.as_str().map(str::to_owned).ok_or_else(|| error(text)))
            .collect(),
        Some(Value::Array(_)) => Err("'condition' is an empty list".to_owned()),
        None | Some(Value::Null) => {
            Err("'detection' has no condition; add one that names its selections".to_owned())
        }
        Some(other) => Err(error(other)),
    }
}

/// Reads a selection: a map, a list of maps and keywords, or one keyword.
pub(crate) fn selection(body: &Value) -> Result<Block, String> {
    match body {
        Value::Object(map) => items(map),
        Value::Array(list) if list.is_empty() => {
            Err("is an empty list; give it keywords or maps".to_owned())
        }
        Value::Array(list) => {
            let blocks: Result<Vec<Block>, String> = list.iter().map(list_item).collect();
            Ok(Block::Any(blocks?))
        }
        Value::Null => Err("is empty; give it fields or keywords".to_owned()),
        scalar => Ok(keyword(scalar)),
    }
}

fn list_item(item: &Value) -> Result<Block, String> {
    match item {
        Value::Object(map) => items(map),
        Value::Array(_) => {
            Err("a list stands directly in a list; put its values into the outer one".to_owned())
        }
        Value::Null => Err("a keyword cannot be null; remove it".to_owned()),
        scalar => Ok(keyword(scalar)),
    }
}

fn keyword(value: &Value) -> Block {
    Block::Item(DetectionItem {
        values: vec![value.clone()],
        ..DetectionItem::default()
    })
}

fn items(map: &Map<String, Value>) -> Result<Block, String> {
    if map.is_empty() {
        return Err("is an empty map; give it fields".to_owned());
    }
    let item = |(key, value): (&String, &Value)| {
        let mut names = key.split('|');
        let field = names.next().unwrap_or_default();
        DetectionItem {
            field: (!field.is_empty()).then(|| field.to_owned()),
            modifiers: names.map(str::to_owned).collect(),
            values: match value {
                Value::Array(values) => values.clone(),
                single => vec![single.clone()],
            },
            ..DetectionItem::default()
        }
    };
    Ok(Block::All(map.iter().map(item).map(Block::Item).collect()))
}
