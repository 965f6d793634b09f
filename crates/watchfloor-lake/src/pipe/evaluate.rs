//! Parts of a query that are run while the rest is lowered, since the rest depends on what they
//! give: values of `toscalar`, bounds of a series, columns that stand in the data.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr as DfExpr, lit};
use datafusion::prelude::DataFrame;
use watchfloor_query::Diagnostic;
use watchfloor_query::pipe::Pipeline;

use super::sources::column;
use super::{Lowered, Lowering, Scope, at, functions};

/// Most values of a list that is looked up in.
const MAX_VALUES: usize = 1_000_000;

/// A part of the query by its place and by what names mean there.
pub(super) type Key = (usize, usize, usize);

impl Lowering {
    /// The rows of a frame; this waits, which is why lowering has a thread of its own.
    pub(super) fn run(&self, frame: DataFrame, place: &Range<usize>) -> Lowered<Vec<RecordBatch>> {
        let left = self.until.saturating_duration_since(Instant::now());
        let run = tokio::time::timeout(left, frame.collect());
        let late = |_| {
            Diagnostic::new(
                "this part of the query took too long",
                place.clone(),
                "ask for less time or fewer groups",
            )
        };
        // Timers belong to a runtime, so the wait is made within one.
        let handle = tokio::runtime::Handle::current();
        handle.block_on(run).map_err(late)?.map_err(at(place))
    }

    /// The first value of rows, as a value that is known.
    pub(super) fn first_value(&self, pipeline: &Pipeline, scope: &Scope) -> Lowered<DfExpr> {
        let place = &pipeline.place;
        let scope_at = scope
            .as_ref()
            .map_or(0, |scope| Arc::as_ptr(scope) as usize);
        let key = (place.start, place.end, scope_at);
        let known = self
            .known
            .borrow()
            .get(&key)
            .map(|(value, _)| value.clone());
        if let Some(value) = known {
            return Ok(lit(value));
        }
        let was_filter = self.is_filter.replace(false);
        let rows = self.pipeline(pipeline, scope);
        self.is_filter.set(was_filter);
        let frame = self.shown(rows?.0, place)?;
        let schema = frame.schema();
        let Some(first) = schema.fields().first().map(|field| field.name().clone()) else {
            return Ok(lit(ScalarValue::Null));
        };
        let kind = schema.field(0).data_type().clone();
        let frame = frame
            .select(vec![column(&first)])
            .and_then(|frame| frame.limit(0, Some(1)))
            .map_err(at(place))?;
        let batches = self.run(frame, place)?;
        let filled = batches.iter().find(|batch| batch.num_rows() > 0);
        let value = match filled {
            Some(batch) => ScalarValue::try_from_array(batch.column(0), 0).map_err(at(place))?,
            None => ScalarValue::try_from(&kind).map_err(at(place))?,
        };
        self.known
            .borrow_mut()
            .insert(key, (value.clone(), scope.clone()));
        Ok(lit(value))
    }

    /// The values of the first column as texts.
    pub(super) fn texts_of(&self, frame: DataFrame, place: &Range<usize>) -> Lowered<Vec<String>> {
        let Some(first) = frame
            .schema()
            .fields()
            .first()
            .map(|field| field.name().clone())
        else {
            return Ok(Vec::new());
        };
        let value = functions::call("as_text", vec![column(&first)]).alias("value");
        let frame = frame
            .select(vec![value])
            .and_then(DataFrame::distinct)
            .and_then(|frame| frame.limit(0, Some(MAX_VALUES + 1)))
            .map_err(at(place))?;
        let mut texts = Vec::new();
        for batch in self.run(frame, place)? {
            use arrow::array::AsArray;
            let values = batch.column(0).as_string::<i32>().iter();
            texts.extend(values.flatten().map(str::to_owned));
        }
        if texts.len() > MAX_VALUES {
            return Err(Diagnostic::new(
                format!("the list has more than {MAX_VALUES} values"),
                place.clone(),
                "look for fewer, or join the rows",
            ));
        }
        texts.sort();
        Ok(texts)
    }
}
