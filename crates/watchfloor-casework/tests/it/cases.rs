//! What people do: corrections win, states hold, versions conflict, reports hold everything.

use jiff::SignedDuration;
use watchfloor_casework::{BulkAction, CaseworkError, IncidentPatch, ReportFormat, TimelineKind};
use watchfloor_model::{AlertStatus, EntityKind, IncidentStatus, TaskStatus, TenantId, Verdict};

use crate::support::{alert_of, finding, fixture, grouping, incidents, system};

#[tokio::test]
async fn a_detached_alert_stays_out() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let input = vec![
        finding("1", "a", "high", 0, "host:ws-1 user:eve"),
        finding("2", "b", "high", 5, "host:ws-1 user:eve"),
    ];
    casework.take_findings(1, input).await.unwrap();
    let b = alert_of(casework, "b").await;
    casework
        .detach_alert(&system(), &b.id, Some("another matter"), None)
        .await
        .unwrap();
    assert_eq!(grouping(casework).await, ["-b", "a"]);
    let next = vec![finding("3", "c", "high", 8, "host:ws-1 user:eve")];
    casework.take_findings(2, next).await.unwrap();
    assert_eq!(grouping(casework).await, ["-b", "a c"]);
}

#[tokio::test]
async fn split_incidents_stay_apart_and_merge_joins_them_again() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let input = vec![
        finding("1", "a", "high", 0, "host:ws-1 user:eve"),
        finding("2", "b", "high", 5, "host:ws-1 user:eve"),
    ];
    casework.take_findings(1, input).await.unwrap();
    let b = alert_of(casework, "b").await;
    let first = b.incident_id().unwrap().clone();
    let second = casework
        .split_incident(&system(), &first, std::slice::from_ref(&b.id), None, None)
        .await
        .unwrap();
    assert_eq!(grouping(casework).await, ["a", "b"]);
    let next = vec![finding("3", "c", "high", 6, "host:ws-1 user:eve")];
    casework.take_findings(2, next).await.unwrap();
    assert_eq!(
        grouping(casework).await,
        ["a", "b c"],
        "joined to the nearer, not merged"
    );
    casework
        .note_incident(&system(), &second.id, "kept")
        .await
        .unwrap();
    casework
        .merge_incidents(
            &system(),
            &first,
            std::slice::from_ref(&second.id),
            None,
            None,
        )
        .await
        .unwrap();
    assert_eq!(grouping(casework).await, ["a b c"]);
    let detail = casework.incident_detail(&system(), &first).await.unwrap();
    assert_eq!(detail.notes.len(), 1, "notes move with the incident");
    assert_eq!(
        incidents(casework).await.len(),
        1,
        "merged incidents are not listed"
    );
}

#[tokio::test]
async fn alerts_are_worked_on() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let input = vec![finding("1", "a", "high", 0, "host:ws-1 user:eve")];
    casework.take_findings(1, input).await.unwrap();
    let a = alert_of(casework, "a").await;
    let me = system();
    let seen = casework
        .acknowledge_alert(&me, &a.id, Some(a.version))
        .await
        .unwrap();
    assert_eq!(seen.status, AlertStatus::Acknowledged);
    let stale = casework
        .acknowledge_alert(&me, &a.id, Some(a.version))
        .await;
    assert!(matches!(
        stale,
        Err(CaseworkError::VersionConflict { current: 2, .. })
    ));
    let nobody = casework
        .assign_alert(&me, &a.id, Some("ghost".to_owned()), None)
        .await;
    assert!(matches!(
        nobody,
        Err(CaseworkError::Invalid {
            field: "assignee",
            ..
        })
    ));
    let unsaid = casework
        .close_alert(
            &me,
            &a.id,
            Verdict::FalsePositive,
            Some("  ".to_owned()),
            None,
        )
        .await;
    assert!(matches!(unsaid, Err(CaseworkError::Illegal(_))));
    casework
        .close_alert(
            &me,
            &a.id,
            Verdict::FalsePositive,
            Some("scanner".to_owned()),
            None,
        )
        .await
        .unwrap();
    fixture.clock.advance(SignedDuration::from_hours(3));
    let next = vec![finding("2", "a", "high", 5, "host:ws-2 user:bob")];
    casework.take_findings(2, next).await.unwrap();
    let other = crate::support::alerts(casework).await.pop().unwrap();
    let detail = casework.alert_detail(&me, &other.id).await.unwrap();
    assert_eq!(detail.judgement_counts, [(Verdict::FalsePositive, 1)]);
    assert_eq!(detail.judgements[0].reason.as_deref(), Some("scanner"));
    assert_eq!(detail.same_rule.len(), 1);
    let incident = incidents(casework)
        .await
        .into_iter()
        .find(|i| i.number == 1)
        .unwrap();
    assert!(
        incident.clocks.acknowledged_at.is_some(),
        "the first look starts the clock"
    );
}

