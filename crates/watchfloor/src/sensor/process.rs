//! The installed Suricata: found, asked for its version, started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::settings::Settings;

/// Lines of a complaint that are shown.
const MAX_LINES: usize = 10;

/// The program.
pub(super) fn program(settings: &Settings) -> Result<PathBuf> {
    if let Some(named) = &settings.suricata {
        return Ok(named.clone());
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let standard = ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&paths)
        .chain(standard)
        .map(|folder| folder.join("suricata"))
        .find(|path| path.is_file())
        .context(
            "Suricata is not installed; install the package suricata (version 7 or newer), or name \
             the program in sensor.toml: suricata = \"/path\"",
        )
}

/// Has it test rules.
pub(super) fn test_rules(program: &Path, config: &Path, rules: &Path) -> Result<()> {
    let logs = tempfile::tempdir().context("no folder for Suricata's test")?;
    let output = Command::new(program)
        .arg("-T")
        .arg("-c")
        .arg(config)
        .arg("-S")
        .arg(rules)
        .arg("-l")
        .arg(logs.path())
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{} cannot be started", program.display()))?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "Suricata refuses the rules, so those before stay in use:\n  {}",
        complaints(&output.stdout, &output.stderr)
    )
}

/// What it complained of.
pub(super) fn complaints(stdout: &[u8], stderr: &[u8]) -> String {
    let text = [stdout, stderr].map(String::from_utf8_lossy).concat();
    let is_complaint = |line: &&str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("e:") || line.contains("error") || line.contains("fail")
    };
    let lines: Vec<&str> = text.lines().filter(is_complaint).take(MAX_LINES).collect();
    if lines.is_empty() {
        return text
            .lines()
            .rev()
            .take(MAX_LINES)
            .collect::<Vec<_>>()
            .join("\n  ");
    }
    lines.join("\n  ")
}
