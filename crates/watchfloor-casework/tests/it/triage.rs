//! Findings in, alerts and incidents out.

use jiff::SignedDuration;
use watchfloor_casework::{NewSuppression, Taken};
use watchfloor_event::Finding;
use watchfloor_model::{Condition, ConditionOp, IncidentStatus, Severity, TenantId, Verdict};

use crate::support::{alert_of, alerts, finding, fixture, grouping, incidents, noon, over, system};

/// Findings as `rule level minute entities…`, one a line.
fn findings(text: &str) -> Vec<Finding> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| {
            let mut parts = line.splitn(4, ' ');
            let rule = parts.next().unwrap();
            let level = parts.next().unwrap();
            let minute = parts.next().unwrap().parse().unwrap();
            finding(
                &format!("f-{rule}-{minute}"),
                rule,
                level,
                minute,
                parts.next().unwrap_or(""),
            )
        })
        .collect()
}

async fn check(name: &str, input: &str, expected: &[&str]) {
    let fixture = fixture().await;
    // One at a time, as they arrive live, so that order and merging are exercised.
    for (position, finding) in findings(input).into_iter().enumerate() {
        fixture
            .casework
            .take_findings(position as u64 + 1, vec![finding])
            .await
            .unwrap();
    }
    assert_eq!(
        grouping(&fixture.casework).await,
        expected,
        "{name}, one by one"
    );
    let fixture = crate::support::fixture().await;
    fixture
        .casework
        .take_findings(1, findings(input))
        .await
        .unwrap();
    assert_eq!(
        grouping(&fixture.casework).await,
        expected,
        "{name}, at once"
    );
    let (_, fault) = fixture
        .casework
        .verify_audit(&TenantId::main())
        .await
        .unwrap();
    assert_eq!(fault, None, "{name}");
}

#[tokio::test]
async fn what_opens_an_incident() {
    check("low alone", "a low 0 host:ws-1 user:eve", &["-a"]).await;
    check("medium alone", "a medium 0 host:ws-1 user:eve", &["-a"]).await;
    check("high alone", "a high 0 host:ws-1 user:eve", &["a"]).await;
    check(
        "two medium",
        "a medium 0 host:ws-1 user:eve\nb medium 9 host:ws-1 user:eve",
        &["a b"],
    )
    .await;
    check(
        "medium and low",
        "a low 0 host:ws-1 user:eve\nb medium 9 host:ws-1 user:eve",
        &["a b"],
    )
    .await;
    check(
        "low and low",
        "a low 0 host:ws-1 user:eve\nb low 9 host:ws-1 user:eve",
        &["-a", "-b"],
    )
    .await;
    check(
        "a high one gathers the earlier low ones",
        "a low 0 host:ws-1 user:eve\nb high 9 host:ws-1 user:eve",
        &["a b"],
    )
    .await;
}

#[tokio::test]
async fn what_binds() {
    check(
        "external address",
        "a high 0 host:ws-1 address:203.0.113.7\nb high 300 host:ws-2 address:203.0.113.7",
        &["a b"],
    )
    .await;
    check(
        "internal address alone, long apart",
        "a high 0 host:ws-1 address:10.0.0.7\nb high 300 host:ws-2 address:10.0.0.7",
        &["a", "b"],
    )
    .await;
    check(
        "program on a host",
        "a high 0 host:ws-1 process:C:\\t\\p.exe\nb high 300 host:ws-1 process:c:\\T\\P.EXE",
        &["a b"],
    )
    .await;
    check(
        "program alone",
        "a high 0 host:ws-1 process:cmd.exe\nb high 5 host:ws-2 process:cmd.exe",
        &["a", "b"],
    )
    .await;
    check(
        "spellings",
        "a medium 0 host:WS-1.corp.example user:CORP\\Eve\nb medium 90 host:ws-1 user:eve@corp.example",
        &["a b"],
    )
    .await;
    check(
        "grave and near on one host",
        "a high 0 host:ws-1 user:eve\nb high 20 host:ws-1",
        &["a b"],
    )
    .await;
    check(
        "grave and near on one host, by different accounts",
        "a high 0 host:ws-1 user:eve\nb high 20 host:ws-1 user:bob",
        &["a", "b"],
    )
    .await;
    check(
        "a program that comes with the system",
        "a high 0 host:ws-1 process:C:\\Windows\\System32\\cmd.exe\nb high 300 host:ws-1 process:C:\\Windows\\System32\\cmd.exe",
        &["a", "b"],
    )
    .await;
    check(
        "what the text names",
        "a high 0 host:ws-1 address:203.0.113.9\nb high 300 host:ws-2 domain:c2.example.net\nc high 600 host:ws-3 domain:c2.example.net",
        &["a", "b c"],
    )
    .await;
    check(
        "an account that one incident alone knows",
        "a high 0 host:dc-1 user:new-admin\nb low 300 host:srv-1 user:new-admin",
        &["a b"],
    )
    .await;
    check(
        "grave on one host, long apart",
        "a high 0 host:ws-1 user:eve\nb high 300 host:ws-1 user:bob",
        &["a", "b"],
    )
    .await;
    check(
        "more than a day apart",
        "a high 0 host:ws-1 user:eve\nb high 1500 host:ws-1 user:eve",
        &["a", "b"],
    )
    .await;
}

