//! Records out of Kafka: every partition of some topics, from a saved position on.
//!
//! A position is saved when the journal has acknowledged what lies before it. Each record has an
//! idempotency key of topic, partition and offset, so what is read again after a crash is known.
//! There is no consumer group: one process reads all partitions, or those that it is told
//! (`docs/adr/0019`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rskafka::client::error::{Error as KafkaError, ProtocolError};
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder, Credentials, SaslConfig};
use rskafka::record::RecordAndOffset;
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use watchfloor_event::Format;

use crate::positions::Positions;
use crate::record::{MAX_RECORD_BYTES, NewRecord};
use crate::source::{Running, SourceHandle};

/// Where to begin in a partition of which no position is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KafkaStart {
    /// With the oldest record there is.
    #[default]
    Earliest,
    /// With what comes from now on.
    Latest,
}

/// How we show who we are.
#[derive(Clone, Debug)]
pub enum KafkaLogin {
    /// Not at all.
    None,
    /// SASL PLAIN: user and password, over TLS.
    Plain(String, String),
    /// SASL SCRAM-SHA-256.
    Scram256(String, String),
    /// SASL SCRAM-SHA-512.
    Scram512(String, String),
}

/// How brokers are reached.
#[derive(Clone)]
pub struct KafkaAccess {
    /// As `host:9092`.
    pub brokers: Vec<String>,
    /// TLS.
    pub tls: Option<Arc<ClientConfig>>,
    /// Login.
    pub login: KafkaLogin,
}

/// What to read, and where.
#[derive(Clone)]
pub struct KafkaOptions {
    /// How the brokers are reached.
    pub access: KafkaAccess,
    /// Topics.
    pub topics: Vec<String>,
    /// Partitions; all when empty.
    pub partitions: Vec<i32>,
    /// Where to begin.
    pub start: KafkaStart,
    /// File of saved positions.
    pub positions: PathBuf,
}

/// Bytes of records asked for at once, at most.
const FETCH_BYTES_MAX: i32 = 8 << 20;
/// How long a broker waits for records when there are none.
const FETCH_WAIT_MS: i32 = 500;
/// Largest message of the protocol.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// How long one step with a broker may take.
const STEP_LIMIT: Duration = Duration::from_secs(20);
/// Wait after something failed.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How often topics are looked at for new partitions.
const TOPICS_WAIT: Duration = Duration::from_secs(30);
/// How a person mends a broker that does not answer.
const MEND: &str = "check brokers, TLS and login of this source, and that the brokers' advertised addresses can be reached from here; it goes on by itself";

/// Reads until the handle says stop.
pub fn run(options: KafkaOptions, handle: SourceHandle) -> Running {
    Box::pin(async move {
        let positions = Arc::new(Mutex::new(Positions::open(options.positions.clone())));
        let stop = handle.stop().clone();
        loop {
            let reading = read_all(&options, &handle, &positions);
            let failed = tokio::select! {
                () = stop.cancelled() => return,
                failed = reading => failed,
            };
            handle.retrying(failed, MEND);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY_WAIT) => {}
            }
        }
    })
}

async fn step<T>(
    what: &str,
    answer: impl Future<Output = Result<T, KafkaError>>,
) -> Result<T, String> {
    match tokio::time::timeout(STEP_LIMIT, answer).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(format!("{what}: {error}")),
        Err(_) => Err(format!(
            "{what}: no answer within {} s",
            STEP_LIMIT.as_secs()
        )),
    }
}

impl KafkaAccess {
    /// What makes a client.
    pub fn builder(&self) -> ClientBuilder {
        let mut builder = ClientBuilder::new(self.brokers.clone())
            .client_id("watchfloor")
            .max_message_size(MESSAGE_BYTES_MAX);
        if let Some(tls) = &self.tls {
            builder = builder.tls_config(Arc::clone(tls));
        }
        let login =
            |user: &String, password: &String| Credentials::new(user.clone(), password.clone());
        match &self.login {
            KafkaLogin::None => builder,
            KafkaLogin::Plain(user, password) => {
                builder.sasl_config(SaslConfig::Plain(login(user, password)))
            }
            KafkaLogin::Scram256(user, password) => {
                builder.sasl_config(SaslConfig::ScramSha256(login(user, password)))
            }
            KafkaLogin::Scram512(user, password) => {
                builder.sasl_config(SaslConfig::ScramSha512(login(user, password)))
            }
        }
    }
}

async fn connect(options: &KafkaOptions) -> Result<Client, String> {
    let building = options.access.builder().build();
    step("the brokers do not answer", building).await
}

