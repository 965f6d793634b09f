//! What a query asks of rows: what is known of files answers some of it for all their rows, and
//! the rest is asked of each row.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, Result, ScalarValue, ToDFSchema};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{Expr, Operator, binary_expr};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{PhysicalExpr, conjunction as all_of};
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExecBuilder;

use crate::needles::{self, Ask};
use crate::schema;
use crate::snapshot::Extent;

/// Values of a list in a query that are compared with what is known of a file.
const MAX_LIST: usize = 128;
/// Columns of which the ends are known for each file, and which are never null.
const KNOWN: [&str; 3] = [schema::TIME, schema::POSITION, schema::DAY];

/// Places of the conditions that are left to be asked of rows.
pub(crate) type Left = Vec<usize>;

/// All that must hold for a row.
pub(crate) struct Conditions {
    columns: SchemaRef,
    each: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether all are asked of rows: a bare count reads the rows that it counts, so that a damaged
    /// file does not go unnoticed.
    is_count: bool,
    /// The opposite of those that statistics may answer.
    opposite: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// What is asked of the needle filters.
    pub(crate) needles: Ask,
    /// The one that leaves our findings out.
    pub(crate) no_findings: Option<usize>,
    /// The one that wants nothing else.
    pub(crate) only_findings: Option<usize>,
}

