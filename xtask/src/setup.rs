//! What has to be on the machine: installed on Debian as root, named elsewhere.

use anyhow::{Context, Result, bail};

use crate::shell;

/// A Debian package and a program that shows that it is there.
type Needed = (&'static str, &'static str);

/// To build.
const BUILD: &[Needed] = &[("gcc", "cc"), ("git", "git")];
/// To test: browser, senders, PDF reader, record store, journal of a cluster.
const TEST: &[Needed] = &[
    ("chromium", "chromium"),
    ("rsyslog", "rsyslogd"),
    ("softflowd", "softflowd"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("poppler-utils", "pdftotext"),
    ("python3", "python3"),
    ("postgresql", "/usr/lib/postgresql"),
    ("nats-server", "nats-server"),
    ("iproute2", "ip"),
    ("nftables", "nft"),
    // Hosts of the agent's tests: a firewall without nft, leases, and names.
    ("iptables", "iptables"),
    ("dnsmasq-base", "dnsmasq"),
    ("isc-dhcp-client", "dhclient"),
    // A whole system in a container.
    ("systemd", "systemctl"),
    ("dbus", "dbus-daemon"),
];

/// Makes sure that the program can be built.
pub(crate) fn for_build() -> Result<()> {
    install(BUILD)?;
    require_node()
}

/// Makes sure that the tests can run.
pub(crate) fn for_test() -> Result<()> {
    for_build()?;
    let needed: Vec<Needed> = TEST.iter().chain(TEST_FILES).copied().collect();
    install(&needed)?;
    aside()?;
    backported()
}

/// Libraries and modules of senders, by a file that shows that they are there.
const TEST_FILES: &[Needed] = &[
    ("rsyslog-gnutls", "rsyslog/lmnsd_gtls.so"),
    ("libivykis0", "libivykis.so.0"),
    ("libnet1", "libnet.so.1"),
    ("libpam-systemd", "security/pam_systemd.so"),
    ("libwrap0", "libwrap.so.0"),
    ("libpcre3", "libpcre.so.3"),
];

/// Gets syslog-ng, which Debian does not install beside rsyslog: its package is unpacked into a
/// folder of the build. Where that cannot be done, its tests are skipped with a line.
fn aside() -> Result<()> {
    let folder = shell::target().join("aside");
    if folder.join("usr/sbin/syslog-ng").is_file() || !can_install() {
        return Ok(());
    }
    std::fs::create_dir_all(&folder)?;
    let mut download = shell::command("apt-get", ".");
    download
        .current_dir(&folder)
        .args(["download", "-qq", "syslog-ng-core"]);
    shell::run(&mut download)?;
    for entry in std::fs::read_dir(&folder)?.flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            shell::run(
                shell::command("dpkg", ".")
                    .arg("-x")
                    .arg(&path)
                    .arg(&folder),
            )?;
        }
    }
    Ok(())
}

/// Suricata 7, which Debian 12 has among its backports only.
fn backported() -> Result<()> {
    const PROGRAM: &str = "suricata";
    if shell::has(PROGRAM) {
        return Ok(());
    }
    if !can_install() {
        bail!("please install {PROGRAM} (version 7 or newer)");
    }
    println!("installing {PROGRAM}");
    apt(&["update", "-qq"])?;
    if !has_version(PROGRAM, "7.")? {
        add_backports()?;
        apt(&["update", "-qq"])?;
    }
    let release = release()?;
    let suite = format!("{release}-backports");
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    if std::path::Path::new(BACKPORTS).is_file() {
        arguments.extend(["-t", &suite]);
    }
    arguments.push(PROGRAM);
    apt(&arguments)
}

/// Where the suite of backports is named.
const BACKPORTS: &str = "/etc/apt/sources.list.d/watchfloor-backports.sources";

fn has_version(package: &str, beginning: &str) -> Result<bool> {
    let policy = shell::output(shell::command("apt-cache", ".").args(["policy", package]))?;
    let candidate = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate:"));
    let version = candidate.unwrap_or_default().trim();
    let version = version
        .split_once(':')
        .map_or(version, |(_, version)| version);
    Ok(version.starts_with(beginning))
}

/// Debian's name for the release, such as `bookworm`.
fn release() -> Result<String> {
    let text = std::fs::read_to_string("/etc/os-release").context("no /etc/os-release")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name
        .context("the release has no name")?
        .trim_matches('"')
        .to_owned())
}

/// Names the suite of backports at the same place from which the release itself comes.
fn add_backports() -> Result<()> {
    let known = std::fs::read_to_string("/etc/apt/sources.list.d/debian.sources");
    let known = known.context("Debian's package sources cannot be read")?;
    let release = release()?;
    let first = known.split("\n\n").find(|part| part.contains("URIs:"));
    let lines = first.context("no package source is named")?.lines();
    let lines = lines.filter(|line| !line.starts_with('#')).map(|line| {
        if line.starts_with("Suites:") {
            format!("Suites: {release}-backports")
        } else {
            line.to_owned()
        }
    });
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";
    std::fs::write(BACKPORTS, text).context("the suite of backports cannot be named")
}

