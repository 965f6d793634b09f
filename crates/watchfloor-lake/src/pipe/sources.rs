//! Where rows come from.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{
    Expr as DfExpr, ExprSchemable, LogicalPlanBuilder, cast, lit, try_cast,
};
use datafusion::prelude::DataFrame;
use watchfloor_query::pipe::{Arg, Expr, ExprKind, LetValue, Named, Source, Union};
use watchfloor_query::{Diagnostic, Query};

use super::expression::literal;
use super::{Lowered, Lowering, Rows, Scope, Value, at, bind, find};
use crate::{lower, schema};

/// Most rows of `range`.
const MAX_RANGE: i64 = 1_000_000;

/// Columns that are shown of whole events.
const SHOWN: [&str; 6] = [
    "time",
    "source",
    "product",
    "class_uid",
    "device_hostname",
    "raw",
];

pub(super) fn column(name: &str) -> DfExpr {
    DfExpr::Column(Column::new_unqualified(name))
}

impl Lowering {
    pub(super) fn source(
        &self,
        source: &Source,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        self.step(place)?;
        match source {
            Source::Search(query) => self.search(query, place),
            Source::Table(name) => self.table(name, place, scope),
            Source::Call(name, args) => self.call_rows(name, args, place, scope),
            Source::Print(values) => self.print(values, place, scope),
            Source::Range(name, from, to, step) => self.range(name, [from, to, step], place, scope),
            Source::DataTable(columns, values) => self.data_table(columns, values, place, scope),
            Source::Union(union) => self.union(Vec::new(), union, place, scope),
            Source::Group(inner) => Ok(self.pipeline(inner, scope)?.0),
            Source::Find(find) => self.find_rows(find, place, scope),
            Source::External(_) => Err(Diagnostic::new(
                "nothing is fetched from outside",
                place.clone(),
                "write the rows with datatable(…), or import the list and search it",
            )),
        }
    }

    pub(super) fn search(&self, query: &Query, place: &Range<usize>) -> Lowered<Rows> {
        let frame = self.context.read_table(Arc::clone(&self.events));
        let mut filter = self.in_time.clone();
        if !asks_for_findings(query) {
            filter = filter.and(schema::is_event());
        }
        if *query != Query::All {
            filter = filter.and(lower::query(query));
        }
        let frame = frame
            .and_then(|frame| frame.filter(filter))
            .map_err(at(place))?;
        Ok(Rows {
            is_wide: true,
            ..Rows::new(frame)
        })
    }

    /// A call of a function that gives rows.
    pub(super) fn call_rows(
        &self,
        name: &str,
        args: &[Arg],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        self.invoked(name, (None, args), place, scope)
    }

