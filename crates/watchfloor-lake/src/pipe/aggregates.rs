//! Aggregates of `summarize`.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as df;
use datafusion::functions_aggregate::expr_fn as agg;
use datafusion::functions_nested::expr_fn::{array_element, array_length, array_slice};
use datafusion::logical_expr::{Expr as DfExpr, ExprFunctionExt, cast, lit, try_cast};
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{Arg, Expr, ExprKind, Named, nearest};

use super::expression::df_case;
use super::sources::{column, type_of};
use super::{Lowered, Lowering, Rows, Scope, at};

/// Every aggregate.
pub(super) const NAMES: &[&str] = &[
    "count",
    "countif",
    "dcount",
    "dcountif",
    "count_distinct",
    "sum",
    "sumif",
    "avg",
    "avgif",
    "min",
    "minif",
    "max",
    "maxif",
    "arg_max",
    "arg_min",
    "make_set",
    "make_set_if",
    "make_list",
    "make_list_if",
    "makeset",
    "makelist",
    "percentile",
    "percentiles",
    "stdev",
    "variance",
    "take_any",
    "any",
    "take_anyif",
    "anyif",
    "argmax",
    "argmin",
    "count_distinctif",
    "make_list_with_nulls",
    "make_bag",
    "make_bag_if",
    "make_dictionary",
    "stdevif",
    "stdevp",
    "varianceif",
    "variancep",
    "binary_all_or",
    "binary_all_and",
    "binary_all_xor",
];

/// An aggregate with the name of its column.
pub(super) type Column = (String, DfExpr);

impl Lowering {
    /// The columns that an aggregate of `summarize` gives.
    pub(super) fn aggregate(
        &self,
        rows: &Rows,
        named: &Named,
        scope: &Scope,
    ) -> Lowered<Vec<Column>> {
        let place = &named.expr.place;
        let ExprKind::Call(name, args) = &named.expr.kind else {
            return self.around_aggregates(rows, named, scope);
        };
        let first = args.first().map(|arg| &arg.expr);
        if let ("arg_max" | "arg_min" | "argmax" | "argmin", Some(by)) = (name.as_str(), first) {
            return self.extreme(rows, name.ends_with("max"), (by, &args[1..]), named, scope);
        }
        if let ("take_any" | "any", Some(_)) = (name.as_str(), first) {
            return self.any(rows, args, named, scope);
        }
        if name == "percentiles" {
            let (Some(value), shares) = (first, &args[1..]) else {
                return Err(wrong(name, place));
            };
            let value = self.expr(rows, value, scope)?;
            let value = as_number(&value, rows);
            let base = format!(
                "percentile_{}",
                args.first()
                    .map_or_else(String::new, |arg| name_of(&arg.expr))
            );
            return shares
                .iter()
                .enumerate()
                .map(|(index, share)| {
                    let number = self.constant(rows, &share.expr, scope)?;
                    let given = named.names.get(index).cloned();
                    let told = number.to_string().replace('.', "_");
                    Ok((
                        given.unwrap_or_else(|| format!("{base}_{told}")),
                        percentile(&value, &number, place)?,
                    ))
                })
                .collect();
        }
        if !NAMES.contains(&name.as_str()) {
            return self.around_aggregates(rows, named, scope);
        }
        let value = self.one_aggregate(rows, name, args, place, scope)?;
        let given = named.names.first().cloned();
        Ok(vec![(
            given.unwrap_or_else(|| default_name(name, args)),
            value,
        )])
    }

