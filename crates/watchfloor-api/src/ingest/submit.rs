//! Records out of an envelope on their way to the journal, with what became of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use watchfloor_decode::envelope::Enveloped;

use super::{LINE_BYTES_MAX, Labels, SOURCE_BYTES_MAX};
use crate::ports::{Format, IngestItem, ItemOutcome};
use crate::problem::ApiError;
use crate::state::ApiState;

/// What became of the records of a request.
#[derive(Debug, Default)]
pub(super) struct Submitted {
    /// Records that are durable.
    pub accepted: u64,
    /// Records that were refused.
    pub rejected: u64,
    /// Why the first of them was.
    pub reason: Option<String>,
}

/// The name of a source: that which the sender names, else that of the protocol with the word
/// of the envelope behind it.
pub(super) fn source_name(labels: &Labels, protocol: &str, word: Option<&str>) -> String {
    if let Some(source) = &labels.source {
        return source.clone();
    }
    let Some(word) = word.filter(|word| !word.is_empty()) else {
        return protocol.to_owned();
    };
    let mut name = format!("{protocol}:");
    for c in word.chars() {
        if name.len() + c.len_utf8() > SOURCE_BYTES_MAX {
            break;
        }
        let is_plain = !c.is_control() && !c.is_whitespace();
        name.push(if is_plain { c } else { '_' });
    }
    name
}

/// Hands records over; answers once they are durable.
pub(super) async fn submit(
    state: &ApiState,
    labels: &Labels,
    protocol: &str,
    records: Vec<Enveloped>,
    format: Format,
) -> Result<Submitted, ApiError> {
    let mut submitted = Submitted::default();
    let mut items = Vec::with_capacity(records.len());
    let mut too_long: BTreeMap<String, u64> = BTreeMap::new();
    for record in records {
        let source = source_name(labels, protocol, record.label.as_deref());
        if record.bytes.len() > LINE_BYTES_MAX {
            submitted.reason.get_or_insert_with(|| {
                format!(
                    "a record is longer than 1 MiB ({} bytes)",
                    record.bytes.len()
                )
            });
            *too_long.entry(source).or_default() += 1;
            continue;
        }
        items.push(IngestItem {
            bytes: Bytes::from(record.bytes),
            source,
            format,
            product: labels.product.clone(),
            idempotency: None,
        });
    }
    if !items.is_empty() {
        for outcome in state.intake().take(items).await? {
            match outcome {
                ItemOutcome::Durable => submitted.accepted += 1,
                ItemOutcome::Rejected { reason } => {
                    submitted.rejected += 1;
                    submitted.reason.get_or_insert(reason);
                }
            }
        }
    }
    for (source, count) in too_long {
        submitted.rejected += count;
        state.intake().count_rejected(&source, "too_long", count);
    }
    Ok(submitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources() {
        let none = Labels::NONE;
        assert_eq!(source_name(&none, "hec", None), "hec");
        assert_eq!(
            source_name(&none, "hec", Some("cisco:asa")),
            "hec:cisco:asa"
        );
        assert_eq!(
            source_name(&none, "otlp", Some("my shop\n")),
            "otlp:my_shop_"
        );
        assert!(source_name(&none, "loki", Some(&"ü".repeat(200))).len() <= 128);
    }
}
