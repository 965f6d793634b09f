//! The cases beside each pack, and the packs' own health.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod packs;

use watchfloor_normalize::{Case, PackSet};

#[test]
fn packs_load_without_warnings() {
    let set = packs::load();
    let lint: Vec<String> = set.lint().iter().map(ToString::to_string).collect();
    assert!(lint.is_empty(), "{}", lint.join("\n"));
    assert!(set.packs().len() >= 7);
}

#[test]
fn every_case_holds() {
    let set = packs::load();
    let mut failures = Vec::new();
    let mut checked = 0;
    for pack in std::fs::read_dir(packs::folder())
        .expect("a folder")
        .flatten()
    {
        let Ok(cases) = std::fs::read_dir(pack.path().join("cases")) else {
            continue;
        };
        for file in cases.flatten() {
            let text = std::fs::read_to_string(file.path()).expect("readable");
            for (number, line) in text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.is_empty())
            {
                let place = format!("{}:{}", file.path().display(), number + 1);
                checked += 1;
                match Case::parse(line) {
                    Ok(case) => {
                        for difference in case.check(&set) {
                            failures.push(format!("{place}: {difference}"));
                        }
                    }
                    Err(error) => failures.push(format!("{place}: {error}")),
                }
            }
        }
    }
    println!("{checked} cases checked");
    assert!(
        failures.is_empty(),
        "{} differences:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn faults_of_packs_are_named_with_their_line() {
    let head = "product: x\ntitle: X\nversions: '1'\ndocumentation: []\n";
    for (body, line, reason) in [
        ("kinds: 7\n", 5, ""),
        ("kinds:\n  - name: a\n    wrong: 1\n", 7, "wrong"),
        (
            "kinds:\n  - name: a\n    when: {b: 1}\n    class: nothing\n",
            8,
            "no OCSF class",
        ),
        ("kinds:\n  - name: a\n", 6, "would take every event"),
        (
            "kinds:\n  - name: a\n    when: {b: 1}\n    include: [missing]\n",
            8,
            "no set",
        ),
        (
            "kinds:\n  - name: a\n    when: {b: 1}\n    match: {field: m, regex: '(('}\n",
            8,
            "regular",
        ),
        (
            "kinds:\n  - name: a\n    when: {b: 1}\n    fields: {b: {to: message, as: magic}}\n",
            8,
            "no converter",
        ),
        (
            "kinds:\n  - name: a\n    when: {b: 1}\n    logsources: [a/b/c/d]\n",
            8,
            "log source",
        ),
        (
            "kinds:\n  - name: a\n    when: {b: 1}\n  - name: a\n    when: {b: 2}\n",
            6,
            "two kinds",
        ),
        ("kinds:\n  - name: a\n    when: {b: {}}\n", 7, "empty"),
    ] {
        let (set, errors) = PackSet::load([("p.yaml", format!("{head}{body}"))]);
        assert!(set.packs().is_empty(), "{body}");
        assert_eq!(errors.len(), 1, "{body}");
        assert!(errors[0].reason.contains(reason), "{body}: {}", errors[0]);
        if !reason.is_empty() && reason != "wrong" && reason != "empty" {
            assert_eq!(errors[0].line, line, "{body}: {}", errors[0]);
        }
    }
    let named = "product: ocsf\ntitle: t\nversions: v\ndocumentation: []\nkinds: []\n";
    let (_, errors) = PackSet::load([("p.yaml", named)]);
    assert!(
        errors[0].reason.contains("call the pack otherwise"),
        "{errors:?}"
    );
    let (set, _) = PackSet::load([(
        "p.yaml",
        format!("{head}kinds:\n  - name: a\n    when: {{b: 1}}\n    fields: {{c: not.promoted}}\n"),
    )]);
    assert_eq!(set.lint().len(), 1);
    assert_eq!(set.lint()[0].line, 8);
}
