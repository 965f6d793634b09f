use super::*;

fn check(text: &str, expected: Result<bool, &str>) {
    let value_of = |name: &str| match name {
        "__ip__" => Some("10.1.2.3".to_owned()),
        "__n__" => Some("7".to_owned()),
        "__yes__" => Some("true".to_owned()),
        "__no__" => Some("false".to_owned()),
        "__name__" => Some("O'Neil \\ OR true".to_owned()),
        "__empty__" => Some(String::new()),
        _ => None,
    };
    let observed = [
        (EntityKind::Address, "198.51.100.7".to_owned()),
        (EntityKind::Host, "ws-042".to_owned()),
        (EntityKind::Hash, "ab".repeat(32)),
    ];
    let facts = Facts {
        value_of: &value_of,
        observed: &observed,
    };
    let found = Condition::parse(text).and_then(|condition| condition.holds(&facts));
    match (&found, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{text}"),
        (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{text}: {error}"),
        _ => panic!("{text}: {found:?}"),
    }
}

#[test]
fn comparisons() {
    for (text, expected) in [
        ("__ip__:value == '10.1.2.3'", true),
        ("__ip__:value = '10.1.2.4'", false),
        ("__n__:value <= 10", true),
        ("__n__:value > 10", false),
        ("__n__:value = 7.0", true),
        ("__n__:value != '8'", true),
        ("__yes__:value", true),
        ("__no__:value", false),
        ("NOT __no__:value", true),
        ("__ip__:value ISSUBSET '10.0.0.0/8'", true),
        ("'10.0.0.0/8' ISSUPERSET __ip__:value", true),
        ("__ip__:value NOT ISSUBSET '10.0.0.0/8'", false),
        ("__ip__:value IN ('10.1.2.3', '10.1.2.4')", true),
        ("__n__:value IN (1, 2)", false),
        ("__ip__:value LIKE '10.1.%'", true),
        ("__ip__:value LIKE '10.1._.3'", true),
        ("__ip__:value MATCHES '^10\\\\.1\\\\.'", true),
        (
            "EXISTS __empty__:value AND NOT EXISTS __missing__:value",
            true,
        ),
        ("'__ip__:value' = '10.1.2.3'", true),
        ("[ipv4-addr:value = '198.51.100.7']", true),
        (
            "[ipv4-addr:value = '198.51.100.8' OR x-host:name = 'ws-042']",
            true,
        ),
        ("[file:hashes.'SHA-256' LIKE 'abab%']", true),
        ("[domain-name:value = 'evil.example']", false),
        (
            "t'2026-01-01T00:00:00Z' < t'2026-01-02T00:00:00+01:00'",
            true,
        ),
        (
            "(__n__:value > 10 OR __yes__:value = 'true') AND __n__:value < 8",
            true,
        ),
        // A value is a value, whatever it looks like.
        ("__name__:value = 'x'", false),
        ("__name__:value LIKE 'O\\'Neil%'", true),
    ] {
        check(text, Ok(expected));
    }
}

#[test]
fn what_cannot_be_read_says_where() {
    for (text, part) in [
        ("", "expected a variable"),
        ("__n__:value >", "expected a variable"),
        ("__n__ > 1", "is no variable"),
        ("(__n__:value > 1", "expected )"),
        ("__n__:value => 1", "no operator"),
        ("__n__:value = 'x", "no ' at its end"),
        ("[a:b = 1] FOLLOWEDBY [a:b = 2]", "over time"),
        ("__n__:value MATCHES '('", "cannot be used"),
        ("__n__:value > 1 1", "did not expect"),
        ("__missing__:value = 1", "__missing__ has no value"),
        (&"(".repeat(200), "too deeply"),
        ("a;b", "belongs to no condition"),
    ] {
        check(text, Err(part));
    }
}

proptest::proptest! {
    #[test]
    fn never_panics(text in "[_a-z:'()\\[\\]=<>0-9 .\\\\A-Z,]{0,60}") {
        let _ = Condition::parse(&text);
    }
}
