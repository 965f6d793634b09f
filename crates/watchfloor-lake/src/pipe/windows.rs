//! Functions that look at rows before and behind, in the order that was asked for.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn as agg;
use datafusion::functions_window::expr_fn as window;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::{
    Expr as DfExpr, ExprFunctionExt, SortExpr, WindowFrame, WindowFrameBound, WindowFrameUnits,
    WindowFunctionDefinition, cast, lit,
};
use watchfloor_query::pipe::{Arg, Expr, ExprKind};

use super::expression::{df_case, long};
use super::sources::{column, type_of};
use super::{Lowered, Lowering, Rows, Scope, at};

/// The column of a number that is worked out on the way.
const PART: &str = "\u{7}part";

impl Lowering {
    /// A call of a function that looks at other rows; none where it is another function.
    pub(super) fn window(
        &self,
        rows: &Rows,
        (name, args): (&str, &[Arg]),
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Option<DfExpr>> {
        let value = |index: usize| -> Lowered<Option<DfExpr>> {
            let arg = args.get(index).map(|arg| self.expr(rows, &arg.expr, scope));
            arg.transpose()
        };
        Ok(Some(match name {
            "row_number" => {
                let numbered = over(rows, window::row_number(), None, place)?;
                let first = value(0)?.unwrap_or_else(|| lit(1_i64));
                cast(numbered, DataType::Int64) + long(first) - lit(1_i64)
            }
            "prev" | "next" if !args.is_empty() => {
                let Some(of) = value(0)? else {
                    return Ok(None);
                };
                let by = match args.get(1) {
                    Some(by) => match self.constant(rows, &by.expr, scope)? {
                        ScalarValue::Int64(by) => by,
                        _ => None,
                    },
                    None => Some(1),
                };
                let kind = type_of(&of, rows);
                let default = match args.get(2) {
                    Some(default) => {
                        let default = self.constant(rows, &default.expr, scope)?;
                        Some(default.cast_to(&kind).map_err(at(place))?)
                    }
                    None => None,
                };
                let shifted = match name {
                    "prev" => window::lag(of, by, default),
                    _ => window::lead(of, by, default),
                };
                over(rows, shifted, None, place)?
            }
            "row_cumsum" if args.len() == 1 => {
                let Some(of) = value(0)? else {
                    return Ok(None);
                };
                running(rows, agg::sum(of), None, place)?
            }
            _ => return Ok(None),
        }))
    }

    /// A column that takes two steps, since one function rests on another: sums that begin anew,
    /// and sessions. None where the expression is another.
    pub(super) fn two_steps(
        &self,
        rows: &Rows,
        expr: &Expr,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Option<(Rows, DfExpr)>> {
        let ExprKind::Call(name, args) = &expr.kind else {
            return Ok(None);
        };
        let value = |index: usize| self.expr(rows, &args[index].expr, scope);
        match (name.as_str(), args.len()) {
            ("row_cumsum", 2) => {
                let begins = df_case(value(1)?, lit(1_i64), lit(0_i64));
                let part = running(rows, agg::sum(begins), None, place)?;
                let rows = self.with_column(rows.clone(), PART, part, place)?;
                let sum = running(&rows, agg::sum(value(0)?), Some(column(PART)), place)?;
                Ok(Some((rows, sum)))
            }
            ("row_window_session", 3 | 4) => {
                let of = value(0)?;
                let before = over(rows, window::lag(of.clone(), Some(1), None), None, place)?;
                let apart = (long(of.clone()) - long(before.clone())).gt(long(value(2)?));
                let mut begins = before.is_null().or(apart);
                if args.len() == 4 {
                    begins = begins.or(value(3)?);
                }
                let start = df_case(begins, of, lit(ScalarValue::Null));
                let rows = self.with_column(rows.clone(), PART, start, place)?;
                // Times rise within a session, so the latest beginning is the session's.
                let start = running(&rows, agg::max(column(PART)), None, place)?;
                Ok(Some((rows, start)))
            }
            _ => Ok(None),
        }
    }
}

/// The order in which rows are looked at, as far as its columns are still there.
pub(super) fn order_of(rows: &Rows) -> Vec<SortExpr> {
    let is_there = |sort: &&SortExpr| {
        let columns = sort.expr.column_refs();
        columns.iter().all(|column| rows.has(&column.name))
    };
    rows.order.iter().take_while(is_there).cloned().collect()
}

fn partitions(rows: &Rows, part: Option<DfExpr>) -> Vec<DfExpr> {
    let group = rows.group.iter().map(|group| column(&group.key));
    group.chain(part).collect()
}

/// A function over the rows in their order.
fn over(
    rows: &Rows,
    function: DfExpr,
    part: Option<DfExpr>,
    place: &Range<usize>,
) -> Lowered<DfExpr> {
    let order = order_of(rows);
    let parts = partitions(rows, part);
    if order.is_empty() && parts.is_empty() {
        return Ok(function);
    }
    let mut builder = function.order_by(order);
    if !parts.is_empty() {
        builder = builder.partition_by(parts);
    }
    builder.build().map_err(at(place))
}

/// An aggregate over the rows up to each.
fn running(
    rows: &Rows,
    aggregate: DfExpr,
    part: Option<DfExpr>,
    place: &Range<usize>,
) -> Lowered<DfExpr> {
    let DfExpr::AggregateFunction(function) = aggregate else {
        return Ok(aggregate);
    };
    let frame = WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    );
    let window = WindowFunction::new(
        WindowFunctionDefinition::AggregateUDF(function.func),
        function.params.args,
    );
    let mut builder = DfExpr::from(window)
        .order_by(order_of(rows))
        .window_frame(frame);
    let parts = partitions(rows, part);
    if !parts.is_empty() {
        builder = builder.partition_by(parts);
    }
    builder.build().map_err(at(place))
}

/// Whether an expression looks at other rows.
pub(super) fn has_window(expr: &DfExpr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    expr.exists(|one| Ok(matches!(one, DfExpr::WindowFunction(_))))
        .unwrap_or(false)
}