fn install(needed: &[Needed]) -> Result<()> {
    let path = std::env::var("PATH").unwrap_or_default();
    let is_there = |program: &str| {
        // Debian keeps the programs of PostgreSQL in a folder per version.
        let is_folder = program.starts_with('/') && std::path::Path::new(program).is_dir();
        is_folder
            || shell::has(program)
            || [
                "/usr/sbin",
                "/usr/lib/x86_64-linux-gnu",
                "/lib/x86_64-linux-gnu",
            ]
            .iter()
            .any(|folder| std::path::Path::new(folder).join(program).is_file())
    };
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(_, program)| !is_there(program))
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !can_install() {
        bail!(
            "please install {} (by the names of Debian's packages; looked in {path})",
            missing.join(", ")
        );
    }
    println!("installing {}", missing.join(", "));
    apt(&["update", "-qq"])?;
    let mut arguments = vec!["install", "-y", "-qq", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let mut command = shell::command("apt-get", ".");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    shell::run(&mut command)
}

fn can_install() -> bool {
    let is_root =
        shell::output(shell::command("id", ".").arg("-u")).is_ok_and(|id| id.trim() == "0");
    is_root && shell::has("apt-get")
}

fn require_node() -> Result<()> {
    let version = shell::output(shell::command("node", ".").arg("--version"));
    let major = version.ok().and_then(|text| {
        text.trim()
            .trim_start_matches('v')
            .split('.')
            .next()?
            .parse::<u32>()
            .ok()
    });
    match major {
        Some(major) if major >= 20 => Ok(()),
        Some(major) => {
            bail!("Node.js {major} is too old for the console; please install version 20 or newer")
        }
        None => bail!("Node.js is missing; please install version 20 or newer with npm"),
    }
}

/// Installs the console's packages if the lock file is newer, and builds it.
pub(crate) fn console() -> Result<()> {
    require_node()?;
    let folder = shell::root().join("console");
    let modified = |path: &std::path::Path| {
        std::fs::metadata(path)
            .and_then(|metadata| metadata.modified())
            .ok()
    };
    let installed = modified(&folder.join("node_modules/.package-lock.json"));
    if installed.is_none() || installed < modified(&folder.join("package-lock.json")) {
        // Not `npm ci`: it wants every platform's optional package of the linter in the lock
        // file, and registries that lack some of them cannot give it. Versions still come from
        // the lock file, which is left as it is.
        shell::run(shell::command("npm", "console").args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
        ]))?;
    }
    shell::run(shell::command("npm", "console").args(["run", "--silent", "build"]))
}

/// Modules of JavaScript that tests send with; returns their folder.
pub(crate) fn node_senders() -> Result<std::path::PathBuf> {
    let wanted = std::path::Path::new("crates/watchfloor/tests/outside/otel_js");
    let folder = shell::target().join("senders-js");
    let lock = std::fs::read(wanted.join("package-lock.json"))?;
    let is_there = folder.join("node_modules/.package-lock.json").is_file();
    if is_there && std::fs::read(folder.join("package-lock.json")).is_ok_and(|own| own == lock) {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    std::fs::copy(wanted.join("package.json"), folder.join("package.json"))?;
    std::fs::write(folder.join("package-lock.json"), lock)?;
    shell::run(shell::command("npm", &folder.to_string_lossy()).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ]))?;
    Ok(folder)
}

/// A Python environment with the clients that tests send with; returns its interpreter.
pub(crate) fn python() -> Result<std::path::PathBuf> {
    const CLIENTS: &[&str] = &[
        "elasticsearch>=8,<9",
        // Senders.
        "opensearch-py>=3,<4",
        "splunk-hec-handler>=1.2,<2",
        "pygelf",
        "python-logging-loki",
        "opentelemetry-sdk",
        "opentelemetry-exporter-otlp-proto-http",
        "opentelemetry-exporter-otlp-proto-grpc",
        "pyyaml",
        "duckdb>=1,<2",
        // An S3-compatible server, and readers of the lake in it.
        "moto[server]>=5,<6",
        "pyarrow",
        "pandas>=2",
        "deltalake>=1,<2",
        "fsspec",
        "pysail",
        // Kafka brokers, by the mock cluster of librdkafka.
        "confluent-kafka",
        "pyspark-client",
    ];
    let folder = shell::target().join("python");
    let python = folder.join("bin/python");
    let stamp = folder.join("installed.txt");
    let wanted = CLIENTS.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return Ok(python);
    }
    std::fs::create_dir_all(&folder)?;
    shell::run(
        shell::command("python3", ".")
            .args(["-m", "venv"])
            .arg(&folder),
    )?;
    let mut pip = shell::command(&python.to_string_lossy(), ".");
    shell::run(
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(CLIENTS),
    )?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}
