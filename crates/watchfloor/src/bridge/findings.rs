//! Findings into casework.

use futures::FutureExt;
use futures::future::BoxFuture;
use watchfloor_casework::Casework;
use watchfloor_event::Finding;
use watchfloor_pipeline::{FindingSink, SinkError};

/// Casework as the pipeline sees it.
pub(crate) struct CaseworkSink(pub Casework);

impl FindingSink for CaseworkSink {
    fn cursor(&self, partition: u16) -> BoxFuture<'_, Result<u64, SinkError>> {
        async move {
            let cursor = self
                .0
                .cursor(partition)
                .await
                .map_err(|error| SinkError(error.to_string()))?;
            Ok(cursor.unwrap_or(0))
        }
        .boxed()
    }

    fn take(&self, cursor: u64, findings: Vec<Finding>) -> BoxFuture<'_, Result<(), SinkError>> {
        async move {
            let taken = self.0.take_findings(cursor, findings).await;
            taken
                .map(|_| ())
                .map_err(|error| SinkError(error.to_string()))
        }
        .boxed()
    }
}
