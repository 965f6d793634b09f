//! What events are enriched from and where they are forwarded to, as the API shows it.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A file that events are enriched from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EnrichmentFile {
    /// What it holds: `geoip`, `assets`, `identities` or `leases`.
    pub kind: String,
    /// Where it was read.
    pub path: String,
    /// Entries; `null` where they are not counted.
    #[schema(required)]
    pub entries: Option<u64>,
    /// What could not be read of it, with places and mends.
    pub troubles: Vec<String>,
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub loaded_at: Timestamp,
}

/// A mapping pack in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MappingPack {
    /// Its name, by which a source names its product.
    pub name: String,
    /// The product, for people.
    pub title: String,
    /// Versions of the product that it follows.
    pub versions: String,
}

/// The mapping packs.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct MappingPacks {
    /// Those in force.
    pub packs: Vec<MappingPack>,
    /// Why the packs as their files are now are not in force; `null` if they are.
    #[schema(required)]
    pub held_back: Option<String>,
}

/// A system that copies of records are sent to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ForwardState {
    /// Its name in the configuration.
    pub name: String,
    /// What and where it is, without credentials.
    pub target: String,
    /// Copies that it has taken since the server started.
    pub sent: u64,
    /// Copies that were left out since then.
    pub dropped: u64,
    /// Bytes that wait.
    pub pending_bytes: u64,
    /// Why it takes nothing at present, with the mend.
    #[schema(required)]
    pub trouble: Option<String>,
}
