//! Clocks with targets, escalation, people on call, handover, and the times that the floor takes.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use watchfloor_casework::{
    CaseworkError, ClockFilter, IncidentFilter, IncidentPatch, IncidentSort, Measure, NewRotation,
    NewStandIn, PageRequest, PerformanceQuery, on_call_at, turns,
};
use watchfloor_model::{
    ActionKind, ActionStatus, Actor, ClockKind, ClockState, Contact, EscalationLevel,
    EscalationPolicy, Incident, IncidentStatus, Recipient, Role, Rotation, RotationId,
    ServiceLevels, Severity, StandIn, StandInId, Verdict,
};

use crate::response::{FakeOutside, opened, outside_over, settle};
use crate::support::{Fixture, finding, fixture, noon, over, system};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn mins(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn berlin(turn_hours: u32, handover_minute: u16) -> Rotation {
    Rotation {
        id: RotationId::numbered(1),
        name: "First line".to_owned(),
        members: ["ada", "ben", "cleo"].map(str::to_owned).to_vec(),
        starts_on: "2026-03-23".to_owned(),
        handover_minute,
        turn_hours,
        zone: "Europe/Berlin".to_owned(),
        changed_by: "ada".to_owned(),
        changed_at: noon(),
        version: 1,
    }
}

fn stand_in(number: u64, name: &str, instead_of: Option<&str>, from: &str, to: &str) -> StandIn {
    StandIn {
        id: StandInId::numbered(number),
        rotation_id: RotationId::numbered(1),
        name: name.to_owned(),
        instead_of: instead_of.map(str::to_owned),
        from: at(from),
        to: at(to),
        created_by: "ada".to_owned(),
        created_at: noon(),
    }
}

#[test]
fn turns_follow_the_local_clock_when_it_changes() {
    // In the night of 29 March clocks go from two to three.
    let daily = berlin(24, 8 * 60);
    let found = turns(
        &daily,
        &[],
        at("2026-03-28T12:00:00Z"),
        at("2026-03-30T12:00:00Z"),
    );
    let shown: Vec<String> = found
        .iter()
        .map(|turn| format!("{} {}", turn.from, turn.name))
        .collect();
    assert_eq!(
        shown,
        [
            "2026-03-28T07:00:00Z cleo",
            "2026-03-29T06:00:00Z ada",
            "2026-03-30T06:00:00Z ben"
        ]
    );
    let length = found[0].to.duration_since(found[0].from);
    assert_eq!(length, SignedDuration::from_hours(23));
    let shifts = berlin(12, 8 * 60);
    let night = turns(
        &shifts,
        &[],
        at("2026-03-29T00:00:00Z"),
        at("2026-03-29T00:30:00Z"),
    );
    assert_eq!(night.len(), 1);
    assert_eq!(night[0].from, at("2026-03-28T19:00:00Z"));
    assert_eq!(night[0].to, at("2026-03-29T06:00:00Z"));
    // Before it starts nobody is on call.
    assert!(on_call_at(&daily, &[], at("2026-03-20T12:00:00Z")).is_none());
}

#[test]
fn somebody_stands_in() {
    let daily = berlin(24, 8 * 60);
    let for_cleo = stand_in(
        1,
        "dan",
        Some("cleo"),
        "2026-03-28T10:00:00Z",
        "2026-03-29T20:00:00Z",
    );
    let last = stand_in(
        2,
        "eve",
        None,
        "2026-03-28T12:00:00Z",
        "2026-03-28T14:00:00Z",
    );
    let list = [for_cleo, last];
    let name = |time| on_call_at(&daily, &list, at(time)).unwrap();
    assert_eq!(name("2026-03-28T09:00:00Z").now.name, "cleo");
    let stands = name("2026-03-28T11:00:00Z");
    assert_eq!(
        (stands.now.name.as_str(), stands.now.instead_of.as_deref()),
        ("dan", Some("cleo"))
    );
    assert_eq!(stands.next.unwrap().name, "eve");
    assert_eq!(name("2026-03-28T13:00:00Z").now.name, "eve");
    // In the turn of somebody else, whoever stands in for cleo does not.
    assert_eq!(name("2026-03-29T10:00:00Z").now.name, "ada");
}

async fn incident(fixture: &Fixture, title: &str, severity: Severity) -> Incident {
    let made = fixture
        .casework
        .create_incident(&system(), title, Some(severity), &[])
        .await;
    made.unwrap()
}

/// Two findings that share a host become an incident that nobody looked at.
async fn unseen_incident(fixture: &Fixture, host: &str) -> Incident {
    let entities = format!("host:{host} user:{host}-user");
    let findings = vec![
        finding(
            &format!("{host}-1"),
            &format!("{host}-a"),
            "critical",
            0,
            &entities,
        ),
        finding(
            &format!("{host}-2"),
            &format!("{host}-b"),
            "critical",
            1,
            &entities,
        ),
    ];
    fixture.casework.take_findings(1, findings).await.unwrap();
    let page = PageRequest::new(None, None);
    let filter = IncidentFilter {
        text: Some(host.to_owned()),
        ..IncidentFilter::default()
    };
    let found = fixture
        .casework
        .incidents(&system(), &filter, &IncidentSort::default(), &page)
        .await;
    found.unwrap().items.remove(0)
}

async fn people(fixture: &Fixture) {
    for (name, role) in [
        ("ada", Role::Analyst),
        ("ben", Role::Analyst),
        ("lea", Role::Lead),
    ] {
        fixture
            .casework
            .add_user(&system(), name, "correct horse battery", role)
            .await
            .unwrap();
    }
    let rotation = NewRotation {
        name: "First line".to_owned(),
        members: vec!["ada".to_owned(), "BEN".to_owned()],
        starts_on: "2026-03-02".to_owned(),
        handover_minute: 8 * 60,
        turn_hours: 24,
        zone: "UTC".to_owned(),
    };
    let made = fixture.casework.add_rotation(&system(), rotation).await;
    assert_eq!(made.unwrap().members, ["ada", "ben"]);
}

fn level(after_percent: u32, recipient: Recipient, connector: Option<&str>) -> EscalationLevel {
    EscalationLevel {
        clock: ClockKind::Acknowledge,
        after_percent: Some(after_percent),
        after_minutes: None,
        severity_min: Severity::High,
        recipient,
        connector_id: connector.map(|id| id.parse().unwrap()),
    }
}

fn policy(levels: Vec<EscalationLevel>) -> EscalationPolicy {
    EscalationPolicy {
        is_on: true,
        primary: Some(RotationId::numbered(1)),
        levels,
        ..EscalationPolicy::default()
    }
}

#[tokio::test]
async fn each_escalation_happens_once_and_survives_a_crash() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    people(&fixture).await;
    let levels = vec![
        level(50, Recipient::Primary, Some("con-1")),
        level(100, Recipient::Secondary, Some("con-1")),
        level(150, Recipient::Leads, None),
    ];
    casework
        .set_escalation_policy(&system(), policy(levels), Some(0))
        .await
        .unwrap();
    let one = unseen_incident(&fixture, "ws-042").await;
    let two = unseen_incident(&fixture, "db-7").await;
    assert_eq!(casework.escalation_round().await.unwrap(), 0);
    fixture.clock.advance(mins(8));
    let mut watch = casework.watch();
    assert_eq!(casework.escalation_round().await.unwrap(), 2);
    assert_eq!(casework.escalation_round().await.unwrap(), 0);
    let notice = format!("{:?}", watch.recv().await.unwrap());
    assert!(
        notice.contains("Duty") || notice.contains("Response"),
        "{notice}"
    );
    // Killed before anything was sent: another process finds the row and the action, and sends
    // it once.
    assert_eq!(outside.kinds(), [""; 0]);
    let again = over(fixture.folder.path(), fixture.clock.clone()).await;
    let outside = outside_over(
        &again,
        fixture.folder.path(),
        FakeOutside::default(),
        "second",
    )
    .await;
    assert_eq!(again.escalation_round().await.unwrap(), 0);
    settle(&again).await;
    settle(&again).await;
    assert_eq!(outside.kinds().len(), 1, "both are told of in one message");
    assert!(outside.kinds()[0].starts_with("send_message ada: 2 cases to acknowledge"));
    let list = again
        .escalations(&system(), Timestamp::MIN, Some(one.id.as_str()))
        .await
        .unwrap();
    assert_eq!(list[0].recipients, ["ada"]);
    let action = list[0].action_id.clone().unwrap();
    let action = again.action(&system(), &action).await.unwrap();
    assert_eq!(
        (action.kind, action.status, action.retries_max),
        (ActionKind::SendMessage, ActionStatus::Done, 5)
    );
    // Somebody looks at one: only the other goes on, to who is next on call, then to the leads.
    let patch = IncidentPatch {
        assignee: Some(Some("ada".to_owned())),
        ..IncidentPatch::default()
    };
    again
        .patch_incident(&system(), &one.id, patch, None)
        .await
        .unwrap();
    fixture.clock.advance(mins(30));
    assert_eq!(again.escalation_round().await.unwrap(), 2);
    let list = again
        .escalations(&system(), Timestamp::MIN, Some(two.id.as_str()))
        .await
        .unwrap();
    let told: Vec<(u32, &str)> = list
        .iter()
        .map(|one| (one.level, one.recipients[0].as_str()))
        .collect();
    assert_eq!(told, [(3, "lea"), (2, "ben"), (1, "ada")]);
    assert_eq!((&list[0].action_id, &list[0].trouble), (&None, &None));
    let detail = again.incident_detail(&system(), &two.id).await.unwrap();
    let lines = detail.timeline.iter();
    let escalated = lines.filter(|line| line.title == "Escalated").count();
    assert_eq!(escalated, 3);
    let tenant = system().tenant;
    assert_eq!(again.verify_audit(&tenant).await.unwrap().1, None);
}

