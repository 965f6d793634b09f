//! What an incident says of itself: title, summary, gravity, tactics, entities, times, computed
//! from its alerts. What a person wrote is kept.

use std::collections::{BTreeMap, BTreeSet};

use watchfloor_model::{Alert, Entity, EntityKind, EntityRef, Incident, Severity};

use super::bind::is_commonplace;
use super::risk;

/// ATT&CK tactics in the order of an attack.
///
/// # Source
/// MITRE ATT&CK Enterprise v18 and v19.
pub(crate) const TACTICS: [(&str, &str); 16] = [
    ("reconnaissance", "Reconnaissance"),
    ("resource-development", "Resource development"),
    ("initial-access", "Initial access"),
    ("execution", "Execution"),
    ("persistence", "Persistence"),
    ("privilege-escalation", "Privilege escalation"),
    // Version 19 parts the first of these into the two behind it; rules name either.
    ("defense-evasion", "Defense evasion"),
    ("stealth", "Stealth"),
    ("defense-impairment", "Defense impairment"),
    ("credential-access", "Credential access"),
    ("discovery", "Discovery"),
    ("lateral-movement", "Lateral movement"),
    ("collection", "Collection"),
    ("command-and-control", "Command and control"),
    ("exfiltration", "Exfiltration"),
    ("impact", "Impact"),
];

/// Tactics from which one grave incident is critical.
const CRITICAL_TACTICS: usize = 3;

/// Names in a title.
const TITLE_NAMES_MAX: usize = 2;

/// Names in a sentence of the summary.
const SUMMARY_NAMES_MAX: usize = 5;

/// Most entities an incident lists.
const ENTITIES_MAX: usize = 500;

/// A tactic in words.
pub(crate) fn tactic_in_words(tactic: &str) -> String {
    TACTICS.iter().find(|(id, _)| *id == tactic).map_or_else(
        || tactic.replace('-', " "),
        |(_, words)| (*words).to_owned(),
    )
}

fn ordered_tactics(alerts: &[Alert]) -> Vec<String> {
    let set: BTreeSet<&str> = alerts
        .iter()
        .flat_map(|alert| alert.tactics.iter().map(String::as_str))
        .collect();
    let place = |tactic: &str| {
        TACTICS
            .iter()
            .position(|(id, _)| *id == tactic)
            .unwrap_or(TACTICS.len())
    };
    let mut list: Vec<String> = set.into_iter().map(str::to_owned).collect();
    list.sort_by_key(|tactic| place(tactic));
    list
}

fn gathered_entities(alerts: &[Alert]) -> Vec<Entity> {
    let mut seen: BTreeMap<EntityRef, Entity> = BTreeMap::new();
    for entity in alerts.iter().flat_map(|alert| &alert.entities) {
        seen.entry(entity.key()).or_insert_with(|| entity.clone());
    }
    let mut list: Vec<Entity> = seen.into_values().take(ENTITIES_MAX).collect();
    list.sort();
    list
}

/// Names of a kind, the ones in most alerts first, without those that are everywhere.
fn names(alerts: &[Alert], kind: EntityKind) -> Vec<String> {
    let mut counts: BTreeMap<EntityRef, (usize, String)> = BTreeMap::new();
    for alert in alerts {
        let keys: BTreeMap<EntityRef, &Entity> = alert
            .entities
            .iter()
            .filter(|entity| entity.kind == kind)
            .map(|entity| (entity.key(), entity))
            .filter(|(key, _)| !is_commonplace(key))
            .collect();
        for (key, entity) in keys {
            counts
                .entry(key)
                .or_insert_with(|| (0, entity.value.clone()))
                .0 += 1;
        }
    }
    let mut list: Vec<(usize, String)> = counts.into_values().collect();
    list.sort_by(|left, right| right.0.cmp(&left.0).then_with(|| left.1.cmp(&right.1)));
    list.into_iter().map(|(_, name)| name).collect()
}

fn listed(names: &[String], max: usize) -> String {
    let shown = names.len().min(max);
    let head = names[..shown].join(", ");
    if names.len() > max {
        return format!("{head} and {} more", names.len() - max);
    }
    match names.get(..shown).and_then(<[String]>::split_last) {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => head,
    }
}

fn title_of(alerts: &[Alert], tactics: &[String]) -> String {
    let first = alerts.first().map_or("Incident", |alert| &alert.title);
    let what = if alerts.len() == 1 || tactics.is_empty() {
        first.to_owned()
    } else if tactics.len() == 1 {
        tactic_in_words(&tactics[0])
    } else {
        let from = tactic_in_words(&tactics[0]);
        let to = tactics.last().map(|t| tactic_in_words(t).to_lowercase());
        format!("{from} to {}", to.unwrap_or_default())
    };
    let hosts = names(alerts, EntityKind::Host);
    let users = names(alerts, EntityKind::User);
    let place = if hosts.is_empty() {
        String::new()
    } else {
        format!(" on {}", listed(&hosts, TITLE_NAMES_MAX))
    };
    let who = users
        .first()
        .map_or_else(String::new, |u| format!(" by {u}"));
    format!("{what}{place}{who}")
}

