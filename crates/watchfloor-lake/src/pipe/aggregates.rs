//! Aggregates of `summarize`.

use std::ops::Range;

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn as agg;
use datafusion::functions_nested::expr_fn::array_slice;
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
    "binary_all_or",
];

/// An aggregate with the name of its column.
pub(super) type Column = (String, DfExpr);

impl Lowering<'_> {
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
        if let ("arg_max" | "arg_min", Some(by)) = (name.as_str(), first) {
            return self.extreme(rows, name == "arg_max", (by, &args[1..]), named, scope);
        }
        if let ("take_any" | "any", Some(_)) = (name.as_str(), first) {
            return self.any(rows, args, named, scope);
        }
        if name == "percentiles" {
            let (Some(value), shares) = (first, &args[1..]) else {
                return Err(wrong(name, place));
            };
            let value = try_cast(self.expr(rows, value, scope)?, DataType::Float64);
            let base = default_name(name, args);
            return shares
                .iter()
                .map(|share| {
                    let number = self.constant(rows, &share.expr, scope)?;
                    Ok((
                        format!("{base}_{number}"),
                        percentile(value.clone(), &number, place)?,
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
            df_case(
                condition.clone(),
                one.clone(),
                lit(datafusion::common::ScalarValue::Null),
            )
        };
        let counted = |one: DfExpr| agg::count(one);
        Ok(match (name, lowered.as_slice()) {
            ("count", []) => agg::count(lit(1_i64)),
            ("countif", [condition]) => counted(only(&lit(1_i64), condition)),
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
            ("stdev", [one]) => agg::stddev(try_cast(one.clone(), DataType::Float64)),
            ("variance", [one]) => agg::var_sample(try_cast(one.clone(), DataType::Float64)),
            ("percentile", [one, _]) => {
                let share = self.constant(rows, &args[1].expr, scope)?;
                percentile(try_cast(one.clone(), DataType::Float64), &share, place)?
            }
            ("make_set" | "makeset", [one, most @ ..]) => gathered(one, None, most, (true, place))?,
            ("make_list" | "makelist", [one, most @ ..]) => {
                gathered(one, None, most, (false, place))?
            }
            ("make_set_if", [one, condition, most @ ..]) => {
                gathered(one, Some(condition), most, (true, place))?
            }
            ("make_list_if", [one, condition, most @ ..]) => {
                gathered(one, Some(condition), most, (false, place))?
            }
            ("take_anyif", [one, condition]) => agg::max(only(one, condition)),
            _ => return Err(wrong(name, place)),
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
                use watchfloor_query::pipe::Binary;
                let (left, right) = (over(left)?, over(right)?);
                let real = |one: DfExpr| cast(one, DataType::Float64);
                Ok(match operator {
                    Binary::Add => left + right,
                    Binary::Subtract => left - right,
                    Binary::Multiply => left * right,
                    Binary::Divide
                        if type_of(&left, rows).is_floating()
                            || type_of(&right, rows).is_floating() =>
                    {
                        real(left) / real(right)
                    }
                    Binary::Divide => left / right,
                    Binary::Greater => left.gt(right),
                    Binary::GreaterEqual => left.gt_eq(right),
                    Binary::Less => left.lt(right),
                    Binary::LessEqual => left.lt_eq(right),
                    Binary::Equal => left.eq(right),
                    _ => return Err(unfit(expr)),
                })
            }
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

fn percentile(
    value: DfExpr,
    share: &datafusion::common::ScalarValue,
    place: &Range<usize>,
) -> Lowered<DfExpr> {
    let share: Option<f64> = share.to_string().parse().ok();
    match share.filter(|share| (0.0..=100.0).contains(share)) {
        Some(share) => Ok(agg::percentile_cont(
            value.sort(true, false),
            lit(share / 100.0),
        )),
        None => Err(Diagnostic::new(
            "a percentile lies between 0 and 100",
            place.clone(),
            "write percentile(x, 95)",
        )),
    }
}

/// The values of a group as a list, absent ones left out.
fn gathered(
    one: &DfExpr,
    condition: Option<&DfExpr>,
    most: &[DfExpr],
    (is_set, place): (bool, &Range<usize>),
) -> Lowered<DfExpr> {
    let is_there = one.clone().is_not_null();
    let filter = match condition {
        Some(condition) => is_there.and(condition.clone()),
        None => is_there,
    };
    let list = agg::array_agg(one.clone()).filter(filter);
    let list = if is_set { list.distinct() } else { list };
    let list = list.build().map_err(at(place))?;
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
        ExprKind::Not(of) | ExprKind::Minus(of) => has_aggregate(of),
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
        "make_list" | "makelist" | "make_list_if" => "list",
        other => other,
    };
    let of = match name {
        "countif" => None,
        _ => args.first(),
    };
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