#[tokio::test]
async fn lone_alerts_and_trouble() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    people(&fixture).await;
    let mut mail = level(100, Recipient::Primary, Some("con-1"));
    mail.severity_min = Severity::Low;
    let with_alerts = EscalationPolicy {
        with_alerts: true,
        ..policy(vec![mail])
    };
    casework
        .set_escalation_policy(&system(), with_alerts, None)
        .await
        .unwrap();
    let off = watchfloor_casework::ConnectorPatch {
        is_enabled: Some(false),
        ..watchfloor_casework::ConnectorPatch::default()
    };
    casework
        .patch_connector(&system(), &"con-1".parse().unwrap(), off, None)
        .await
        .unwrap();
    // A low alert opens no incident by itself; its clock is eight hours.
    let lone = finding("f-1", "rule", "low", 0, "host:alone");
    casework.take_findings(1, vec![lone]).await.unwrap();
    fixture.clock.advance(mins(8 * 60));
    assert_eq!(casework.escalation_round().await.unwrap(), 1);
    assert_eq!(casework.escalation_round().await.unwrap(), 0);
    let list = casework
        .escalations(&system(), Timestamp::MIN, None)
        .await
        .unwrap();
    let trouble = list[0].trouble.as_deref().unwrap();
    assert!(trouble.contains("is off"), "{trouble}");
    assert_eq!(list[0].action_id, None);
}

