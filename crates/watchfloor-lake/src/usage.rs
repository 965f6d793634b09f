//! What the lake takes, and for which sources: each data file says so in its own footer, so that
//! nothing is counted anew but what is new.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::{DataType, Int32Type};
use arrow::error::ArrowError;
use futures::{StreamExt, TryStreamExt, stream};
use hashbrown::HashMap;
use object_store::ObjectStore;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use serde::{Deserialize, Serialize};

use crate::files::DataFile;
use crate::schema;
use crate::search::query_error;
use crate::table::{Lake, ReadError};

/// Name in the footer of data files.
const KEY: &str = "watchfloor.usage";
/// Name in the footer of how many rows are findings of ours.
const FINDINGS_KEY: &str = "watchfloor.findings";
/// Footers read at the same time.
const FILES_AT_ONCE: usize = 16;

/// What events of one source and class take in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
    source: String,
    class_uid: i32,
    rows: u64,
    /// Bytes of the raw records.
    raw_bytes: u64,
}

/// Counts rows by source and class while a file is written.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    shares: HashMap<(String, i32), (u64, u64)>,
    findings: u64,
}

impl Tally {
    /// Takes rows with a data file's columns.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let column = |name: &str, kind: &DataType| -> Result<ArrayRef, ArrowError> {
            cast(batch.column(batch.schema().index_of(name)?), kind)
        };
        let sources = column("source", &DataType::Utf8)?;
        let classes = column(schema::CLASS, &DataType::Int32)?;
        let raw = column(schema::RAW, &DataType::Utf8)?;
        let kinds = column(schema::KIND, &DataType::Utf8)?;
        let are_findings = eq(&kinds, &StringArray::new_scalar(schema::FINDING))?;
        self.findings += are_findings.true_count() as u64;
        let (sources, classes) = (
            sources.as_string::<i32>(),
            classes.as_primitive::<Int32Type>(),
        );
        let lengths = raw.as_string::<i32>().offsets().lengths();
        // Rows of a kind stand together, so the last place is nearly always the right one.
        let mut at: Option<(&str, i32, (u64, u64))> = None;
        for (row, length) in lengths.enumerate() {
            let (source, class) = (sources.value(row), classes.value(row));
            match &mut at {
                Some((one, uid, share)) if *one == source && *uid == class => {
                    share.0 += 1;
                    share.1 += length as u64;
                }
                other => {
                    if let Some((source, class, share)) = other.take() {
                        self.count(source, class, share);
                    }
                    *other = Some((source, class, (1, length as u64)));
                }
            }
        }
        if let Some((source, class, share)) = at {
            self.count(source, class, share);
        }
        Ok(())
    }

    fn count(&mut self, source: &str, class_uid: i32, (rows, raw_bytes): (u64, u64)) {
        let share = self
            .shares
            .entry((source.to_owned(), class_uid))
            .or_default();
        share.0 += rows;
        share.1 += raw_bytes;
    }

    /// Whether any row was a finding of ours.
    pub(crate) fn holds_findings(&self) -> bool {
        self.findings > 0
    }

    /// The footer's entries.
    pub(crate) fn finish(self) -> [KeyValue; 2] {
        let mut shares: Vec<Share> = self
            .shares
            .into_iter()
            .map(|((source, class_uid), (rows, raw_bytes))| Share {
                source,
                class_uid,
                rows,
                raw_bytes,
            })
            .collect();
        shares.sort_by(|left, right| {
            (&left.source, left.class_uid).cmp(&(&right.source, right.class_uid))
        });
        let text = serde_json::to_string(&shares).unwrap_or_default();
        [
            KeyValue::new(KEY.to_owned(), text),
            KeyValue::new(FINDINGS_KEY.to_owned(), self.findings.to_string()),
        ]
    }
}

/// What some events take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Events and findings.
    pub rows: u64,
    /// Bytes of data files; where one file holds several sources, by their raw bytes.
    pub bytes: u64,
    /// Bytes of the raw records.
    pub raw_bytes: u64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.raw_bytes += other.raw_bytes;
    }
}

/// What one of the lake's tables takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierUsage {
    /// Where it stands.
    pub place: String,
    /// Whether old events are moved to it.
    pub is_cold: bool,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the needle filters beside them.
    pub filter_bytes: u64,
}

