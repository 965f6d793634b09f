//! Context for events, from snapshots that are given to it: what is known of an address, a host
//! or an account when the event happens. Nothing is changed that the source said; what is added
//! says where it came from.
//!
//! Start at [`Enricher`].

mod address;
mod context;
mod delimited;
mod directory;
mod enricher;
mod geo;
mod lease_files;
mod leases;
mod nat;
mod note;
mod table;

pub use context::{Context, SourceFault};
pub use enricher::Enricher;
pub use geo::{GeoBase, GeoError};
pub use lease_files::read_leases;
pub use leases::{Lease, Leases};
pub use nat::{Translation, Translations};
pub use note::{Note, NoteKind, Notes, apply_stored};
pub use table::{Table, TableError, TableKind};
