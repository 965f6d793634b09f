//! Kept questions with a schedule: asked by the running server, their answers turned into
//! findings where an alarm says so, and taken into the queue the way those of rules are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use watchfloor_casework::{Casework, span_of};
use watchfloor_event::{Entity, EntityKind, EventId, Finding, FindingLevel};
use watchfloor_lake::{ExportQuery, Lake, PipeRequest, RowsQuery, Run, SearchRequest, SortOrder};
use watchfloor_model::{SavedSearch, SearchAlarm, SearchRun, Severity};
use watchfloor_query::Query;

use crate::bridge::export_query;

/// How often it is looked for questions that are to be asked.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Longest that one question may take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Rows that are looked at of one answer.
const ROWS_MAX: usize = 10_000;
/// Alerts of one answer; more would bury the queue, and the rows are in the hunt.
const FINDINGS_MAX: usize = 100;
/// Events named by one finding.
const EVENTS_MAX: usize = 50;

/// Asks the questions that are due until it is stopped.
pub(crate) async fn ask_when_due(casework: Casework, lake: Arc<Lake>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let due = match casework.due_searches().await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(%error, "kept questions cannot be read");
                continue;
            }
        };
        for search in due {
            let run = ask(&lake, &search, casework.now());
            let (run, findings) = tokio::select! {
                () = stop.cancelled() => return,
                asked = run => asked,
            };
            if let Some(error) = &run.error {
                tracing::warn!(search = %search.id, error, "a kept question failed");
            }
            if let Err(error) = casework.note_search_run(&search, run, findings).await {
                tracing::warn!(search = %search.id, %error, "the run of a kept question is not noted");
            }
        }
    }
}

/// What one asking gave.
struct Answer {
    rows: u64,
    is_capped: bool,
    /// Each row by its columns, with the event that it is, if it is one.
    items: Vec<Item>,
}

struct Item {
    values: BTreeMap<String, String>,
    event: Option<(EventId, Timestamp)>,
}

async fn ask(lake: &Lake, search: &SavedSearch, now: Timestamp) -> (SearchRun, Vec<Finding>) {
    let start = Instant::now();
    let answer = answer(lake, search, now).await;
    let took_ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let run = SearchRun {
        at: now,
        took_ms,
        rows: 0,
        capped: false,
        alerts: 0,
        error: None,
    };
    match answer {
        Err(error) => {
            let error = Some(format!("{error:#}"));
            (SearchRun { error, ..run }, Vec::new())
        }
        Ok(answer) => {
            let findings = findings(search, &answer, now);
            let run = SearchRun {
                rows: answer.rows,
                capped: answer.is_capped,
                ..run
            };
            (run, findings)
        }
    }
}

async fn answer(lake: &Lake, search: &SavedSearch, now: Timestamp) -> Result<Answer> {
    let query = export_query(&search.query).map_err(|error| anyhow!("{error}: {}", error.hint))?;
    let from = match span_of(&search.span).context("its time cannot be read")? {
        Some(span) => now.saturating_sub(span).unwrap_or(Timestamp::MIN),
        None => Timestamp::MIN,
    };
    // Clocks of senders run ahead a little.
    let to = now
        .saturating_add(SignedDuration::from_mins(1))
        .unwrap_or(Timestamp::MAX);
    match query {
        ExportQuery::Events(query) => events(lake, query, from, to).await,
        ExportQuery::Rows(query) => rows(lake, query, from, to).await,
    }
}

async fn events(lake: &Lake, query: Query, from: Timestamp, to: Timestamp) -> Result<Answer> {
    let request = SearchRequest {
        query,
        from,
        to,
        limit: ROWS_MAX,
        order: SortOrder::NewestFirst,
        with_findings: false,
        bucket_seconds: 0,
    };
    let found = tokio::time::timeout(TIMEOUT, lake.search(&request)).await;
    let found = found.map_err(|_| anyhow!("it took longer than {} s", TIMEOUT.as_secs()))??;
    let items = found.events.iter().map(|event| {
        let mut values: BTreeMap<String, String> = event.fields.iter().cloned().collect();
        values.insert("source".to_owned(), event.source.clone());
        values.insert("product".to_owned(), event.product.clone());
        Item {
            values,
            event: Some((event.id, event.time)),
        }
    });
    Ok(Answer {
        rows: found.total,
        is_capped: (found.events.len() as u64) < found.total,
        items: items.collect(),
    })
}

