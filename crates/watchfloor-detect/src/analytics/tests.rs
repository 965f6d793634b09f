//! Analytics by type: matches in, conclusions out, with saving and restoring between any two.

use proptest::prelude::*;

use super::*;

mod chains;
mod harness;

use harness::*;

const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

#[test]
fn new_terms_are_told_of_once_after_learning() {
    let body =
        "type: new_terms, rules: [a], group-by: [host], field: image, timespan: 30d, learn: 7d";
    let event = |days: f64, host: &'static str, image: &'static str| {
        let fields: &'static [(&str, &str)] =
            Box::leak(Box::new([("host", host), ("image", image)]));
        (days * DAY, 0, fields)
    };
    let findings = check(
        body,
        &[
            event(0.0, "h", "a"),
            event(1.0, "h", "b"),
            event(8.0, "h", "a"),
            event(9.0, "h", "c"),
            event(9.1, "h", "c"),
            // Another host has not learnt for long enough.
            event(9.2, "i", "c"),
            // Late, and known by then.
            event(9.0, "h", "c"),
            // Late by minutes and new.
            event(9.199, "h", "d"),
            // Forgotten after 30 days.
            event(38.5, "h", "x"),
            event(45.0, "h", "b"),
        ],
        &[3, 7, 8, 9],
    );
    assert_eq!(
        findings[0].summary,
        "host h has image c for the first time in 9 days, after 2 other values: Told"
    );
    assert_eq!(findings[0].reasons[1].field, "image");
    assert_eq!(findings[0].reasons[1].value, "c");
}

#[test]
fn new_tuples_are_new_though_their_parts_are_known() {
    let matches: Vec<Match<'_>> = vec![
        (0.0, 0, &[("u", "ann"), ("h", "x")]),
        (1.0, 0, &[("u", "bob"), ("h", "y")]),
        (100.0, 0, &[("u", "ann"), ("h", "x")]),
        (101.0, 0, &[("u", "ann"), ("h", "y")]),
        (102.0, 0, &[("u", "ann")]),
    ];
    let body = "type: new_terms, rules: [a], field: [u, h], timespan: 1d, learn: 60s";
    let findings = check(body, &matches, &[3]);
    assert!(
        findings[0]
            .summary
            .starts_with("all events has u, h ann, y"),
        "{}",
        findings[0].summary
    );
}

#[test]
fn rare_terms_have_a_small_share_of_many_events() {
    let body = "type: rare_terms, rules: [a], group-by: [host], field: image, min_events: 100, max_share: 0.02, timespan: 1d";
    let usual: &[(&str, &str)] = &[("host", "h"), ("image", "usual")];
    let rare: &[(&str, &str)] = &[("host", "h"), ("image", "rare")];
    let mut matches: Vec<Match<'_>> = vec![(0.0, 0, rare)];
    matches.extend((0..120).map(|number| (f64::from(number), 0, usual)));
    matches.push((130.0, 0, rare));
    matches.push((131.0, 0, rare));
    // A day later only the new events count, and they are few.
    matches.push((1.5 * DAY, 0, rare));
    let findings = check(body, &matches, &[121]);
    assert_eq!(
        findings[0].summary,
        "image rare stands in 2 of 122 events of host h within 24 h, 1.6 %: Told"
    );
    let each: Vec<String> = (0..200).map(|number| format!("v{number}")).collect();
    let fields: Vec<[(&str, &str); 2]> = each
        .iter()
        .map(|value| [("host", "h"), ("image", value.as_str())])
        .collect();
    let matches: Vec<Match<'_>> = fields
        .iter()
        .enumerate()
        .map(|(number, fields)| (number as f64, 0, fields.as_slice()))
        .collect();
    check(body, &matches, &[]);
}

