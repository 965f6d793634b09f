//! What parses, into what, and what errors say.

use super::*;

mod kusto;

fn verbs(text: &str) -> Vec<VerbKind> {
    let program = parse(text).unwrap_or_else(|error| panic!("{text}\n{error:?}"));
    program
        .body
        .verbs
        .into_iter()
        .map(|verb| verb.kind)
        .collect()
}

/// Queries of the published kind, each with the number of its verbs.
const QUERIES: &[(&str, usize)] = &[
    ("events", 0),
    ("failed \"a | b\" user:(ann or bob) | count", 1),
    (
        "process.cmd_line:*-enc* | where process.pid > 4 and not(isempty(user.name)) | take 5",
        2,
    ),
    (
        "DeviceProcessEvents\n| where Timestamp > ago(7d) // a week\n| where FileName in~ (\"powershell.exe\", \"pwsh.exe\")\n| where ProcessCommandLine has_any ('-enc', \"-e \") or ProcessCommandLine matches regex @\"\\b[A-Za-z0-9+/]{40,}\"\n| project Timestamp, DeviceName, AccountName, ProcessCommandLine\n| top 100 by Timestamp desc",
        5,
    ),
    (
        "let threshold = 10;\nlet window = 1h;\nlet bad = dynamic([\"1.2.3.4\", \"5.6.7.8\"]);\nSigninLogs\n| where TimeGenerated between (ago(1d) .. now())\n| where ResultType !in (\"0\", 50125) and IPAddress !in (bad)\n| summarize Failures = count(), Users = dcount(UserPrincipalName), make_set(IPAddress, 100) by bin(TimeGenerated, window), AppDisplayName\n| where Failures >= threshold\n| order by Failures desc, TimeGenerated asc nulls last",
        5,
    ),
    (
        "let hosts = materialize(SecurityEvent | where EventID == 4625 | summarize n = count() by Computer);\nSecurityEvent | where EventID == 4624 | join kind=inner hint.strategy=broadcast (hosts) on Computer | join kind=leftanti (Event | project Computer, Account = tolower(UserName)) on $left.Account == $right.Account, Computer",
        3,
    ),
    (
        "union isfuzzy=true withsource=Src (SecurityEvent | where EventID==1), Event, (Syslog) | summarize count() by Src | render piechart with (title='a, b', legend=hidden)",
        2,
    ),
    (
        "Syslog | parse SyslogMessage with * 'user ' User:string ' from ' Address ' port ' Port:int * | extend a = split(Address, '.')[0], (b, c) = f(x)",
        2,
    ),
    (
        "events | make-series n = count() default=0 on time from ago(1d) to now() step 1h by device.hostname | render timechart",
        2,
    ),
    (
        "class:authentication | mv-expand x = todynamic(answers) to typeof(string) limit 10 | project-away unmapped*, raw | project-rename who = user.name | project-reorder time, dev*",
        4,
    ),
    (
        "let F = (T: (a: string), n: long = 5) { T | where a == n | take 10 };\nF(events, 3) | count",
        1,
    ),
    (
        "let f = (a: string) { strcat(a, 'x') }; print f('b'), d = datetime(2026-11-24 10:00), s = timespan(1.02:03:04), e = dynamic({\"a\": [1, ')']})",
        0,
    ),
    (
        "range x from 1 to 10 step 1 | extend y = x % 3 * -2 | summarize sum(y) by x",
        2,
    ),
    (
        "datatable(name: string, n: long)['a', 1, 'b', 2] | sort by n",
        1,
    ),
    ("datatable(name: string)['a'] | count", 1),
    ("search \"mimikatz\" | distinct Computer, *", 1),
    (
        "events | sequence by user.name with maxspan=5m [class:authentication status_id:2] [where process.pid > 4 and name has 'x'] by actor.user.name | take 5",
        2,
    ),
    (
        "AWSCloudTrail | extend p = parse_json(RequestParameters), a = p.x['y z'][0].b | where a.b !has_cs 'q' and c startswith_cs \"r\" | lookup kind=leftouter (events) on a | as T | serialize n = row_number() | getschema",
        6,
    ),
    (
        "Custom_CL | where ['a b'] == 5 and 1.5e3 < 2 and x !between (1 .. 3) | limit 3",
        2,
    ),
    (
        "SigninLogs | where UserPrincipalName in (toscalar(SecurityEvent | count), (events | project user.name)) | summarize arg_max(TimeGenerated, *) by UserPrincipalName",
        2,
    ),
];

