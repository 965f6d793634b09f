//! What verbs do with rows.

use std::ops::Range;

use datafusion::functions_aggregate::expr_fn::{count, first_value, sum};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlanBuilder, lit};
use datafusion::prelude::DataFrame;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{
    Expr, ExprKind, Named, ParsePart, ParseVerb, ProjectKind, SortKey, Sought, Verb, VerbKind,
};

use super::aggregates::{name_of, takes_whole_rows};
use super::expand::row_count;
use super::expression::shown;
use super::fields::is_event_name;
use super::sources::{column, type_of};
use super::{Lowered, Lowering, Rows, Scope, at, functions, output};
use crate::{lower, schema};

impl Lowering {
    pub(super) fn verb(&self, rows: Rows, verb: &Verb, scope: &Scope) -> Lowered<Rows> {
        let place = &verb.place;
        match &verb.kind {
            VerbKind::Where(condition) => {
                let condition = self.condition(&rows, condition, scope)?;
                self.filtered(rows, condition, place)
            }
            VerbKind::Search(sought) => self.searched(rows, sought, place, scope),
            VerbKind::Extend(columns) | VerbKind::Serialize(columns) => {
                self.extend(rows, columns, place, scope)
            }
            VerbKind::Project(columns) => self.project(&rows, columns, (place, false), scope),
            VerbKind::Distinct(columns) => self.project(&rows, columns, (place, true), scope),
            VerbKind::Columns(kind, columns) => self.columns(rows, *kind, columns, (place, scope)),
            VerbKind::Summarize(aggregates, by) => {
                self.summarize(&rows, (aggregates, by), place, scope)
            }
            VerbKind::Sort(keys) => self.sort(rows, keys, place, scope),
            VerbKind::Top(most, keys) => {
                let rows = self.sort(rows, keys, place, scope)?;
                self.take(rows, most, place, scope)
            }
            VerbKind::Take(most) => self.take(rows, most, place, scope),
            VerbKind::Count => {
                let call = ExprKind::Call("count".to_owned(), Vec::new());
                let expr = Expr {
                    kind: call,
                    place: place.clone(),
                };
                let names = vec!["Count".to_owned()];
                self.summarize(&rows, (&[Named { names, expr }], &[]), place, scope)
            }
            VerbKind::Join(join) => self.join(rows, join, place, scope),
            VerbKind::Union(union) => self.union(vec![rows], union, place, scope),
            VerbKind::MvExpand(expand) => self.mv_expand(rows, expand, place, scope),
            VerbKind::Parse(parse) => self.parse(rows, parse, place, scope),
            VerbKind::GetSchema => self.schema(rows, place),
            VerbKind::As(_) | VerbKind::Render(_) => Ok(rows),
            VerbKind::MakeSeries(series) => self.make_series(&rows, series, place, scope),
            VerbKind::Sequence(sequence) => self.sequence(&rows, sequence, place, scope),
            _ => self.verb_within(rows, verb, scope),
        }
    }

    /// Verbs that hold verbs or calls.
    fn verb_within(&self, rows: Rows, verb: &Verb, scope: &Scope) -> Lowered<Rows> {
        let place = &verb.place;
        match &verb.kind {
            VerbKind::MvApply(expand, verbs) => self.mv_apply(rows, (expand, verbs), place, scope),
            VerbKind::Partition(by, verbs) => self.partition(rows, (by, verbs), place, scope),
            VerbKind::Evaluate(name, args) => self.evaluate(rows, (name, args), place, scope),
            VerbKind::Invoke(name, args) => self.invoked(name, (Some(rows), args), place, scope),
            VerbKind::ParseKv(parse) => self.parse_kv(rows, parse, place, scope),
            VerbKind::SampleDistinct(most, of) => {
                let of = std::slice::from_ref(of);
                let rows = self.project(&rows, of, (place, true), scope)?;
                self.take(rows, most, place, scope)
            }
            VerbKind::TopHitters(most, of, by) => {
                self.top_hitters(&rows, (most, of, by.as_ref()), place, scope)
            }
            VerbKind::Consume => {
                let frame = rows.frame.clone().filter(lit(false)).map_err(at(place))?;
                Ok(Rows { frame, ..rows })
            }
            VerbKind::Other(name) => Err(Diagnostic::new(
                format!("'{name}' is read but not known here"),
                place.clone(),
                "write it with summarize, top, join or mv-apply",
            )),
            // The others are told apart before.
            _ => Ok(rows),
        }
    }

