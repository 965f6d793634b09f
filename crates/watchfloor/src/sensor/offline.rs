//! A capture file through Suricata.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::configuration::{self, Output};
use super::process;
use super::rule_files::ACTIVE;
use super::settings::Settings;

/// What is run.
#[derive(Debug)]
pub(crate) struct PcapRun<'a> {
    /// The capture file.
    pub pcap: &'a Path,
    /// Rule files in place of the sensor's.
    pub rules: &'a [PathBuf],
    /// A configuration of Suricata in place of the sensor's.
    pub config: Option<&'a Path>,
    /// The sensor's folder.
    pub folder: &'a Path,
}

/// Runs Suricata over a capture file into a folder; gives its EVE file.
pub(crate) fn run_pcap(run: &PcapRun<'_>, settings: &Settings, into: &Path) -> Result<PathBuf> {
    let absolute = |path: &Path| {
        std::fs::canonicalize(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let pcap = absolute(run.pcap)?;
    let program = process::program(settings)?;
    let config = match run.config {
        Some(config) => absolute(config)?,
        None => {
            // Threshold and rules of the sensor stand in its folder, if there is one.
            let quiet = Settings {
                interfaces: Vec::new(),
                packets_mib: 0,
                ..settings.clone()
            };
            let threshold = into.join(configuration::THRESHOLD);
            let own = run.folder.join(configuration::THRESHOLD);
            let lines = std::fs::read(own).unwrap_or_default();
            std::fs::write(threshold, lines).context("cannot write threshold.config")?;
            configuration::write(into, &quiet, &Output::File)?
        }
    };
    let rules = joined_rules(run, into)?;
    let output = Command::new(&program)
        .arg("-c")
        .arg(config)
        .arg("-S")
        .arg(rules)
        .arg("-r")
        .arg(pcap)
        .arg("-l")
        .arg(into)
        // Captures of machines that leave checksums to their cards have none.
        .args(["-k", "none", "--runmode", "single"])
        // Rules name lists and scripts beside them.
        .current_dir(match run.rules.first() {
            Some(rules) => absolute(rules)?.parent().unwrap_or(into).to_owned(),
            None => into.to_owned(),
        })
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    if !output.status.success() {
        bail!(
            "Suricata cannot read {}:\n  {}",
            run.pcap.display(),
            process::complaints(&output.stdout, &output.stderr)
        );
    }
    let eve = into.join("eve.json");
    if !eve.is_file() {
        bail!("Suricata wrote no events for {}", run.pcap.display());
    }
    Ok(eve)
}

/// The rules in one file.
fn joined_rules(run: &PcapRun<'_>, into: &Path) -> Result<PathBuf> {
    let path = into.join("offline.rules");
    let mut text = Vec::new();
    for file in run.rules {
        let bytes =
            std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        text.extend(bytes);
        text.push(b'\n');
    }
    if run.rules.is_empty() {
        text = std::fs::read(run.folder.join(ACTIVE)).unwrap_or_default();
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
