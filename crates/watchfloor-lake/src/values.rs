//! Values that a field has, for those who are still writing their question: from what arrived
//! last, and from the newest files as far as the time suffices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, cast, col, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use watchfloor_query::{CoreField, FieldTarget, field_targets};

use crate::lower;
use crate::schema;
use crate::search::{long_column, query_error};
use crate::snapshot::{RecentRows, Snapshot};
use crate::table::{Lake, ReadError};

/// Files that are looked into.
const FILES: usize = 3;

impl Lake {
    /// Values of a field that begin with a text, letter case aside, the most frequent first.
    /// Within the time that is given as many as possible are found, possibly none.
    pub async fn values(
        &self,
        field: &str,
        begin: &str,
        limit: usize,
        within: Duration,
    ) -> Vec<(String, u64)> {
        let until = Instant::now() + within;
        let snapshot = self.snapshot();
        let mut files = snapshot.files().to_vec();
        files.sort_by_key(|file| std::cmp::Reverse(file.extent.time_us.1));
        files.truncate(FILES);
        let mut lots = vec![snapshot.part(Vec::new(), RecentRows::With)];
        lots.extend(
            files
                .into_iter()
                .map(|file| snapshot.part(vec![file], RecentRows::Without)),
        );
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        for lot in lots.into_iter().map(Arc::new) {
            for value in field_targets(field).iter().filter_map(value_of) {
                let left = until.saturating_duration_since(Instant::now());
                let look = self.values_in(&lot, value, begin, limit);
                match tokio::time::timeout(left, look).await {
                    Ok(Ok(values)) => {
                        for (value, count) in values {
                            *found.entry(value).or_default() += count;
                        }
                    }
                    // A file that cannot be read is for those who search it.
                    Ok(Err(_)) => {}
                    Err(_) => return first(found, limit),
                }
            }
        }
        first(found, limit)
    }

    async fn values_in(
        &self,
        lot: &Arc<Snapshot>,
        value: Expr,
        begin: &str,
        limit: usize,
    ) -> Result<Vec<(String, u64)>, ReadError> {
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        let provider: Arc<dyn datafusion::datasource::TableProvider> = Arc::clone(lot) as _;
        let value = cast(value, DataType::Utf8);
        let mut filter = value
            .clone()
            .is_not_null()
            .and(value.clone().not_eq(lit("")));
        if !begin.is_empty() {
            filter = filter.and(
                value
                    .clone()
                    .ilike(lit(format!("{}%", lower::escape(begin)))),
            );
        }
        let frame = context
            .read_table(provider)
            .and_then(|frame| frame.filter(filter))
            .and_then(|frame| {
                let keys = vec![value.alias("value")];
                frame.aggregate(keys, vec![count(lit(1)).alias("events")])
            })
            .and_then(|frame| frame.sort(vec![col("events").sort(false, false)]))
            .and_then(|frame| frame.limit(0, Some(limit)))
            .map_err(query_error)?;
        let mut values = Vec::new();
        for batch in frame.collect().await.map_err(query_error)? {
            let texts = arrow::compute::cast(batch.column(0), &DataType::Utf8);
            let texts = texts.map_err(ReadError::Rows)?;
            let counts = long_column(&batch, "events").map_err(ReadError::Rows)?;
            let counts = counts.as_primitive::<Int64Type>().values();
            let pairs = texts.as_string::<i32>().iter().zip(counts.iter());
            let pairs = pairs.filter_map(|(text, count)| Some((text?.to_owned(), *count)));
            values.extend(pairs.map(|(text, count)| (text, count.unsigned_abs())));
        }
        Ok(values)
    }
}

fn first(found: BTreeMap<String, u64>, limit: usize) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = found.into_iter().collect();
    found.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
    found.truncate(limit);
    found
}

/// Where values are looked for; whole records and lists of anomalies are none to choose from.
fn value_of(target: &FieldTarget) -> Option<Expr> {
    Some(match target {
        FieldTarget::Attribute(attribute) => col(schema::column_name(attribute.path)),
        FieldTarget::Unmapped(name) => lower::unmapped(name),
        FieldTarget::Core(core) => match core {
            CoreField::Source => col("source"),
            CoreField::Product => col("product"),
            CoreField::Kind => col("kind"),
            CoreField::Class => col(schema::CLASS),
            CoreField::Severity => col("severity_id"),
            CoreField::Status => col("status_id"),
            CoreField::Activity => col("activity_id"),
            CoreField::Id | CoreField::Anomalies | CoreField::Raw => return None,
        },
    })
}