    fn filtered(&self, rows: Rows, condition: DfExpr, place: &Range<usize>) -> Lowered<Rows> {
        if !super::windows::has_window(&condition) {
            let frame = rows.frame.clone().filter(condition).map_err(at(place))?;
            return Ok(Rows { frame, ..rows });
        }
        // What looks at other rows is worked out as a column first.
        let names = rows.names();
        let name = "\u{7}condition";
        let mut rows = self.with_column(rows, name, condition, place)?;
        let kept: Vec<DfExpr> = names.iter().map(|name| column(name)).collect();
        let frame = rows.frame.filter(column(name));
        rows.frame = frame
            .and_then(|frame| frame.select(kept))
            .map_err(at(place))?;
        Ok(rows)
    }

    fn searched(
        &self,
        rows: Rows,
        sought: &Sought,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let condition = match sought {
            Sought::Words(query) if rows.is_wide => lower::query(query),
            Sought::Words(watchfloor_query::Query::All) => return Ok(rows),
            Sought::Words(_) => {
                return Err(Diagnostic::new(
                    "only whole events can be searched",
                    place.clone(),
                    "search before the columns are chosen",
                ));
            }
            Sought::Condition(expr) => {
                self.condition(&rows, &super::tables::words_in(expr), scope)?
            }
        };
        self.filtered(rows, condition, place)
    }

    /// New columns may rest on new ones before them, and on the old value of one that is changed.
    fn extend(
        &self,
        mut rows: Rows,
        columns: &[Named],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let old = rows.names();
        let is_wide = rows.is_wide;
        let mut changed: Vec<(String, String)> = Vec::new();
        for (number, named) in columns.iter().enumerate() {
            let (wider, value) = match self.two_steps(&rows, &named.expr, place, scope)? {
                Some(steps) => steps,
                None => {
                    let value = self.expr(&rows, &named.expr, scope)?;
                    (rows, value)
                }
            };
            rows = wider;
            let value_of = values_of(named, value);
            for (name, value) in value_of {
                let is_old = old.contains(&name) || (is_wide && is_event_name(&name));
                if !is_old || number + 1 == columns.len() {
                    rows = self.with_column(rows, &name, value, place)?;
                    continue;
                }
                let later = format!("\u{7}{name}");
                rows = self.with_column(rows, &later, value, place)?;
                changed.push((name, later));
            }
        }
        for (name, later) in &changed {
            rows = self.with_column(rows, name, column(later), place)?;
        }
        if rows.names().iter().any(|name| name.starts_with('\u{7}')) {
            let names = rows.names().into_iter();
            let kept = names.filter(|name| !name.starts_with('\u{7}'));
            let kept: Vec<DfExpr> = kept.map(|name| column(&name)).collect();
            rows.frame = rows.frame.select(kept).map_err(at(place))?;
        }
        Ok(rows)
    }

