//! `cargo xtask coverage`: how much of the logs in `../shared/corpus` is understood, by product.
//!
//! Logs that stand inside other files are taken out first: the events of rule tests (YAML), of
//! recordings (zip), and what Suricata says of capture files.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::{setup, shell};

/// The syslog, web, audit and database logs among plaso's test data, by parts of their names.
const TEXT_LOGS: &[&str] = &[
    "syslog",
    "access",
    "audit",
    "iis",
    "nginx",
    "apache",
    "postgres",
    "mysql",
    "mariadb",
    "selinux",
    "dpkg",
    "apt_history",
    "auth.log",
    "vsftpd",
    "cri.log",
    "santa",
    "snort",
    "gcp_logging",
    "cloudtrail",
    "azure",
    "windows_firewall",
    "docker",
    "kubernetes",
    "journal",
    "zeek",
    "suricata",
    "squid",
    "fortigate",
    "cisco",
    "postfix",
    "sshd",
    "cups_access",
    "okta",
    "aws_elb",
    "vpcflow",
];
/// Capture files that Suricata is run over.
const MAX_CAPTURES: usize = 60;

/// Takes logs out of rule tests and recordings; arguments: corpus, target folder.
const EXTRACT: &str = r#"
import io, json, os, sys, zipfile, glob
import yaml
corpus, target = sys.argv[1:3]
def clean(value):
    if isinstance(value, dict): return {str(k): clean(v) for k, v in value.items()}
    if isinstance(value, list): return [clean(v) for v in value]
    if isinstance(value, (str, int, float, bool)) or value is None: return value
    return str(value)
panther = {}
for path in sorted(glob.glob(f"{corpus}/panther-rule-tests/rules/**/*.yml", recursive=True)):
    try:
        document = yaml.safe_load(open(path, encoding="utf-8"))
    except yaml.YAMLError:
        continue
    kinds = (document or {}).get("LogTypes") or []
    for test in (document or {}).get("Tests") or []:
        log = test.get("Log")
        if isinstance(log, dict) and kinds:
            line = {k: v for k, v in clean(log).items() if not k.startswith("p_")}
            panther.setdefault(kinds[0].split(".")[0], []).append(line)
os.makedirs(f"{target}/panther", exist_ok=True)
for name, lines in panther.items():
    with open(f"{target}/panther/{name}.ndjson", "w") as out:
        out.writelines(json.dumps(line) + "\n" for line in lines)
os.makedirs(f"{target}/otrf", exist_ok=True)
for path in sorted(glob.glob(f"{corpus}/otrf-atomic/**/*.zip", recursive=True)):
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith((".json", ".log")):
                with open(f"{target}/otrf/{os.path.basename(name)}", "wb") as out:
                    out.write(archive.read(name))
"#;

pub(crate) fn run() -> Result<()> {
    let corpus = shell::root().join("../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: {} is absent", corpus.display());
        return Ok(());
    }
    setup::for_test()?;
    let python = setup::python()?;
    shell::step("console: build", setup::console)?;
    shell::step("server: build", shell::build)?;
    let target = shell::target().join("coverage");
    let _ = std::fs::remove_dir_all(&target);
    std::fs::create_dir_all(&target)?;
    let mut extract = shell::command(&python.to_string_lossy(), ".");
    shell::run(extract.args(["-c", EXTRACT]).arg(&corpus).arg(&target))?;
    captures(&corpus, &target)?;
    let sets = [
        ("rule tests of Panther", vec![target.join("panther")]),
        ("recordings of OTRF", vec![target.join("otrf")]),
        ("evtx-to-mitre", evtx_files(&corpus)?),
        ("Suricata over capture files", vec![target.join("suricata")]),
        ("logs among plaso's test data", text_logs(&corpus)?),
    ];
    for (name, inputs) in sets {
        println!("\n== {name}");
        let inputs: Vec<PathBuf> = inputs.into_iter().filter(|path| path.exists()).collect();
        if inputs.is_empty() {
            println!("nothing is there");
            continue;
        }
        let mut command = shell::command(&shell::watchfloor().to_string_lossy(), ".");
        shell::run(command.args(["mapping", "coverage"]).args(inputs))?;
    }
    Ok(())
}

/// What Suricata, with no rules, says of capture files.
fn captures(corpus: &Path, target: &Path) -> Result<()> {
    let into = target.join("suricata");
    std::fs::create_dir_all(&into)?;
    let mut found = Vec::new();
    below(&corpus.join("zeek-traces"), &mut found)?;
    below(&corpus.join("suricata-verify"), &mut found)?;
    let is_capture = |path: &PathBuf| {
        path.extension()
            .is_some_and(|one| one == "pcap" || one == "trace")
    };
    for (number, pcap) in found
        .iter()
        .filter(|path| is_capture(path))
        .take(MAX_CAPTURES)
        .enumerate()
    {
        let logs = into.join(number.to_string());
        std::fs::create_dir_all(&logs)?;
        let mut suricata = shell::command("suricata", ".");
        suricata
            .args(["-S", "/dev/null", "-k", "none", "-r"])
            .arg(pcap)
            .arg("-l")
            .arg(&logs);
        // Some captures are broken on purpose.
        let _ = suricata
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        for other in ["stats.log", "fast.log", "suricata.log"] {
            let _ = std::fs::remove_file(logs.join(other));
        }
    }
    Ok(())
}

/// The recordings alone, without the texts about them.
fn evtx_files(corpus: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let folder = corpus.join("evtx-to-mitre");
    if folder.is_dir() {
        below(&folder, &mut found)?;
    }
    found.retain(|path| path.extension().is_some_and(|one| one == "evtx"));
    Ok(found)
}

fn text_logs(corpus: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    below(&corpus.join("plaso-test-data"), &mut found)?;
    found.retain(|path| {
        let name = path.to_string_lossy().to_lowercase();
        let name = name
            .rsplit("test_data/")
            .next()
            .unwrap_or_default()
            .to_owned();
        let is_text =
            std::fs::read(path).is_ok_and(|bytes| !bytes.iter().take(4096).any(|byte| *byte == 0));
        is_text && TEXT_LOGS.iter().any(|part| name.contains(part))
    });
    if found.is_empty() {
        bail!("no log is found among plaso's test data");
    }
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            below(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
