//! One agent's connection, from its first word to its end.

use std::io::Read;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use watchfloor_link::{
    Frame, HEAD_BYTES, Head, Health, PROTOCOL, RECORDS_BYTES_MAX, RefusalCode, ToAgent, ToServer,
};
use watchfloor_model::AgentDoubt;

use crate::authority::identity_of;
use crate::bucket::Bucket;
use crate::registry::Opening;
use crate::{Admission, Desk, FilePart, Kept, Refusal, Registry, Session};

/// Longest time until an agent says what it wants.
const FIRST_WORD_LIMIT: Duration = Duration::from_secs(15);
/// Longest time that one frame takes to be written.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// A clock that is further off is told.
const CLOCK_LIMIT_MS: i64 = 60_000;
/// An agent may send twice what its policy says: it catches up after it was away.
const RATE_FACTOR: u32 = 2;
/// Seconds of full rate that it may send at once.
const BURST_S: u32 = 60;
/// How long an agent keeps records that could not be taken.
const LATER_MS: u32 = 2_000;
/// Longest record in bytes.
const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Most records of one message.
const RECORDS_MAX: u32 = 10_000;
/// Memory that an idle connection keeps for reading.
const IDLE_BYTES: usize = 512;

type Stream = Box<TlsStream<TcpStream>>;

/// What a connection stands on.
pub(crate) struct Connection<'a> {
    pub(crate) desk: &'a dyn Desk,
    pub(crate) registry: &'a Registry,
    pub(crate) heartbeat_s: u32,
    pub(crate) peer: IpAddr,
}

/// Why a connection ends.
enum End {
    /// The agent is told.
    Refused(Refusal),
    /// It is gone, or cannot be understood: a stable word, and words.
    Broken(&'static str, String),
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Self::Broken("gone", error.to_string())
    }
}

fn nonsense(words: impl Into<String>) -> End {
    End::Refused(Refusal::new(RefusalCode::Nonsense, words))
}

/// Reads frames without losing what has come when something else goes first.
struct Frames {
    buffer: BytesMut,
}

impl Frames {
    fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
        }
    }

    async fn next(&mut self, stream: &mut Stream) -> Result<Frame<ToServer>, End> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
            if self.buffer.is_empty() && self.buffer.capacity() > IDLE_BYTES {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(IDLE_BYTES);
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(End::Broken("gone", "the agent hung up".to_owned()));
            }
        }
    }

    fn take(&mut self) -> Result<Option<Frame<ToServer>>, End> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let head = Head::parse(*head).map_err(|error| nonsense(error.to_string()))?;
        let whole = HEAD_BYTES + head.rest();
        if self.buffer.len() < whole {
            self.buffer.reserve(whole - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEAD_BYTES);
        let rest = self.buffer.split_to(head.rest()).to_vec();
        let frame = Frame::decode(head, rest).map_err(|error| nonsense(error.to_string()))?;
        Ok(Some(frame))
    }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> Result<(), End> {
    let writing = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match tokio::time::timeout(WRITE_LIMIT, writing).await {
        Ok(written) => Ok(written?),
        Err(_) => Err(End::Broken("slow", "the agent takes nothing".to_owned())),
    }
}

async fn say(stream: &mut Stream, frame: impl Into<Frame<ToAgent>>) -> Result<(), End> {
    let bytes = frame.into().encode();
    let bytes = bytes.map_err(|error| End::Broken("frame", error.to_string()))?;
    write(stream, &bytes).await
}

