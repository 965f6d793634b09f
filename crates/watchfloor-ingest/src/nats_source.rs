//! Records out of a stream of NATS JetStream, by a durable consumer: a message is acknowledged
//! when the journal has it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::{self, AckKind, Message};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use watchfloor_event::Format;

use crate::journal::nats::{NatsLogin, chain, connect_options, place_of};
use crate::record::{MAX_RECORD_BYTES, NewRecord};
use crate::source::{Running, SourceHandle};

/// What to read, and where.
#[derive(Clone)]
pub struct NatsSourceOptions {
    /// Servers, as `nats://host:4222`; several by commas.
    pub url: String,
    /// Login.
    pub login: NatsLogin,
    /// Certificate authority (PEM).
    pub authority: Option<std::path::PathBuf>,
    /// Own certificate and key (PEM).
    pub identity: Option<(std::path::PathBuf, std::path::PathBuf)>,
    /// The stream, which must be there.
    pub stream: String,
    /// Name of the durable consumer; readers with the same name share the messages.
    pub consumer: String,
    /// Subjects that are wanted, with wildcards; all when absent.
    pub subject: Option<String>,
    /// Whether a new consumer begins with the oldest message, or with what comes from now on.
    pub from_start: bool,
}

/// Messages asked for at once.
const MESSAGES_AT_ONCE: usize = 500;
/// How long the server keeps a question that it has no answer to.
const ASK_LIMIT: Duration = Duration::from_secs(2);
/// How long the server waits for an acknowledgement before it gives a message again.
const ACK_WAIT: Duration = Duration::from_secs(15);
/// Messages without acknowledgement, at most.
const ACK_PENDING_MAX: i64 = 5_000;
/// Wait after something failed.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How a person mends it.
const MEND: &str =
    "check url, login and stream of this source, and that JetStream is on; it goes on by itself";

/// Reads until the handle says stop.
pub fn run(options: NatsSourceOptions, handle: SourceHandle) -> Running {
    Box::pin(async move {
        let stop = handle.stop().clone();
        loop {
            let failed = tokio::select! {
                () = stop.cancelled() => return,
                failed = read(&options, &handle) => failed,
            };
            if let Err(error) = failed {
                handle.retrying(error, MEND);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(RETRY_WAIT) => {}
            }
        }
    })
}

/// Reads until something fails.
async fn read(options: &NatsSourceOptions, handle: &SourceHandle) -> Result<(), String> {
    let connect = connect_options(
        &options.url,
        &options.login,
        options.authority.as_deref(),
        options.identity.as_ref(),
    );
    let servers: Vec<&str> = options.url.split(',').map(str::trim).collect();
    let client = connect.connect(servers).await.map_err(|e| chain(&e))?;
    let context = jetstream::new(client.clone());
    let stream = context.get_stream(&options.stream).await;
    let stream = stream.map_err(|e| format!("stream {}: {}", options.stream, chain(&e)))?;
    let config = pull::Config {
        durable_name: Some(options.consumer.clone()),
        deliver_policy: match options.from_start {
            true => DeliverPolicy::All,
            false => DeliverPolicy::New,
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        max_ack_pending: ACK_PENDING_MAX,
        filter_subject: options.subject.clone().unwrap_or_default(),
        ..pull::Config::default()
    };
    let consumer = stream
        .get_or_create_consumer(&options.consumer, config)
        .await;
    let consumer: PullConsumer = consumer.map_err(|e| chain(&e))?;
    let created = stream.cached_info().created.to_string();
    handle.connected(format!(
        "{} stream {}",
        place_of(&options.url),
        options.stream
    ));
    loop {
        let asked = consumer.batch().max_messages(MESSAGES_AT_ONCE);
        let mut batch = asked
            .expires(ASK_LIMIT)
            .messages()
            .await
            .map_err(|e| chain(&e))?;
        let mut messages = Vec::new();
        // What is there at once goes into one append.
        while let Some(message) = next(&mut batch, messages.is_empty()).await {
            messages.push(message?);
        }
        if !take(options, &created, messages, handle).await? {
            return Ok(());
        }
        // A connection that is gone shows as batches that end at once.
        if client.connection_state() != async_nats::connection::State::Connected {
            return Err(format!("no connection to {}", place_of(&options.url)));
        }
    }
}

/// The next message; waits for it only if there is none yet.
async fn next(
    batch: &mut (impl futures::Stream<Item = Result<Message, async_nats::Error>> + Unpin),
    waits: bool,
) -> Option<Result<Message, String>> {
    /// How long messages gather.
    const GATHER: Duration = Duration::from_millis(5);
    let message = match waits {
        true => batch.next().await,
        false => match tokio::time::timeout(GATHER, batch.next()).await {
            Ok(message) => message,
            // The rest of the batch would be lost until its acknowledgement is missed.
            Err(_) => batch.next().await,
        },
    };
    message.map(|message| message.map_err(|error| error.to_string()))
}

/// Makes messages durable and acknowledges them; `false` if the program ends.
async fn take(
    options: &NatsSourceOptions,
    created: &str,
    messages: Vec<Message>,
    handle: &SourceHandle,
) -> Result<bool, String> {
    let mut records: Vec<NewRecord> = Vec::with_capacity(messages.len());
    for message in &messages {
        let source = handle.source_of(&message.subject);
        if message.payload.len() > MAX_RECORD_BYTES {
            handle.dropped(&source, "too_long", 1);
            continue;
        }
        let info = message.info().map_err(|error| error.to_string())?;
        let context: Option<Arc<str>> = handle.context_of(&source);
        let bytes = message.payload.clone();
        let mut record = handle.record(&source, context.as_ref(), Format::Auto, bytes);
        let digest = Sha256::digest(format!(
            "nats\n{}\n{}\n{created}\n{}",
            handle.name(),
            options.stream,
            info.stream_sequence
        ));
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        record.idempotency_key = u128::from_le_bytes(key).max(1);
        records.push(record);
    }
    if !handle.append(records).await {
        return Ok(false);
    }
    for message in messages {
        message
            .ack_with(AckKind::Ack)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(true)
}
