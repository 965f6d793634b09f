//! Each stage is reached by what it says, and no other way.

use std::sync::Arc;

use watchfloor_event::Logsource;
use watchfloor_pipeline::KindSeen;
use watchfloor_rules::{LoadOptions, RuleFile};

use super::*;

fn set(rules: &[(&str, &str, &str)]) -> RuleSet {
    let files = rules.iter().map(|(id, tag, field)| RuleFile {
        path: Arc::from(format!("{id}.yml")),
        text: format!(
            "title: Rule {id}\nid: {id}\ntags: [attack.{tag}]\nlogsource: {{product: linux}}\ndetection: {{s: {{{field}: x}}, condition: s}}\n"
        ),
    });
    let set = RuleSet::load_with(files, LoadOptions::default());
    assert_eq!(set.refused, []);
    set
}

fn seen(fields: &[&str]) -> Seen {
    Seen {
        since: Timestamp::UNIX_EPOCH,
        kinds: vec![KindSeen {
            kind: "linux/auditd".to_owned(),
            logsources: vec![Logsource {
                product: Some("linux".to_owned()),
                ..Logsource::default()
            }],
            events: 3,
            events_today: 3,
            fields: fields
                .iter()
                .map(|name| (format!("unmapped.{name}"), 3))
                .collect(),
        }],
        rules: BTreeMap::new(),
    }
}

#[test]
fn the_highest_stage_of_any_rule_is_that_of_the_technique() {
    let rules = set(&[
        ("a", "t1059", "here"),
        ("b", "t1059.001", "here"),
        ("c", "t1059.001", "absent"),
        ("d", "t1003", "here"),
        ("g", "t1105", "absent"),
    ]);
    let others = set(&[
        ("e", "t1021", "here"),
        ("f", "t1022", "absent"),
        ("h", "t1082", "absent"),
    ]);
    let seen = seen(&["here"]);
    let fired = BTreeMap::from([("d".to_owned(), (2, Some(Timestamp::UNIX_EPOCH)))]);
    let tested = |meta: &RuleMeta| Tested {
        cases: 2,
        outcome: if matches!(meta.id.as_str(), "b" | "d") {
            CanaryOutcome::Pass
        } else {
            CanaryOutcome::None
        },
    };
    let evidence = Evidence {
        seen: &seen,
        fired: &fired,
        tested: &tested,
    };
    let coverage = Coverage::of(&rules, &others, &evidence);
    let stages: Vec<(&str, Stage)> = coverage
        .techniques
        .iter()
        .map(|one| (one.id.as_str(), one.stage))
        .collect();
    assert_eq!(
        stages,
        [
            ("T1003", Stage::Fired),
            ("T1021", Stage::Data),
            ("T1059", Stage::Rule),
            ("T1059.001", Stage::Tested),
            ("T1082", Stage::Known),
            ("T1105", Stage::Rule),
            // T1022 was revoked.
            ("T1560", Stage::Known),
        ]
    );
    let layer = coverage.layer(&LayerHead {
        name: "n".to_owned(),
        description: "d".to_owned(),
    });
    let shown = layer["techniques"].as_array().unwrap();
    assert_eq!(shown.len(), 5, "those without data and rule are left out");
    assert_eq!(shown[0]["techniqueID"], "T1003");
    assert_eq!(shown[0]["score"], 4);
    assert_eq!(
        shown[3]["comment"],
        "Rule b (rule tested)\nRule c (rule present, no data)"
    );
    assert_eq!(layer["versions"]["layer"], "4.5");
    let of = |name: &str| {
        let metadata = shown[0]["metadata"].as_array().unwrap();
        let found = metadata.iter().find(|one| one["name"] == name);
        found.map(|one| one["value"].clone()).unwrap()
    };
    assert_eq!(of("fired"), "2");
    assert_eq!(of("last fired"), "1970-01-01T00:00:00Z");
}

#[test]
fn tags_that_attack_gave_up_are_named() {
    assert_eq!(current("T1086"), Some("T1059.001"));
    assert_eq!(current("T1059"), Some("T1059"));
    let deprecated = attack::DEPRECATED[0];
    assert_eq!(current(deprecated), None);
    for list in attack::REVOKED.windows(2) {
        assert!(list[0].0 < list[1].0, "{list:?}");
    }
    assert!(attack::DEPRECATED.is_sorted());
    let rules = set(&[("a", &deprecated.to_lowercase(), "here")]);
    let seen = seen(&[]);
    let evidence = Evidence {
        seen: &seen,
        fired: &BTreeMap::new(),
        tested: &|_| Tested::default(),
    };
    let coverage = Coverage::of(&rules, &RuleSet::default(), &evidence);
    assert!(coverage.techniques.is_empty());
    assert!(coverage.deprecated.contains_key(deprecated));
}
