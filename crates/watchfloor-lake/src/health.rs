//! Damage: a file that is gone or cannot be read is named, and the rest answers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::error::DataFusionError;
use deltalake::kernel::Action;
use deltalake::protocol::DeltaOperation;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::files::DataFile;
use crate::maintain::{self, MaintainError};
use crate::needles::{self, Builder};
use crate::table::{CommitError, Lake, ReadError};

/// How long a query that failed looks for the file that is to blame.
const SEARCH_LIMIT: Duration = Duration::from_secs(20);
/// Where damaged files are put aside, below the lake; engines pass over it.
pub(crate) const DAMAGED: &str = "_damaged";

/// A file that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Below the lake's folder.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// Rows that cannot be read; none if it is a filter, which only makes searches faster.
    pub rows: u64,
    /// Day of these rows.
    pub day: String,
    /// What `repair` did about it; nothing yet, if it was only looked for.
    pub repair: Option<String>,
}

/// How closely a file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Whether it is there, as long as the log says, and has an end that can be read.
    AtEnds,
    /// Each byte.
    Whole,
}

impl Lake {
    /// Looks at every byte of every file and filter.
    ///
    /// # Errors
    /// If the store cannot be reached.
    pub async fn verify(&self) -> Result<Vec<Damage>, ReadError> {
        let mut damages = Vec::new();
        for file in self.all_files().iter() {
            let store = self.tier_of(file).store.as_ref();
            let found = self.damage(store, file, Look::Whole).await;
            if let Some(reason) = found.map_err(store_error)? {
                let rows = file.extent.rows;
                damages.push(damage(file, file.path.to_string(), reason, rows));
                continue;
            }
            let filter = needles::path_beside(&file.path);
            let found = filter_damage(store, file, &filter).await;
            if let Some(reason) = found.map_err(store_error)? {
                damages.push(damage(file, filter.to_string(), reason, 0));
            }
        }
        Ok(damages)
    }

    /// Makes damaged filters anew, and takes data files that cannot be read out of the table:
    /// they are put aside, not deleted. The lake must not be in use.
    ///
    /// # Errors
    /// If files cannot be read, moved or written, or the log refuses.
    pub async fn repair(&self) -> Result<Vec<Damage>, MaintainError> {
        let files: BTreeMap<String, DataFile> = self
            .all_files()
            .iter()
            .map(|file| (file.path.to_string(), file.clone()))
            .collect();
        let mut damages = self.verify().await?;
        let mut lost = Vec::new();
        for damage in &mut damages {
            if let Some(file) = files.get(&damage.path) {
                lost.push(file.clone());
                damage.repair = Some(self.put_aside(file).await?);
                continue;
            }
            let of = |file: &&DataFile| needles::path_beside(&file.path).as_ref() == damage.path;
            if let Some(file) = files.values().find(of) {
                self.make_filter(file).await?;
                damage.repair = Some("made anew from its data file".to_owned());
            }
        }
        for tier in 0..self.tiers.len() {
            let of_tier = lost.iter().filter(|file| file.tier == tier);
            let of_tier: Vec<DataFile> = of_tier.cloned().collect();
            if !of_tier.is_empty() {
                self.take_out(tier, &of_tier, DeltaOperation::FileSystemCheck {})
                    .await?;
            }
        }
        Ok(damages)
    }

    /// Files that a search of a span of event time passes over since they cannot be read.
    pub fn unread(&self, from: Timestamp, to: Timestamp) -> Vec<String> {
        let (from, to) = (from.as_microsecond(), to.as_microsecond());
        let is_asked =
            |file: &&DataFile| file.extent.time_us.1 >= from && file.extent.time_us.0 < to;
        let broken = self.broken();
        let files = self.all_files();
        let files = files.iter().filter(|file| broken.contains_key(&file.path));
        files
            .filter(is_asked)
            .map(|file| file.path.to_string())
            .collect()
    }

    /// Looks for files that cannot be read, after a query failed; whether there are new ones. They
    /// are named and passed over from then on, so that the query may be run once more.
    pub(crate) async fn note_broken(&self, error: &ReadError) -> bool {
        if !error.is_of_files() {
            return false;
        }
        let start = Instant::now();
        let known = self.broken();
        let mut found = BTreeMap::new();
        for look in [Look::AtEnds, Look::Whole] {
            for file in self.all_files().iter().rev() {
                if known.contains_key(&file.path) || start.elapsed() > SEARCH_LIMIT {
                    continue;
                }
                // A store that does not answer is no damage.
                let store = self.tier_of(file).store.as_ref();
                if let Ok(Some(reason)) = self.damage(store, file, look).await {
                    tracing::error!(path = %file.path, reason, rows = file.extent.rows,
                        "a file of the lake cannot be read and is passed over; stop the server and run watchfloor lake repair");
                    found.insert(file.path.clone(), reason);
                }
            }
            if !found.is_empty() {
                break;
            }
        }
        let is_new = !found.is_empty();
        self.set_broken(found);
        is_new
    }

