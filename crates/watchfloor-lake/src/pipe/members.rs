//! Whether a value is among others: `in`, `has_any`, `has_all`.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as df;
use datafusion::logical_expr::{Expr as DfExpr, in_subquery, lit};
use datafusion::prelude::DataFrame;
use watchfloor_query::pipe::{Arg, Expr, ExprKind, LetValue, Pipeline, Source};

use super::expression::{is_list, parse_dynamic, shown, text};
use super::operators::{equal, text_test};
use super::sources::{column, type_of};
use super::{Lowered, Lowering, Rows, Scope, Value, at, find, functions, output};
use crate::schema;

/// From so many values on, a list is looked up as a set.
const LARGE_LIST: usize = 24;

/// What rows stand for in a list.
enum LookedUp {
    Values(Vec<String>),
    /// A column that is joined with.
    Column(Box<DataFrame>, DfExpr),
}

impl Lowering {
    /// A name alone in brackets reads as rows; it may be that of a value or a column.
    pub(super) fn name_in_brackets<'p>(
        &self,
        pipeline: &'p Pipeline,
        scope: &Scope,
    ) -> Option<&'p str> {
        let (Source::Table(name), []) = (&pipeline.source, pipeline.verbs.as_slice()) else {
            return None;
        };
        let is_rows = match find(scope, name) {
            Some(Value::Rows(_) | Value::Function(..)) => true,
            Some(Value::Scalar(expr, _)) => matches!(expr.kind, ExprKind::Rows(_)),
            None => super::tables::filter_of(name).is_some(),
        };
        (!is_rows).then_some(name)
    }

    /// Whether a value is among others: written ones, those of a list, or rows. Only a part of a
    /// condition of its own can be a join with those rows; elsewhere they are run beforehand.
    pub(super) fn is_in(
        &self,
        rows: &Rows,
        value: &Expr,
        list: &[Expr],
        (is_folded, is_direct, scope): (bool, bool, &Scope),
    ) -> Lowered<DfExpr> {
        let value = self.expr(rows, value, scope)?;
        let value_kind = type_of(&value, rows);
        let fold = |expr: DfExpr| {
            if is_folded {
                df::lower(text(expr))
            } else {
                expr
            }
        };
        let mut texts: Vec<String> = Vec::new();
        let mut tests: Vec<DfExpr> = Vec::new();
        for one in list {
            let (one, scope) = self.unfold(one, scope);
            if let Some(inner) = self.rows_of(&one, &scope)? {
                let frame = self.shown(inner, &one.place)?;
                match self.looked_up(frame, is_direct, &one.place)? {
                    LookedUp::Values(values) => texts.extend(values),
                    LookedUp::Column(frame, first) => {
                        let frame = frame.select(vec![fold(first).alias("value")]);
                        let plan = frame.map_err(at(&one.place))?.logical_plan().clone();
                        let value = shown(value.clone(), &value_kind);
                        tests.push(in_subquery(fold(value), Arc::new(plan)));
                    }
                }
                continue;
            }
            if let Some(values) = literal_texts(&one) {
                texts.extend(values);
                continue;
            }
            let lowered = self.expr(rows, &one, &scope)?;
            match known_items(&lowered) {
                Some(values) => texts.extend(values),
                None => {
                    let kinds = (&value_kind, &type_of(&lowered, rows));
                    let is_many = is_list(kinds.1) || is_document(&one);
                    tests.push(one_test(&value, lowered, kinds, (is_many, is_folded)));
                }
            }
        }
        if is_folded {
            texts
                .iter_mut()
                .for_each(|text| *text = text.to_lowercase());
        }
        let value = shown(value, &value_kind);
        // Nothing is in an absent text but the empty one.
        if texts.iter().any(String::is_empty) {
            tests.push(value.clone().is_null());
        }
        if texts.len() > LARGE_LIST {
            tests.push(super::in_set::in_set(fold(value), texts));
        } else if !texts.is_empty() {
            let items = texts.into_iter().map(lit).collect();
            tests.push(fold(value).in_list(items, false));
        }
        Ok(tests
            .into_iter()
            .reduce(DfExpr::or)
            .unwrap_or_else(|| lit(false)))
    }

    /// The rows to look in: as values where they are run, which a column of lists asks for too,
    /// since it stands for the items of all of them.
    fn looked_up(
        &self,
        frame: DataFrame,
        is_direct: bool,
        place: &Range<usize>,
    ) -> Lowered<LookedUp> {
        let first = frame.schema().field(0).clone();
        let has_lists = is_list(first.data_type());
        if is_direct && !has_lists {
            let first = shown(column(first.name()), first.data_type());
            return Ok(LookedUp::Column(Box::new(frame), first));
        }
        let found = self.texts_of(frame, place)?.into_iter();
        let values = found.flat_map(|text| match has_lists {
            true => super::texts::items(&text).unwrap_or_default(),
            false => vec![text],
        });
        Ok(LookedUp::Values(values.collect()))
    }

    /// The rows that an item of a list stands for, if it does.
    pub(super) fn rows_of(&self, item: &Expr, scope: &Scope) -> Lowered<Option<Rows>> {
        match &item.kind {
            ExprKind::Rows(pipeline)
                if self.name_in_brackets(pipeline, scope).is_none()
                    && call_in_brackets(pipeline, scope).is_none() =>
            {
                Ok(Some(self.pipeline(pipeline, scope)?.0))
            }
            ExprKind::Name(name) => match find(scope, name) {
                Some(Value::Rows(rows)) => Ok(Some(*rows)),
                Some(Value::Function(parameters, body, _))
                    if parameters.is_empty() && matches!(body.1, LetValue::Table(_)) =>
                {
                    Ok(Some(self.call_rows(name, &[], &item.place, scope)?))
                }
                _ => Ok(None),
            },
            ExprKind::Call(name, args) if name != "toscalar" => {
                let gives_rows = match find(scope, name) {
                    Some(Value::Function(_, body, _)) => matches!(body.1, LetValue::Table(_)),
                    Some(_) => false,
                    None => name == "materialize" || super::tables::gives_rows(name),
                };
                if !gives_rows {
                    return Ok(None);
                }
                if let ("materialize", [Arg { expr, .. }]) = (name.as_str(), args.as_slice())
                    && let ExprKind::Rows(pipeline) = &expr.kind
                {
                    return Ok(Some(self.pipeline(pipeline, scope)?.0));
                }
                Ok(Some(self.call_rows(name, args, &item.place, scope)?))
            }
            _ => Ok(None),
        }
    }

    /// What a name stands for, as far as it is another expression.
    pub(super) fn unfold(&self, expr: &Expr, scope: &Scope) -> (Expr, Scope) {
        let (mut expr, mut scope) = (expr.clone(), scope.clone());
        // A name alone in brackets reads as rows; it may be that of a value.
        if let ExprKind::Rows(pipeline) = &expr.kind
            && let (Source::Table(name), []) = (&pipeline.source, pipeline.verbs.as_slice())
            && matches!(find(&scope, name), Some(Value::Scalar(..)))
        {
            expr.kind = ExprKind::Name(name.clone());
        }
        while let ExprKind::Name(name) = &expr.kind
            && let Some(Value::Scalar(inner, outer)) = find(&scope, name)
        {
            (expr, scope) = (inner, outer);
        }
        (expr, scope)
    }

    pub(super) fn has_some(
        &self,
        rows: &Rows,
        (name, value): (&str, &Expr),
        lists: &[Arg],
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let value = if value.kind == ExprKind::Star && rows.is_wide {
            column(schema::RAW)
        } else {
            self.expr(rows, value, scope)?
        };
        let mut tests = Vec::new();
        for list in lists {
            let (list, scope) = self.unfold(&list.expr, scope);
            let known = match self.rows_of(&list, &scope)? {
                Some(inner) => {
                    let frame = self.shown(inner, &list.place)?;
                    let found = self.texts_of(frame, &list.place)?.into_iter();
                    let items =
                        |text: String| super::texts::items(&text).unwrap_or_else(|| vec![text]);
                    Some(found.flat_map(items).collect())
                }
                None => literal_texts(&list),
            };
            let known = match known {
                Some(texts) => Some(texts),
                None => known_items(&self.expr(rows, &list, &scope)?),
            };
            match known {
                Some(texts) if texts.len() <= LARGE_LIST => tests.extend(
                    texts
                        .into_iter()
                        .map(|word| text_test("has", value.clone(), lit(word))),
                ),
                Some(texts) => {
                    let words = serde_json::json!(texts).to_string();
                    tests.push(functions::call(name, vec![value.clone(), lit(words)]));
                }
                None => {
                    let words = self.expr(rows, &list, &scope)?;
                    tests.push(functions::call(name, vec![value.clone(), words]));
                }
            }
        }
        let join = if name == "has_all" {
            DfExpr::and
        } else {
            DfExpr::or
        };
        Ok(tests.into_iter().reduce(join).unwrap_or_else(|| lit(false)))
    }
}