impl Connection<'_> {
    /// Serves an agent until it goes, is sent away, or the server ends.
    pub(crate) async fn serve(&self, mut stream: Stream, end: CancellationToken) {
        let served = tokio::select! {
            () = end.cancelled() => Ok(()),
            served = self.begin(&mut stream, &end) => served,
        };
        match served {
            Ok(()) => {}
            Err(End::Refused(refusal)) => {
                self.desk.refused(self.peer, "refused", &refusal.message);
                let said = ToAgent::Refused {
                    code: refusal.code,
                    message: refusal.message,
                };
                // Whoever is sent away may be gone already.
                let _ = say(&mut stream, said).await;
            }
            Err(End::Broken("gone", _)) => {}
            Err(End::Broken(word, words)) => self.desk.refused(self.peer, word, &words),
        }
        let _ = tokio::time::timeout(Duration::from_secs(2), stream.shutdown()).await;
    }

    async fn begin(&self, stream: &mut Stream, end: &CancellationToken) -> Result<(), End> {
        let certificates = stream.get_ref().1.peer_certificates();
        let who = certificates
            .and_then(|chain| chain.first())
            .and_then(|first| identity_of(first));
        let mut frames = Frames::new();
        let first = tokio::time::timeout(FIRST_WORD_LIMIT, frames.next(stream)).await;
        let first = first.map_err(|_| End::Broken("slow", "no word came".to_owned()))??;
        match (who, first.message) {
            (_, ToServer::Enrol { secret, host }) => {
                let made = self.desk.enrol(&secret, &host, &first.payload).await;
                let (agent, issued) = made.map_err(End::Refused)?;
                let frame = Frame {
                    message: ToAgent::Certificate { agent },
                    payload: issued.pem.into_bytes(),
                };
                say(stream, frame).await
            }
            (None, _) => Err(End::Refused(Refusal::new(
                RefusalCode::Certificate,
                "no certificate was shown; enrol the host first",
            ))),
            (
                Some(who),
                ToServer::Hello {
                    protocol,
                    version,
                    host,
                    clock_ms,
                    policy,
                },
            ) => {
                if protocol != PROTOCOL {
                    let words = format!("protocol {protocol} is not known here; {PROTOCOL} is");
                    return Err(End::Refused(Refusal::new(RefusalCode::Protocol, words)));
                }
                let admitted = self.desk.admit(&who, &version, &host, self.peer).await;
                let admission = admitted.map_err(End::Refused)?;
                let opening = Opening {
                    who,
                    host: admission.host.clone(),
                    group: admission.group.clone(),
                    version,
                    identity: host,
                    peer: self.peer,
                    policy,
                    mark: admission.mark,
                    rate: admission.records_per_second,
                };
                self.stay(stream, frames, opening, (admission, clock_ms), end)
                    .await
            }
            _ => Err(nonsense("the first word must be enrol or hello")),
        }
    }

    async fn stay(
        &self,
        stream: &mut Stream,
        frames: Frames,
        opening: Opening,
        (admission, clock_ms): (Admission, i64),
        end: &CancellationToken,
    ) -> Result<(), End> {
        let has_policy = opening.policy == admission.policy;
        let (session, outgoing) = Session::open(opening, end.clone());
        say(
            stream,
            ToAgent::Welcome {
                agent: session.who.agent.clone(),
                clock_ms: Timestamp::now().as_millisecond(),
                heartbeat_s: self.heartbeat_s,
            },
        )
        .await?;
        let before = self.registry.enter(&session);
        let mut talk = Talk {
            connection: self,
            session: &session,
            bucket: Bucket::new(session_rate(&session), BURST_S, Instant::now()),
            rate: session_rate(&session),
            held_until: None,
        };
        talk.look_at_clock(clock_ms);
        talk.look_at_name();
        if let Some(before) = before {
            talk.look_at_double(&before);
        }
        if !has_policy {
            session.send(&admission.policy_frame);
        }
        if let Some(update) = &admission.update_frame {
            session.send(update);
        }
        let served = talk.go_on(stream, frames, outgoing).await;
        self.registry.leave(&session);
        served
    }
}

fn session_rate(session: &Session) -> u32 {
    let rate = session.rate.load(std::sync::atomic::Ordering::Acquire);
    rate.saturating_mul(RATE_FACTOR)
}

/// What goes on with an agent that is let in.
struct Talk<'a> {
    connection: &'a Connection<'a>,
    session: &'a Arc<Session>,
    bucket: Bucket,
    rate: u32,
    held_until: Option<tokio::time::Instant>,
}

