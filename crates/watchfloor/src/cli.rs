//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::sensor::Suppression;
use crate::{EXIT_FAILED, Outcome, command};

/// A security operations center in one program.
#[derive(Debug, Parser)]
#[command(name = "watchfloor", version, about, long_about = None)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(ServeArgs),
    /// Run the server with a recorded intrusion beside a benign background.
    Demo(DemoArgs),
    /// Read files and folders into a data folder.
    Import(ImportArgs),
    /// Run rules over files and print findings.
    Detect(DetectArgs),
    /// Print one OCSF event per record.
    Normalize(NormalizeArgs),
    /// Search events.
    Hunt(HuntArgs),
    /// Look at rules.
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Look at mapping packs.
    #[command(subcommand)]
    Mapping(MappingCommand),
    /// Look for indicators, and look after lists of them.
    #[command(subcommand)]
    Intel(IntelCommand),
    /// Look after an installed Suricata: run it, tune its rules, or have it read capture files.
    #[command(args_conflicts_with_subcommands = true)]
    Sensor(SensorArgs),
    /// Look after the event lake.
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Check and rehearse playbooks, and look after those of a server.
    #[command(subcommand)]
    Playbook(PlaybookCommand),
    /// Let other machines help with queries.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Look after the installation.
    #[command(subcommand)]
    Admin(AdminCommand),
}

/// What changes rules before they are compiled.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Shaping {
    /// Processing pipeline in pySigma's YAML form, a file or a folder; may be given several times.
    #[arg(long = "pipeline", value_name = "FILE")]
    pub pipelines: Vec<PathBuf>,
    /// Values of placeholders (`%name%` under `expand`): a YAML or JSON map of names to lists.
    #[arg(long, value_name = "FILE")]
    pub placeholders: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Configuration file (TOML); without one, everything has a default.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Data folder [default: ./watchfloor-data].
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Address of console, API and HTTP ingest [default: 127.0.0.1:8787].
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Address of syslog, UDP and TCP; `off` for none [default: 127.0.0.1:5514].
    #[arg(long)]
    pub syslog: Option<String>,
    /// Address for agents; `off` for none [default: port 6517 of the address for HTTP].
    #[arg(long)]
    pub agents: Option<String>,
    /// How long events gather before they become files of the lake, in milliseconds, 10 to
    /// 60,000; they can be searched at once [default: 5000].
    #[arg(long)]
    pub commit_ms: Option<u64>,
    /// Rules to run beside the built-in ones: files, folders or git checkouts. Changes in them
    /// apply without a restart.
    #[arg(long, num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// Lists of indicators beside those in the data folder's `indicators`: files or folders.
    /// Changes in them apply without a restart.
    #[arg(long, num_args = 1..)]
    pub indicators: Vec<PathBuf>,
    #[command(flatten)]
    pub shaping: Shaping,
    /// Which parts run in this process, several by commas; others than `all` need a journal in
    /// NATS (`[journal]`).
    #[arg(long, value_enum, value_delimiter = ',', default_value = "all")]
    pub role: Vec<Role>,
}