fn summary_of(alerts: &[Alert], tactics: &[String]) -> String {
    let (Some(first), Some(last)) = (alerts.first(), alerts.last()) else {
        return String::new();
    };
    let mut text = if alerts.len() == 1 {
        format!("One alert, “{}”, at {}.", first.title, clock(first))
    } else {
        format!(
            "{} alerts from {} to {}. It begins with “{}”; the latest is “{}”.",
            alerts.len(),
            clock(first),
            clock(last),
            first.title,
            last.title
        )
    };
    for (kind, one, many) in [
        (EntityKind::Host, "Host", "Hosts"),
        (EntityKind::User, "User", "Users"),
        (EntityKind::Address, "Address", "Addresses"),
    ] {
        let list = names(alerts, kind);
        if !list.is_empty() {
            let noun = if list.len() == 1 { one } else { many };
            text.push_str(&format!(" {noun}: {}.", listed(&list, SUMMARY_NAMES_MAX)));
        }
    }
    if !tactics.is_empty() {
        let words: Vec<String> = tactics
            .iter()
            .map(|tactic| tactic_in_words(tactic).to_lowercase())
            .collect();
        text.push_str(&format!(
            " Tactics seen: {}.",
            listed(&words, TACTICS.len())
        ));
    }
    text
}

fn clock(alert: &Alert) -> String {
    alert.time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// How grave an incident is by what is stated here, and why.
fn severity_of(alerts: &[Alert], tactics: &[String]) -> Option<(Severity, Vec<String>)> {
    let gravest = alerts.iter().map(|alert| alert.severity).max()?;
    let of_it = |severity: Severity| {
        let all = alerts.iter().filter(|alert| alert.severity == severity);
        (all.clone().count(), all.clone().next())
    };
    let (count, first) = of_it(gravest);
    let title = first.map_or("", |alert| alert.title.as_str());
    let mut reasons = vec![match count {
        1 => format!("its gravest alert is {gravest}: “{title}”"),
        more => format!("{more} of its alerts are {gravest}, the first “{title}”"),
    }];
    if gravest >= Severity::High && tactics.len() >= CRITICAL_TACTICS {
        let words: Vec<String> = tactics
            .iter()
            .map(|tactic| tactic_in_words(tactic).to_lowercase())
            .collect();
        reasons.push(format!(
            "critical, because grave alerts show {} tactics or more: {}",
            CRITICAL_TACTICS,
            listed(&words, TACTICS.len())
        ));
        return Some((Severity::Critical, reasons));
    }
    reasons.push(format!(
        "not raised to critical: that takes a high alert and {CRITICAL_TACTICS} tactics, and there {}",
        match tactics.len() {
            0 => "is none".to_owned(),
            1 => "is 1".to_owned(),
            more => format!("are {more}"),
        }
    ));
    Some((gravest, reasons))
}

/// Computes an incident anew from its alerts, given by event time. Without alerts it keeps
/// what it says.
pub(crate) fn redraw(incident: &mut Incident, alerts: &[Alert]) {
    incident.alert_ids = alerts.iter().map(|alert| alert.id.clone()).collect();
    let (Some(first), Some(last)) = (
        alerts.iter().map(|alert| alert.first_time).min(),
        alerts.iter().map(|alert| alert.last_time).max(),
    ) else {
        return;
    };
    incident.first_time = first;
    incident.last_time = last;
    incident.tactics = ordered_tactics(alerts);
    let techniques: BTreeSet<&String> = alerts.iter().flat_map(|a| &a.techniques).collect();
    incident.techniques = techniques.into_iter().cloned().collect();
    incident.entities = gathered_entities(alerts);
    if !incident.title_by_hand {
        incident.title = title_of(alerts, &incident.tactics);
    }
    if !incident.summary_by_hand {
        incident.summary = summary_of(alerts, &incident.tactics);
    }
    if let Some((severity, reasons)) = severity_of(alerts, &incident.tactics) {
        if !incident.severity_by_hand {
            incident.severity = severity;
        }
        incident.severity_reasons = reasons;
    }
    incident.risk = risk::of_incident(incident, alerts);
    if let Some(detected) = alerts.iter().map(|alert| alert.created_at).min() {
        incident.clocks.detected_at = incident.clocks.detected_at.min(detected);
    }
}
