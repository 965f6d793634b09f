//! What events are enriched from: the files that the configuration names, read into one
//! snapshot, and again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde::Deserialize;
use watchfloor_api::ports::EnrichmentFile;
use watchfloor_enrich::{Context, GeoBase, Leases, Table, TableKind, read_leases};
use watchfloor_pipeline::Pipeline;

use crate::file_watch::FileWatch;
use crate::rules::scan::Scan;

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// `[enrich]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnrichConfig {
    /// Address data bases (MMDB): country, city, autonomous system.
    #[serde(default)]
    pub geoip: Vec<PathBuf>,
    /// Tables of machines: CSV, JSON or JSON lines.
    #[serde(default)]
    pub assets: Vec<PathBuf>,
    /// Tables of accounts, or exports of a directory: CSV, JSON, JSON lines or LDIF.
    #[serde(default)]
    pub identities: Vec<PathBuf>,
    /// Lease files of ISC dhcpd, Kea or dnsmasq.
    #[serde(default)]
    pub leases: Vec<PathBuf>,
}

impl EnrichConfig {
    fn paths(&self) -> Vec<PathBuf> {
        [&self.geoip, &self.assets, &self.identities, &self.leases]
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }
}

/// The files in force. Cheap to clone; clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Enrichment {
    config: Arc<EnrichConfig>,
    files: Arc<RwLock<Vec<EnrichmentFile>>>,
}

impl Enrichment {
    /// Reads the files that a configuration names.
    pub(crate) fn open(config: &EnrichConfig) -> (Self, Arc<Context>) {
        let enrichment = Self {
            config: Arc::new(config.clone()),
            files: Arc::default(),
        };
        let context = enrichment.read();
        (enrichment, context)
    }

    /// The files, for the API.
    pub(crate) fn files(&self) -> Vec<EnrichmentFile> {
        let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
        files.clone()
    }

    fn read(&self) -> Arc<Context> {
        let (context, files) = read(&self.config);
        for file in &files {
            for trouble in &file.troubles {
                tracing::warn!(file = %file.path, trouble, "enrichment");
            }
        }
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
        Arc::new(context)
    }

    /// Starts to look at the files.
    pub(crate) fn watch(&self, pipeline: Arc<Pipeline>) -> Result<FileWatch> {
        let enrichment = self.clone();
        let paths = self.config.paths();
        let known = Scan::wanted(&paths, |_| true);
        FileWatch::start(
            "enrichment",
            paths,
            |_| true,
            known,
            move || {
                pipeline.replace_context(enrichment.read());
            },
        )
    }
}

fn read(config: &EnrichConfig) -> (Context, Vec<EnrichmentFile>) {
    let mut context = Context::default();
    let mut files = Vec::new();
    for path in &config.geoip {
        files.push(file(path, "geoip", |name| {
            let base = GeoBase::read(name, bytes(path)?)?;
            context.geo.push(base);
            Ok((None, Vec::new()))
        }));
    }
    let tables = [
        (
            &config.assets,
            "assets",
            TableKind::Assets,
            &mut context.assets,
        ),
        (
            &config.identities,
            "identities",
            TableKind::Identities,
            &mut context.identities,
        ),
    ];
    for (paths, word, kind, into) in tables {
        for path in paths {
            files.push(file(path, word, |name| {
                let text = String::from_utf8_lossy(&bytes(path)?).into_owned();
                let table = Table::read(name, kind, &text)?;
                let (faults, count) = table.faults();
                let mut troubles: Vec<String> = faults
                    .iter()
                    .map(|(line, reason)| format!("line {line}: {reason}"))
                    .collect();
                if count > faults.len() {
                    troubles.push(format!("{} more faults of lines", count - faults.len()));
                }
                let entries = table.len();
                into.push(table);
                Ok((Some(entries), troubles))
            }));
        }
    }
    let mut leases = Leases::default();
    for path in &config.leases {
        files.push(file(path, "leases", |name| {
            let text = String::from_utf8_lossy(&bytes(path)?).into_owned();
            let count = read_leases(name, &text, &mut leases);
            let troubles = match count {
                0 if !text.trim().is_empty() => {
                    vec!["no lease of ISC dhcpd, Kea or dnsmasq stands in it".to_owned()]
                }
                _ => Vec::new(),
            };
            Ok((Some(count), troubles))
        }));
    }
    context.leases = leases;
    (context, files)
}

/// Reads one file; one that cannot be read adds nothing and is named.
fn file(
    path: &Path,
    kind: &str,
    read: impl FnOnce(&str) -> Result<(Option<usize>, Vec<String>)>,
) -> EnrichmentFile {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (entries, troubles) = match read(&name) {
        Ok(read) => read,
        Err(error) => (Some(0), vec![format!("{error:#}")]),
    };
    EnrichmentFile {
        kind: kind.to_owned(),
        path: path.display().to_string(),
        entries: entries.map(|count| count as u64),
        troubles,
        loaded_at: Timestamp::now(),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(path).context("the file cannot be read")?;
    anyhow::ensure!(
        metadata.len() <= MAX_FILE_BYTES,
        "the file has {} bytes; at most {MAX_FILE_BYTES} are read",
        metadata.len()
    );
    std::fs::read(path).context("the file cannot be read")
}