#[tokio::test]
async fn what_does_not_bind() {
    for common in [
        "user:NT+AUTHORITY\\SYSTEM address:127.0.0.1",
        "user:root address:0.0.0.0",
        "user:CORP\\DC01$ user:LOCAL+SERVICE",
        "host:localhost address:::1 user:-",
    ] {
        let input = format!("a high 0 {common} host:ws-1\nb high 1 {common} host:ws-2");
        check(common, &input, &["a", "b"]).await;
    }
}

#[tokio::test]
async fn a_crowded_entity_binds_no_more() {
    // The scanner's address is in four incidents; a fifth alert with it stands by itself.
    let mut input = String::new();
    for number in 0..4 {
        input.push_str(&format!(
            "r{number} high {} host:ws-{number} user:u{number} address:10.9.9.9\n",
            number * 120
        ));
    }
    input.push_str("x high 365 host:ws-9 user:u9 address:10.9.9.9\n");
    check("scanner", &input, &["r0", "r1", "r2", "r3", "x"]).await;
}

#[tokio::test]
async fn an_alert_that_connects_two_incidents_merges_them() {
    let fixture = fixture().await;
    let input = "a high 0 host:ws-1 user:eve\nb high 200 host:srv-1 user:adm\n\
                 c high 205 host:ws-1 user:eve host:srv-1 user:adm";
    for (position, finding) in findings(input).into_iter().enumerate() {
        fixture
            .casework
            .take_findings(position as u64, vec![finding])
            .await
            .unwrap();
    }
    assert_eq!(grouping(&fixture.casework).await, ["a b c"]);
    let b = alert_of(&fixture.casework, "b").await;
    let reasons = b.attachment.unwrap().reasons.join("\n");
    assert!(reasons.contains("#2 was merged into #1"), "{reasons}");
    let c = alert_of(&fixture.casework, "c").await;
    let reasons = c.attachment.unwrap().reasons.join("\n");
    assert!(
        reasons.contains("shares host srv-1 and user adm with alert “Title of b”")
            && reasons.contains("5 min apart"),
        "{reasons}"
    );
}

/// The intrusion of the demo: six steps over three machines, with noise beside it.
#[tokio::test]
async fn the_story_is_one_incident() {
    let input = "guess medium 0 host:web-01 address:203.0.113.66 user:deploy\n\
        noise low 3 host:ws-007 user:a.smith\n\
        logon high 6 host:web-01 address:203.0.113.66 user:deploy\n\
        encoded high 20 host:ws-042 user:CORP\\j.doe process:powershell.exe address:10.0.0.11\n\
        bridge medium 18 host:web-01 user:deploy user:j.doe address:10.0.0.11 host:ws-042\n\
        dump critical 31 host:ws-042 user:NT+AUTHORITY\\SYSTEM user:CORP\\j.doe process:lsass.exe\n\
        other medium 33 host:ws-099 user:b.lee\n\
        lateral high 44 host:ws-042 host:srv-fs01 user:j.doe\n\
        leave high 58 host:srv-fs01 address:198.51.100.20 user:j.doe";
    check(
        "story",
        input,
        &[
            "-noise",
            "-other",
            "bridge dump encoded guess lateral leave logon",
        ],
    )
    .await;
}

#[tokio::test]
async fn repeats_raise_the_count() {
    let fixture = fixture().await;
    let input = "a high 0 host:ws-1 user:eve\na high 30 host:ws-1 user:eve\n\
                 a high 80 host:WS-1 user:eve\na high 200 host:ws-1 user:eve";
    let taken = fixture
        .casework
        .take_findings(7, findings(input))
        .await
        .unwrap();
    let expected = Taken {
        alerts: 2,
        repeats: 2,
        incidents: 1,
        ..Taken::default()
    };
    assert_eq!(taken, expected);
    let found = alerts(&fixture.casework).await;
    assert_eq!(found[0].count, 3);
    assert_eq!(found[0].event_ids, ["0-0", "1e-0", "50-0"]);
    assert_eq!(found[0].last_time.to_string(), "2026-03-02T11:20:00Z");
    assert_eq!(found[1].count, 1);
}