impl Talk<'_> {
    fn doubt(&self, doubt: AgentDoubt, words: impl Into<String>) {
        let words = words.into();
        if self.session.doubt(doubt, &words) {
            self.connection.desk.doubt(&self.session.who, doubt, words);
        }
    }

    fn look_at_clock(&self, clock_ms: i64) {
        let off = clock_ms.saturating_sub(Timestamp::now().as_millisecond());
        if off.saturating_abs() > CLOCK_LIMIT_MS {
            let way = if off > 0 { "ahead" } else { "behind" };
            let seconds = off.saturating_abs() / 1_000;
            self.doubt(AgentDoubt::Clock, format!("its clock is {seconds} s {way}"));
        }
    }

    fn look_at_name(&self) {
        let (enrolled, said) = (&self.session.host, &self.session.identity.name);
        if !enrolled.eq_ignore_ascii_case(said) {
            let words = format!("enrolled as {enrolled}, it calls itself {said}");
            self.doubt(AgentDoubt::OtherName, words);
        }
    }

    /// A machine that starts anew comes while its last connection seems alive; another machine
    /// with the same certificate has another start and, mostly, another address.
    fn look_at_double(&self, before: &Session) {
        let is_other =
            before.identity.boot != self.session.identity.boot && before.peer != self.session.peer;
        let last = before.state().seen_at.unwrap_or(before.since);
        let silent_s = Timestamp::now().duration_since(last).as_secs();
        if is_other && silent_s < i64::from(self.connection.heartbeat_s) {
            let words = format!(
                "its certificate was in use from {} when it came from {}",
                before.peer, self.session.peer
            );
            self.doubt(AgentDoubt::TwoMachines, words);
        }
    }

    async fn go_on(
        &mut self,
        stream: &mut Stream,
        mut frames: Frames,
        mut outgoing: mpsc::Receiver<Arc<[u8]>>,
    ) -> Result<(), End> {
        let silence = Duration::from_secs(u64::from(self.connection.heartbeat_s) * 3);
        let mut silent_until = tokio::time::Instant::now() + silence;
        loop {
            let held = self.held_until;
            tokio::select! {
                biased;
                () = self.session.end.cancelled() => return Ok(()),
                frame = outgoing.recv() => match frame {
                    Some(frame) => write(stream, &frame).await?,
                    None => return Ok(()),
                },
                // An agent that floods is not read from for a while; it is still spoken to.
                () = sleep_until(held), if held.is_some() => {
                    self.held_until = None;
                    silent_until = tokio::time::Instant::now() + silence;
                }
                frame = frames.next(stream), if held.is_none() => {
                    silent_until = tokio::time::Instant::now() + silence;
                    self.hear(stream, frame?).await?;
                }
                () = tokio::time::sleep_until(silent_until), if held.is_none() => {
                    return Err(End::Broken("silent", "no heartbeat came".to_owned()));
                }
            }
        }
    }

    async fn hear(&mut self, stream: &mut Stream, frame: Frame<ToServer>) -> Result<(), End> {
        let desk = self.connection.desk;
        match frame.message {
            ToServer::Records {
                epoch,
                first,
                count,
            } => {
                let answer = self.records((epoch, first, count), &frame.payload).await?;
                say(stream, answer).await
            }
            ToServer::Heartbeat {
                clock_ms,
                policy,
                health,
            } => {
                self.heartbeat(clock_ms, policy, health);
                Ok(())
            }
            ToServer::Acted { key, outcome } => {
                desk.acted(self.session, &key, outcome);
                Ok(())
            }
            ToServer::File {
                key,
                name,
                offset,
                sha256,
            } => {
                let part = FilePart {
                    key: &key,
                    name: &name,
                    offset,
                    bytes: &frame.payload,
                    sha256: sha256.as_deref(),
                };
                let kept = desk.file(self.session, part).await;
                match kept.map_err(nonsense)? {
                    true => say(stream, ToAgent::FileStored { key, name }).await,
                    false => Ok(()),
                }
            }
            ToServer::Renew => {
                let made = desk.renew(&self.session.who, &frame.payload).await;
                let issued = made.map_err(End::Refused)?;
                let agent = self.session.who.agent.clone();
                let frame = Frame {
                    message: ToAgent::Certificate { agent },
                    payload: issued.pem.into_bytes(),
                };
                say(stream, frame).await
            }
            ToServer::FetchUpdate { version, offset } => {
                let part = desk.update_part(self.session, &version, offset);
                let payload = part.unwrap_or_default();
                let message = ToAgent::UpdatePart { version, offset };
                say(stream, Frame { message, payload }).await
            }
            ToServer::Hello { .. } | ToServer::Enrol { .. } => {
                Err(nonsense("the agent is let in already"))
            }
        }
    }

    fn heartbeat(&mut self, clock_ms: i64, policy: u64, health: Health) {
        self.look_at_clock(clock_ms);
        let registry = self.connection.registry;
        registry.acting(&self.session.who, &health.acting);
        self.session.touch(Some((policy, health)));
    }

    async fn records(
        &mut self,
        (epoch, first, count): (u64, u64, u32),
        payload: &[u8],
    ) -> Result<ToAgent, End> {
        if first == 0 || !(1..=RECORDS_MAX).contains(&count) {
            return Err(nonsense(
                "records are numbered from 1, at most 10,000 at once",
            ));
        }
        if let Some(wait) = self.flood(count) {
            return Ok(wait);
        }
        let last = first.saturating_add(u64::from(count) - 1);
        let (known, through) = self.session.mark();
        if epoch == known && last <= through {
            // An answer that was lost is one thing; what is long stored is another.
            if through - last > u64::from(RECORDS_MAX) {
                let words =
                    format!("it sent records {first} to {last} again; {through} are stored");
                self.doubt(AgentDoubt::Replay, words);
            }
            return Ok(ToAgent::Stored { epoch, through });
        }
        let lines = unpack(payload, count)?;
        let skip = match epoch == known {
            true => usize::try_from((through + 1).saturating_sub(first)).unwrap_or(usize::MAX),
            false => 0,
        };
        let mut records = Vec::with_capacity(lines.len());
        for (number, line) in (first..).zip(lines).skip(skip) {
            records.push((self.key(epoch, number), self.own(line)));
        }
        match self.connection.desk.keep(self.session, records).await {
            Kept::Durable => {
                self.session.set_mark(epoch, last);
                Ok(ToAgent::Stored {
                    epoch,
                    through: last,
                })
            }
            Kept::Later => Ok(ToAgent::Hold { ms: LATER_MS }),
        }
    }

    /// Whether the agent must wait.
    fn flood(&mut self, count: u32) -> Option<ToAgent> {
        let rate = session_rate(self.session);
        if rate != self.rate {
            self.bucket.set_rate(rate, BURST_S);
            self.rate = rate;
        }
        let wait = self.bucket.take(count, Instant::now()).err()?;
        let words = format!(
            "it sends more than {} records a second over a minute; it is slowed down",
            self.rate
        );
        self.doubt(AgentDoubt::Flood, words);
        self.held_until = Some(tokio::time::Instant::now() + wait);
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        Some(ToAgent::Hold { ms: ms.max(1) })
    }

    /// The same record has the same key whenever it comes.
    fn key(&self, epoch: u64, number: u64) -> u128 {
        let mut hasher = Sha256::new();
        hasher.update(self.session.who.tenant.as_bytes());
        hasher.update([0]);
        hasher.update(self.session.who.agent.as_bytes());
        hasher.update(epoch.to_le_bytes());
        hasher.update(number.to_le_bytes());
        let digest = hasher.finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        u128::from_le_bytes(bytes).max(1)
    }

    /// A record under the name of the host that was enrolled: an agent that lies can only lie
    /// about itself. What it said stays beside it.
    fn own(&self, line: Bytes) -> Bytes {
        let claims: Option<Claims<'_>> = serde_json::from_slice(&line).ok();
        let host = &self.session.host;
        let agent = self.session.who.agent.as_str();
        let is_own = |claims: &Claims<'_>| {
            let named = claims.host.as_ref().and_then(|one| one.name.as_deref());
            let journal = claims.hostname.as_deref();
            let by = claims
                .watchfloor
                .as_ref()
                .and_then(|one| one.agent.as_deref());
            named
                .or(journal)
                .is_none_or(|name| name.eq_ignore_ascii_case(host))
                && by == Some(agent)
        };
        if claims.as_ref().is_some_and(is_own) {
            return line;
        }
        let Ok(serde_json::Value::Object(mut record)) = serde_json::from_slice(&line) else {
            // No object: it is kept as it came, and the mapping says what is wrong with it.
            return line;
        };
        self.doubt(
            AgentDoubt::OtherName,
            "its records name another host or agent; they are kept under its own name",
        );
        let claimed = record.insert("host".to_owned(), serde_json::json!({ "name": host }));
        let hostname = record.remove("_HOSTNAME");
        let kind = record
            .get("watchfloor")
            .and_then(|one| one.get("kind"))
            .cloned();
        record.insert(
            "watchfloor".to_owned(),
            serde_json::json!({
                "kind": kind, "agent": agent, "claimed_host": claimed.or(hostname),
            }),
        );
        serde_json::to_vec(&record).map_or(line, Bytes::from)
    }
}

