//! Recorded intrusions with labelled truth: played into a server, and what triage made of them
//! held against the truth.
//!
//! A scenario is a folder with `records.ndjson.gz` (records with offsets and placeholders for
//! times, as the demo's recording) and `truth.json` (which records are of the intrusion, and which
//! begin it). `tests/scenarios/README.md` tells their stories.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{Client, ServerProcess, wait_for};

/// Records of one request lie at most this far apart in the time of the story.
const REQUEST_SPAN_MS: i64 = 30_000;
/// Alerts of one page.
const PAGE: usize = 1_000;

/// One record of a scenario.
#[derive(Clone, Debug)]
pub struct ScenarioRecord {
    at_ms: i64,
    source: String,
    line: String,
    /// Whether it is of the intrusion.
    pub is_intrusion: bool,
    /// Whether it begins the intrusion.
    pub is_root: bool,
}

/// A recorded intrusion within a benign background.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// Its records, by time.
    pub records: Vec<ScenarioRecord>,
    /// The asset table of the organization, if it keeps one.
    pub assets: Option<PathBuf>,
}

/// What triage made of a scenario.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// The scenario.
    pub name: String,
    /// Alerts in all.
    pub alerts: usize,
    /// Alerts that rest on records of the intrusion, from medium on.
    pub intrusion_alerts: usize,
    /// Incidents in all.
    pub incidents: usize,
    /// Incidents that hold alerts of the intrusion.
    pub intrusion_incidents: usize,
    /// Alerts of the incident that holds most of the intrusion.
    pub in_incident: usize,
    /// Alerts in it that rest on nothing of the intrusion, as `title: summary`.
    pub strangers: Vec<String>,
    /// Alerts of the intrusion, from medium on, that are not in it, as `title: summary`.
    pub missed: Vec<String>,
    /// Whether its first alert rests on a record that begins the intrusion.
    pub is_root_first: bool,
    /// Title of its first alert.
    pub first: String,
}

impl Judged {
    /// Alerts for one thing that is left to look at: an incident, or an alert in none.
    pub fn compression(&self, unattached: usize) -> f64 {
        self.alerts as f64 / (self.incidents + unattached).max(1) as f64
    }

    /// Share of the incident's alerts that are of the intrusion.
    pub fn purity(&self) -> f64 {
        if self.in_incident == 0 {
            return 0.0;
        }
        1.0 - self.strangers.len() as f64 / self.in_incident as f64
    }

    /// Share of the intrusion's alerts, from medium on, that the incident holds.
    pub fn completeness(&self) -> f64 {
        if self.intrusion_alerts == 0 {
            return 0.0;
        }
        1.0 - self.missed.len() as f64 / self.intrusion_alerts as f64
    }

    /// Whether the intrusion ended as one incident, with its root first and nothing benign in it.
    pub fn is_one_clean_incident(&self) -> bool {
        self.intrusion_incidents == 1
            && self.strangers.is_empty()
            && self.missed.is_empty()
            && self.is_root_first
    }
}

