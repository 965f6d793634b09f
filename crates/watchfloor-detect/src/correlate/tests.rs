use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use watchfloor_event::{Entity, EntityKind, EventId};
use watchfloor_rules::{CorrelationKind, RuleFile, RuleSet};

use super::*;

const SECOND: i64 = 1_000_000;

/// Second, place of the rule, value, group.
type Given = (i64, u16, Option<String>, u8);

fn correlation(body: &str) -> Correlation {
    correlations(body).remove(0)
}

/// Correlation `c`, and one like it, `d`.
fn correlations(body: &str) -> Vec<Correlation> {
    let mut text = String::new();
    for number in 0..3 {
        text.push_str(&format!(
            "title: B\nid: r{number}\ndetection: {{s: {{x: {number}}}, condition: s}}\n---\n"
        ));
    }
    for id in ["c", "d"] {
        text.push_str(&format!(
            "title: C\nid: {id}\ncorrelation:\n  rules: [r0, r1, r2]\n  group-by: [user]\n  timespan: 60s\n{body}---\n"
        ));
    }
    let file = RuleFile {
        path: Arc::from("c.yml"),
        text: text.trim_end_matches("---\n").to_owned(),
    };
    let set = RuleSet::load([file], BTreeMap::new());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set.correlations
}

fn member(rule: &Correlation, number: usize, given: &Given) -> Member {
    let (second, place, value, group) = given;
    let value = match (&rule.kind, value) {
        (_, None)
        | (
            CorrelationKind::EventCount
            | CorrelationKind::Temporal
            | CorrelationKind::TemporalOrdered,
            _,
        ) => Value::None,
        (CorrelationKind::ValueCount(_), Some(text)) => {
            Value::of_texts([text.as_str()].into_iter())
        }
        (_, Some(text)) => Value::of_number(text),
    };
    let mut parties = Vec::new();
    put_entity(&mut parties, EntityKind::User, "actor", &group.to_string());
    put_entity(
        &mut parties,
        EntityKind::Host,
        "host",
        &(number / 3).to_string(),
    );
    let event = EventId::new(number as u64, 0);
    Member::new(second * SECOND, *place, value, event, Parties::of(&parties))
}

fn group_hash(group: u8) -> u128 {
    hash_of_all([hash(&group.to_string())].into_iter())
}

/// Feeds a match received in time; gives the numbers of the events of each finding.
fn feed(
    correlator: &mut Correlator,
    rule: &Correlation,
    number: usize,
    given: &Given,
) -> Vec<Fired> {
    let mut fired = Vec::new();
    let member = member(rule, number, given);
    let received_us = member.time_us;
    correlator.take(0, group_hash(given.3), member, received_us, &mut fired);
    correlator.check_sums();
    fired
}

fn numbers(fired: &[Fired]) -> Vec<Vec<u64>> {
    fired
        .iter()
        .map(|one| one.events.iter().map(|event| event.position()).collect())
        .collect()
}

impl Correlator {
    /// What is counted as matches come is what there is.
    fn check_sums(&self) {
        let groups: Vec<&Group> = self.slots.groups().collect();
        assert_eq!(groups.len(), self.table.len());
        assert_eq!(
            groups.iter().map(|one| u64::from(one.bytes)).sum::<u64>(),
            self.bytes
        );
        assert_eq!(
            self.states.iter().map(|one| one.groups).sum::<usize>(),
            groups.len()
        );
        assert_eq!(
            self.states.iter().map(|one| one.bytes).sum::<u64>(),
            self.bytes
        );
    }

    fn restored(&self, rules: &[Correlation], pieces: &[Vec<u8>]) -> Self {
        let mut restored = Self::new(rules);
        for piece in pieces {
            restored.restore(piece).expect("what was saved");
            restored.check_sums();
        }
        assert_eq!(restored.size().groups, self.size().groups);
        restored
    }
}

/// Feeds (seconds, rule, value) in order and holds the indices at which it fired against those
/// expected.
fn check(body: &str, given: &[(i64, u16, &str)], expected: &[usize]) {
    let rules = correlations(body);
    let mut correlator = Correlator::new(&rules);
    let mut fired = Vec::new();
    for (number, (second, place, value)) in given.iter().enumerate() {
        let given = (*second, *place, Some((*value).to_owned()), 0);
        if !feed(&mut correlator, &rules[0], number, &given).is_empty() {
            fired.push(number);
        }
        // State that is saved and restored between any two events gives the same answer.
        let mut saved = Vec::new();
        correlator.save(&mut saved);
        correlator = correlator.restored(&rules, &[saved]);
    }
    assert_eq!(fired, expected, "{body}");
}