/// Parts of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything in one process.
    All,
    /// Takes records from listeners and sources, and writes them to the journal.
    Collect,
    /// Works on partitions of the journal: events, findings, alerts.
    Detect,
    /// Answers queries.
    Search,
    /// Console and API, retention, scheduled searches.
    Console,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Data folder; emptied by nobody, so name a new one [default: a temporary folder].
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Address of console, API and HTTP ingest.
    #[arg(long, default_value = "127.0.0.1:8787")]
    pub listen: SocketAddr,
    /// Replay so many times faster than it was recorded.
    #[arg(long, default_value_t = 1.0)]
    pub speed: f64,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Form of the files; found from content and name if not given.
    #[arg(long)]
    pub format: Option<String>,
    /// Data folder, of a running server or of none.
    #[arg(long)]
    pub data: PathBuf,
    /// Rules to run beside the built-in ones, files or folders.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    /// Files and folders.
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SensorArgs {
    #[command(subcommand)]
    pub command: Option<SensorCommand>,
    /// Capture files to read; without one the sensor listens.
    pub pcap: Vec<PathBuf>,
    /// Interface to listen on; may be given several times.
    #[arg(long = "interface", value_name = "NAME")]
    pub interfaces: Vec<String>,
    /// Folder of the sensor: settings, rule sets, packets of alerts [default: ./watchfloor-sensor].
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Data folder that events go to; of a server on this machine, or with capture files of none.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// Server that events go to, with a token in WATCHFLOOR_TOKEN.
    #[arg(long, conflicts_with = "data")]
    pub url: Option<String>,
    /// Rule files in place of the sensor's, for capture files.
    #[arg(long, num_args = 1..)]
    pub rules: Vec<PathBuf>,
    /// A configuration of Suricata in place of the sensor's, for capture files.
    #[arg(long, value_name = "FILE")]
    pub suricata_config: Option<PathBuf>,
    /// How alerts of capture files are printed where there is no data folder.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: FindingFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SensorCommand {
    /// Look after rule sets and their tuning. A sensor that runs takes changes up at once.
    Rules {
        #[command(subcommand)]
        command: SensorRules,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SensorRules {
    /// Add a rule set: a file, a folder, a .tar.gz archive, or the URL of one.
    Add {
        /// Name of the set.
        name: String,
        /// Where it is.
        place: String,
    },
    /// Remove a rule set.
    Remove {
        /// Name of the set.
        name: String,
    },
    /// Fetch all rule sets anew, test the rules, and use them.
    Update,
    /// List the rule sets.
    List,
    /// Switch rules on: SID, file:GLOB or re:EXPRESSION.
    Enable {
        #[arg(required = true)]
        which: Vec<String>,
    },
    /// Switch rules off: SID, file:GLOB or re:EXPRESSION.
    Disable {
        #[arg(required = true)]
        which: Vec<String>,
    },
    /// Raise no alert of a rule, always or for an address.
    Suppress(SuppressArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SuppressArgs {
    /// Number of the rule.
    pub sid: u32,
    /// by_src, by_dst or by_either.
    #[arg(long, requires = "ip")]
    pub track: Option<String>,
    /// Address or network.
    #[arg(long, requires = "track")]
    pub ip: Option<String>,
    /// Why.
    #[arg(long, default_value = "")]
    pub reason: String,
}

impl SuppressArgs {
    pub(crate) fn suppression(&self) -> Suppression {
        Suppression {
            sid: self.sid,
            track: self.track.clone(),
            ip: self.ip.clone(),
            reason: self.reason.clone(),
        }
    }
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FindingFormat {
    /// One JSON object per line.
    Ndjson,
    /// Columns for a terminal.
    Table,
    /// Comma-separated values.
    Csv,
    /// Counts per rule.
    Summary,
}

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// Rule files and folders.
    #[arg(long, required_unless_present = "indicators")]
    pub rules: Vec<PathBuf>,
    /// Lists of indicators to look for in every event: files and folders.
    #[arg(long)]
    pub indicators: Vec<PathBuf>,
    #[command(flatten)]
    pub shaping: Shaping,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: FindingFormat,
    /// Threads [default: the machine's cores].
    #[arg(long)]
    pub threads: Option<usize>,
    /// Write figures as JSON to this file.
    #[arg(long)]
    pub stats: Option<PathBuf>,
    /// Files and folders.
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct NormalizeArgs {
    /// Form of the files; found from content and name if not given.
    #[arg(long)]
    pub format: Option<String>,
    /// Mapping pack of the product that wrote the files; lines without a syslog header are then
    /// understood too.
    #[arg(long, value_name = "PACK")]
    pub product: Option<String>,
    /// Further folders of packs; one of the name of a built-in pack takes its place.
    #[arg(long, value_name = "DIR")]
    pub mappings: Vec<PathBuf>,
    /// Files; `-` is standard input.
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct HuntArgs {
    /// Words and field:value, and verbs behind them, e.g. 'failed user.name:root' or
    /// 'class:authentication | summarize count() by user.name'.
    pub query: String,
    /// From this time: RFC 3339, or like 15m, 24h, 30d before now.
    #[arg(long, default_value = "24h")]
    pub from: String,
    /// Up to this time.
    #[arg(long, default_value = "now")]
    pub to: String,
    /// Data folder.
    #[arg(long, required_unless_present = "url", conflicts_with = "url")]
    pub data: Option<PathBuf>,
    /// A running server, such as http://127.0.0.1:8787, with a token in WATCHFLOOR_TOKEN.
    #[arg(long)]
    pub url: Option<String>,
    /// Go on with what arrives, until it is stopped.
    #[arg(long, requires = "url", conflicts_with_all = ["from", "to", "limit"])]
    pub tail: bool,
    /// Most events or rows.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "table")]
    pub format: HuntFormat,
}

/// How what was found is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HuntFormat {
    /// Columns for a terminal.
    Table,
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated values.
    Csv,
    /// Apache Parquet; not for a terminal.
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Check rules; exits with 1 if one is refused.
    Lint {
        /// Rule files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        shaping: Shaping,
    },
    /// Run the cases beside rules (`RULE.cases.yaml`); exits with 1 if one fails.
    Test {
        /// Rule files and folders [default: the built-in rules].
        paths: Vec<PathBuf>,
        #[command(flatten)]
        shaping: Shaping,
        /// Write the results as JUnit XML to this file.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Say condition by condition why a rule matches an event, or does not; exits with 1 if it
    /// does not.
    Explain(ExplainArgs),
    /// Write an ATT&CK Navigator layer: for each technique whether there is data, a rule, a
    /// tested rule, a finding.
    Coverage(CoverageArgs),
    /// Forecast alerts from stored events: what a rule would have found, and what an exception
    /// would hold back.
    Backtest(BacktestArgs),
    /// List rules.
    List {
        /// Rule files and folders [default: the built-in rules].
        paths: Vec<PathBuf>,
        #[command(flatten)]
        shaping: Shaping,
    },
}

/// Text for a person, or JSON for a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For a terminal.
    Text,
    /// One JSON object per rule and event.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Id or title of a rule, or a rule file.
    pub rule: String,
    /// A file of records, of any form that `detect` reads; `-` is standard input.
    pub event: PathBuf,
    /// Which record, from 0, as findings have it; needed where there are several.
    #[arg(long)]
    pub position: Option<u64>,
    /// Rules beside the built-in ones, files or folders.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    #[command(flatten)]
    pub shaping: Shaping,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ExplainFormat,
}

/// How counts of a coverage are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CoverageFormat {
    /// Columns for a terminal.
    Table,
    /// One JSON object.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct CoverageArgs {
    /// Rule files and folders [default: the built-in rules].
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    #[command(flatten)]
    pub shaping: Shaping,
    /// Data folder: its stored events and findings.
    #[arg(long, conflicts_with = "events")]
    pub data: Option<PathBuf>,
    /// How far back in the data folder: like 30d, 12h.
    #[arg(long, default_value = "30d")]
    pub last: String,
    /// Files and folders of records, which the rules are run on.
    #[arg(long)]
    pub events: Vec<PathBuf>,
    /// Where the layer is written.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Form of the counts on standard output.
    #[arg(long, value_enum, default_value = "table")]
    pub format: CoverageFormat,
}

/// How a forecast is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ForecastFormat {
    /// For a terminal.
    Text,
    /// One JSON object.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// A rule file, which need not be in force, or the id of a built-in rule.
    pub rule: String,
    /// Data folder, of a running server or of none.
    #[arg(long)]
    pub data: PathBuf,
    /// How far back: like 30d, 12h, 45m.
    #[arg(long, default_value = "30d")]
    pub last: String,
    /// A proposed exception: `field=value`, `field*=part`, `field^=start`, `field$=end` (all must
    /// hold), or a Sigma filter file.
    #[arg(long)]
    pub exception: Vec<String>,
    /// Rules that a correlation rests on, beside the built-in ones.
    #[arg(long)]
    pub rules: Vec<PathBuf>,
    #[command(flatten)]
    pub shaping: Shaping,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ForecastFormat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MappingCommand {
    /// Run the cases of the built-in packs, or of a folder's; exits with 1 if one fails.
    Test {
        /// Folder of packs [default: the built-in packs].
        folder: Option<PathBuf>,
    },
    /// Show what each line of a file becomes, and why.
    Try {
        /// Form of the file; found from content and name if not given.
        #[arg(long)]
        format: Option<String>,
        /// Mapping pack of the product that wrote the file.
        #[arg(long, value_name = "PACK")]
        product: Option<String>,
        /// Further folders of packs; one of the name of a built-in pack takes its place.
        #[arg(long, value_name = "DIR")]
        mappings: Vec<PathBuf>,
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Say how much of some logs is understood, by product, with examples of what is not.
    Coverage(MappingCoverageArgs),
    /// List the packs, their products and their kinds of event.
    List {
        /// Further folders of packs.
        #[arg(long, value_name = "DIR")]
        mappings: Vec<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MappingCoverageArgs {
    /// Form of the files; found from content and name if not given.
    #[arg(long)]
    pub format: Option<String>,
    /// Mapping pack of the product that wrote the files.
    #[arg(long, value_name = "PACK")]
    pub product: Option<String>,
    /// Further folders of packs; one of the name of a built-in pack takes its place.
    #[arg(long, value_name = "DIR")]
    pub mappings: Vec<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Files and folders; `-` is standard input.
    #[arg(required = true)]
    pub input: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum IntelCommand {
    /// Look for indicators in files of events, or in a data folder's, and print findings.
    Match(IntelMatchArgs),
    /// Check lists of indicators and put them into a data folder; a running server takes them up.
    Import {
        /// Data folder, of a running server or of none.
        #[arg(long)]
        data: PathBuf,
        /// Lists: plain text, CSV, STIX 2.1, MISP; files and folders.
        #[arg(required = true)]
        input: Vec<PathBuf>,
    },
    /// Print the indicators of a data folder.
    Export {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
        /// One list only, by name.
        #[arg(long)]
        list: Option<String>,
        /// Form of the output.
        #[arg(long, value_enum, default_value = "csv")]
        format: IndicatorFormat,
    },
}

/// How indicators are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IndicatorFormat {
    /// Comma-separated values, which `import` takes back.
    Csv,
    /// A STIX 2.1 bundle.
    Stix,
    /// Values alone, one per line.
    Text,
}

#[derive(Debug, Args)]
pub(crate) struct IntelMatchArgs {
    /// Lists of indicators: files and folders.
    #[arg(long, required = true)]
    pub indicators: Vec<PathBuf>,
    /// Form of the output.
    #[arg(long, value_enum, default_value = "ndjson")]
    pub format: FindingFormat,
    /// Threads [default: the machine's cores].
    #[arg(long)]
    pub threads: Option<usize>,
    /// Write figures as JSON to this file.
    #[arg(long)]
    pub stats: Option<PathBuf>,
    /// Data folder whose stored events are looked through, of a running server or of none.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// How far back in a data folder: like 30d, 12h, 45m.
    #[arg(long, default_value = "30d", requires = "data")]
    pub last: String,
    /// Files and folders of events.
    #[arg(required_unless_present = "data", conflicts_with = "data")]
    pub input: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// Print rows, files and bytes, and how many files cannot be read.
    Stats {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
    /// Make small files into large ones at once; a running server does so by itself.
    Compact {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
    /// Look at every byte of every file; prints what is damaged and fails if something is.
    Verify {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
    /// Make damaged filters anew, and take data files that cannot be read out of the table; they
    /// are put aside, not deleted. The server must not run.
    Repair {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// Server, such as http://127.0.0.1:8787; its token is read from WATCHFLOOR_TOKEN.
    #[arg(long)]
    pub url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PlaybookCommand {
    /// Check CACAO documents, and the cases beside them; exits with 1 if one has errors.
    Validate {
        /// Files and folders; the built-in playbooks without.
        paths: Vec<PathBuf>,
    },
    /// Begin a run on a server, or rehearse one with --dry.
    Run {
        /// A file, or the id of a playbook of the server.
        playbook: String,
        /// Only say what would be done.
        #[arg(long)]
        dry: bool,
        /// Value of an external variable, as NAME=VALUE; may be given several times.
        #[arg(long)]
        input: Vec<String>,
        /// Incident that the run belongs to.
        #[arg(long)]
        incident: Option<String>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Print the playbooks of a server.
    List {
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Give playbooks to a server.
    Import {
        /// Files and folders.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Print a playbook of a server, or write it to a file.
    Export {
        /// Its id.
        playbook: String,
        /// File.
        #[arg(short, long)]
        output: Option<PathBuf>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make the authority whose certificates the nodes of a cluster trust.
    Authority {
        /// Folder for `authority.pem` and `authority.key`; keep the key safe.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make the certificate of a node, a server or a worker.
    Certificate {
        /// Folder of the authority.
        #[arg(long)]
        authority: PathBuf,
        /// Host name or address by which others reach the node; may be given several times.
        #[arg(long, required = true)]
        name: Vec<String>,
        /// Folder for `node.pem`, `node.key` and `authority.pem`.
        #[arg(long)]
        out: PathBuf,
    },
    /// Work on the queries of servers that name this machine in `cluster.workers`. Prints
    /// `ready URL`. Credentials of buckets come from the configuration or the environment.
    Worker(WorkerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Configuration file (TOML); its parts `cluster` and `lake.storage` are read.
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// Address for servers and other workers.
    #[arg(long, default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// Certificate of the cluster's authority (PEM).
    #[arg(long)]
    pub authority: Option<PathBuf>,
    /// Certificate of this node (PEM).
    #[arg(long)]
    pub certificate: Option<PathBuf>,
    /// Key of this node (PEM).
    #[arg(long)]
    pub key: Option<PathBuf>,
    /// Memory for queries, in MiB; beyond it, they spill to disk or stop.
    #[arg(long, default_value_t = 2048)]
    pub memory_mib: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Make an API token and print it.
    Token {
        /// What it may: ingest, read, write, admin; several by commas.
        #[arg(long, required = true, value_delimiter = ',')]
        scope: Vec<String>,
        /// Name, for the list of tokens.
        #[arg(long, default_value = "command line")]
        name: String,
        /// Days until it ends.
        #[arg(long, default_value_t = 90)]
        days: u32,
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
    /// Make a one-time token with which agents enrol, and print it.
    Enrolment {
        /// How many agents it lets in.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// Hours until it is over.
        #[arg(long, default_value_t = 24)]
        hours: u32,
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
    /// Verify the audit chain; exits with 1 if it is broken.
    #[command(subcommand)]
    Audit(AuditCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify every entry's hash.
    Verify {
        /// Data folder.
        #[arg(long)]
        data: PathBuf,
    },
}

/// Reads the command line; help goes to stdout with code 0, errors to stderr with code 2.
pub(crate) fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        let failed = error.use_stderr();
        // A closed pipe is not worth a complaint.
        let _ = error.print();
        if failed {
            ExitCode::from(EXIT_FAILED)
        } else {
            ExitCode::SUCCESS
        }
    })
}

/// Runs the command.
pub(crate) fn run(cli: Cli) -> Result<Outcome> {
    match cli.command {
        Command::Serve(args) => command::serve::run(&args),
        Command::Demo(args) => command::demo::run(&args),
        Command::Import(args) => command::import::run(&args),
        Command::Detect(args) => command::detect::run(&args),
        Command::Normalize(args) => command::normalize::run(&args),
        Command::Hunt(args) => command::hunt::run(&args),
        Command::Rules(sub) => command::rules::run(&sub),
        Command::Mapping(sub) => command::mapping::run(&sub),
        Command::Intel(sub) => command::intel::run(&sub),
        Command::Sensor(args) => command::sensor::run(&args),
        Command::Lake(sub) => command::lake::run(&sub),
        Command::Playbook(sub) => command::playbook::run(&sub),
        Command::Cluster(sub) => command::cluster::run(&sub),
        Command::Admin(sub) => command::admin::run(&sub),
    }
}