#[tokio::test]
async fn bulk_answers_for_each() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let input = vec![
        finding("1", "a", "low", 0, "host:ws-1"),
        finding("2", "b", "low", 5, "host:ws-2"),
    ];
    casework.take_findings(1, input).await.unwrap();
    let ids = vec![
        alert_of(casework, "a").await.id.to_string(),
        "alr-none".to_owned(),
        "not an id".to_owned(),
        alert_of(casework, "b").await.id.to_string(),
    ];
    let outcome = casework
        .bulk_alerts(
            &system(),
            &ids,
            BulkAction::Attach(None, Some("one intrusion".to_owned())),
        )
        .await
        .unwrap();
    assert_eq!((outcome.done.len(), outcome.failed.len()), (2, 2));
    assert_eq!(grouping(casework).await, ["a b"]);
    let why = alert_of(casework, "a").await.attachment.unwrap().reasons;
    assert!(
        why.iter().any(|one| one.contains("one intrusion")),
        "{why:?}"
    );
    let close = BulkAction::Close(Verdict::BenignPositive, None);
    let outcome = casework
        .bulk_alerts(&system(), &ids, close.clone())
        .await
        .unwrap();
    assert_eq!((outcome.done.len(), outcome.failed.len()), (2, 2));
    let outcome = casework.bulk_alerts(&system(), &ids, close).await.unwrap();
    assert_eq!(
        (outcome.done.len(), outcome.failed.len()),
        (0, 4),
        "closed already"
    );
}

#[tokio::test]
async fn an_incident_runs_its_course() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let me = system();
    let input = vec![finding("1", "a", "high", 0, "host:ws-1 user:eve")];
    casework.take_findings(1, input).await.unwrap();
    let incident = incidents(casework).await.remove(0);
    let id = &incident.id;
    let to = |status, verdict| IncidentPatch {
        status: Some(status),
        verdict,
        ..IncidentPatch::default()
    };
    casework
        .patch_incident(&me, id, to(IncidentStatus::InProgress, None), None)
        .await
        .unwrap();
    fixture.clock.advance(SignedDuration::from_mins(10));
    casework
        .patch_incident(&me, id, to(IncidentStatus::Contained, None), None)
        .await
        .unwrap();
    let early = casework
        .patch_incident(&me, id, to(IncidentStatus::Resolved, None), None)
        .await;
    assert!(
        matches!(early, Err(CaseworkError::Illegal(_))),
        "a verdict is missing"
    );
    let task = casework
        .add_task(&me, id, "Reset the password", None)
        .await
        .unwrap();
    casework
        .patch_task(&me, id, &task.id, Some(TaskStatus::Done), None, None)
        .await
        .unwrap();
    casework
        .add_observable(
            &me,
            id,
            EntityKind::Address,
            "203.0.113.9",
            Some("seen in logs"),
        )
        .await
        .unwrap();
    let twice = casework
        .add_observable(&me, id, EntityKind::Address, "203.0.113.9", None)
        .await;
    assert!(matches!(twice, Err(CaseworkError::Taken { .. })));
    fixture.clock.advance(SignedDuration::from_mins(50));
    let done = casework
        .patch_incident(
            &me,
            id,
            to(IncidentStatus::Resolved, Some(Some(Verdict::TruePositive))),
            None,
        )
        .await
        .unwrap();
    let clocks = done.clocks;
    assert_eq!(
        clocks
            .contained_at
            .unwrap()
            .duration_since(clocks.detected_at)
            .as_mins(),
        10
    );
    assert_eq!(
        clocks
            .resolved_at
            .unwrap()
            .duration_since(clocks.detected_at)
            .as_mins(),
        60
    );
    let detail = casework.incident_detail(&me, id).await.unwrap();
    for kind in [
        TimelineKind::Alert,
        TimelineKind::Status,
        TimelineKind::Task,
    ] {
        assert!(
            detail.timeline.iter().any(|line| line.kind == kind),
            "{kind:?}"
        );
    }
    let overview = casework.overview(&me).await.unwrap();
    assert_eq!(overview.median_times.unwrap().resolve_s, Some(3_600));
    assert_eq!((overview.incidents_open, overview.alerts_open), (0, 0));
    // It was not over, and the verdict was wrong: one call takes both back.
    let again = to(IncidentStatus::Contained, Some(None));
    let again = casework.patch_incident(&me, id, again, None).await.unwrap();
    assert_eq!((again.verdict, again.clocks.resolved_at), (None, None));
    assert!(again.clocks.contained_at.is_some());
    let alert = alert_of(casework, "a").await;
    assert_eq!(
        (alert.status, alert.verdict),
        (AlertStatus::InProgress, None)
    );
    let (entries, fault) = casework.verify_audit(&TenantId::main()).await.unwrap();
    assert!(entries > 8 && fault.is_none());
}

#[tokio::test]
async fn the_report_holds_everything() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let me = system();
    let input = vec![finding(
        "1",
        "<script>x</script>",
        "high",
        0,
        "host:ws-1 user:eve",
    )];
    casework.take_findings(1, input).await.unwrap();
    let id = incidents(casework).await.remove(0).id;
    casework
        .note_incident(&me, &id, "#set page(width: 1pt) *bold*")
        .await
        .unwrap();
    let (number, html) = casework
        .incident_report(&me, &id, ReportFormat::Html)
        .await
        .unwrap();
    let html = String::from_utf8(html).unwrap();
    assert_eq!(number, 1);
    assert!(html.contains("&lt;script&gt;x&lt;/script&gt;") && !html.contains("<script"));
    let (_, pdf) = casework
        .incident_report(&me, &id, ReportFormat::Pdf)
        .await
        .unwrap();
    assert!(pdf.starts_with(b"%PDF-"));
}