    /// A call of a function that gives rows, to which rows are given as its first argument.
    pub(super) fn invoked(
        &self,
        name: &str,
        (rows, args): (Option<Rows>, &[Arg]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let (parameters, body, outer) = match find(scope, name) {
            Some(Value::Function(parameters, body, outer)) => (parameters, body, outer),
            Some(Value::Rows(rows)) if args.is_empty() => return Ok(*rows),
            _ => return self.foreign_rows(name, args, place, scope),
        };
        let inner = match (rows, parameters.split_first()) {
            (Some(rows), Some(((first, _), rest))) => {
                let outer = bind(&outer, first, Value::Rows(Box::new(rows)));
                self.arguments(rest, args, (scope, &outer), place)?
            }
            _ => self.arguments(&parameters, args, (scope, &outer), place)?,
        };
        let inner = self.lets(&body.0, &inner)?;
        match self.value(&body.1, &inner)? {
            Value::Rows(rows) => Ok(*rows),
            Value::Scalar(expr, scope) => match &expr.kind {
                ExprKind::Rows(pipeline) => Ok(self.pipeline(pipeline, &scope)?.0),
                ExprKind::Name(name) => self.table(name, place, &scope),
                ExprKind::Call(name, args) => self.call_rows(name, args, place, &scope),
                _ => Err(no_rows(name, place)),
            },
            Value::Function(..) => Err(no_rows(name, place)),
        }
    }

    /// The scope of a function's body: its parameters, with the names of the place where the
    /// function stands around them.
    pub(super) fn arguments(
        &self,
        parameters: &[(String, Option<Expr>)],
        args: &[Arg],
        (scope, outer): (&Scope, &Scope),
        place: &Range<usize>,
    ) -> Lowered<Scope> {
        let mut inner = outer.clone();
        for (number, (name, default)) in parameters.iter().enumerate() {
            let by_name = args.iter().find(|arg| arg.name.as_ref() == Some(name));
            let by_place = args.get(number).filter(|arg| arg.name.is_none());
            let value = match (by_name.or(by_place), default) {
                (Some(arg), _) => self.argument(&arg.expr, scope)?,
                (None, Some(default)) => Value::Scalar(default.clone(), outer.clone()),
                (None, None) => {
                    return Err(Diagnostic::new(
                        format!("the parameter '{name}' has no value"),
                        place.clone(),
                        "give it a value in the call",
                    ));
                }
            };
            inner = bind(&inner, name, value);
        }
        Ok(inner)
    }

    pub(super) fn argument(&self, expr: &Expr, scope: &Scope) -> Lowered<Value> {
        match &expr.kind {
            ExprKind::Rows(rows) => Ok(Value::Rows(Box::new(self.pipeline(rows, scope)?.0))),
            ExprKind::Call(name, args)
                if name != "toscalar"
                    && (super::tables::gives_rows(name)
                        || matches!(find(scope, name), Some(Value::Function(_, body, _)) if matches!(body.1, LetValue::Table(_)))) =>
            {
                let rows = self.call_rows(name, args, &expr.place, scope)?;
                Ok(Value::Rows(Box::new(rows)))
            }
            ExprKind::Name(name) => match find(scope, name) {
                Some(value) => Ok(value),
                None if super::tables::filter_of(name).is_some() => Ok(Value::Rows(Box::new(
                    self.table(name, &expr.place, scope)?,
                ))),
                None => Ok(Value::Scalar(expr.clone(), scope.clone())),
            },
            _ => Ok(Value::Scalar(expr.clone(), scope.clone())),
        }
    }

    /// One row without columns.
    fn one_row(&self, place: &Range<usize>) -> Lowered<Rows> {
        let plan = LogicalPlanBuilder::empty(true).build().map_err(at(place))?;
        Ok(Rows::new(DataFrame::new(self.context.state(), plan)))
    }

    fn print(&self, values: &[Named], place: &Range<usize>, scope: &Scope) -> Lowered<Rows> {
        let mut rows = self.one_row(place)?;
        let mut columns = Vec::with_capacity(values.len());
        for (number, named) in values.iter().enumerate() {
            let name = named.names.first().cloned();
            let name = name.unwrap_or_else(|| format!("print_{number}"));
            columns.push(self.expr(&rows, &named.expr, scope)?.alias(name));
        }
        rows.frame = rows.frame.select(columns).map_err(at(place))?;
        Ok(rows)
    }

    fn range(
        &self,
        name: &str,
        bounds: [&Expr; 3],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let one = self.one_row(place)?;
        let mut values = Vec::with_capacity(3);
        for bound in bounds {
            values.push(self.constant(&one, bound, scope)?);
        }
        let kinds = values.iter().map(ScalarValue::data_type);
        let is_real = kinds.clone().any(|kind| kind.is_floating());
        let kind = match values[0].data_type() {
            _ if is_real => DataType::Float64,
            kind @ (DataType::Timestamp(..) | DataType::Duration(_)) => kind,
            _ => DataType::Int64,
        };
        let counted = if is_real {
            DataType::Float64
        } else {
            DataType::Int64
        };
        let mut numbers = [0_f64; 3];
        for ((number, value), bound) in numbers.iter_mut().zip(&values).zip(bounds) {
            let value = value.cast_to(&counted).map_err(at(&bound.place))?;
            *number = match value {
                ScalarValue::Float64(Some(value)) => value,
                ScalarValue::Int64(Some(value)) => value as f64,
                _ => {
                    return Err(Diagnostic::new(
                        "no number",
                        bound.place.clone(),
                        "write a number, a span or a time",
                    ));
                }
            };
        }
        let [from, to, step] = numbers;
        let count = if step == 0.0 {
            f64::INFINITY
        } else {
            (to - from) / step
        };
        if count > MAX_RANGE as f64 {
            return Err(Diagnostic::new(
                format!("the range has more than {MAX_RANGE} rows"),
                place.clone(),
                "take a larger step",
            ));
        }
        // A little more, so that what adds up to the end is not cut off by rounding.
        let count = if count < 0.0 {
            0
        } else {
            (count + 1e-9) as i64 + 1
        };
        let numbers = (from, step, count);
        let array = counted_up(numbers, is_real, &kind).map_err(|error| at(place)(error.into()))?;
        let field = Field::new(name, kind, true);
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array])
            .map_err(|error| at(place)(error.into()))?;
        let frame = self.context.read_batch(batch).map_err(at(place))?;
        Ok(Rows::new(frame))
    }

    fn data_table(
        &self,
        columns: &[(String, String)],
        values: &[Expr],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        if !values.len().is_multiple_of(columns.len()) {
            return Err(Diagnostic::new(
                format!(
                    "{} values do not fill rows of {} columns",
                    values.len(),
                    columns.len()
                ),
                place.clone(),
                "write one value for each column, row by row",
            ));
        }
        let one = self.one_row(place)?;
        let mut rows = Vec::new();
        for row in values.chunks(columns.len()) {
            let row: Lowered<Vec<DfExpr>> = row
                .iter()
                .zip(columns)
                .map(|(value, (_, kind))| {
                    let value = self.expr(&one, value, scope)?;
                    let of = type_of(&value, &one);
                    Ok(match kind_type(kind) {
                        DataType::Utf8 => super::expression::shown(value, &of),
                        _ if of == DataType::Utf8 => super::functions::typed(value, kind),
                        kind => cast(value, kind),
                    })
                })
                .collect();
            rows.push(row?);
        }
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, kind)| Field::new(name, kind_type(kind), true))
            .collect();
        if rows.is_empty() {
            let batch = arrow::array::RecordBatch::new_empty(Arc::new(Schema::new(fields)));
            let frame = self.context.read_batch(batch).map_err(at(place))?;
            return Ok(Rows::new(frame));
        }
        let plan = LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build);
        let frame = DataFrame::new(self.context.state(), plan.map_err(at(place))?);
        let names = columns.iter().enumerate();
        let select =
            names.map(|(number, (name, _))| column(&format!("column{}", number + 1)).alias(name));
        let frame = frame
            .select(select.collect::<Vec<_>>())
            .map_err(at(place))?;
        Ok(Rows::new(frame))
    }

    /// Rows of all parts; columns that a part lacks are empty, and types that differ are texts.
    pub(super) fn union(
        &self,
        before: Vec<Rows>,
        union: &Union,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let (parts, names) = self.union_parts(before, union, (place, scope))?;
        let is_wide = parts.iter().any(|rows| rows.is_wide);
        let columns = self.union_columns(&parts, union.is_inner);
        let mut added: Vec<String> = parts.iter().flat_map(added_of).collect();
        let mut table = parts
            .first()
            .map(|rows| rows.table.clone())
            .unwrap_or_default();
        if parts.iter().any(|rows| rows.table != table) {
            table.clear();
        }
        let mut whole: Option<DataFrame> = None;
        for (rows, name) in parts.into_iter().zip(names) {
            let mut select: Vec<DfExpr> = columns
                .iter()
                .map(|(name, kind)| part_column(&rows, name, kind))
                .collect();
            if let Some(source) = &union.with_source {
                select.push(lit(name).alias(source));
            }
            let frame = rows.frame.select(select).map_err(at(place))?;
            whole = Some(match whole {
                Some(before) => before.union(frame).map_err(at(place))?,
                None => frame,
            });
        }
        added.extend(union.with_source.clone());
        let mut kept = Vec::new();
        for name in added {
            if !kept.contains(&name) {
                kept.push(name);
            }
        }
        let frame = whole.ok_or_else(|| {
            let missing = union.parts.first().map(|part| &part.source);
            match missing {
                Some(Source::Table(name)) => super::tables::no_table(name, place),
                _ => Diagnostic::new("the union has no rows", place.clone(), "name tables"),
            }
        })?;
        let known = |name: &String| frame.schema().has_column_with_unqualified_name(name);
        kept.retain(known);
        Ok(Rows {
            is_wide,
            added: kept,
            table,
            ..Rows::new(frame)
        })
    }

    /// The parts of a union with their names.
    fn union_parts(
        &self,
        before: Vec<Rows>,
        union: &Union,
        (place, scope): (&Range<usize>, &Scope),
    ) -> Lowered<(Vec<Rows>, Vec<String>)> {
        let mut parts = before;
        let mut names = vec!["rows".to_owned(); parts.len()];
        for part in &union.parts {
            if let Source::Table(pattern) = &part.source
                && pattern.contains('*')
            {
                for name in super::tables::names_of(pattern) {
                    parts.push(self.table(&name, place, scope)?);
                    names.push(name);
                }
                continue;
            }
            match self.pipeline(part, scope) {
                Ok((rows, _)) => parts.push(rows),
                Err(error) if union.is_fuzzy && super::tables::is_missing(&error) => continue,
                Err(error) => return Err(error),
            }
            names.push(super::tables::source_name(&part.source, parts.len() - 1));
        }
        Ok((parts, names))
    }

    /// The columns of all parts with the types that fit them; whole events have every field, so
    /// that they have the columns of other parts as well.
    fn union_columns(&self, parts: &[Rows], is_inner: bool) -> Vec<(String, DataType)> {
        let mut columns: Vec<(String, DataType)> = Vec::new();
        for rows in parts {
            for field in rows.frame.schema().fields() {
                let name = field.name();
                if name.starts_with(super::join::MARK) {
                    continue;
                }
                match columns.iter_mut().find(|(known, _)| known == name) {
                    Some((_, kind)) => *kind = common_kind(kind, field.data_type()),
                    None => columns.push((name.clone(), field.data_type().clone())),
                }
            }
        }
        if is_inner {
            columns.retain(|(name, _)| parts.iter().all(|rows| rows.has(name)));
        }
        columns
    }

    /// What is shown of rows: of whole events a few columns and those that were added.
    pub(super) fn shown(&self, rows: Rows, place: &Range<usize>) -> Lowered<DataFrame> {
        if !rows.is_wide && rows.sides.is_empty() && rows.group.is_none() {
            return Ok(rows.frame);
        }
        let key = rows.group.as_ref().map(|group| group.key.as_str());
        let is_inner = |name: &str| name.starts_with(super::join::MARK) || Some(name) == key;
        let label = |name: &str| match name {
            "device_hostname" => "device.hostname".to_owned(),
            other => other.to_owned(),
        };
        let mut select: Vec<DfExpr> = Vec::new();
        if rows.is_wide {
            let shown = SHOWN.iter().map(|name| (column(name), label(name)));
            let shown = shown.filter(|(_, label)| !rows.hidden.contains(label));
            select.extend(shown.map(|(value, label)| value.alias(label)));
            let added = rows
                .added
                .iter()
                .filter(|name| !SHOWN.contains(&name.as_str()));
            select.extend(added.map(|name| column(name)));
        } else {
            let names = rows.names().into_iter().filter(|name| !is_inner(name));
            select.extend(names.map(|name| column(&name)));
        }
        for (number, side) in rows.sides.iter().enumerate() {
            let of_side = ["time", "class_uid", "raw"].iter().map(|name| {
                column(&format!("{}{name}", side.mark)).alias(format!("{name}{}", number + 1))
            });
            select.extend(of_side);
        }
        rows.frame.clone().select(select).map_err(at(place))
    }

    /// A value that does not rest on any row.
    pub(super) fn constant(&self, rows: &Rows, expr: &Expr, scope: &Scope) -> Lowered<ScalarValue> {
        let lowered = self.expr(rows, expr, scope)?;
        literal(&lowered, rows).ok_or_else(|| {
            Diagnostic::new(
                "this must be a value that is known beforehand",
                expr.place.clone(),
                "write a number, a text, a span or a time",
            )
        })
    }
}

