//! The record of who changed what, chained by hashes so that tampering shows.

use jiff::Timestamp;

/// Hash before the first entry: 64 zeros.
pub const GENESIS_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Place in the tenant's chain, from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, as `noun.verb`.
    pub action: String,
    /// To what: an id.
    pub target: String,
    /// In words.
    pub detail: String,
    /// Hash of the entry before.
    pub previous_hash: String,
    /// Hash of this entry.
    pub hash: String,
}

impl AuditEntry {
    /// The text whose SHA-256 is the entry's hash. Each part is led by its length, so that no
    /// two entries share a text.
    pub fn canonical_text(&self, tenant: &str) -> String {
        let at = self.at.as_microsecond().to_string();
        let seq = self.seq.to_string();
        [
            tenant,
            &seq,
            &at,
            &self.actor,
            &self.action,
            &self.target,
            &self.detail,
            &self.previous_hash,
        ]
        .iter()
        .map(|part| format!("{}:{part}\n", part.len()))
        .collect()
    }
}
