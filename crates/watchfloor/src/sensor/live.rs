//! A sensor that listens: Suricata writes its events into a stream socket, and they go on to a
//! server, which answers when they are durable. While it does not, Suricata is held back as far
//! as its own buffers reach, and counts what it drops; those counts are events too.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::UnixListener;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use watchfloor_event::Format;
use watchfloor_ingest::{LocalSender, MAX_RECORD_BYTES, NewRecord, SendError};

use super::configuration::{self, Output};
use super::process;
use super::rule_files::{self, ACTIVE};
use super::settings::Settings;

/// Records sent at once, and how long they gather.
const GROUP_RECORDS: usize = 1000;
const GATHER_WAIT: Duration = Duration::from_millis(200);
/// Lines that wait for the server.
const MAX_WAITING: usize = 20_000;
/// First and longest wait before Suricata is started again, and after how long a run is good.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const GOOD_RUN: Duration = Duration::from_secs(60);
/// Wait before a server that does not answer is asked again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// How long Suricata may take to end.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Where events go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The server that has this data folder, on the same machine.
    Folder(PathBuf),
    /// A server by its URL, with a token.
    Url {
        /// As `https://host:8787`.
        url: String,
        /// A token with the scope `ingest`.
        token: String,
    },
}

/// Runs Suricata until told to stop.
pub(crate) async fn watch(
    folder: &Path,
    settings: &Settings,
    target: &Target,
    stop: &CancellationToken,
) -> Result<()> {
    if settings.interfaces.is_empty() {
        bail!(
            "no interface is named; say --interface eth0, or interfaces = [\"eth0\"] in sensor.toml"
        );
    }
    if !folder.join(ACTIVE).is_file() {
        rule_files::build(folder, settings)?;
    }
    let socket = folder.join("eve.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket)
        .with_context(|| format!("the socket {} cannot be made", socket.display()))?;
    let (lines, waiting) = mpsc::channel(MAX_WAITING);
    let source: Arc<str> = Arc::from(format!("suricata:{}", settings.name));
    let sending = tokio::spawn(send(waiting, target.clone(), source, stop.clone()));
    let taking = tokio::spawn(take(listener, lines, stop.clone()));
    let config = configuration::write(folder, settings, &Output::Socket(socket))?;
    let result = keep_running(folder, settings, &config, stop).await;
    stop.cancel();
    let _ = taking.await;
    let _ = tokio::time::timeout(END_LIMIT, sending).await;
    result
}

/// Starts Suricata again whenever it ends, later each time if it ends at once.
async fn keep_running(
    folder: &Path,
    settings: &Settings,
    config: &Path,
    stop: &CancellationToken,
) -> Result<()> {
    let program = process::program(settings)?;
    let mut wait = FIRST_WAIT;
    loop {
        let start = Instant::now();
        let mut child = Command::new(&program)
            .arg("-c")
            .arg(config)
            .arg("-S")
            .arg(folder.join(ACTIVE))
            .arg("-l")
            .arg(log_folder(folder)?)
            .arg("--af-packet")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} cannot be started", program.display()))?;
        println!("suricata runs on {}", settings.interfaces.join(", "));
        let ended = tend(&mut child, folder, settings, stop).await?;
        if !ended {
            return end(child).await;
        }
        let ran = start.elapsed();
        wait = if ran >= GOOD_RUN {
            FIRST_WAIT
        } else {
            (wait * 2).min(LONGEST_WAIT)
        };
        let logs = log_folder(folder)?;
        eprintln!(
            "watchfloor: Suricata ended after {} s; it is started again in {} s; see {}",
            ran.as_secs(),
            wait.as_secs(),
            logs.join("suricata.log").display()
        );
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Waits for Suricata's end and updates rules meanwhile; `false` if it was told to stop.
async fn tend(
    child: &mut Child,
    folder: &Path,
    settings: &Settings,
    stop: &CancellationToken,
) -> Result<bool> {
    let hours = u64::from(settings.update_hours);
    let every = Duration::from_secs(if hours == 0 { 365 * 24 } else { hours } * 3600);
    let stamp = |path: &Path| {
        std::fs::metadata(path)
            .and_then(|file| file.modified())
            .ok()
    };
    let rules = folder.join(ACTIVE);
    let mut known = stamp(&rules);
    let mut update = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    let mut look = tokio::time::interval(Duration::from_secs(2));
    loop {
        tokio::select! {
            ended = child.wait() => {
                ended.context("Suricata cannot be waited for")?;
                return Ok(true);
            }
            () = stop.cancelled() => return Ok(false),
            _ = update.tick() => refresh(folder, settings).await,
            _ = look.tick() => {
                // Rules that were made anew, by us or by `sensor rules`, are taken up as they
                // are, without a packet lost (SIGUSR2).
                let now = stamp(&rules);
                if now != known {
                    known = now;
                    signal(child, rustix::process::Signal::USR2);
                }
            }
        }
    }
}

async fn refresh(folder: &Path, settings: &Settings) {
    for (name, error) in rule_files::update(folder, settings).await {
        eprintln!("watchfloor: rule set {name} stays as it was: {error:#}");
    }
    let (folder, settings) = (folder.to_owned(), settings.clone());
    let built = tokio::task::spawn_blocking(move || rule_files::build(&folder, &settings)).await;
    match built {
        Ok(Ok(active)) => println!("{} rules are in use", active.rules),
        Ok(Err(error)) => eprintln!("watchfloor: {error:#}"),
        Err(error) => eprintln!("watchfloor: rules were not built: {error}"),
    }
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(id) = id.and_then(rustix::process::Pid::from_raw)
        && let Err(error) = rustix::process::kill_process(id, signal)
    {
        eprintln!("watchfloor: Suricata cannot be signalled: {error}");
    }
}

async fn end(mut child: Child) -> Result<()> {
    signal(&child, rustix::process::Signal::TERM);
    if tokio::time::timeout(END_LIMIT, child.wait()).await.is_err() {
        child.kill().await.context("Suricata cannot be ended")?;
    }
    Ok(())
}

fn log_folder(folder: &Path) -> Result<PathBuf> {
    let logs = folder.join("log");
    std::fs::create_dir_all(&logs)
        .with_context(|| format!("cannot make the folder {}", logs.display()))?;
    Ok(logs)
}

/// Takes lines from the socket; a full channel holds Suricata back.
async fn take(listener: UnixListener, lines: mpsc::Sender<Bytes>, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (lines, stop) = (lines.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = read_lines(stream, &lines) => {}
            }
        });
    }
}

