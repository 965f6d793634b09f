//! How much an alert, an incident or an entity matters: a sum of six parts, from 0 to 100.
//!
//! | part | most | points |
//! |---|---|---|
//! | severity | 35 | informational 2, low 8, medium 16, high 26, critical 35 |
//! | asset criticality | 15 | critical 15, high 11, medium 6, low 2; 4 where nobody said |
//! | indicator confidence | 15 | 15 × confidence / 100, of the surest indicator met |
//! | rarity | 10 | 10 / (1 + alerts of the rule in 30 days) rounded up, half for the entity |
//! | vulnerability | 10 | the worst that is open on a machine: exploited 10, critical 7, high 5, else 2 |
//! | tactic progress | 15 | 3 for each tactic seen from the third on, 2 before; and how late the latest is |
//!
//! The parts of an incident are the largest of its alerts', but severity and progress, which are
//! its own. An entity's risk is that of its open alerts: the largest, and a tenth of each other.
//! Nothing is trained: each point can be told from where it comes.

use watchfloor_model::{Alert, Criticality, Incident, Risk, RiskKind, RiskPart, Severity};

use super::portrait::{TACTICS, tactic_in_words};

/// Most points of each kind; together [`Risk::MAX`].
const fn most(kind: RiskKind) -> u8 {
    match kind {
        RiskKind::Severity => 35,
        RiskKind::Criticality | RiskKind::Indicator | RiskKind::Progress => 15,
        RiskKind::Rarity | RiskKind::Vulnerability => 10,
    }
}

/// Tactics that only prepare or enter; the later ones say that somebody came further.
const EARLY_TACTICS: usize = 3;

/// What is known beside an alert itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RiskFacts {
    /// The word of the asset table and whose it is.
    pub(crate) criticality: Option<(String, String)>,
    /// Confidence of the surest indicator met, and its name.
    pub(crate) indicator: Option<(u8, String)>,
    /// Alerts of the same rule in the last 30 days.
    pub(crate) rule_alerts: u64,
    /// The rarest entity and its alerts in the last 30 days.
    pub(crate) rarest_entity: Option<(String, u64)>,
    /// The worst vulnerability open on a machine.
    pub(crate) vulnerability: Option<OpenVulnerability>,
}

/// A vulnerability that is open on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenVulnerability {
    /// The machine.
    pub host: String,
    /// Such as a CVE id.
    pub name: String,
    /// How grave.
    pub severity: Severity,
    /// Whether it is known to be exploited.
    pub is_exploited: bool,
}

fn part(kind: RiskKind, points: u8, reason: String) -> RiskPart {
    let max = most(kind);
    RiskPart {
        kind,
        points: points.min(max),
        max,
        reason,
    }
}

fn severity_part(severity: Severity, of: &str) -> RiskPart {
    let points = match severity {
        Severity::Informational => 2,
        Severity::Low => 8,
        Severity::Medium => 16,
        Severity::High => 26,
        Severity::Critical => 35,
    };
    part(RiskKind::Severity, points, format!("{of} is {severity}"))
}

fn criticality_part(known: Option<&(String, String)>) -> RiskPart {
    let Some((word, whose)) = known else {
        let reason = "no asset table says how critical these assets are".to_owned();
        return part(RiskKind::Criticality, 4, reason);
    };
    let points = match Criticality::from_word(word) {
        Some(Criticality::Critical) => 15,
        Some(Criticality::High) => 11,
        Some(Criticality::Medium) => 6,
        Some(Criticality::Low) => 2,
        None => {
            let reason = format!(
                "'{word}' is no criticality that is known, for {whose}; a table should say {}",
                Criticality::WORDS
            );
            return part(RiskKind::Criticality, 4, reason);
        }
    };
    let reason = format!("{whose} is of {word} criticality");
    part(RiskKind::Criticality, points, reason)
}

fn indicator_part(met: Option<&(u8, String)>) -> RiskPart {
    let Some((confidence, name)) = met else {
        return part(RiskKind::Indicator, 0, "no indicator was met".to_owned());
    };
    let points = u16::from(most(RiskKind::Indicator)) * u16::from((*confidence).min(100)) / 100;
    let reason = format!("met indicator {name}, confidence {confidence} of 100");
    part(
        RiskKind::Indicator,
        u8::try_from(points).unwrap_or(u8::MAX),
        reason,
    )
}

/// Points for something seen this often: all of them the first time, half the second.
fn rare(most: u64, seen: u64) -> u8 {
    u8::try_from(most.div_ceil(seen.saturating_add(1))).unwrap_or(u8::MAX)
}

fn times(count: u64) -> String {
    match count {
        0 => "never before".to_owned(),
        1 => "once before".to_owned(),
        _ => format!("{count} times before"),
    }
}

fn rarity_part(facts: &RiskFacts) -> RiskPart {
    let of_rule = rare(6, facts.rule_alerts);
    let mut reason = format!("the rule fired {} in 30 days", times(facts.rule_alerts));
    let of_entity = facts.rarest_entity.as_ref().map_or(0, |(name, seen)| {
        reason.push_str(&format!("; {name} had alerts {}", times(*seen)));
        rare(4, *seen)
    });
    part(RiskKind::Rarity, of_rule.saturating_add(of_entity), reason)
}

