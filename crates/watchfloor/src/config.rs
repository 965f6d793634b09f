//! The configuration file. Everything has a default; a key that does not exist is an error
//! that names it and its line.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::SignedDuration;
use serde::Deserialize;
use watchfloor_api::RoleLimits;
use watchfloor_api::ports::QueryLimits;

use crate::cli::{ServeArgs, Shaping};
use crate::enrichment::EnrichConfig;
use crate::fleet::FleetConfig;
use crate::places::Wanted;
use crate::records;
use crate::roles::{JournalConfig, Roles as ServerRoles};
use crate::routing::{ForwardConfig, RouteConfig};
use crate::rules::{Budget, Sources};
use crate::sources::{QuietConfig, SourcesConfig};

/// What an installation may choose, with the defaults filled in.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub syslog: Option<SocketAddr>,
    /// Folders, files and checkouts of rules beside the built-in ones, and the pipelines and
    /// placeholders that change them; they are watched.
    pub rules: Sources,
    /// Folders of mapping packs beside the built-in ones.
    pub mappings: Vec<PathBuf>,
    /// Lists of indicators beside those in the data folder; they are watched.
    pub indicators: Vec<PathBuf>,
    /// What a rule may cost before it is suspended.
    pub budget: Budget,
    /// Names under which the server may be asked for, beside loopback.
    pub host_names: Vec<String>,
    /// How long events gather before they become files of the lake.
    pub commit_wait: Duration,
    /// Where the lake stands.
    pub lake: Wanted,
    /// Where the records stand.
    pub store: records::Wanted,
    /// Where the journal stands.
    pub journal: JournalConfig,
    /// Which parts run in this process.
    pub roles: ServerRoles,
    /// Machines that help with queries.
    pub cluster: ClusterConfig,
    /// What a query of each role may use.
    pub limits: RoleLimits,
    /// Further sources, and the products of sources.
    pub sources: SourcesConfig,
    /// What events are enriched from.
    pub enrich: EnrichConfig,
    /// What is left out, sampled, masked or forwarded.
    pub routes: Vec<RouteConfig>,
    /// Where to, by name.
    pub forward: BTreeMap<String, ForwardConfig>,
    /// Where agents are waited for.
    pub fleet: FleetConfig,
}

/// Machines that help with queries.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClusterConfig {
    /// As `https://host:7443`.
    #[serde(default)]
    pub workers: Vec<String>,
    /// Certificate of the cluster's authority (PEM).
    pub authority: Option<PathBuf>,
    /// Certificate of this node (PEM).
    pub certificate: Option<PathBuf>,
    /// Key of this node (PEM).
    pub key: Option<PathBuf>,
    /// Bytes of files that make another worker worth its while [default: 32 MiB].
    pub bytes_per_worker: Option<usize>,
    /// Whether workers see the lake's folders under the same paths.
    #[serde(default)]
    pub shares_folders: bool,
}

/// What queries may use; what is not said is as usual.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    /// Rows in an answer, at most 10,000.
    rows: Option<u32>,
    /// Rows of an export.
    export_rows: Option<u32>,
    /// MiB read of files.
    read_mib: Option<u64>,
    /// Seconds.
    seconds: Option<u32>,
    /// MiB of memory.
    memory_mib: Option<u64>,
}

/// What queries of each role may use.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Roles {
    viewer: Option<Limits>,
    analyst: Option<Limits>,
    lead: Option<Limits>,
    admin: Option<Limits>,
}

impl Limits {
    fn checked(self, role: &str) -> Result<QueryLimits> {
        let usual = QueryLimits::STANDARD;
        let limits = QueryLimits {
            rows: self.rows.unwrap_or(usual.rows),
            export_rows: self.export_rows.unwrap_or(usual.export_rows),
            bytes: self
                .read_mib
                .map_or(usual.bytes, |mib| mib.saturating_mul(1 << 20)),
            seconds: self.seconds.unwrap_or(usual.seconds),
            memory_bytes: self
                .memory_mib
                .map_or(usual.memory_bytes, |mib| mib.saturating_mul(1 << 20)),
        };
        if !(1..=usual.rows).contains(&limits.rows) {
            bail!("limits.{role}.rows must be 1 to {}", usual.rows);
        }
        if !(1..=3600).contains(&limits.seconds) {
            bail!("limits.{role}.seconds must be 1 to 3600");
        }
        if limits.memory_bytes < MEMORY_MIN {
            bail!(
                "limits.{role}.memory_mib must be at least {}",
                MEMORY_MIN >> 20
            );
        }
        if limits.export_rows == 0 || limits.bytes == 0 {
            bail!("limits.{role}: export_rows and read_mib must be more than 0");
        }
        Ok(limits)
    }
}

