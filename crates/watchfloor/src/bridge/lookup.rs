//! What casework asks of the lake: fields of the events of findings, and what is open on machines.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use watchfloor_casework::{
    EventFieldsFuture, EventLookup, OpenVulnerability, VulnerabilitiesFuture,
};
use watchfloor_event::EventId;
use watchfloor_lake::{Lake, ReadError, SearchRequest, SortOrder, StoredEvent};
use watchfloor_model::{EntityKind, EntityRef, Severity};

/// Machines that are asked about at once; more are left out.
const HOSTS_MAX: usize = 50;
/// Records of scanners that are read for machines that are asked about at once.
const RECORDS_MAX: usize = 5_000;
/// What is kept of one machine, the gravest first.
const OPEN_MAX: usize = 50;
/// A record of a scanner counts for this long: what is still open is found again by then.
const SPAN: SignedDuration = SignedDuration::from_hours(24 * 30);
/// What is known of a machine is asked anew after this long.
const FRESH: Duration = Duration::from_secs(300);
/// Machines that are kept in mind.
const MEMORY_MAX: usize = 10_000;

/// The lake as casework asks it. It is there once the data plane has started; until then findings
/// wait.
#[derive(Default)]
pub(crate) struct LakeLookup {
    lake: OnceLock<Arc<Lake>>,
    /// What is open on machines, as it was read last.
    known: Mutex<HashMap<String, (Instant, Vec<OpenVulnerability>)>>,
}

impl LakeLookup {
    pub(crate) fn set(&self, lake: Arc<Lake>) {
        // The first one stays.
        let _ = self.lake.set(lake);
    }

    /// Takes what is known of machines, and gives those of which nothing fresh is.
    fn recall(&self, hosts: Vec<String>, open: &mut Vec<OpenVulnerability>) -> BTreeSet<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut unknown = BTreeSet::new();
        for host in hosts {
            match known.get(&host) {
                Some((at, found)) if at.elapsed() < FRESH => open.extend(found.iter().cloned()),
                _ if unknown.len() < HOSTS_MAX => drop(unknown.insert(host)),
                _ => {}
            }
        }
        unknown
    }

    fn remember(&self, found: &BTreeMap<String, Vec<OpenVulnerability>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + found.len() > MEMORY_MAX {
            known.clear();
        }
        let now = Instant::now();
        let entries = found
            .iter()
            .map(|(host, open)| (host.clone(), (now, open.clone())));
        known.extend(entries);
    }
}

impl EventLookup for LakeLookup {
    fn fields(&self, event_ids: Vec<String>) -> EventFieldsFuture<'_> {
        Box::pin(async move {
            let lake = self.lake.get().ok_or("the lake is not open yet")?;
            let ids: Vec<EventId> = event_ids.iter().filter_map(|id| id.parse().ok()).collect();
            let events = lake.events(&ids).await.map_err(|error| error.to_string())?;
            let fields = events
                .into_iter()
                .map(|event| (event.id.to_string(), event.fields.into_iter().collect()));
            Ok(fields.collect())
        })
    }

    fn vulnerabilities(&self, hosts: Vec<String>) -> VulnerabilitiesFuture<'_> {
        Box::pin(async move {
            let mut open = Vec::new();
            let unknown = self.recall(hosts, &mut open);
            let Some(lake) = self.lake.get().filter(|_| !unknown.is_empty()) else {
                return open;
            };
            match records(lake, &unknown).await {
                Ok(records) => {
                    let found = open_on(unknown, &records);
                    self.remember(&found);
                    open.extend(found.into_values().flatten());
                }
                Err(error) => tracing::warn!(%error, "open vulnerabilities could not be read"),
            }
            open
        })
    }
}

/// A machine in the query language. Sources differ in whether they give the zone.
fn query_of(host: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let quoted = host.replace(['"', '\\'], "");
    match host.chars().all(is_plain) {
        true => format!("device.hostname:\"{quoted}\" or device.hostname:{host}.*"),
        false => format!("device.hostname:\"{quoted}\""),
    }
}

