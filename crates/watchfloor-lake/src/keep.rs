//! How long events are kept: retention, legal hold, the move to the cold table, and the deletion
//! of what a query finds.
//!
//! Retention counts from receipt, not from event time: an old log that is imported for a case is
//! as old as its import.

use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::{Expr, col, lit, not, when};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::kernel::Action;
use deltalake::protocol::{DeltaOperation, SaveMode};
use futures::StreamExt;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use object_store::ObjectStoreExt;
use watchfloor_query::{Query, TextPattern};

use crate::encode::{DayFile, DayWriter};
use crate::files::DataFile;
use crate::lower;
use crate::maintain::{self, MaintainError};
use crate::needles;
use crate::place::Tier;
use crate::schema;
use crate::search::query_error;
use crate::table::{CommitError, Lake, ReadError};

/// How long some events are kept.
#[derive(Clone, Debug)]
pub struct RetentionRule {
    /// Sources, with `*` and `?`; all, if none is named.
    pub source: Option<TextPattern>,
    /// OCSF class; all, if none is named.
    pub class_uid: Option<i32>,
    /// Days after receipt.
    pub days: u32,
}

/// Events that nothing deletes.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Which.
    pub query: Query,
    /// From this event time (inclusive).
    pub from: Option<Timestamp>,
    /// To this event time (exclusive).
    pub to: Option<Timestamp>,
}

/// What is kept for how long.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The first that fits an event counts.
    pub rules: Vec<RetentionRule>,
    /// Days after receipt for events that no rule fits; for ever, if not set.
    pub default_days: Option<u32>,
    /// Days after the event day until files go to the cold table.
    pub cold_after_days: Option<u32>,
    /// What is held.
    pub holds: Vec<Hold>,
}

/// What keeping to a policy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Events whose time was over.
    pub expired: u64,
    /// Events whose time was over, and that are held.
    pub held: u64,
    /// Files that were moved to the cold table.
    pub moved: u64,
}

/// What a deletion did, or would do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Events that were deleted.
    pub events: u64,
    /// Events that the query finds, and that are held.
    pub held: u64,
    /// Files that were written anew without them, or taken out.
    pub files: u64,
}

impl Lake {
    /// Deletes what is over its time, and moves what is cold. A file is written anew only when it
    /// holds something to delete.
    ///
    /// # Errors
    /// If files cannot be read or written; what was done until then stays done.
    pub async fn keep(&self, policy: &Policy, now: Timestamp) -> Result<Kept, MaintainError> {
        let _maintainer = self.maintainer.lock().await;
        let mut kept = Kept::default();
        if let Some(over) = over(policy, now) {
            let dropped = self.drop_rows(&over, &policy.holds, false).await?;
            (kept.expired, kept.held) = (dropped.events, dropped.held);
        }
        if let (Some(cold), Some(days)) = (self.cold, policy.cold_after_days) {
            let last = day_before(now, days);
            for file in self.all_files().iter() {
                if file.tier != cold && file.day < last {
                    self.move_to(cold, file).await?;
                    kept.moved += 1;
                }
            }
        }
        // What earlier rounds replaced is off the disk an hour later.
        self.remove_old().await?;
        Ok(kept)
    }

    /// Deletes the events that a query finds, for good: files are written anew without them, and
    /// the former files go from the store after the grace, which lets running queries end. What
    /// waits to become files must be committed before.
    ///
    /// # Errors
    /// If files cannot be read, written or deleted.
    pub async fn erase(
        &self,
        query: &Query,
        holds: &[Hold],
        grace: Duration,
    ) -> Result<Erased, MaintainError> {
        let _maintainer = self.maintainer.lock().await;
        self.all_readable()?;
        let erased = self.drop_rows(&lower::query(query), holds, false).await?;
        tokio::time::sleep(grace).await;
        // Files that compaction replaced before hold the same events.
        self.remove_unlisted().await?;
        Ok(erased)
    }

    /// What [`Lake::erase`] would delete.
    ///
    /// # Errors
    /// If files cannot be read.
    pub async fn would_erase(
        &self,
        query: &Query,
        holds: &[Hold],
    ) -> Result<Erased, MaintainError> {
        self.all_readable()?;
        self.drop_rows(&lower::query(query), holds, true).await
    }