impl Scenario {
    /// Reads a scenario of `tests/scenarios`.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("truth.json");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let truth: Value = serde_json::from_str(&text)?;
        let numbers = |key: &str| -> BTreeSet<usize> {
            let list = truth[key].as_array().into_iter().flatten();
            list.filter_map(|one| usize::try_from(one.as_u64()?).ok())
                .collect()
        };
        let (intrusion, root) = (numbers("intrusion"), numbers("root"));
        let text = unpacked(&folder.join("records.ndjson.gz"))?;
        let mut records = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let mut one = record(line)?;
            one.is_intrusion = intrusion.contains(&number);
            one.is_root = root.contains(&number);
            records.push(one);
        }
        let name = folder.file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            records,
            assets: Some(folder.join("assets.csv")).filter(|path| path.is_file()),
        })
    }

    /// Reads the demo's story with a part of its background. It begins with the guessing of
    /// passwords, which ends with the log-on at 40 s.
    ///
    /// # Errors
    /// If its files cannot be read.
    pub fn demo(folder: &Path) -> Result<Self> {
        let mut records = Vec::new();
        for line in std::fs::read_to_string(folder.join("intrusion.ndjson"))?.lines() {
            let mut one = record(line)?;
            one.is_intrusion = true;
            one.is_root = one.at_ms < 40_000;
            records.push(one);
        }
        for line in std::fs::read_to_string(folder.join("everyday.ndjson"))?.lines() {
            records.push(record(line)?);
        }
        let background = unpacked(&folder.join("background.ndjson.gz"))?;
        for line in background.lines().step_by(10) {
            records.push(record(line)?);
        }
        records.sort_by_key(|one| one.at_ms);
        Ok(Self {
            name: "demo".to_owned(),
            records,
            assets: None,
        })
    }

    /// Starts a server over a folder as the organization would, with more rules.
    ///
    /// # Errors
    /// If it does not get ready.
    pub fn server(&self, program: &Path, data: &Path, rules: &[PathBuf]) -> Result<ServerProcess> {
        std::fs::create_dir_all(data)?;
        let path = data.join("watchfloor.toml");
        let mut text = format!("syslog = \"off\"\nrules = {rules:?}\n");
        if let Some(assets) = &self.assets {
            text.push_str(&format!("[enrich]\nassets = [{assets:?}]\n"));
        }
        std::fs::write(&path, text)?;
        let path = path.to_string_lossy().into_owned();
        ServerProcess::start(program, data, &["--config", &path])
    }

    /// Sends all records, as if the story had just ended, and waits until the server has worked
    /// them off.
    ///
    /// # Errors
    /// If the server does not take them.
    pub fn play(&self, client: &Client) -> Result<Vec<String>> {
        let length = self.records.last().map_or(0, |one| one.at_ms);
        let start = Timestamp::now() - SignedDuration::from_millis(length + 60_000);
        let lines: Vec<String> = self
            .records
            .iter()
            .map(|one| filled(&one.line, start + SignedDuration::from_millis(one.at_ms)))
            .collect();
        let mut from = 0;
        while from < lines.len() {
            let end_ms = self.records[from].at_ms + REQUEST_SPAN_MS;
            let mut to = from;
            let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            while to < lines.len() && self.records[to].at_ms <= end_ms {
                let source = self.records[to].source.as_str();
                by_source.entry(source).or_default().push(&lines[to]);
                to += 1;
            }
            for (source, lines) in by_source {
                send(client, source, &lines.join("\n"))?;
            }
            from = to;
        }
        client.settle()?;
        Ok(lines)
    }

    /// Plays the story and holds what triage made of it against the truth.
    ///
    /// # Errors
    /// If the server does not answer.
    pub fn judge(&self, client: &Client) -> Result<(Judged, usize)> {
        let lines = self.play(client)?;
        let mut by_line: BTreeMap<&str, usize> = BTreeMap::new();
        for (number, line) in lines.iter().enumerate() {
            by_line.insert(line.trim(), number);
        }
        let mut by_event: BTreeMap<String, usize> = BTreeMap::new();
        for event in client.events("*")? {
            let raw = event["raw"].as_str().unwrap_or_default().trim();
            let id = event["id"].as_str().unwrap_or_default();
            if let Some(number) = by_line.get(raw) {
                by_event.insert(id.to_owned(), *number);
            }
        }
        ensure!(
            by_event.len() * 10 >= self.records.len() * 9,
            "{}: only {} of {} records are found again",
            self.name,
            by_event.len(),
            self.records.len()
        );
        let alerts = alerts(client)?;
        let told = alerts
            .iter()
            .map(|alert| self.told(client, alert, &by_event))
            .collect::<Result<Vec<_>>>()?;
        Ok(self.judged(&told))
    }

    /// What an alert rests on.
    fn told(
        &self,
        client: &Client,
        alert: &Value,
        by_event: &BTreeMap<String, usize>,
    ) -> Result<Told> {
        let text = |key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        let detail = client
            .get(&format!("/api/v1/alerts/{}", text("id")))?
            .json();
        let records: Vec<&ScenarioRecord> = detail["event_ids"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|id| self.records.get(*by_event.get(id.as_str()?)?))
            .collect();
        Ok(Told {
            name: format!(
                "{} [{}]: {}",
                text("title"),
                text("severity"),
                text("summary")
            ),
            incident: alert["incident_id"].as_str().map(str::to_owned),
            is_grave: !matches!(text("severity").as_str(), "low" | "informational"),
            is_intrusion: records.iter().any(|one| one.is_intrusion),
            is_root: records.iter().any(|one| one.is_root),
            reasons: detail["attachment"]["reasons"].to_string(),
        })
    }

    fn judged(&self, told: &[Told]) -> (Judged, usize) {
        let mut held: BTreeMap<&str, usize> = BTreeMap::new();
        for one in told.iter().filter(|one| one.is_intrusion) {
            if let Some(incident) = &one.incident {
                *held.entry(incident).or_default() += 1;
            }
        }
        let main = held.iter().max_by_key(|(_, count)| **count);
        let main = main.map(|(incident, _)| *incident);
        let incidents: BTreeSet<&str> = told.iter().filter_map(|o| o.incident.as_deref()).collect();
        let inside = |one: &&Told| main.is_some() && one.incident.as_deref() == main;
        // As the queue gives them: by event time.
        let ordered: Vec<&Told> = told.iter().filter(inside).collect();
        let grave = || told.iter().filter(|one| one.is_intrusion && one.is_grave);
        let judged = Judged {
            name: self.name.clone(),
            alerts: told.len(),
            intrusion_alerts: grave().count(),
            incidents: incidents.len(),
            intrusion_incidents: held.len(),
            in_incident: ordered.len(),
            strangers: ordered
                .iter()
                .filter(|one| !one.is_intrusion)
                .map(|one| format!("{} because it {}", one.name, one.reasons))
                .collect(),
            missed: grave()
                .filter(|one| !inside(one))
                .map(|one| one.name.clone())
                .collect(),
            is_root_first: ordered.first().is_some_and(|one| one.is_root),
            first: ordered
                .first()
                .map_or_else(String::new, |one| one.name.clone()),
        };
        let unattached = told.iter().filter(|one| one.incident.is_none()).count();
        (judged, unattached)
    }
}