/// Whether a value is another one, or is in a list of others.
fn one_test(
    value: &DfExpr,
    other: DfExpr,
    kinds: (&DataType, &DataType),
    (is_many, is_folded): (bool, bool),
) -> DfExpr {
    match (is_many, is_folded) {
        (true, true) => functions::call("list_has_folded", vec![other, value.clone()]),
        (true, false) => functions::call("list_has", vec![other, value.clone()]),
        (false, true) => df::lower(text(value.clone())).eq(df::lower(text(other))),
        (false, false) => equal(value.clone(), other, &(kinds.0.clone(), kinds.1.clone())),
    }
}

/// A call in brackets reads as rows; it may be that of a function that gives a value.
pub(super) fn call_in_brackets<'p>(
    pipeline: &'p Pipeline,
    scope: &Scope,
) -> Option<(&'p str, &'p [Arg])> {
    let (Source::Call(name, args), []) = (&pipeline.source, pipeline.verbs.as_slice()) else {
        return None;
    };
    match find(scope, name) {
        Some(Value::Function(_, body, _)) if !matches!(body.1, LetValue::Table(_)) => {
            Some((name, args))
        }
        _ => None,
    }
}

/// The items of a list that is known beforehand.
pub(super) fn known_items(lowered: &DfExpr) -> Option<Vec<String>> {
    let DfExpr::Literal(value, _) = lowered else {
        return None;
    };
    if !is_list(&value.data_type()) {
        return match value {
            ScalarValue::Utf8(Some(text)) => super::texts::items(text),
            _ => None,
        };
    }
    let array = value.to_array().ok()?;
    match output::values(&array).ok()?.into_iter().next()? {
        serde_json::Value::Array(items) => Some(items.iter().map(as_text).collect()),
        _ => Some(Vec::new()),
    }
}

pub(super) fn as_text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether an expression is a list or a document by what made it.
pub(super) fn is_document(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Dynamic(_) => true,
        ExprKind::Call(name, _) => {
            matches!(
                name.as_str(),
                "parse_json" | "todynamic" | "split" | "range" | "pack_array" | "extract_all"
            ) || name.starts_with("set_")
                || name.starts_with("array_")
        }
        _ => false,
    }
}

/// The texts of a literal: one, or those of a JSON list.
pub(super) fn literal_texts(expr: &Expr) -> Option<Vec<String>> {
    match &expr.kind {
        ExprKind::Text(text) => Some(vec![text.clone()]),
        ExprKind::Long(number) => Some(vec![number.to_string()]),
        ExprKind::Dynamic(json) => match parse_dynamic(json)? {
            serde_json::Value::Array(items) => Some(items.iter().map(as_text).collect()),
            other => Some(vec![as_text(&other)]),
        },
        _ => None,
    }
}
