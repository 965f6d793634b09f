//! Routes and destinations as the configuration writes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use url::Url;
use watchfloor_forward::{
    Bucket, BucketOptions, Destination, Http, HttpOptions, Kafka, KafkaOptions, Syslog,
    SyslogTarget, Transport,
};
use watchfloor_pipeline::{
    Act, Form, ForwardOptions, Forwarder, MaskKey, MaskStyle, RouteRule, Routes, Stage,
};

use crate::sources::KafkaSecurity;

/// Bytes that wait for a destination, unless told otherwise: 1 GiB.
const SPOOL_MIB: u64 = 1024;
/// Folder of the spools in the data folder.
const FOLDER: &str = "forward";
/// File of the secret with which masked values are hashed.
const KEY_FILE: &str = "mask.key";
const KEY_BYTES: usize = 32;
/// Characters that stay of a value that is cut off.
const KEPT_LETTERS: usize = 4;

/// `[[routes]]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteConfig {
    name: String,
    /// Names of sources, `*` for anything; all if there is none.
    #[serde(default)]
    sources: Vec<String>,
    /// `before` decoding or `after` normalisation; told by the rest if it is left out.
    stage: Option<StageWord>,
    /// An expression that the raw record must hold.
    raw: Option<String>,
    /// A search that the event must answer to.
    search: Option<String>,
    /// Leave it out.
    #[serde(default)]
    drop: bool,
    /// Keep this share.
    sample: Option<f64>,
    /// Mask something.
    mask: Option<MaskConfig>,
    /// Send a copy to this destination.
    forward: Option<String>,
    /// In this form.
    #[serde(rename = "as")]
    form: Option<FormWord>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StageWord {
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FormWord {
    Raw,
    Ocsf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskConfig {
    #[serde(default)]
    fields: Vec<String>,
    pattern: Option<String>,
    how: How,
    /// Characters that stay with `how = "truncate"`.
    keep: Option<usize>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Hash,
    Truncate,
    Remove,
}

/// `[forward.NAME]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum ForwardConfig {
    /// A syslog server.
    Syslog {
        /// As `tcp://host:514`, `udp://…` or `tls://…`.
        url: Url,
        /// Certificate of the server's authority (PEM), for TLS.
        authority: Option<PathBuf>,
        /// MiB that may wait.
        spool_mib: Option<u64>,
    },
    /// An HTTP end point that takes lines.
    Http {
        /// Where.
        url: Url,
        /// Headers of each request.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// Whether bodies are compressed.
        #[serde(default)]
        gzip: bool,
        /// MiB that may wait.
        spool_mib: Option<u64>,
    },
    /// A topic of Kafka.
    Kafka {
        /// As `host:9092`.
        brokers: Vec<String>,
        /// The topic; it must be there.
        topic: String,
        /// TLS and login.
        #[serde(default)]
        security: KafkaSecurity,
        /// MiB that may wait.
        spool_mib: Option<u64>,
    },
    /// An S3-compatible bucket.
    S3 {
        /// As `s3://bucket/prefix`.
        url: Url,
        /// How the store is reached.
        #[serde(default)]
        storage: BTreeMap<String, String>,
        /// MiB that may wait.
        spool_mib: Option<u64>,
    },
}

impl ForwardConfig {
    fn spool_bytes(&self) -> u64 {
        let (Self::Syslog { spool_mib, .. }
        | Self::Http { spool_mib, .. }
        | Self::Kafka { spool_mib, .. }
        | Self::S3 { spool_mib, .. }) = self;
        spool_mib.unwrap_or(SPOOL_MIB).saturating_mul(1 << 20)
    }

    fn destination(&self) -> Result<Arc<dyn Destination>> {
        Ok(match self {
            Self::Syslog { url, authority, .. } => {
                let transport = match url.scheme() {
                    "udp" => Transport::Udp,
                    "tcp" => Transport::Tcp,
                    "tls" => Transport::Tls {
                        authority: authority.clone(),
                    },
                    other => bail!("'{other}' is no way to send syslog; take udp, tcp or tls"),
                };
                let standard = if url.scheme() == "tls" { 6514 } else { 514 };
                let host = url.host_str().context("the URL names no host")?;
                Arc::new(Syslog::new(SyslogTarget {
                    host: host.trim_matches(['[', ']']).to_owned(),
                    port: url.port().unwrap_or(standard),
                    transport,
                    host_name: host_name(),
                })?)
            }
            Self::Http {
                url, headers, gzip, ..
            } => Arc::new(Http::new(&HttpOptions {
                url: url.clone(),
                headers: headers.clone(),
                gzip: *gzip,
            })?),
            Self::Kafka {
                brokers,
                topic,
                security,
                ..
            } => {
                if brokers.is_empty() || topic.is_empty() {
                    bail!("brokers and topic must be named");
                }
                let access = security.access(brokers.clone())?;
                Arc::new(Kafka::new(KafkaOptions {
                    builder: Box::new(move || access.builder()),
                    brokers: brokers.join(", "),
                    topic: topic.clone(),
                }))
            }
            Self::S3 { url, storage, .. } => Arc::new(Bucket::new(&BucketOptions {
                location: url.clone(),
                storage: storage.clone(),
            })?),
        })
    }
}

/// Makes the routes of a configuration and starts what they forward to.
pub(crate) fn start(
    data: &Path,
    routes: &[RouteConfig],
    forwards: &BTreeMap<String, ForwardConfig>,
    stop: &CancellationToken,
) -> Result<Routes> {
    let mut forwarders = BTreeMap::new();
    for (name, config) in forwards {
        let what = || format!("[forward.{name}]");
        check_name(name).with_context(what)?;
        let destination = config.destination().with_context(what)?;
        let options = ForwardOptions {
            spool_bytes_max: config.spool_bytes(),
        };
        let folder = data.join(FOLDER).join(name);
        let started = Forwarder::start(name, &folder, destination, options, stop.clone());
        forwarders.insert(name.clone(), started.with_context(what)?);
    }
    if routes.is_empty() {
        return Ok(Routes::default());
    }
    let rules = routes.iter().map(rule).collect::<Result<Vec<_>>>()?;
    Ok(Routes::new(rules, forwarders, mask_key(data)?)?)
}

/// It becomes the name of a folder.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
        bail!("a destination's name has letters, digits, - and _ only, at most 64");
    }
    Ok(())
}