/// Records of scanners about machines, the newest first.
async fn records(lake: &Lake, hosts: &BTreeSet<String>) -> Result<Vec<StoredEvent>, ReadError> {
    let named: Vec<String> = hosts.iter().map(|host| query_of(host)).collect();
    let text = format!("class_uid:2002 and ({})", named.join(" or "));
    let Ok(query) = watchfloor_query::parse(&text) else {
        return Ok(Vec::new());
    };
    let now = Timestamp::now();
    let found = lake
        .search(&SearchRequest {
            query,
            from: now.saturating_sub(SPAN).unwrap_or(now),
            to: Timestamp::MAX,
            limit: RECORDS_MAX,
            order: SortOrder::NewestFirst,
            with_findings: false,
            bucket_seconds: 0,
        })
        .await?;
    Ok(found.events)
}

/// What is open by records, the newest first, on each of some machines. What was told closed last
/// is not open.
fn open_on(
    hosts: BTreeSet<String>,
    records: &[StoredEvent],
) -> BTreeMap<String, Vec<OpenVulnerability>> {
    let mut found: BTreeMap<String, Vec<OpenVulnerability>> =
        hosts.into_iter().map(|host| (host, Vec::new())).collect();
    let mut seen: BTreeSet<(String, String)> = BTreeSet::new();
    for record in records {
        let Some(name) = said(record, "device.hostname") else {
            continue;
        };
        let host = EntityRef::new(EntityKind::Host, name).value;
        let Some(open) = found.get_mut(&host) else {
            continue;
        };
        for one in told_by(&host, record) {
            let is_newest = seen.insert((host.clone(), one.name.clone()));
            if is_newest && !is_closed(record) {
                open.push(one);
            }
        }
    }
    for open in found.values_mut() {
        open.sort_by(|left, right| {
            let rank = |one: &OpenVulnerability| (one.is_exploited, one.severity);
            rank(right)
                .cmp(&rank(left))
                .then_with(|| left.name.cmp(&right.name))
        });
        open.truncate(OPEN_MAX);
    }
    found
}

fn said<'e>(event: &'e StoredEvent, name: &str) -> Option<&'e str> {
    let field = event.fields.iter().find(|(field, _)| field == name)?;
    Some(field.1.as_str()).filter(|value| !value.is_empty())
}

/// # Source
/// OCSF class 2002: `activity_id` 3 is Close; `status_id` 3 is Suppressed, 4 is Resolved.
fn is_closed(event: &StoredEvent) -> bool {
    event.activity_id == 3 || matches!(event.status_id, 3 | 4)
}

/// The vulnerabilities of a record, which may name several in lists.
fn told_by(host: &str, event: &StoredEvent) -> Vec<OpenVulnerability> {
    let list = |name: &str| said(event, name).map(items).unwrap_or_default();
    let mut names = list("vulnerabilities.cve.uid");
    if names.is_empty() {
        let titles = ["vulnerabilities.title", "finding_info.title"];
        let title = titles.iter().find_map(|name| said(event, name));
        names.push(title.unwrap_or("a vulnerability").to_owned());
    }
    let severities = list("vulnerabilities.severity");
    let exploited = list("vulnerabilities.is_exploit_available");
    // A list that is shorter than the names says the same of all.
    let of = |list: &[String], place: usize| {
        let one = list.get(place).or_else(|| list.first())?;
        Some(one.to_ascii_lowercase())
    };
    let many = names.len() > 1;
    let named = names.into_iter().enumerate();
    named
        .map(|(place, name)| OpenVulnerability {
            host: host.to_owned(),
            name,
            severity: match of(&severities, place).filter(|_| many) {
                Some(word) => by_word(&word),
                None => by_number(event.severity_id),
            },
            is_exploited: of(&exploited, place)
                .is_some_and(|word| matches!(word.as_str(), "true" | "yes" | "1")),
        })
        .collect()
}

/// The texts of a JSON list, or the text alone.
fn items(text: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<serde_json::Value>>(text) {
        Ok(list) => list
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect(),
        Err(_) => vec![text.to_owned()],
    }
}

fn by_word(word: &str) -> Severity {
    match word {
        word if word.starts_with("crit") => Severity::Critical,
        word if word.starts_with("high") || word == "important" => Severity::High,
        word if word.starts_with("med") || word.starts_with("mod") => Severity::Medium,
        word if word.starts_with("info") || word.starts_with("none") => Severity::Informational,
        _ => Severity::Low,
    }
}

/// # Source
/// OCSF `severity_id`.
fn by_number(severity_id: i32) -> Severity {
    match severity_id {
        5 | 6 => Severity::Critical,
        4 => Severity::High,
        3 => Severity::Medium,
        1 => Severity::Informational,
        _ => Severity::Low,
    }
}