/// Reads all partitions; gives why it cannot.
async fn read_all(
    options: &KafkaOptions,
    handle: &SourceHandle,
    positions: &Arc<Mutex<Positions>>,
) -> String {
    let client = match connect(options).await {
        Ok(client) => client,
        Err(error) => return error,
    };
    let mut readers: JoinSet<String> = JoinSet::new();
    let mut known: BTreeMap<(String, i32), ()> = BTreeMap::new();
    loop {
        let topics = match step("topics cannot be listed", client.list_topics()).await {
            Ok(topics) => topics,
            Err(error) => return error,
        };
        for name in &options.topics {
            let Some(topic) = topics.iter().find(|topic| topic.name == *name) else {
                handle.trouble(
                    "no_topic",
                    format!("there is no topic '{name}'; make it, or mend 'topics'"),
                );
                continue;
            };
            let is_wanted = |partition: &&i32| {
                options.partitions.is_empty() || options.partitions.contains(partition)
            };
            for partition in topic.partitions.iter().filter(is_wanted) {
                if known.insert((name.clone(), *partition), ()).is_some() {
                    continue;
                }
                let opened =
                    client.partition_client(name.clone(), *partition, UnknownTopicHandling::Error);
                let partition = match step("a partition cannot be opened", opened).await {
                    Ok(partition) => partition,
                    Err(error) => return error,
                };
                let reader = Reader {
                    partition,
                    start: options.start,
                    handle: handle.clone(),
                    positions: Arc::clone(positions),
                };
                readers.spawn(reader.run());
            }
        }
        if !known.is_empty() {
            handle.connected(format!(
                "{}: {} partitions of {}",
                options.access.brokers.join(", "),
                known.len(),
                options.topics.join(", ")
            ));
        }
        tokio::select! {
            Some(failed) = readers.join_next() => {
                return failed.unwrap_or_else(|error| error.to_string());
            }
            () = tokio::time::sleep(TOPICS_WAIT) => {}
        }
    }
}

/// Reads one partition.
struct Reader {
    partition: PartitionClient,
    start: KafkaStart,
    handle: SourceHandle,
    positions: Arc<Mutex<Positions>>,
}

impl Reader {
    fn name(&self) -> String {
        format!("{}/{}", self.partition.topic(), self.partition.partition())
    }

    /// Gives why it cannot go on.
    async fn run(self) -> String {
        let name = self.name();
        let saved = self.positions.lock().await.get(&name);
        let mut next = match saved {
            Some(next) => i64::try_from(next).unwrap_or(i64::MAX),
            None => {
                let at = match self.start {
                    KafkaStart::Earliest => OffsetAt::Earliest,
                    KafkaStart::Latest => OffsetAt::Latest,
                };
                match step(&name, self.partition.get_offset(at)).await {
                    Ok(offset) => offset,
                    Err(error) => return error,
                }
            }
        };
        loop {
            let fetched = self
                .partition
                .fetch_records(next, 1..FETCH_BYTES_MAX, FETCH_WAIT_MS);
            let fetched = tokio::time::timeout(STEP_LIMIT, fetched).await;
            let (records, end) = match fetched {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(KafkaError::ServerError {
                    protocol_error: ProtocolError::OffsetOutOfRange,
                    ..
                })) => match self.oldest(&name, next).await {
                    Ok(oldest) => {
                        next = oldest;
                        continue;
                    }
                    Err(error) => return error,
                },
                Ok(Err(error)) => return format!("{name}: {error}"),
                Err(_) => return format!("{name}: no answer"),
            };
            let Some(last) = records.last() else {
                // Marks of transactions take places and are no records.
                if end > next {
                    next += 1;
                }
                continue;
            };
            let after = last.offset + 1;
            if !self.take(records).await {
                return "the program ends".to_owned();
            }
            next = after;
            let mut positions = self.positions.lock().await;
            if let Err(error) = positions.set(&name, next.unsigned_abs()) {
                self.handle.trouble(
                    "position_not_saved",
                    format!("the position of {name} cannot be saved: {error}; make room in the data folder"),
                );
            }
        }
    }

    /// Where to go on when the broker has deleted what comes next.
    async fn oldest(&self, name: &str, next: i64) -> Result<i64, String> {
        let oldest = step(name, self.partition.get_offset(OffsetAt::Earliest)).await?;
        let latest = step(name, self.partition.get_offset(OffsetAt::Latest)).await?;
        if next > latest {
            self.handle.trouble(
                "topic_made_anew",
                format!("{name} ends at {latest}, and {next} was read before; it is read from its beginning"),
            );
        } else {
            let lost = oldest.saturating_sub(next).unsigned_abs();
            self.handle
                .dropped(self.handle.records_as(), "deleted_by_broker", lost);
            self.handle.trouble(
                "deleted_by_broker",
                format!("{lost} records of {name} were deleted before they were read; raise the topic's retention"),
            );
        }
        Ok(oldest)
    }

    async fn take(&self, records: Vec<RecordAndOffset>) -> bool {
        let source = self.handle.source_of(self.partition.topic());
        let context = self.handle.context_of(&source);
        let mut new: Vec<NewRecord> = Vec::with_capacity(records.len());
        for one in records {
            // A record without a value is a deletion of its key.
            let Some(value) = one.record.value else {
                continue;
            };
            if value.len() > MAX_RECORD_BYTES {
                self.handle.dropped(&source, "too_long", 1);
                continue;
            }
            let bytes = Bytes::from(value);
            let mut record = self
                .handle
                .record(&source, context.as_ref(), Format::Auto, bytes);
            record.idempotency_key = self.key(one.offset);
            new.push(record);
        }
        self.handle.append(new).await
    }

    fn key(&self, offset: i64) -> u128 {
        let digest = Sha256::digest(format!(
            "kafka\n{}\n{}\n{}\n{offset}",
            self.handle.name(),
            self.partition.topic(),
            self.partition.partition(),
        ));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(bytes).max(1)
    }
}