    /// Files that queries pass over would keep what is to be deleted.
    fn all_readable(&self) -> Result<(), MaintainError> {
        match self.broken().len() {
            0 => Ok(()),
            files => Err(MaintainError::Unread(files)),
        }
    }

    async fn drop_rows(
        &self,
        what: &Expr,
        holds: &[Hold],
        is_rehearsal: bool,
    ) -> Result<Erased, MaintainError> {
        let held = holds.iter().map(Hold::expr).reduce(Expr::or);
        let held = held.unwrap_or_else(|| lit(false));
        let mut done = Erased::default();
        for file in self.snapshot().files() {
            let (found, found_held) = self.count_in(file, what, &held).await?;
            let dropped = found - found_held;
            done.held += found_held;
            if dropped == 0 {
                continue;
            }
            done.events += dropped;
            done.files += 1;
            if !is_rehearsal {
                let stays = not(what.clone()).or(held.clone());
                let is_whole = dropped == file.extent.rows;
                self.rewrite(file, (!is_whole).then_some(stays)).await?;
            }
        }
        Ok(done)
    }

    /// How many rows of a file are meant, and how many of them are held.
    async fn count_in(
        &self,
        file: &DataFile,
        what: &Expr,
        held: &Expr,
    ) -> Result<(u64, u64), ReadError> {
        let is_held = when(held.clone(), lit(1_i64)).otherwise(lit(0_i64));
        let is_held = is_held.map_err(query_error)?;
        let counted = self
            .frame_of(file)?
            .filter(what.clone())
            .and_then(|rows| rows.aggregate(vec![], vec![count(lit(1_i64)), sum(is_held)]))
            .map_err(query_error)?
            .collect()
            .await
            .map_err(query_error)?;
        let value = |column: usize| {
            let batch = counted.iter().find(|batch| batch.num_rows() > 0)?;
            let values = batch.column(column).as_primitive_opt::<Int64Type>()?;
            values.iter().next().flatten()
        };
        let value = |column| value(column).unwrap_or(0).unsigned_abs();
        Ok((value(0), value(1)))
    }

    fn frame_of(&self, file: &DataFile) -> Result<datafusion::prelude::DataFrame, ReadError> {
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, self.runtime.clone());
        let provider = self.snapshot().only(vec![file.clone()]);
        let frame = context.read_table(std::sync::Arc::new(provider));
        frame.map_err(query_error)
    }

    /// Puts the rows that stay in the place of a file; none may.
    async fn rewrite(&self, file: &DataFile, stays: Option<Expr>) -> Result<(), MaintainError> {
        let mut remove = maintain::removal(file);
        remove.data_change = true;
        let mut actions = vec![Action::Remove(remove)];
        if let Some(stays) = stays {
            let left = self.rows_that_stay(file, stays).await?;
            let name = format!("kept-{}", left_key(&left));
            let tier = self.tier_of(file);
            actions.push(Action::Add(tier.write_file(&name, left, true).await?));
        }
        let operation = DeltaOperation::Delete { predicate: None };
        Ok(self.change(file.tier, actions, operation).await?)
    }

    async fn rows_that_stay(&self, file: &DataFile, stays: Expr) -> Result<DayFile, MaintainError> {
        let mut rows = self
            .frame_of(file)?
            .filter(stays)
            .and_then(|rows| rows.drop_columns(&[schema::DAY]))
            .map_err(query_error)?
            .execute_stream()
            .await
            .map_err(query_error)?;
        let day: Date = file.day.parse().unwrap_or(Date::ZERO);
        let columns = std::sync::Arc::new(maintain::plain(&rows.schema()));
        let mut writer = DayWriter::new(day, columns.clone()).map_err(CommitError::Encode)?;
        while let Some(batch) = rows.next().await {
            let batch = maintain::with_columns(&batch.map_err(query_error)?, &columns);
            let batch = batch.map_err(ReadError::Rows)?;
            writer.write(&batch).map_err(CommitError::Encode)?;
        }
        Ok(writer.finish().map_err(CommitError::Encode)?)
    }

    /// Moves a file to another table. Between the two entries it stands in both, and is read once.
    async fn move_to(&self, tier: usize, file: &DataFile) -> Result<(), MaintainError> {
        let from = self.tier_of(file);
        let to = &self.tiers[tier];
        let filter = needles::path_beside(&file.path);
        for path in [&filter, &file.path] {
            copy(from, to, path).await?;
        }
        let add = Action::Add(file.to_add());
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![schema::DAY.to_owned()]),
            predicate: None,
        };
        self.change(tier, vec![add], operation).await?;
        let operation = DeltaOperation::Delete { predicate: None };
        let moved = std::slice::from_ref(file);
        Ok(self.take_out(file.tier, moved, operation).await?)
    }
}