#[tokio::test]
async fn who_may_set_what() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    people(&fixture).await;
    for role in Role::ALL {
        let mut actor = system();
        actor.permissions = role.permissions();
        actor.name = "ada".to_owned();
        let manages = *role >= Role::Lead;
        let set = casework
            .set_service_levels(&actor, ServiceLevels::standard(), None)
            .await;
        assert_eq!(set.is_ok(), manages, "{role} targets");
        let set = casework
            .set_escalation_policy(&actor, EscalationPolicy::default(), None)
            .await;
        assert_eq!(set.is_ok(), manages, "{role} escalation");
        let id = RotationId::numbered(1);
        let stands = |name: &str| NewStandIn {
            name: name.to_owned(),
            instead_of: None,
            from: noon(),
            to: noon() + mins(60),
        };
        let own = casework.add_stand_in(&actor, &id, stands("ada")).await;
        assert_eq!(own.is_ok(), *role >= Role::Analyst, "{role} for oneself");
        let other = casework.add_stand_in(&actor, &id, stands("ben")).await;
        assert_eq!(other.is_ok(), manages, "{role} for others");
        let contact = |name: &str| Contact {
            name: name.to_owned(),
            email: "x@example.org".to_owned(),
            mention: String::new(),
        };
        let set = casework.set_contact(&actor, contact("ben")).await;
        assert_eq!(set.is_ok(), manages, "{role} contact of others");
        let given = casework
            .give_handover(&actor, (noon(), noon()), "", "{}".to_owned())
            .await;
        assert_eq!(given.is_ok(), *role >= Role::Analyst, "{role} handover");
        assert!(casework.handover_state(&actor, None).await.is_ok());
    }
    let stale = casework
        .set_service_levels(&system(), ServiceLevels::standard(), Some(0))
        .await;
    assert!(matches!(stale, Err(CaseworkError::VersionConflict { .. })));
    let mut wrong = ServiceLevels::standard();
    wrong.targets[4].contain = Some(1);
    let refused = casework.set_service_levels(&system(), wrong, None).await;
    assert!(matches!(refused, Err(CaseworkError::Invalid { .. })));
}

