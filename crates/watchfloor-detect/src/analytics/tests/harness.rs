//! Matches in, findings out, with state taken up again in between.

use watchfloor_rules::{RuleFile, RuleSet};

use super::super::*;

/// Where the tests' time starts, microseconds since 1970.
pub(super) const START_US: i64 = 1_795_500_000_000_000;
/// Everything is received a year later.
pub(super) const RECEIVED_US: i64 = START_US + 365 * 86_400_000_000;

/// Seconds since the start, place of the rule, fields.
pub(super) type Match<'a> = (f64, usize, &'a [(&'a str, &'a str)]);

pub(super) fn set(body: &str) -> RuleSet {
    let base = |id: &str| {
        format!(
            "title: Rule {id}\nid: {id}\nlogsource: {{product: x}}\ndetection: {{s: {{q: 1}}, condition: s}}\n---\n"
        )
    };
    let text = format!(
        "{}{}{}title: Told\nid: t\nlevel: medium\nanalytic: {{{body}}}\n",
        base("a"),
        base("b"),
        base("c")
    );
    let file = RuleFile {
        path: Arc::from("t.yml"),
        text,
    };
    let set = RuleSet::load([file], BTreeMap::new());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set
}

pub(super) fn feed(
    analytics: &mut Analytics,
    set: &RuleSet,
    number: usize,
    (seconds, rule, fields): &Match<'_>,
) -> Vec<Finding> {
    let time_us = START_US + (seconds * 1e6) as i64;
    let fields_of = |name: &str| {
        let found = fields.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let sighting = Sighting {
        meta: &set.rules[*rule].meta,
        time_us,
        received_us: RECEIVED_US,
        events: &[EventId::new(number as u64, 0)],
        source: "test",
        entities: &[],
        fields: &fields_of,
    };
    let mut findings = Vec::new();
    analytics.take(Feeder::Rule(*rule), &sighting, &mut findings);
    findings
}

pub(super) fn restored(analytics: &Analytics) -> Analytics {
    restored_from(analytics, &analytics.save(), &[])
}

/// As it is after all state was taken up and then the changes.
pub(super) fn restored_from(rules: &Analytics, whole: &[u8], changes: &[Vec<u8>]) -> Analytics {
    let mut fresh = rules.share();
    fresh.restore(serde_json::from_slice(whole).expect("what was saved"));
    for piece in changes {
        fresh.restore_changes(piece).expect("what changed");
    }
    fresh
}

/// What state is taken up from after each match.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Restoring {
    Never,
    Whole,
    /// A whole one, and what changed with each of up to five matches since.
    Changes,
}

/// Feeds matches and gives the place of each that led to a finding, with the finding. State is
/// saved and restored after each match in a second run, which must tell the same.
pub(super) fn run(body: &str, matches: &[Match<'_>]) -> Vec<(usize, Finding)> {
    let set = set(body);
    let told = |restoring: Restoring| {
        let mut analytics = Analytics::new(&set);
        let (mut whole, mut changes) = (analytics.save(), Vec::new());
        analytics.mark_saved();
        let mut told = Vec::new();
        for (number, one) in matches.iter().enumerate() {
            let findings = feed(&mut analytics, &set, number, one);
            told.extend(findings.into_iter().map(|finding| (number, finding)));
            match restoring {
                Restoring::Never => {}
                Restoring::Whole => analytics = restored(&analytics),
                Restoring::Changes => {
                    changes.push(analytics.save_changes());
                    let again = restored_from(&analytics, &whole, &changes);
                    assert_eq!(again.save(), analytics.save(), "{body}");
                    analytics = again;
                    if changes.len() > 5 {
                        (whole, changes) = (analytics.save(), Vec::new());
                    }
                    analytics.mark_saved();
                }
            }
        }
        told
    };
    let found = told(Restoring::Never);
    // Restoring after each of very many matches would take long and show nothing more.
    if matches.len() <= 1_000 {
        assert_eq!(found, told(Restoring::Whole), "{body}");
        assert_eq!(found, told(Restoring::Changes), "{body}");
    }
    for (_, finding) in &found {
        assert!(!finding.event_ids.is_empty() && finding.event_count > 0);
        assert!(finding.first_time <= finding.time);
        assert!(finding.summary.ends_with(": Told"), "{}", finding.summary);
        assert!(finding.reasons.iter().all(|one| !one.pattern.is_empty()));
    }
    found
}

pub(super) fn check(body: &str, matches: &[Match<'_>], expected: &[usize]) -> Vec<Finding> {
    let found = run(body, matches);
    let places: Vec<usize> = found.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, expected, "{body}");
    found.into_iter().map(|(_, finding)| finding).collect()
}