const COUNT: &str = "  type: event_count\n  condition: {gte: 3}\n";

#[test]
fn counts_within_the_window_and_starts_anew_after_firing() {
    let at = |seconds: &[i64]| {
        seconds
            .iter()
            .map(|second| (*second, 0, ""))
            .collect::<Vec<_>>()
    };
    check(COUNT, &at(&[0, 10, 60, 61, 62, 63]), &[2, 5]);
    check(COUNT, &at(&[0, 10, 61]), &[]);
}

#[test]
fn a_late_event_reopens_its_window() {
    check(
        COUNT,
        &[(0, 0, ""), (300, 0, ""), (20, 0, ""), (40, 0, "")],
        &[3],
    );
    // Later than the stated limit it no longer counts.
    check(
        COUNT,
        &[(0, 0, ""), (5000, 0, ""), (20, 0, ""), (40, 0, "")],
        &[],
    );
}

#[test]
fn distinct_values_sums_and_percentiles() {
    let distinct = "  type: value_count\n  condition: {gte: 3, field: host}\n";
    check(
        distinct,
        &[(0, 0, "a"), (1, 0, "a"), (2, 0, "b"), (3, 0, "c")],
        &[3],
    );
    let sum = "  type: value_sum\n  condition: {gt: 10, field: bytes}\n";
    check(sum, &[(0, 0, "5"), (1, 0, "5"), (2, 0, "0.5")], &[2]);
    // What is no number is no part of a sum or a mean, and nothing has neither.
    let mean = "  type: value_avg\n  condition: {lt: 2, field: bytes}\n";
    check(
        mean,
        &[(0, 0, "x"), (1, 0, "3"), (2, 0, "NaN"), (3, 0, "0")],
        &[3],
    );
    let median = "  type: value_median\n  condition: {gte: 6, field: bytes}\n";
    check(
        median,
        &[(0, 0, "1"), (1, 0, "5"), (2, 0, "7"), (3, 0, "9")],
        &[3],
    );
    let high = "  type: value_percentile\n  condition: {gt: 8, field: bytes, percentile: 75}\n";
    check(
        high,
        &[(0, 0, "1"), (1, 0, "5"), (2, 0, "9"), (3, 0, "11")],
        &[3],
    );
}

#[test]
fn order_counts_only_where_it_is_asked_for() {
    let any = [(0, 1, ""), (1, 0, ""), (2, 2, "")];
    check("  type: temporal\n", &any, &[2]);
    check("  type: temporal_ordered\n", &any, &[]);
    check(
        "  type: temporal_ordered\n",
        &[(0, 1, ""), (1, 0, ""), (2, 1, ""), (2, 2, "")],
        &[3],
    );
    check("  type: temporal\n  condition: {gte: 2}\n", &any, &[1]);
}

#[test]
fn a_clock_that_is_ahead_makes_no_others_late() {
    let rule = correlation(COUNT);
    let mut correlator = Correlator::new(std::slice::from_ref(&rule));
    let mut fired = Vec::new();
    for (number, second) in [0, 900_000, 1, 900_001, 2, 900_002].into_iter().enumerate() {
        let member = member(&rule, number, &(second, 0, None, 0));
        correlator.take(0, 1, member, 3 * SECOND, &mut fired);
    }
    assert_eq!(numbers(&fired), [[0, 2, 4], [1, 3, 5]]);
    assert_eq!(correlator.late, 0);
}

#[test]
fn a_finding_tells_of_those_who_took_part_in_its_events_alone() {
    let rule = correlation(COUNT);
    let mut correlator = Correlator::new(std::slice::from_ref(&rule));
    let mut told = Vec::new();
    for number in 0..12 {
        // The first two are out of the window of the others.
        let second = if number < 2 { 0 } else { 100 };
        told.extend(feed(&mut correlator, &rule, number, &(second, 0, None, 7)));
    }
    assert_eq!(numbers(&told), [[2, 3, 4], [5, 6, 7], [8, 9, 10]]);
    let one = |kind, value: &str, role: &str| Entity {
        kind,
        value: value.to_owned(),
        role: role.to_owned(),
    };
    assert_eq!(
        told[0].entities,
        [
            one(EntityKind::Host, "0", "host"),
            one(EntityKind::Host, "1", "host"),
            one(EntityKind::User, "7", "actor"),
        ]
    );
}