impl Roles {
    fn checked(self) -> Result<RoleLimits> {
        let one = |limits: Option<Limits>, role| limits.unwrap_or_default().checked(role);
        Ok(RoleLimits {
            viewer: one(self.viewer, "viewer")?,
            analyst: one(self.analyst, "analyst")?,
            lead: one(self.lead, "lead")?,
            admin: one(self.admin, "admin")?,
        })
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    listen: Option<SocketAddr>,
    syslog: Option<String>,
    #[serde(default)]
    rules: Vec<PathBuf>,
    /// Processing pipelines in pySigma's YAML form.
    #[serde(default)]
    pipelines: Vec<PathBuf>,
    /// Files with the values of placeholders.
    #[serde(default)]
    placeholders: Vec<PathBuf>,
    /// Microseconds per event of its log sources that a rule may take.
    rule_budget_us: Option<f64>,
    /// Seconds that a rule over its budget is suspended the first time.
    rule_cool_down_s: Option<u32>,
    /// Milliseconds that events gather before they become files of the lake.
    commit_ms: Option<u64>,
    #[serde(default)]
    mappings: Vec<PathBuf>,
    #[serde(default)]
    indicators: Vec<PathBuf>,
    #[serde(default)]
    host_names: Vec<String>,
    /// What queries may use, by role: `[limits.viewer]` and so on.
    #[serde(default)]
    limits: Roles,
    #[serde(default)]
    lake: Wanted,
    #[serde(default)]
    store: records::Wanted,
    #[serde(default)]
    journal: JournalConfig,
    #[serde(default)]
    cluster: ClusterConfig,
    /// Sources by name: `[sources.firewall]`.
    #[serde(default)]
    sources: BTreeMap<String, toml::Table>,
    /// Products by the names of sources: `"syslog:10.0.0.7" = "cisco"`.
    #[serde(default)]
    products: BTreeMap<String, String>,
    /// When a source that stopped raises an alert.
    #[serde(default)]
    quiet: QuietConfig,
    #[serde(default)]
    enrich: EnrichConfig,
    #[serde(default)]
    routes: Vec<RouteConfig>,
    #[serde(default)]
    forward: BTreeMap<String, ForwardConfig>,
    #[serde(default)]
    fleet: FleetConfig,
}

/// How long events gather before they become files of the lake: long enough that files are not
/// many, short enough that little is read from the journal again after a crash.
pub(crate) const COMMIT_WAIT: Duration = Duration::from_secs(5);
const COMMIT_MS: std::ops::RangeInclusive<u64> = 10..=60_000;

/// With less memory no sort works.
const MEMORY_MIN: u64 = 16 << 20;

/// The folder that is used when none is named.
const DATA: &str = "watchfloor-data";
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8787);
/// Not 514, which only root may listen on.
const SYSLOG: &str = "127.0.0.1:5514";

impl Config {
    /// What a worker reads of the file: its certificates, and how buckets are reached.
    pub(crate) fn cluster_and_storage(
        path: &Path,
    ) -> Result<(ClusterConfig, BTreeMap<String, String>)> {
        let file = read(path)?;
        Ok((file.cluster, file.lake.storage))
    }