#[test]
fn a_rate_stands_out_from_the_spans_before() {
    let body = "type: rate_baseline, rules: [a], group-by: [user], bucket: 1h, min_buckets: 10, min_count: 20, deviations: 3, timespan: 2d";
    let bob: &[(&str, &str)] = &[("user", "bob")];
    let mut matches: Vec<Match<'_>> = Vec::new();
    for hour in 0..24 {
        let number = if hour % 2 == 0 { 6 } else { 4 };
        matches.extend((0..number).map(|n| (f64::from(hour) * HOUR + f64::from(n), 0, bob)));
    }
    let before = matches.len();
    matches.extend((0..60).map(|n| (24.0 * HOUR + f64::from(n), 0, bob)));
    let findings = check(body, &matches, &[before + 19]);
    let summary = &findings[0].summary;
    assert_eq!(
        summary,
        "20 events of user bob within 60 min, 4 times the mean; the 23 spans before had 5 on average, with a deviation of 2.2: Told"
    );
    assert_eq!(findings[0].event_ids.len(), 20);
    // A span that was told of is no part of the baseline of the next.
    let next = matches.len();
    matches.extend((0..30).map(|n| (25.0 * HOUR + f64::from(n), 0, bob)));
    check(body, &matches, &[before + 19, next + 19]);
    // Too short a history says nothing.
    check(body, &matches[100..before + 30], &[]);
}

const TRAVEL: &str = "type: impossible_travel, rules: [a], group-by: [user], latitude: lat, longitude: [long, lon], place: [city], timespan: 1d";
const BERLIN: &[(&str, &str)] = &[
    ("user", "ann"),
    ("lat", "52.52"),
    ("lon", "13.40"),
    ("city", "Berlin"),
];
const SYDNEY: &[(&str, &str)] = &[
    ("user", "ann"),
    ("lat", "-33.87"),
    ("long", "151.21"),
    ("city", "Sydney"),
];
const MUNICH: &[(&str, &str)] = &[
    ("user", "ann"),
    ("lat", "48.14"),
    ("lon", "11.58"),
    ("city", "Munich"),
];

#[test]
fn nobody_is_in_two_far_places_at_a_time() {
    let findings = check(
        TRAVEL,
        &[
            (0.0, 0, BERLIN),
            (600.0, 0, BERLIN),
            (2.0 * HOUR, 0, SYDNEY),
        ],
        &[2],
    );
    assert_eq!(
        findings[0].summary,
        "user ann was in Berlin and 110 min later in Sydney, 16095 km away, which takes 8779 km/h: Told"
    );
    assert_eq!(findings[0].event_ids.len(), 2);
    // With a day and a half between, with less than 504 km, elsewhere, unknown or absent: no.
    check(TRAVEL, &[(0.0, 0, BERLIN), (1.2 * DAY, 0, SYDNEY)], &[]);
    check(TRAVEL, &[(0.0, 0, BERLIN), (23.0 * HOUR, 0, SYDNEY)], &[]);
    check(
        &TRAVEL.replace("timespan", "min_distance_km: 600, timespan"),
        &[(0.0, 0, BERLIN), (60.0, 0, MUNICH)],
        &[],
    );
    check(
        TRAVEL,
        &[
            (0.0, 0, BERLIN),
            (60.0, 0, &[("user", "ann"), ("lat", "0"), ("lon", "0")]),
        ],
        &[],
    );
    check(
        TRAVEL,
        &[
            (0.0, 0, BERLIN),
            (60.0, 0, &[("user", "ann"), ("lat", "999"), ("lon", "x")]),
        ],
        &[],
    );
    check(
        TRAVEL,
        &[
            (0.0, 0, BERLIN),
            (
                60.0,
                0,
                &[("user", "bob"), ("lat", "-33.87"), ("lon", "151.21")],
            ),
        ],
        &[],
    );
}

#[test]
fn travel_is_found_late_and_told_of_once() {
    // The match in Berlin comes after both, between them in time.
    check(
        TRAVEL,
        &[(0.0, 0, SYDNEY), (500.0, 0, SYDNEY), (100.0, 0, BERLIN)],
        &[2],
    );
    // To and fro is one pair of places.
    check(
        TRAVEL,
        &[
            (0.0, 0, BERLIN),
            (60.0, 0, SYDNEY),
            (120.0, 0, BERLIN),
            (180.0, 0, SYDNEY),
        ],
        &[1],
    );
}

/// Connections with a period and a jitter that is the same in every run.
fn beats(number: usize, period: f64, jitter: f64) -> Vec<f64> {
    let mut state = 7_u64;
    let mut at = 0.0;
    (0..number)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let share = (state >> 40) as f64 / (1_u64 << 24) as f64;
            at += period * (1.0 + jitter * (2.0 * share - 1.0));
            at
        })
        .collect()
}

const PAIR: &[(&str, &str)] = &[("src", "10.0.0.5"), ("dst", "203.0.113.9")];
const BEACON: &str = "type: beaconing, rules: [a], group-by: [src, dst], min_events: 20, max_jitter: 0.1, timespan: 6h";