    pub(super) fn project(
        &self,
        rows: &Rows,
        columns: &[Named],
        (place, is_distinct): (&Range<usize>, bool),
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut select: Vec<DfExpr> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        for named in columns {
            if named.expr.kind == ExprKind::Star {
                let whole = self.shown(rows.clone(), place)?;
                let fields = whole.schema().fields().iter();
                let all: Vec<String> = fields.map(|field| field.name().clone()).collect();
                for name in all {
                    if names.contains(&name) {
                        continue;
                    }
                    let value = self.expr(rows, &name_expr(&name, place), scope)?;
                    select.push(value.alias(&name));
                    names.push(name);
                }
                continue;
            }
            let value = self.expr(rows, &named.expr, scope)?;
            for (name, value) in values_of(named, value) {
                let name = free_name(name, &names);
                select.push(value.alias(&name));
                names.push(name);
            }
        }
        let made = select.clone();
        if let Some(group) = &rows.group {
            let kept = std::iter::once(&group.key).chain(&group.carried);
            let kept = kept.filter(|name| !names.contains(name));
            let kept: Vec<DfExpr> = kept.map(|name| column(name)).collect();
            select.splice(0..0, kept);
        }
        let mut frame = rows.frame.clone();
        if is_distinct && rows.group.is_none() {
            frame = frame
                .select(select)
                .and_then(DataFrame::distinct)
                .map_err(at(place))?;
        } else if is_distinct {
            let group = rows.group.iter().map(|group| column(&group.key));
            let on = group.chain(made.into_iter().map(DfExpr::unalias)).collect();
            frame = frame.distinct_on(on, select, None).map_err(at(place))?;
        } else {
            frame = frame.select(select).map_err(at(place))?;
        }
        let mut projected = rows.narrowed(frame);
        projected.order.clone_from(&rows.order);
        self.with_carried(projected, rows, names)
    }

    /// Rows within groups keep what is carried along, and are whole events if that is one.
    fn with_carried(&self, made: Rows, before: &Rows, names: Vec<String>) -> Lowered<Rows> {
        let carries = made
            .group
            .as_ref()
            .is_some_and(|group| !group.carried.is_empty());
        if !carries {
            return Ok(made);
        }
        let mut added = before.added.clone();
        added.retain(|name| made.has(name) && !names.contains(name));
        added.extend(names);
        Ok(Rows {
            is_wide: before.is_wide,
            added,
            sides: before.sides.clone(),
            hidden: before.hidden.clone(),
            ..made
        })
    }

