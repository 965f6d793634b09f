//! `make-series` and `sequence`: verbs that rest on the order of time.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::{JoinType, ScalarValue};
use datafusion::functions::expr_fn as df;
use datafusion::functions_aggregate::expr_fn::{array_agg, max, min};
use datafusion::logical_expr::{Expr as DfExpr, ExprFunctionExt, LogicalPlanBuilder, cast, lit};
use datafusion::prelude::DataFrame;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{Expr, MakeSeries, Named, SeqCondition, SeqStep, Sequence};

use super::aggregates::name_of;
use super::expression::{long, span_type, text};
use super::sources::{column, type_of};
use super::verbs::{aggregated, narrow};
use super::{Lowered, Lowering, Rows, Scope, at, functions};
use crate::{lower, schema};

/// Most steps of a series.
const MAX_STEPS: i64 = 100_000;
/// Most steps of a sequence.
const MAX_SEQUENCE: usize = 16;
/// The number of a step, beside names that people give.
const STEP: &str = "\u{3}step";

/// Where a series begins, how wide its steps are, and how many there are.
struct Grid {
    from: i64,
    step: i64,
    count: i64,
    kind: DataType,
}

impl Lowering {
    pub(super) fn make_series(
        &self,
        rows: &Rows,
        series: &MakeSeries,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let on = self.expr(rows, &series.on, scope)?;
        let grid = self.grid(rows, series, &type_of(&on, rows), scope)?;
        let mut keys = Vec::new();
        for (number, named) in series.by.iter().enumerate() {
            let key = self.expr(rows, &named.expr, scope)?;
            // An absent text is an empty one; absent keys would find no partner.
            let key = match type_of(&key, rows) {
                DataType::Utf8 => df::coalesce(vec![key, lit("")]),
                _ => key,
            };
            keys.push(key.alias(format!("\u{3}key{number}")));
        }
        let number = (long(on.clone()) - lit(grid.from)) / lit(grid.step);
        let end = grid
            .from
            .saturating_add(grid.step.saturating_mul(grid.count));
        let inside = long(on.clone())
            .gt_eq(lit(grid.from))
            .and(long(on).lt(lit(end)));
        let frame = rows.frame.clone().filter(inside).map_err(at(place))?;
        let mut values = Vec::new();
        for (index, (named, _)) in series.aggregates.iter().enumerate() {
            for (_, value) in self.aggregate(rows, named, scope)?.into_iter().take(1) {
                values.push(value.alias(format!("\u{3}value{index}")));
            }
        }
        let mut groups = keys.clone();
        groups.push(number.alias(STEP));
        let found = aggregated(frame.clone(), groups, values).map_err(at(place))?;
        let all = self.all_steps(frame, &keys, &grid).map_err(at(place))?;
        self.filled(all, found, series, (&grid, place), scope)
    }

    fn grid(
        &self,
        rows: &Rows,
        series: &MakeSeries,
        kind: &DataType,
        scope: &Scope,
    ) -> Lowered<Grid> {
        let whole = |expr: &Expr| -> Lowered<i64> {
            let value = self.constant(rows, expr, scope)?;
            match value.cast_to(&DataType::Int64).map_err(at(&expr.place))? {
                ScalarValue::Int64(Some(number)) => Ok(number),
                _ => Err(Diagnostic::new(
                    "a number or a time is expected here",
                    expr.place.clone(),
                    "write from ago(1d) to now() step 1h",
                )),
            }
        };
        let is_time = matches!(kind, DataType::Timestamp(..));
        let step = whole(&series.step)?;
        let found = match (&series.from, &series.to) {
            (Some(_), Some(_)) => (0, 0),
            _ => self.bounds(rows, series, scope)?,
        };
        let from = match &series.from {
            Some(from) => whole(from)?,
            None => found.0,
        };
        let to = match &series.to {
            Some(to) => whole(to)?,
            // The step of the last value belongs to the series.
            None => found.1.saturating_add(1),
        };
        let origin = if is_time { 719_162 * 86_400_000_000 } else { 0 };
        // Where nothing is said, steps begin where bin() begins them.
        let from = match series.from {
            None => from - (from + origin).rem_euclid(step.max(1)),
            Some(_) => from,
        };
        let count = to.saturating_sub(from).checked_div(step);
        let count = count.map_or(-1, |count| {
            count + i64::from(to.saturating_sub(from) % step != 0)
        });
        if !(0..=MAX_STEPS).contains(&count) {
            return Err(Diagnostic::new(
                format!("a series has at most {MAX_STEPS} steps"),
                series.step.place.clone(),
                "take a larger step, or say from and to",
            ));
        }
        Ok(Grid {
            from,
            step,
            count,
            kind: kind.clone(),
        })
    }

