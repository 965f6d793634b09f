//! Expressions to the engine's, with the types that Kusto's rules give them.

use std::ops::Range;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::{array_element, array_has, make_array, map_extract};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    Expr as DfExpr, cast, in_subquery, lit, not, scalar_subquery, try_cast,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use std::sync::Arc;
use watchfloor_event::ocsf::{self, Attribute};
use watchfloor_query::pipe::{Arg, Binary, Expr, ExprKind, Source, column_aliases, nearest};
use watchfloor_query::{CoreField, Diagnostic, FieldTarget, field_targets};

use super::sources::{column, type_of};
use super::{Lowered, Lowering, Rows, Scope, Value, at, find, functions};
use crate::schema;

/// From so many values on, a list is looked up as a set.
const LARGE_LIST: usize = 24;

pub(super) fn span_type() -> DataType {
    DataType::Duration(TimeUnit::Microsecond)
}

/// The value of an expression that rests on no row.
pub(super) fn literal(expr: &DfExpr, rows: &Rows) -> Option<ScalarValue> {
    let schema = DFSchema::clone(rows.frame.schema());
    let context = SimplifyContext::builder()
        .with_schema(Arc::new(schema))
        .build();
    match ExprSimplifier::new(context).simplify(expr.clone()) {
        Ok(DfExpr::Literal(value, _)) => Some(value),
        _ => None,
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

pub(super) fn is_list(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Date32)
}

fn is_span(kind: &DataType) -> bool {
    matches!(kind, DataType::Duration(_))
}

/// As a text; absent values stay absent.
pub(super) fn text(expr: DfExpr) -> DfExpr {
    cast(expr, DataType::Utf8)
}

pub(super) fn long(expr: DfExpr) -> DfExpr {
    cast(expr, DataType::Int64)
}

fn yes(expr: DfExpr) -> DfExpr {
    DfExpr::IsTrue(Box::new(expr))
}

impl Lowering<'_> {
    /// An expression over rows.
    pub(super) fn expr(&self, rows: &Rows, expr: &Expr, scope: &Scope) -> Lowered<DfExpr> {
        self.step(&expr.place)?;
        let lower = |one: &Expr| self.expr(rows, one, scope);
        Ok(match &expr.kind {
            ExprKind::Null => lit(ScalarValue::Null),
            ExprKind::Bool(value) => lit(*value),
            ExprKind::Long(value) => lit(*value),
            ExprKind::Real(value) => lit(*value),
            ExprKind::Text(value) => lit(value.clone()),
            ExprKind::Dynamic(json) => dynamic(json),
            ExprKind::Span(micros) => lit(ScalarValue::DurationMicrosecond(Some(*micros))),
            ExprKind::Time(micros) => time(*micros),
            ExprKind::List(items) => {
                make_array(items.iter().map(lower).collect::<Lowered<Vec<_>>>()?)
            }
            ExprKind::Name(name) => self.name(rows, name, &expr.place, scope)?,
            ExprKind::Star => return Err(unfit(expr, "* stands for all columns and no value")),
            ExprKind::Index(of, key) => self.index(rows, of, key, scope)?,
            ExprKind::Call(name, args) => self.call(rows, name, args, &expr.place, scope)?,
            ExprKind::Not(of) => not(yes(lower(of)?)),
            ExprKind::Minus(of) => DfExpr::Negative(Box::new(lower(of)?)),
            ExprKind::Binary(operator, left, right) => {
                self.binary(rows, *operator, (left, right), scope)?
            }
            ExprKind::In {
                value,
                list,
                is_folded,
                is_not,
            } => {
                let is_in = self.is_in(rows, value, list, (*is_folded, scope))?;
                if *is_not { not(yes(is_in)) } else { is_in }
            }
            ExprKind::Between(value, from, to) => {
                let low = self.binary(rows, Binary::GreaterEqual, (value, from), scope)?;
                let high = self.upper_bound(rows, (value, from, to), scope)?;
                low.and(high)
            }
            ExprKind::Rows(pipeline) => {
                let inner = self.pipeline(pipeline, scope)?.0;
                let frame = self.shown(inner, &expr.place)?;
                let first = frame.schema().field(0).name().clone();
                let frame = frame
                    .select(vec![column(&first)])
                    .and_then(|frame| frame.limit(0, Some(1)));
                scalar_subquery(Arc::new(
                    frame.map_err(at(&expr.place))?.logical_plan().clone(),
                ))
            }
        })
    }

    /// A span as the upper bound is one from the lower bound on.
    fn upper_bound(
        &self,
        rows: &Rows,
        (value, from, to): (&Expr, &Expr, &Expr),
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let is_offset = is_span(&type_of(&self.expr(rows, to, scope)?, rows))
            && is_time(&type_of(&self.expr(rows, from, scope)?, rows));
        if !is_offset {
            return self.binary(rows, Binary::LessEqual, (value, to), scope);
        }
        let sum = ExprKind::Binary(Binary::Add, Box::new(from.clone()), Box::new(to.clone()));
        let sum = Expr {
            kind: sum,
            place: to.place.clone(),
        };
        self.binary(rows, Binary::LessEqual, (value, &sum), scope)
    }

    /// A column, a `let` or a field of the event.
    fn name(
        &self,
        rows: &Rows,
        name: &str,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let has = |name: &str| rows.frame.schema().has_column_with_unqualified_name(name);
        if has(name) {
            return Ok(column(name));
        }
        match find(scope, name) {
            Some(Value::Scalar(expr, outer)) => return self.expr(rows, &expr, &outer),
            Some(Value::Rows(_)) => {
                return Err(Diagnostic::new(
                    format!("'{name}' names rows and no value"),
                    place.clone(),
                    "take one value of it with toscalar(…)",
                ));
            }
            _ => {}
        }
        // A member of a column that holds a JSON document.
        for (index, _) in name.match_indices('.') {
            let (of, path) = (&name[..index], &name[index + 1..]);
            let is_value = matches!(find(scope, of), Some(Value::Scalar(..)));
            // The lake's own columns are fields with names of their own below them.
            let is_column = has(of) && (!rows.is_wide || rows.added.iter().any(|name| name == of));
            if is_column || is_value {
                let of = self.name(rows, of, place, scope)?;
                return Ok(functions::json_member(of, path.split('.')));
            }
        }
        if rows.is_wide {
            return Ok(field(name));
        }
        let known: Vec<String> = rows
            .frame
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let near = nearest(name, known.iter().map(String::as_str));
        let hint = match near {
            Some(near) => format!("did you mean {near}?"),
            None => format!("columns here are {}", known.join(", ")),
        };
        Err(Diagnostic::new(
            format!("there is no column '{name}' here"),
            place.clone(),
            &hint,
        ))
    }

    fn index(&self, rows: &Rows, of: &Expr, key: &Expr, scope: &Scope) -> Lowered<DfExpr> {
        let value = self.expr(rows, of, scope)?;
        let kind = type_of(&value, rows);
        let key = self.expr(rows, key, scope)?;
        if is_list(&kind) {
            // Kusto counts from 0, and from the end with negative numbers.
            let from_one = df_case(key.clone().gt_eq(lit(0_i64)), key.clone() + lit(1_i64), key);
            return Ok(array_element(value, from_one));
        }
        if matches!(kind, DataType::Map(..)) {
            return Ok(array_element(map_extract(value, key), lit(1_i64)));
        }
        Ok(functions::call("json_member", vec![value, text(key)]))
    }

    fn binary(
        &self,
        rows: &Rows,
        operator: Binary,
        (left_ast, right_ast): (&Expr, &Expr),
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let left = self.expr(rows, left_ast, scope)?;
        let right = self.expr(rows, right_ast, scope)?;
        let kinds = (type_of(&left, rows), type_of(&right, rows));
        Ok(match operator {
            Binary::And => left.and(right),
            Binary::Or => left.or(right),
            Binary::Equal => equal(left, right, &kinds),
            Binary::NotEqual => not(yes(equal(left, right, &kinds))),
            Binary::EqualFolded => df::lower(text(left)).eq(df::lower(text(right))),
            Binary::NotEqualFolded => not(yes(df::lower(text(left)).eq(df::lower(text(right))))),
            Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
                let (left, right) = comparable(left, right, &kinds);
                match operator {
                    Binary::Less => left.lt(right),
                    Binary::LessEqual => left.lt_eq(right),
                    Binary::Greater => left.gt(right),
                    _ => left.gt_eq(right),
                }
            }
            Binary::Add | Binary::Subtract => sum(left, right, &kinds, operator == Binary::Add),
            Binary::Multiply | Binary::Divide | Binary::Modulo => {
                product(left, right, &kinds, operator)
            }
            Binary::Text(test) => {
                if let ("matches regex", Some(pattern)) = (test, functions::text_of(&right)) {
                    functions::checked(&pattern, &right_ast.place)?;
                }
                text_test(test, left, right)
            }
        })
    }

    /// Whether a value is among others: written ones, those of a list, or rows.
    fn is_in(
        &self,
        rows: &Rows,
        value: &Expr,
        list: &[Expr],
        (is_folded, scope): (bool, &Scope),
    ) -> Lowered<DfExpr> {
        let value = self.expr(rows, value, scope)?;
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
            let from_rows = match &one.kind {
                ExprKind::Rows(pipeline) => Some(self.pipeline(pipeline, &scope)?.0),
                ExprKind::Name(name) => match find(&scope, name) {
                    Some(Value::Rows(rows)) => Some(rows),
                    _ => None,
                },
                _ => None,
            };
            if let Some(inner) = from_rows {
                let frame = self.shown(inner, &one.place)?;
                let first = frame.schema().field(0).name().clone();
                let select = fold(text(column(&first))).alias("value");
                let frame = frame.select(vec![select]).map_err(at(&one.place))?;
                let plan = Arc::new(frame.logical_plan().clone());
                tests.push(in_subquery(fold(text(value.clone())), plan));
                continue;
            }
            let lowered = self.expr(rows, &one, &scope)?;
            let kind = type_of(&lowered, rows);
            match literal_texts(&one) {
                Some(values) => texts.extend(values),
                None if is_list(&kind) => tests.push(array_has(lowered, value.clone())),
                None => {
                    let kinds = (type_of(&value, rows), kind);
                    tests.push(if is_folded {
                        fold(value.clone()).eq(fold(lowered))
                    } else {
                        equal(value.clone(), lowered, &kinds)
                    });
                }
            }
        }
        if is_folded {
            texts
                .iter_mut()
                .for_each(|text| *text = text.to_lowercase());
        }
        if texts.len() > LARGE_LIST {
            tests.push(functions::in_set(fold(text(value)), texts));
        } else if !texts.is_empty() {
            let items = texts.into_iter().map(lit).collect();
            tests.push(fold(text(value)).in_list(items, false));
        }
        Ok(tests
            .into_iter()
            .reduce(DfExpr::or)
            .unwrap_or_else(|| lit(false)))
    }

    /// What a name stands for, as far as it is another expression.
    fn unfold(&self, expr: &Expr, scope: &Scope) -> (Expr, Scope) {
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

    pub(super) fn call(
        &self,
        rows: &Rows,
        name: &str,
        args: &[Arg],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        if let Some(Value::Function(parameters, body, outer)) = find(scope, name) {
            let inner = self.arguments(&parameters, args, (scope, &outer), place)?;
            let inner = self.lets(&body.0, &inner)?;
            return match self.value(&body.1, &inner)? {
                Value::Scalar(expr, scope) => self.expr(rows, &expr, &scope),
                _ => Err(Diagnostic::new(
                    format!("'{name}' gives rows and no value"),
                    place.clone(),
                    "take one value of them with toscalar(…)",
                )),
            };
        }
        if let ("has_any" | "has_all", [value, lists @ ..]) = (name, args) {
            return self.has_some(rows, (name, &value.expr), lists, scope);
        }
        if let ("toscalar" | "materialize", [rows_arg]) = (name, args) {
            return self.expr(rows, &rows_arg.expr, scope);
        }
        if let ("column_ifexists" | "columnifexists", [wanted, default]) = (name, args) {
            let ExprKind::Text(wanted) = &wanted.expr.kind else {
                return Err(unfit(&wanted.expr, "the name of a column stands in quotes"));
            };
            let found = self.name(rows, wanted, place, scope);
            return found.or_else(|_| self.expr(rows, &default.expr, scope));
        }
        let lowered = args.iter().map(|arg| self.expr(rows, &arg.expr, scope));
        let lowered = lowered.collect::<Lowered<Vec<_>>>()?;
        functions::scalar(name, lowered, rows, self.now, place)
    }

    fn has_some(
        &self,
        rows: &Rows,
        (name, value): (&str, &Expr),
        lists: &[Arg],
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let value = self.expr(rows, value, scope)?;
        let mut tests = Vec::new();
        for list in lists {
            let (list, scope) = self.unfold(&list.expr, scope);
            match literal_texts(&list) {
                Some(texts) => tests.extend(
                    texts
                        .into_iter()
                        .map(|word| text_test("has", value.clone(), lit(word))),
                ),
                None => {
                    let word = self.expr(rows, &list, &scope)?;
                    tests.push(text_test("has", value.clone(), word));
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

/// The texts of a literal: one, or those of a JSON list.
fn literal_texts(expr: &Expr) -> Option<Vec<String>> {
    let as_text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
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

/// Kusto's JSON takes single quotes and comments less strictly.
fn parse_dynamic(json: &str) -> Option<serde_json::Value> {
    let parsed = serde_json::from_str(json);
    let relaxed = || {
        let text = json.replace('\'', "\"");
        let text = text.trim_end_matches(']').trim_end().trim_end_matches(',');
        let text = if json.trim_end().ends_with(']') {
            format!("{text}]")
        } else {
            text.to_owned()
        };
        serde_json::from_str(&text)
    };
    parsed.or_else(|_| relaxed()).ok()
}

fn dynamic(json: &str) -> DfExpr {
    match parse_dynamic(json) {
        Some(serde_json::Value::Array(items))
            if !items.is_empty() && items.iter().all(serde_json::Value::is_string) =>
        {
            make_array(
                items
                    .iter()
                    .filter_map(|item| item.as_str())
                    .map(lit)
                    .collect(),
            )
        }
        Some(value) => lit(value.to_string()),
        None => lit(json),
    }
}

pub(super) fn time(micros: i64) -> DfExpr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(micros),
        Some("UTC".into()),
    ))
}

pub(super) fn df_case(condition: DfExpr, yes: DfExpr, no: DfExpr) -> DfExpr {
    datafusion::logical_expr::when(condition, yes)
        .otherwise(no)
        .unwrap_or_else(|_| lit(ScalarValue::Null))
}

/// A field of the event by any of its names; the first place that holds a value counts.
fn field(name: &str) -> DfExpr {
    let aliases = column_aliases(name);
    if aliases.contains(&"time") {
        return column(schema::TIME);
    }
    let mut places: Vec<Place> = aliases.iter().map(|path| Place::of_path(path)).collect();
    for target in field_targets(name) {
        let place = match target {
            FieldTarget::Core(core) => Place::of_core(core, name),
            FieldTarget::Attribute(one) if aliases.contains(&one.path) => continue,
            FieldTarget::Attribute(one) => Place::of_attribute(one),
            FieldTarget::Unmapped(name) => {
                let value = map_extract(column(schema::UNMAPPED), lit(name));
                Place(array_element(value, lit(1_i64)), None)
            }
        };
        places.push(place);
    }
    if places.len() == 1 {
        return places.remove(0).0;
    }
    let numbers = places.iter().filter_map(|place| place.1);
    let (some, all) = numbers.fold((false, true), |(some, all), is| (some || is, all && is));
    let kind = if some && all {
        DataType::Int64
    } else {
        DataType::Utf8
    };
    let values = places
        .into_iter()
        .map(|place| try_cast(place.0, kind.clone()));
    df::coalesce(values.collect())
}

/// Where a value may stand, and whether numbers stand there; a source's own field holds texts
/// that may be numbers.
struct Place(DfExpr, Option<bool>);

impl Place {
    fn of_attribute(attribute: &Attribute) -> Self {
        let is_number = attribute.kind == ocsf::AttributeType::Integer;
        Self(
            column(&schema::column_name(attribute.path)),
            Some(is_number),
        )
    }

    fn of_path(path: &str) -> Self {
        // Sources that tell a file's path only have its name at the end of it.
        if let (Some(name), Some(file)) = (ocsf::promoted(path), path.strip_suffix(".name"))
            && file.ends_with("file")
            && let Some(whole) = ocsf::promoted(&format!("{file}.path"))
        {
            let (name, whole) = (Self::of_attribute(name).0, Self::of_attribute(whole).0);
            let last = functions::call("file_name", vec![text(whole)]);
            return Self(df::coalesce(vec![name, last]), Some(false));
        }
        ocsf::promoted(path).map_or_else(|| Self(column(path), Some(false)), Self::of_attribute)
    }

    fn of_core(core: CoreField, name: &str) -> Self {
        let name = match core {
            CoreField::Id => {
                let id = vec![column(schema::POSITION), column(schema::PART)];
                return Self(functions::call("event_id", id), Some(false));
            }
            CoreField::Class if name != "class_uid" => {
                let class = vec![text(column(schema::CLASS))];
                return Self(functions::call("class_name", class), Some(false));
            }
            CoreField::Class => schema::CLASS,
            CoreField::Source => "source",
            CoreField::Product => "product",
            CoreField::Kind => "kind",
            CoreField::Severity => "severity_id",
            CoreField::Status => "status_id",
            CoreField::Activity => "activity_id",
            CoreField::Anomalies => "anomalies",
            CoreField::Raw => schema::RAW,
        };
        let is_number = name.ends_with("_id") || name.ends_with("_uid");
        Self(column(name), Some(is_number))
    }
}

fn unfit(expr: &Expr, message: &str) -> Diagnostic {
    Diagnostic::new(message, expr.place.clone(), "name a column")
}

/// Both sides as what they are compared as.
fn comparable(left: DfExpr, right: DfExpr, kinds: &(DataType, DataType)) -> (DfExpr, DfExpr) {
    let (of_left, of_right) = kinds;
    let both = |kind: DataType| {
        (
            try_cast(left.clone(), kind.clone()),
            try_cast(right.clone(), kind),
        )
    };
    let is_null = *of_left == DataType::Null || *of_right == DataType::Null;
    if of_left == of_right || is_null || (is_number(of_left) && is_number(of_right)) {
        (left, right)
    } else if (is_time(of_left) || is_time(of_right)) && !is_span(of_left) && !is_span(of_right) {
        both(schema::time_type())
    } else if is_number(of_left) || is_number(of_right) {
        both(DataType::Float64)
    } else {
        both(DataType::Utf8)
    }
}

fn equal(left: DfExpr, right: DfExpr, kinds: &(DataType, DataType)) -> DfExpr {
    // An absent text is an empty one.
    if matches!(&right, DfExpr::Literal(ScalarValue::Utf8(Some(text)), _) if text.is_empty()) {
        return left.clone().is_null().or(text(left).eq(right));
    }
    let (left, right) = comparable(left, right, kinds);
    left.eq(right)
}

fn sum(left: DfExpr, right: DfExpr, kinds: &(DataType, DataType), is_plus: bool) -> DfExpr {
    let join = |left: DfExpr, right: DfExpr| if is_plus { left + right } else { left - right };
    let (of_left, of_right) = kinds;
    let result = match (is_time(of_left), is_time(of_right)) {
        (true, true) => Some(span_type()),
        (true, false) | (false, true) => Some(schema::time_type()),
        (false, false) if is_span(of_left) || is_span(of_right) => Some(span_type()),
        (false, false) => None,
    };
    match result {
        Some(kind) => cast(join(long(left), long(right)), kind),
        None => {
            let (left, right) = (number(left, of_left), number(right, of_right));
            join(left, right)
        }
    }
}

/// As a number: a text that is none is absent.
fn number(expr: DfExpr, kind: &DataType) -> DfExpr {
    if is_number(kind) {
        return expr;
    }
    try_cast(expr, DataType::Float64)
}

fn product(
    left: DfExpr,
    right: DfExpr,
    (of_left, of_right): &(DataType, DataType),
    operator: Binary,
) -> DfExpr {
    if operator == Binary::Divide && is_span(of_left) && is_span(of_right) {
        let real = |expr| cast(long(expr), DataType::Float64);
        return real(left) / real(right);
    }
    let has_span = is_span(of_left) || is_span(of_right);
    let plain = |expr: DfExpr, kind: &DataType| {
        if is_span(kind) {
            long(expr)
        } else {
            number(expr, kind)
        }
    };
    let (left, right) = (plain(left, of_left), plain(right, of_right));
    // A division by nothing has no value.
    let right = match operator {
        Binary::Multiply => right,
        _ => df::nullif(right, lit(0_i64)),
    };
    let value = match operator {
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        _ => left % right,
    };
    if has_span {
        return cast(long(value), span_type());
    }
    value
}

/// A test of two texts; with a text that is known beforehand as the engine's own pattern.
fn text_test(test: &str, left: DfExpr, right: DfExpr) -> DfExpr {
    let left = text(left);
    let known = match &right {
        DfExpr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
        _ => None,
    };
    if let Some(known) = known {
        let escaped = known
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        let pattern = match test.trim_end_matches("_cs") {
            "contains" => Some(format!("%{escaped}%")),
            "startswith" => Some(format!("{escaped}%")),
            "endswith" => Some(format!("%{escaped}")),
            _ => None,
        };
        if let Some(pattern) = pattern {
            return if test.ends_with("_cs") {
                left.like(lit(pattern))
            } else {
                left.ilike(lit(pattern))
            };
        }
    }
    functions::call(&test.replace(' ', "_"), vec![left, text(right)])
}
