use super::*;
use serde_json::json;

fn found(field: Option<&str>, modifiers: &[&str], values: Vec<Value>) -> Vec<String> {
    let placeholders = Placeholders::from([
        (
            "users".to_owned(),
            vec!["Ann".to_owned(), "bob*".to_owned()],
        ),
        ("nets".to_owned(), vec!["10.0.0.0/8".to_owned()]),
    ]);
    let item = DetectionItem {
        field: field.map(str::to_owned),
        modifiers: modifiers.iter().map(|name| (*name).to_owned()).collect(),
        values,
        ..DetectionItem::default()
    };
    match apply("s", &item, &placeholders, &mut Notes::default()) {
        Ok(expr) => {
            let mut found = Vec::new();
            expr.for_each_leaf(&mut |leaf| {
                found.push(match &leaf.matcher {
                    Matcher::Text { pattern, .. } => encoding::text_of(pattern),
                    other => other.key(),
                });
            });
            found
        }
        Err(reason) => vec![reason],
    }
}

fn check(modifiers: &[&str], value: Value, expected: &[&str]) {
    let found = found(Some("f"), modifiers, vec![value.clone()]);
    assert_eq!(found, expected, "{modifiers:?} {value}");
}

/// The combination is refused, and the reason names `word`.
fn check_refused(modifiers: &[&str], value: Value, word: &str) {
    let found = found(Some("f"), modifiers, vec![value]);
    assert!(
        found.len() == 1 && found[0].contains(word) && found[0].len() > 30,
        "{modifiers:?}: {found:?}"
    );
}

#[test]
fn places_and_tests() {
    check(&[], json!("Abc"), &["abc"]);
    check(&["cased"], json!("Abc"), &["Abc"]);
    check(&["contains"], json!("a*b"), &["*a*b*"]);
    check(&["startswith"], json!("a"), &["a*"]);
    check(&["endswith"], json!("a"), &["*a"]);
    check(&["contains", "cased"], json!("aB"), &["*aB*"]);
    check(&[], json!(null), &["0"]);
    check(&[], json!(""), &[""]);
    check(&[], json!(4624), &["4624"]);
    check(&[], json!(true), &["true"]);
    check(&["gt"], json!(5), &["n>5"]);
    check(&["gte"], json!(5), &["n>=5"]);
    check(&["lt"], json!(-5), &["n<-5"]);
    check(&["lte"], json!(5.5), &["n<=5.5"]);
    check(&["cidr"], json!("10.0.0.0/8"), &["c10.0.0.0/8"]);
    check(&["cidr"], json!("2001:db8::/32"), &["c2001:db8::/32"]);
    check(&["cidr"], json!("10.1.2.3"), &["c10.1.2.3/32"]);
    check(&["re"], json!("a.c"), &["ra.c"]);
    check(&["re", "i"], json!("a.c"), &["r(?i)a.c"]);
    check(&["re", "i", "m", "s"], json!("^a.c$"), &["r(?ims)^a.c$"]);
    check(&["exists"], json!(false), &["e0"]);
    check(&["exists"], json!("true"), &["e1"]);
    check(&["fieldref"], json!("g"), &["f0Equal g"]);
    check(&["fieldref", "startswith"], json!("g"), &["f0StartsWith g"]);
    check(&["contains", "fieldref"], json!("g"), &["f0Contains g"]);
    check(
        &["fieldref", "endswith", "cased"],
        json!("g"),
        &["f1EndsWith g"],
    );
}

#[test]
fn parts_of_a_time_and_their_order() {
    check(&["hour"], json!(3), &["dHour3"]);
    check(&["hour", "gte"], json!(22), &["dHour22", "dHour23"]);
    check(&["lt", "month"], json!(3), &["dMonth1", "dMonth2"]);
    check_refused(&["minute"], json!(60), "from 0 to 59");
    check_refused(&["week", "gt"], json!(53), "from 1 to 53");
    check_refused(&["day"], json!("monday"), "a number is needed");
}

#[test]
fn unknown_modifiers_and_those_that_do_not_go_together_are_named() {
    check_refused(&["nonsense"], json!(1), "unknown modifier 'nonsense'");
    check_refused(&["endwith"], json!(1), "did you mean endswith?");
    check_refused(&["not"], json!(1), "use neq");
    check_refused(&[""], json!(1), "a modifier is empty");
    check_refused(&["i"], json!("a"), "put 're' before it");
    check_refused(&["re", "cidr"], json!("a"), "'cidr'");
    check_refused(&["contains", "startswith"], json!("a"), "'startswith'");
    check_refused(&["cidr", "contains"], json!("10.0.0.0/8"), "contains");
    check_refused(&["exists", "endswith"], json!(true), "endswith");
    check_refused(&["base64", "re"], json!("a"), "base64");
    check_refused(
        &["contains", "base64"],
        json!("a"),
        "put it before contains",
    );
    check_refused(&["contains"], json!(null), "null takes no modifier");
    check_refused(&["cidr"], json!("x"), "'x' is no network");
    check_refused(&["exists"], json!("maybe"), "true or false");
    check_refused(&["gt"], json!("many"), "a number is needed");
    check_refused(&["gt"], json!("nan"), "a number is needed");
    check_refused(&[], json!({"a": 1}), "not a map");
    check_refused(&[], json!([1]), "not a list");
    check_refused(&["fieldref"], json!(""), "name of a field");
}