fn connections(times: &[f64]) -> Vec<Match<'static>> {
    times.iter().map(|at| (*at, 0, PAIR)).collect()
}

#[test]
fn regular_connections_are_a_beacon() {
    let findings = check(BEACON, &connections(&beats(60, 60.0, 0.05)), &[19]);
    let finding = &findings[0];
    assert!(
        finding
            .summary
            .starts_with("20 connections of src 10.0.0.5, dst 203.0.113.9 over 19"),
        "{}",
        finding.summary
    );
    assert!(
        finding.summary.contains("with a jitter of "),
        "{}",
        finding.summary
    );
    assert_eq!(finding.event_count, 20);
    let period = finding.reasons.iter().find(|one| one.field == "period");
    assert!(period.is_some_and(|one| one.value.starts_with("60") || one.value.starts_with("59")));
    // One in ten is missing; three connections each time.
    let mut times = beats(40, 300.0, 0.02);
    let mut number = 0;
    times.retain(|_| {
        number += 1;
        number % 10 != 0
    });
    check(BEACON, &connections(&times), &[19]);
    let triple: Vec<f64> = beats(30, 60.0, 0.02)
        .iter()
        .flat_map(|at| [*at, at + 0.2, at + 0.9])
        .collect();
    check(BEACON, &connections(&triple), &[57]);
}

#[test]
fn irregular_fast_and_slow_connections_are_none() {
    check(BEACON, &connections(&beats(200, 60.0, 0.9)), &[]);
    check(BEACON, &connections(&beats(200, 2.0, 0.01)), &[]);
    check(BEACON, &connections(&beats(15, 60.0, 0.01)), &[]);
}

#[test]
fn a_beacon_shows_after_other_traffic_and_again_after_the_timespan() {
    let mut times = beats(40, 45.0, 0.95);
    let start = times.last().copied().unwrap_or(0.0);
    times.extend(beats(25, 60.0, 0.01).iter().map(|at| start + at));
    let found = run(BEACON, &connections(&times));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].0 >= 54);
    // Ten hours of it: told of at the start and after six hours.
    let found = run(BEACON, &connections(&beats(600, 60.0, 0.01)));
    assert_eq!(
        found.len(),
        2,
        "{:?}",
        found.iter().map(|one| one.0).collect::<Vec<_>>()
    );
}

fn query(number: u64) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let label: String = (0..30)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            char::from(LETTERS[(state >> 59) as usize])
        })
        .collect();
    format!("{label}.t.evil.co.uk")
}

#[test]
fn many_random_names_below_a_domain_are_a_tunnel() {
    let body = "type: dns_tunnelling, rules: [a], group-by: [src], field: query, min_names: 20, timespan: 10m";
    let names: Vec<String> = (0..40).map(query).collect();
    let fields: Vec<[(&str, &str); 2]> = names
        .iter()
        .map(|name| [("src", "10.0.0.7"), ("query", name.as_str())])
        .collect();
    let at = |step: f64| -> Vec<Match<'_>> {
        let each = fields.iter().enumerate();
        each.map(|(number, fields)| (number as f64 * step, 0, fields.as_slice()))
            .collect()
    };
    let findings = check(body, &at(2.0), &[19]);
    assert!(
        findings[0].summary.starts_with("src 10.0.0.7 asked for 20 long, random names below evil.co.uk within 10 min, 31 letters each"),
        "{}",
        findings[0].summary
    );
    assert!(
        findings[0]
            .entities
            .iter()
            .any(|one| one.value == "evil.co.uk")
    );
    // Too slow for the timespan; the same name again and again; short names; words.
    check(body, &at(60.0), &[]);
    let same: Vec<Match<'_>> = (0..60)
        .map(|n| (f64::from(n), 0, fields[0].as_slice()))
        .collect();
    check(body, &same, &[]);
    let short: Vec<String> = (0..60)
        .map(|number| format!("host{number}.evil.com"))
        .collect();
    let short: Vec<[(&str, &str); 2]> = short
        .iter()
        .map(|name| [("src", "10.0.0.7"), ("query", name.as_str())])
        .collect();
    let short: Vec<Match<'_>> = short
        .iter()
        .enumerate()
        .map(|(n, fields)| (n as f64, 0, fields.as_slice()))
        .collect();
    check(body, &short, &[]);
}

