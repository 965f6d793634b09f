//! A small server that speaks with agents, and an agent as a process.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use watchfloor_link::{
    Act, ActOutcome, Frame, HEAD_BYTES, Head, Health, LogFile, Policy, ProcessEvents, ToAgent,
    ToServer, UpdateOffer,
};

/// Longest wait for anything.
pub(crate) const WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    pub update_key: Ed25519KeyPair,
    /// Begin and end of certificates that are given out, in seconds from now.
    pub life_s: Mutex<(i64, i64)>,
    /// Names of the agents that are enrolled from now on.
    pub agent: Mutex<String>,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let made = params.self_signed(&key).unwrap();
        Self {
            certificate: made.der().clone(),
            pem: made.pem(),
            issuer: Issuer::new(params, key),
            update_key: Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap(),
            life_s: Mutex::new((-3_600, 90 * 86_400)),
            agent: Mutex::new("agent-1".to_owned()),
        }
    }

    pub(crate) fn pin(&self) -> String {
        let hash = ring::digest::digest(&ring::digest::SHA256, &self.certificate);
        hex::encode(hash)
    }

    /// Signs a request; what an agent is given.
    fn issue(&self, request: &[u8]) -> Vec<u8> {
        let request = CertificateSigningRequestDer::from(request.to_vec());
        let request = CertificateSigningRequestParams::from_der(&request).unwrap();
        let mut params = CertificateParams::default();
        let name = self.agent.lock().unwrap().clone();
        params.distinguished_name.push(DnType::CommonName, name);
        let (begin, end) = *self.life_s.lock().unwrap();
        let at = |seconds: i64| {
            let since = (now_ms() / 1_000 + seconds) as u64;
            rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since)
        };
        (params.not_before, params.not_after) = (at(begin), at(end));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let made = params.signed_by(&request.public_key, &self.issuer).unwrap();
        let key = base64(self.update_key.public_key().as_ref());
        let key = format!(
            "-----BEGIN ED25519 PUBLIC KEY-----\n{key}\n-----END ED25519 PUBLIC KEY-----\n"
        );
        format!("{}{}{key}", made.pem(), self.pem).into_bytes()
    }

    fn tls(&self) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["watchfloor-fleet".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let made = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![made.der().clone(), self.certificate.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let word = part
            .iter()
            .fold(0u32, |sum, byte| (sum << 8) | u32::from(*byte))
            << (8 * (3 - part.len()));
        for at in 0..4 {
            match at <= part.len() {
                true => text.push(LETTERS[(word >> (18 - 6 * at)) as usize & 63] as char),
                false => text.push('='),
            }
        }
    }
    text
}

/// What the server heard.
#[derive(Default)]
pub(crate) struct Heard {
    pub enrolments: Vec<String>,
    pub hellos: u32,
    pub renewals: u32,
    /// Records by number. A number that came with two contents fails the test.
    pub records: BTreeMap<(u64, u64), String>,
    pub outcomes: Vec<(String, ActOutcome)>,
    pub health: Option<Health>,
    pub policy: u64,
    pub files: BTreeMap<String, Vec<u8>>,
    pub hashes: BTreeMap<String, String>,
    /// Records are held off and not kept.
    pub is_holding: bool,
    pub held: u32,
    /// Records are taken and nothing is said of it.
    pub is_silent: bool,
    pub update: Vec<u8>,
    outgoing: Option<mpsc::UnboundedSender<Frame<ToAgent>>>,
}