#[test]
fn encodings_follow_the_specification() {
    check(&["base64"], json!("foobar"), &["zm9vymfy"]);
    check(
        &["cased", "base64offset", "contains"],
        json!("foobar"),
        &["*Zm9vYmFy*", "*Zvb2Jhc*", "*mb29iYX*"],
    );
    check(&["cased", "utf16le", "base64"], json!("ab"), &["YQBiAA=="]);
    check(&["cased", "wide", "base64"], json!("ab"), &["YQBiAA=="]);
    check(&["cased", "utf16", "base64"], json!("a"), &["//5hAA=="]);
    check(&["cased", "utf16be", "base64"], json!("a"), &["AGE="]);
    check(
        &["cased", "wide", "base64offset", "contains"],
        json!("ab"),
        &["*YQBiA*", "*EAYg*", "*hAGIA*"],
    );
}

/// Text with a value at each offset, encoded, holds one of the forms of `base64offset`.
#[test]
fn base64_of_any_text_around_a_value_holds_one_of_its_forms() {
    use base64::Engine;
    let forms = found(
        Some("f"),
        &["cased", "base64offset", "contains"],
        vec![json!("http://x")],
    );
    for offset in 0..9 {
        for behind in 0..4 {
            let text = format!("{}http://x{}", "a".repeat(offset), "b".repeat(behind));
            let encoded = base64::engine::general_purpose::STANDARD.encode(text);
            let holds = |form: &String| Pattern::parse(form).is_match(&encoded);
            assert!(forms.iter().any(holds), "{offset} {behind} {encoded}");
        }
    }
}

#[test]
fn windash_takes_each_of_the_five_dashes_for_each_other() {
    let forms = ["a -b", "a /b", "a \u{2013}b", "a \u{2014}b", "a \u{2015}b"];
    for form in forms {
        check(&["windash"], json!(form), &forms);
    }
    assert_eq!(
        found(Some("f"), &["windash"], vec![json!("-a-b")]).len(),
        25
    );
    check(&["windash"], json!("ab"), &["ab"]);
}

#[test]
fn windash_with_many_dashes_meets_each_mixture() {
    let item = DetectionItem {
        field: Some("f".to_owned()),
        modifiers: vec!["contains".to_owned(), "windash".to_owned()],
        values: vec![json!("-a.b /c*-D -e")],
        ..DetectionItem::default()
    };
    let expr = apply("s", &item, &Placeholders::new(), &mut Notes::default()).unwrap();
    let Expr::Leaf(leaf) = expr else {
        panic!("one question: {expr:?}");
    };
    let Matcher::Regex(regex) = leaf.matcher else {
        panic!("a regular expression");
    };
    assert!(regex.is_match("x /A.b \u{2014}C and \u{2015}d -E y"));
    assert!(!regex.is_match("x /Axb -c -d -e"));
    assert!(!regex.is_match("x a.b -c -d -e"));
}

#[test]
fn placeholders_are_filled() {
    check(&["expand"], json!("x%users%"), &["xann", "xbob*"]);
    check(&["expand"], json!("%none%"), &["-"]);
    check(&["expand"], json!("100%"), &["100%"]);
    check(
        &["expand"],
        json!(r"\%plain%users%"),
        &["%plainann", "%plainbob*"],
    );
    check(
        &["expand", "contains"],
        json!("%users%@%users%"),
        &["*ann@ann*", "*ann@bob*", "*bob*@ann*", "*bob*@bob*"],
    );
    check(&["expand", "cidr"], json!("%nets%"), &["c10.0.0.0/8"]);
    check(
        &["cased", "expand", "base64"],
        json!("%users%"),
        &["QW5u", "Ym9iKg=="],
    );
    check(&[], json!("%users%"), &["%users%"]);
}

#[test]
fn lists_are_linked_by_or_and_all_by_and() {
    let expr = |modifiers: &[&str]| {
        let item = DetectionItem {
            field: Some("f".to_owned()),
            modifiers: modifiers.iter().map(|name| (*name).to_owned()).collect(),
            values: vec![json!("a"), json!("b")],
            ..DetectionItem::default()
        };
        apply("s", &item, &Placeholders::new(), &mut Notes::default()).unwrap()
    };
    assert!(matches!(expr(&["contains"]), Expr::Or(items) if items.len() == 2));
    assert!(matches!(expr(&["contains", "all"]), Expr::And(items) if items.len() == 2));
    let Expr::Not(inner) = expr(&["neq"]) else {
        panic!("neq negates the list");
    };
    assert!(matches!(*inner, Expr::Or(_)));
    assert_eq!(
        found(Some("f"), &[], Vec::new()),
        ["has an empty list of values; give it at least one"]
    );
    assert_eq!(
        found(None, &["all"], vec![json!("a"), json!("B")]),
        ["*a*", "*b*"]
    );
    assert_eq!(
        found(None, &[], vec![json!(null)]),
        ["a keyword cannot be null; remove it"]
    );
}

#[test]
fn huge_regular_expressions_and_too_many_of_them_are_named() {
    check_refused(&["re"], json!("(a{1000}){1000}"), "repetitions smaller");
    check_refused(&["re"], json!("(?=a)"), "look-around");
    check_refused(&["re"], json!("("), "cannot be used");
    let many = (0..=MAX_REGEXES).map(|number| json!(format!("a{number}")));
    let reason = &found(Some("f"), &["re"], many.collect())[0];
    assert!(
        reason.contains("more than 2000 regular expressions"),
        "{reason}"
    );
    let large = (0..40).map(|number| json!(format!("[a-z]{{3000}}{number}")));
    let reason = &found(Some("f"), &["re"], large.collect())[0];
    assert!(
        reason.contains("more than 32 regular expressions of over"),
        "{reason}"
    );
}