#[test]
fn queries_parse() {
    for (text, count) in QUERIES {
        assert!(is_pipe(text) || *count == 0, "{text}");
        assert_eq!(verbs(text).len(), *count, "{text}");
    }
}

#[test]
fn operators_bind_as_usual() {
    let VerbKind::Where(expr) = &verbs("events | where a == 1 or b + 2 * 3 > c and not(d)")[0]
    else {
        panic!("no where");
    };
    let ExprKind::Binary(Binary::Or, _, right) = &expr.kind else {
        panic!("{expr:?}");
    };
    let ExprKind::Binary(Binary::And, sum, not) = &right.kind else {
        panic!("{right:?}");
    };
    assert!(matches!(not.kind, ExprKind::Not(_)));
    let ExprKind::Binary(Binary::Greater, sum, _) = &sum.kind else {
        panic!("{sum:?}");
    };
    let ExprKind::Binary(Binary::Add, _, product) = &sum.kind else {
        panic!("{sum:?}");
    };
    assert!(matches!(
        product.kind,
        ExprKind::Binary(Binary::Multiply, ..)
    ));
}

#[test]
fn literals_have_their_values() {
    let program = parse("print 1d, 1.5h, -3, 2.5, 'a\\n\\x41\"', @'b\\n', h'c', 0x1f, datetime(2026-11-24), time(01:00:00), true, 'a' 'b'").unwrap();
    let Source::Print(values) = program.body.source else {
        panic!("no print");
    };
    let kinds: Vec<ExprKind> = values.into_iter().map(|one| one.expr.kind).collect();
    let expected = [
        ExprKind::Span(86_400_000_000),
        ExprKind::Span(5_400_000_000),
        ExprKind::Long(-3),
        ExprKind::Real(2.5),
        ExprKind::Text("a\nA\"".to_owned()),
        ExprKind::Text("b\\n".to_owned()),
        ExprKind::Text("c".to_owned()),
        ExprKind::Long(31),
        ExprKind::Time(1_795_478_400_000_000),
        ExprKind::Span(3_600_000_000),
        ExprKind::Bool(true),
        ExprKind::Text("ab".to_owned()),
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn errors_point_at_their_place_and_tell_the_mend() {
    let cases = [
        ("events | summarise count()", 9, "summarize"),
        ("events | where a = 1", 17, "=="),
        ("events | where user:bob", 19, "first |"),
        ("events | take", 13, "field"),
        ("events | where (a == 1", 22, ")"),
        ("events | where a == \"x", 20, "\""),
        ("user: | count", 0, "value"),
        ("events | join (Event) a", 22, "share"),
        ("events | where x in (1, 2", 25, ")"),
        ("events | where ^", 15, "quotes"),
        ("events | where t > datetime(soon)", 19, "2026"),
        ("let a = 5 events", 10, ";"),
        ("events | sequence [a]", 21, "sequence by"),
        ("events ; events", 9, "|"),
    ];
    for (text, start, hint) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.start, start, "{text}: {error:?}");
        let told = format!("{} {}", error.message, error.hint);
        assert!(told.contains(hint), "{text}: {told}");
        assert!(
            error.end <= text.len() && error.start <= error.end,
            "{text}"
        );
    }
}

#[test]
fn hostile_text_is_refused_and_not_more() {
    let nested = format!(
        "events | where {}1{}",
        "(".repeat(10_000),
        ")".repeat(10_000)
    );
    assert!(parse(&nested).unwrap_err().message.contains("nested"));
    assert!(parse(&format!("events | where {}1", "-".repeat(10_000))).is_err());
    assert!(
        parse(&"x|".repeat(1 << 20))
            .unwrap_err()
            .message
            .contains("limit")
    );
    let wide = format!("events | where a in ({}1)", "1,".repeat(100_000));
    assert!(parse(&wide).is_ok());
    // Cut anywhere, a query is refused or read, and never more.
    for (text, _) in QUERIES {
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = parse(&text[..end]);
        }
    }
}

#[test]
fn a_mistyped_name_has_a_nearest() {
    assert_eq!(
        nearest("sumarize", ["where", "summarize"]),
        Some("summarize")
    );
    assert_eq!(nearest("zzzz", ["where", "summarize"]), None);
}