    /// What is wrong with a data file; an error if the store does not answer.
    async fn damage(
        &self,
        store: &dyn ObjectStore,
        file: &DataFile,
        look: Look,
    ) -> Result<Option<String>, object_store::Error> {
        match store.head(&file.path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(Some("is missing".to_owned())),
            Err(error) => return Err(error),
            Ok(found) if found.size != file.bytes => {
                let (is, was) = (found.size, file.bytes);
                let reason = format!("has {is} bytes, but was written with {was}");
                return Ok(Some(reason));
            }
            Ok(_) => {}
        }
        let start = match look {
            Look::AtEnds => file.bytes.saturating_sub(8),
            Look::Whole => 0,
        };
        let bytes = store.get_range(&file.path, start..file.bytes).await?;
        if !bytes.ends_with(b"PAR1") {
            return Ok(Some("does not end as a Parquet file".to_owned()));
        }
        if look == Look::AtEnds {
            return Ok(None);
        }
        let filter = needles::path_beside(&file.path);
        Ok(match self.needles().data_crc(store, &filter).await {
            Some(crc) if crc == crc32fast::hash(&bytes) => None,
            Some(_) => Some("is not as it was written: its checksum differs".to_owned()),
            None => read_whole(bytes, file.extent.rows).err(),
        })
    }

    async fn put_aside(&self, file: &DataFile) -> Result<String, CommitError> {
        let tier = self.tier_of(file);
        let to = Path::from(format!("{DAMAGED}/{}", file.path));
        match tier.store.rename(&file.path, &to).await {
            Ok(()) => Ok(format!("taken out of the table and put aside as {to}")),
            Err(object_store::Error::NotFound { .. }) => Ok("taken out of the table".to_owned()),
            Err(error) => Err(tier.write_error(&to, error)),
        }
    }

    /// Takes files out of a table's log; they stay where they are.
    pub(crate) async fn take_out(
        &self,
        tier: usize,
        files: &[DataFile],
        operation: DeltaOperation,
    ) -> Result<(), CommitError> {
        let removals = files.iter().map(|file| {
            let mut removal = maintain::removal(file);
            removal.data_change = true;
            Action::Remove(removal)
        });
        self.change(tier, removals.collect(), operation).await
    }

    async fn make_filter(&self, file: &DataFile) -> Result<(), MaintainError> {
        let tier = self.tier_of(file);
        let data = tier.store.get(&file.path).await.map_err(store_error)?;
        let bytes = data.bytes().await.map_err(store_error)?;
        let crc = crc32fast::hash(&bytes);
        let mut builder = Builder::default();
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(CommitError::Encode)?;
        for batch in reader {
            builder
                .add(&batch.map_err(ReadError::Rows)?)
                .map_err(ReadError::Rows)?;
        }
        let path = needles::path_beside(&file.path);
        tier.put(&path, builder.finish(crc)).await?;
        self.needles().forget();
        Ok(())
    }
}

fn store_error(error: object_store::Error) -> ReadError {
    ReadError::Query(Box::new(DataFusionError::ObjectStore(Box::new(error))))
}

/// What is wrong with the filter of a data file; an error if the store does not answer.
async fn filter_damage(
    store: &dyn ObjectStore,
    file: &DataFile,
    filter: &Path,
) -> Result<Option<String>, object_store::Error> {
    match store.get(filter).await {
        Err(object_store::Error::NotFound { .. }) => Ok(Some("is missing".to_owned())),
        Err(error) => Err(error),
        Ok(found) => {
            let is_right = needles::is_whole(&found.bytes().await?, file.extent.rows);
            Ok((!is_right).then(|| "is not as it was written".to_owned()))
        }
    }
}

fn damage(file: &DataFile, path: String, reason: String, rows: u64) -> Damage {
    Damage {
        path,
        reason,
        rows,
        day: file.day.clone(),
        repair: None,
    }
}

/// Decodes a file that has no checksum.
fn read_whole(bytes: Bytes, rows: u64) -> Result<(), String> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| error.to_string())?;
    let mut found = 0;
    for batch in reader {
        found += batch.map_err(|error| error.to_string())?.num_rows() as u64;
    }
    match found == rows || rows == 0 {
        true => Ok(()),
        false => Err(format!("has {found} rows, but was written with {rows}")),
    }
}
