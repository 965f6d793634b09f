//! Handing findings over behind a cursor: as soon as their events can be searched, and from the
//! lake what was missed. The cursor may be ahead of the lake; after a crash the same findings come
//! once more from the journal, and a finding is taken once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use watchfloor_event::Finding;
use watchfloor_lake::Lake;

use crate::process::Judged;

/// Wait before findings are offered again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Most findings handed over at once.
const MAX_FINDINGS: usize = 2000;

/// Why findings were not taken.
#[derive(Debug, thiserror::Error)]
#[error("findings are not taken: {0}")]
pub struct SinkError(pub String);

/// Takes findings; declared here because the pipeline is who calls.
pub trait FindingSink: Send + Sync {
    /// The journal position up to which findings were taken.
    fn cursor(&self) -> BoxFuture<'_, Result<u64, SinkError>>;

    /// Takes findings and moves the cursor, both or neither. A finding that was taken before
    /// changes nothing.
    fn take(&self, cursor: u64, findings: Vec<Finding>) -> BoxFuture<'_, Result<(), SinkError>>;
}

/// Offers findings until they are taken, in order.
pub(crate) async fn run(
    lake: Arc<Lake>,
    sink: Arc<dyn FindingSink>,
    mut input: mpsc::UnboundedReceiver<Judged>,
) {
    catch_up(&lake, sink.as_ref(), &mut input, 0).await;
    while let Some(first) = input.recv().await {
        let mut end = first.end;
        let mut findings = first.findings;
        while findings.len() < MAX_FINDINGS
            && let Ok(next) = input.try_recv()
        {
            end = next.end;
            findings.extend(next.findings);
        }
        if let Err(error) = sink.take(end, findings).await {
            tracing::warn!(%error, "findings wait behind their cursor");
            tokio::time::sleep(RETRY_WAIT).await;
            catch_up(&lake, sink.as_ref(), &mut input, end).await;
        }
    }
}

/// Hands over what the lake holds beyond the cursor, until that is at least at a position: what
/// was not taken from memory is committed within seconds, and comes from there in order.
async fn catch_up(
    lake: &Lake,
    sink: &dyn FindingSink,
    input: &mut mpsc::UnboundedReceiver<Judged>,
    mut goal: u64,
) {
    loop {
        match try_catch_up(lake, sink).await {
            Ok(cursor) if cursor >= goal => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "findings wait behind their cursor");
                // Nothing piles up in memory while nobody takes it.
                while let Ok(next) = input.try_recv() {
                    goal = next.end;
                }
            }
        }
        tokio::time::sleep(RETRY_WAIT).await;
    }
}

/// Gives the cursor behind what was handed over.
async fn try_catch_up(lake: &Lake, sink: &dyn FindingSink) -> Result<u64, SinkError> {
    let cursor = sink.cursor().await?;
    let end = lake.committed().await;
    if cursor >= end {
        return Ok(cursor);
    }
    let found = lake
        .findings_from(cursor)
        .await
        .map_err(|error| SinkError(error.to_string()))?;
    let mut waiting = found
        .into_iter()
        .filter(|(position, _)| *position < end)
        .peekable();
    while waiting.peek().is_some() {
        let part: Vec<(u64, Finding)> = waiting.by_ref().take(MAX_FINDINGS).collect();
        // Findings at one position may be split over two parts; the cursor must not pass the
        // second before it is taken.
        let next = waiting.peek().map_or(end, |(position, _)| *position);
        sink.take(next, part.into_iter().map(|(_, finding)| finding).collect())
            .await?;
    }
    sink.take(end, Vec::new()).await?;
    Ok(end)
}
