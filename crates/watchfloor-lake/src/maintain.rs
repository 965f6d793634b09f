//! Keeping the table in shape: small files of a day become large ones, and files that no
//! version needs go.

use std::num::NonZeroU64;

use deltalake::DeltaTableError;
use deltalake::operations::optimize::OptimizeType;

use crate::table::{CommitError, Lake};

/// Files that make compaction worth its while.
const MIN_FILES: usize = 32;
/// Size of compacted files in bytes.
const TARGET_BYTES: u64 = 128 << 20;
/// How long replaced files stay for readers of older versions, in hours.
const KEPT_HOURS: i64 = 1;

/// What maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Small files that were replaced.
    pub replaced: u64,
    /// Large files that replace them.
    pub written: u64,
    /// Old files that were deleted.
    pub deleted: u64,
}

impl Lake {
    /// Compacts if there are enough small files. Appends go on meanwhile: they and a
    /// compaction do not touch the same files, so whoever comes second to the log is put
    /// after the other.
    ///
    /// # Errors
    /// If the table refuses; it stays as it was.
    pub async fn maintain(&self) -> Result<Maintained, CommitError> {
        let table = self.table();
        let small = table
            .snapshot()
            .map_err(log_error)?
            .log_data()
            .iter()
            .filter(|file| file.size().unsigned_abs() < TARGET_BYTES / 4)
            .count();
        if small < MIN_FILES {
            return Ok(Maintained::default());
        }
        let target = NonZeroU64::new(TARGET_BYTES).unwrap_or(NonZeroU64::MIN);
        let (table, compacted) = table
            .optimize()
            .with_type(OptimizeType::Compact)
            .with_target_size(target)
            .with_max_concurrent_tasks(1)
            .await
            .map_err(log_error)?;
        let (_, vacuumed) = table
            .vacuum()
            .with_retention_period(chrono::Duration::hours(KEPT_HOURS))
            .with_enforce_retention_duration(false)
            .await
            .map_err(log_error)?;
        self.refresh().await.map_err(log_error)?;
        Ok(Maintained {
            replaced: compacted.num_files_removed,
            written: compacted.num_files_added,
            deleted: vacuumed.files_deleted.len() as u64,
        })
    }
}

impl Lake {
    /// Takes up what the log holds now.
    async fn refresh(&self) -> Result<(), DeltaTableError> {
        let _writer = self.writer.lock().await;
        let mut table = self.table();
        table.update_state().await?;
        self.set_table(table)
    }
}

fn log_error(error: DeltaTableError) -> CommitError {
    CommitError::Log(Box::new(error))
}
