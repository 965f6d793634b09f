//! Sources that the configuration names: `[sources.NAME]` with a `kind`, what all kinds
//! understand (`product`, `format`), and what is the kind's own. Each kind has a file below
//! that reads its settings and gives the running source.

mod files;
mod journald;
mod listeners;
mod otlp_grpc;
mod pull;
mod quiet;
mod syslog;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use watchfloor_casework::Casework;
use watchfloor_decode::PRODUCT_CONTEXT;
use watchfloor_event::Format;
use watchfloor_ingest::{
    DropSink, Products, Running, SourceFrame, SourceHandle, SourceOptions, SourceStates,
};
use watchfloor_normalize::PackSet;

pub(crate) use self::pull::KafkaSecurity;
use watchfloor_pipeline::Pipeline;

pub(crate) use quiet::{Quiet, QuietConfig, QuietSince};

/// `[sources.NAME]` and `[products]` as they stand in the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourcesConfig {
    /// Tables by name of the source.
    pub sources: BTreeMap<String, toml::Table>,
    /// Product by name of a record's source, or name with a network.
    pub products: BTreeMap<String, String>,
    /// When a source counts as quiet.
    pub quiet: QuietConfig,
}

/// All sources that run.
pub(crate) struct Sources {
    pub states: SourceStates,
    pub products: Arc<Products>,
    pub quiet: Quiet,
    pub tasks: Vec<JoinHandle<()>>,
}

/// What a kind gets: its name for messages, its own keys, and what to work with.
pub(crate) struct Given {
    name: String,
    table: toml::Table,
    handle: SourceHandle,
    /// The records of people and tokens.
    casework: Casework,
    /// The data folder, for what must be known after a restart.
    data: PathBuf,
    /// The word of `format`.
    format: Option<String>,
}

impl Given {
    /// The kind's own keys.
    fn settings<T: DeserializeOwned>(&self) -> Result<T> {
        let table = self.table.clone();
        table.try_into().map_err(|error: toml::de::Error| {
            anyhow!("[sources.{}]: {}", self.name, error.message())
        })
    }
}

/// Starts everything that the configuration names, and the syslog listener that is there
/// without it.
///
/// # Errors
/// If a setting cannot be used, with the name of the source, what is wrong and what would do.
pub(crate) async fn start(
    config: &SourcesConfig,
    syslog: Option<SocketAddr>,
    (pipeline, casework, data): (&Arc<Pipeline>, &Casework, &Path),
    on_drop: DropSink,
    stop: &CancellationToken,
) -> Result<Sources> {
    let packs = pipeline.packs();
    let contexts = config.products.iter().map(|(key, product)| {
        let context = context_of(product, &packs).with_context(|| format!("[products] {key}"))?;
        Ok((key.clone(), context))
    });
    let contexts: Vec<_> = contexts.collect::<Result<_>>()?;
    let products = Arc::new(Products::new(contexts).context("[products]")?);
    let frame = SourceFrame {
        journal: pipeline.journal().clone(),
        on_drop,
        states: SourceStates::default(),
        products: Arc::clone(&products),
        stop: stop.clone(),
    };
    let mut tasks = Vec::new();
    allow_open_files();
    if let Some(address) = syslog {
        let handle = frame.handle(SourceOptions {
            name: Arc::from("syslog"),
            kind: "syslog",
            records_as: Arc::from("syslog"),
            product: None,
            format: None,
        });
        let running = syslog::listen(address, &handle)
            .await
            .with_context(|| format!("syslog cannot listen on {address}; choose another address with --syslog, or --syslog off"))?;
        tasks.push(frame.spawn(handle, running));
    }
    for (name, table) in &config.sources {
        let (handle, running) =
            start_one(name, table.clone(), &frame, (&packs, casework, data)).await?;
        tasks.push(frame.spawn(handle, running));
    }
    let quiet = Quiet::default();
    tasks.push(tokio::spawn(quiet.clone().watch(
        data.to_owned(),
        config.quiet.clone(),
        Arc::clone(pipeline),
        casework.clone(),
        stop.clone(),
    )));
    Ok(Sources {
        states: frame.states,
        products,
        quiet,
        tasks,
    })
}