/// What the lake takes: files only, without the events of the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// By table; the first is written to.
    pub tiers: Vec<TierUsage>,
    /// By day of event time (UTC), as `2026-11-25`.
    pub days: BTreeMap<String, Amount>,
    /// By source.
    pub sources: BTreeMap<String, Amount>,
    /// By OCSF class.
    pub classes: BTreeMap<i32, Amount>,
    /// By source and day of event time.
    pub source_days: BTreeMap<(String, String), Amount>,
    /// By source and class.
    pub source_classes: BTreeMap<(String, i32), Amount>,
    /// Files that do not say what they hold, such as those that other programs wrote; they are
    /// counted by day alone.
    pub unknown_files: u64,
}

impl Lake {
    /// What the lake takes, by table, day, source and class.
    ///
    /// # Errors
    /// If a store cannot be listed.
    pub async fn usage(&self) -> Result<Usage, ReadError> {
        let files = self.all_files();
        let reads: Vec<_> = files.iter().map(|file| self.shares(file)).collect();
        let shares: Vec<Option<Vec<Share>>> =
            stream::iter(reads).buffered(FILES_AT_ONCE).collect().await;
        let mut usage = Usage {
            tiers: self.tier_usage().await?,
            ..Usage::default()
        };
        for (file, shares) in files.iter().zip(shares) {
            let tier = &mut usage.tiers[file.tier];
            tier.files += 1;
            tier.bytes += file.bytes;
            usage.add(file, shares);
        }
        Ok(usage)
    }

    async fn tier_usage(&self) -> Result<Vec<TierUsage>, ReadError> {
        let mut tiers = Vec::new();
        for (index, tier) in self.tiers.iter().enumerate() {
            let filters = tier.store.list(Some(&"_needles".into()));
            let bytes = filters.try_fold(0, |sum, file| async move { Ok(sum + file.size) });
            let filter_bytes = bytes.await.map_err(|error| query_error(error.into()))?;
            tiers.push(TierUsage {
                place: tier.place.to_string(),
                is_cold: self.cold == Some(index),
                files: 0,
                bytes: 0,
                filter_bytes,
            });
        }
        Ok(tiers)
    }

    /// What a file's footer says; none if it cannot be read or says nothing.
    async fn shares(&self, file: &DataFile) -> Option<Vec<Share>> {
        let footers = self.runtime.cache_manager.get_file_metadata_cache();
        let footer = file.footer(&self.tier_of(file).store, &footers).await;
        of_footer(&*footer.ok()?)
    }
}

fn of_footer(footer: &ParquetMetaData) -> Option<Vec<Share>> {
    serde_json::from_str(entry(footer, KEY)?).ok()
}

/// How many rows of a file are findings of ours, if it says so.
pub(crate) fn findings(footer: &ParquetMetaData) -> Option<u64> {
    entry(footer, FINDINGS_KEY)?.parse().ok()
}

fn entry<'a>(footer: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let entries = footer.file_metadata().key_value_metadata()?;
    let entry = entries.iter().find(|entry| entry.key == key)?;
    entry.value.as_deref()
}

impl Usage {
    fn add(&mut self, file: &DataFile, shares: Option<Vec<Share>>) {
        let Some(shares) = shares else {
            self.unknown_files += 1;
            let amount = Amount {
                rows: file.extent.rows,
                bytes: file.bytes,
                raw_bytes: 0,
            };
            self.days.entry(file.day.clone()).or_default().add(amount);
            return;
        };
        let raw: u64 = shares.iter().map(|share| share.raw_bytes).sum();
        for share in shares {
            let part = u128::from(file.bytes) * u128::from(share.raw_bytes);
            let amount = Amount {
                rows: share.rows,
                bytes: (part / u128::from(raw.max(1))) as u64,
                raw_bytes: share.raw_bytes,
            };
            self.days.entry(file.day.clone()).or_default().add(amount);
            self.classes.entry(share.class_uid).or_default().add(amount);
            let of_day = (share.source.clone(), file.day.clone());
            self.source_days.entry(of_day).or_default().add(amount);
            let of_class = (share.source.clone(), share.class_uid);
            self.source_classes.entry(of_class).or_default().add(amount);
            self.sources.entry(share.source).or_default().add(amount);
        }
    }

    /// Data and filters of all tables.
    pub fn bytes(&self) -> u64 {
        let tiers = self.tiers.iter();
        tiers.map(|tier| tier.bytes + tier.filter_bytes).sum()
    }
}