fn rule(config: &RouteConfig) -> Result<RouteRule> {
    let name = &config.name;
    let mut acts = Vec::new();
    if config.drop {
        acts.push(Act::Drop);
    }
    acts.extend(config.sample.map(Act::Sample));
    if let Some(mask) = &config.mask {
        acts.push(mask_act(mask).with_context(|| format!("route '{name}'"))?);
    }
    let form = match config.form.unwrap_or(FormWord::Raw) {
        FormWord::Raw => Form::Raw,
        FormWord::Ocsf => Form::Ocsf,
    };
    let to = config.forward.clone();
    acts.extend(to.map(|to| Act::Forward { to, form }));
    let act = match acts.as_slice() {
        [act] => act.clone(),
        [] => bail!("route '{name}' does nothing; say drop = true, sample, mask or forward"),
        _ => bail!("route '{name}' does several things; make a route of each, in their order"),
    };
    let needs_fields = config.search.is_some()
        || config.form == Some(FormWord::Ocsf)
        || matches!(act, Act::MaskFields { .. });
    let stage = match config.stage {
        Some(StageWord::Before) => Stage::Before,
        Some(StageWord::After) => Stage::After,
        None if needs_fields => Stage::After,
        None => Stage::Before,
    };
    Ok(RouteRule {
        name: name.clone(),
        sources: config.sources.clone(),
        stage,
        raw: config.raw.clone(),
        search: config.search.clone(),
        act,
    })
}

fn mask_act(mask: &MaskConfig) -> Result<Act> {
    let style = match mask.how {
        How::Hash => MaskStyle::Hash,
        How::Truncate => MaskStyle::Truncate(mask.keep.unwrap_or(KEPT_LETTERS)),
        How::Remove => MaskStyle::Remove,
    };
    match (&mask.pattern, mask.fields.is_empty()) {
        (Some(pattern), true) => Ok(Act::MaskText {
            pattern: pattern.clone(),
            style,
        }),
        (None, false) => Ok(Act::MaskFields {
            fields: mask.fields.clone(),
            style,
        }),
        _ => bail!("mask takes either fields or a pattern"),
    }
}

/// The secret of this data folder, made when it is first needed.
fn mask_key(data: &Path) -> Result<MaskKey> {
    let path = data.join(KEY_FILE);
    if let Ok(bytes) = std::fs::read(&path)
        && bytes.len() == KEY_BYTES
    {
        return Ok(MaskKey::new(bytes));
    }
    let mut bytes = vec![0; KEY_BYTES];
    getrandom::fill(&mut bytes).context("no random numbers")?;
    write_secret(&path, &bytes).with_context(|| {
        format!(
            "the secret for masks cannot be written to {}",
            path.display()
        )
    })?;
    Ok(MaskKey::new(bytes))
}

fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The name of this machine.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "-".to_owned(),
        name => name.to_owned(),
    }
}
