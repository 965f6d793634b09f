//! Records as values of a Kafka topic.

use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use rskafka::chrono::DateTime;
use rskafka::client::error::{Error as KafkaError, ProtocolError};
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use tokio::sync::Mutex;

use crate::destination::{Destination, SendError};

/// Longest wait for one answer of a broker.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Bytes of records in one request: brokers refuse more than 1 MiB unless told otherwise.
const REQUEST_BYTES_MAX: usize = 900 * 1024;

/// Where and how.
pub struct KafkaOptions {
    /// How the brokers are reached: makes a client's addresses, TLS and login.
    pub builder: Box<dyn Fn() -> ClientBuilder + Send + Sync>,
    /// Addresses, for people.
    pub brokers: String,
    /// The topic; it must be there.
    pub topic: String,
}

/// A topic that takes one value a record. A group goes to one partition as a whole, the next group
/// to the next one; a group that is sent again goes to the same.
pub struct Kafka {
    options: KafkaOptions,
    partitions: Mutex<Vec<PartitionClient>>,
}

impl Kafka {
    /// Sets it up; nothing is sent yet.
    pub fn new(options: KafkaOptions) -> Self {
        Self {
            options,
            partitions: Mutex::default(),
        }
    }

    /// Gives why it failed.
    async fn step<T>(
        &self,
        answer: impl Future<Output = Result<T, KafkaError>>,
    ) -> Result<T, SendError> {
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(KafkaError::ServerError {
                protocol_error:
                    error @ (ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge),
                ..
            })) => Err(SendError::TooLarge {
                target: self.describe(),
                reason: format!("{error}; see message.max.bytes of the broker and topic"),
            }),
            Ok(Err(error @ KafkaError::ServerError { .. })) => Err(SendError::Refused {
                target: self.describe(),
                reason: error.to_string(),
            }),
            Ok(Err(error)) => Err(SendError::Unreachable {
                target: self.describe(),
                reason: error.to_string(),
            }),
            Err(_) => Err(SendError::Slow {
                target: self.describe(),
                seconds: ANSWER_LIMIT.as_secs(),
            }),
        }
    }

    async fn connect(&self) -> Result<Vec<PartitionClient>, SendError> {
        let client: Client = self.step((self.options.builder)().build()).await?;
        let topics = self.step(client.list_topics()).await?;
        let topic = topics
            .into_iter()
            .find(|one| one.name == self.options.topic);
        let topic = topic.ok_or_else(|| SendError::Refused {
            target: self.describe(),
            reason: "there is no such topic; make it, or mend 'topic'".to_owned(),
        })?;
        let mut partitions = Vec::new();
        for number in topic.partitions {
            let name = topic.name.clone();
            let opened = client.partition_client(name, number, UnknownTopicHandling::Error);
            partitions.push(self.step(opened).await?);
        }
        Ok(partitions)
    }

    async fn produce(&self, last: u64, records: &[Bytes]) -> Result<(), SendError> {
        // What failed may have lost its connection; the next group makes a new one.
        let mut known = self.partitions.lock().await;
        let mut partitions = std::mem::take(&mut *known);
        if partitions.is_empty() {
            partitions = self.connect().await?;
        }
        let place = last.checked_rem(partitions.len() as u64).unwrap_or(0);
        let partition = usize::try_from(place)
            .ok()
            .and_then(|at| partitions.get(at));
        let partition = partition.ok_or_else(|| SendError::Refused {
            target: self.describe(),
            reason: "the topic has no partitions".to_owned(),
        })?;
        let values = records.iter().map(value).collect();
        self.step(partition.produce(values, Compression::Zstd))
            .await?;
        *known = partitions;
        Ok(())
    }
}

impl Destination for Kafka {
    fn send<'a>(&'a self, last: u64, records: &'a [Bytes]) -> BoxFuture<'a, Result<(), SendError>> {
        self.produce(last, records).boxed()
    }

    fn group_bytes_max(&self) -> usize {
        REQUEST_BYTES_MAX
    }

    fn describe(&self) -> String {
        format!("topic {} of {}", self.options.topic, self.options.brokers)
    }
}

fn value(record: &Bytes) -> Record {
    let now = DateTime::from_timestamp_millis(Timestamp::now().as_millisecond());
    Record {
        key: None,
        value: Some(record.to_vec()),
        headers: Default::default(),
        timestamp: now.unwrap_or_default(),
    }
}
