//! What the lake takes, and its keeper.

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use watchfloor_model::LegalHold;

use super::SearchError;

/// One of the lake's tables.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StorageTier {
    /// `hot` is written to, `cold` takes what is old, `former` was written to before.
    pub role: String,
    /// Folder or URL.
    pub place: String,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the needle filters beside them.
    pub filter_bytes: u64,
}

/// What some events take.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StorageShare {
    /// Of what: a day (UTC), a source or a class.
    pub name: String,
    /// Events and findings.
    pub rows: u64,
    /// Bytes of data files.
    pub bytes: u64,
    /// Bytes of the raw records.
    pub raw_bytes: u64,
    /// Bytes of data files a day, over the last seven whole days that have any.
    pub bytes_per_day: u64,
}

/// What the lake takes and how it grows.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct StorageUsage {
    /// Events and findings in files.
    pub rows: u64,
    /// Bytes of data files and filters.
    pub bytes: u64,
    /// Bytes of the raw records that they hold.
    pub raw_bytes: u64,
    /// Tables; the first is written to.
    pub tiers: Vec<StorageTier>,
    /// By day of event time, oldest first, the last 400 that have any.
    pub days: Vec<StorageShare>,
    /// By source, largest first.
    pub sources: Vec<StorageShare>,
    /// By OCSF class, largest first.
    pub classes: Vec<StorageShare>,
    /// Bytes a day, over the last seven whole days that have any.
    pub bytes_per_day: u64,
    /// Bytes free where new files are written; unknown for buckets.
    #[schema(required)]
    pub free_bytes: Option<u64>,
    /// Days until that is full if growth and retention stay; none if it never will be.
    #[schema(required)]
    pub full_in_days: Option<u64>,
    /// What the lake will take once retention deletes as much as arrives; none if events are kept
    /// for ever.
    #[schema(required)]
    pub steady_bytes: Option<u64>,
    /// Files that do not say what they hold.
    pub unknown_files: u64,
    /// What a GB costs in a month, if the configuration says so.
    #[schema(required)]
    pub price_per_gb_month: Option<f64>,
    /// When the keeper last went through the lake.
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub kept_at: Option<Timestamp>,
    /// Events that it has deleted since the server started.
    pub expired: u64,
    /// Events over their time that a hold kept, at its last round.
    pub held: u64,
    /// Why its last round failed.
    #[schema(required)]
    pub keeper_error: Option<String>,
}

/// What a deletion does.
#[derive(Clone, Copy, Debug, Default, Serialize, ToSchema)]
pub struct ErasureCount {
    /// Events.
    pub events: u64,
    /// Events that a legal hold keeps.
    pub held: u64,
    /// Files that hold them.
    pub files: u64,
}

/// Keeps the lake. Implemented over it.
pub trait LakeKeeper: Send + Sync {
    /// What the lake takes.
    fn usage(&self) -> BoxFuture<'_, Result<StorageUsage, SearchError>>;

    /// Whether a text is a search that a hold or deletion can be made of.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] with the place.
    fn check(&self, query: &str) -> Result<(), SearchError>;

    /// What a deletion would do.
    fn would_erase(
        &self,
        query: String,
        holds: Vec<LegalHold>,
    ) -> BoxFuture<'_, Result<ErasureCount, SearchError>>;

    /// Deletes what a search finds, but not what is held.
    fn erase(
        &self,
        query: String,
        holds: Vec<LegalHold>,
    ) -> BoxFuture<'static, Result<ErasureCount, SearchError>>;

    /// Goes through the lake soon: what is kept changed.
    fn wake(&self);
}
