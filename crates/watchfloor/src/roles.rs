//! The cluster form: which parts run in this process, the journal in NATS, which partitions this
//! process works on, and the ledger of all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use watchfloor_ingest::{LEASE_ROUND, Leases, NatsJournal, NatsLogin, NatsOptions};
use watchfloor_pipeline::{LedgerRow, Pipeline};

use crate::cli::Role;

/// Where a password or token may stand that is neither in the configuration nor in a file.
const PASSWORD: &str = "WATCHFLOOR_NATS_PASSWORD";
/// Partitions, unless told otherwise.
const PARTITIONS: u16 = 8;
/// Bytes that may wait in a partition, unless told otherwise, in MiB.
const PARTITION_MIB: u64 = 4 << 10;
/// How often the ledger takes up what others stored and dropped.
const LEDGER_WAIT: Duration = Duration::from_secs(2);
/// Name of the file with this process's name in the cluster.
const NODE: &str = "node";

/// Which parts run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// Listeners and sources.
    pub collect: bool,
    /// Work on partitions of the journal.
    pub detect: bool,
    /// Answers to queries.
    pub search: bool,
    /// Everything that people see, and what is done once: retention, scheduled searches.
    pub console: bool,
}

impl Roles {
    /// One process for all.
    pub(crate) const ALL: Self = Self {
        collect: true,
        detect: true,
        search: true,
        console: true,
    };

    /// What the command line says.
    pub(crate) fn of(words: &[Role]) -> Self {
        let has = |role| words.contains(&role) || words.contains(&Role::All);
        Self {
            collect: has(Role::Collect),
            detect: has(Role::Detect),
            search: has(Role::Search),
            console: has(Role::Console),
        }
    }

    /// Whether it reads and writes the lake; a collector knows the journal alone.
    pub(crate) const fn uses_lake(self) -> bool {
        self.detect || self.search || self.console
    }

    /// Whether people and programs may ask it for more than taking records.
    pub(crate) const fn answers(self) -> bool {
        self.search || self.console
    }
}

/// What the configuration says of the journal.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JournalConfig {
    /// As `nats://host:4222`, several by commas; without it, the journal stands in the data folder.
    nats: Option<String>,
    /// User, if NATS asks for one.
    user: Option<String>,
    /// File whose first line is the password, or, without a user, the token.
    password_file: Option<PathBuf>,
    /// Certificate authority of the servers (PEM).
    authority: Option<PathBuf>,
    /// Own certificate (PEM).
    certificate: Option<PathBuf>,
    /// Own key (PEM).
    key: Option<PathBuf>,
    /// Name that streams begin with.
    stream: Option<String>,
    /// Number of partitions.
    partitions: Option<u16>,
    /// MiB that may wait in a partition.
    partition_mib: Option<u64>,
    /// Copies that a cluster of NATS keeps.
    replicas: Option<usize>,
}

impl std::fmt::Debug for JournalConfig {
    /// The URL may hold a password.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("JournalConfig")
            .field("is_nats", &self.nats.is_some())
            .finish_non_exhaustive()
    }
}

impl JournalConfig {
    /// Connects to the journal of the cluster, if there is one.
    pub(crate) async fn connect(&self, roles: Roles) -> Result<Option<NatsJournal>> {
        let Some(url) = &self.nats else {
            if roles != Roles::ALL {
                bail!(
                    "--role needs a journal that several processes share; set nats = \"nats://…\" under [journal]"
                );
            }
            return Ok(None);
        };
        let options = NatsOptions {
            url: url.clone(),
            login: login(
                self.user.as_deref(),
                self.password_file.as_deref(),
                "journal",
            )?,
            authority: self.authority.clone(),
            identity: identity(self.certificate.as_ref(), self.key.as_ref(), "journal")?,
            stream: self
                .stream
                .clone()
                .unwrap_or_else(|| "watchfloor".to_owned()),
            partitions: self.partitions.unwrap_or(PARTITIONS),
            partition_bytes_max: self
                .partition_mib
                .unwrap_or(PARTITION_MIB)
                .saturating_mul(1 << 20),
            replicas: self.replicas.unwrap_or(1),
        };
        let journal = NatsJournal::connect(options).await;
        Ok(Some(journal.context("the journal cannot be opened")?))
    }
}

/// User and password or token, from a file or the environment.
pub(crate) fn login(user: Option<&str>, file: Option<&Path>, what: &str) -> Result<NatsLogin> {
    let secret = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("{what}: cannot read password_file {}", path.display()))?;
            Some(text.lines().next().unwrap_or_default().to_owned())
        }
        None => std::env::var(PASSWORD).ok(),
    };
    Ok(match (user, secret) {
        (Some(user), Some(password)) => NatsLogin::Password(user.to_owned(), password),
        (Some(_), None) => bail!("{what}: user is set without password_file or {PASSWORD}"),
        (None, Some(token)) => NatsLogin::Token(token),
        (None, None) => NatsLogin::None,
    })
}