async fn rows(lake: &Lake, query: RowsQuery, from: Timestamp, to: Timestamp) -> Result<Answer> {
    let request = PipeRequest {
        query,
        from,
        to,
        since: None,
        limit: ROWS_MAX,
        run: Run::within(TIMEOUT),
    };
    let found = lake.pipe(&request).await?;
    let shown = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let items = found.rows.iter().map(|row| {
        let names = found.columns.iter().map(|column| column.name.clone());
        Item {
            values: names.zip(row.iter().map(shown)).collect(),
            event: None,
        }
    });
    Ok(Answer {
        rows: found.rows.len() as u64,
        is_capped: found.is_capped,
        items: items.collect(),
    })
}

/// What an answer raises: one finding for each combination of the key's values, so that each
/// gets an alert of its own and repeats raise its count.
fn findings(search: &SavedSearch, answer: &Answer, now: Timestamp) -> Vec<Finding> {
    let Some(alarm) = search
        .alarm
        .as_ref()
        .filter(|alarm| answer.rows >= alarm.rows)
    else {
        return Vec::new();
    };
    let mut groups: BTreeMap<Vec<&str>, Vec<&Item>> = BTreeMap::new();
    for item in &answer.items {
        let key = alarm.key.iter();
        let key = key.map(|name| value_of(item, name)).collect();
        groups.entry(key).or_default().push(item);
    }
    let groups = groups.into_iter().take(FINDINGS_MAX);
    groups
        .map(|(key, items)| finding(search, alarm, (&key, &items), answer, now))
        .collect()
}

/// A value by the name of its column, or of the source's own field.
fn value_of<'a>(item: &'a Item, name: &str) -> &'a str {
    let own = || item.values.get(&format!("unmapped.{name}"));
    item.values
        .get(name)
        .or_else(own)
        .map_or("", String::as_str)
}

fn finding(
    search: &SavedSearch,
    alarm: &SearchAlarm,
    (key, items): (&[&str], &[&Item]),
    answer: &Answer,
    now: Timestamp,
) -> Finding {
    let pairs = alarm.key.iter().zip(key);
    let shown: Vec<String> = pairs
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let entities = entities_of(alarm, key);
    let mut event_ids: Vec<(Timestamp, EventId)> = items
        .iter()
        .filter_map(|item| item.event.map(|(id, time)| (time, id)))
        .collect();
    event_ids.sort_unstable();
    let (first_time, time) = match (event_ids.first(), event_ids.last()) {
        (Some((first, _)), Some((last, _))) => (*first, *last),
        _ => (now, now),
    };
    let about = match shown.is_empty() {
        true => String::new(),
        false => format!(" for {}", shown.join(", ")),
    };
    let count = match shown.is_empty() {
        true => answer.rows,
        false => items.len() as u64,
    };
    Finding {
        id: id_of(search, key, items),
        rule_id: search.id.to_string(),
        rule_version: hex::encode(Sha256::digest(search.query.as_bytes()))[..12].to_owned(),
        title: search.name.clone(),
        level: level_of(alarm.severity),
        time,
        first_time,
        // What no entity tells apart is told apart by the key.
        source: match entities.is_empty() && !shown.is_empty() {
            true => shown.join(", "),
            false => "saved search".to_owned(),
        },
        event_count: count,
        event_ids: event_ids
            .into_iter()
            .rev()
            .take(EVENTS_MAX)
            .map(|(_, id)| id)
            .rev()
            .collect(),
        summary: format!(
            "The saved search '{}' found {count} rows{about}.",
            search.name
        ),
        reasons: Vec::new(),
        entities,
        tactics: Vec::new(),
        techniques: Vec::new(),
    }
}

/// Who and what the values of a key name.
fn entities_of(alarm: &SearchAlarm, key: &[&str]) -> Vec<Entity> {
    let pairs = alarm.key.iter().zip(key);
    let named = pairs.filter(|(_, value)| !value.is_empty());
    let mut entities: Vec<Entity> = named
        .filter_map(|(name, value)| {
            Some(Entity {
                kind: kind_of(name)?,
                value: (*value).to_owned(),
                role: "found".to_owned(),
            })
        })
        .collect();
    entities.sort();
    entities.dedup();
    entities
}

