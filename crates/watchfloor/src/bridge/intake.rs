//! Records from HTTP senders into the journal.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchfloor_api::ports::{IngestItem, Intake, IntakeError, ItemOutcome};
use watchfloor_ingest::{AppendError, MAX_RECORD_BYTES, NewRecord, Products};
use watchfloor_pipeline::Pipeline;

use crate::sources;

/// Seconds that a sender waits when the journal is full.
const RETRY_AFTER_S: u32 = 2;

/// The journal as the API writes to it.
pub(crate) struct JournalIntake {
    pipeline: Arc<Pipeline>,
    products: Arc<Products>,
}

impl JournalIntake {
    pub(crate) fn new(pipeline: Arc<Pipeline>, products: Arc<Products>) -> Self {
        Self { pipeline, products }
    }

    /// The context of an item: of the product that its sender names, else of the one that the
    /// configuration names for its source.
    fn context(&self, item: &IngestItem) -> Option<Arc<str>> {
        let Some(product) = &item.product else {
            return self.products.context_of(&item.source);
        };
        sources::context_of(product, &self.pipeline.packs()).ok()
    }

    async fn append(&self, items: Vec<IngestItem>) -> Result<Vec<ItemOutcome>, IntakeError> {
        let received_at = Timestamp::now();
        let mut outcomes = Vec::with_capacity(items.len());
        let mut records = Vec::with_capacity(items.len());
        let mut source: Arc<str> = Arc::from("");
        // Most items of a request have one source and product.
        let mut labels = (None, None);
        for item in items {
            if item.bytes.len() > MAX_RECORD_BYTES {
                self.pipeline
                    .ledger()
                    .drop_records(&item.source, "too_long", 1);
                let reason = format!(
                    "the record has {} bytes; at most {MAX_RECORD_BYTES} are taken",
                    item.bytes.len()
                );
                outcomes.push(ItemOutcome::Rejected { reason });
                continue;
            }
            let is_other = *source != *item.source;
            if is_other {
                source = Arc::from(item.source.as_str());
            }
            if is_other || labels.0 != item.product {
                labels = (item.product.clone(), self.context(&item));
            }
            records.push(NewRecord {
                source: Arc::clone(&source),
                format: item.format,
                context: labels.1.clone(),
                received_at,
                idempotency_key: item
                    .idempotency
                    .as_deref()
                    .map_or(0, |key| key_of(&item.source, key)),
                bytes: item.bytes,
            });
            outcomes.push(ItemOutcome::Durable);
        }
        self.pipeline
            .journal()
            .append(records)
            .await
            .map_err(|error| match error {
                AppendError::Full { .. } | AppendError::Away { .. } | AppendError::Closed => {
                    IntakeError::Busy {
                        retry_after_s: RETRY_AFTER_S,
                    }
                }
                AppendError::Write { reason } => IntakeError::Failed(reason),
            })?;
        Ok(outcomes)
    }
}

/// The journal's form of a sender's key, which is never 0.
fn key_of(source: &str, key: &str) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update(source.as_bytes());
    hasher.update([0]);
    hasher.update(key.as_bytes());
    let digest = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(bytes).max(1)
}

impl Intake for JournalIntake {
    fn take(&self, items: Vec<IngestItem>) -> BoxFuture<'_, Result<Vec<ItemOutcome>, IntakeError>> {
        self.append(items).boxed()
    }

    fn check_product(&self, product: &str) -> Result<(), String> {
        sources::context_of(product, &self.pipeline.packs())
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    fn count_rejected(&self, source: &str, reason: &'static str, records: u64) {
        self.pipeline.ledger().drop_records(source, reason, records);
    }
}