    fn one_aggregate(
        &self,
        rows: &Rows,
        name: &str,
        args: &[Arg],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<DfExpr> {
        let lowered = args.iter().map(|arg| self.expr(rows, &arg.expr, scope));
        let lowered = lowered.collect::<Lowered<Vec<_>>>()?;
        let real = |one: &DfExpr| {
            let kind = type_of(one, rows);
            if kind.is_numeric() || matches!(kind, DataType::Duration(_)) {
                one.clone()
            } else {
                try_cast(one.clone(), DataType::Float64)
            }
        };
        let only = |one: &DfExpr, condition: &DfExpr| {
            df_case(condition.clone(), one.clone(), lit(ScalarValue::Null))
        };
        let counted = |one: DfExpr| agg::count(one);
        Ok(match (name, lowered.as_slice()) {
            ("count", []) => agg::count(lit(1_i64)),
            ("countif", [condition]) => counted(only(&lit(1_i64), condition)),
            ("count_distinctif", [one, condition]) => agg::count_distinct(only(one, condition)),
            ("dcount" | "count_distinct", [one, ..]) => agg::count_distinct(one.clone()),
            ("dcountif", [one, condition, ..]) => agg::count_distinct(only(one, condition)),
            ("sum", [one]) => agg::sum(real(one)),
            ("sumif", [one, condition]) => agg::sum(only(&real(one), condition)),
            ("avg", [one]) => agg::avg(try_cast(one.clone(), DataType::Float64)),
            ("avgif", [one, condition]) => {
                agg::avg(only(&try_cast(one.clone(), DataType::Float64), condition))
            }
            ("min", [one]) => agg::min(one.clone()),
            ("max", [one]) => agg::max(one.clone()),
            ("minif", [one, condition]) => agg::min(only(one, condition)),
            ("maxif", [one, condition]) => agg::max(only(one, condition)),
            ("percentile", [one, _]) => {
                let share = self.constant(rows, &args[1].expr, scope)?;
                percentile(&as_number(one, rows), &share, place)?
            }
            ("make_set" | "makeset", [one, most @ ..]) => {
                gathered(rows, (one, None), most, (true, place))?
            }
            ("make_list" | "makelist", [one, most @ ..]) => {
                gathered(rows, (one, None), most, (false, place))?
            }
            ("make_set_if", [one, condition, most @ ..]) => {
                gathered(rows, (one, Some(condition)), most, (true, place))?
            }
            ("make_list_if", [one, condition, most @ ..]) => {
                gathered(rows, (one, Some(condition)), most, (false, place))?
            }
            ("make_list_with_nulls", [one]) => agg::array_agg(one.clone()),
            ("make_bag" | "make_dictionary", [one, ..]) => merged_bags(rows, (one, None), place)?,
            ("make_bag_if", [one, condition, ..]) => {
                merged_bags(rows, (one, Some(condition)), place)?
            }
            ("take_anyif" | "anyif", [one, condition]) => agg::max(only(one, condition)),
            ("take_any" | "any", [one]) => agg::first_value(one.clone(), Vec::new()),
            _ => spread(name, &lowered).ok_or_else(|| wrong(name, place))?,
        })
    }

    /// An expression over aggregates, such as `100 * countif(a) / count()`: the aggregates become
    /// columns of their own, which the caller works on.
    fn around_aggregates(&self, rows: &Rows, named: &Named, scope: &Scope) -> Lowered<Vec<Column>> {
        let lowered = self.over_aggregates(rows, &named.expr, scope)?;
        let given = named.names.first().cloned();
        Ok(vec![(
            given.unwrap_or_else(|| "Column1".to_owned()),
            lowered,
        )])
    }

    /// Puts the aggregates of an expression in its place; names stand for columns of keys.
    fn over_aggregates(&self, rows: &Rows, expr: &Expr, scope: &Scope) -> Lowered<DfExpr> {
        let over = |one: &Expr| self.over_aggregates(rows, one, scope);
        match &expr.kind {
            ExprKind::Call(name, args) if NAMES.contains(&name.as_str()) => {
                self.one_aggregate(rows, name, args, &expr.place, scope)
            }
            ExprKind::Call(name, args) if args.iter().any(|arg| has_aggregate(&arg.expr)) => {
                let args = args
                    .iter()
                    .map(|arg| over(&arg.expr))
                    .collect::<Lowered<Vec<_>>>()?;
                super::functions::scalar(name, args, rows, self.now, &expr.place)
            }
            ExprKind::Binary(operator, left, right)
                if has_aggregate(left) || has_aggregate(right) =>
            {
                let (left, right) = (over(left)?, over(right)?);
                self.operated(rows, *operator, (left, right), &expr.place)
            }
            ExprKind::Index(of, key) if has_aggregate(of) => {
                let (of, key) = (over(of)?, over(key)?);
                Ok(super::expression::item(rows, of, key))
            }
            ExprKind::Not(of) if has_aggregate(of) => Ok(datafusion::logical_expr::not(over(of)?)),
            ExprKind::Minus(of) if has_aggregate(of) => Ok(DfExpr::Negative(Box::new(over(of)?))),
            ExprKind::Name(_) => {
                let hint =
                    "write an aggregate such as count() or max(x), or name the column behind by";
                Err(Diagnostic::new(
                    "a column alone is no aggregate",
                    expr.place.clone(),
                    hint,
                ))
            }
            ExprKind::Call(name, _) => {
                let near = nearest(name, NAMES.iter().copied());
                let hint = near.map_or_else(
                    || format!("aggregates are {}", NAMES.join(", ")),
                    |near| format!("did you mean {near}()?"),
                );
                Err(Diagnostic::new(
                    format!("'{name}' is no aggregate"),
                    expr.place.clone(),
                    &hint,
                ))
            }
            _ if has_aggregate(expr) => Err(unfit(expr)),
            _ => self.expr(rows, expr, scope),
        }
    }

    /// `arg_max(by, a, b)`: the values of the row in which `by` is largest.
    fn extreme(
        &self,
        rows: &Rows,
        is_max: bool,
        (by, values): (&Expr, &[Arg]),
        named: &Named,
        scope: &Scope,
    ) -> Lowered<Vec<Column>> {
        let key = self.expr(rows, by, scope)?;
        let order = || vec![key.clone().sort(!is_max, false)];
        let first = if is_max {
            agg::max(key.clone())
        } else {
            agg::min(key.clone())
        };
        let name = named.names.first().cloned().unwrap_or_else(|| name_of(by));
        let mut columns = vec![(name.clone(), first)];
        for (name, value) in self.values(rows, values, scope)? {
            if columns.iter().all(|(known, _)| *known != name) {
                columns.push((name, agg::first_value(value, order())));
            }
        }
        for ((name, _), given) in columns.iter_mut().zip(&named.names) {
            name.clone_from(given);
        }
        Ok(columns)
    }

    fn any(&self, rows: &Rows, args: &[Arg], named: &Named, scope: &Scope) -> Lowered<Vec<Column>> {
        let values = self.values(rows, args, scope)?.into_iter().enumerate();
        let column = |(number, (name, value)): (usize, Column)| {
            let name = named.names.get(number).cloned().unwrap_or(name);
            (name, agg::first_value(value, Vec::new()))
        };
        Ok(values.map(column).collect())
    }

    /// Values with their names; `*` stands for what is shown of the rows.
    fn values(&self, rows: &Rows, args: &[Arg], scope: &Scope) -> Lowered<Vec<Column>> {
        let mut values = Vec::new();
        for arg in args {
            if arg.expr.kind != ExprKind::Star {
                values.push((name_of(&arg.expr), self.expr(rows, &arg.expr, scope)?));
                continue;
            }
            let fields = rows.frame.schema().fields();
            let names = fields.iter().map(|field| field.name().clone());
            values.extend(names.map(|name| (name.clone(), column(&name))));
        }
        Ok(values)
    }
}

/// How values lie around their average, and bits that all have.
fn spread(name: &str, args: &[DfExpr]) -> Option<DfExpr> {
    let real = |one: &DfExpr| try_cast(one.clone(), DataType::Float64);
    let only = |one: &DfExpr, condition: &DfExpr| {
        df_case(condition.clone(), real(one), lit(ScalarValue::Null))
    };
    let whole = |one: &DfExpr| try_cast(one.clone(), DataType::Int64);
    Some(match (name, args) {
        ("stdev", [one]) => agg::stddev(real(one)),
        ("stdevif", [one, condition]) => agg::stddev(only(one, condition)),
        ("stdevp", [one]) => agg::stddev_pop(real(one)),
        ("variance", [one]) => agg::var_sample(real(one)),
        ("varianceif", [one, condition]) => agg::var_sample(only(one, condition)),
        ("variancep", [one]) => agg::var_pop(real(one)),
        ("binary_all_or", [one]) => agg::bit_or(whole(one)),
        ("binary_all_and", [one]) => agg::bit_and(whole(one)),
        ("binary_all_xor", [one]) => agg::bit_xor(whole(one)),
        _ => return None,
    })
}

/// Members of all documents of a group.
fn merged_bags(
    rows: &Rows,
    (one, condition): (&DfExpr, Option<&DfExpr>),
    place: &Range<usize>,
) -> Lowered<DfExpr> {
    let list = gathered(rows, (one, condition), &[], (false, place))?;
    Ok(super::functions::call("bags_of_list", vec![list]))
}

/// A text as the number that it is.
fn as_number(one: &DfExpr, rows: &Rows) -> DfExpr {
    let kind = type_of(one, rows);
    let is_counted =
        kind.is_numeric() || matches!(kind, DataType::Duration(_) | DataType::Timestamp(..));
    if is_counted {
        return one.clone();
    }
    try_cast(one.clone(), DataType::Float64)
}

/// Whether an aggregate gives whole rows, such as `arg_max(time, *)`.
pub(super) fn takes_whole_rows(named: &Named) -> bool {
    matches!(&named.expr.kind, ExprKind::Call(name, args)
        if matches!(name.as_str(), "arg_max" | "arg_min" | "argmax" | "argmin" | "take_any" | "any")
            && args.iter().any(|arg| arg.expr.kind == ExprKind::Star))
}

/// The value at the place of a share, as Kusto has it: no value lies between two.
fn percentile(value: &DfExpr, share: &ScalarValue, place: &Range<usize>) -> Lowered<DfExpr> {
    let share: Option<f64> = share.to_string().parse().ok();
    match share.filter(|share| (0.0..=100.0).contains(share)) {
        Some(share) => {
            let sorted = agg::array_agg(value.clone())
                .filter(value.clone().is_not_null())
                .order_by(vec![value.clone().sort(true, false)])
                .build()
                .map_err(at(place))?;
            let count = cast(array_length(sorted.clone()), DataType::Float64);
            let rank = cast(df::ceil(count * lit(share / 100.0)), DataType::Int64);
            let rank = df_case(rank.clone().lt(lit(1_i64)), lit(1_i64), rank);
            Ok(array_element(sorted, rank))
        }
        None => Err(Diagnostic::new(
            "a percentile lies between 0 and 100",
            place.clone(),
            "write percentile(x, 95)",
        )),
    }
}

/// The values of a group as a list, absent ones left out. Lists are in the order that was asked
/// for, sets in that of their values, so that the same rows give the same answer.
fn gathered(
    rows: &Rows,
    (one, condition): (&DfExpr, Option<&DfExpr>),
    most: &[DfExpr],
    (is_set, place): (bool, &Range<usize>),
) -> Lowered<DfExpr> {
    let kind = type_of(one, rows);
    let is_there = one.clone().is_not_null();
    let filter = match condition {
        Some(condition) => is_there.and(condition.clone()),
        None => is_there,
    };
    let list = agg::array_agg(one.clone()).filter(filter);
    let can_be_sorted = !kind.is_nested();
    let list = match is_set {
        true if can_be_sorted => list
            .distinct()
            .order_by(vec![one.clone().sort(true, false)]),
        true => list.distinct(),
        false => {
            let order = super::windows::order_of(rows);
            if order.is_empty() {
                list
            } else {
                list.order_by(order)
            }
        }
    };
    let list = list.build().map_err(at(place))?;
    // No values are an empty list.
    let none = ScalarValue::List(ScalarValue::new_list(&[], &kind, true));
    let list = df::coalesce(vec![list, lit(none)]);
    Ok(match most {
        [most, ..] => array_slice(list, lit(1_i64), most.clone(), None),
        [] => list,
    })
}

fn has_aggregate(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Call(name, args) => {
            NAMES.contains(&name.as_str()) || args.iter().any(|arg| has_aggregate(&arg.expr))
        }
        ExprKind::Binary(_, left, right) => has_aggregate(left) || has_aggregate(right),
        ExprKind::Not(of) | ExprKind::Minus(of) | ExprKind::Index(of, _) => has_aggregate(of),
        _ => false,
    }
}