#[test]
fn groups_are_forgotten_as_time_goes_on() {
    let rule = correlation(COUNT);
    let mut correlator = Correlator::new(std::slice::from_ref(&rule));
    let mut most = 0;
    for number in 0..200_000_u64 {
        let mut fired = Vec::new();
        let member = member(&rule, number as usize, &(number as i64, 0, None, 0));
        let received_us = member.time_us;
        // Each is a group of its own.
        correlator.take(0, u128::from(number), member, received_us, &mut fired);
        most = most.max(correlator.size().groups);
    }
    correlator.check_sums();
    // 660 seconds and a sixteenth of it.
    assert!((660..760).contains(&most), "{most} groups");
    assert_eq!(correlator.groups_dropped, 0);
}

#[test]
fn groups_that_end_at_once_leave_nothing_behind() {
    let rule = correlation("  type: event_count\n  condition: {gte: 1}\n");
    let mut correlator = Correlator::new(std::slice::from_ref(&rule));
    for number in 0..20_000 {
        let fired = feed(
            &mut correlator,
            &rule,
            number,
            &(0, 0, None, (number % 7) as u8),
        );
        assert_eq!(fired.len(), 1);
    }
    assert_eq!(correlator.size(), CorrelationSize::default());
    assert!(correlator.states[0].ages.listed() < 2_000);
}

#[test]
fn the_quietest_groups_give_way_for_want_of_room() {
    let rules = correlations(COUNT);
    let mut correlator = Correlator::new(&rules);
    correlator.max_bytes = 100_000;
    let mut fired = Vec::new();
    // A few groups of the other rule, which a flood of the first must leave alone.
    for number in 0..5_u64 {
        let member = member(&rules[1], number as usize, &(0, 0, None, 0));
        correlator.take(1, u128::from(number), member, 0, &mut fired);
    }
    for number in 0..5_000_u64 {
        let second = number as i64 / 10;
        let one = |group: u64| {
            let member = member(&rules[0], number as usize, &(second, 0, None, 0));
            (u128::from(group), member)
        };
        let (group, member) = one(number);
        correlator.take(0, group, member, second * SECOND, &mut fired);
        assert!(correlator.bytes <= 100_000);
    }
    correlator.check_sums();
    assert_eq!(correlator.states[1].groups, 5);
    let groups = correlator.size().groups;
    assert!(groups > 300, "{groups} groups");
    assert_eq!(correlator.groups_dropped as usize, 5_005 - groups);
    let salt = correlator.states[0].salt;
    let oldest = correlator.slots.groups().filter(|one| one.state == 0);
    let oldest = oldest.map(|one| one.key() ^ salt).min().unwrap();
    assert!(oldest as usize > 4_000, "{oldest} is still there");
}

#[test]
fn state_of_earlier_versions_is_taken_up() {
    let rules = correlations("  type: value_count\n  condition: {gte: 3, field: host}\n");
    let saved = serde_json::json!({
        "states": {
            "c": {"version": rules[0].meta.version, "newest_us": 2 * SECOND, "groups": {
                "[[\"user\",\"0\"]]": {
                    "members": [
                        {"time_us": 0, "rule": 0, "value": "a", "events": ["5-0"]},
                        {"time_us": 1, "rule": 1, "value": "b", "events": ["6-0", "7-0"]},
                    ],
                    "entities": [["user", "ann", "actor"]],
                },
            }},
            "d": {"version": "another", "newest_us": 9 * SECOND, "groups": {"[]": {
                "members": [{"time_us": 0, "rule": 0, "value": null, "events": []}],
                "entities": [],
            }}},
        },
        "groups_dropped": 4,
    });
    let mut correlator = Correlator::new(&rules);
    correlator.restore_earlier(serde_json::from_value(saved).unwrap(), &rules);
    assert_eq!(
        (correlator.size().groups, correlator.groups_dropped),
        (1, 4)
    );
    assert_eq!(correlator.states[1].newest_us, i64::MIN);
    let given = (3, 2, Some("b".to_owned()), 0);
    assert_eq!(feed(&mut correlator, &rules[0], 8, &given).len(), 0);
    let given = (3, 2, Some("c".to_owned()), 0);
    let fired = feed(&mut correlator, &rules[0], 9, &given);
    assert_eq!(numbers(&fired), [[5, 6, 7, 8, 9]]);
    assert!(fired[0].entities.iter().any(|one| one.value == "ann"));
}

