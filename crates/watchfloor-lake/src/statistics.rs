//! What the fields of all events that a search finds hold: values, and how often they occur.
//!
//! Events are counted one by one until the time that was given is over. Files are read in an
//! order that spreads over the asked span, so that what is counted by then stands for the rest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::logical_expr::col;
use futures::StreamExt;
use watchfloor_event::ocsf::PROMOTED;

use crate::PipeError;
use crate::files::DataFile;
use crate::pipe::stopped;
use crate::progress::Run;
use crate::schema::{self, column_name};
use crate::search::{SearchRequest, query_error};
use crate::snapshot::RecentRows;
use crate::table::{Lake, ReadError};

/// Distinct values that are told apart per field.
const VALUES: usize = 20_000;
/// Fields of sources that are told apart.
const FIELDS: usize = 1_000;
/// Columns beside the attributes.
const CORE: [&str; 3] = ["source", "product", "kind"];

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldStatistics {
    /// Full name.
    pub name: String,
    /// Counted events that have it.
    pub count: u64,
    /// Distinct values among them.
    pub distinct: u64,
    /// Whether there are more distinct values than were told apart, so that `distinct` is the
    /// least there are and a value that came late may be missing from `top`.
    pub has_more: bool,
    /// The most frequent values.
    pub top: Vec<(String, u64)>,
}

/// What all fields hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events that were counted.
    pub events: u64,
    /// Whether these are all that the search finds.
    pub is_whole: bool,
    /// Fields, those that most events have first.
    pub fields: Vec<FieldStatistics>,
}

impl Lake {
    /// Counts the fields of the events that a search finds, for at most so long.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn statistics(
        &self,
        request: &SearchRequest,
        (run, budget): (&Run, Duration),
        top: usize,
    ) -> Result<Statistics, PipeError> {
        loop {
            match self.count_fields(request, run, budget, top).await {
                Err(error) if self.tries_again(&error, run).await => {}
                counted => break counted,
            }
        }
    }

    async fn count_fields(
        &self,
        request: &SearchRequest,
        run: &Run,
        budget: Duration,
        top: usize,
    ) -> Result<Statistics, PipeError> {
        let until = Instant::now() + budget;
        let snapshot = self.snapshot().watched(&run.progress);
        let files = spread(snapshot.files());
        let snapshot = snapshot.part(files, RecentRows::With);
        let attributes = PROMOTED.iter().map(|attribute| column_name(attribute.path));
        let core = CORE.iter().map(|name| (*name).to_owned());
        let columns = core.chain(attributes).chain([schema::UNMAPPED.to_owned()]);
        let columns: Vec<_> = columns.map(col).collect();
        let frame = self
            .pipe_context(run)?
            .read_table(Arc::new(snapshot))
            .and_then(|frame| frame.filter(self.filter(request)))
            .and_then(|frame| frame.select(columns))
            .map_err(query_error)?;
        let mut stream = frame.execute_stream().await.map_err(stopped)?;
        let mut counts = Counts::default();
        let is_whole = loop {
            // Rows that are always ready would never let the time run out.
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
            }
            match tokio::time::timeout(left, stream.next()).await {
                Err(_) => break false,
                Ok(None) => break true,
                Ok(Some(batch)) => counts
                    .add(&batch.map_err(stopped)?)
                    .map_err(ReadError::Rows)?,
            }
        };
        Ok(counts.done(is_whole, top))
    }
}

/// Files in an order in which any first part lies spread over all of them.
fn spread(files: &[DataFile]) -> Vec<DataFile> {
    let mut files = files.to_vec();
    files.sort_by_key(|file| file.extent.time_us);
    let mut spread = Vec::with_capacity(files.len());
    let mut step = files.len().next_power_of_two().max(1);
    let mut is_taken = vec![false; files.len()];
    while step >= 1 {
        for index in (0..files.len()).step_by(step) {
            if !std::mem::replace(&mut is_taken[index], true) {
                spread.push(files[index].clone());
            }
        }
        step /= 2;
    }
    spread
}

#[derive(Default)]
struct Counts {
    events: u64,
    fields: HashMap<String, Field>,
}

#[derive(Default)]
struct Field {
    count: u64,
    values: HashMap<String, u64>,
    has_more: bool,
}

impl Field {
    fn add(&mut self, value: &str) {
        self.count += 1;
        if let Some(count) = self.values.get_mut(value) {
            *count += 1;
        } else if self.values.len() < VALUES {
            self.values.insert(value.to_owned(), 1);
        } else {
            self.has_more = true;
        }
    }
}

impl Counts {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), arrow::error::ArrowError> {
        self.events += batch.num_rows() as u64;
        for name in CORE {
            self.add_column(name, batch.column_by_name(name))?;
        }
        for attribute in PROMOTED {
            let column = batch.column_by_name(&column_name(attribute.path));
            self.add_column(attribute.path, column)?;
        }
        let unmapped = batch.column_by_name(schema::UNMAPPED);
        if let Some(map) = unmapped.and_then(|column| column.as_map_opt()) {
            self.add_sources(map)?;
        }
        Ok(())
    }

    fn add_column(
        &mut self,
        name: &str,
        column: Option<&ArrayRef>,
    ) -> Result<(), arrow::error::ArrowError> {
        let Some(column) = column.filter(|column| column.null_count() < column.len()) else {
            return Ok(());
        };
        let texts = cast(column, &DataType::Utf8)?;
        let field = self.fields.entry(name.to_owned()).or_default();
        for value in texts.as_string::<i32>().iter().flatten() {
            if !value.is_empty() {
                field.add(value);
            }
        }
        Ok(())
    }

    fn add_sources(&mut self, map: &MapArray) -> Result<(), arrow::error::ArrowError> {
        let keys = cast(map.keys(), &DataType::Utf8)?;
        let values = cast(map.values(), &DataType::Utf8)?;
        let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
        let offsets = map.value_offsets();
        for row in (0..map.len()).filter(|row| map.is_valid(*row)) {
            for index in offsets[row] as usize..offsets[row + 1] as usize {
                if values.is_null(index) || values.value(index).is_empty() {
                    continue;
                }
                let name = format!("unmapped.{}", keys.value(index));
                if self.fields.len() < FIELDS || self.fields.contains_key(&name) {
                    self.fields
                        .entry(name)
                        .or_default()
                        .add(values.value(index));
                }
            }
        }
        Ok(())
    }

    fn done(self, is_whole: bool, top: usize) -> Statistics {
        let fields = self.fields.into_iter().filter(|(_, field)| field.count > 0);
        let mut fields: Vec<FieldStatistics> = fields
            .map(|(name, field)| {
                let distinct = field.values.len() as u64;
                let mut values: Vec<(String, u64)> = field.values.into_iter().collect();
                values.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
                values.truncate(top);
                FieldStatistics {
                    name,
                    count: field.count,
                    distinct,
                    has_more: field.has_more,
                    top: values,
                }
            })
            .collect();
        fields.sort_by(|left, right| {
            right
                .count
                .cmp(&left.count)
                .then(left.name.cmp(&right.name))
        });
        Statistics {
            events: self.events,
            is_whole,
            fields,
        }
    }
}