/// Certificate and key, both or neither.
pub(crate) fn identity(
    certificate: Option<&PathBuf>,
    key: Option<&PathBuf>,
    what: &str,
) -> Result<Option<(PathBuf, PathBuf)>> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some((certificate.clone(), key.clone()))),
        (None, None) => Ok(None),
        _ => bail!("{what}: certificate and key go together"),
    }
}

/// The name of this process in the cluster: that of its data folder, for ever.
pub(crate) fn node(data: &Path) -> Result<String> {
    let path = data.join(NODE);
    if let Ok(name) = std::fs::read_to_string(&path)
        && !name.trim().is_empty()
    {
        return Ok(name.trim().to_owned());
    }
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), &path);
    let name = format!("{random:016x}");
    std::fs::write(&path, &name).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(name)
}

/// Works on a fair share of the partitions until told to stop.
pub(crate) async fn work(
    pipeline: Arc<Pipeline>,
    nats: NatsJournal,
    node: String,
    stop: CancellationToken,
) {
    let mut leases = loop {
        match Leases::open(&nats, node.clone()).await {
            Ok(leases) => break leases,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "no leases yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LEASE_ROUND) => {}
        }
    };
    while !stop.is_cancelled() {
        let too_many = match leases.round().await {
            Ok(too_many) => too_many,
            Err(error) => {
                tracing::warn!(error, "leases cannot be renewed");
                Vec::new()
            }
        };
        for partition in too_many {
            pipeline.remove_partition(partition).await;
            leases.give_back(partition).await;
        }
        follow(&pipeline, &leases.held()).await;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LEASE_ROUND) => {}
        }
    }
    for partition in pipeline.partitions() {
        pipeline.remove_partition(partition).await;
    }
    leases.close().await;
}

/// Works on the partitions that are held, and on no others.
async fn follow(pipeline: &Pipeline, held: &BTreeSet<u16>) {
    // Another committed to it, though the lease is here: work goes on from there.
    for partition in pipeline.taken_over() {
        pipeline.remove_partition(partition).await;
    }
    let working: BTreeSet<u16> = pipeline.partitions().into_iter().collect();
    for partition in working.difference(held) {
        tracing::info!(partition, "work on a partition ends");
        pipeline.remove_partition(*partition).await;
    }
    for partition in held.difference(&working) {
        match pipeline.add_partition(*partition).await {
            Ok(()) => tracing::info!(partition, "work on a partition begins"),
            Err(error) => tracing::warn!(
                partition,
                error = &error as &dyn std::error::Error,
                "a partition cannot be worked on yet"
            ),
        }
    }
}

/// Keeps the ledger of the cluster: what stands in the lake, what other processes dropped, and
/// what this one dropped for them.
pub(crate) async fn keep_ledger(
    pipeline: Arc<Pipeline>,
    nats: NatsJournal,
    node: String,
    roles: Roles,
    stop: CancellationToken,
) {
    let mut told = Vec::new();
    loop {
        if let Err(error) = share_ledger(&pipeline, &nats, &node, roles, &mut told).await {
            tracing::warn!(error, "the ledger of the cluster is behind");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LEDGER_WAIT) => {}
        }
    }
}

async fn share_ledger(
    pipeline: &Pipeline,
    nats: &NatsJournal,
    node: &str,
    roles: Roles,
    told: &mut Vec<LedgerRow>,
) -> Result<(), String> {
    let ledger = pipeline.ledger();
    let drops = ledger.own_drops();
    if drops != *told {
        let text = serde_json::to_vec(&drops).map_err(|error| error.to_string())?;
        nats.tell(node, text.into()).await?;
        *told = drops;
    }
    if !roles.answers() {
        return Ok(());
    }
    let lake = pipeline.lake();
    let failed = |error: watchfloor_lake::ReadError| error.to_string();
    lake.follow().await.map_err(failed)?;
    for partition in nats.partitions() {
        let end = lake.position_of(partition).await.map_err(failed)?;
        let from = ledger.end_of(partition);
        if end > from {
            let counted = lake.ledger_counts_between(from, end).await;
            ledger.reconcile_partition(counted.map_err(failed)?, partition, end);
        }
    }
    let mut others = Vec::new();
    for (name, value) in nats.told().await? {
        if name != node {
            others.extend(serde_json::from_slice::<Vec<LedgerRow>>(&value).unwrap_or_default());
        }
    }
    ledger.set_others(others);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_add_up() {
        assert_eq!(Roles::of(&[Role::All]), Roles::ALL);
        let some = Roles::of(&[Role::Collect, Role::Detect]);
        assert!(some.collect && some.detect && !some.search && !some.console);
        assert!(some.uses_lake() && !some.answers());
        assert!(!Roles::of(&[Role::Collect]).uses_lake());
    }

    #[tokio::test]
    async fn a_role_without_a_shared_journal_is_refused() {
        let config = JournalConfig::default();
        assert!(config.connect(Roles::ALL).await.unwrap().is_none());
        let refused = config.connect(Roles::of(&[Role::Collect])).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("[journal]"), "{refused}");
    }
}