async fn read_lines(stream: impl AsyncRead + Unpin, lines: &mpsc::Sender<Bytes>) {
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|read| read > 0)
    {
        while line.last().is_some_and(u8::is_ascii_whitespace) {
            line.pop();
        }
        line.truncate(MAX_RECORD_BYTES);
        let bytes = Bytes::from(std::mem::take(&mut line));
        if !bytes.is_empty() && lines.send(bytes).await.is_err() {
            return;
        }
    }
}

/// Sends lines in groups, each until the server has it.
async fn send(
    mut waiting: mpsc::Receiver<Bytes>,
    target: Target,
    source: Arc<str>,
    stop: CancellationToken,
) {
    let mut link = Link::default();
    while let Some(first) = waiting.recv().await {
        let mut group = vec![first];
        let until = tokio::time::Instant::now() + GATHER_WAIT;
        while group.len() < GROUP_RECORDS
            && let Ok(Some(line)) = tokio::time::timeout_at(until, waiting.recv()).await
        {
            group.push(line);
        }
        while let Err(error) = link.send(&target, &source, &group).await {
            eprintln!("watchfloor: {error:#}; trying again");
            link = Link::default();
            if stop.is_cancelled() {
                return;
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
}

/// A connection to the server.
#[derive(Default)]
struct Link {
    local: Option<LocalSender>,
    http: Option<reqwest::Client>,
}

impl Link {
    async fn send(&mut self, target: &Target, source: &Arc<str>, group: &[Bytes]) -> Result<()> {
        match target {
            Target::Folder(folder) => self.send_local(folder, source, group).await,
            Target::Url { url, token } => self.post(url, token, source, group).await,
        }
    }

    async fn send_local(
        &mut self,
        folder: &Path,
        source: &Arc<str>,
        group: &[Bytes],
    ) -> Result<()> {
        let mut sender = match self.local.take() {
            Some(sender) => sender,
            None => LocalSender::connect(folder).await?,
        };
        let received_at = Timestamp::now();
        let records: Vec<NewRecord> = group
            .iter()
            .map(|bytes| NewRecord {
                source: Arc::clone(source),
                format: Format::Json,
                context: None,
                received_at,
                idempotency_key: 0,
                bytes: bytes.clone(),
            })
            .collect();
        loop {
            match sender.send(&records).await {
                Ok(()) => break,
                Err(SendError::Busy) => tokio::time::sleep(RETRY_WAIT).await,
                Err(error) => return Err(error.into()),
            }
        }
        self.local = Some(sender);
        Ok(())
    }

    async fn post(&mut self, url: &str, token: &str, source: &str, group: &[Bytes]) -> Result<()> {
        let client = match self.http.take() {
            Some(client) => client,
            None => watchfloor_forward::http_client(Duration::from_secs(30))?,
        };
        let answer = client
            .post(url_of(url, source)?)
            .bearer_auth(token)
            .header("content-type", "application/x-ndjson")
            .body(group.join(&b'\n'))
            .send()
            .await
            .with_context(|| format!("{url} does not answer"))?;
        if !answer.status().is_success() {
            let status = answer.status();
            let text = answer.text().await.unwrap_or_default();
            bail!(
                "{url} answered {status}: {}",
                text.chars().take(200).collect::<String>()
            );
        }
        self.http = Some(client);
        Ok(())
    }
}

fn url_of(url: &str, source: &str) -> Result<url::Url> {
    let path = format!("{}/ingest/ndjson", url.trim_end_matches('/'));
    url::Url::parse_with_params(&path, [("source", source)])
        .with_context(|| format!("'{url}' is no URL"))
}