async fn become_status(fixture: &Fixture, of: &Incident, status: IncidentStatus, verdict: Verdict) {
    let patch = IncidentPatch {
        status: Some(status),
        verdict: Some(Some(verdict)),
        ..IncidentPatch::default()
    };
    fixture
        .casework
        .patch_incident(&system(), &of.id, patch, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn lists_know_whose_clock_runs_out() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let slow = incident(&fixture, "slow", Severity::Low).await;
    let fast = incident(&fixture, "fast", Severity::Critical).await;
    let middle = incident(&fixture, "middle", Severity::High).await;
    become_status(
        &fixture,
        &slow,
        IncidentStatus::Resolved,
        Verdict::TruePositive,
    )
    .await;
    let over = incident(&fixture, "low", Severity::Low).await;
    fixture.clock.advance(mins(50));
    let levels = casework.service_levels(&system()).await.unwrap();
    let sort = IncidentSort::Due(levels.clone());
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = PageRequest::new(after, Some(1));
        let filter = IncidentFilter::default();
        let found = casework
            .incidents(&system(), &filter, &sort, &page)
            .await
            .unwrap();
        assert_eq!(found.total, 4);
        seen.extend(found.items.into_iter().map(|one| one.id));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, [fast.id.clone(), middle.id, over.id, slow.id]);
    let count = async |clock| {
        let filter = IncidentFilter {
            clock: Some(clock),
            ..IncidentFilter::default()
        };
        let page = PageRequest::new(None, None);
        casework
            .incidents(&system(), &filter, &IncidentSort::default(), &page)
            .await
            .unwrap()
    };
    let now = casework.now();
    let risky = count(ClockFilter::AtRisk(levels.clone(), now)).await;
    assert_eq!((risky.total, &risky.items[0].id), (1, &fast.id));
    assert_eq!(
        count(ClockFilter::Breached(levels.clone(), now))
            .await
            .total,
        0
    );
    let later = now + mins(10);
    assert_eq!(count(ClockFilter::Breached(levels, later)).await.total, 1);
}