    /// Reads the file, if one is named; the command line goes before it.
    pub(crate) fn load(args: &ServeArgs) -> Result<Self> {
        let file = args
            .config
            .as_deref()
            .map(read)
            .transpose()?
            .unwrap_or_default();
        let syslog = args
            .syslog
            .clone()
            .or(file.syslog)
            .unwrap_or_else(|| SYSLOG.to_owned());
        let standard = Budget::STANDARD;
        let budget = Budget {
            us_per_event: file.rule_budget_us.unwrap_or(standard.us_per_event),
            cool_down: file.rule_cool_down_s.map_or(standard.cool_down, |seconds| {
                SignedDuration::from_secs(i64::from(seconds))
            }),
        };
        if budget.us_per_event.is_nan() || budget.us_per_event <= 0.0 {
            bail!("rule_budget_us must be more than 0");
        }
        let commit_wait = match args.commit_ms.or(file.commit_ms) {
            None => COMMIT_WAIT,
            Some(ms) if COMMIT_MS.contains(&ms) => Duration::from_millis(ms),
            Some(ms) => bail!("commit_ms must be 10 to 60000, not {ms}"),
        };
        Ok(Self {
            limits: file.limits.checked()?,
            budget,
            commit_wait,
            lake: file.lake,
            store: file.store,
            journal: file.journal,
            roles: ServerRoles::of(&args.role),
            cluster: file.cluster,
            enrich: file.enrich,
            routes: file.routes,
            forward: file.forward,
            fleet: fleet_of(args.agents.as_deref(), file.fleet),
            data: args
                .data
                .clone()
                .or(file.data)
                .unwrap_or_else(|| PathBuf::from(DATA)),
            listen: args.listen.or(file.listen).unwrap_or(LISTEN),
            syslog: syslog_address(&syslog)?,
            rules: Sources {
                paths: [file.rules, args.rules.clone()].concat(),
                shaping: Shaping {
                    pipelines: [file.pipelines, args.shaping.pipelines.clone()].concat(),
                    placeholders: [file.placeholders, args.shaping.placeholders.clone()].concat(),
                },
            },
            mappings: file.mappings,
            indicators: [file.indicators, args.indicators.clone()].concat(),
            host_names: file.host_names,
            sources: SourcesConfig {
                sources: file.sources,
                products: file.products,
                quiet: file.quiet.checked()?,
            },
        })
    }
}

/// The command line goes before the file.
fn fleet_of(agents: Option<&str>, file: FleetConfig) -> FleetConfig {
    match agents {
        Some(address) => FleetConfig {
            listen: Some(address.to_owned()),
            ..file
        },
        None => file,
    }
}

fn syslog_address(text: &str) -> Result<Option<SocketAddr>> {
    if text == "off" {
        return Ok(None);
    }
    let address = text.parse().map_err(|_| {
        anyhow!("syslog address '{text}' is not of the form 127.0.0.1:5514, nor 'off'")
    })?;
    Ok(Some(address))
}

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let text = error.to_string();
        let reason = text
            .trim()
            .lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n  ");
        anyhow!(
            "configuration file {} is not valid; mend or remove what is marked:\n  {reason}",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(config: Option<PathBuf>) -> ServeArgs {
        ServeArgs {
            commit_ms: None,
            config,
            data: None,
            listen: None,
            syslog: None,
            agents: None,
            rules: Vec::new(),
            indicators: Vec::new(),
            shaping: Shaping::default(),
            role: vec![crate::cli::Role::All],
        }
    }

    #[test]
    fn a_key_that_does_not_exist_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.toml");
        std::fs::write(&path, "data = \"d\"\nlisten_on = \"1.2.3.4:5\"\n").unwrap();
        let message = Config::load(&args(Some(path.clone())))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("listen_on") && message.contains("line 2"),
            "{message}"
        );
        std::fs::write(&path, "syslog = \"off\"\n").unwrap();
        assert_eq!(Config::load(&args(Some(path))).unwrap().syslog, None);
    }

    #[test]
    fn queries_of_a_role_have_limits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.toml");
        std::fs::write(&path, "[limits.viewer]\nrows = 50\nread_mib = 2\n").unwrap();
        let limits = Config::load(&args(Some(path.clone()))).unwrap().limits;
        assert_eq!((limits.viewer.rows, limits.viewer.bytes), (50, 2 << 20));
        assert_eq!(limits.admin, QueryLimits::STANDARD);
        std::fs::write(&path, "[limits.lead]\nseconds = 0\n").unwrap();
        let refused = Config::load(&args(Some(path))).unwrap_err().to_string();
        assert!(refused.contains("limits.lead.seconds"), "{refused}");
    }

    #[test]
    fn without_a_file_everything_has_a_default() {
        let config = Config::load(&args(None)).unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8787");
        assert_eq!(config.syslog.unwrap().to_string(), SYSLOG);
    }
}