/// Copies a file between stores; a filter that is missing makes searches slower and no more.
async fn copy(
    from: &Tier,
    to: &Tier,
    path: &object_store::path::Path,
) -> Result<(), MaintainError> {
    let read_error = |error: object_store::Error| query_error(error.into());
    let found = match from.store.get(path).await {
        Err(object_store::Error::NotFound { .. }) if needles::data_file_of(path).is_some() => {
            return Ok(());
        }
        found => found.map_err(read_error)?,
    };
    let bytes = found.bytes().await.map_err(read_error)?;
    Ok(to.put(path, bytes.to_vec()).await?)
}

impl Hold {
    fn expr(&self) -> Expr {
        let from = self.from.map(|from| col(schema::TIME).gt_eq(instant(from)));
        let to = self.to.map(|to| col(schema::TIME).lt(instant(to)));
        let times = from.into_iter().chain(to);
        times.fold(lower::query(&self.query), Expr::and)
    }
}

/// Which events are over their time; none, if all are kept for ever.
fn over(policy: &Policy, now: Timestamp) -> Option<Expr> {
    let is_older = |days: u32| {
        let cut = now.saturating_sub(SignedDuration::from_hours(24 * i64::from(days)));
        col("received_at").lt(instant(cut.unwrap_or(Timestamp::MIN)))
    };
    let mut over = Vec::new();
    let mut before: Option<Expr> = None;
    for rule in &policy.rules {
        let fits = rule.expr();
        let is_first = match &before {
            Some(before) => fits.clone().and(not(before.clone())),
            None => fits.clone(),
        };
        over.push(is_first.and(is_older(rule.days)));
        before = Some(before.map_or(fits.clone(), |before| before.or(fits)));
    }
    if let Some(days) = policy.default_days {
        let is_left = before.map_or_else(|| lit(true), not);
        over.push(is_left.and(is_older(days)));
    }
    over.into_iter().reduce(Expr::or)
}

impl Policy {
    /// For how many days events of a source and class are kept; none for ever.
    pub fn days_of(&self, source: &str, class_uid: i32) -> Option<u32> {
        let rule = self.rules.iter().find(|rule| rule.fits(source, class_uid));
        rule.map(|rule| rule.days).or(self.default_days)
    }
}

impl RetentionRule {
    fn fits(&self, source: &str, class_uid: i32) -> bool {
        let is_source = match &self.source {
            None => true,
            Some(TextPattern::Exact(name)) => name.eq_ignore_ascii_case(source),
            Some(TextPattern::Wildcard(pattern)) => {
                let pattern = regex::escape(pattern)
                    .replace("\\*", ".*")
                    .replace("\\?", ".");
                let pattern = regex::Regex::new(&format!("(?is)^{pattern}$"));
                pattern.is_ok_and(|pattern| pattern.is_match(source))
            }
        };
        is_source && self.class_uid.is_none_or(|class| class == class_uid)
    }

    fn expr(&self) -> Expr {
        let source = self.source.as_ref();
        let source = source.map(lower::source);
        let class = self
            .class_uid
            .map(|class| col(schema::CLASS).eq(lit(class)));
        let both = source.into_iter().chain(class).reduce(Expr::and);
        both.unwrap_or_else(|| lit(true))
    }
}

fn instant(time: Timestamp) -> Expr {
    let micros = time.as_microsecond();
    lit(ScalarValue::TimestampMicrosecond(
        Some(micros),
        Some("UTC".into()),
    ))
}

fn day_before(now: Timestamp, days: u32) -> String {
    let hours = SignedDuration::from_hours(24 * i64::from(days));
    let then = now.saturating_sub(hours).unwrap_or(Timestamp::MIN);
    crate::snapshot::day_of(then.as_microsecond())
}

/// A name that no other file has: positions are the file's alone, and rows only get fewer.
fn left_key(file: &DayFile) -> String {
    let (first, last) = file.extent.position;
    format!("{first:020}-{last:020}-{}", file.extent.rows)
}