const SPRAY: &str = "type: password_spraying, rules: [a, b], success: b, user: user, group-by: [src], min_accounts: 5, max_attempts: 2, timespan: 10m";
const USERS: [&[(&str, &str)]; 6] = [
    &[("src", "s"), ("user", "Ann")],
    &[("src", "s"), ("user", "bob")],
    &[("src", "s"), ("user", "cid")],
    &[("src", "s"), ("user", "dee")],
    &[("src", "s"), ("user", "eve")],
    &[("src", "s"), ("user", "fay")],
];

#[test]
fn failures_at_many_accounts_are_spraying_and_a_success_raises() {
    let mut matches: Vec<Match<'_>> = USERS
        .iter()
        .enumerate()
        .map(|(n, user)| (n as f64 * 5.0, 0, *user))
        .collect();
    matches.push((100.0, 1, USERS[0]));
    matches.push((110.0, 1, USERS[0]));
    // Tried after the spraying was told of.
    matches.push((115.0, 1, USERS[5]));
    // Nobody tried this one.
    matches.push((120.0, 1, &[("src", "s"), ("user", "zoe")]));
    let findings = check(SPRAY, &matches, &[4, 6, 8]);
    assert_eq!(
        findings[0].summary,
        "src s failed to log on as 5 accounts with 5 attempts within 10 min, 1 attempt at each at most: Told"
    );
    assert_eq!(findings[0].level.as_str(), "medium");
    assert_eq!(
        findings[1].summary,
        "src s logged on as ann after trying 6 accounts, this one 1 time: Told"
    );
    assert_eq!(findings[1].level.as_str(), "high");
    assert!(findings[0].entities.iter().any(|one| one.value == "eve"));
}

#[test]
fn guessing_at_one_account_or_slowly_is_no_spraying() {
    let guessing: Vec<Match<'_>> = (0..60)
        .map(|n| (f64::from(n), 0, USERS[n as usize % 4]))
        .collect();
    check(SPRAY, &guessing, &[]);
    // Five accounts, each tried more often than twice.
    let often: Vec<Match<'_>> = (0..5)
        .flat_map(|round| {
            (0..4).map(move |user| (f64::from(round * 10 + user), 0, USERS[user as usize]))
        })
        .chain((0..3).map(|n| (60.0 + f64::from(n), 0, USERS[4])))
        .collect();
    check(SPRAY, &often, &[]);
    let slow: Vec<Match<'_>> = USERS
        .iter()
        .enumerate()
        .map(|(n, user)| (n as f64 * 200.0, 0, *user))
        .collect();
    check(SPRAY, &slow, &[]);
}

#[test]
fn a_success_before_the_last_failure_is_told_of_with_the_spraying() {
    let mut matches: Vec<Match<'_>> = USERS[..4]
        .iter()
        .enumerate()
        .map(|(n, user)| (n as f64, 0, *user))
        .collect();
    matches.push((10.0, 1, USERS[1]));
    matches.push((20.0, 0, USERS[4]));
    let findings = check(SPRAY, &matches, &[5]);
    assert!(
        findings[0].summary.contains("and logged on as bob"),
        "{}",
        findings[0].summary
    );
    assert_eq!(findings[0].level.as_str(), "high");
    // A late failure completes the window that it belongs to.
    let mut late: Vec<Match<'_>> = USERS[..4]
        .iter()
        .enumerate()
        .map(|(n, user)| (n as f64, 0, *user))
        .collect();
    late.push((580.0, 0, USERS[0]));
    late.push((300.0, 0, USERS[5]));
    check(SPRAY, &late, &[5]);
}

const CHAIN: &str = "type: sequence, timespan: 10m, hosts: [target], steps: [{rule: a, bind: {target: dst, who: user}}, {rule: b, match: {target: host}, bind: {target: dst}}, {rule: c, match: {target: host, who: user}}]";
const STEPS: [&[(&str, &str)]; 3] = [
    &[("dst", "WS-1.corp.example"), ("user", "ann")],
    &[("host", "ws-1"), ("dst", "WS-2")],
    &[("host", "ws-2.corp.example"), ("user", "ANN")],
];