impl Heard {
    /// Messages of log lines, in the order of their numbers.
    pub(crate) fn messages(&self) -> Vec<String> {
        self.of_kind("log")
            .iter()
            .map(|value| value["message"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Value> {
        let values = self
            .records
            .values()
            .map(|text| serde_json::from_str::<Value>(text).unwrap());
        values
            .filter(|value| value["watchfloor"]["kind"] == kind)
            .collect()
    }
}

pub(crate) struct Server {
    pub address: SocketAddr,
    pub authority: Arc<Authority>,
    pub heard: Arc<Mutex<Heard>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_at("127.0.0.1:0", Arc::new(Authority::new()), Arc::default())
    }

    pub(crate) fn start_at(at: &str, authority: Arc<Authority>, heard: Arc<Mutex<Heard>>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let until = Instant::now() + WAIT;
        let listener = loop {
            match runtime.block_on(TcpListener::bind(at)) {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < until, "{at}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let address = listener.local_addr().unwrap();
        let (acceptor, authority_of, heard_of) =
            (authority.tls(), Arc::clone(&authority), Arc::clone(&heard));
        runtime.spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, authority, heard) = (
                    acceptor.clone(),
                    Arc::clone(&authority_of),
                    Arc::clone(&heard_of),
                );
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(tcp).await {
                        serve(stream, authority, heard).await;
                    }
                });
            }
        });
        Self {
            address,
            authority,
            heard,
            runtime: Some(runtime),
        }
    }

    /// Ends the server; what it heard and its authority can begin another one.
    pub(crate) fn stop(mut self) -> (String, Arc<Authority>, Arc<Mutex<Heard>>) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        self.heard.lock().unwrap().outgoing = None;
        (
            self.address.to_string(),
            Arc::clone(&self.authority),
            Arc::clone(&self.heard),
        )
    }

    pub(crate) fn token(&self) -> String {
        format!("wfe1.{}.{}", "ab".repeat(32), self.authority.pin())
    }

    pub(crate) fn say(&self, message: ToAgent) {
        let heard = self.heard.lock().unwrap();
        heard
            .outgoing
            .as_ref()
            .unwrap()
            .send(message.into())
            .unwrap();
    }

    pub(crate) fn act(&self, act: &Act) {
        self.say(ToAgent::Act { act: act.clone() });
    }

    /// Waits for something that the server hears.
    pub(crate) fn wait<T>(&self, what: &str, look: impl Fn(&Heard) -> Option<T>) -> T {
        let until = Instant::now() + WAIT;
        loop {
            if let Some(found) = look(&self.heard.lock().unwrap()) {
                return found;
            }
            assert!(Instant::now() < until, "{what} did not come");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_connected(&self) {
        self.wait("a connection", |heard| heard.outgoing.as_ref().map(|_| ()));
    }

    /// Waits for the outcome of an action and takes it away.
    pub(crate) fn outcome(&self, key: &str) -> ActOutcome {
        let outcome = self.wait(&format!("the outcome of {key}"), |heard| {
            let found = heard.outcomes.iter().find(|(of, _)| of == key)?;
            Some(found.1.clone())
        });
        self.heard
            .lock()
            .unwrap()
            .outcomes
            .retain(|(of, _)| of != key);
        outcome
    }

    pub(crate) fn offer(&self, version: &str, binary: Vec<u8>, signer: &Ed25519KeyPair) {
        let sha256 = hex::encode(ring::digest::digest(&ring::digest::SHA256, &binary));
        let text = UpdateOffer::signed_text(version, "linux-x86_64", &sha256);
        let offer = UpdateOffer {
            version: version.to_owned(),
            size: binary.len() as u64,
            sha256,
            signature: hex::encode(signer.sign(text.as_bytes())),
        };
        self.heard.lock().unwrap().update = binary;
        self.say(ToAgent::Update { offer });
    }
}

async fn serve(
    stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
    authority: Arc<Authority>,
    heard: Arc<Mutex<Heard>>,
) {
    let has_certificate = stream.get_ref().1.peer_certificates().is_some();
    let (mut reader, mut writer) = split(stream);
    let (say, mut said) = mpsc::unbounded_channel::<Frame<ToAgent>>();
    let writing = tokio::spawn(async move {
        while let Some(frame) = said.recv().await {
            if writer.write_all(&frame.encode().unwrap()).await.is_err() {
                return;
            }
            let _ = writer.flush().await;
        }
        let _ = writer.shutdown().await;
    });
    loop {
        let mut head = [0; HEAD_BYTES];
        if reader.read_exact(&mut head).await.is_err() {
            break;
        }
        let head = Head::parse(head).unwrap();
        let mut rest = vec![0; head.rest()];
        if reader.read_exact(&mut rest).await.is_err() {
            break;
        }
        let frame = Frame::<ToServer>::decode(head, rest).unwrap();
        let is_enrolment = matches!(frame.message, ToServer::Enrol { .. });
        assert!(is_enrolment || has_certificate);
        for answer in answer(frame, &authority, &heard, &say) {
            let _ = say.send(answer);
        }
    }
    let mut heard = heard.lock().unwrap();
    if heard
        .outgoing
        .as_ref()
        .is_some_and(|one| one.same_channel(&say))
    {
        heard.outgoing = None;
    }
    drop(heard);
    drop(say);
    drop(writing);
}

fn answer(
    frame: Frame<ToServer>,
    authority: &Authority,
    heard: &Mutex<Heard>,
    say: &mpsc::UnboundedSender<Frame<ToAgent>>,
) -> Vec<Frame<ToAgent>> {
    let mut heard = heard.lock().unwrap();
    match frame.message {
        ToServer::Enrol { secret, .. } => {
            heard.enrolments.push(secret);
            vec![certificate(authority, &frame.payload)]
        }
        ToServer::Renew => {
            heard.renewals += 1;
            vec![certificate(authority, &frame.payload)]
        }
        ToServer::Hello { policy, .. } => {
            heard.hellos += 1;
            heard.policy = policy;
            heard.outgoing = Some(say.clone());
            vec![
                ToAgent::Welcome {
                    agent: authority.agent.lock().unwrap().clone(),
                    clock_ms: now_ms(),
                    heartbeat_s: 1,
                }
                .into(),
            ]
        }
        ToServer::Records {
            epoch,
            first,
            count,
        } => records(&mut heard, epoch, first, count, &frame.payload),
        ToServer::Heartbeat { policy, health, .. } => {
            heard.policy = policy;
            heard.health = Some(health);
            Vec::new()
        }
        ToServer::Acted { key, outcome } => {
            heard.outcomes.push((key, outcome));
            Vec::new()
        }
        ToServer::File {
            key,
            name,
            offset,
            sha256,
        } => {
            let file = heard.files.entry(name.clone()).or_default();
            file.truncate(offset as usize);
            file.extend_from_slice(&frame.payload);
            match sha256 {
                Some(sha256) => {
                    heard.hashes.insert(name.clone(), sha256);
                    vec![ToAgent::FileStored { key, name }.into()]
                }
                None => Vec::new(),
            }
        }
        ToServer::FetchUpdate { version, offset } => {
            let from = (offset as usize).min(heard.update.len());
            let to = (from + 300_000).min(heard.update.len());
            vec![Frame {
                message: ToAgent::UpdatePart { version, offset },
                payload: heard.update[from..to].to_vec(),
            }]
        }
    }
}

fn certificate(authority: &Authority, request: &[u8]) -> Frame<ToAgent> {
    // Not within the expression: it would be held while the certificate is made.
    let agent = authority.agent.lock().unwrap().clone();
    Frame {
        message: ToAgent::Certificate { agent },
        payload: authority.issue(request),
    }
}

fn records(
    heard: &mut Heard,
    epoch: u64,
    first: u64,
    count: u32,
    payload: &[u8],
) -> Vec<Frame<ToAgent>> {
    if heard.is_holding {
        heard.held += 1;
        return vec![ToAgent::Hold { ms: 300 }.into()];
    }
    let mut text = String::new();
    GzDecoder::new(payload).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), count as usize);
    for (number, line) in (first..).zip(text.lines()) {
        let before = heard.records.insert((epoch, number), line.to_owned());
        assert!(
            before.is_none_or(|before| before == line),
            "{number} has two contents"
        );
    }
    if heard.is_silent {
        return Vec::new();
    }
    let through = first + u64::from(count) - 1;
    vec![ToAgent::Stored { epoch, through }.into()]
}

pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// An agent's folder, its binary and its process.
pub(crate) struct Agent {
    pub folder: tempfile::TempDir,
    pub binary: PathBuf,
    /// What the binary is started by, such as `ip netns exec NAME`.
    pub wrap: Vec<String>,
    process: Option<Child>,
}

impl Agent {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            binary: PathBuf::from(env!("CARGO_BIN_EXE_watchfloor-agent")),
            wrap: Vec::new(),
            process: None,
        }
    }

    fn command(&self) -> Command {
        match self.wrap.split_first() {
            Some((program, rest)) => {
                let mut command = Command::new(program);
                command.args(rest).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("app.log")
    }

    pub(crate) fn enrol(&self, server: &Server) {
        let output = self.try_enrol(&server.address.to_string(), &server.token());
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn try_enrol(&self, server: &str, token: &str) -> Output {
        self.try_enrol_with(server, token, &[])
    }

    pub(crate) fn try_enrol_with(&self, server: &str, token: &str, more: &[&str]) -> Output {
        self.command()
            .args(["enrol", "--server", server, "--token", token, "--data"])
            .arg(self.data())
            .args(more)
            .output()
            .unwrap()
    }

    /// Enrols and runs with a policy that watches one log file.
    pub(crate) fn begin(server: &Server) -> Self {
        let mut agent = Self::new();
        agent.enrol(server);
        agent.set_policy(&quiet_policy(&agent.log()));
        agent.run();
        server.wait_connected();
        agent
    }

    pub(crate) fn set_policy(&self, policy: &Policy) {
        let bytes = serde_json::to_vec(policy).unwrap();
        std::fs::write(self.data().join("policy.json"), bytes).unwrap();
    }

    pub(crate) fn run(&mut self) {
        let process = self
            .command()
            .arg("run")
            .arg("--data")
            .arg(self.data())
            .env("WATCHFLOOR_AGENT_TRIAL_S", "3")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|one| one.try_wait().unwrap().is_none())
    }

    pub(crate) fn status(&self) -> String {
        let output = Command::new(&self.binary)
            .args(["status", "--data"])
            .arg(self.data())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A policy that watches one log file and nothing else.
pub(crate) fn quiet_policy(log: &Path) -> Policy {
    Policy {
        revision: 1,
        log_files: vec![LogFile::plain(&log.to_string_lossy())],
        journald: false,
        processes: ProcessEvents::Off,
        integrity: Vec::new(),
        logins: false,
        network: false,
        inventory_every_s: 0,
        checks_every_s: 0,
        records_per_second: 100_000,
        cpu_percent: 100,
        memory_mib: 256,
        ..Policy::default()
    }
}