    /// The least and the largest value of the axis, which the data tell.
    fn bounds(&self, rows: &Rows, series: &MakeSeries, scope: &Scope) -> Lowered<(i64, i64)> {
        use arrow::array::AsArray;
        use arrow::datatypes::Int64Type;
        let place = &series.on.place;
        let on = long(self.expr(rows, &series.on, scope)?);
        let bounds = vec![min(on.clone()).alias("least"), max(on).alias("most")];
        let frame = rows.frame.clone().aggregate(Vec::new(), bounds);
        let found = self.run(frame.map_err(at(place))?, place)?;
        let value = |index: usize| {
            let mut columns = found.iter().filter(|batch| batch.num_rows() > 0);
            let column = columns.next()?.column(index).as_primitive::<Int64Type>();
            column.iter().next().flatten()
        };
        // Without rows, the asked span of time.
        Ok((
            value(0).unwrap_or(self.span.0),
            value(1).unwrap_or(self.span.0),
        ))
    }

    /// Every step of every group.
    fn all_steps(
        &self,
        frame: DataFrame,
        keys: &[DfExpr],
        grid: &Grid,
    ) -> datafusion::error::Result<DataFrame> {
        let steps = (0..grid.count.max(1)).map(|number| vec![lit(number)]);
        let steps = LogicalPlanBuilder::values(steps.collect())?.build()?;
        let steps = DataFrame::new(self.context.state(), steps);
        let steps = steps.select(vec![column("column1").alias("\u{4}step")])?;
        if keys.is_empty() {
            return Ok(steps);
        }
        let groups = frame.select(keys.to_vec())?.distinct()?;
        let names = groups.schema().fields().iter().enumerate();
        let renamed: Vec<DfExpr> = names
            .map(|(number, field)| column(field.name()).alias(format!("\u{4}key{number}")))
            .collect();
        let groups = groups.select(renamed)?;
        let plan = LogicalPlanBuilder::from(groups.logical_plan().clone())
            .cross_join(steps.logical_plan().clone())?
            .build()?;
        Ok(DataFrame::new(self.context.state(), plan))
    }

