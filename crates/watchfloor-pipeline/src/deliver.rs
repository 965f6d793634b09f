//! Handing findings over behind a cursor: as soon as their events can be searched, and from the
//! lake what was missed. The cursor may be ahead of the lake; after a crash the same findings come
//! once more from the journal, and a finding is taken once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::mpsc;
use watchfloor_event::{Finding, JournalPlace};
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
    /// The journal position up to which findings of a partition were taken.
    fn cursor(&self, partition: u16) -> BoxFuture<'_, Result<u64, SinkError>>;

    /// Takes findings and moves the cursor, both or neither. A finding that was taken before
    /// changes nothing.
    fn take(&self, cursor: u64, findings: Vec<Finding>) -> BoxFuture<'_, Result<(), SinkError>>;
}

/// Who takes the findings of one partition.
struct Partitioned<'s> {
    sink: &'s dyn FindingSink,
    partition: u16,
}

/// Offers findings until they are taken, in order.
pub(crate) async fn run(
    lake: Arc<Lake>,
    sink: Arc<dyn FindingSink>,
    partition: u16,
    mut input: mpsc::UnboundedReceiver<Judged>,
) {
    let sink = Partitioned {
        sink: sink.as_ref(),
        partition,
    };
    catch_up(&lake, &sink, &mut input, 0).await;
    while let Some(first) = input.recv().await {
        let mut end = first.end;
        let mut findings = first.findings;
        while findings.len() < MAX_FINDINGS
            && let Ok(next) = input.try_recv()
        {
            end = next.end;
            findings.extend(next.findings);
        }
        if let Err(error) = sink.sink.take(end, findings).await {
            tracing::warn!(%error, "findings wait behind their cursor");
            tokio::time::sleep(RETRY_WAIT).await;
            catch_up(&lake, &sink, &mut input, end).await;
        }
    }
}

/// Hands over what the lake holds beyond the cursor, until that is at least at a position: what
/// was not taken from memory is committed within seconds, and comes from there in order.
async fn catch_up(
    lake: &Lake,
    sink: &Partitioned<'_>,
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
async fn try_catch_up(lake: &Lake, sink: &Partitioned<'_>) -> Result<u64, SinkError> {
    let partition = sink.partition;
    let cursor = sink.sink.cursor(partition).await?;
    let cursor = cursor.max(JournalPlace::start_of(partition));
    let sink = sink.sink;
    let end = lake.committed_of(partition).await;
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt;
    use jiff::Timestamp;
    use watchfloor_event::{EventId, FindingLevel};
    use watchfloor_lake::PendingCommit;

    use super::*;

    fn finding(position: u64) -> Finding {
        Finding {
            id: format!("finding-{position}"),
            rule_id: "rule".to_owned(),
            rule_version: "0".to_owned(),
            title: "Rule".to_owned(),
            level: FindingLevel::High,
            time: Timestamp::UNIX_EPOCH,
            first_time: Timestamp::UNIX_EPOCH,
            source: "test".to_owned(),
            event_ids: vec![EventId::new(position, 0)],
            event_count: 1,
            summary: "something happened".to_owned(),
            reasons: Vec::new(),
            entities: Vec::new(),
            tactics: Vec::new(),
            techniques: Vec::new(),
        }
    }

    /// Refuses so many times, then takes.
    #[derive(Default)]
    struct Sink {
        refusals: Mutex<u32>,
        cursor: Mutex<u64>,
        taken: Mutex<Vec<String>>,
    }

    impl FindingSink for Sink {
        fn cursor(&self, _: u16) -> BoxFuture<'_, Result<u64, SinkError>> {
            let cursor = *self.cursor.lock().unwrap();
            async move { Ok(cursor) }.boxed()
        }

        fn take(&self, end: u64, findings: Vec<Finding>) -> BoxFuture<'_, Result<(), SinkError>> {
            let mut refusals = self.refusals.lock().unwrap();
            if *refusals > 0 {
                *refusals -= 1;
                return async { Err(SinkError("down".to_owned())) }.boxed();
            }
            let mut cursor = self.cursor.lock().unwrap();
            *cursor = end.max(*cursor);
            let ids = findings.into_iter().map(|finding| finding.id);
            self.taken.lock().unwrap().extend(ids);
            async { Ok(()) }.boxed()
        }
    }

    async fn until(sink: &Sink, cursor: u64) {
        for _ in 0..400 {
            if *sink.cursor.lock().unwrap() >= cursor {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the cursor stays at {}", sink.cursor.lock().unwrap());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_refused_comes_from_the_lake_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Arc::new(Lake::open(folder.path()).await.unwrap());
        let sink = Arc::new(Sink::default());
        *sink.refusals.lock().unwrap() = 1;
        let (judged, input) = mpsc::unbounded_channel();
        tokio::spawn(run(
            Arc::clone(&lake),
            Arc::clone(&sink) as Arc<dyn FindingSink>,
            0,
            input,
        ));
        let send = |position: u64| {
            let findings = vec![finding(position)];
            let end = position + 1;
            judged.send(Judged { end, findings }).unwrap();
        };
        // The first is refused before the lake holds it, the second waits behind it.
        send(1);
        tokio::time::sleep(Duration::from_millis(300)).await;
        send(2);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(
            sink.taken.lock().unwrap().is_empty(),
            "none overtakes another"
        );
        let findings = vec![(1, finding(1))];
        let pending = PendingCommit {
            findings,
            end: 2,
            ..PendingCommit::default()
        };
        lake.commit(pending).await.unwrap();
        until(&sink, 3).await;
        send(3);
        until(&sink, 4).await;
        let taken = sink.taken.lock().unwrap().clone();
        assert_eq!(taken, ["finding-1", "finding-2", "finding-3"]);
    }
}