/// So many numbers from one on, as values of a type.
fn counted_up(
    (from, step, count): (f64, f64, i64),
    is_real: bool,
    kind: &DataType,
) -> Result<ArrayRef, arrow::error::ArrowError> {
    let array: ArrayRef = if is_real {
        let values = (0..count).map(|index| from + index as f64 * step);
        Arc::new(Float64Array::from_iter_values(values))
    } else {
        let (from, step) = (from as i64, step as i64);
        let values = (0..count).map(|index| from + index * step);
        Arc::new(Int64Array::from_iter_values(values))
    };
    arrow::compute::cast(&array, kind)
}

fn no_rows(name: &str, place: &Range<usize>) -> Diagnostic {
    Diagnostic::new(
        format!("'{name}' gives a value and no rows"),
        place.clone(),
        "use it in an expression",
    )
}

/// What a part of a union shows beside the lake's columns.
fn added_of(rows: &Rows) -> Vec<String> {
    if rows.is_wide {
        return rows.added.clone();
    }
    let names = rows.names().into_iter();
    names
        .filter(|name| !name.starts_with(super::join::MARK))
        .collect()
}

/// A column of a part: its own, a field of its events, or nothing.
fn part_column(rows: &Rows, name: &str, kind: &DataType) -> DfExpr {
    let value = if rows.has(name) {
        column(name)
    } else {
        let field = rows.is_wide.then(|| super::fields::of_rows(rows, name));
        field.flatten().unwrap_or_else(|| lit(ScalarValue::Null))
    };
    let of = type_of(&value, rows);
    let value = match kind {
        kind if of == *kind => value,
        DataType::Utf8 => super::expression::shown(value, &of),
        kind => try_cast(value, kind.clone()),
    };
    value.alias(name)
}