/// What a record says of where it comes from.
#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    host: Option<ClaimedHost<'a>>,
    #[serde(borrow, rename = "_HOSTNAME")]
    hostname: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    watchfloor: Option<ClaimedAgent<'a>>,
}

#[derive(Deserialize)]
struct ClaimedHost<'a> {
    #[serde(borrow)]
    name: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ClaimedAgent<'a> {
    #[serde(borrow)]
    agent: Option<std::borrow::Cow<'a, str>>,
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The lines of a payload, each without its end; never more bytes than a message may have.
fn unpack(payload: &[u8], count: u32) -> Result<Vec<Bytes>, End> {
    let mut plain = Vec::new();
    let limit = RECORDS_BYTES_MAX as u64 + 1;
    flate2::read::GzDecoder::new(payload)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|error| nonsense(format!("records cannot be unpacked: {error}")))?;
    if plain.len() > RECORDS_BYTES_MAX {
        return Err(nonsense(format!(
            "records have more than {RECORDS_BYTES_MAX} bytes once they are unpacked"
        )));
    }
    if plain.last() == Some(&b'\n') {
        plain.pop();
    }
    let plain = Bytes::from(plain);
    let lines: Vec<Bytes> = plain
        .split(|byte| *byte == b'\n')
        .map(|line| plain.slice_ref(line))
        .collect();
    if lines.len() != count as usize {
        return Err(nonsense(format!(
            "{} records came and {count} were announced",
            lines.len()
        )));
    }
    match lines.iter().find(|line| line.len() > RECORD_BYTES_MAX) {
        Some(long) => Err(nonsense(format!(
            "a record has {} bytes; at most {RECORD_BYTES_MAX} are taken",
            long.len()
        ))),
        None => Ok(lines),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn lines_are_counted_and_bombs_refused() {
        let lines = unpack(&packed(b"{}\n{\"a\":1}\n"), 2).ok().unwrap();
        assert_eq!(lines, [&b"{}"[..], b"{\"a\":1}"]);
        assert!(unpack(&packed(b"{}\n"), 2).is_err());
        assert!(unpack(b"no gzip", 1).is_err());
        assert!(unpack(&packed(&vec![b'a'; RECORDS_BYTES_MAX + 1]), 1).is_err());
        assert!(unpack(&packed(&vec![b'a'; RECORD_BYTES_MAX + 1]), 1).is_err());
    }
}
