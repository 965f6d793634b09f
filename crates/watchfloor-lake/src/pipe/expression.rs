//! Expressions to the engine's, with the types that Kusto's rules give them.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::{array_element, make_array, map_extract};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr as DfExpr, cast, lit, not};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{Arg, Binary, Expr, ExprKind, nearest};

use super::aggregates::name_of;
use super::members::call_in_brackets;
use super::operators::{comparable, equal, product, sum, text_test};
use super::sources::{column, type_of};
use super::{Lowered, Lowering, Rows, Scope, Value, fields, find, functions};
use crate::schema;

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

pub(super) fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
}

pub(super) fn is_list(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    )
}

pub(super) fn is_time(kind: &DataType) -> bool {
    matches!(kind, DataType::Timestamp(..) | DataType::Date32)
}

pub(super) fn is_span(kind: &DataType) -> bool {
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

impl Lowering {
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
            ExprKind::Not(of) => self.negated(rows, of, scope)?,
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
                let is_in = self.is_in(rows, value, list, (*is_folded, false, scope))?;
                if *is_not { not(yes(is_in)) } else { is_in }
            }
            ExprKind::Between(value, from, to) => {
                let low = self.binary(rows, Binary::GreaterEqual, (value, from), scope)?;
                let high = self.upper_bound(rows, (value, from, to), scope)?;
                low.and(high)
            }
            ExprKind::Rows(pipeline) => {
                if let Some((name, args)) = call_in_brackets(pipeline, scope) {
                    return self.call(rows, name, args, &expr.place, scope);
                }
                match self.name_in_brackets(pipeline, scope) {
                    Some(name) => self.name(rows, name, &expr.place, scope)?,
                    None => self.first_value(pipeline, scope)?,
                }
            }
        })
    }

    /// The condition of `where`: parts that `and` joins may look among rows by a join.
    pub(super) fn condition(&self, rows: &Rows, expr: &Expr, scope: &Scope) -> Lowered<DfExpr> {
        match &expr.kind {
            ExprKind::Binary(Binary::And, left, right) => {
                let left = self.condition(rows, left, scope)?;
                Ok(left.and(self.condition(rows, right, scope)?))
            }
            ExprKind::In {
                value,
                list,
                is_folded,
                is_not,
            } => {
                let is_in = self.is_in(rows, value, list, (*is_folded, true, scope))?;
                Ok(if *is_not { not(yes(is_in)) } else { is_in })
            }
            _ => {
                let was_filter = self.is_filter.replace(true);
                let lowered = self.expr(rows, expr, scope);
                self.is_filter.set(was_filter);
                lowered
            }
        }
    }

    /// `not`: an absent number or time stays unknown, an absent text is an empty one.
    fn negated(&self, rows: &Rows, of: &Expr, scope: &Scope) -> Lowered<DfExpr> {
        self.step(&of.place)?;
        match &of.kind {
            ExprKind::Binary(Binary::And, left, right) => {
                let left = self.negated(rows, left, scope)?;
                Ok(left.or(self.negated(rows, right, scope)?))
            }
            ExprKind::Binary(Binary::Or, left, right) => {
                let left = self.negated(rows, left, scope)?;
                Ok(left.and(self.negated(rows, right, scope)?))
            }
            ExprKind::Binary(
                Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual,
                left,
                _,
            )
            | ExprKind::Between(left, ..)
                if !is_text(&type_of(&self.expr(rows, left, scope)?, rows)) =>
            {
                Ok(not(self.expr(rows, of, scope)?))
            }
            _ => Ok(not(yes(self.expr(rows, of, scope)?))),
        }
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
            Some(Value::Rows(_)) if fields::of_rows(rows, name).is_none() => {
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
        // A member of a right side's column, which has a number behind its name.
        if let Some(field) = fields::of_rows(rows, name) {
            return Ok(field);
        }
        let known: Vec<String> = rows
            .frame
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .filter(|name| !name.starts_with(super::join::MARK))
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
        let key = self.expr(rows, key, scope)?;
        Ok(item(rows, value, key))
    }

    fn binary(
        &self,
        rows: &Rows,
        operator: Binary,
        (left_ast, right_ast): (&Expr, &Expr),
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        if left_ast.kind == ExprKind::Star {
            return self.any_column(rows, operator, right_ast, scope);
        }
        let left = self.expr(rows, left_ast, scope)?;
        let right = self.expr(rows, right_ast, scope)?;
        self.operated(rows, operator, (left, right), &right_ast.place)
    }

    /// An operator between values that are lowered.
    pub(super) fn operated(
        &self,
        rows: &Rows,
        operator: Binary,
        (left, right): (DfExpr, DfExpr),
        place: &Range<usize>,
    ) -> Lowered<DfExpr> {
        let kinds = (type_of(&left, rows), type_of(&right, rows));
        Ok(match operator {
            Binary::And => left.and(right),
            Binary::Or => left.or(right),
            // In a condition, unknown is as good as no, and the plain form can skip files.
            Binary::Equal if self.is_filter.get() => equal(left, right, &kinds),
            Binary::Equal => yes(equal(left, right, &kinds)),
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
                    functions::checked(&pattern, place)?;
                }
                text_test(test, shown(left, &kinds.0), right)
            }
        })
    }

    /// `* has "x"`: any column holds it; of whole events, the record.
    fn any_column(
        &self,
        rows: &Rows,
        operator: Binary,
        right: &Expr,
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let sought = self.expr(rows, right, scope)?;
        let test = match operator {
            Binary::Text(test) => test,
            Binary::Equal | Binary::EqualFolded => "has",
            _ => return Err(unfit(right, "* is compared with has, contains or ==")),
        };
        if rows.is_wide {
            let record = column(schema::RAW);
            return Ok(yes(text_test(test, record, sought)));
        }
        let names = rows.names().into_iter();
        let names = names.filter(|name| !name.starts_with(super::join::MARK));
        let tests = names.map(|name| {
            let value = functions::call("as_text", vec![column(&name)]);
            match operator {
                Binary::Equal => yes(value.eq(text(sought.clone()))),
                Binary::EqualFolded => yes(df::lower(value).eq(df::lower(text(sought.clone())))),
                _ => yes(text_test(test, value, sought.clone())),
            }
        });
        Ok(tests.reduce(DfExpr::or).unwrap_or_else(|| lit(false)))
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
        match (name, args) {
            ("has_any" | "has_all", [value, lists @ ..]) => {
                return self.has_some(rows, (name, &value.expr), lists, scope);
            }
            ("toscalar" | "materialize", [of]) => return self.expr(rows, &of.expr, scope),
            ("pack_all", _) => return self.packed(rows, &rows.names(), place, scope),
            ("bag_pack_columns", _) => {
                let names: Vec<String> = args.iter().map(|arg| name_of(&arg.expr)).collect();
                return self.packed(rows, &names, place, scope);
            }
            ("ingestion_time", []) if rows.is_wide => return Ok(column("received_at")),
            ("typeof", [kind]) => return self.expr(rows, &kind.expr, scope),
            _ => {}
        }
        if let Some(window) = self.window(rows, (name, args), place, scope)? {
            return Ok(window);
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

    /// Columns as a document.
    fn packed(
        &self,
        rows: &Rows,
        names: &[String],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let all = if rows.is_wide || !rows.sides.is_empty() {
            let shown = self.shown(rows.clone(), place)?;
            let shown = shown
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone());
            shown.collect()
        } else {
            names.to_vec()
        };
        let names = if names == rows.names() { &all } else { names };
        let mut pairs = Vec::new();
        for name in names {
            pairs.push(lit(name.clone()));
            pairs.push(self.name(rows, name, place, scope)?);
        }
        functions::scalar("bag_pack", pairs, rows, self.now, place)
    }
}