    /// The steps with what was found, as one list for each group.
    fn filled(
        &self,
        all: DataFrame,
        found: DataFrame,
        series: &MakeSeries,
        (grid, place): (&Grid, &Range<usize>),
        scope: &Scope,
    ) -> Lowered<Rows> {
        let numbers = 0..series.by.len();
        let side = |mark: char| -> Vec<DfExpr> {
            let keys = numbers
                .clone()
                .map(|number| column(&format!("{mark}key{number}")));
            keys.chain([column(&format!("{mark}step"))]).collect()
        };
        let plan = LogicalPlanBuilder::from(all.logical_plan().clone())
            .join_with_expr_keys(
                found.logical_plan().clone(),
                JoinType::Left,
                (side('\u{4}'), side('\u{3}')),
                None,
            )
            .and_then(LogicalPlanBuilder::build)
            .map_err(at(place))?;
        let joined = narrow(DataFrame::new(self.context.state(), plan));
        let by_step = || vec![column("\u{4}step").sort(true, false)];
        let list = |value: DfExpr| {
            array_agg(value)
                .order_by(by_step())
                .build()
                .map_err(at(place))
        };
        let name_of_key = |named: &Named| {
            named
                .names
                .first()
                .cloned()
                .unwrap_or_else(|| name_of(&named.expr))
        };
        let keys = series.by.iter().enumerate();
        let keys: Vec<DfExpr> = keys
            .map(|(number, named)| column(&format!("\u{4}key{number}")).alias(name_of_key(named)))
            .collect();
        let mut lists = Vec::new();
        for (index, (named, default)) in series.aggregates.iter().enumerate() {
            let value = column(&format!("\u{3}value{index}"));
            let default = match default {
                Some(default) => self.expr(&joined, default, scope)?,
                None => lit(0_i64),
            };
            let default = cast(default, type_of(&value, &joined));
            let name = named
                .names
                .first()
                .cloned()
                .unwrap_or_else(|| super::aggregates::default_name_of(&named.expr));
            lists.push(list(df::coalesce(vec![value, default]))?.alias(name));
        }
        let step = lit(grid.from) + column("\u{4}step") * lit(grid.step);
        let axis = list(cast(step, grid.kind.clone()))?.alias(name_of(&series.on));
        lists.push(axis);
        let frame = aggregated(joined.frame, keys, lists).map_err(at(place))?;
        Ok(narrow(frame))
    }

    /// Events in an order: for each event that ends a sequence, the latest that can begin it, and
    /// between them the earliest that go on. Steps follow each other in time; two events of the
    /// same time are in the order in which they were received.
    pub(super) fn sequence(
        &self,
        rows: &Rows,
        sequence: &Sequence,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        if !rows.is_wide || sequence.steps.len() > MAX_SEQUENCE {
            return Err(Diagnostic::new(
                format!(
                    "a sequence has at most {MAX_SEQUENCE} steps and is looked for in whole events"
                ),
                place.clone(),
                "begin with events, and choose columns behind the sequence",
            ));
        }
        let maxspan = match &sequence.maxspan {
            Some(span) => Some(long(self.expr(rows, span, scope)?)),
            None => None,
        };
        let mut chain: Option<DataFrame> = None;
        for (number, step) in sequence.steps.iter().enumerate() {
            let next = self.step_rows(rows, (sequence, step, number), place, scope)?;
            chain = Some(match chain {
                None => next,
                Some(before) => self
                    .followed(before, next, (sequence, number), maxspan.clone())
                    .map_err(at(place))?,
            });
        }
        let last = sequence.steps.len() - 1;
        let frame = chain.ok_or_else(|| {
            Diagnostic::new("a sequence has steps", place.clone(), "write [a] [b]")
        })?;
        self.told(frame, sequence, last).map_err(at(place))
    }