fn unfit(expr: &Expr) -> Diagnostic {
    Diagnostic::new(
        "aggregates cannot be joined so",
        expr.place.clone(),
        "summarize first, and work on the columns with extend",
    )
}

fn wrong(name: &str, place: &Range<usize>) -> Diagnostic {
    Diagnostic::new(
        format!("'{name}' has the wrong arguments"),
        place.clone(),
        "write count(), countif(condition), sum(x), dcount(x), arg_max(by, x), make_set(x), percentile(x, 95)",
    )
}

/// Kusto's name of an aggregate without one: `count_`, `sum_bytes`, `set_user`.
fn default_name(name: &str, args: &[Arg]) -> String {
    let name = match name {
        "make_set" | "makeset" | "make_set_if" => "set",
        "make_list" | "makelist" | "make_list_if" | "make_list_with_nulls" => "list",
        "make_bag" | "make_bag_if" | "make_dictionary" => "bag",
        other => other,
    };
    let of = match name {
        "countif" => None,
        _ => args.first(),
    };
    if let ("percentile", [value, share]) = (name, args)
        && let ExprKind::Long(share) = share.expr.kind
    {
        return format!("percentile_{}_{share}", name_of(&value.expr));
    }
    format!(
        "{name}_{}",
        of.map_or_else(String::new, |arg| name_of(&arg.expr))
    )
}

/// The name of an aggregate's column where none is written.
pub(super) fn default_name_of(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Call(name, args) => default_name(name, args),
        _ => name_of(expr),
    }
}

/// The name that a column gets from its expression.
pub(super) fn name_of(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Name(name) => name.clone(),
        ExprKind::Index(of, key) => match &key.kind {
            ExprKind::Text(key) => format!("{}_{key}", name_of(of)),
            ExprKind::Long(key) => format!("{}_{key}", name_of(of)),
            _ => name_of(of),
        },
        ExprKind::Call(_, args) => args
            .first()
            .map_or_else(|| "Column1".to_owned(), |arg| name_of(&arg.expr)),
        _ => "Column1".to_owned(),
    }
}
