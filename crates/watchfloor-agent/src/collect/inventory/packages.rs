//! Installed packages of every manager that is found.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::host::distribution;
use crate::core::Core;
use crate::glob;
use crate::platform::command;
use crate::record::{Fields, put};

/// Longest run of a package manager.
const LIMIT: Duration = Duration::from_secs(60);
/// Longest file with facts of one package.
const FACTS_BYTES_MAX: u64 = 1 << 20;
/// Packages of one pattern of paths.
const PATHS_MAX: usize = 10_000;
/// Where Python packages stand.
const PYTHON: &[&str] = &[
    "/usr/lib/python3*/dist-packages/*-info",
    "/usr/lib/python3*/site-packages/*-info",
    "/usr/lib64/python3*/site-packages/*-info",
    "/usr/local/lib/python3*/dist-packages/*-info",
    "/usr/local/lib/python3*/site-packages/*-info",
    "/opt/*/lib/python3*/site-packages/*-info",
    "/root/.local/lib/python3*/site-packages/*-info",
    "/home/*/.local/lib/python3*/site-packages/*-info",
];
/// Where Node packages for all stand.
const NODE: &[&str] = &[
    "/usr/lib/node_modules/*/package.json",
    "/usr/lib/node_modules/@*/*/package.json",
    "/usr/local/lib/node_modules/*/package.json",
    "/usr/local/lib/node_modules/@*/*/package.json",
];
/// Where cargo writes what it installed.
const CARGO: &[&str] = &["/root/.cargo/.crates.toml", "/home/*/.cargo/.crates.toml"];

/// All packages.
pub(super) fn rows(core: &Core) -> Vec<Fields> {
    let root = Path::new("/");
    let mut rows = dpkg(&fs::read_to_string("/var/lib/dpkg/status").unwrap_or_default());
    for path in glob::expand(root, "/var/lib/dpkg/status.d/*", PATHS_MAX) {
        rows.extend(dpkg(&read(&path)));
    }
    rows.extend(apk(
        &fs::read_to_string("/lib/apk/db/installed").unwrap_or_default()
    ));
    if command::find("rpm").is_some() {
        let form = "%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SOURCERPM}\\n";
        match command::run("rpm", &["-qa", "--qf", form], None, LIMIT) {
            Ok(text) => rows.extend(rpm(&text)),
            Err(error) => core.board.trouble("inventory", &format!("{error:#}")),
        }
    }
    let (id, version) = distribution();
    for row in &mut rows {
        put(row, "distribution", format!("{id} {version}").trim());
    }
    for (patterns, parse) in [
        (PYTHON, python as fn(&Path) -> Vec<Fields>),
        (NODE, node),
        (CARGO, cargo),
    ] {
        for pattern in patterns {
            for path in glob::expand(root, pattern, PATHS_MAX) {
                rows.extend(parse(&path));
            }
            core.pace.step();
        }
    }
    rows
}

fn read(path: &Path) -> String {
    let is_short = fs::metadata(path).is_ok_and(|meta| meta.len() <= FACTS_BYTES_MAX);
    match is_short {
        true => String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned(),
        false => String::new(),
    }
}

fn row(manager: &str, name: &str, version: &str) -> Fields {
    let mut row = Fields::new();
    put(&mut row, "manager", manager);
    put(&mut row, "name", name);
    put(&mut row, "version", version);
    row
}

/// Value of a field of a text of `Name: value` lines; continued lines begin with a blank.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(':')?;
        Some(rest.trim())
    })
}

/// The status file of dpkg: one paragraph for each package.
fn dpkg(text: &str) -> Vec<Fields> {
    let package = |text: &str| {
        let status = field(text, "Status").unwrap_or("install ok installed");
        if !status.ends_with(" installed") {
            return None;
        }
        let (name, version) = (field(text, "Package")?, field(text, "Version")?);
        let mut row = row("dpkg", name, version);
        put(
            &mut row,
            "arch",
            field(text, "Architecture").unwrap_or_default(),
        );
        // `source (version)`, where both differ from the package's own.
        let source = field(text, "Source").unwrap_or(name);
        let (source, source_version) = match source.split_once(" (") {
            Some((source, rest)) => (source, rest.trim_end_matches(')')),
            None => (source, version),
        };
        put(&mut row, "source", source);
        put(&mut row, "source_version", source_version);
        Some(row)
    };
    text.split("\n\n").filter_map(package).collect()
}

/// The database of apk: lines of a letter and a value.
fn apk(text: &str) -> Vec<Fields> {
    let package = |text: &str| {
        let mut row = row("apk", field(text, "P")?, field(text, "V")?);
        put(&mut row, "arch", field(text, "A").unwrap_or_default());
        put(&mut row, "source", field(text, "o").unwrap_or_default());
        put(&mut row, "source_version", field(text, "V")?);
        Some(row)
    };
    text.split("\n\n").filter_map(package).collect()
}

