//! The records of one partition, in order, from a position on.
//!
//! JetStream remembers nothing of who read what: the position stands in the lake's commit, and a
//! reader starts behind it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::mpsc;
use watchfloor_event::{JournalPlace, RawRecord};

use super::{Shared, chain};
use crate::journal::{Later, ReadBackend, ReadError};
use crate::record::{self, Decoded, Interned};

/// Messages asked for at once.
const MESSAGES_AT_ONCE: usize = 64;
/// How long the server keeps a question that it has no answer to.
const ASK_LIMIT: Duration = Duration::from_secs(3);
/// How long the server keeps a reader that asks nothing.
const READER_KEPT: Duration = Duration::from_secs(60);
/// Messages that wait for the pipeline.
const MESSAGES_AHEAD: usize = 64;
/// Wait after the stream could not be read.
const RETRY_WAIT: Duration = Duration::from_millis(300);

/// Reads a partition until it goes.
pub(super) struct NatsReader {
    next: u64,
    ahead: mpsc::Receiver<Vec<RawRecord>>,
    waiting: VecDeque<RawRecord>,
    pump: tokio::task::JoinHandle<()>,
}

impl Drop for NatsReader {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl NatsReader {
    pub(super) fn start(shared: Arc<Shared>, partition: u16, from: u64) -> Self {
        let (output, ahead) = mpsc::channel(MESSAGES_AHEAD);
        let from = from.max(JournalPlace::start_of(partition));
        let pump = Pump {
            shared,
            partition,
            next: from,
            output,
            interned: Interned::default(),
        };
        Self {
            next: from,
            ahead,
            waiting: VecDeque::new(),
            pump: tokio::spawn(pump.run()),
        }
    }
}

impl ReadBackend for NatsReader {
    fn next_position(&self) -> u64 {
        self.next
    }

    fn ready(&mut self) -> Later<'_, bool> {
        Box::pin(async move {
            if !self.waiting.is_empty() {
                return true;
            }
            match self.ahead.recv().await {
                Some(records) => {
                    self.waiting.extend(records);
                    true
                }
                None => false,
            }
        })
    }

    fn read(&mut self, most: usize) -> Result<Vec<RawRecord>, ReadError> {
        while self.waiting.len() < most
            && let Ok(records) = self.ahead.try_recv()
        {
            self.waiting.extend(records);
        }
        let many = self.waiting.len().min(most);
        let records: Vec<RawRecord> = self.waiting.drain(..many).collect();
        if let Some(last) = records.last() {
            self.next = last.position + 1;
        }
        Ok(records)
    }
}

struct Pump {
    shared: Arc<Shared>,
    partition: u16,
    /// Position of the next record.
    next: u64,
    output: mpsc::Sender<Vec<RawRecord>>,
    interned: Interned,
}

impl Pump {
    async fn run(mut self) {
        while !self.output.is_closed() {
            if self.shared.is_connected()
                && let Err(reason) = self.read_on().await
            {
                tracing::warn!(
                    partition = self.partition,
                    reason,
                    "journal stream cannot be read; trying again"
                );
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }

    /// Reads until something fails or nobody listens.
    async fn read_on(&mut self) -> Result<(), String> {
        let name = self.shared.stream(self.partition);
        let stream = self.shared.context.get_stream(&name).await;
        let stream = stream.map_err(|error| chain(&error))?;
        let start = JournalPlace::of(self.next).sequence.max(1);
        let last = stream.cached_info().state.last_sequence;
        if last + 1 < start {
            return Err(format!(
                "stream {name} was made anew: it ends at message {last}, and the lake holds its messages up to {}; give [journal] stream another name, or purge the stream to sequence {start}",
                start - 1
            ));
        }
        let config = pull::Config {
            description: Some("watchfloor".to_owned()),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: start,
            },
            ack_policy: AckPolicy::None,
            inactive_threshold: READER_KEPT,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        let consumer: PullConsumer = consumer.map_err(|error| chain(&error))?;
        loop {
            let asked = consumer.batch().max_messages(MESSAGES_AT_ONCE);
            let batch = asked.expires(ASK_LIMIT).messages().await;
            let mut batch = batch.map_err(|error| chain(&error))?;
            let before = self.next;
            while let Some(message) = batch.next().await {
                let message = message.map_err(|error| error.to_string())?;
                let sequence = message.info().map_err(|error| error.to_string())?;
                let sequence = sequence.stream_sequence;
                if !self.take(sequence, message.payload.clone()).await {
                    return Ok(());
                }
            }
            // A server that was started again knows this reader no more, and says so to who
            // asks for it alone.
            if self.next == before {
                let known = consumer.get_info().await;
                known.map_err(|error| chain(&error))?;
            }
        }
    }

    /// Hands the records of a message on; `false` when nobody takes them.
    async fn take(&mut self, sequence: u64, payload: Bytes) -> bool {
        let expected = JournalPlace::of(self.next).sequence.max(1);
        if sequence < expected {
            return true;
        }
        if sequence > expected {
            let missing = sequence - expected;
            self.shared.damaged.fetch_add(missing, Ordering::Relaxed);
            tracing::error!(
                partition = self.partition,
                missing,
                from = expected,
                "messages of the journal are gone from the stream; their records are lost"
            );
        }
        let mut records = self.decode(sequence, payload);
        records.retain(|record| record.position >= self.next);
        let after = JournalPlace {
            partition: self.partition,
            sequence: sequence + 1,
            index: 0,
        };
        self.next = after.position();
        records.is_empty() || self.output.send(records).await.is_ok()
    }

    /// The last record of a message has the largest index there is, so that the position behind
    /// it is the beginning of the next message.
    fn decode(&mut self, sequence: u64, payload: Bytes) -> Vec<RawRecord> {
        let mut records = Vec::new();
        let mut rest = payload;
        while !rest.is_empty() {
            match record::decode(&rest, 0, &mut self.interned) {
                Decoded::Record(stored, length) => {
                    records.push(stored.record);
                    rest = rest.slice(length..);
                }
                Decoded::Incomplete | Decoded::Damaged => {
                    self.shared.damaged.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        partition = self.partition,
                        sequence,
                        bytes = rest.len(),
                        "a message of the journal is damaged; what follows in it is lost"
                    );
                    break;
                }
            }
        }
        let many = records.len();
        for (number, record) in records.iter_mut().enumerate() {
            let behind = u16::try_from(many - 1 - number).unwrap_or(JournalPlace::INDEX_MAX);
            let place = JournalPlace {
                partition: self.partition,
                sequence,
                index: JournalPlace::INDEX_MAX - behind,
            };
            record.position = place.position();
        }
        records
    }
}
