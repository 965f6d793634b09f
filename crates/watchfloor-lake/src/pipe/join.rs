//! `join` and `lookup`.

use std::ops::Range;

use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlanBuilder};
use datafusion::prelude::DataFrame;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::{Binary, Expr, ExprKind, Join, JoinKind};

use super::aggregates::name_of;
use super::expression::text;
use super::fields::is_event_name;
use super::sources::{column, type_of};
use super::verbs::{free_name, name_expr};
use super::{Lowered, Lowering, Rows, Scope, Side, at};

/// What stands before the names of the lake's columns of a right side.
pub(super) const MARK: char = '\u{1}';

impl Lowering {
    pub(super) fn join(
        &self,
        left: Rows,
        join: &Join,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
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
            let all: Vec<DfExpr> = left.names().iter().map(|name| column(name)).collect();
            left_frame = left_frame
                .distinct_on(on_left.clone(), all, None)
                .map_err(at(place))?;
        }
        // The right side's columns get names that the left side has not, keys included.
        self.step(place)?;
        let mark = format!("{MARK}{}{MARK}", self.steps.get());
        let mut right_select: Vec<DfExpr> = Vec::new();
        for name in right.names() {
            right_select.push(column(&name).alias(format!("{mark}{name}")));
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
        let plan = LogicalPlanBuilder::from(left_frame.logical_plan().clone())
            .join_with_expr_keys(
                right_frame.logical_plan().clone(),
                join_type(join.kind),
                (on_left, keys),
                None,
            )
            .and_then(LogicalPlanBuilder::build)
            .map_err(at(place))?;
        let frame = DataFrame::new(self.context.state(), plan);
        kept(frame, left, right, (&mark, join, &shared)).map_err(at(place))
    }
}

/// The columns that a kind of join keeps.
fn kept(
    frame: DataFrame,
    left: Rows,
    right: Rows,
    (mark, join, shared): (&str, &Join, &[String]),
) -> datafusion::error::Result<Rows> {
    match join.kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => {
            let names = left.names();
            let all: Vec<DfExpr> = names.iter().map(|name| column(name)).collect();
            frame.select(all).map(|frame| Rows { frame, ..left })
        }
        JoinKind::RightSemi | JoinKind::RightAnti => {
            let names = right.names();
            let all = names
                .iter()
                .map(|name| column(&format!("{mark}{name}")).alias(name));
            let all: Vec<DfExpr> = all.collect();
            frame.select(all).map(|frame| Rows { frame, ..right })
        }
        _ => both_sides(frame, left, &right, (mark, join, shared)),
    }
}

/// The columns of a join: the left side's, then the right side's, with a number behind those that
/// both have. The lake's columns of a right side stay behind their mark, and are asked for by
/// the names that fields have.
fn both_sides(
    frame: DataFrame,
    left: Rows,
    right: &Rows,
    (mark, join, shared): (&str, &Join, &[String]),
) -> datafusion::error::Result<Rows> {
    let mut names = left.names();
    let mut select: Vec<DfExpr> = names.iter().map(|name| column(name)).collect();
    let mut added = left.added.clone();
    let mut sides = left.sides.clone();
    let mut shadowed = left.shadowed.clone();
    if right.is_wide {
        sides.push(Side {
            mark: mark.to_owned(),
            table: right.table.clone(),
        });
    }
    for side in &right.sides {
        sides.push(Side {
            mark: format!("{mark}{}", side.mark),
            table: side.table.clone(),
        });
    }
    for name in right.names() {
        let is_of_lake = right.is_wide && !right.added.contains(&name);
        let marked = column(&format!("{mark}{name}"));
        if is_of_lake || name.starts_with(MARK) {
            select.push(marked);
            names.push(format!("{mark}{name}"));
            continue;
        }
        if join.is_lookup && shared.contains(&name) {
            continue;
        }
        // A name of a field is taken by the left side's events, which have every field.
        let is_taken = left.is_wide && is_event_name(&name) && !names.contains(&name);
        let new = if is_taken {
            names.push(name.clone());
            let new = free_name(name.clone(), &names);
            names.retain(|known| *known != name);
            shadowed.push((name.clone(), new.clone()));
            new
        } else {
            free_name(name.clone(), &names)
        };
        select.push(marked.alias(&new));
        added.push(new.clone());
        names.push(new);
    }
    let frame = frame.select(select)?;
    Ok(Rows {
        frame,
        added,
        sides,
        shadowed,
        order: Vec::new(),
        ..left
    })
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