fn vulnerability_part(open: Option<&OpenVulnerability>) -> RiskPart {
    let Some(open) = open else {
        let reason = "no open vulnerability is known on the machines".to_owned();
        return part(RiskKind::Vulnerability, 0, reason);
    };
    let points = match (open.is_exploited, open.severity) {
        (true, _) => 10,
        (false, Severity::Critical) => 7,
        (false, Severity::High) => 5,
        (false, Severity::Medium | Severity::Low | Severity::Informational) => 2,
    };
    let exploited = if open.is_exploited {
        ", known to be exploited"
    } else {
        ""
    };
    let reason = format!(
        "{} is open on {}: {}{exploited}",
        open.name, open.host, open.severity
    );
    part(RiskKind::Vulnerability, points, reason)
}

fn progress_part(tactics: &[String]) -> RiskPart {
    let place = |tactic: &String| TACTICS.iter().position(|(id, _)| id == tactic);
    let known: Vec<usize> = tactics.iter().filter_map(place).collect();
    let Some(latest) = known.iter().max() else {
        let reason = "no tactic is named".to_owned();
        return part(RiskKind::Progress, 0, reason);
    };
    let wide = match known.len() {
        1 => 2,
        2 => 4,
        more => 3 * more,
    };
    let late = latest.saturating_sub(EARLY_TACTICS) / 4;
    let words = tactic_in_words(TACTICS[*latest].0).to_lowercase();
    let reason = match known.len() {
        1 => format!("one tactic, {words}"),
        more => format!("{more} tactics, as far as {words}"),
    };
    let points = u8::try_from(wide + late).unwrap_or(u8::MAX);
    part(RiskKind::Progress, points, reason)
}

/// The risk of an alert.
pub(crate) fn of_alert(alert: &Alert, facts: &RiskFacts) -> Risk {
    Risk::of(vec![
        severity_part(alert.severity, "the alert"),
        criticality_part(facts.criticality.as_ref()),
        indicator_part(facts.indicator.as_ref()),
        rarity_part(facts),
        vulnerability_part(facts.vulnerability.as_ref()),
        progress_part(&alert.tactics),
    ])
}

/// The risk of an incident of these alerts.
pub(crate) fn of_incident(incident: &Incident, alerts: &[Alert]) -> Risk {
    let of_alerts = [
        RiskKind::Criticality,
        RiskKind::Indicator,
        RiskKind::Rarity,
        RiskKind::Vulnerability,
    ];
    let mut parts: Vec<RiskPart> = of_alerts
        .into_iter()
        .filter_map(|kind| {
            let all = alerts.iter().filter_map(|alert| alert.risk.part(kind));
            // The first of the largest, by time: what is told does not change without need.
            all.reduce(|best, one| if one.points > best.points { one } else { best })
                .cloned()
        })
        .collect();
    parts.push(severity_part(incident.severity, "the incident"));
    parts.push(progress_part(&incident.tactics));
    Risk::of(parts)
}

/// The risk of an entity with these open alerts: the parts of the gravest, raised by a tenth of
/// each other's score.
pub(crate) fn of_entity(alerts: &[&Risk]) -> Option<Risk> {
    let gravest = alerts.iter().max_by_key(|risk| risk.score)?;
    let sum: u32 = alerts.iter().map(|risk| u32::from(risk.score)).sum();
    let others = sum.saturating_sub(u32::from(gravest.score)) / 10;
    let mut risk = (*gravest).clone();
    let raised = u32::from(risk.score).saturating_add(others);
    risk.score = u8::try_from(raised.min(u32::from(Risk::MAX))).unwrap_or(Risk::MAX);
    Some(risk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_make_up_a_hundred() {
        let sum: u32 = RiskKind::ALL
            .iter()
            .map(|kind| u32::from(most(*kind)))
            .sum();
        assert_eq!(sum, u32::from(Risk::MAX));
    }

    #[test]
    fn each_fact_gives_its_points() {
        let open = |is_exploited, severity| OpenVulnerability {
            host: "ws-1".to_owned(),
            name: "CVE-2026-1".to_owned(),
            severity,
            is_exploited,
        };
        for (part, points) in [
            (
                criticality_part(Some(&("Critical".into(), "dc-01".into()))),
                15,
            ),
            (criticality_part(None), 4),
            (indicator_part(Some(&(80, "203.0.113.7".into()))), 12),
            (indicator_part(None), 0),
            (vulnerability_part(Some(&open(true, Severity::Low))), 10),
            (vulnerability_part(Some(&open(false, Severity::High))), 5),
            (vulnerability_part(None), 0),
            (progress_part(&["execution".into()]), 2),
            (
                progress_part(&["initial-access".into(), "impact".into()]),
                7,
            ),
            (progress_part(&[]), 0),
        ] {
            assert_eq!(part.points, points, "{}", part.reason);
            assert!(part.points <= part.max && !part.reason.is_empty());
        }
        let seen = |rule_alerts| RiskFacts {
            rule_alerts,
            rarest_entity: Some(("host ws-1".to_owned(), 0)),
            ..RiskFacts::default()
        };
        assert_eq!(rarity_part(&seen(0)).points, 10);
        assert_eq!(rarity_part(&seen(1)).points, 7);
        assert_eq!(rarity_part(&seen(500)).points, 5);
    }

    #[test]
    fn more_alerts_make_an_entity_riskier_but_never_more_than_all() {
        let risk = |score| Risk {
            score,
            parts: Vec::new(),
        };
        assert_eq!(of_entity(&[]), None);
        let (low, high) = (risk(30), risk(60));
        assert_eq!(of_entity(&[&high]).map(|risk| risk.score), Some(60));
        assert_eq!(of_entity(&[&low, &high]).map(|risk| risk.score), Some(63));
        let many = vec![&high; 200];
        assert_eq!(of_entity(&many).map(|risk| risk.score), Some(100));
    }
}