#[test]
fn sequences_go_from_host_to_host() {
    let findings = check(
        CHAIN,
        &[(0.0, 0, STEPS[0]), (60.0, 1, STEPS[1]), (65.0, 2, STEPS[2])],
        &[2],
    );
    assert_eq!(
        findings[0].summary,
        "Rule a (target ws-1, who ann), 60 s later Rule b (target ws-1, target ws-2), 5 s later Rule c (target ws-2, who ann): Told"
    );
    assert_eq!(findings[0].event_ids.len(), 3);
    // Another host, another user, another order, too late, a value missing.
    check(
        CHAIN,
        &[
            (0.0, 0, STEPS[0]),
            (60.0, 1, &[("host", "ws-9"), ("dst", "ws-2")]),
            (65.0, 2, STEPS[2]),
        ],
        &[],
    );
    check(
        CHAIN,
        &[
            (0.0, 0, STEPS[0]),
            (60.0, 1, STEPS[1]),
            (65.0, 2, &[("host", "ws-2"), ("user", "bob")]),
        ],
        &[],
    );
    check(
        CHAIN,
        &[(0.0, 0, STEPS[0]), (60.0, 2, STEPS[2]), (65.0, 1, STEPS[1])],
        &[],
    );
    check(
        CHAIN,
        &[
            (0.0, 0, STEPS[0]),
            (60.0, 1, STEPS[1]),
            (601.0, 2, STEPS[2]),
        ],
        &[],
    );
    check(
        CHAIN,
        &[
            (0.0, 0, &[("dst", "ws-1")]),
            (60.0, 1, STEPS[1]),
            (65.0, 2, STEPS[2]),
        ],
        &[],
    );
}

#[test]
fn what_made_a_chain_is_used_up_and_one_event_is_one_step() {
    let twice: Vec<Match<'_>> = (0..2)
        .flat_map(|round| {
            (0..3).map(move |step| {
                (
                    f64::from(round * 100 + step),
                    step as usize,
                    STEPS[step as usize],
                )
            })
        })
        .collect();
    check(CHAIN, &twice, &[2, 5]);
    let body =
        "type: sequence, timespan: 10m, group-by: [user], steps: [{rule: a}, {rule: a}, {rule: b}]";
    let ann: &[(&str, &str)] = &[("user", "ann")];
    check(body, &[(0.0, 0, ann), (1.0, 1, ann)], &[]);
    check(
        body,
        &[(0.0, 0, ann), (1.0, 0, ann), (2.0, 1, ann), (3.0, 1, ann)],
        &[2],
    );
}

#[test]
fn a_search_without_end_is_given_up() {
    let body = "type: sequence, timespan: 1h, steps: [{rule: a, bind: {x: v}}, {rule: a, bind: {y: v}}, {rule: a, bind: {z: v}}, {rule: b, match: {x: w, y: w, z: w}}]";
    let values: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    let fields: Vec<[(&str, &str); 1]> =
        values.iter().map(|value| [("v", value.as_str())]).collect();
    let mut matches: Vec<Match<'_>> = fields
        .iter()
        .enumerate()
        .map(|(n, fields)| (n as f64, 0, fields.as_slice()))
        .collect();
    matches.push((500.0, 1, &[("w", "none")]));
    let set = set(body);
    let mut analytics = Analytics::new(&set);
    for (number, one) in matches.iter().enumerate() {
        assert!(feed(&mut analytics, &set, number, one).is_empty());
    }
}

#[test]
fn late_matches_within_ten_minutes_count_and_later_ones_do_not() {
    let body = "type: sequence, timespan: 1m, steps: [{rule: a}, {rule: b}]";
    let none: &[(&str, &str)] = &[];
    check(
        body,
        &[(0.0, 0, none), (500.0, 2, none), (10.0, 1, none)],
        &[2],
    );
    let body = "type: sequence, timespan: 1m, steps: [{rule: a}, {rule: b}, {rule: c}]";
    check(
        body,
        &[(0.0, 0, none), (20.0, 2, none), (10.0, 1, none)],
        &[2],
    );
    // The newest is eleven minutes ahead of the horizon.
    check(
        body,
        &[
            (0.0, 0, none),
            (700.0, 2, none),
            (10.0, 1, none),
            (20.0, 2, none),
        ],
        &[],
    );
}

#[test]
fn a_time_ahead_of_its_receipt_is_not_taken() {
    let body = "type: sequence, timespan: 1m, steps: [{rule: a}, {rule: b}]";
    let none: &[(&str, &str)] = &[];
    check(
        body,
        &[(0.0, 0, none), (400.0 * DAY, 0, none), (10.0, 1, none)],
        &[2],
    );
}

