//! Sources that are read from, not listened to: `kind = "kafka"`, `"nats"` and `"s3"`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use serde::Deserialize;
use watchfloor_decode::framing;
use watchfloor_ingest::{
    CutRecord, Cutter, KafkaAccess, KafkaLogin, KafkaOptions, KafkaStart, NatsSourceOptions,
    Running, S3Options, S3Start, client_config, run_kafka, run_nats, run_s3,
};

use super::Given;
use crate::roles::{identity, login};

/// Where a password may stand that is neither in the configuration nor in a file.
const KAFKA_PASSWORD: &str = "WATCHFLOOR_KAFKA_PASSWORD";
/// Seconds between two looks at a bucket, unless told otherwise.
const POLL_S: u64 = 60;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Kafka {
    brokers: Vec<String>,
    topics: Vec<String>,
    /// Partitions that this process reads; all when absent.
    #[serde(default)]
    partitions: Vec<i32>,
    /// `earliest` or `latest`.
    start: Option<String>,
    #[serde(default)]
    tls: bool,
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    sasl: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
}

/// TLS and login of Kafka as sources and destinations write them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaSecurity {
    #[serde(default)]
    pub(crate) tls: bool,
    pub(crate) authority: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    /// `plain`, `scram-sha-256` or `scram-sha-512`.
    pub(crate) sasl: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
}

impl KafkaSecurity {
    /// How brokers are reached with it.
    pub(crate) fn access(&self, brokers: Vec<String>) -> Result<KafkaAccess> {
        let identity = identity(self.certificate.as_ref(), self.key.as_ref(), "tls")?;
        let tls = self.tls || self.authority.is_some() || identity.is_some();
        let tls = tls.then(|| client_config(self.authority.as_deref(), identity.as_ref()));
        let tls = tls.transpose().map_err(|error| anyhow!(error))?;
        let login = self.login()?;
        Ok(KafkaAccess {
            brokers,
            tls,
            login,
        })
    }

    fn login(&self) -> Result<KafkaLogin> {
        let make = match self.sasl.as_deref() {
            None => return Ok(KafkaLogin::None),
            Some("plain") => KafkaLogin::Plain,
            Some("scram-sha-256") => KafkaLogin::Scram256,
            Some("scram-sha-512") => KafkaLogin::Scram512,
            Some(other) => {
                bail!("sasl '{other}' is not known; one of plain, scram-sha-256, scram-sha-512")
            }
        };
        let user = self.user.clone().context("sasl needs user")?;
        let password = secret(self.password_file.as_deref(), KAFKA_PASSWORD)?;
        let password = password.with_context(|| {
            format!("sasl needs password_file, or the variable {KAFKA_PASSWORD}")
        })?;
        Ok(make(user, password))
    }
}

/// The file of what a source has read.
fn positions(given: &Given, ending: &str) -> PathBuf {
    let folder = given.data.join("sources");
    folder.join(format!("{}.{ending}", given.name))
}

fn secret(file: Option<&Path>, variable: &str) -> Result<Option<String>> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read password_file {}", path.display()))?;
            Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
        }
        None => Ok(std::env::var(variable).ok()),
    }
}

pub(super) async fn kafka(given: Given) -> Result<Running> {
    let settings: Kafka = given.settings()?;
    if settings.brokers.is_empty() || settings.topics.is_empty() {
        bail!("brokers and topics must name at least one each");
    }
    let security = KafkaSecurity {
        tls: settings.tls,
        authority: settings.authority,
        certificate: settings.certificate,
        key: settings.key,
        sasl: settings.sasl,
        user: settings.user,
        password_file: settings.password_file,
    };
    let start = match settings.start.as_deref() {
        None | Some("earliest") => KafkaStart::Earliest,
        Some("latest") => KafkaStart::Latest,
        Some(other) => bail!("start '{other}' is not known; earliest or latest"),
    };
    let options = KafkaOptions {
        positions: positions(&given, "positions"),
        access: security.access(settings.brokers)?,
        topics: settings.topics,
        partitions: settings.partitions,
        start,
    };
    Ok(run_kafka(options, given.handle))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nats {
    url: String,
    stream: String,
    /// Name of the durable consumer.
    consumer: Option<String>,
    subject: Option<String>,
    /// `earliest` or `latest`, for a new consumer.
    start: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    authority: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

pub(super) async fn nats(given: Given) -> Result<Running> {
    let settings: Nats = given.settings()?;
    let from_start = match settings.start.as_deref() {
        None | Some("earliest") => true,
        Some("latest") => false,
        Some(other) => bail!("start '{other}' is not known; earliest or latest"),
    };
    let consumer = settings.consumer.unwrap_or_else(|| "watchfloor".to_owned());
    if consumer.is_empty() || consumer.contains(['.', '*', '>', ' ']) {
        bail!("consumer must be a name without '.', '*', '>' and blanks");
    }
    let options = NatsSourceOptions {
        login: login(
            settings.user.as_deref(),
            settings.password_file.as_deref(),
            "nats",
        )?,
        identity: identity(settings.certificate.as_ref(), settings.key.as_ref(), "tls")?,
        url: settings.url,
        authority: settings.authority,
        stream: settings.stream,
        consumer,
        subject: settings.subject,
        from_start,
    };
    Ok(run_nats(options, given.handle))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct S3 {
    bucket: String,
    prefix: Option<String>,
    #[serde(default)]
    suffixes: Vec<String>,
    poll_s: Option<u64>,
    /// Address of an SQS-compatible queue that tells of new objects.
    queue: Option<String>,
    /// `all`, `now`, or a time.
    start: Option<String>,
    #[serde(default)]
    storage: BTreeMap<String, String>,
}

pub(super) async fn s3(given: Given) -> Result<Running> {
    let settings: S3 = given.settings()?;
    let start = match settings.start.as_deref() {
        None | Some("all") => S3Start::All,
        Some("now") => S3Start::Since(jiff::Timestamp::now()),
        Some(time) => S3Start::Since(time.parse().map_err(|_| {
            anyhow!(
                "start '{time}' is neither 'all', 'now' nor a time such as 2026-01-31T00:00:00Z"
            )
        })?),
    };
    let poll = Duration::from_secs(settings.poll_s.unwrap_or(POLL_S));
    if poll.is_zero() {
        bail!("poll_s must be more than 0");
    }
    let options = S3Options {
        taken: positions(&given, "objects"),
        bucket: settings.bucket,
        prefix: settings.prefix,
        suffixes: settings.suffixes,
        storage: settings.storage,
        poll,
        queue: settings.queue,
        start,
        cutter: cutter(),
    };
    Ok(run_s3(options, given.handle)?)
}

/// Cuts objects as files are cut: gzip or not, JSON lists, lines, tables with a head.
fn cutter() -> Cutter {
    Arc::new(|reader, name, take| {
        let mut emit = |framed: framing::FramedRecord<'_>| -> ControlFlow<()> {
            take(CutRecord {
                bytes: Bytes::copy_from_slice(framed.bytes),
                format: framed.format,
                context: framed.context.clone(),
            })
        };
        match framing::read_records(reader, name, None, &mut emit) {
            Ok(report) => match report.problems.first() {
                None => Ok(()),
                Some(problem) => Err(format!(
                    "{} places cannot be read, the first at byte {}: {}",
                    report.problems.len(),
                    problem.offset,
                    problem.reason
                )),
            },
            Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
        }
    })
}