#[tokio::test]
async fn a_finding_is_taken_once() {
    let fixture = fixture().await;
    let input = findings("a high 0 host:ws-1 user:eve\nb high 5 host:ws-1 user:eve");
    let casework = &fixture.casework;
    assert_eq!(casework.cursor(0).await.unwrap(), None);
    casework.take_findings(10, input.clone()).await.unwrap();
    let before = alerts(casework).await;
    let taken = casework.take_findings(10, input.clone()).await.unwrap();
    assert_eq!((taken.known, taken.alerts, taken.repeats), (2, 0, 0));
    // As after a crash: another process over the same folder gets the same findings again.
    let again = over(fixture.folder.path(), fixture.clock.clone()).await;
    assert_eq!(again.cursor(0).await.unwrap(), Some(10));
    let taken = again.take_findings(9, input).await.unwrap();
    assert_eq!(taken.known, 2);
    assert_eq!(alerts(&again).await, before);
    assert_eq!(
        again.cursor(0).await.unwrap(),
        Some(10),
        "a cursor never goes back"
    );
    again.take_findings(11, Vec::new()).await.unwrap();
    assert_eq!(again.cursor(0).await.unwrap(), Some(11));
}

#[tokio::test]
async fn suppressions_hold_back_and_count() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let new = NewSuppression {
        rule_id: Some("a".to_owned()),
        conditions: vec![
            Condition {
                field: "entity.user".to_owned(),
                op: ConditionOp::Is,
                value: "svc-*".to_owned(),
            },
            Condition {
                field: "process.cmd_line".to_owned(),
                op: ConditionOp::Is,
                value: "*-ENC*".to_owned(),
            },
        ],
        window: None,
        threshold: None,
        reason: "the backup does this".to_owned(),
        expires_at: noon().saturating_add(SignedDuration::from_hours(1)).ok(),
    };
    casework.add_suppression(&system(), new).await.unwrap();
    let taken = casework
        .take_findings(
            1,
            findings("a high 0 user:CORP\\svc-backup\na high 1 user:eve\nb high 2 user:svc-x"),
        )
        .await
        .unwrap();
    assert_eq!((taken.suppressed, taken.alerts), (1, 2));
    let list = casework.suppressions(&system()).await.unwrap();
    assert_eq!(list[0].count, 1);
    fixture.clock.advance(SignedDuration::from_hours(2));
    let taken = casework
        .take_findings(2, findings("a high 9 user:svc-backup"))
        .await
        .unwrap();
    assert_eq!(taken.suppressed, 0, "it has ended");
}

#[tokio::test]
async fn closed_incidents_take_nothing_more() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    casework
        .take_findings(1, findings("a high 0 host:ws-1 user:eve"))
        .await
        .unwrap();
    let incident = incidents(casework).await.remove(0);
    let patch = watchfloor_casework::IncidentPatch {
        status: Some(IncidentStatus::Resolved),
        verdict: Some(Some(Verdict::TruePositive)),
        ..Default::default()
    };
    casework
        .patch_incident(&system(), &incident.id, patch, None)
        .await
        .unwrap();
    let a = alert_of(casework, "a").await;
    assert_eq!(
        a.verdict,
        Some(Verdict::TruePositive),
        "its alerts close with it"
    );
    let next = findings("b high 5 host:ws-1 user:eve\na high 6 host:ws-1 user:eve");
    let taken = casework.take_findings(2, next).await.unwrap();
    assert_eq!(
        (taken.alerts, taken.repeats),
        (2, 0),
        "nothing vanishes into a closed alert"
    );
    assert_eq!(grouping(casework).await, ["a", "a b"]);
}

#[tokio::test]
async fn an_incident_says_what_it_is() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let mut input = findings(
        "a medium 0 host:ws-1 user:eve\nb high 9 host:ws-1 user:eve\nc high 12 host:ws-1 user:eve",
    );
    input[0].tactics = vec!["initial-access".to_owned()];
    input[1].tactics = vec!["execution".to_owned()];
    input[2].tactics = vec!["exfiltration".to_owned()];
    input[2].techniques = vec!["T1041".to_owned()];
    casework.take_findings(1, input).await.unwrap();
    let incident = incidents(casework).await.remove(0);
    assert_eq!(
        incident.title,
        "Initial access to exfiltration on ws-1 by eve"
    );
    assert_eq!(incident.severity, Severity::Critical, "three tactics, high");
    assert_eq!(
        incident.tactics,
        ["initial-access", "execution", "exfiltration"]
    );
    assert_eq!(incident.techniques, ["T1041", "T1059.001"]);
    assert!(
        incident.summary.contains("3 alerts from"),
        "{}",
        incident.summary
    );
    assert_eq!(incident.alert_ids.len(), 3);
}
