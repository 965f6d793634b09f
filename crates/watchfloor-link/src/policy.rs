//! What an agent watches, and how much it may use for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The policy of a group of agents. Fields that an older agent does not know are passed over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Names what the policy says, and is another after each change; 0 is the agent's own, before
    /// it has heard of one.
    pub revision: u64,
    /// Most records a second, over a minute; more wait on disk.
    pub records_per_second: u32,
    /// Share of one core that it may use, in percent, 1 to 100.
    pub cpu_percent: u32,
    /// Most resident memory in MiB; the agent starts again above it.
    pub memory_mib: u32,
    /// Most bytes that wait on disk, in MiB; the oldest records of low value go first, counted.
    pub spool_mib: u32,
    /// Longest file, in MiB, that rules are looked for in to its end; of a longer one the first 16.
    pub scan_file_mib: u32,
    /// Log files.
    pub log_files: Vec<LogFile>,
    /// Whether the journal of systemd is read.
    pub journald: bool,
    /// Where starts of processes are learned from.
    pub processes: ProcessEvents,
    /// Files and folders whose changes are told.
    pub integrity: Vec<IntegrityPath>,
    /// Whether logins are told (`utmp`, `wtmp`, `btmp`).
    pub logins: bool,
    /// Whether new listening ports and connections are told.
    pub network: bool,
    /// Seconds between inventories of processes, users, groups, packages, services, timers,
    /// modules and ports; 0 for none.
    pub inventory_every_s: u32,
    /// Seconds between runs of the configuration checks; 0 for none.
    pub checks_every_s: u32,
    /// The checks.
    pub checks: Vec<CheckDefinition>,
    /// What can be collected, by name.
    pub artifacts: BTreeMap<String, ArtifactDefinition>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            revision: 0,
            records_per_second: 500,
            cpu_percent: 25,
            memory_mib: 40,
            spool_mib: 256,
            scan_file_mib: 1_024,
            log_files: vec![
                LogFile::plain("/var/log/auth.log"),
                LogFile::plain("/var/log/secure"),
                LogFile::plain("/var/log/audit/audit.log"),
            ],
            journald: true,
            processes: ProcessEvents::Auto,
            integrity: [
                "/etc",
                "/usr/bin",
                "/usr/sbin",
                "/usr/lib/systemd",
                "/root/.ssh",
            ]
            .map(IntegrityPath::plain)
            .to_vec(),
            logins: true,
            network: true,
            inventory_every_s: 3_600,
            checks_every_s: 86_400,
            checks: Vec::new(),
            artifacts: BTreeMap::new(),
        }
    }
}

/// A log file, or many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogFile {
    /// Absolute path, with `*` and `?` within names.
    pub path: String,
    /// Mapping pack that understands it, where lines do not say.
    pub product: Option<String>,
}

impl LogFile {
    /// A file whose lines say what they are.
    pub fn plain(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            product: None,
        }
    }
}

/// Where starts and ends of processes are learned from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessEvents {
    /// The proc connector where the kernel and the rights allow it, else looking around.
    #[default]
    Auto,
    /// The kernel's proc connector (`linux/cn_proc.h`).
    ProcConnector,
    /// By looking at `/proc` every two seconds: short lives are missed.
    Polling,
    /// Not at all: auditd's log tells them.
    Off,
}

/// A file or folder whose changes are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IntegrityPath {
    /// Absolute path.
    pub path: String,
    /// With all below it.
    pub is_recursive: bool,
    /// Names that are passed over, with `*` and `?`.
    pub exclude: Vec<String>,
    /// Whether the difference of texts is told, up to 64 KiB a file.
    pub with_diff: bool,
}

impl IntegrityPath {
    /// A folder with all below it, without differences.
    pub fn plain(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            ..Self::default()
        }
    }
}

impl Default for IntegrityPath {
    fn default() -> Self {
        Self {
            path: String::new(),
            is_recursive: true,
            exclude: Vec::new(),
            with_diff: false,
        }
    }
}

/// A configuration check: data, with cases beside it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckDefinition {
    /// Stable id: `ssh-root-login`.
    pub id: String,
    /// One line.
    pub title: String,
    /// Why it matters.
    pub rationale: String,
    /// How it is mended.
    pub remediation: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// Where it comes from, such as `CIS Debian Linux 12, 5.1.20`.
    #[serde(default)]
    pub references: Vec<String>,
    /// All of these must hold.
    pub all: Vec<CheckProbe>,
}

/// One thing that is looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "snake_case", deny_unknown_fields)]
pub enum CheckProbe {
    /// A file exists or does not.
    File {
        /// Absolute path.
        path: String,
        /// Whether it must exist.
        exists: bool,
    },
    /// Mode and owner of a file; passes where the file is missing.
    Mode {
        /// Absolute path.
        path: String,
        /// Bits of permission that must not be set, octal: `077`.
        forbidden: String,
        /// User number that must own it.
        #[serde(default)]
        owner: Option<u32>,
    },
    /// Lines of a file.
    Lines {
        /// Absolute path, with `*` and `?` within names.
        path: String,
        /// Regular expression; comments are not lines.
        matches: String,
        /// Whether there must be such a line, or must not.
        expected: bool,
        /// What holds where no such file exists.
        #[serde(default)]
        if_missing: bool,
    },
    /// A `name value` or `name=value` setting, the last one, or the first (`sshd_config`).
    Setting {
        /// Absolute path, with `*` and `?` within names.
        path: String,
        /// Name, whatever its case.
        name: String,
        /// Values that are right.
        allowed: Vec<String>,
        /// The value where none is set.
        default: String,
        /// Whether the first line counts and not the last.
        #[serde(default)]
        first_counts: bool,
    },
    /// A value of the running kernel, from `/proc/sys`.
    Sysctl {
        /// Its name: `net.ipv4.ip_forward`.
        name: String,
        /// Values that are right.
        allowed: Vec<String>,
    },
    /// A package is installed or is not.
    Package {
        /// Its name.
        name: String,
        /// Whether it must be installed.
        installed: bool,
    },
    /// A kernel module is loaded or is not.
    Module {
        /// Its name.
        name: String,
        /// Whether it must be loaded.
        loaded: bool,
    },
    /// Something listens on a port of an address that others reach, or does not.
    Listening {
        /// Port.
        port: u16,
        /// Whether it must.
        expected: bool,
    },
    /// Mount options of a path.
    Mount {
        /// Where it is mounted; fails where nothing is.
        path: String,
        /// Options that must be set, such as `nodev`.
        options: Vec<String>,
    },
}

/// Something that can be collected: data, with names of the artifact format of
/// <https://artifacts.readthedocs.io> where they say the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArtifactDefinition {
    /// One line.
    pub description: String,
    /// Absolute paths, with `*`, `?` and `**`.
    pub paths: Vec<String>,
    /// State that the agent itself writes down: `processes`, `connections`, `users`, `packages`,
    /// `services`, `modules`, `mounts`, `logins`.
    pub states: Vec<String>,
    /// Most bytes of one file; longer ones are named and left.
    pub file_bytes_max: Option<u64>,
}
