//! Where rows come from.

use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr as DfExpr, ExprSchemable, LogicalPlanBuilder, cast, lit};
use datafusion::prelude::DataFrame;
use watchfloor_query::pipe::{
    Arg, Expr, ExprKind, Named, Source, TABLES, Union, nearest, table_filter,
};
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

impl Lowering<'_> {
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
        }
    }

    fn search(&self, query: &Query, place: &Range<usize>) -> Lowered<Rows> {
        let frame = self.context.read_table(Arc::clone(&self.events));
        let mut filter = self.in_time.clone();
        if !asks_for_findings(query) {
            filter = filter.and(column("kind").not_eq(lit("watchfloor/finding")));
        }
        if *query != Query::All {
            filter = filter.and(lower::query(query));
        }
        let frame = frame
            .and_then(|frame| frame.filter(filter))
            .map_err(at(place))?;
        Ok(Rows {
            frame,
            is_wide: true,
            added: Vec::new(),
        })
    }

    fn table(&self, name: &str, place: &Range<usize>, scope: &Scope) -> Lowered<Rows> {
        match find(scope, name) {
            Some(Value::Rows(rows)) => return Ok(rows),
            Some(Value::Function(parameters, ..)) if parameters.is_empty() => {
                return self.call_rows(name, &[], place, scope);
            }
            _ => {}
        }
        let Some(filter) = table_filter(name) else {
            let known: Vec<&str> = TABLES.iter().map(|(name, _, _)| *name).collect();
            let near = nearest(name, known.iter().copied());
            let hint = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("tables are {}", known.join(", ")),
            };
            return Err(Diagnostic::new(
                format!("there is no table '{name}'"),
                place.clone(),
                &hint,
            ));
        };
        self.search(&watchfloor_query::parse(filter)?, place)
    }

    /// A call of a function that gives rows.
    fn call_rows(
        &self,
        name: &str,
        args: &[Arg],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let Some(Value::Function(parameters, body, outer)) = find(scope, name) else {
            if table_filter(name).is_some() {
                return self.table(name, place, scope);
            }
            return Err(Diagnostic::new(
                format!("there is no function '{name}' that gives rows"),
                place.clone(),
                "define it with let, or name a table",
            ));
        };
        let inner = self.arguments(&parameters, args, (scope, &outer), place)?;
        let inner = self.lets(&body.0, &inner)?;
        match self.value(&body.1, &inner)? {
            Value::Rows(rows) => Ok(rows),
            _ => Err(Diagnostic::new(
                format!("'{name}' gives a value and no rows"),
                place.clone(),
                "use it in an expression",
            )),
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

    fn argument(&self, expr: &Expr, scope: &Scope) -> Lowered<Value> {
        match &expr.kind {
            ExprKind::Rows(rows) => Ok(Value::Rows(self.pipeline(rows, scope)?.0)),
            ExprKind::Name(name) => match find(scope, name) {
                Some(value) => Ok(value),
                None if table_filter(name).is_some() => {
                    Ok(Value::Rows(self.table(name, &expr.place, scope)?))
                }
                None => Ok(Value::Scalar(expr.clone(), scope.clone())),
            },
            _ => Ok(Value::Scalar(expr.clone(), scope.clone())),
        }
    }

    /// One row without columns.
    fn one_row(&self, place: &Range<usize>) -> Lowered<Rows> {
        let plan = LogicalPlanBuilder::empty(true).build().map_err(at(place))?;
        Ok(Rows {
            frame: DataFrame::new(self.context.state(), plan),
            is_wide: false,
            added: Vec::new(),
        })
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
        let mut numbers = [0_i64; 3];
        let mut is_time = false;
        for (number, bound) in numbers.iter_mut().zip(bounds) {
            let value = self.constant(&one, bound, scope)?;
            is_time |= matches!(value, ScalarValue::TimestampMicrosecond(..));
            let value = value.cast_to(&DataType::Int64).map_err(at(&bound.place))?;
            let ScalarValue::Int64(Some(value)) = value else {
                return Err(Diagnostic::new(
                    "no number",
                    bound.place.clone(),
                    "write a number or a time",
                ));
            };
            *number = value;
        }
        let [from, to, step] = numbers;
        let count = to
            .saturating_sub(from)
            .checked_div(step)
            .map_or(0, |count| count.saturating_add(1));
        if step == 0 || count > MAX_RANGE {
            return Err(Diagnostic::new(
                format!("the range has more than {MAX_RANGE} rows"),
                place.clone(),
                "take a larger step",
            ));
        }
        let values: Vec<Vec<DfExpr>> = (0..count.max(0))
            .map(|index| vec![lit(from + index * step)])
            .collect();
        if values.is_empty() {
            return Ok(one);
        }
        let plan = LogicalPlanBuilder::values(values).and_then(LogicalPlanBuilder::build);
        let frame = DataFrame::new(self.context.state(), plan.map_err(at(place))?);
        let value = column("column1");
        let value = if is_time {
            cast(value, schema::time_type())
        } else {
            value
        };
        let frame = frame.select(vec![value.alias(name)]).map_err(at(place))?;
        Ok(Rows { frame, ..one })
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
                    Ok(cast(value, kind_type(kind)))
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
            return Ok(Rows { frame, ..one });
        }
        let plan = LogicalPlanBuilder::values(rows).and_then(LogicalPlanBuilder::build);
        let frame = DataFrame::new(self.context.state(), plan.map_err(at(place))?);
        let names = columns.iter().enumerate();
        let select =
            names.map(|(number, (name, _))| column(&format!("column{}", number + 1)).alias(name));
        let frame = frame
            .select(select.collect::<Vec<_>>())
            .map_err(at(place))?;
        Ok(Rows { frame, ..one })
    }

    /// Rows of all parts; columns that a part lacks are empty, and types that differ are texts.
    pub(super) fn union(
        &self,
        before: Vec<Rows>,
        union: &Union,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut parts = before;
        let mut names = vec!["rows".to_owned(); parts.len()];
        for part in &union.parts {
            if let Source::Table(name) = &part.source
                && name.ends_with('*')
            {
                continue;
            }
            parts.push(self.pipeline(part, scope)?.0);
            names.push(match &part.source {
                Source::Table(name) => name.clone(),
                _ => format!("union_arg{}", parts.len() - 1),
            });
        }
        let is_wide = parts.iter().all(|rows| rows.is_wide);
        let mut columns = all_columns(&parts);
        if union.is_inner {
            columns.retain(|(name, _)| {
                let has = |rows: &Rows| rows.frame.schema().has_column_with_unqualified_name(name);
                parts.iter().all(has)
            });
        }
        let mut added: Vec<String> = parts.iter().flat_map(|rows| rows.added.clone()).collect();
        added.dedup();
        let mut whole: Option<DataFrame> = None;
        for (rows, name) in parts.into_iter().zip(names) {
            let mut select: Vec<DfExpr> = columns
                .iter()
                .map(|(name, kind)| {
                    let has = rows.frame.schema().has_column_with_unqualified_name(name);
                    let value = if has {
                        column(name)
                    } else {
                        lit(ScalarValue::Null)
                    };
                    cast(value, kind.clone()).alias(name)
                })
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
        let frame = whole.ok_or_else(|| {
            Diagnostic::new("the union has no rows", place.clone(), "name tables")
        })?;
        Ok(Rows {
            frame,
            is_wide,
            added,
        })
    }

    /// What is shown of rows: of whole events a few columns and those that were added.
    pub(super) fn shown(&self, rows: Rows, place: &Range<usize>) -> Lowered<DataFrame> {
        if !rows.is_wide {
            return Ok(rows.frame);
        }
        let shown = SHOWN.iter().map(|name| {
            let name = *name;
            column(name).alias(if name == "device_hostname" {
                "device.hostname"
            } else {
                name
            })
        });
        let added = rows.added.iter().map(|name| column(name));
        rows.frame
            .clone()
            .select(shown.chain(added).collect::<Vec<_>>())
            .map_err(at(place))
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

/// The columns of all parts; a text where their types differ.
fn all_columns(parts: &[Rows]) -> Vec<(String, DataType)> {
    let mut columns: Vec<(String, DataType)> = Vec::new();
    for field in parts.iter().flat_map(|rows| rows.frame.schema().fields()) {
        match columns.iter_mut().find(|(name, _)| name == field.name()) {
            Some((_, kind)) if *kind != *field.data_type() => *kind = DataType::Utf8,
            Some(_) => {}
            None => columns.push((field.name().clone(), field.data_type().clone())),
        }
    }
    columns
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