/// What was asked of rpm: name, epoch and version, architecture, source package.
fn rpm(text: &str) -> Vec<Fields> {
    let package = |line: &str| {
        let parts: Vec<&str> = line.split('\t').collect();
        let [name, version, arch, source] = parts.as_slice() else {
            return None;
        };
        let version = version.strip_prefix("0:").unwrap_or(version);
        let mut row = row("rpm", name, version);
        put(&mut row, "arch", *arch);
        // `name-version-release.src.rpm`
        let source = source.trim_end_matches(".src.rpm");
        let mut parts = source.rsplitn(3, '-');
        let (release, number, source) = (parts.next(), parts.next(), parts.next());
        if let (Some(release), Some(number), Some(source)) = (release, number, source) {
            put(&mut row, "source", source);
            put(&mut row, "source_version", format!("{number}-{release}"));
        }
        Some(row)
    };
    text.lines().filter_map(package).collect()
}

/// The folder or file that a Python package leaves about itself.
fn python(path: &Path) -> Vec<Fields> {
    let facts = [
        path.join("METADATA"),
        path.join("PKG-INFO"),
        path.to_owned(),
    ];
    let text = facts
        .iter()
        .find(|path| path.is_file())
        .map(|path| read(path));
    let text = text.unwrap_or_default();
    let head = text.split("\n\n").next().unwrap_or_default();
    let (Some(name), Some(version)) = (field(head, "Name"), field(head, "Version")) else {
        return Vec::new();
    };
    let mut row = row("pip", name, version);
    put(&mut row, "path", path.to_string_lossy());
    vec![row]
}

/// The description of a Node package.
fn node(path: &Path) -> Vec<Fields> {
    let value: Value = serde_json::from_str(&read(path)).unwrap_or_default();
    let (Some(name), Some(version)) = (value["name"].as_str(), value["version"].as_str()) else {
        return Vec::new();
    };
    let mut row = row("npm", name, version);
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    put(&mut row, "path", folder.to_string_lossy());
    vec![row]
}

/// What cargo installed: `"name 1.2.3 (registry+…)" = ["binary"]`.
fn cargo(path: &Path) -> Vec<Fields> {
    let text = read(path);
    let package = |line: &str| {
        let key = line.strip_prefix('"')?.split('"').next()?;
        let mut words = key.split(' ');
        let mut row = row("cargo", words.next()?, words.next()?);
        put(&mut row, "path", path.to_string_lossy());
        Some(row)
    };
    text.lines().filter_map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(rows: &[Fields]) -> Vec<String> {
        let word = |row: &Fields| {
            let text = |name: &str| {
                row.get(name)
                    .and_then(Value::as_str)
                    .unwrap_or("-")
                    .to_owned()
            };
            [
                "manager",
                "name",
                "version",
                "arch",
                "source",
                "source_version",
            ]
            .map(text)
            .join(" ")
        };
        rows.iter().map(word).collect()
    }

    #[test]
    fn each_managers_form_is_read() {
        let text = "Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\nVersion: 3.0.15-1\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: bash\nStatus: install ok installed\nSource: bash (5.2)\nVersion: 5.2-2+b1\nArchitecture: amd64\n";
        assert_eq!(
            words(&dpkg(text)),
            [
                "dpkg libssl3 3.0.15-1 amd64 openssl 3.0.15-1",
                "dpkg bash 5.2-2+b1 amd64 bash 5.2"
            ]
        );
        let text = "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\no:musl\n\nP:ssl_client\nV:1.36-r5\nA:x86_64\no:busybox\n";
        assert_eq!(
            words(&apk(text))[1],
            "apk ssl_client 1.36-r5 x86_64 busybox 1.36-r5"
        );
        let text = "glibc\t0:2.34-60.el9\tx86_64\tglibc-2.34-60.el9.src.rpm\nbind-libs\t32:9.16-1.el9\tx86_64\tbind-9.16-1.el9.src.rpm\n";
        assert_eq!(
            words(&rpm(text)),
            [
                "rpm glibc 2.34-60.el9 x86_64 glibc 2.34-60.el9",
                "rpm bind-libs 32:9.16-1.el9 x86_64 bind 9.16-1.el9"
            ]
        );
    }

    #[test]
    fn packages_of_languages_are_found_by_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let info = folder.path().join("requests-2.31.0.dist-info");
        fs::create_dir(&info).unwrap();
        fs::write(
            info.join("METADATA"),
            "Metadata-Version: 2.1\nName: requests\nVersion: 2.31.0\n\nText\nVersion: 9\n",
        )
        .unwrap();
        assert_eq!(words(&python(&info)), ["pip requests 2.31.0 - - -"]);
        let json = folder.path().join("package.json");
        fs::write(&json, r#"{"name": "@a/b", "version": "1.0.0"}"#).unwrap();
        assert_eq!(words(&node(&json)), ["npm @a/b 1.0.0 - - -"]);
        fs::write(&json, "{").unwrap();
        assert!(node(&json).is_empty());
        let crates = folder.path().join(".crates.toml");
        fs::write(
            &crates,
            "[v1]\n\"ripgrep 14.1.0 (registry+https://x)\" = [\"rg\"]\n",
        )
        .unwrap();
        assert_eq!(words(&cargo(&crates)), ["cargo ripgrep 14.1.0 - - -"]);
    }
}
