//! The journal of a cluster: NATS JetStream, one stream per partition.
//!
//! A message holds the records of one append that belong to one partition, in the journal's own
//! form; a record with an idempotency key is a message of its own, whose number (`Nats-Msg-Id`) is
//! the key. An append is done when JetStream has acknowledged all its messages. Where a record
//! stands is packed into its position: partition, sequence in the stream, index in the message.
//!
//! # Source
//! <https://docs.nats.io/nats-concepts/jetstream>

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::jetstream::context::{PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use watchfloor_event::JournalPlace;

use super::unresolved::Unresolved;
use super::{
    AppendError, Appended, Backend, Journal, JournalReader, JournalStats, Later, OpenError,
};
use crate::record::{self, NewRecord};

mod reader;

/// Where the journal of a cluster is, and how large it may become.
#[derive(Clone)]
pub struct NatsOptions {
    /// Servers, as `nats://host:4222`; several by commas. `tls://` asks for TLS.
    pub url: String,
    /// User and password, a token, or a file of credentials.
    pub login: NatsLogin,
    /// Certificate authority of the servers (PEM), beside those that the system knows.
    pub authority: Option<PathBuf>,
    /// Own certificate and key (PEM).
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Name that streams and subjects begin with.
    pub stream: String,
    /// Number of partitions, 1 to 1,023. It must not shrink while records wait.
    pub partitions: u16,
    /// Bytes that may wait in a partition before appends are refused.
    pub partition_bytes_max: u64,
    /// Copies that a cluster of NATS keeps, 1 to 5.
    pub replicas: usize,
}

/// How we show who we are.
#[derive(Clone)]
pub enum NatsLogin {
    /// Not at all, or by what stands in the URL.
    None,
    /// User and password.
    Password(String, String),
    /// A token.
    Token(String),
}

impl std::fmt::Debug for NatsOptions {
    /// Without credentials.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NatsOptions")
            .field("stream", &self.stream)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// Bytes of records in a message, about.
const MESSAGE_BYTES: usize = 256 << 10;
/// Least that a server must take in a message: one record of the largest kind.
const PAYLOAD_BYTES_MIN: usize = record::MAX_RECORD_BYTES + (1 << 18) + 1024;
/// Messages without an answer at the same time, over all appends.
const MESSAGES_IN_FLIGHT: usize = 2_048;
/// Bytes of appends that wait for an answer at the same time.
const BYTES_IN_FLIGHT: usize = 64 << 20;
/// How long an acknowledgement may take.
const ACK_LIMIT: Duration = Duration::from_secs(3);
/// How long an append tries before its sender is told to wait.
const APPEND_LIMIT: Duration = Duration::from_secs(6);
/// Wait between two tries.
const RETRY_WAIT: Duration = Duration::from_millis(100);
/// How long JetStream knows the number of a message again.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(600);
/// How often the streams are looked at.
const LOOK_WAIT: Duration = Duration::from_millis(500);
/// How long a start waits for the server.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A partition's stream as it was seen last.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    first: u64,
    last: u64,
    bytes: u64,
}

/// A connection to the journal of a cluster; clones share it.
#[derive(Clone)]
pub struct NatsJournal {
    shared: Arc<Shared>,
    _looking: Arc<Looking>,
}

struct Looking(tokio::task::JoinHandle<()>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) struct Shared {
    client: Client,
    pub(super) context: Context,
    options: NatsOptions,
    place: String,
    /// By partition, from 1.
    seen: Mutex<BTreeMap<u16, Seen>>,
    unresolved: Mutex<Unresolved>,
    /// Whether `unresolved` holds anything, so that the usual append hashes nothing.
    has_unresolved: AtomicBool,
    in_flight: Semaphore,
    instance: u64,
    numbers: AtomicU64,
    away: AtomicU64,
    pub(super) damaged: AtomicU64,
}

impl std::fmt::Debug for NatsJournal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NatsJournal")
            .field("place", &self.shared.place)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Servers without user and password.
pub(crate) fn place_of(url: &str) -> String {
    let servers = url.split(',').map(|server| match server.rsplit_once('@') {
        Some((_, host)) => host.trim(),
        None => server.trim(),
    });
    servers.collect::<Vec<_>>().join(", ")
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl NatsJournal {
    /// Connects, makes the streams that are missing, and begins to look after them. A server
    /// that goes away later is come back to for ever.
    ///
    /// # Errors
    /// If the server does not answer, or cannot hold the journal.
    pub async fn connect(options: NatsOptions) -> Result<Self, OpenError> {
        let place = place_of(&options.url);
        let refused = |reason: String| OpenError::Nats {
            place: place.clone(),
            reason,
        };
        if !(1..=JournalPlace::PARTITION_MAX).contains(&options.partitions) {
            return Err(refused(format!(
                "partitions must be 1 to {}",
                JournalPlace::PARTITION_MAX
            )));
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if options.stream.is_empty() || !options.stream.chars().all(is_name) {
            return Err(refused(
                "stream must be letters, digits, '-' and '_' alone".to_owned(),
            ));
        }
        let servers: Vec<&str> = options.url.split(',').map(str::trim).collect();
        let connect = connect_options(
            &options.url,
            &options.login,
            options.authority.as_deref(),
            options.identity.as_ref(),
        );
        let connected = connect.connect(servers).await;
        let client = connected.map_err(|error| refused(chain(&error)))?;
        let most = client.server_info().max_payload;
        if most < PAYLOAD_BYTES_MIN {
            return Err(refused(format!(
                "it takes messages of at most {most} bytes, and a record may have more; write 'max_payload: 4MB' into its configuration"
            )));
        }
        let context = jetstream::context::ContextBuilder::new()
            .timeout(ACK_LIMIT)
            .ack_timeout(ACK_LIMIT)
            .max_ack_inflight(MESSAGES_IN_FLIGHT)
            .backpressure_on_inflight(true)
            .build(client.clone());
        let mut random = [0; 8];
        // Without random bytes the time tells instances apart.
        if getrandom::fill(&mut random).is_err() {
            let now = jiff::Timestamp::now().as_nanosecond();
            random.copy_from_slice(&now.to_le_bytes()[..8]);
        }
        let shared = Arc::new(Shared {
            client,
            context,
            place: place.clone(),
            seen: Mutex::default(),
            unresolved: Mutex::new(Unresolved::new(DUPLICATE_WINDOW)),
            has_unresolved: AtomicBool::new(false),
            in_flight: Semaphore::new(BYTES_IN_FLIGHT),
            instance: u64::from_le_bytes(random),
            numbers: AtomicU64::new(0),
            away: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            options,
        });
        shared.ensure_streams().await.map_err(refused)?;
        shared.look().await.map_err(refused)?;
        let looking = tokio::spawn(keep_looking(Arc::clone(&shared)));
        Ok(Self {
            shared,
            _looking: Arc::new(Looking(looking)),
        })
    }

    /// The writing side.
    pub fn journal(&self) -> Journal {
        Journal::over(self.clone())
    }

    /// The records of a partition behind `from`, the position after the last that the lake
    /// holds of it.
    pub fn reader(&self, partition: u16, from: u64) -> JournalReader {
        JournalReader::over(reader::NatsReader::start(
            Arc::clone(&self.shared),
            partition,
            from,
        ))
    }

    /// The partitions, in order.
    pub fn partitions(&self) -> std::ops::RangeInclusive<u16> {
        1..=self.shared.options.partitions
    }

    /// Servers, without credentials.
    pub fn place(&self) -> &str {
        &self.shared.place
    }

    /// Whether the connection stands.
    pub fn is_connected(&self) -> bool {
        self.shared.is_connected()
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Lets other processes of the cluster know what this one counted, under its name.
    ///
    /// # Errors
    /// What NATS said.
    pub async fn tell(&self, node: &str, value: Bytes) -> Result<(), String> {
        let store = self.told_store().await?;
        let told = store.put(node, value).await;
        told.map(drop).map_err(|error| chain(&error))
    }

    /// What all processes let know, by their names.
    ///
    /// # Errors
    /// What NATS said.
    pub async fn told(&self) -> Result<Vec<(String, Bytes)>, String> {
        use futures::StreamExt;
        let store = self.told_store().await?;
        let keys = store.keys().await.map_err(|error| chain(&error))?;
        let keys: Vec<Result<String, _>> = keys.collect().await;
        let mut told = Vec::new();
        for key in keys.into_iter().flatten() {
            let value = store.get(&key).await.map_err(|error| chain(&error))?;
            told.extend(value.map(|value| (key, value)));
        }
        Ok(told)
    }

    async fn told_store(&self) -> Result<jetstream::kv::Store, String> {
        self.shared.bucket("nodes").await
    }

    /// Messages that wait in a partition.
    pub fn pending_of(&self, partition: u16) -> u64 {
        let seen = lock(&self.shared.seen);
        seen.get(&partition).map_or(0, |seen| seen.pending())
    }
}

/// How to connect, for ever again after the first time.
pub(crate) fn connect_options(
    url: &str,
    login: &NatsLogin,
    authority: Option<&Path>,
    identity: Option<&(PathBuf, PathBuf)>,
) -> ConnectOptions {
    let place = place_of(url);
    let mut connect = ConnectOptions::new()
        .name("watchfloor")
        .connection_timeout(START_LIMIT)
        .ping_interval(Duration::from_secs(10))
        .subscription_capacity(4096)
        .reconnect_delay_callback(|attempts| {
            Duration::from_millis(100).saturating_mul(attempts.min(20) as u32)
        })
        .event_callback(move |event| {
            let place = place.clone();
            async move {
                match event {
                    async_nats::Event::Connected => tracing::info!(place, "connected to NATS"),
                    event => tracing::warn!(place, event = event.to_string(), "NATS"),
                }
            }
        });
    connect = match login {
        NatsLogin::None => connect,
        NatsLogin::Password(user, password) => {
            connect.user_and_password(user.clone(), password.clone())
        }
        NatsLogin::Token(token) => connect.token(token.clone()),
    };
    if let Some(authority) = authority {
        connect = connect.add_root_certificates(authority.to_owned());
    }
    if let Some((certificate, key)) = identity {
        connect = connect.add_client_certificate(certificate.clone(), key.clone());
    }
    connect
}

/// Looks at the streams for figures, and makes those anew that are gone.
async fn keep_looking(shared: Arc<Shared>) {
    let mut tick = tokio::time::interval(LOOK_WAIT);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if shared.is_connected()
            && let Err(error) = shared.look().await
        {
            tracing::warn!(
                place = shared.place,
                error,
                "journal streams cannot be looked at"
            );
        }
    }
}

impl Seen {
    const fn pending(self) -> u64 {
        // A stream that never had a message begins at 0.
        (self.last + 1).saturating_sub(if self.first == 0 { 1 } else { self.first })
    }
}

impl Shared {
    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    pub(super) fn stream(&self, partition: u16) -> String {
        format!("{}-{partition}", self.options.stream)
    }

    fn subject(&self, partition: u16) -> String {
        format!("{}.{partition}", self.options.stream)
    }

    async fn ensure_streams(&self) -> Result<(), String> {
        for partition in 1..=self.options.partitions {
            let config = StreamConfig {
                name: self.stream(partition),
                subjects: vec![self.subject(partition)],
                retention: RetentionPolicy::Limits,
                discard: DiscardPolicy::New,
                max_bytes: i64::try_from(self.options.partition_bytes_max).unwrap_or(i64::MAX),
                max_messages: -1,
                max_messages_per_subject: -1,
                max_consumers: -1,
                num_replicas: self.options.replicas,
                duplicate_window: DUPLICATE_WINDOW,
                storage: jetstream::stream::StorageType::File,
                ..StreamConfig::default()
            };
            let made = self.context.get_or_create_stream(config).await;
            made.map_err(|error| {
                format!(
                    "stream {} cannot be made: {}; see that JetStream is on (nats-server -js), and that its max_file_store holds partitions times partition_mib",
                    self.stream(partition),
                    chain(&error)
                )
            })?;
        }
        Ok(())
    }

    /// A key-value bucket of the journal, made if need be. By hand: the client's own way asks the
    /// server for its account first, in a form that servers before 2.10 do not answer.
    pub(super) async fn bucket(&self, name: &str) -> Result<jetstream::kv::Store, String> {
        let bucket = format!("{}-{name}", self.options.stream);
        if let Ok(store) = self.context.get_key_value(&bucket).await {
            return Ok(store);
        }
        let config = StreamConfig {
            name: format!("KV_{bucket}"),
            subjects: vec![format!("$KV.{bucket}.>")],
            max_messages_per_subject: 1,
            max_bytes: -1,
            max_messages: -1,
            max_message_size: -1,
            max_consumers: -1,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            num_replicas: self.options.replicas,
            ..StreamConfig::default()
        };
        let made = self.context.get_or_create_stream(config).await;
        made.map_err(|error| chain(&error))?;
        let store = self.context.get_key_value(&bucket).await;
        store.map_err(|error| chain(&error))
    }

    async fn look(&self) -> Result<(), String> {
        for partition in 1..=self.options.partitions {
            let stream = self.context.get_stream(self.stream(partition)).await;
            let stream = match stream {
                Ok(stream) => stream,
                Err(error) => {
                    // Its folder may be new; what it held is told by the readers.
                    tracing::warn!(error = chain(&error), partition, "journal stream");
                    return self.ensure_streams().await;
                }
            };
            let state = &stream.cached_info().state;
            let mut seen = lock(&self.seen);
            let one = seen.entry(partition).or_default();
            one.first = state.first_sequence;
            // An acknowledgement may be newer than the answer.
            one.last = one.last.max(state.last_sequence);
            one.bytes = state.bytes;
        }
        Ok(())
    }

    /// Which partition a source belongs to: all its records to the same, so that what is
    /// correlated within a source is seen by one worker, in order.
    fn partition_of(&self, source: &str) -> u16 {
        let hash = crc32fast::hash(source.as_bytes());
        let partition = hash % u32::from(self.options.partitions);
        u16::try_from(partition).unwrap_or(0) + 1
    }

    fn next_id(&self) -> String {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{number:x}", self.instance)
    }

    /// The messages of an append, in order within each partition.
    fn messages(&self, records: &[NewRecord]) -> Vec<Message> {
        let mut done = Vec::new();
        let mut open: BTreeMap<u16, Message> = BTreeMap::new();
        for record in records {
            let partition = self.partition_of(&record.source);
            if record.idempotency_key != 0 {
                done.extend(open.remove(&partition));
                let mut message = Message::new(partition);
                message.id = Some(format!("key-{:032x}", record.idempotency_key));
                message.add(record);
                done.push(message);
                continue;
            }
            let message = open
                .entry(partition)
                .or_insert_with(|| Message::new(partition));
            message.add(record);
            if message.is_full() {
                done.extend(open.remove(&partition));
            }
        }
        done.extend(open.into_values());
        for message in &mut done {
            message.payload = Bytes::from(std::mem::take(&mut message.frames));
            if message.id.is_none() {
                message.id = Some(self.known_id(message).unwrap_or_else(|| self.next_id()));
            }
        }
        done
    }

    /// The number under which the same records were given up.
    fn known_id(&self, message: &Message) -> Option<String> {
        if !self.has_unresolved.load(Ordering::Acquire) {
            return None;
        }
        let mut unresolved = lock(&self.unresolved);
        let id = unresolved.take(&message.content(), Instant::now());
        self.has_unresolved
            .store(!unresolved.is_empty(), Ordering::Release);
        id
    }

    fn give_up(&self, messages: &[Message]) {
        self.away.fetch_add(1, Ordering::Relaxed);
        let mut unresolved = lock(&self.unresolved);
        let now = Instant::now();
        for message in messages {
            if let Some(id) = message.id.as_ref().filter(|id| !id.starts_with("key-")) {
                unresolved.put(message.content(), id.clone(), now);
            }
        }
        self.has_unresolved
            .store(!unresolved.is_empty(), Ordering::Release);
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<Appended, AppendError> {
        let accepted = records.len();
        let mut messages = self.messages(&records);
        drop(records);
        let bytes: usize = messages.iter().map(|message| message.payload.len()).sum();
        let permits = u32::try_from(bytes.min(BYTES_IN_FLIGHT)).unwrap_or(u32::MAX);
        let deadline = Instant::now() + APPEND_LIMIT;
        let room = tokio::time::timeout(APPEND_LIMIT, self.in_flight.acquire_many(permits)).await;
        let Ok(room) = room else {
            let reason = format!("{} answers too slowly", self.place);
            return Err(AppendError::Away { reason });
        };
        let _room = room.map_err(|_| AppendError::Closed)?;
        loop {
            let failed = match self.publish(&mut messages).await {
                Ok(()) => break,
                Err(failed) => failed,
            };
            let is_over = Instant::now() >= deadline;
            if is_over || !matches!(failed, AppendError::Away { .. }) {
                self.give_up(&messages);
                return Err(failed);
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
        let repeated = messages.iter().filter(|message| message.is_repeated);
        Ok(Appended {
            accepted,
            repeated: repeated.map(|message| message.records).sum(),
        })
    }

    /// Sends what is not acknowledged yet, in order, and waits for all answers.
    async fn publish(&self, messages: &mut [Message]) -> Result<(), AppendError> {
        if !self.is_connected() {
            let reason = format!("no connection to {}", self.place);
            return Err(AppendError::Away { reason });
        }
        let mut failed = None;
        let mut asked: VecDeque<(usize, PublishAckFuture)> = VecDeque::new();
        for number in 0..messages.len() {
            let message = &messages[number];
            if message.is_acknowledged {
                continue;
            }
            let publish = PublishMessage::build()
                .payload(message.payload.clone())
                .message_id(message.id.as_deref().unwrap_or_default());
            let subject = self.subject(message.partition);
            match self.context.send_publish(subject, publish).await {
                Ok(ack) => asked.push_back((number, ack)),
                Err(error) => {
                    failed = Some(self.why(&error));
                    break;
                }
            }
            // Answers are taken in between, so that no permit is waited for that this append
            // holds itself.
            while asked.len() >= MESSAGES_IN_FLIGHT / 8 {
                self.settle(asked.pop_front(), messages, &mut failed).await;
            }
        }
        while !asked.is_empty() {
            self.settle(asked.pop_front(), messages, &mut failed).await;
        }
        failed.map_or(Ok(()), Err)
    }

    async fn settle(
        &self,
        asked: Option<(usize, PublishAckFuture)>,
        messages: &mut [Message],
        failed: &mut Option<AppendError>,
    ) {
        let Some((number, ack)) = asked else { return };
        match ack.await {
            Ok(ack) => {
                let message = &mut messages[number];
                message.is_acknowledged = true;
                message.is_repeated = ack.duplicate;
                let partition = message.partition;
                let mut seen = lock(&self.seen);
                let one = seen.entry(partition).or_default();
                one.last = one.last.max(ack.sequence);
            }
            Err(error) => *failed = Some(self.why(&error)),
        }
    }

    fn why(&self, error: &async_nats::jetstream::context::PublishError) -> AppendError {
        let reason = chain(error);
        if reason.contains("maximum bytes") || reason.contains("maximum messages") {
            let pending_bytes = self.stats().pending_bytes;
            return AppendError::Full { pending_bytes };
        }
        let is_disk = ["insufficient", "no space", "resource"];
        if error.kind() == PublishErrorKind::Other
            && is_disk
                .iter()
                .any(|word| reason.to_lowercase().contains(word))
        {
            let reason = format!("NATS at {} has no room: {reason}", self.place);
            return AppendError::Write { reason };
        }
        AppendError::Away {
            reason: format!("{}: {reason}", self.place),
        }
    }

    fn stats(&self) -> JournalStats {
        let seen = lock(&self.seen);
        JournalStats {
            next_position: 0,
            released: 0,
            pending_records: seen.values().map(|seen| seen.pending()).sum(),
            pending_bytes: seen.values().map(|seen| seen.bytes).sum(),
            damaged: self.damaged.load(Ordering::Relaxed),
            away: self.away.load(Ordering::Relaxed),
        }
    }

    /// Removes what the lake holds.
    async fn purge(&self, partition: u16, up_to: u64) -> Result<(), String> {
        let stream = self
            .context
            .get_stream_no_info(self.stream(partition))
            .await
            .map_err(|error| chain(&error))?;
        let purge = stream.purge().sequence(up_to + 1).await;
        purge.map_err(|error| chain(&error))?;
        let mut seen = lock(&self.seen);
        let one = seen.entry(partition).or_default();
        one.first = one.first.max(up_to + 1);
        Ok(())
    }
}

/// A message on its way.
struct Message {
    partition: u16,
    /// Frames of records, until it is whole.
    frames: Vec<u8>,
    payload: Bytes,
    records: usize,
    id: Option<String>,
    is_acknowledged: bool,
    /// The server knew its number.
    is_repeated: bool,
}

impl Message {
    fn new(partition: u16) -> Self {
        Self {
            partition,
            frames: Vec::new(),
            payload: Bytes::new(),
            records: 0,
            id: None,
            is_acknowledged: false,
            is_repeated: false,
        }
    }

    fn add(&mut self, record: &NewRecord) {
        record::encode(record, &mut self.frames);
        self.records += 1;
    }

    fn is_full(&self) -> bool {
        self.frames.len() >= MESSAGE_BYTES || self.records > usize::from(JournalPlace::INDEX_MAX)
    }

    /// What tells it from other messages, whenever it was received: a sender that sends again
    /// does so later.
    fn content(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        let mut bytes = self.payload.clone();
        let mut interned = record::Interned::default();
        while let record::Decoded::Record(stored, length) = record::decode(&bytes, 0, &mut interned)
        {
            let record = &stored.record;
            hasher.update((record.source.len() as u64).to_le_bytes());
            hasher.update(record.source.as_bytes());
            hasher.update((record.bytes.len() as u64).to_le_bytes());
            hasher.update(&record.bytes);
            bytes = bytes.slice(length..);
        }
        hasher.finalize().into()
    }
}

impl Backend for NatsJournal {
    fn append(&self, records: Vec<NewRecord>) -> Later<'_, Result<Appended, AppendError>> {
        Box::pin(self.shared.append(records))
    }

    fn release(&self, position: u64) {
        let end = JournalPlace::of(position);
        // The position is that after the last record: the whole message before it is done, or
        // a part of this one.
        if end.partition == 0 || end.sequence == 0 {
            return;
        }
        let up_to = end.sequence - 1;
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            if let Err(error) = shared.purge(end.partition, up_to).await {
                tracing::warn!(
                    place = shared.place,
                    error,
                    "released records stay in NATS for now"
                );
            }
        });
    }

    fn stats(&self) -> JournalStats {
        self.shared.stats()
    }
}