/// As a text, lists and spans as they are shown.
pub(super) fn shown(expr: DfExpr, kind: &DataType) -> DfExpr {
    match kind {
        DataType::Utf8 => expr,
        kind if is_list(kind) || is_span(kind) || matches!(kind, DataType::Map(..)) => {
            functions::call("as_text", vec![expr])
        }
        _ => text(expr),
    }
}

pub(super) fn is_text(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// An item of a list, or a member of a document.
pub(super) fn item(rows: &Rows, value: DfExpr, key: DfExpr) -> DfExpr {
    let kind = type_of(&value, rows);
    if is_list(&kind) {
        // Kusto counts from 0, and from the end with negative numbers.
        let from_one = df_case(key.clone().gt_eq(lit(0_i64)), key.clone() + lit(1_i64), key);
        return array_element(value, from_one);
    }
    if matches!(kind, DataType::Map(..)) {
        return array_element(map_extract(value, key), lit(1_i64));
    }
    functions::call("json_member", vec![value, key])
}

pub(super) fn parse_dynamic(json: &str) -> Option<serde_json::Value> {
    serde_json::from_str(json).ok()
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
        Some(serde_json::Value::String(text)) => lit(text),
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

fn unfit(expr: &Expr, message: &str) -> Diagnostic {
    Diagnostic::new(message, expr.place.clone(), "name a column")
}