#[test]
fn changed_rules_lose_their_state_and_others_keep_it() {
    let rules = correlations(COUNT);
    let mut correlator = Correlator::new(&rules);
    let mut fired = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        for number in 0..2 {
            let member = member(rule, number, &(0, 0, None, 0));
            correlator.take(place, 1, member, 0, &mut fired);
        }
    }
    let mut changed = vec![rules[1].clone(), rules[0].clone()];
    changed[1].meta.version = "another".to_owned();
    correlator.follow(&changed);
    correlator.check_sums();
    assert_eq!(correlator.size().groups, 1);
    for place in [0, 1] {
        let member = member(&rules[0], 2, &(1, 0, None, 0));
        correlator.take(place, 1, member, 0, &mut fired);
    }
    // That of `d` goes on at its new place; `c` began anew.
    assert_eq!(numbers(&fired), [[0, 1, 2]]);
}

#[test]
fn cut_or_strange_pieces_are_refused() {
    let rules = correlations(COUNT);
    let mut correlator = Correlator::new(&rules);
    for number in 0..2 {
        feed(&mut correlator, &rules[0], number, &(0, 0, None, 0));
    }
    let mut saved = Vec::new();
    correlator.save(&mut saved);
    for len in 0..saved.len() {
        assert!(Correlator::new(&rules).restore(&saved[..len]).is_none());
    }
    saved.push(0);
    assert!(Correlator::new(&rules).restore(&saved).is_none());
}

/// The reference: all matches in one list by time, all windows measured anew after each match
/// and after each finding.
struct Naive<'a> {
    rule: &'a Correlation,
    members: Vec<(i64, u64, u16, Option<String>)>,
}

impl Naive<'_> {
    fn take(&mut self, number: usize, (second, place, value, _): &Given) -> Vec<Vec<u64>> {
        let at = self.members.iter().position(|one| one.0 > *second);
        let at = at.unwrap_or(self.members.len());
        self.members
            .insert(at, (*second, number as u64, *place, value.clone()));
        let mut found = Vec::new();
        while let Some((start, end)) = self.window() {
            found.push(self.members.drain(start..=end).map(|one| one.1).collect());
        }
        found
    }

    fn window(&self) -> Option<(usize, usize)> {
        let windows = (0..self.members.len()).map(|end| {
            let last = self.members[end].0;
            let start = self.members.iter().position(|one| one.0 >= last - 60);
            (start.unwrap(), end)
        });
        windows
            .into_iter()
            .find(|(start, end)| self.holds(*start, *end))
    }

    fn holds(&self, start: usize, end: usize) -> bool {
        let window = &self.members[start..=end];
        let values: Vec<&str> = window.iter().filter_map(|one| one.3.as_deref()).collect();
        let mut sorted: Vec<f64> = values.iter().filter_map(|one| one.parse().ok()).collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = |wanted: f64| {
            let rank = wanted / 100.0 * (sorted.len() as f64 - 1.0);
            let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            below + (above - below) * rank.fract()
        };
        let measure = match &self.rule.kind {
            CorrelationKind::EventCount => window.len() as f64,
            CorrelationKind::ValueCount(_) => values.iter().collect::<BTreeSet<_>>().len() as f64,
            CorrelationKind::Temporal => window
                .iter()
                .map(|one| one.2)
                .collect::<BTreeSet<_>>()
                .len() as f64,
            CorrelationKind::TemporalOrdered => {
                let next = |next: u16, one: &(i64, u64, u16, Option<String>)| {
                    next + u16::from(one.2 == next)
                };
                f64::from(window.iter().fold(0, next))
            }
            _ if sorted.is_empty() => return false,
            CorrelationKind::ValueSum(_) => sorted.iter().sum(),
            CorrelationKind::ValueAvg(_) => sorted.iter().sum::<f64>() / sorted.len() as f64,
            CorrelationKind::ValueMedian(_) => percentile(50.0),
            CorrelationKind::ValuePercentile(_, wanted) => percentile(f64::from(*wanted)),
        };
        match self.rule.bounds.as_slice() {
            [] => measure == self.rule.rules.len() as f64,
            bounds => bounds.iter().all(|bound| bound.holds(measure)),
        }
    }
}

