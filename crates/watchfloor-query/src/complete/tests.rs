use super::*;

/// What is offered at the `^` of a text: labels, what is replaced, and the field whose values
/// are wanted.
fn at(marked: &str) -> (Vec<String>, String, Option<String>) {
    let caret = marked.find('^').unwrap();
    let text = marked.replacen('^', "", 1);
    let found = complete(&text, caret);
    let labels = found.items.iter().map(|item| item.label.clone());
    let values = found
        .values
        .map(|wanted| format!("{}~{}", wanted.field, wanted.begin));
    (labels.collect(), text[found.replace].to_owned(), values)
}

#[track_caller]
fn offers(marked: &str, wanted: &[&str]) {
    let (labels, ..) = at(marked);
    for label in wanted {
        assert!(
            labels.iter().any(|known| known == label),
            "{marked}: {label} is not in {labels:?}"
        );
    }
}

#[track_caller]
fn begins_with(marked: &str, first: &str, replaced: &str) {
    let (labels, replace, _) = at(marked);
    assert_eq!(
        (labels.first().map(String::as_str), replace.as_str()),
        (Some(first), replaced),
        "{marked}: {labels:?}"
    );
}

#[test]
fn fields_are_found_by_every_name() {
    offers("user.n^", &["user.name"]);
    offers("CommandL^", &["process.cmd_line"]);
    offers("failed and -src^", &["src_endpoint.ip"]);
    offers("(cmd_^", &["process.cmd_line"]);
    offers("events | where process.command^", &["process.cmd_line"]);
    begins_with("a sever^ b", "severity_id", "sever");
    begins_with(
        "failed -dst_endpoint.p^",
        "dst_endpoint.port",
        "dst_endpoint.p",
    );
}

#[test]
fn verbs_stand_behind_a_pipe() {
    begins_with("events | wh^", "where", "wh");
    begins_with("events | project-a^", "project-away", "project-a");
    offers("events | ^", &["where", "summarize", "mv-expand"]);
    offers("failed | where a == 1 | so^", &["sort"]);
    offers("events | join kind=inner (findings | su^", &["summarize"]);
    begins_with("events | render ti^", "timechart", "ti");
    begins_with("events | join kind=left^", "leftouter", "left");
}

#[test]
fn functions_stand_where_values_do() {
    begins_with("events | summarize dc^", "dcount", "dc");
    offers("events | summarize n = countif(user.na^", &["user.name"]);
    offers("events | extend a = strl^", &["strlen"]);
    let (labels, ..) = at("events | where cou^");
    assert!(
        !labels.iter().any(|label| label == "count"),
        "aggregates do not stand in where"
    );
    let (labels, ..) = at("events | summarize count() by dco^");
    assert!(!labels.iter().any(|label| label == "dcount"), "{labels:?}");
    offers("events | extend mine = 1 | where mi^", &["mine"]);
    offers(
        "events | summarize count() by user.name | sort by co^",
        &["count_"],
    );
    let function = complete("events | extend a = substr", 26);
    assert_eq!(function.items[0].detail, "substring(text, start, [length])");
    assert_eq!(function.items[0].insert, "substring(");
}

#[test]
fn operators_stand_behind_values() {
    offers(
        "events | where user.name ^",
        &["has", "in", "startswith", "and"],
    );
    offers("events | summarize count() ^", &["by"]);
    offers("events | sort by time ^", &["asc", "desc"]);
    begins_with("events | summarize count() b^", "by", "b");
    offers("events | where user.name == 'a' an^", &["and"]);
}

#[test]
fn values_are_wanted_where_a_field_is_asked() {
    let values = |marked: &str| at(marked).2.unwrap_or_default();
    assert_eq!(values("user.name:^"), "user.name~");
    assert_eq!(values("failed user.name:bo^"), "user.name~bo");
    assert_eq!(values("user.name:\"bo^\""), "user.name~bo");
    assert_eq!(values("user.name:(ann or b^"), "user.name~b");
    assert_eq!(values("events | where user.name == ^"), "user.name~");
    assert_eq!(values("events | where user.name == 'bo^'"), "user.name~bo");
    assert_eq!(
        values("events | where user.name in ('ann', 'b^"),
        "user.name~b"
    );
    assert_eq!(
        values("events | where a == 1 and CommandLine has \"po^"),
        "CommandLine~po"
    );
    assert_eq!(values("events | where strlen(raw) == 'x^"), "");
    assert_eq!(at("user.name:\"bo^b\" x").1, "bob\"");
}

#[test]
fn what_is_put_in_is_read_again_as_it_was_meant() {
    for value in [
        "bob",
        "a b",
        "C:\\x\\y.exe",
        "\"q\"",
        "a*b",
        "(x)",
        "-x",
        "ünï",
    ] {
        let wanted = complete("user.name:", 10).values.unwrap();
        let text = format!("user.name:{}", wanted.insert(value));
        let crate::Query::Field { test, .. } = crate::parse(&text).unwrap() else {
            panic!("{text}");
        };
        let exact = crate::Test::Text(crate::TextPattern::Exact(value.to_owned()));
        assert_eq!(test, exact, "{text}");
        let wanted = complete("events | where user.name == ", 28).values.unwrap();
        let text = format!("events | where user.name == {}", wanted.insert(value));
        let shown = format!("{:?}", crate::pipe::parse(&text).unwrap());
        assert!(
            shown.contains(&format!("Text({value:?})")),
            "{text}: {shown}"
        );
    }
}

#[test]
fn nothing_is_offered_within_free_texts_and_sql() {
    for marked in [
        "\"a phrase ^",
        "events | where a == 1\n// a comm^",
        "select us^ from events",
    ] {
        let (labels, _, values) = at(marked);
        assert!(
            labels.is_empty() && values.is_none(),
            "{marked}: {labels:?} {values:?}"
        );
    }
}

#[test]
fn any_place_of_any_text_is_answered() {
    let text = "let a = 5; events | where (user.name in~ ('ü', \"b\\\"\")) | extend x = strcat('|', a) | join kind=inner (findings | count) on $left.a == $right.b // c\n| render timechart with (title='x';";
    for at in 0..=text.len() + 2 {
        let found = complete(text, at);
        assert!(found.replace.end <= text.len() && found.items.len() <= MOST);
        assert!(
            text.get(found.replace.clone()).is_some(),
            "{at}: {:?}",
            found.replace
        );
    }
}
