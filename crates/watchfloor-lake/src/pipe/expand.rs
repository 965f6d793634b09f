//! Verbs that make rows of lists, and verbs over groups of rows: `mv-expand`, `mv-apply`,
//! `partition`; and `evaluate`, whose columns depend on the data.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::{Column, JoinType, ScalarValue, UnnestOptions};
use datafusion::functions::expr_fn as df;
use datafusion::functions_nested::expr_fn::array_slice;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Expr as DfExpr, ExprFunctionExt, LogicalPlanBuilder, cast, lit, try_cast,
};
use datafusion::prelude::DataFrame;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{Arg, Expr, ExprKind, MvExpand, Named, ParseKv, Verb};

use super::aggregates::{default_name_of, name_of};
use super::expression::{is_list, shown};
use super::sources::{column, kind_type, type_of};
use super::verbs::{aggregated, free_name};
use super::{Group, Lowered, Lowering, Rows, Scope, Value, at, functions};

/// Most columns that values of the data become.
const MAX_COLUMNS: usize = 500;
/// Rows that are looked at for the names of columns.
const LOOKED_AT: usize = 100_000;

/// Plugins of `evaluate`.
const PLUGINS: &str = "plugins are bag_unpack, pivot, narrow and ipv4_lookup";

impl Lowering {
    pub(super) fn mv_expand(
        &self,
        rows: Rows,
        expand: &MvExpand,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut rows = rows;
        let mut names = Vec::new();
        let most = match &expand.limit {
            Some(limit) => Some(self.expr(&rows, limit, scope)?),
            None => None,
        };
        let mut first = None;
        for (named, kind) in &expand.columns {
            let value = self.expr(&rows, &named.expr, scope)?;
            let of = type_of(&value, &rows);
            let mut value = if is_list(&of) {
                value
            } else {
                functions::call("json_rows", vec![shown(value, &of)])
            };
            if let Some(most) = &most {
                value = array_slice(value, lit(1_i64), most.clone(), None);
            }
            let name = named.names.first().cloned();
            let name = name.unwrap_or_else(|| name_of(&named.expr));
            first.get_or_insert_with(|| name.clone());
            rows = self.with_column(rows, &name, value, place)?;
            names.push((name, kind.clone()));
        }
        if let (Some(index), Some(first)) = (&expand.index, first) {
            let numbers = functions::call("item_numbers", vec![column(&first)]);
            rows = self.with_column(rows, index, numbers, place)?;
            names.push((index.clone(), Some("long".to_owned())));
        }
        let columns = names
            .iter()
            .map(|(name, _)| Column::new_unqualified(name))
            .collect();
        let plan = LogicalPlanBuilder::from(rows.frame.logical_plan().clone())
            .unnest_columns_with_options(columns, UnnestOptions::new())
            .and_then(LogicalPlanBuilder::build)
            .map_err(at(place))?;
        rows.frame = DataFrame::new(self.context.state(), plan);
        for (name, kind) in names {
            let Some(kind) = kind else {
                continue;
            };
            let value = shown(column(&name), &type_of(&column(&name), &rows));
            let typed = functions::typed(value.clone(), &kind);
            // An item with a part after the point is a whole number without it.
            let typed = match kind_type(&kind) {
                DataType::Int64 => {
                    let real = try_cast(value, DataType::Float64);
                    df::coalesce(vec![typed, try_cast(real, DataType::Int64)])
                }
                _ => typed,
            };
            rows = self.with_column(rows, &name, typed, place)?;
        }
        Ok(rows)
    }