/// An alert and what it rests on.
struct Told {
    name: String,
    incident: Option<String>,
    is_grave: bool,
    is_intrusion: bool,
    is_root: bool,
    /// Why it is in its incident.
    reasons: String,
}

/// All alerts, by event time.
fn alerts(client: &Client) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/alerts?sort=time&limit={PAGE}{cursor}");
        let mut page = client.get(&path)?.json();
        if let Value::Array(items) = page["items"].take() {
            all.extend(items);
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(all),
        }
    }
}

fn send(client: &Client, source: &str, body: &str) -> Result<()> {
    let answer = client.post(
        &format!("/ingest/raw?source={source}"),
        &[],
        body.as_bytes(),
    )?;
    ensure!(
        answer.status < 300,
        "{source}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(())
}

/// Plays a recording that tells its own times, whose lines are JSON, and says how many incidents
/// there are then.
///
/// # Errors
/// If the server does not take it.
pub fn incidents_of_recording(client: &Client, lines: &str) -> Result<usize> {
    const CHUNK_LINES: usize = 1_000;
    let lines: Vec<&str> = lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    for chunk in lines.chunks(CHUNK_LINES) {
        send(client, "recording", &chunk.join("\n"))?;
    }
    client.settle()?;
    let mut last = None;
    let mut count = 0;
    // Findings become alerts a moment after the journal is worked off.
    wait_for("triage is at rest", || {
        let alerts = client.get("/api/v1/alerts?limit=1")?.json()["total"].as_u64();
        let incidents = client.get("/api/v1/incidents?limit=1")?.json()["total"].as_u64();
        count = usize::try_from(incidents.unwrap_or_default())?;
        let is_still = last == Some((alerts, incidents));
        last = Some((alerts, incidents));
        std::thread::sleep(std::time::Duration::from_millis(300));
        Ok(is_still)
    })?;
    Ok(count)
}

fn unpacked(path: &Path) -> Result<String> {
    let output = Command::new("gzip").arg("-dc").arg(path).output()?;
    ensure!(output.status.success(), "cannot unpack {}", path.display());
    Ok(String::from_utf8(output.stdout)?)
}

fn record(line: &str) -> Result<ScenarioRecord> {
    let one: Value = serde_json::from_str(line)?;
    let text = one["line"].as_str().context("a record without a line")?;
    let line = match one["context"].as_str() {
        Some(head) => zeek_as_json(head, text),
        None => text.to_owned(),
    };
    Ok(ScenarioRecord {
        at_ms: one["at_ms"].as_i64().context("a record without a time")?,
        source: one["source"].as_str().unwrap_or("scenario").to_owned(),
        line,
        is_intrusion: false,
        is_root: false,
    })
}

/// A line of Zeek's tables in its other form: a line over HTTP has no header before it.
fn zeek_as_json(head: &str, line: &str) -> String {
    let row = |name: &str| -> Vec<&str> {
        let found = head.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().split('\t').skip(1).collect()
    };
    let path = row("#path").first().copied().unwrap_or_default();
    let mut parts = vec![format!("\"_path\":{}", Value::from(path))];
    for ((name, kind), value) in row("#fields")
        .into_iter()
        .zip(row("#types"))
        .zip(line.split('\t'))
    {
        let shown = match kind {
            _ if value == "-" => continue,
            "time" | "interval" | "count" | "port" => value.to_owned(),
            "bool" => (value == "T").to_string(),
            _ if kind.starts_with("set") || kind.starts_with("vector") => {
                Value::from(vec![Value::from(value)]).to_string()
            }
            _ => Value::from(value).to_string(),
        };
        parts.push(format!("{}:{shown}", Value::from(name)));
    }
    format!("{{{}}}", parts.join(","))
}

/// Puts a time in the places that a recording leaves for it.
fn filled(line: &str, time: Timestamp) -> String {
    if !line.contains("{{") {
        return line.to_owned();
    }
    let zoned = time.to_zoned_datetime(TimeZone::UTC);
    let millis = time.as_millisecond();
    let form = |format: &str| zoned.strftime(format).to_string();
    let forms = [
        ("{{rfc3164}}", form("%b %e %H:%M:%S")),
        ("{{rfc5424}}", format!("{time:.3}")),
        ("{{iso_ms}}", format!("{time:.3}")),
        ("{{iso}}", format!("{time:.0}")),
        ("{{windows}}", format!("{time:.7}")),
        ("{{clf}}", form("%d/%b/%Y:%H:%M:%S +0000")),
        ("{{date}}", form("%Y-%m-%d")),
        ("{{time}}", form("%H:%M:%S")),
        (
            "{{audit}}",
            format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000)),
        ),
        ("{{epoch_ms}}", millis.to_string()),
        ("{{epoch}}", time.as_second().to_string()),
    ];
    let mut filled = line.to_owned();
    for (place, form) in forms {
        filled = filled.replace(place, &form);
    }
    filled
}