/// All types with all kinds of bounds; the high ones make windows that are kept up.
const BODIES: [&str; 17] = [
    "  type: event_count\n  condition: {gte: 3}\n",
    "  type: event_count\n  condition: {gt: 30}\n",
    "  type: event_count\n  condition: {lte: 2}\n",
    "  type: event_count\n  condition: {gte: 2, lt: 4}\n",
    "  type: event_count\n  condition: {eq: 5}\n",
    "  type: event_count\n  condition: {neq: 1}\n",
    "  type: value_count\n  condition: {gte: 4, field: v}\n",
    "  type: value_count\n  condition: {gte: 9, field: v}\n",
    "  type: value_sum\n  condition: {gt: 60, field: v}\n",
    "  type: value_sum\n  condition: {lt: -4, field: v}\n",
    "  type: value_avg\n  condition: {gte: 6, field: v}\n",
    "  type: value_median\n  condition: {gte: 6, field: v}\n",
    "  type: value_percentile\n  condition: {lt: -2, field: v, percentile: 20}\n",
    "  type: temporal\n",
    "  type: temporal\n  condition: {gte: 2}\n",
    "  type: temporal_ordered\n",
    "  type: temporal_ordered\n  condition: {eq: 2}\n",
];

/// Matches within the lateness limit of each other, few groups and values; `rules` how many of
/// the rules match at all.
fn given(most: usize) -> impl Strategy<Value = Vec<Given>> {
    let value = prop_oneof![
        1 => Just(None),
        1 => Just(Some("text".to_owned())),
        8 => (-12_i32..32).prop_map(|quarters| Some((f64::from(quarters) / 4.0).to_string())),
    ];
    let rule = prop_oneof![5 => Just(0_u16), 5 => Just(1), 1 => Just(2)];
    (1_i64..600).prop_flat_map(move |seconds| {
        prop::collection::vec((0..=seconds, rule.clone(), value.clone(), 0_u8..2), 1..most)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// However matches come within the lateness limit, and whether or not state is saved and
    /// restored between any two of them, findings are those of the reference.
    #[test]
    fn findings_are_those_of_the_reference(
        body in prop::sample::select(&BODIES[..]),
        given in given(120),
        restarts in prop::collection::vec(0_u8..20, 120),
    ) {
        let rules = correlations(body);
        let mut correlator = Correlator::new(&rules);
        let mut pieces = vec![Vec::new()];
        correlator.save_all(&mut pieces[0]);
        let naive = || Naive { rule: &rules[0], members: Vec::new() };
        let mut naive = [naive(), naive()];
        for (number, one) in given.iter().enumerate() {
            let fired = feed(&mut correlator, &rules[0], number, one);
            prop_assert_eq!(numbers(&fired), naive[usize::from(one.3)].take(number, one));
            match restarts[number] {
                0 => {
                    let mut piece = Vec::new();
                    correlator.save_all(&mut piece);
                    pieces = vec![piece];
                }
                1..=4 => {
                    let mut piece = Vec::new();
                    correlator.save_changes(&mut piece);
                    pieces.push(piece);
                    // Back to the last saved state and on from there.
                    correlator = correlator.restored(&rules, &pieces);
                }
                5..=8 => {
                    let mut piece = Vec::new();
                    correlator.save_changes(&mut piece);
                    pieces.push(piece);
                }
                _ => {}
            }
        }
    }

    /// Where more is worth more, a group in which a window holds has a finding in whatever order
    /// its matches come, and one in which none holds has none; no event is in two findings.
    #[test]
    fn no_order_misses_or_doubles(
        body in prop::sample::select(&[BODIES[0], BODIES[6], BODIES[13], BODIES[15]][..]),
        given in given(60),
        keys in prop::collection::vec(any::<u32>(), 60),
    ) {
        let rule = correlation(body);
        let mut by_time: Vec<(usize, &Given)> = given.iter().enumerate().collect();
        by_time.sort_by_key(|(number, one)| (one.0, *number));
        // Matches of one time keep their order: nothing else tells which came first.
        let mut any = by_time.clone();
        any.sort_by_key(|(number, one)| (keys[one.0 as usize % 60], *number));
        let run = |order: &[(usize, &Given)]| {
            let mut correlator = Correlator::new(std::slice::from_ref(&rule));
            let mut found: [Vec<Vec<u64>>; 2] = Default::default();
            for (number, one) in order {
                let fired = feed(&mut correlator, &rule, *number, one);
                found[usize::from(one.3)].extend(numbers(&fired));
            }
            found
        };
        for (left, right) in run(&by_time).into_iter().zip(run(&any)) {
            prop_assert_eq!(left.is_empty(), right.is_empty());
            let all: Vec<u64> = right.into_iter().flatten().collect();
            let distinct: BTreeSet<u64> = all.iter().copied().collect();
            prop_assert_eq!(distinct.len(), all.len());
        }
    }
}