#[test]
fn a_changed_rule_starts_anew_and_others_keep_their_state() {
    let body = "type: sequence, timespan: 1m, steps: [{rule: a}, {rule: b}]";
    let none: &[(&str, &str)] = &[];
    let old = set(body);
    let mut analytics = Analytics::new(&old);
    assert!(feed(&mut analytics, &old, 0, &(0.0, 0, none)).is_empty());
    let mut same = restored(&analytics);
    same.replace(&set(body));
    assert_eq!(feed(&mut same, &old, 1, &(1.0, 1, none)).len(), 1);
    let changed = set(&body.replace("1m", "2m"));
    analytics.replace(&changed);
    assert!(feed(&mut analytics, &changed, 1, &(1.0, 1, none)).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In whatever order the matches of a chain come, among others, it is found exactly once.
    #[test]
    fn chains_are_found_in_any_order(order in Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle()) {
        let all: [Match<'_>; 6] = [
            (0.0, 0, STEPS[0]),
            (100.0, 1, STEPS[1]),
            (200.0, 2, STEPS[2]),
            (50.0, 0, &[("dst", "ws-7"), ("user", "ann")]),
            (150.0, 1, &[("host", "ws-8"), ("dst", "ws-2")]),
            (250.0, 2, &[("host", "ws-3"), ("user", "ann")]),
        ];
        let matches: Vec<Match<'_>> = order.iter().map(|place| all[*place]).collect();
        let found = run(CHAIN, &matches);
        prop_assert_eq!(found.len(), 1);
        let last = order.iter().rposition(|place| *place < 3);
        prop_assert_eq!(Some(found[0].0), last);
    }

    /// In whatever order six failures within the lateness come, the spraying is found once, by
    /// the fifth account.
    #[test]
    fn spraying_is_found_in_any_order(order in Just([0_usize, 1, 2, 3, 4, 5]).prop_shuffle()) {
        let matches: Vec<Match<'_>> =
            order.iter().map(|place| (*place as f64 * 60.0, 0, USERS[*place])).collect();
        let found = run(SPRAY, &matches);
        prop_assert_eq!(found.len(), 1);
        prop_assert_eq!(found[0].0, 4);
    }

    /// A beacon whose connections come shuffled within a minute or so is found as one in order.
    #[test]
    fn beacons_are_found_out_of_order(swaps in prop::collection::vec(0_usize..58, 0..20)) {
        let mut times = beats(60, 60.0, 0.03);
        for place in swaps {
            times.swap(place, place + 1);
        }
        let found = run(BEACON, &connections(&times));
        prop_assert_eq!(found.len(), 1);
        prop_assert!(found[0].0 < 30);
    }

    /// Travel between two places is found whichever of the matches comes last.
    #[test]
    fn travel_is_found_in_any_order(order in Just([0_usize, 1, 2, 3]).prop_shuffle()) {
        let all: [Match<'_>; 4] =
            [(0.0, 0, BERLIN), (100.0, 0, BERLIN), (200.0, 0, SYDNEY), (300.0, 0, SYDNEY)];
        let matches: Vec<Match<'_>> = order.iter().map(|place| all[*place]).collect();
        prop_assert_eq!(run(TRAVEL, &matches).len(), 1);
    }

    /// Whatever values come in whatever order, a value is new at most once within the timespan.
    #[test]
    fn no_value_is_new_twice(values in prop::collection::vec((0_u32..500, 0_usize..6), 1..80)) {
        const NAMES: [&[(&str, &str)]; 6] = [
            &[("f", "a")], &[("f", "b")], &[("f", "c")], &[("f", "d")], &[("f", "e")], &[("f", "g")],
        ];
        let matches: Vec<Match<'_>> =
            values.iter().map(|(at, name)| (f64::from(*at), 0, NAMES[*name])).collect();
        let found = run("type: new_terms, rules: [a], field: f, timespan: 1d, learn: 100s", &matches);
        let mut new: Vec<&str> =
            found.iter().map(|(_, finding)| finding.reasons[0].value.as_str()).collect();
        let before = new.len();
        new.sort_unstable();
        new.dedup();
        prop_assert_eq!(new.len(), before);
    }
}
