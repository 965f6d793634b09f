//! Imports go down only (ARCHITECTURE.md, Layers).

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Crates by layer, lowest first.
const LAYERS: &[&[&str]] = &[
    &["model", "event", "link"],
    &[
        "decode",
        "normalize",
        "enrich",
        "rules",
        "detect",
        "query",
        "intel",
        "vuln",
        "forensics",
        "report",
        "playbook",
    ],
    &["forward", "ingest", "lake", "store", "respond", "fleet"],
    &["pipeline", "casework"],
    &["watchfloor", "api", "agent"],
];

/// The few ways sideways.
const SIDEWAYS: &[(&str, &str)] = &[
    ("detect", "rules"),
    ("normalize", "decode"),
    ("forensics", "decode"),
    ("watchfloor", "api"),
];

/// For tests only; may use everything, and only tests may use it.
const TESTKIT: &str = "testkit";

pub(super) fn check() -> Result<Vec<String>> {
    let text =
        shell::output(shell::cargo().args(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is no JSON")?;
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = short(package["name"].as_str().unwrap_or_default());
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let is_dev = dependency["kind"].as_str() == Some("dev");
            let target = dependency["name"].as_str().unwrap_or_default();
            if dependency["path"].is_string() && !is_dev && !is_allowed(name, short(target)) {
                faults.push(format!("{name} must not use {}", short(target)));
            }
        }
    }
    Ok(faults)
}

fn short(name: &str) -> &str {
    name.strip_prefix("watchfloor-").unwrap_or(name)
}

fn is_allowed(from: &str, to: &str) -> bool {
    if from == TESTKIT || from == "xtask" {
        return true;
    }
    let layer = |name: &str| LAYERS.iter().position(|layer| layer.contains(&name));
    match (layer(from), layer(to)) {
        (Some(from_layer), Some(to_layer)) => {
            to_layer < from_layer || SIDEWAYS.contains(&(from, to))
        }
        _ => false,
    }
}