/// The type that two types fit into.
fn common_kind(one: &DataType, two: &DataType) -> DataType {
    match (one, two) {
        (one, two) if one == two => one.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (one, two) if one.is_integer() && two.is_integer() => DataType::Int64,
        (one, two) if one.is_numeric() && two.is_numeric() => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// Whether a search is for findings, which are left out otherwise.
fn asks_for_findings(query: &Query) -> bool {
    match query {
        Query::And(items) | Query::Or(items) => items.iter().any(asks_for_findings),
        Query::Not(item) => asks_for_findings(item),
        Query::Field { name, .. } => {
            matches!(name.as_str(), "class" | "class_uid" | "class_name")
                || name.starts_with("finding_info")
        }
        Query::All | Query::Contains(_) => false,
    }
}

/// The type of a word such as `string`.
pub(super) fn kind_type(word: &str) -> DataType {
    match word {
        "long" | "int" => DataType::Int64,
        "real" | "double" | "decimal" => DataType::Float64,
        "bool" | "boolean" => DataType::Boolean,
        "datetime" | "date" => schema::time_type(),
        "timespan" | "time" => super::expression::span_type(),
        _ => DataType::Utf8,
    }
}

/// The type of an expression over rows.
pub(super) fn type_of(expr: &DfExpr, rows: &Rows) -> DataType {
    expr.get_type(rows.frame.schema()).unwrap_or(DataType::Utf8)
}