    /// The events of a step: what they share, when they were and which they are.
    fn step_rows(
        &self,
        rows: &Rows,
        (sequence, step, number): (&Sequence, &SeqStep, usize),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<DataFrame> {
        let condition = match &step.condition {
            SeqCondition::Search(query) => lower::query(query),
            SeqCondition::Where(condition) => self.expr(rows, condition, scope)?,
        };
        let by = if step.by.is_empty() {
            &sequence.by
        } else {
            &step.by
        };
        if by.len() != sequence.by.len().max(sequence.steps[0].by.len()) {
            return Err(Diagnostic::new(
                "every step shares as many fields",
                place.clone(),
                "write sequence by a, b, or by a, b behind each step",
            ));
        }
        let mut select = Vec::new();
        let mut present = condition;
        for (index, key) in by.iter().enumerate() {
            // Letter case does not count, as in searches.
            let key = df::lower(text(self.expr(rows, key, scope)?));
            present = present.and(key.clone().is_not_null());
            select.push(key.alias(format!("\u{3}{number}key{index}")));
        }
        select.extend([
            column(schema::TIME).alias(format!("\u{3}{number}time")),
            column(schema::POSITION).alias(format!("\u{3}{number}place")),
            column(schema::PART).alias(format!("\u{3}{number}part")),
        ]);
        let frame = rows.frame.clone().filter(present).map_err(at(place))?;
        frame.select(select).map_err(at(place))
    }

    fn followed(
        &self,
        before: DataFrame,
        next: DataFrame,
        (sequence, number): (&Sequence, usize),
        maxspan: Option<DfExpr>,
    ) -> datafusion::error::Result<DataFrame> {
        let of = |step: usize, what: &str| column(&format!("\u{3}{step}{what}"));
        let keys = sequence.by.len().max(sequence.steps[0].by.len());
        let side = |step: usize| -> Vec<DfExpr> {
            (0..keys)
                .map(|index| of(step, &format!("key{index}")))
                .collect()
        };
        let (earlier, later) = (number - 1, number);
        let is_later = of(later, "time")
            .gt(of(earlier, "time"))
            .or(of(later, "time")
                .eq(of(earlier, "time"))
                .and(of(later, "place").gt(of(earlier, "place"))));
        let mut filter = is_later;
        if let Some(span) = maxspan {
            let took = long(of(later, "time")) - long(of(0, "time"));
            filter = filter.and(took.lt_eq(span));
        }
        let (left, right) = (before.logical_plan().clone(), next.logical_plan().clone());
        let builder = LogicalPlanBuilder::from(left);
        let plan = if keys == 0 {
            builder.join_on(right, JoinType::Inner, [filter])?
        } else {
            builder.join_with_expr_keys(
                right,
                JoinType::Inner,
                (side(earlier), side(later)),
                Some(filter),
            )?
        };
        let frame = DataFrame::new(self.context.state(), plan.build()?);
        // The earliest that goes on, for each chain so far.
        let names = frame.schema().fields().iter();
        let all: Vec<DfExpr> = names.map(|field| column(field.name())).collect();
        let chain = [
            (earlier, "place"),
            (earlier, "part"),
            (0, "place"),
            (0, "part"),
        ];
        let earliest = [(later, "time"), (later, "place"), (later, "part")];
        let chain: Vec<DfExpr> = chain
            .iter()
            .take(if earlier == 0 { 2 } else { 4 })
            .map(|(step, what)| of(*step, what))
            .collect();
        let order = chain
            .iter()
            .cloned()
            .chain(earliest.iter().map(|(step, what)| of(*step, what)));
        let order = order.map(|one| one.sort(true, false)).collect();
        frame.distinct_on(chain, all, Some(order))
    }

    /// One row for each sequence.
    fn told(
        &self,
        frame: DataFrame,
        sequence: &Sequence,
        last: usize,
    ) -> datafusion::error::Result<Rows> {
        let of = |step: usize, what: &str| column(&format!("\u{3}{step}{what}"));
        let names = frame.schema().fields().iter();
        let all: Vec<DfExpr> = names.map(|field| column(field.name())).collect();
        let ends = vec![of(last, "place"), of(last, "part")];
        let order = vec![
            of(last, "place").sort(true, false),
            of(last, "part").sort(true, false),
            of(0, "time").sort(false, false),
            of(0, "place").sort(false, false),
        ];
        let frame = frame.distinct_on(ends, all, Some(order))?;
        let first_keys = if sequence.by.is_empty() {
            &sequence.steps[0].by
        } else {
            &sequence.by
        };
        let keys = first_keys.iter().enumerate();
        let mut select: Vec<DfExpr> = keys
            .map(|(index, key)| of(0, &format!("key{index}")).alias(name_of(key)))
            .collect();
        let took = long(of(last, "time")) - long(of(0, "time"));
        select.extend([
            of(0, "time").alias("start"),
            of(last, "time").alias("end"),
            cast(took, span_type()).alias("took"),
        ]);
        let id = |step: usize| vec![text(of(step, "place")), text(of(step, "part"))];
        select.extend(
            (0..=last).map(|step| {
                functions::call("event_id", id(step)).alias(format!("step{}", step + 1))
            }),
        );
        let frame = frame.select(select)?;
        Ok(narrow(frame.sort(vec![column("start").sort(true, false)])?))
    }
}