    /// The `project-…` verbs over whole events, whose other fields can still be asked for; and
    /// whether that is all.
    fn wide_columns(
        &self,
        mut rows: Rows,
        (kind, columns): (ProjectKind, &[Named]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<(Rows, bool)> {
        let meets = |name: &String| columns.iter().any(|named| wildcard(&pattern(named), name));
        let has_any = columns.iter().any(|named| pattern(named).contains('*'));
        Ok(match kind {
            ProjectKind::Keep if !has_any => {
                (self.project(&rows, columns, (place, false), scope)?, true)
            }
            ProjectKind::Keep => (Rows::new(self.shown(rows, place)?), false),
            ProjectKind::Rename => {
                for named in columns {
                    let value = self.expr(&rows, &named.expr, scope)?;
                    let name = named.names.first().cloned().unwrap_or_default();
                    rows = self.with_column(rows, &name, value, place)?;
                }
                (rows, true)
            }
            ProjectKind::Reorder => (rows, true),
            ProjectKind::Away => {
                let whole = self.shown(rows.clone(), place)?;
                let fields = whole.schema().fields().iter();
                let away = fields
                    .map(|field| field.name().clone())
                    .filter(|name| meets(name));
                rows.hidden.extend(away);
                rows.added.retain(|name| !meets(name));
                (rows, true)
            }
        })
    }

    fn columns(
        &self,
        mut rows: Rows,
        kind: ProjectKind,
        columns: &[Named],
        (place, scope): (&Range<usize>, &Scope),
    ) -> Lowered<Rows> {
        let meets = |name: &String| columns.iter().any(|named| wildcard(&pattern(named), name));
        if rows.is_wide {
            rows = match self.wide_columns(rows, (kind, columns), place, scope)? {
                (rows, true) => return Ok(rows),
                (rows, false) => rows,
            };
        }
        let known = rows.names();
        let is_inner = |name: &String| name.starts_with(['\u{1}', '\u{6}']);
        let select: Vec<DfExpr> = match kind {
            ProjectKind::Keep => known
                .iter()
                .filter(|name| meets(name) || is_inner(name))
                .map(|name| column(name))
                .collect(),
            ProjectKind::Away => known
                .iter()
                .filter(|name| !meets(name) || is_inner(name))
                .map(|name| column(name))
                .collect(),
            ProjectKind::Reorder => {
                let mut ordered: Vec<&String> = Vec::new();
                for named in columns {
                    let wanted = pattern(named);
                    let met = known.iter().filter(|name| wildcard(&wanted, name));
                    let new: Vec<&String> = met.filter(|name| !ordered.contains(name)).collect();
                    ordered.extend(new);
                }
                let rest = known.iter().filter(|name| !meets(name));
                ordered
                    .iter()
                    .copied()
                    .chain(rest)
                    .map(|name| column(name))
                    .collect()
            }
            ProjectKind::Rename => known
                .iter()
                .map(|name| {
                    let renamed = columns.iter().find(|named| pattern(named) == *name);
                    let new = renamed.and_then(|named| named.names.first());
                    column(name).alias(new.unwrap_or(name))
                })
                .collect(),
        };
        rows.frame = rows.frame.select(select).map_err(at(place))?;
        Ok(rows)
    }

    fn summarize(
        &self,
        rows: &Rows,
        (aggregates, by): (&[Named], &[Named]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut names: Vec<String> = Vec::new();
        let mut keys: Vec<DfExpr> = Vec::new();
        for named in by {
            let name = named.names.first().cloned();
            let name = free_name(name.unwrap_or_else(|| name_of(&named.expr)), &names);
            keys.push(self.expr(rows, &named.expr, scope)?.alias(&name));
            names.push(name);
        }
        let mut values: Vec<DfExpr> = Vec::new();
        let own: Vec<String> = aggregates
            .iter()
            .flat_map(|named| named.names.clone())
            .collect();
        if let Some(group) = &rows.group {
            keys.push(column(&group.key).alias(&group.key));
            let carried = group.carried.iter();
            for name in carried.filter(|name| !names.contains(name) && !own.contains(name)) {
                values.push(first_value(column(name), Vec::new()).alias(name));
            }
        }
        for named in aggregates {
            for (name, value) in self.aggregate(rows, named, scope)? {
                // A column of `*` that is a key already.
                if names.contains(&name)
                    && named.names.is_empty()
                    && matches!(named.expr.kind, ExprKind::Call(..))
                    && name_is_key(&name, by)
                {
                    continue;
                }
                let name = free_name(name, &names);
                values.push(value.alias(&name));
                names.push(name);
            }
        }
        if values.is_empty() {
            let frame = rows
                .frame
                .clone()
                .select(keys)
                .and_then(DataFrame::distinct);
            return Ok(rows.narrowed(frame.map_err(at(place))?));
        }
        // Keys and aggregates are worked out as columns first, then grouped by name: an
        // expression over aggregates is no aggregate itself.
        let frame = aggregated(rows.frame.clone(), keys, values).map_err(at(place))?;
        let made = rows.narrowed(frame);
        // `arg_max(…, *)` gives whole events again.
        if rows.is_wide && aggregates.iter().any(takes_whole_rows) {
            let of_lake = schema::arrow_schema();
            names.retain(|name| of_lake.field_with_name(name).is_err());
            names.retain(|name| !name.starts_with(super::join::MARK));
            return Ok(Rows {
                is_wide: true,
                added: names,
                sides: rows.sides.clone(),
                ..made
            });
        }
        self.with_carried(made, rows, names)
    }

    fn sort(
        &self,
        mut rows: Rows,
        keys: &[SortKey],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut order = Vec::with_capacity(keys.len());
        for key in keys {
            let value = self.expr(&rows, &key.expr, scope)?;
            // A source's own field holds texts that may be numbers.
            let is_own = value
                .column_refs()
                .iter()
                .any(|one| one.name == schema::UNMAPPED);
            if is_own && type_of(&value, &rows) == arrow::datatypes::DataType::Utf8 {
                let number = datafusion::logical_expr::try_cast(
                    value.clone(),
                    arrow::datatypes::DataType::Float64,
                );
                order.push(number.sort(key.is_ascending, key.nulls_first));
            }
            order.push(value.sort(key.is_ascending, key.nulls_first));
        }
        rows.frame = rows.frame.sort(order.clone()).map_err(at(place))?;
        rows.order = order;
        Ok(rows)
    }

    fn take(
        &self,
        mut rows: Rows,
        most: &Expr,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let number = row_count(&self.constant(&rows, most, scope)?, most)?;
        if rows.group.is_some() {
            return self.first_of_groups(rows, number, place);
        }
        let number = usize::try_from(number).unwrap_or(0);
        rows.frame = rows.frame.limit(0, Some(number)).map_err(at(place))?;
        Ok(rows)
    }

    /// The values with the most rows, or the largest sums.
    fn top_hitters(
        &self,
        rows: &Rows,
        (most, of, by): (&Expr, &Named, Option<&Expr>),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let name = of.names.first().cloned();
        let name = name.unwrap_or_else(|| name_of(&of.expr));
        let key = self.expr(rows, &of.expr, scope)?.alias(&name);
        let (label, value) = match by {
            Some(by) => {
                let value = self.expr(rows, by, scope)?;
                (format!("approximate_sum_{}", name_of(by)), sum(value))
            }
            None => (format!("approximate_count_{name}"), count(lit(1_i64))),
        };
        let frame = aggregated(rows.frame.clone(), vec![key], vec![value.alias(&label)]);
        let frame = frame.and_then(|frame| frame.sort(vec![column(&label).sort(false, false)]));
        let rows = rows.narrowed(frame.map_err(at(place))?);
        self.take(rows, most, place, scope)
    }

    fn parse(
        &self,
        rows: Rows,
        parse: &ParseVerb,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let value = self.expr(&rows, &parse.text, scope)?;
        let value = shown(value.clone(), &type_of(&value, &rows));
        let (pattern, columns) = pattern_of(parse);
        functions::regex_of(&pattern).map_err(|error| {
            Diagnostic::new(
                format!("the pattern cannot be read: {error}"),
                place.clone(),
                "escape what is no regular expression",
            )
        })?;
        let mut rows = rows;
        if parse.is_filter {
            let fits = functions::call("matches_regex", vec![value.clone(), lit(pattern.clone())]);
            rows.frame = rows.frame.filter(fits).map_err(at(place))?;
        }
        for (number, (name, kind)) in columns.iter().enumerate() {
            let group = lit(format!("column{number}"));
            let part = functions::call("extract", vec![lit(pattern.clone()), group, value.clone()]);
            let part = match kind {
                Some(kind) => functions::typed(part, kind),
                None => part,
            };
            rows = self.with_column(rows, name, part, place)?;
        }
        Ok(rows)
    }

    fn schema(&self, rows: Rows, place: &Range<usize>) -> Lowered<Rows> {
        let whole = self.shown(rows, place)?;
        let fields = whole.schema().fields().iter().enumerate();
        let values = fields.map(|(number, field)| {
            let kind = output::kusto_kind(field.data_type());
            let name = field.name().clone();
            vec![lit(name), lit(number as i64), lit(kind), lit(kind)]
        });
        let plan = LogicalPlanBuilder::values(values.collect()).and_then(LogicalPlanBuilder::build);
        let frame = DataFrame::new(self.context.state(), plan.map_err(at(place))?);
        let names = ["ColumnName", "ColumnOrdinal", "DataType", "ColumnType"];
        let names = names.iter().enumerate();
        let select: Vec<DfExpr> = names
            .map(|(number, name)| column(&format!("column{}", number + 1)).alias(*name))
            .collect();
        Ok(Rows::new(frame.select(select).map_err(at(place))?))
    }
}

/// A name that may hold `*`.
fn pattern(named: &Named) -> String {
    match &named.expr.kind {
        ExprKind::Name(name) => name.clone(),
        _ => String::new(),
    }
}

/// The columns that an expression gives: one, or those of a function that gives several.
fn values_of(named: &Named, value: DfExpr) -> Vec<(String, DfExpr)> {
    let part = |number: usize| {
        functions::call("json_member", vec![value.clone(), lit(number.to_string())])
    };
    let function = match &named.expr.kind {
        ExprKind::Call(name, _) => name.as_str(),
        _ => "",
    };
    let numbers = match function {
        "series_stats" => 7,
        "series_fit_line" => 5,
        _ => 0,
    };
    let typed = |number: usize| match number < numbers {
        true => functions::typed(part(number), "real"),
        false => part(number),
    };
    let gives_several = function == "series_decompose_anomalies" || function == "series_decompose";
    match named.names.as_slice() {
        [] if numbers == 0 && !gives_several => vec![(name_of(&named.expr), value)],
        [name] if numbers == 0 && !gives_several => vec![(name.clone(), value)],
        [name] => vec![(name.clone(), typed(0))],
        [] => vec![(format!("{function}_{}", name_of(&named.expr)), value)],
        names => {
            let names = names.iter().enumerate();
            names
                .map(|(number, name)| (name.clone(), typed(number)))
                .collect()
        }
    }
}

/// Aggregates by keys; a value may be an expression over aggregates.
pub(super) fn aggregated(
    frame: DataFrame,
    keys: Vec<DfExpr>,
    values: Vec<DfExpr>,
) -> datafusion::error::Result<DataFrame> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let mut found: Vec<DfExpr> = Vec::new();
    let mut outer: Vec<DfExpr> = keys
        .iter()
        .map(|key| column(&key.schema_name().to_string()))
        .collect();
    for value in values {
        let replaced = value.transform_down(|expr| {
            if !matches!(expr, DfExpr::AggregateFunction(_)) {
                return Ok(Transformed::no(expr));
            }
            let number = found
                .iter()
                .position(|known| *known == expr)
                .unwrap_or_else(|| {
                    found.push(expr.clone());
                    found.len() - 1
                });
            Ok(Transformed::new(
                column(&format!("\u{1}{number}")),
                true,
                datafusion::common::tree_node::TreeNodeRecursion::Jump,
            ))
        })?;
        outer.push(replaced.data);
    }
    let inner = found.into_iter().enumerate();
    let inner = inner.map(|(number, expr)| expr.alias(format!("\u{1}{number}")));
    frame.aggregate(keys, inner.collect())?.select(outer)
}

pub(super) fn narrow(frame: DataFrame) -> Rows {
    Rows::new(frame)
}

fn name_is_key(name: &str, by: &[Named]) -> bool {
    by.iter().any(|named| {
        named
            .names
            .first()
            .cloned()
            .unwrap_or_else(|| name_of(&named.expr))
            == *name
    })
}

pub(super) fn name_expr(name: &str, place: &Range<usize>) -> Expr {
    Expr {
        kind: ExprKind::Name(name.to_owned()),
        place: place.clone(),
    }
}

/// A name that is not taken: with a number behind it where need be.
pub(super) fn free_name(name: String, taken: &[String]) -> String {
    if !taken.contains(&name) {
        return name;
    }
    let mut numbers = 1..;
    let free = numbers.find_map(|number| {
        let candidate = format!("{name}{number}");
        (!taken.contains(&candidate)).then_some(candidate)
    });
    free.unwrap_or(name)
}

/// Whether a name meets a pattern in which `*` stands for any run.
pub(super) fn wildcard(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// A `parse` pattern as a regular expression, and the columns of its groups.
fn pattern_of(parse: &ParseVerb) -> (String, Vec<(String, Option<String>)>) {
    let flags: String = parse
        .flags
        .chars()
        .filter(|flag| "imsU".contains(*flag))
        .collect();
    let mut pattern = format!("(?s{flags})^");
    let mut columns = Vec::new();
    for (number, part) in parse.parts.iter().enumerate() {
        let is_last = number + 1 == parse.parts.len();
        match part {
            ParsePart::Any => pattern.push_str(if is_last { ".*" } else { ".*?" }),
            ParsePart::Text(text) if parse.is_regex => pattern.push_str(text),
            ParsePart::Text(text) => pattern.push_str(&regex::escape(text)),
            ParsePart::Column(name, kind) => {
                let is_number = matches!(kind.as_deref(), Some("long" | "int"));
                // Groups have names, since a text of the pattern may hold groups too.
                let group = columns.len();
                pattern.push_str(&match (is_number, is_last) {
                    (true, _) => format!(r"\s*(?<column{group}>-?\d+)"),
                    (false, true) => format!("(?<column{group}>.*)"),
                    (false, false) => format!("(?<column{group}>.*?)"),
                });
                columns.push((name.clone(), kind.clone()));
            }
        }
    }
    pattern.push('$');
    (pattern, columns)
}