#[tokio::test]
async fn times_by_hand() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    // Resolved after 10, 20, 30 and 60 minutes; one benign after 2; one is opened again.
    let mut open = Vec::new();
    for number in 0..5 {
        open.push(incident(&fixture, &format!("one {number}"), Severity::High).await);
    }

    fixture.clock.advance(mins(2));
    become_status(
        &fixture,
        &open[0],
        IncidentStatus::Resolved,
        Verdict::BenignPositive,
    )
    .await;
    for (index, wait) in [(1, 8), (2, 10), (3, 10), (4, 30)] {
        fixture.clock.advance(mins(wait));
        become_status(
            &fixture,
            &open[index],
            IncidentStatus::Resolved,
            Verdict::TruePositive,
        )
        .await;
    }
    // The last one stood resolved for a day; then it took five minutes more.
    fixture.clock.advance(mins(24 * 60));
    become_status(
        &fixture,
        &open[4],
        IncidentStatus::InProgress,
        Verdict::TruePositive,
    )
    .await;
    fixture.clock.advance(mins(5));
    become_status(
        &fixture,
        &open[4],
        IncidentStatus::Resolved,
        Verdict::TruePositive,
    )
    .await;
    let merged = incident(&fixture, "merged", Severity::Critical).await;
    let home = incident(&fixture, "home", Severity::Critical).await;
    casework
        .merge_incidents(
            &system(),
            &home.id,
            std::slice::from_ref(&merged.id),
            None,
            None,
        )
        .await
        .unwrap();
    let query = |verdicts: &[Option<Verdict>]| PerformanceQuery {
        from: noon() - mins(60),
        to: casework.now() + mins(1),
        verdicts: verdicts.to_vec(),
        zone: TimeZone::UTC,
    };
    let found = casework.performance(&system(), &query(&[])).await.unwrap();
    assert_eq!(found.all.incidents, 6, "what was merged counts once");
    assert_eq!(found.verdicts.len(), 3);
    let positive = query(&[Some(Verdict::TruePositive)]);
    let found = casework.performance(&system(), &positive).await.unwrap();
    let resolve = found.all.figures[&Measure::Resolve];
    assert_eq!((resolve.count, found.all.reopened), (4, 1));
    assert_eq!(resolve.median_s, 25 * 60);
    assert_eq!(resolve.p90_s, 65 * 60);
    assert_eq!((resolve.in_time, resolve.with_target), (Some(4), 4));
    assert_eq!(found.all.figures[&Measure::Detect].median_s, 0);
    assert_eq!(found.by_week.len(), 1);
    assert_eq!(found.by_week[0].0, at("2026-03-02T00:00:00Z"));
    assert_eq!(
        found.by_severity.keys().copied().collect::<Vec<_>>(),
        [Severity::High]
    );
}

#[tokio::test]
async fn one_shift_gives_to_the_next() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    people(&fixture).await;
    let late = unseen_incident(&fixture, "ws-042").await;
    fixture.clock.advance(mins(20));
    let state = casework.handover_state(&system(), None).await.unwrap();
    assert_eq!(
        (state.open.total, state.new.total, state.breaches.total),
        (1, 1, 1)
    );
    assert_eq!(state.breaches.items[0].face.state, ClockState::Breached);
    assert_eq!(state.on_call[0].1.as_ref().unwrap().now.name, "ada");
    let actor = |name: &str| Actor {
        name: name.to_owned(),
        permissions: Role::Analyst.permissions(),
        ..system()
    };
    let snapshot = format!("{{\"late\":\"{}\"}}", late.id);
    let given = casework
        .give_handover(&actor("ada"), (state.from, state.to), " quiet ", snapshot)
        .await
        .unwrap();
    let own = casework.accept_handover(&actor("ada"), &given.id).await;
    assert!(matches!(own, Err(CaseworkError::Invalid { .. })));
    let taken = casework
        .accept_handover(&actor("ben"), &given.id)
        .await
        .unwrap();
    assert_eq!(taken.accepted_by.as_deref(), Some("ben"));
    let (kept, is_sealed) = casework.handover(&system(), &given.id).await.unwrap();
    assert!(is_sealed);
    assert_eq!(
        (kept.notes.as_str(), &kept.snapshot),
        ("quiet", &given.snapshot)
    );
    // The next one begins where this one ended.
    fixture.clock.advance(mins(5));
    let state = casework.handover_state(&system(), None).await.unwrap();
    assert_eq!(
        (state.from, state.new.total, state.open.total),
        (given.to, 0, 1)
    );
}
