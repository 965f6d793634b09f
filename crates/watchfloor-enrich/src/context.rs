//! What is known beside the events: a snapshot, made anew when its files change.

use crate::{GeoBase, Leases, Table};

/// Something of a context that could not be read, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFault {
    /// The file.
    pub path: String,
    /// What is wrong, where, and how to mend it.
    pub reason: String,
}

/// A snapshot of everything that events are enriched from.
#[derive(Debug, Default)]
pub struct Context {
    /// Address data bases; each adds what the ones before it do not know.
    pub geo: Vec<GeoBase>,
    /// Tables of assets, in order of precedence.
    pub assets: Vec<Table>,
    /// Tables of identities, in order of precedence.
    pub identities: Vec<Table>,
    /// Leases from files of DHCP servers.
    pub leases: Leases,
}

impl Context {
    /// Whether it knows nothing at all.
    pub fn is_empty(&self) -> bool {
        self.geo.is_empty()
            && self.assets.is_empty()
            && self.identities.is_empty()
            && self.leases.is_empty()
    }
}