    /// Verbs over the items of a list: each row's items are a group, with the row's columns.
    pub(super) fn mv_apply(
        &self,
        rows: Rows,
        (expand, verbs): (&MvExpand, &[Verb]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let key = format!("\u{6}row{}", self.steps.get());
        let outer = rows.group.clone();
        let made: Vec<String> = expand
            .columns
            .iter()
            .map(|(named, _)| {
                let name = named.names.first().cloned();
                name.unwrap_or_else(|| name_of(&named.expr))
            })
            .collect();
        let mut carried = rows.names();
        carried.retain(|name| !made.contains(name));
        let numbered = cast(row_number(), DataType::Int64);
        let rows = self.with_column(rows, &key, numbered, place)?;
        let mut rows = self.mv_expand(rows, expand, place, scope)?;
        rows.group = Some(Group {
            key: key.clone(),
            carried,
        });
        let mut rows = self.verbs(rows, verbs, scope)?;
        rows.group = outer;
        self.without(rows, &key, place)
    }

    /// Verbs for each value of a column.
    pub(super) fn partition(
        &self,
        rows: Rows,
        (by, verbs): (&Expr, &[Verb]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let key = format!("\u{6}row{}", self.steps.get());
        let outer = rows.group.clone();
        let value = self.expr(&rows, by, scope)?;
        let mut rows = self.with_column(rows, &key, value, place)?;
        rows.group = Some(Group {
            key: key.clone(),
            carried: Vec::new(),
        });
        let mut rows = self.verbs(rows, verbs, scope)?;
        rows.group = outer;
        self.without(rows, &key, place)
    }

    fn verbs(&self, mut rows: Rows, verbs: &[Verb], scope: &Scope) -> Lowered<Rows> {
        for verb in verbs {
            self.step(&verb.place)?;
            rows = self.verb(rows, verb, scope)?;
        }
        Ok(rows)
    }

    fn without(&self, mut rows: Rows, name: &str, place: &Range<usize>) -> Lowered<Rows> {
        let kept: Vec<DfExpr> = rows
            .names()
            .iter()
            .filter(|known| *known != name)
            .map(|name| column(name))
            .collect();
        rows.added.retain(|known| known != name);
        rows.frame = rows.frame.select(kept).map_err(at(place))?;
        Ok(rows)
    }

    /// Rows with a further column, or with another value of one, which keeps its place.
    pub(super) fn with_column(
        &self,
        mut rows: Rows,
        name: &str,
        value: DfExpr,
        place: &Range<usize>,
    ) -> Lowered<Rows> {
        let value = value.alias(name);
        let names = rows.names();
        let mut select: Vec<DfExpr> = names
            .iter()
            .map(|known| match known == name {
                true => value.clone(),
                false => column(known),
            })
            .collect();
        if !names.iter().any(|known| known == name) {
            select.push(value);
        }
        rows.frame = rows.frame.select(select).map_err(at(place))?;
        if !rows.added.iter().any(|known| known == name) && !name.starts_with(['\u{6}', '\u{7}']) {
            rows.added.push(name.to_owned());
        }
        Ok(rows)
    }

    /// The first rows of each group.
    pub(super) fn first_of_groups(
        &self,
        mut rows: Rows,
        most: i64,
        place: &Range<usize>,
    ) -> Lowered<Rows> {
        let Some(group) = rows.group.clone() else {
            return Ok(rows);
        };
        let mut numbered = row_number().partition_by(vec![column(&group.key)]);
        if !rows.order.is_empty() {
            numbered = numbered.order_by(rows.order.clone());
        }
        let number = numbered.build().map_err(at(place))?;
        let name = "\u{7}number";
        rows = self.with_column(rows, name, cast(number, DataType::Int64), place)?;
        rows.frame = rows
            .frame
            .filter(column(name).lt_eq(lit(most)))
            .map_err(at(place))?;
        self.without(rows, name, place)
    }

    pub(super) fn evaluate(
        &self,
        rows: Rows,
        (name, args): (&str, &[Arg]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        match (name, args) {
            ("bag_unpack", [bag, ..]) => {
                self.bag_unpack(rows, &bag.expr, &args[1..], (place, scope))
            }
            ("pivot", [of, ..]) => self.pivot(rows, &of.expr, &args[1..], (place, scope)),
            ("narrow", []) => self.narrow_rows(rows, place),
            ("ipv4_lookup", [table, address, network, ..]) => {
                let parts = [&table.expr, &address.expr, &network.expr];
                self.ipv4_lookup(rows, parts, &args[3..], (place, scope))
            }
            _ => Err(Diagnostic::new(
                format!("the plugin '{name}' is not known here"),
                place.clone(),
                PLUGINS,
            )),
        }
    }

    /// A column for each name of the documents.
    fn bag_unpack(
        &self,
        mut rows: Rows,
        bag: &Expr,
        more: &[Arg],
        (place, scope): (&Range<usize>, &Scope),
    ) -> Lowered<Rows> {
        let prefix = match more.first().map(|arg| &arg.expr.kind) {
            Some(ExprKind::Text(prefix)) => prefix.clone(),
            _ => String::new(),
        };
        let value = self.expr(&rows, bag, scope)?;
        let value = shown(value.clone(), &type_of(&value, &rows));
        let sample = rows
            .frame
            .clone()
            .select(vec![value.clone().alias("value")])
            .and_then(|frame| frame.limit(0, Some(LOOKED_AT)))
            .map_err(at(place))?;
        let mut found: Vec<(String, DataType)> = Vec::new();
        for text in self.texts_of(sample, place)? {
            let Ok(serde_json::Value::Object(members)) = serde_json::from_str(&text) else {
                continue;
            };
            for (key, member) in members {
                let kind = member_kind(&member);
                match found.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known = widened(known, &kind),
                    None => found.push((key, kind)),
                }
            }
        }
        if found.len() > MAX_COLUMNS {
            return Err(too_many(place));
        }
        found.sort_by(|one, other| one.0.cmp(&other.0));
        let bag_name = name_of(bag);
        if rows.has(&bag_name) {
            // Its members are read from a column that goes at the end.
            rows = self.with_column(rows, "\u{7}bag", value, place)?;
            rows = self.without(rows, &bag_name, place)?;
        } else {
            rows = self.with_column(rows, "\u{7}bag", value, place)?;
        }
        let mut names = rows.names();
        for (key, kind) in found {
            let member = functions::call("json_member", vec![column("\u{7}bag"), lit(key.clone())]);
            let member = match kind {
                DataType::Utf8 | DataType::Null => member,
                kind => try_cast(member, kind),
            };
            let name = free_name(format!("{prefix}{key}"), &names);
            rows = self.with_column(rows, &name, member, place)?;
            names.push(name);
        }
        self.without(rows, "\u{7}bag", place)
    }

    /// A column for each value of a column, with an aggregate over its rows.
    fn pivot(
        &self,
        rows: Rows,
        of: &Expr,
        more: &[Arg],
        (place, scope): (&Range<usize>, &Scope),
    ) -> Lowered<Rows> {
        let count = Arg {
            name: None,
            expr: Expr {
                kind: ExprKind::Call("count".to_owned(), Vec::new()),
                place: place.clone(),
            },
        };
        let aggregate = more.first().unwrap_or(&count);
        let by: Vec<&Expr> = more.iter().skip(1).map(|arg| &arg.expr).collect();
        let value = self.expr(&rows, of, scope)?;
        let value = shown(value.clone(), &type_of(&value, &rows));
        let values = rows
            .frame
            .clone()
            .select(vec![value.clone().alias("value")])
            .map_err(at(place))?;
        let values = self.texts_of(values, place)?;
        if values.len() > MAX_COLUMNS {
            return Err(too_many(place));
        }
        let mut keys: Vec<DfExpr> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        if by.is_empty() && !rows.is_wide {
            let used = default_name_of(&aggregate.expr);
            let taken = name_of(of);
            let mut others = rows.names();
            others.retain(|name| *name != taken && !used.ends_with(&format!("_{name}")));
            keys.extend(others.iter().map(|name| column(name).alias(name)));
            names.extend(others);
        }
        for key in by {
            let name = name_of(key);
            keys.push(self.expr(&rows, key, scope)?.alias(&name));
            names.push(name);
        }
        let named = Named {
            names: Vec::new(),
            expr: aggregate.expr.clone(),
        };
        let Some((_, aggregate)) = self.aggregate(&rows, &named, scope)?.pop() else {
            return Err(too_many(place));
        };
        let mut columns = Vec::new();
        for one in values {
            let is_one = value.clone().eq(lit(one.clone()));
            let filtered = aggregate.clone().filter(is_one);
            let name = free_name(one, &names);
            columns.push(filtered.build().map_err(at(place))?.alias(&name));
            names.push(name);
        }
        let frame = aggregated(rows.frame.clone(), keys, columns).map_err(at(place))?;
        Ok(rows.narrowed(frame))
    }

    /// A row for each value, with the number of its row and the name of its column.
    fn narrow_rows(&self, rows: Rows, place: &Range<usize>) -> Lowered<Rows> {
        let numbered = cast(row_number(), DataType::Int64) - lit(1_i64);
        let frame = self.shown(rows, place)?;
        let rows = self.with_column(Rows::new(frame), "\u{7}row", numbered, place)?;
        let mut whole: Option<DataFrame> = None;
        for name in rows.names().iter().filter(|name| *name != "\u{7}row") {
            let value = functions::call("as_text", vec![column(name)]);
            let select = vec![
                column("\u{7}row").alias("Row"),
                lit(name.clone()).alias("Column"),
                value.alias("Value"),
            ];
            let frame = rows.frame.clone().select(select).map_err(at(place))?;
            whole = Some(match whole {
                Some(before) => before.union(frame).map_err(at(place))?,
                None => frame,
            });
        }
        whole.map(Rows::new).ok_or_else(|| too_many(place))
    }

    /// Rows with those of a table whose network holds the address.
    fn ipv4_lookup(
        &self,
        mut rows: Rows,
        [table, address, network]: [&Expr; 3],
        more: &[Arg],
        (place, scope): (&Range<usize>, &Scope),
    ) -> Lowered<Rows> {
        const NETWORK: &str = "\u{2}network";
        let Value::Rows(right) = self.argument(table, scope)? else {
            return Err(Diagnostic::new(
                "a table is expected here",
                table.place.clone(),
                "name a table or a let that has rows",
            ));
        };
        let keeps_all = more.iter().any(|arg| arg.expr.kind == ExprKind::Bool(true));
        let address = self.expr(&rows, address, scope)?;
        let right = Rows::new(self.shown(*right, place)?);
        let mut names = rows.names();
        let mut select = vec![self.expr(&right, network, scope)?.alias(NETWORK)];
        let mut new = Vec::new();
        for name in right.names() {
            let free = free_name(name.clone(), &names);
            select.push(column(&name).alias(&free));
            new.push(free);
        }
        names.extend(new.iter().cloned());
        let right = right.frame.select(select).map_err(at(place))?;
        let is_within = functions::call("ipv4_is_in_range", vec![address, column(NETWORK)]);
        let kind = if keeps_all {
            JoinType::Left
        } else {
            JoinType::Inner
        };
        let plan = LogicalPlanBuilder::from(rows.frame.logical_plan().clone())
            .join_on(right.logical_plan().clone(), kind, [is_within])
            .and_then(LogicalPlanBuilder::build)
            .map_err(at(place))?;
        let kept: Vec<DfExpr> = names.iter().map(|name| column(name)).collect();
        let joined = DataFrame::new(self.context.state(), plan).select(kept);
        rows.frame = joined.map_err(at(place))?;
        rows.added.extend(new);
        Ok(rows)
    }

    /// Columns out of a text of names and values.
    pub(super) fn parse_kv(
        &self,
        mut rows: Rows,
        parse: &ParseKv,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let text = self.expr(&rows, &parse.text, scope)?;
        let option = |name: &str| {
            let found = parse.with.iter().find(|(known, _)| known == name);
            lit(found.map_or_else(String::new, |(_, value)| value.clone()))
        };
        for (name, kind) in &parse.columns {
            let args = vec![
                text.clone(),
                lit(name.clone()),
                option("pair_delimiter"),
                option("kv_delimiter"),
                option("quote"),
            ];
            let value = functions::typed(functions::call("parse_kv_value", args), kind);
            rows = self.with_column(rows, name, value, place)?;
        }
        Ok(rows)
    }
}

fn too_many(place: &Range<usize>) -> Diagnostic {
    Diagnostic::new(
        format!("there would be no columns, or more than {MAX_COLUMNS}"),
        place.clone(),
        "look for fewer values first",
    )
}

fn member_kind(member: &serde_json::Value) -> DataType {
    match member {
        serde_json::Value::Null => DataType::Null,
        serde_json::Value::Bool(_) => DataType::Boolean,
        serde_json::Value::Number(number) if number.is_i64() => DataType::Int64,
        serde_json::Value::Number(_) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

fn widened(one: &DataType, two: &DataType) -> DataType {
    match (one, two) {
        (one, two) if one == two => one.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (one, two) if one.is_numeric() && two.is_numeric() => DataType::Float64,
        _ => kind_type("string"),
    }
}

/// A number of rows that is known beforehand.
pub(super) fn row_count(value: &ScalarValue, expr: &Expr) -> Lowered<i64> {
    match value {
        ScalarValue::Int64(Some(number)) => Ok(*number),
        ScalarValue::Int32(Some(number)) => Ok(i64::from(*number)),
        ScalarValue::UInt64(Some(number)) => Ok(i64::try_from(*number).unwrap_or(i64::MAX)),
        _ => Err(Diagnostic::new(
            "a number of rows is expected here",
            expr.place.clone(),
            "write take 10",
        )),
    }
}
