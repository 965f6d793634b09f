//! A connection with the server from its first word to its last.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Duration, sleep, sleep_until, timeout};
use tokio_rustls::client::TlsStream;
use watchfloor_link::{Frame, PROTOCOL, RefusalCode, ToAgent, ToServer};

use crate::core::{Core, lock};
use crate::health::{Meter, Standing};
use crate::pace::Bucket;
use crate::record::VERSION;
use crate::tell::tell;
use crate::update::{Fetch, Step};
use crate::{actions, clock, enrol, tls, wire};

/// Longest wait for the answer to the first words.
const WELCOME_MAX: Duration = Duration::from_secs(60);
/// Most records of one message.
const BATCH_RECORDS_MAX: u32 = 1_000;
/// Most bytes of records of one message; a single longer record goes alone.
const BATCH_BYTES_MAX: usize = 512 << 10;
/// Messages of records whose storing is not known yet.
const BATCHES_OPEN_MAX: usize = 4;
/// The server says within this time that records are stored, or is asked on a new connection.
const STORED_MAX: Duration = Duration::from_secs(180);
/// Words of the server that wait to be read.
const INCOMING_MAX: usize = 8;
/// While something is done, the server is told so at least this often: else it gives up waiting.
const ACTING_EVERY: Duration = Duration::from_secs(10);
/// Shortest and longest time between heartbeats.
const HEARTBEAT_S: std::ops::RangeInclusive<u32> = 1..=3_600;

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The server did not let the agent in.
    Refused(RefusalCode, String),
    /// The agent ends.
    Stopped,
    /// The agent has a new certificate.
    Renewed,
}

/// What is sent from when.
struct Session<'a> {
    core: &'a Arc<Core>,
    writer: WriteHalf<TlsStream<TcpStream>>,
    meter: &'a mut Meter,
    /// Numbers of the last records of messages that are on their way.
    open: VecDeque<u64>,
    open_since: Instant,
    /// Number of the next record to send.
    next: u64,
    hold_until: Option<Instant>,
    bucket: Bucket,
    fetch: Option<Fetch>,
    /// Key of a certificate that was asked for.
    renewal: Option<String>,
}

/// Speaks with the server until one of both ends it.
pub(crate) async fn run(
    core: &Arc<Core>,
    server: &str,
    outgoing: &mut mpsc::Receiver<Frame<ToServer>>,
    meter: &mut Meter,
) -> Result<Ended> {
    let identity = std::fs::read(core.data.path(enrol::IDENTITY))
        .context("the agent's certificate cannot be read")?;
    let opened = open(core, server, &identity).await;
    let (stream, answer) = opened.map_err(|error| match when_over(core, &identity) {
        Some(words) => error.context(words),
        None => error,
    })?;
    let heartbeat_s = match answer.message {
        ToAgent::Welcome {
            clock_ms,
            heartbeat_s,
            ..
        } => {
            core.clock.set(&core.data, clock_ms);
            heartbeat_s.clamp(*HEARTBEAT_S.start(), *HEARTBEAT_S.end())
        }
        ToAgent::Refused { code, message } => return Ok(Ended::Refused(code, message)),
        other => bail!("the server said {other:?} and no welcome"),
    };
    core.connections.fetch_add(1, Ordering::AcqRel);
    crate::update::confirm(core);
    *lock(&core.standing) = Standing {
        server: server.to_owned(),
        is_connected: true,
        trouble: None,
    };
    tell(format_args!("connected with {server}"));
    let (reader, writer) = split(stream);
    let (words, incoming) = mpsc::channel(INCOMING_MAX);
    let reading = tokio::spawn(listen(reader, words));
    let mut session = Session {
        core,
        writer,
        meter,
        open: VecDeque::new(),
        open_since: Instant::now(),
        next: 0,
        hold_until: None,
        bucket: Bucket::new(core.policy().records_per_second, Instant::now()),
        fetch: None,
        renewal: None,
    };
    let every = Duration::from_secs(u64::from(heartbeat_s));
    let result = session.speak(incoming, outgoing, every).await;
    reading.abort();
    result
}

/// Dials the server and says the first words. Answers the connection and the server's first words.
async fn open(
    core: &Core,
    server: &str,
    identity: &[u8],
) -> Result<(TlsStream<TcpStream>, Frame<ToAgent>)> {
    let mut stream = wire::dial(server, tls::mutual(identity)?).await?;
    if let Ok(peer) = stream.get_ref().0.peer_addr() {
        actions::note_server(core, peer);
    }
    let hello = ToServer::Hello {
        protocol: PROTOCOL,
        version: VERSION.to_owned(),
        host: core.host.clone(),
        clock_ms: clock::own_ms(),
        policy: core.policy().revision,
    };
    wire::write(&mut stream, &hello.into()).await?;
    let answer = timeout(WELCOME_MAX, wire::read(&mut stream))
        .await
        .context("the server says no welcome")??;
    Ok((stream, answer))
}

