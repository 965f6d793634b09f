//! Values that a field has, for those who are still writing their question: from what arrived
//! last, and from the newest files as far as the time suffices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, cast, col, lit};
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
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
        let values = field_targets(field);
        let values: Vec<Expr> = values.iter().filter_map(value_of).collect();
        let value = match values.as_slice() {
            [] => return Vec::new(),
            [one] => one.clone(),
            _ => coalesce(values),
        };
        let snapshot = self.snapshot();
        let mut files = snapshot.files().to_vec();
        files.sort_by_key(|file| std::cmp::Reverse(file.extent.time_us.1));
        files.truncate(FILES);
        // What is in memory is there at once, and does not wait for files.
        let lots = [
            snapshot.part(Vec::new(), RecentRows::With),
            snapshot.part(files, RecentRows::Without),
        ];
        let value = cast(value, DataType::Utf8);
        let mut filter = value
            .clone()
            .is_not_null()
            .and(value.clone().not_eq(lit("")));
        if !begin.is_empty() {
            let begins = lit(format!("{}%", lower::escape(begin)));
            filter = filter.and(value.clone().ilike(begins));
        }
        // Tasks of their own, since a look at rows that are always ready never waits, and the time
        // would not be looked at. They end with the set.
        let until = Instant::now() + within;
        let mut looks = JoinSet::new();
        for lot in lots {
            let runtime = Arc::clone(&self.runtime);
            looks.spawn(values_in(
                runtime,
                lot,
                value.clone(),
                filter.clone(),
                limit,
            ));
        }
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        // Timers are a millisecond late at best.
        while Instant::now() < until
            && let Ok(Some(look)) = timeout_at(until, looks.join_next()).await
        {
            // A file that cannot be read is for those who search it.
            for (value, count) in look.into_iter().flatten().flatten() {
                *found.entry(value).or_default() += count;
            }
        }
        first(found, limit)
    }
}

async fn values_in(
    runtime: Arc<RuntimeEnv>,
    lot: Snapshot,
    value: Expr,
    filter: Expr,
    limit: usize,
) -> Result<Vec<(String, u64)>, ReadError> {
    let config = SessionConfig::new().with_target_partitions(1);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let frame = context
        .read_table(Arc::new(lot))
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

fn first(found: BTreeMap<String, u64>, limit: usize) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = found.into_iter().collect();
    found.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(&right.0)));
    found.truncate(limit);
    found
}

/// Where values are looked for; whole records and lists of anomalies are none to choose from.
fn value_of(target: &FieldTarget) -> Option<Expr> {
    Some(match target {
        FieldTarget::Attribute(attribute) => {
            cast(col(schema::column_name(attribute.path)), DataType::Utf8)
        }
        FieldTarget::Unmapped(name) => cast(lower::unmapped(name), DataType::Utf8),
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