impl Conditions {
    pub(crate) fn new(
        state: &dyn Session,
        columns: &SchemaRef,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Self> {
        let named = Arc::clone(columns).to_dfschema()?;
        let parts: Vec<&Expr> = filters.iter().flat_map(split_conjunction).collect();
        let physical = |expr: Expr| state.create_physical_expr(expr, &named);
        let each = parts.iter().map(|part| physical((*part).clone()));
        let opposite = parts
            .iter()
            .map(|part| opposite(part).map(physical).transpose());
        let needles = conjunction(filters.iter().cloned());
        Ok(Self {
            columns: Arc::clone(columns),
            is_count: projection.is_some_and(Vec::is_empty),
            each: each.collect::<Result<_>>()?,
            opposite: opposite.collect::<Result<_>>()?,
            needles: needles.map_or(Ask::Whatever, |filter| needles::of_filter(&filter)),
            no_findings: place_of(&parts, Operator::NotEq),
            only_findings: place_of(&parts, Operator::Eq),
        })
    }

    /// Whether it is worth knowing which files hold findings of ours: what needle filters narrow
    /// down needs no footer of files that hold nothing.
    pub(crate) fn asks_of_findings(&self) -> bool {
        let leaves_out = self.no_findings.is_some() && !self.is_count;
        self.only_findings.is_some() || leaves_out && self.needles == Ask::Whatever
    }

    /// The places of all.
    pub(crate) fn all(&self) -> Left {
        (0..self.each.len()).collect()
    }

    /// Which containers may hold rows for which all hold.
    pub(crate) fn prune(&self, rows: &Containers<'_>) -> Result<Vec<bool>> {
        if self.each.is_empty() {
            return Ok(vec![true; rows.extents.len()]);
        }
        self.may_hold(&all_of(self.each.iter().cloned()), rows)
    }

    /// For each container, the conditions that may not hold for all its rows.
    pub(crate) fn left(&self, rows: &Containers<'_>) -> Result<Vec<Left>> {
        if self.is_count {
            return Ok(vec![self.all(); rows.extents.len()]);
        }
        let mut left = vec![Left::new(); rows.extents.len()];
        for (place, opposite) in self.opposite.iter().enumerate() {
            let doubts = match opposite {
                Some(opposite) => self.may_hold(opposite, rows)?,
                None => vec![true; left.len()],
            };
            for (left, _) in left.iter_mut().zip(doubts).filter(|(_, doubt)| *doubt) {
                left.push(place);
            }
        }
        Ok(left)
    }

    fn may_hold(&self, filter: &Arc<dyn PhysicalExpr>, rows: &Containers<'_>) -> Result<Vec<bool>> {
        let predicate = PruningPredicateBuilder::new()
            .with_file_schema(Arc::clone(&self.columns))
            .with_max_in_list_size(MAX_LIST)
            .build(Arc::clone(filter));
        match predicate {
            Some(predicate) => predicate.prune(rows),
            None => Ok(vec![true; rows.extents.len()]),
        }
    }

    /// A plan that gives the asked columns of rows for which what is left holds; `read` makes the
    /// one that reads columns, all of them if it is given none.
    pub(crate) fn ask(
        &self,
        projection: Option<&Vec<usize>>,
        left: &Left,
        read: impl FnOnce(Option<Vec<usize>>) -> Result<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let left = left.iter().filter_map(|place| self.each.get(*place));
        let left: Vec<Arc<dyn PhysicalExpr>> = left.cloned().collect();
        if left.is_empty() {
            return read(projection.cloned());
        }
        let filter = all_of(left);
        let mut columns = projection.cloned();
        if let Some(columns) = &mut columns {
            let mut asked: Vec<usize> = collect_columns(&filter)
                .iter()
                .map(|column| column.index())
                .filter(|column| !columns.contains(column))
                .collect();
            asked.sort_unstable();
            columns.extend(asked);
        }
        let plan = read(columns)?;
        let filter = reassign_expr_columns(filter, &plan.schema())?;
        let wanted = projection.map(|projection| (0..projection.len()).collect());
        let plan = FilterExecBuilder::new(filter, plan);
        Ok(Arc::new(plan.apply_projection(wanted)?.build()?))
    }
}

/// Holds for just the rows for which a comparison of a known column does not.
fn opposite(condition: &Expr) -> Option<Expr> {
    let columns = condition.column_refs();
    if !columns.iter().all(|column| KNOWN.contains(&&*column.name)) {
        return None;
    }
    let Expr::BinaryExpr(comparison) = condition else {
        return None;
    };
    let op = comparison.op.negate()?;
    let (left, right) = ((*comparison.left).clone(), (*comparison.right).clone());
    Some(binary_expr(left, op, right))
}

/// The place of the condition that compares a row's kind with that of our findings: by `Eq` it is
/// [`schema::is_finding`], by `NotEq` [`schema::is_event`].
fn place_of(conditions: &[&Expr], op: Operator) -> Option<usize> {
    conditions.iter().position(|condition| {
        let Expr::BinaryExpr(comparison) = condition else {
            return false;
        };
        let (Expr::Column(column), Expr::Literal(value, _)) =
            (&*comparison.left, &*comparison.right)
        else {
            return false;
        };
        column.name == schema::KIND
            && comparison.op == op
            && value.try_as_str().flatten() == Some(schema::FINDING)
    })
}

/// Files or batches, with what is known of their rows.
pub(crate) struct Containers<'a> {
    extents: &'a [Extent],
    /// The first and last day of each.
    days: (Vec<&'a str>, Vec<&'a str>),
}

impl<'a> Containers<'a> {
    pub(crate) fn new(extents: &'a [Extent], days: (Vec<&'a str>, Vec<&'a str>)) -> Self {
        Self { extents, days }
    }

    fn values(
        &self,
        column: &Column,
        end: fn((i64, i64)) -> i64,
        days: &[&str],
    ) -> Option<ArrayRef> {
        let numbers = |pair: fn(&Extent) -> (i64, i64)| {
            Int64Array::from_iter_values(self.extents.iter().map(|extent| end(pair(extent))))
        };
        match column.name() {
            schema::TIME => cast(&numbers(|extent| extent.time_us), &schema::time_type()).ok(),
            schema::POSITION => Some(Arc::new(numbers(|extent| extent.position))),
            schema::DAY => {
                let days = StringArray::from_iter_values(days);
                cast(&days, &DataType::Utf8View).ok()
            }
            _ => None,
        }
    }
}

impl PruningStatistics for Containers<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |ends| ends.0, &self.days.0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |ends| ends.1, &self.days.1)
    }

    fn num_containers(&self) -> usize {
        self.extents.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let is_never_null = KNOWN.contains(&column.name());
        is_never_null.then(|| Arc::new(UInt64Array::from(vec![0; self.extents.len()])) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
