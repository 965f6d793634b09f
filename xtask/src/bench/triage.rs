//! What triage makes of recorded intrusions: alerts to things to look at (compression), what does
//! not belong (purity), what is missing (completeness), held against labelled truth.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use watchfloor_testkit::{Judged, Scenario};

use crate::shell;

/// Sums over all scenarios of one set of rules.
#[derive(Default)]
struct Sums {
    alerts: usize,
    left: usize,
    inside: usize,
    strangers: usize,
    wanted: usize,
    missed: usize,
    clean: usize,
    scenarios: usize,
}

pub(super) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.iter().any(|argument| argument == "--as-built") {
        shell::build()?;
    }
    let is_verbose = arguments.iter().any(|argument| argument == "--verbose");
    let wanted: Vec<&String> = arguments
        .iter()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let sigma = shell::root().join("../shared/corpus/sigma-rules/rules");
    let mut sets = vec![("own rules", Vec::new())];
    if sigma.is_dir() && !arguments.iter().any(|argument| argument == "--own") {
        sets.push(("with SigmaHQ's", vec![sigma]));
    }
    let scenarios: Vec<Scenario> = scenarios()?
        .into_iter()
        .filter(|one| wanted.is_empty() || wanted.iter().any(|name| **name == one.name))
        .collect();
    ensure!(!scenarios.is_empty(), "no scenario has that name");
    println!(
        "rules | scenario | records | alerts | incidents | left to look at | compression | purity | completeness | root first"
    );
    for (name, rules) in sets {
        let mut sums = Sums::default();
        for scenario in &scenarios {
            let (judged, unattached) = judge(scenario, &rules)?;
            print(name, scenario.records.len(), &judged, unattached);
            if is_verbose {
                details(&judged);
            }
            sums.add(&judged, unattached);
        }
        sums.print(name);
    }
    Ok(())
}

/// The scenarios of the repository, the demo's story first.
fn scenarios() -> Result<Vec<Scenario>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(shell::root().join("tests/scenarios"))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("truth.json").is_file())
        .collect();
    folders.sort();
    let mut scenarios = vec![Scenario::demo(&shell::root().join("demo"))?];
    for folder in folders {
        scenarios.push(Scenario::load(&folder)?);
    }
    Ok(scenarios)
}

fn judge(scenario: &Scenario, rules: &[PathBuf]) -> Result<(Judged, usize)> {
    let folder = shell::target().join("bench-triage");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let server = scenario.server(&shell::watchfloor(), &folder, rules)?;
    let judged = scenario.judge(&server.client("ingest,read")?)?;
    drop(server);
    Ok(judged)
}

fn print(rules: &str, records: usize, judged: &Judged, unattached: usize) {
    println!(
        "{rules} | {} | {records} | {} | {} ({} of the intrusion) | {} | {:.1} | {:.0} % | {:.0} % of {} | {}",
        judged.name,
        judged.alerts,
        judged.incidents,
        judged.intrusion_incidents,
        judged.incidents + unattached,
        judged.compression(unattached),
        judged.purity() * 100.0,
        judged.completeness() * 100.0,
        judged.intrusion_alerts,
        if judged.is_root_first { "yes" } else { "no" },
    );
}

fn details(judged: &Judged) {
    println!("    first: {}", judged.first);
    for one in &judged.strangers {
        println!("    stranger: {one}");
    }
    for one in &judged.missed {
        println!("    missed: {one}");
    }
}

impl Sums {
    fn add(&mut self, judged: &Judged, unattached: usize) {
        self.alerts += judged.alerts;
        self.left += judged.incidents + unattached;
        self.inside += judged.in_incident;
        self.strangers += judged.strangers.len();
        self.wanted += judged.intrusion_alerts;
        self.missed += judged.missed.len();
        self.clean += usize::from(judged.is_one_clean_incident());
        self.scenarios += 1;
    }

    fn print(&self, rules: &str) {
        let share = |part: usize, of: usize| 100.0 * (1.0 - part as f64 / of.max(1) as f64);
        println!(
            "{rules} | all: {} of {} end as one clean incident; compression {:.1}, purity {:.1} %, completeness {:.1} %",
            self.clean,
            self.scenarios,
            self.alerts as f64 / self.left.max(1) as f64,
            share(self.strangers, self.inside),
            share(self.missed, self.wanted),
        );
    }
}