/// The same rows give the same id, so that an answer that did not change raises nothing again.
fn id_of(search: &SavedSearch, key: &[&str], items: &[&Item]) -> String {
    let mut rows: Vec<String> = items
        .iter()
        .map(|item| match &item.event {
            Some((id, _)) => id.to_string(),
            None => format!("{:?}", item.values),
        })
        .collect();
    rows.sort();
    let mut hash = Sha256::new();
    let parts = [search.id.as_str()].into_iter().chain(key.iter().copied());
    for part in parts.chain(rows.iter().map(String::as_str)) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    format!("search-{}", &hex::encode(hash.finalize())[..32])
}

const fn level_of(severity: Severity) -> FindingLevel {
    match severity {
        Severity::Informational => FindingLevel::Informational,
        Severity::Low => FindingLevel::Low,
        Severity::Medium => FindingLevel::Medium,
        Severity::High => FindingLevel::High,
        Severity::Critical => FindingLevel::Critical,
    }
}

/// What kind of thing a column names, by the ends of OCSF paths and of common names.
fn kind_of(name: &str) -> Option<EntityKind> {
    let name = name.to_lowercase().replace('_', ".");
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    Some(match () {
        () if ends(&["user.name", "username", "account", "accountname", "user"]) => {
            EntityKind::User
        }
        () if ends(&[".ip", "ipaddress", "address"]) || name == "ip" => EntityKind::Address,
        () if ends(&["query.hostname", "domain"]) => EntityKind::Domain,
        () if ends(&["hostname", "computer", "devicename", "host"]) => EntityKind::Host,
        () if ends(&["process.name", "process.file.path", "image"]) => EntityKind::Process,
        () if ends(&["file.path", "file.name"]) => EntityKind::File,
        () if ends(&["hash", "sha256", "sha1", "md5"]) => EntityKind::Hash,
        () if ends(&["url"]) => EntityKind::Url,
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use watchfloor_model::{SearchId, SearchSharing};

    use super::*;

    fn search(rows: u64, key: &[&str]) -> SavedSearch {
        let now = Timestamp::UNIX_EPOCH;
        SavedSearch {
            id: SearchId::numbered(3),
            name: "Many failures".to_owned(),
            description: String::new(),
            query: "failed | summarize n = count() by user.name".to_owned(),
            span: "1h".to_owned(),
            sharing: SearchSharing::Tenant,
            owner: "usr-1".to_owned(),
            created_by: "ada".to_owned(),
            created_at: now,
            updated_at: now,
            is_panel: false,
            schedule: None,
            alarm: Some(SearchAlarm {
                rows,
                severity: Severity::High,
                key: key.iter().map(|name| (*name).to_owned()).collect(),
            }),
            last_run: None,
            next_run_at: None,
            version: 1,
        }
    }

    fn answer(rows: &[(&str, &str)]) -> Answer {
        let items = rows.iter().map(|(user, n)| Item {
            values: BTreeMap::from([
                ("user.name".to_owned(), (*user).to_owned()),
                ("n".to_owned(), (*n).to_owned()),
            ]),
            event: None,
        });
        Answer {
            rows: rows.len() as u64,
            is_capped: false,
            items: items.collect(),
        }
    }

    #[test]
    fn each_value_of_the_key_is_a_finding_of_its_own() {
        let now = Timestamp::UNIX_EPOCH;
        let found = findings(
            &search(2, &["user.name"]),
            &answer(&[("ann", "4"), ("bob", "9")]),
            now,
        );
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].entities[0].value, "ann");
        assert_eq!(found[0].level, FindingLevel::High);
        assert!(
            found[1].summary.contains("user.name bob"),
            "{}",
            found[1].summary
        );
        // Too few rows raise nothing; without a key all rows are one finding.
        assert!(findings(&search(3, &[]), &answer(&[("ann", "4"), ("bob", "9")]), now).is_empty());
        assert_eq!(
            findings(&search(2, &[]), &answer(&[("ann", "4"), ("bob", "9")]), now).len(),
            1
        );
    }

    #[test]
    fn the_same_rows_are_the_same_finding() {
        let now = Timestamp::UNIX_EPOCH;
        let of =
            |rows: &[(&str, &str)]| findings(&search(1, &[]), &answer(rows), now)[0].id.clone();
        assert_eq!(
            of(&[("ann", "4"), ("bob", "9")]),
            of(&[("bob", "9"), ("ann", "4")])
        );
        assert_ne!(of(&[("ann", "4")]), of(&[("ann", "5")]));
    }
}