async fn start_one(
    name: &str,
    mut table: toml::Table,
    frame: &SourceFrame,
    (packs, casework, data): (&PackSet, &Casework, &Path),
) -> Result<(SourceHandle, Running)> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
        bail!("[sources.{name}]: a name has 1 to 64 letters, figures, '-', '_' and '.'");
    }
    if frame.states.read().iter().any(|one| *one.name == *name) {
        bail!(
            "[sources.{name}]: the listener of the key 'syslog' has this name; choose another, or set syslog = \"off\""
        );
    }
    let mut word = |key: &str| -> Result<Option<String>> {
        match table.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(_) => bail!("[sources.{name}]: {key} must be a text in quotes"),
        }
    };
    let kind = word("kind")?
        .with_context(|| format!("[sources.{name}]: kind is missing; one of {}", kinds()))?;
    let product = word("product")?;
    let format_word = word("format")?;
    let Some((kind, start)) = KINDS.iter().find(|(known, _)| *known == kind) else {
        bail!(
            "[sources.{name}]: kind '{kind}' is not known; one of {}",
            kinds()
        );
    };
    let product = product
        .map(|product| -> Result<_> {
            let context =
                context_of(&product, packs).with_context(|| format!("[sources.{name}]"))?;
            Ok((Arc::from(product), context))
        })
        .transpose()?;
    // Files may have forms that a single record cannot have.
    let format = match &format_word {
        Some(word) if *kind != "files" => Some(Format::parse(word).with_context(|| {
            let known: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            format!(
                "[sources.{name}]: format '{word}' is not known; one of {}",
                known.join(", ")
            )
        })?),
        _ => None,
    };
    let handle = frame.handle(SourceOptions {
        name: Arc::from(name),
        kind,
        records_as: Arc::from(name),
        product,
        format,
    });
    let given = Given {
        name: name.to_owned(),
        table,
        handle: handle.clone(),
        casework: casework.clone(),
        data: data.to_owned(),
        format: format_word,
    };
    let running = start(given)
        .await
        .with_context(|| format!("[sources.{name}] cannot start"))?;
    Ok((handle, running))
}

/// Raises the limit of open files as far as it may be: each connection needs one.
fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// The context that tells the decoder of a product.
pub(crate) fn context_of(product: &str, packs: &PackSet) -> Result<Arc<str>> {
    if packs.packs().iter().any(|pack| pack.product == product) {
        return Ok(Arc::from(format!("{PRODUCT_CONTEXT}{product}\n")));
    }
    let mut known: Vec<&str> = packs.packs().iter().map(|pack| &*pack.product).collect();
    known.sort_unstable();
    bail!(
        "there is no mapping pack '{product}'; there are {}",
        known.join(", ")
    )
}

type Start = fn(Given) -> futures::future::BoxFuture<'static, Result<Running>>;

/// The kinds and how each starts.
const KINDS: &[(&str, Start)] = &[
    ("syslog", |given| Box::pin(syslog::start(given))),
    ("syslog-tls", |given| Box::pin(syslog::start_tls(given))),
    ("gelf", |given| Box::pin(listeners::gelf(given))),
    ("netflow", |given| Box::pin(listeners::netflow(given))),
    ("otlp-grpc", |given| Box::pin(otlp_grpc::start(given))),
    ("unix", |given| Box::pin(listeners::unix(given))),
    ("files", |given| Box::pin(files::start(given))),
    ("journald", |given| Box::pin(journald::start(given))),
    ("kafka", |given| Box::pin(pull::kafka(given))),
    ("nats", |given| Box::pin(pull::nats(given))),
    ("s3", |given| Box::pin(pull::s3(given))),
];

fn kinds() -> String {
    let kinds: Vec<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    kinds.join(", ")
}
