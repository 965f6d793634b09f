//! What verbs do with rows.

use std::ops::Range;

use datafusion::common::{Column, JoinType, ScalarValue, UnnestOptions};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlanBuilder, lit, try_cast};
use datafusion::prelude::DataFrame;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{
    Binary, Expr, ExprKind, Join, JoinKind, MvExpand, Named, ParsePart, ParseVerb, ProjectKind,
    SortKey, Verb, VerbKind,
};

use super::aggregates::name_of;
use super::expression::{is_list, text};
use super::sources::{column, kind_type, type_of};
use super::{Lowered, Lowering, Rows, Scope, at, functions, output};
use crate::lower;

impl Lowering<'_> {
    pub(super) fn verb(&self, rows: Rows, verb: &Verb, scope: &Scope) -> Lowered<Rows> {
        let place = &verb.place;
        match &verb.kind {
            VerbKind::Where(condition) => {
                let condition = self.expr(&rows, condition, scope)?;
                let frame = rows.frame.clone().filter(condition).map_err(at(place))?;
                Ok(Rows { frame, ..rows })
            }
            VerbKind::Search(query) if rows.is_wide => {
                let frame = rows
                    .frame
                    .clone()
                    .filter(lower::query(query))
                    .map_err(at(place))?;
                Ok(Rows { frame, ..rows })
            }
            VerbKind::Search(_) => Err(Diagnostic::new(
                "only whole events can be searched",
                place.clone(),
                "search before the columns are chosen",
            )),
            VerbKind::Extend(columns) | VerbKind::Serialize(columns) => {
                self.extend(rows, columns, place, scope)
            }
            VerbKind::Project(columns) => self.project(&rows, columns, (place, false), scope),
            VerbKind::Distinct(columns) => self.project(&rows, columns, (place, true), scope),
            VerbKind::Columns(kind, columns) => self.columns(rows, *kind, columns, place),
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
                let counted = vec![count(lit(1_i64)).alias("Count")];
                let frame = rows
                    .frame
                    .aggregate(Vec::new(), counted)
                    .map_err(at(place))?;
                Ok(narrow(frame))
            }
            VerbKind::Join(join) => self.join(rows, join, place, scope),
            VerbKind::Union(union) => self.union(vec![rows], union, place, scope),
            VerbKind::MvExpand(expand) => self.mv_expand(rows, expand, place, scope),
            VerbKind::Parse(parse) => self.parse(rows, parse, place, scope),
            VerbKind::GetSchema => self.schema(&rows, place),
            VerbKind::As(_) | VerbKind::Render(_) => Ok(rows),
            VerbKind::MakeSeries(series) => self.make_series(&rows, series, place, scope),
            VerbKind::Sequence(sequence) => self.sequence(&rows, sequence, place, scope),
        }
    }

    fn extend(
        &self,
        mut rows: Rows,
        columns: &[Named],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        for named in columns {
            let value = if is_row_number(&named.expr) {
                row_number()
            } else {
                self.expr(&rows, &named.expr, scope)?
            };
            let name = named
                .names
                .first()
                .cloned()
                .unwrap_or_else(|| name_of(&named.expr));
            let fields = rows.frame.schema().fields().iter();
            let mut select: Vec<DfExpr> = fields
                .map(|field| field.name())
                .filter(|known| **known != name)
                .map(|name| column(name))
                .collect();
            select.push(value.alias(&name));
            rows.frame = rows.frame.select(select).map_err(at(place))?;
            if !rows.added.contains(&name) {
                rows.added.push(name);
            }
        }
        Ok(rows)
    }

    fn project(
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
                let shown = self.shown(rows.clone(), place)?;
                let shown = shown
                    .schema()
                    .fields()
                    .iter()
                    .map(|field| field.name().clone());
                for name in shown
                    .filter(|name| !names.contains(name))
                    .collect::<Vec<_>>()
                {
                    select.push(
                        self.expr(rows, &name_expr(&name, place), scope)?
                            .alias(&name),
                    );
                    names.push(name);
                }
                continue;
            }
            let value = self.expr(rows, &named.expr, scope)?;
            let name = named
                .names
                .first()
                .cloned()
                .unwrap_or_else(|| name_of(&named.expr));
            let name = free_name(name, &names);
            select.push(value.alias(&name));
            names.push(name);
        }
        let mut frame = rows.frame.clone().select(select).map_err(at(place))?;
        if is_distinct {
            frame = frame.distinct().map_err(at(place))?;
        }
        Ok(narrow(frame))
    }

    fn columns(
        &self,
        rows: Rows,
        kind: ProjectKind,
        columns: &[Named],
        place: &Range<usize>,
    ) -> Lowered<Rows> {
        // Of whole events, those that are shown.
        let frame = self.shown(rows, place)?;
        let known: Vec<String> = frame
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let pattern = |named: &Named| match &named.expr.kind {
            ExprKind::Name(name) => name.clone(),
            _ => String::new(),
        };
        let meets = |name: &String| columns.iter().any(|named| wildcard(&pattern(named), name));
        let select: Vec<DfExpr> = match kind {
            ProjectKind::Keep => known
                .iter()
                .filter(|name| meets(name))
                .map(|name| column(name))
                .collect(),
            ProjectKind::Away => known
                .iter()
                .filter(|name| !meets(name))
                .map(|name| column(name))
                .collect(),
            ProjectKind::Reorder => {
                let first = columns.iter().flat_map(|named| {
                    let pattern = pattern(named);
                    known.iter().filter(move |name| wildcard(&pattern, name))
                });
                let rest = known.iter().filter(|name| !meets(name));
                first.chain(rest).map(|name| column(name)).collect()
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
        Ok(narrow(frame.select(select).map_err(at(place))?))
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
            let name = named
                .names
                .first()
                .cloned()
                .unwrap_or_else(|| name_of(&named.expr));
            let name = free_name(name, &names);
            keys.push(self.expr(rows, &named.expr, scope)?.alias(&name));
            names.push(name);
        }
        let mut values: Vec<DfExpr> = Vec::new();
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
            return Ok(narrow(frame.map_err(at(place))?));
        }
        // Keys and aggregates are worked out as columns first, then grouped by name: an
        // expression over aggregates is no aggregate itself.
        let frame = aggregated(rows.frame.clone(), keys, values).map_err(at(place))?;
        Ok(narrow(frame))
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
            order.push(value.sort(key.is_ascending, key.nulls_first));
        }
        rows.frame = rows.frame.sort(order).map_err(at(place))?;
        Ok(rows)
    }

    fn take(
        &self,
        mut rows: Rows,
        most: &Expr,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let number = self.constant(&rows, most, scope)?;
        let ScalarValue::Int64(Some(number)) = number else {
            return Err(Diagnostic::new(
                "a number of rows is expected here",
                most.place.clone(),
                "write take 10",
            ));
        };
        let number = usize::try_from(number).unwrap_or(0);
        rows.frame = rows.frame.limit(0, Some(number)).map_err(at(place))?;
        Ok(rows)
    }

    fn join(&self, left: Rows, join: &Join, place: &Range<usize>, scope: &Scope) -> Lowered<Rows> {
        let right = self.pipeline(&join.right, scope)?.0;
        let (mut on_left, mut on_right, mut shared) = (Vec::new(), Vec::new(), Vec::new());
        for condition in &join.on {
            let (of_left, of_right) = sides(condition)?;
            let one = self.expr(&left, &of_left, scope)?;
            let other = self.expr(&right, &of_right, scope)?;
            let alike = type_of(&one, &left) == type_of(&other, &right);
            let as_is = |one: DfExpr| if alike { one } else { text(one) };
            on_left.push(as_is(one));
            on_right.push(as_is(other));
            shared.push(name_of(&of_right));
        }
        let mut left_frame = left.frame.clone();
        if join.kind == JoinKind::InnerUnique {
            let names = left_frame.schema().fields().iter();
            let all: Vec<DfExpr> = names.map(|field| column(field.name())).collect();
            left_frame = left_frame
                .distinct_on(on_left.clone(), all, None)
                .map_err(at(place))?;
        }
        // The right side's columns get names that the left side has not, keys included.
        let mut right_select: Vec<DfExpr> = Vec::new();
        for field in right.frame.schema().fields() {
            right_select.push(column(field.name()).alias(format!("\u{1}{}", field.name())));
        }
        let keys = on_right.into_iter().enumerate();
        let key_names: Vec<String> = keys
            .clone()
            .map(|(number, _)| format!("\u{2}{number}"))
            .collect();
        right_select.extend(keys.map(|(number, key)| key.alias(format!("\u{2}{number}"))));
        let right_frame = right
            .frame
            .clone()
            .select(right_select)
            .map_err(at(place))?;
        let keys: Vec<DfExpr> = key_names.iter().map(|name| column(name)).collect();
        let kind = join_type(join.kind);
        let plan = LogicalPlanBuilder::from(left_frame.logical_plan().clone())
            .join_with_expr_keys(
                right_frame.logical_plan().clone(),
                kind,
                (on_left, keys),
                None,
            )
            .and_then(LogicalPlanBuilder::build)
            .map_err(at(place))?;
        let frame = DataFrame::new(self.context.state(), plan);
        self.joined(frame, (&left, &right), (join, &shared), place)
    }

    /// The columns of a join: the left side's, then the right side's, with a number behind those
    /// that both have.
    fn joined(
        &self,
        frame: DataFrame,
        (left, right): (&Rows, &Rows),
        (join, shared): (&Join, &[String]),
        place: &Range<usize>,
    ) -> Lowered<Rows> {
        let names_of = |rows: &Rows| -> Vec<String> {
            rows.frame
                .schema()
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .collect()
        };
        let mut select: Vec<DfExpr> = Vec::new();
        let mut names: Vec<String> = Vec::new();
        let mut added = left.added.clone();
        let has_left = !matches!(join.kind, JoinKind::RightSemi | JoinKind::RightAnti);
        let has_right = !matches!(join.kind, JoinKind::LeftSemi | JoinKind::LeftAnti);
        if has_left {
            names = names_of(left);
            select.extend(names.iter().map(|name| column(name)));
        }
        if has_right {
            for name in names_of(right) {
                if join.is_lookup && shared.contains(&name) {
                    continue;
                }
                let new = if has_left {
                    free_name(name.clone(), &names)
                } else {
                    name.clone()
                };
                select.push(column(&format!("\u{1}{name}")).alias(&new));
                if !right.is_wide || right.added.contains(&name) {
                    added.push(new.clone());
                }
                names.push(new);
            }
        }
        let frame = frame.select(select).map_err(at(place))?;
        let is_wide = if has_left {
            left.is_wide
        } else {
            right.is_wide
        };
        Ok(Rows {
            frame,
            is_wide,
            added,
        })
    }

    fn mv_expand(
        &self,
        rows: Rows,
        expand: &MvExpand,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut rows = rows;
        let mut names = Vec::new();
        for (named, kind) in &expand.columns {
            let value = self.expr(&rows, &named.expr, scope)?;
            let value = if is_list(&type_of(&value, &rows)) {
                value
            } else {
                functions::call("json_items", vec![text(value)])
            };
            let name = named
                .names
                .first()
                .cloned()
                .unwrap_or_else(|| name_of(&named.expr));
            let fields = rows.frame.schema().fields().iter();
            let mut select: Vec<DfExpr> = fields
                .filter(|field| *field.name() != name)
                .map(|field| column(field.name()))
                .collect();
            select.push(value.alias(&name));
            rows.frame = rows.frame.select(select).map_err(at(place))?;
            rows.added.push(name.clone());
            names.push((name, kind.clone()));
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
        let typed = names
            .iter()
            .filter_map(|(name, kind)| Some((name, kind.as_ref()?)));
        for (name, kind) in typed.collect::<Vec<_>>() {
            let fields = rows.frame.schema().fields().iter();
            let select = fields.map(|field| match field.name() == name {
                true => try_cast(column(name), kind_type(kind)).alias(name),
                false => column(field.name()),
            });
            let select: Vec<DfExpr> = select.collect();
            rows.frame = rows.frame.select(select).map_err(at(place))?;
        }
        Ok(rows)
    }

    fn parse(
        &self,
        rows: Rows,
        parse: &ParseVerb,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let value = text(self.expr(&rows, &parse.text, scope)?);
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
        let fields = rows.frame.schema().fields().iter();
        let mut select: Vec<DfExpr> = fields
            .filter(|field| columns.iter().all(|(name, _)| name != field.name()))
            .map(|field| column(field.name()))
            .collect();
        for (number, (name, kind)) in columns.iter().enumerate() {
            let group = lit((number + 1).to_string());
            let part = functions::call("extract", vec![lit(pattern.clone()), group, value.clone()]);
            let part = match kind {
                Some(kind) => try_cast(part, kind_type(kind)),
                None => part,
            };
            select.push(part.alias(name));
            rows.added.push(name.clone());
        }
        rows.frame = rows.frame.select(select).map_err(at(place))?;
        Ok(rows)
    }

    fn schema(&self, rows: &Rows, place: &Range<usize>) -> Lowered<Rows> {
        let fields = rows.frame.schema().fields().iter().enumerate();
        let values = fields.map(|(number, field)| {
            let kind = output::kind(field.data_type());
            vec![lit(field.name().clone()), lit(number as i64), lit(kind)]
        });
        let plan = LogicalPlanBuilder::values(values.collect()).and_then(LogicalPlanBuilder::build);
        let frame = DataFrame::new(self.context.state(), plan.map_err(at(place))?);
        let names = ["ColumnName", "ColumnOrdinal", "ColumnType"]
            .iter()
            .enumerate();
        let select: Vec<DfExpr> = names
            .map(|(number, name)| column(&format!("column{}", number + 1)).alias(*name))
            .collect();
        Ok(narrow(frame.select(select).map_err(at(place))?))
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
    Rows {
        frame,
        is_wide: false,
        added: Vec::new(),
    }
}

fn is_row_number(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Call(name, _) if name == "row_number")
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

fn name_expr(name: &str, place: &Range<usize>) -> Expr {
    Expr {
        kind: ExprKind::Name(name.to_owned()),
        place: place.clone(),
    }
}

/// A name that is not taken: with a number behind it where need be.
fn free_name(name: String, taken: &[String]) -> String {
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
fn wildcard(pattern: &str, name: &str) -> bool {
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

/// What the left and the right side of a join share.
fn sides(condition: &Expr) -> Lowered<(Expr, Expr)> {
    let side = |expr: &Expr| match &expr.kind {
        ExprKind::Name(name) => {
            let of_left = name.strip_prefix("$left.");
            let of_right = name.strip_prefix("$right.");
            let bare = of_left.or(of_right).unwrap_or(name);
            (of_right.is_some(), name_expr(bare, &expr.place))
        }
        _ => (false, expr.clone()),
    };
    match &condition.kind {
        ExprKind::Name(_) => Ok((condition.clone(), condition.clone())),
        ExprKind::Binary(Binary::Equal, one, two) => {
            let ((is_right, one), (_, two)) = (side(one), side(two));
            Ok(if is_right { (two, one) } else { (one, two) })
        }
        _ => Err(Diagnostic::new(
            "a join needs columns that are equal",
            condition.place.clone(),
            "write on user, or on $left.a == $right.b",
        )),
    }
}

fn join_type(kind: JoinKind) -> JoinType {
    match kind {
        JoinKind::InnerUnique | JoinKind::Inner => JoinType::Inner,
        JoinKind::LeftOuter => JoinType::Left,
        JoinKind::RightOuter => JoinType::Right,
        JoinKind::FullOuter => JoinType::Full,
        JoinKind::LeftSemi => JoinType::LeftSemi,
        JoinKind::RightSemi => JoinType::RightSemi,
        JoinKind::LeftAnti => JoinType::LeftAnti,
        JoinKind::RightAnti => JoinType::RightAnti,
    }
}

/// A `parse` pattern as a regular expression, and the columns of its groups.
fn pattern_of(parse: &ParseVerb) -> (String, Vec<(String, Option<String>)>) {
    let mut pattern = "(?s)^".to_owned();
    let mut columns = Vec::new();
    for (number, part) in parse.parts.iter().enumerate() {
        let is_last = number + 1 == parse.parts.len();
        match part {
            ParsePart::Any => pattern.push_str(if is_last { ".*" } else { ".*?" }),
            ParsePart::Text(text) if parse.is_regex => pattern.push_str(text),
            ParsePart::Text(text) => pattern.push_str(&regex::escape(text)),
            ParsePart::Column(name, kind) => {
                let is_number = matches!(kind.as_deref(), Some("long" | "int"));
                pattern.push_str(match (is_number, is_last) {
                    (true, _) => r"\s*(-?\d+)",
                    (false, true) => "(.*)",
                    (false, false) => "(.*?)",
                });
                columns.push((name.clone(), kind.clone()));
            }
        }
    }
    pattern.push('$');
    (pattern, columns)
}