/// What is to be done where the agent's certificate is over: only a person can mend it.
fn when_over(core: &Core, identity: &[u8]) -> Option<String> {
    let (_, end) = tls::life(&tls::granted(identity).ok()?.certificate)?;
    let is_over = core.clock.now_ms() / 1_000 > end;
    let end = jiff::Timestamp::from_second(end).ok()?;
    is_over.then(|| {
        format!(
            "the certificate of this agent was over on {end}, and the server lets nobody in with it; \
             take a new line under Fleet and run it with `--again` behind it: \
             watchfloor-agent enrol --server {} --token … --start --again",
            core.settings.server
        )
    })
}

/// Reads the server's words on a task of its own: reading must not be cut in the middle.
async fn listen(
    mut reader: ReadHalf<TlsStream<TcpStream>>,
    words: mpsc::Sender<Result<Frame<ToAgent>>>,
) {
    loop {
        let frame = wire::read(&mut reader).await;
        let is_over = frame.is_err();
        if words.send(frame).await.is_err() || is_over {
            return;
        }
    }
}

impl Session<'_> {
    async fn speak(
        &mut self,
        mut incoming: mpsc::Receiver<Result<Frame<ToAgent>>>,
        outgoing: &mut mpsc::Receiver<Frame<ToServer>>,
        heartbeat_every: Duration,
    ) -> Result<Ended> {
        let core = Arc::clone(self.core);
        // The first one says at once how the agent is.
        let mut beaten_at: Option<tokio::time::Instant> = None;
        self.tell_outcomes().await?;
        loop {
            let until_records = self.send_records().await?;
            let every = match core.ledger.running() {
                0 => heartbeat_every,
                _ => heartbeat_every.min(ACTING_EVERY),
            };
            let heartbeat_at = beaten_at.map_or_else(tokio::time::Instant::now, |at| at + every);
            tokio::select! {
                word = incoming.recv() => match word {
                    Some(word) => if let Some(ended) = self.hear(word?).await? {
                        return Ok(ended);
                    },
                    None => bail!("the server hung up"),
                },
                Some(frame) = outgoing.recv() => wire::write(&mut self.writer, &frame).await?,
                () = core.outcomes.notified() => self.tell_outcomes().await?,
                () = sleep_until(heartbeat_at) => {
                    self.beat().await?;
                    beaten_at = Some(tokio::time::Instant::now());
                }
                () = core.spool.more.notified() => {}
                () = sleep(until_records) => {}
                () = core.ended.notified() => {}
            }
            if !core.is_running() {
                return Ok(Ended::Stopped);
            }
            if !self.open.is_empty() && self.open_since.elapsed() > STORED_MAX {
                bail!("the server does not say that records are stored");
            }
        }
    }

    /// Sends what is durable and allowed; answers how long there is nothing more to do.
    async fn send_records(&mut self) -> Result<Duration> {
        let idle = Duration::from_secs(60);
        loop {
            let now = Instant::now();
            if let Some(until) = self.hold_until {
                if until > now {
                    return Ok(until - now);
                }
                self.hold_until = None;
            }
            if self.open.len() >= BATCHES_OPEN_MAX {
                return Ok(idle);
            }
            let allowed = self.bucket.available(now).min(BATCH_RECORDS_MAX);
            if allowed == 0 {
                return Ok(self.bucket.wait());
            }
            let batch = self.core.spool.read(self.next, allowed, BATCH_BYTES_MAX);
            let Some(batch) = batch.context("the spool cannot be read")? else {
                return Ok(idle);
            };
            self.bucket.take(batch.count);
            self.next = batch.last() + 1;
            if self.open.is_empty() {
                self.open_since = now;
            }
            self.open.push_back(batch.last());
            let frame = Frame {
                message: ToServer::Records {
                    epoch: self.core.spool.epoch(),
                    first: batch.first,
                    count: batch.count,
                },
                payload: gzip(&batch.lines)?,
            };
            wire::write(&mut self.writer, &frame).await?;
        }
    }

    async fn beat(&mut self) -> Result<()> {
        let frame = ToServer::Heartbeat {
            clock_ms: clock::own_ms(),
            policy: self.core.policy().revision,
            health: self.meter.health(self.core),
        };
        wire::write(&mut self.writer, &frame.into()).await?;
        if self.renewal.is_none() && is_time_to_renew(self.core) {
            let request = tls::request()?;
            self.renewal = Some(request.key_pem);
            let frame = Frame {
                message: ToServer::Renew,
                payload: request.der,
            };
            wire::write(&mut self.writer, &frame).await?;
        }
        Ok(())
    }

    async fn tell_outcomes(&mut self) -> Result<()> {
        for (key, outcome) in self.core.ledger.untold() {
            let frame = ToServer::Acted {
                key: key.clone(),
                outcome,
            };
            wire::write(&mut self.writer, &frame.into()).await?;
            self.core.ledger.told(&key);
        }
        Ok(())
    }

    async fn hear(&mut self, frame: Frame<ToAgent>) -> Result<Option<Ended>> {
        match frame.message {
            ToAgent::Stored { epoch, through } => self.stored(epoch, through)?,
            ToAgent::Hold { ms } => {
                let until = Instant::now() + Duration::from_millis(u64::from(ms));
                self.hold_until = Some(until);
                // What was not kept is sent again afterwards; the server knows numbers.
                self.open.clear();
                self.next = 0;
            }
            ToAgent::Policy { policy } => {
                tell(format_args!("policy {} is in force", policy.revision));
                self.bucket
                    .set_rate(policy.records_per_second, Instant::now());
                self.core.set_policy(*policy);
                self.beat().await?;
            }
            ToAgent::Act { act } => actions::take(self.core, act),
            ToAgent::FileStored { key, name } => self.core.file_stored(key, name),
            ToAgent::Update { offer } => {
                self.fetch = Fetch::begin(self.core, offer);
                self.fetch_on().await?;
            }
            ToAgent::UpdatePart { version, offset } => {
                self.update_part(&version, offset, &frame.payload).await?;
            }
            ToAgent::Certificate { .. } => {
                if let Some(key) = self.renewal.take() {
                    enrol::keep(&self.core.data, &key, &frame.payload)?;
                    tell(format_args!("the certificate was renewed"));
                    return Ok(Some(Ended::Renewed));
                }
            }
            ToAgent::Refused { code, message } => return Ok(Some(Ended::Refused(code, message))),
            ToAgent::Welcome { clock_ms, .. } => self.core.clock.set(&self.core.data, clock_ms),
        }
        Ok(None)
    }

    fn stored(&mut self, epoch: u64, through: u64) -> Result<()> {
        self.core
            .spool
            .free(epoch, through)
            .context("the spool cannot be freed")?;
        if epoch == self.core.spool.epoch() {
            while self.open.front().is_some_and(|last| *last <= through) {
                self.open.pop_front();
            }
            self.open_since = Instant::now();
        }
        Ok(())
    }

    async fn fetch_on(&mut self) -> Result<()> {
        if let Some(fetch) = &self.fetch {
            let frame = ToServer::FetchUpdate {
                version: fetch.version().to_owned(),
                offset: fetch.offset(),
            };
            wire::write(&mut self.writer, &frame.into()).await?;
        }
        Ok(())
    }

    async fn update_part(&mut self, version: &str, offset: u64, part: &[u8]) -> Result<()> {
        let Some(fetch) = &mut self.fetch else {
            return Ok(());
        };
        if fetch.version() != version || fetch.offset() != offset {
            return Ok(());
        }
        match fetch.part(part) {
            Ok(Step::More) => self.fetch_on().await,
            Ok(Step::Whole) => {
                if let Some(fetch) = self.fetch.take() {
                    crate::update::install(self.core, fetch);
                }
                Ok(())
            }
            Err(error) => {
                self.fetch = None;
                crate::update::refuse(self.core, version, &format!("{error:#}"));
                Ok(())
            }
        }
    }
}

/// Whether two thirds of the certificate's life are gone.
fn is_time_to_renew(core: &Core) -> bool {
    let Ok(pem) = std::fs::read(core.data.path(enrol::IDENTITY)) else {
        return false;
    };
    let Ok(granted) = tls::granted(&pem) else {
        return false;
    };
    let now = core.clock.now_ms() / 1_000;
    tls::life(&granted.certificate).is_some_and(|(begin, end)| now > begin + (end - begin) / 3 * 2)
}

fn gzip(lines: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 6), Compression::new(4));
    encoder.write_all(lines)?;
    Ok(encoder.finish()?)
}
