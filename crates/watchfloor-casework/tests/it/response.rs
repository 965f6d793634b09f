//! Actions and playbooks: who may, what is done, what a crash leaves, and who is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use serde_json::{Value, json};
use watchfloor_casework::{
    Acted, ActedFuture, AgentFuture, Casework, CaseworkError, ConnectorPatch, Neighbor,
    NeighborsFuture, NewAction, NewConnector, Responder, Settlement, StepAnswer, Vault, Way,
};
use watchfloor_model::{
    Action, ActionFailure, ActionKind, ActionOutcome, ActionRequest, ActionStatus, Actor,
    ActorKind, ArgumentValue, Connector, ConnectorKind, EntityKind, OpenConnector, Permission,
    Role, RunId, RunStatus, Scope, SessionId, StepStatus, TenantId, UserId, WaitsFor,
};

use crate::support::{Fixture, finding, fixture, over, system};

/// An outside that does what a test tells it to, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct FakeOutside {
    calls: Mutex<Vec<(ActionRequest, BTreeMap<String, String>)>>,
    answers: Mutex<Vec<Acted>>,
    is_repeatable: bool,
    hangs: bool,
}

impl FakeOutside {
    fn keys(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .map(|(request, _)| request.idempotency_key.clone())
            .collect()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .map(|(request, _)| format!("{} {}", request.kind, request.target))
            .collect()
    }
}

impl Responder for FakeOutside {
    fn agent_serves<'a>(&'a self, _: &'a ActionRequest) -> AgentFuture<'a> {
        Box::pin(std::future::ready(false))
    }

    fn covers(&self, connector: &Connector, request: &ActionRequest) -> bool {
        connector.is_enabled && connector.serves.contains(&request.kind)
    }

    fn preview(&self, _: &Way<Connector>, request: &ActionRequest) -> Result<String, String> {
        Ok(format!("{} {}", request.kind, request.target))
    }

    fn perform<'a>(
        &'a self,
        way: &'a Way<OpenConnector>,
        request: &'a ActionRequest,
    ) -> ActedFuture<'a> {
        Box::pin(async move {
            let secrets = match way {
                Way::Connector(open) => open.secrets.clone(),
                Way::Agent => BTreeMap::new(),
            };
            self.calls.lock().unwrap().push((request.clone(), secrets));
            if self.hangs {
                std::future::pending::<()>().await;
            }
            let answer = self.answers.lock().unwrap().pop();
            answer.unwrap_or_else(|| {
                Ok(ActionOutcome {
                    summary: "done".to_owned(),
                    evidence: BTreeMap::from([("output".to_owned(), "true".to_owned())]),
                })
            })
        })
    }

    fn is_repeatable(&self, _: &Way<Connector>, _: ActionKind) -> bool {
        self.is_repeatable
    }

    fn check_connector(
        &self,
        _: ConnectorKind,
        settings: &str,
        _: &[ActionKind],
    ) -> Result<(), String> {
        if settings.contains("bad") {
            Err("it is bad".to_owned())
        } else {
            Ok(())
        }
    }

    fn secrets_of(&self, _: ConnectorKind) -> &'static [(&'static str, &'static str)] {
        &[("token", "a token")]
    }

    fn neighbors<'a>(&'a self, _: &'a TenantId, _: EntityKind, _: &'a str) -> NeighborsFuture<'a> {
        let neighbor = Neighbor {
            kind: EntityKind::Address,
            value: "10.0.0.9".to_owned(),
            events: 12,
        };
        Box::pin(std::future::ready(vec![neighbor]))
    }
}

fn person(number: u64, role: Role) -> Actor {
    Actor {
        tenant: TenantId::main(),
        name: format!("{role}-{number}"),
        kind: ActorKind::Session {
            user: UserId::numbered(number),
            session: SessionId::numbered(number),
        },
        permissions: role.permissions(),
    }
}

fn analyst() -> Actor {
    person(1, Role::Analyst)
}

fn lead() -> Actor {
    person(2, Role::Lead)
}

pub(crate) async fn outside_over(
    casework: &Casework,
    folder: &std::path::Path,
    outside: FakeOutside,
    boot: &str,
) -> Arc<FakeOutside> {
    let outside = Arc::new(outside);
    let vault = Vault::open(folder).unwrap();
    casework.respond_with(outside.clone(), vault, "here", boot);
    outside
}

pub(crate) async fn opened(outside: FakeOutside) -> (Fixture, Arc<FakeOutside>) {
    let fixture = fixture().await;
    let outside = outside_over(&fixture.casework, fixture.folder.path(), outside, "first").await;
    let new = NewConnector {
        name: "Gate".to_owned(),
        kind: ConnectorKind::Webhook,
        serves: ActionKind::ALL.to_vec(),
        settings: "{}".to_owned(),
        secrets: BTreeMap::from([("token".to_owned(), "hunter2".to_owned())]),
    };
    fixture
        .casework
        .add_connector(&person(9, Role::Admin), new)
        .await
        .unwrap();
    (fixture, outside)
}

fn isolate(host: &str) -> NewAction {
    NewAction {
        kind: ActionKind::IsolateHost,
        arguments: BTreeMap::from([("host".to_owned(), ArgumentValue::One(host.to_owned()))]),
        connector: None,
        incident_id: None,
        reason: "ransomware".to_owned(),
        time_limit_s: None,
    }
}

fn webhook(text: &str) -> NewAction {
    NewAction {
        kind: ActionKind::CallWebhook,
        arguments: BTreeMap::from([("text".to_owned(), ArgumentValue::One(text.to_owned()))]),
        ..isolate("x")
    }
}

/// Rounds until nothing more happens by itself.
pub(crate) async fn settle(casework: &Casework) {
    for _ in 0..50 {
        let begun = casework.response_round().await.unwrap();
        tokio::task::yield_now().await;
        let page = watchfloor_casework::PageRequest::new(None, Some(1_000));
        let busy = [ActionStatus::Running];
        let running = casework
            .actions(&system(), &busy, None, &page)
            .await
            .unwrap();
        if begun == 0 && running.items.is_empty() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("actions do not end");
}

async fn status(casework: &Casework, action: &Action) -> ActionStatus {
    casework.action(&system(), &action.id).await.unwrap().status
}

fn is_forbidden<T>(result: Result<T, CaseworkError>) -> bool {
    matches!(result, Err(CaseworkError::Forbidden { .. }))
}

#[tokio::test]
async fn a_second_person_agrees_and_time_undoes_it() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let rehearsal = casework
        .rehearse_action(&analyst(), &isolate("ws-042"))
        .await
        .unwrap();
    assert!(rehearsal.needs_approval);
    assert_eq!(rehearsal.way, "Gate");
    assert!(
        rehearsal.touches.iter().any(|one| one.value == "10.0.0.9"),
        "{rehearsal:?}"
    );
    assert!(
        rehearsal
            .warnings
            .iter()
            .any(|one| one.contains("is the name right?")),
        "{rehearsal:?}"
    );
    let new = NewAction {
        time_limit_s: Some(Some(600)),
        ..isolate("ws-042")
    };
    let action = casework.propose_action(&analyst(), new).await.unwrap();
    assert_eq!(action.status, ActionStatus::Proposed);
    settle(casework).await;
    assert_eq!(
        outside.kinds(),
        [""; 0],
        "nothing is done before somebody agreed"
    );
    let action = casework
        .approve_action(&lead(), &action.id, "go")
        .await
        .unwrap();
    settle(casework).await;
    assert_eq!(status(casework, &action).await, ActionStatus::Done);
    assert_eq!(outside.kinds(), ["isolate_host ws-042"]);
    // The other side is told when it ends, and gets the secret; nobody else does.
    let (request, secrets) = outside.calls.lock().unwrap()[0].clone();
    assert!(request.expires_at.is_some());
    assert_eq!(secrets["token"], "hunter2");
    let record = casework
        .action_record(&analyst(), &action.id)
        .await
        .unwrap();
    assert!(
        record.is_request_sealed && record.is_result_sealed,
        "{record:?}"
    );
    let verbs: Vec<_> = record
        .history
        .iter()
        .map(|entry| entry.action.as_str())
        .collect();
    assert_eq!(
        verbs,
        [
            "action.propose",
            "action.approve",
            "action.begin",
            "action.done"
        ]
    );
    assert!(
        record
            .history
            .iter()
            .all(|entry| !entry.detail.contains("hunter2"))
    );
    fixture.clock.advance(SignedDuration::from_secs(599));
    settle(casework).await;
    assert_eq!(status(casework, &action).await, ActionStatus::Done);
    fixture.clock.advance(SignedDuration::from_secs(2));
    settle(casework).await;
    assert_eq!(
        outside.kinds(),
        ["isolate_host ws-042", "release_host ws-042"]
    );
    assert_eq!(status(casework, &action).await, ActionStatus::Undone);
}

#[tokio::test]
async fn what_is_over_its_time_while_the_server_is_away_is_undone_at_the_start() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let new = NewAction {
        time_limit_s: Some(Some(60)),
        ..isolate("ws-1")
    };
    let action = fixture
        .casework
        .propose_action(&analyst(), new)
        .await
        .unwrap();
    fixture
        .casework
        .approve_action(&lead(), &action.id, "")
        .await
        .unwrap();
    settle(&fixture.casework).await;
    fixture.clock.advance(SignedDuration::from_hours(5));
    let again = over(fixture.folder.path(), fixture.clock.clone()).await;
    let outside = outside_over(
        &again,
        fixture.folder.path(),
        FakeOutside::default(),
        "second",
    )
    .await;
    again.recover_actions().await.unwrap();
    settle(&again).await;
    assert_eq!(outside.kinds(), ["release_host ws-1"]);
    assert_eq!(status(&again, &action).await, ActionStatus::Undone);
}

#[tokio::test]
async fn an_undo_that_fails_is_tried_until_it_is_done() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let action = casework
        .propose_action(&analyst(), isolate("ws-1"))
        .await
        .unwrap();
    casework
        .approve_action(&lead(), &action.id, "")
        .await
        .unwrap();
    settle(casework).await;
    *outside.answers.lock().unwrap() = (0..8)
        .map(|_| Err(ActionFailure::failed("the host is away")))
        .collect();
    casework
        .undo_action(&analyst(), &action.id, "it was a test")
        .await
        .unwrap();
    for _ in 0..20 {
        settle(casework).await;
        fixture.clock.advance(SignedDuration::from_mins(6));
    }
    assert_eq!(status(casework, &action).await, ActionStatus::Undone);
    assert_eq!(outside.kinds().len(), 1 + 8 + 1);
    let keys: BTreeSet<String> = outside.keys().into_iter().skip(1).collect();
    assert_eq!(keys.len(), 1, "every attempt has the same key");
}

#[tokio::test]
async fn a_crash_in_the_middle_is_repeated_only_where_that_is_safe() {
    for is_repeatable in [true, false] {
        let (fixture, first) = opened(FakeOutside {
            hangs: true,
            is_repeatable,
            ..FakeOutside::default()
        })
        .await;
        let action = fixture
            .casework
            .propose_action(&analyst(), webhook("hello"))
            .await
            .unwrap();
        fixture.casework.response_round().await.unwrap();
        while first.keys().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        assert_eq!(
            status(&fixture.casework, &action).await,
            ActionStatus::Running
        );
        // The process is gone; another one takes over the folder.
        let again = over(fixture.folder.path(), fixture.clock.clone()).await;
        let second = outside_over(
            &again,
            fixture.folder.path(),
            FakeOutside {
                is_repeatable,
                ..FakeOutside::default()
            },
            "second",
        )
        .await;
        assert_eq!(again.recover_actions().await.unwrap(), 1);
        settle(&again).await;
        if is_repeatable {
            assert_eq!(status(&again, &action).await, ActionStatus::Done);
            assert_eq!(first.keys(), second.keys(), "the same key");
        } else {
            assert_eq!(status(&again, &action).await, ActionStatus::Uncertain);
            assert_eq!(second.keys(), [""; 0]);
            let settled = again
                .settle_action(&lead(), &action.id, Settlement::Done, "the log says so")
                .await
                .unwrap();
            assert_eq!(settled.status, ActionStatus::Done);
            let record = again.action_record(&lead(), &action.id).await.unwrap();
            assert!(record.is_result_sealed);
        }
    }
}

#[tokio::test]
async fn nobody_knows_is_said_and_not_guessed() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    outside
        .answers
        .lock()
        .unwrap()
        .push(Err(ActionFailure::unknown("no answer within 15 s")));
    let action = casework
        .propose_action(&analyst(), webhook("x"))
        .await
        .unwrap();
    settle(casework).await;
    let action = casework.action(&analyst(), &action.id).await.unwrap();
    assert_eq!(action.status, ActionStatus::Uncertain);
    assert!(action.error.clone().unwrap().contains("no answer"));
    assert!(is_forbidden(
        casework
            .settle_action(&analyst(), &action.id, Settlement::Again, "try")
            .await
    ));
    casework
        .settle_action(&lead(), &action.id, Settlement::Again, "it did not arrive")
        .await
        .unwrap();
    settle(casework).await;
    assert_eq!(status(casework, &action).await, ActionStatus::Done);
    // The same key, and the word of a person that it was not done.
    let calls = outside.calls.lock().unwrap();
    let told: Vec<u32> = calls.iter().map(|(request, _)| request.redone).collect();
    assert_eq!(told, [0, 1]);
    assert_eq!(calls[0].0.idempotency_key, calls[1].0.idempotency_key);
}

/// Every role and token against everything that response allows, in two tenants.
#[tokio::test]
async fn the_matrix_of_role_action_and_tenant() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let may = |role: Role, permission| role.permissions().contains(&permission);
    for role in Role::ALL {
        let expected = |permission| match permission {
            Permission::ReadCases => true,
            Permission::ProposeActions | Permission::RunPlaybooks => *role >= Role::Analyst,
            Permission::ApproveActions | Permission::ManagePlaybooks => *role >= Role::Lead,
            Permission::ManageConnectors => *role == Role::Admin,
            other => may(*role, other),
        };
        for permission in Permission::ALL {
            assert_eq!(
                may(*role, *permission),
                expected(*permission),
                "{role} {permission}"
            );
        }
    }
    assert!(
        !Scope::Read
            .permissions()
            .contains(&Permission::ProposeActions)
    );
    assert!(
        !Scope::Write
            .permissions()
            .contains(&Permission::ApproveActions)
    );
    for tenant in ["main", "other"] {
        for role in Role::ALL {
            let actor = Actor {
                tenant: TenantId::new(tenant).unwrap(),
                ..person(5, *role)
            };
            let by_other = |number| Actor {
                tenant: actor.tenant.clone(),
                ..person(number, Role::Admin)
            };
            let is_main = tenant == "main";
            let page = watchfloor_casework::PageRequest::new(None, None);
            assert!(casework.actions(&actor, &[], None, &page).await.is_ok());
            let proposed = casework.propose_action(&actor, isolate("ws-1")).await;
            assert_eq!(
                is_forbidden(proposed),
                !may(*role, Permission::ProposeActions),
                "{tenant} {role} propose"
            );
            let rehearsed = casework.rehearse_action(&actor, &isolate("ws-1")).await;
            assert_eq!(
                is_forbidden(rehearsed),
                !may(*role, Permission::ProposeActions),
                "{tenant} {role} rehearse"
            );
            if is_main {
                let action = casework
                    .propose_action(&by_other(7), isolate("ws-2"))
                    .await
                    .unwrap();
                let approved = casework.approve_action(&actor, &action.id, "").await;
                assert_eq!(
                    approved.is_ok(),
                    may(*role, Permission::ApproveActions),
                    "{role} approve"
                );
                // From the other tenant it is not there, whoever asks.
                let stranger = Actor {
                    tenant: TenantId::new("other").unwrap(),
                    ..person(5, *role)
                };
                assert!(casework.action(&stranger, &action.id).await.is_err());
                assert!(
                    casework
                        .approve_action(&stranger, &action.id, "")
                        .await
                        .is_err()
                );
            }
            let saved = casework
                .save_playbook(&actor, phishing().to_string().as_bytes(), None)
                .await;
            assert_eq!(
                is_forbidden(saved),
                !may(*role, Permission::ManagePlaybooks),
                "{tenant} {role} playbook"
            );
            let started = casework
                .start_run(&actor, "playbook--none", BTreeMap::new(), None)
                .await;
            assert_eq!(
                is_forbidden(started),
                !may(*role, Permission::RunPlaybooks),
                "{tenant} {role} run"
            );
            let new = NewConnector {
                name: format!("{tenant} {role}"),
                kind: ConnectorKind::Slack,
                serves: Vec::new(),
                settings: "{}".to_owned(),
                secrets: BTreeMap::new(),
            };
            let made = casework.add_connector(&actor, new).await;
            assert_eq!(
                is_forbidden(made),
                !may(*role, Permission::ManageConnectors),
                "{tenant} {role} connector"
            );
            let policy = casework
                .set_action_policy(
                    &actor,
                    ActionKind::IsolateHost,
                    watchfloor_model::ActionPolicy::standard(ActionKind::IsolateHost),
                )
                .await;
            assert_eq!(
                is_forbidden(policy),
                !may(*role, Permission::ManageConnectors),
                "{tenant} {role} policy"
            );
        }
    }
}

#[tokio::test]
async fn nobody_agrees_to_their_own_action_not_even_by_a_token() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let admin = casework
        .add_user(&system(), "ada", "correct horse battery", Role::Admin)
        .await
        .unwrap();
    let ada = Actor {
        name: "ada".to_owned(),
        kind: ActorKind::Session {
            user: admin.id.clone(),
            session: SessionId::numbered(1),
        },
        ..person(1, Role::Admin)
    };
    let token = casework
        .add_token(&ada, "script", vec![Scope::Admin], 1)
        .await
        .unwrap();
    let script = Actor {
        name: "token script".to_owned(),
        kind: ActorKind::Token(token.token.id),
        ..ada.clone()
    };
    for (proposer, approver) in [
        (&ada, &ada),
        (&ada, &script),
        (&script, &ada),
        (&script, &script),
    ] {
        let action = casework
            .propose_action(proposer, isolate("ws-1"))
            .await
            .unwrap();
        let refused = casework.approve_action(approver, &action.id, "").await;
        assert!(
            matches!(&refused, Err(CaseworkError::Invalid { reason, .. }) if reason.contains("own action")),
            "{refused:?}"
        );
        assert_eq!(status(casework, &action).await, ActionStatus::Proposed);
        casework
            .approve_action(&lead(), &action.id, "")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn nobody_grants_more_than_they_hold() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let mut keeper = person(3, Role::Analyst);
    keeper
        .permissions
        .extend([Permission::ManageUsers, Permission::ManageTokens]);
    let password = "correct horse battery";
    for role in Role::ALL {
        let made = casework
            .add_user(&keeper, &format!("new-{role}"), password, *role)
            .await;
        assert_eq!(is_forbidden(made), *role > Role::Analyst, "{role}");
    }
    let viewer = casework
        .add_user(&system(), "viewer", password, Role::Viewer)
        .await
        .unwrap();
    assert!(is_forbidden(
        casework
            .patch_user(&keeper, &viewer.id, Some(Role::Admin), None)
            .await
    ));
    for scope in Scope::ALL {
        let made = casework.add_token(&keeper, "t", vec![*scope], 1).await;
        let holds = scope.permissions().is_subset(&keeper.permissions);
        assert_eq!(is_forbidden(made), !holds, "{scope}");
    }
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let admin = person(9, Role::Admin);
    let list = casework.connectors(&admin).await.unwrap();
    assert_eq!(list[0].secrets, ["token"]);
    assert!(!format!("{list:?}").contains("hunter2"));
    assert!(
        casework.connectors(&analyst()).await.unwrap()[0]
            .secrets
            .is_empty()
    );
    let patch = ConnectorPatch {
        secrets: BTreeMap::from([("token".to_owned(), Some("swordfish".to_owned()))]),
        ..ConnectorPatch::default()
    };
    casework
        .patch_connector(&admin, &list[0].id, patch, Some(1))
        .await
        .unwrap();
    let bad = ConnectorPatch {
        settings: Some("bad".to_owned()),
        ..ConnectorPatch::default()
    };
    assert!(
        casework
            .patch_connector(&admin, &list[0].id, bad, None)
            .await
            .is_err()
    );
    let files = std::fs::read_dir(fixture.folder.path()).unwrap();
    for file in files.map(|entry| entry.unwrap().path()) {
        let bytes = std::fs::read(&file).unwrap();
        let has = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
        assert!(!has(b"hunter2") && !has(b"swordfish"), "{}", file.display());
    }
}

fn id(kind: &str, number: u32) -> String {
    format!("{kind}--00000000-0000-4000-8000-{number:012}")
}

fn document(number: u32, variables: Value, workflow: Value) -> Value {
    json!({
        "type": "playbook", "spec_version": "cacao-2.0", "id": id("playbook", number), "name": format!("Playbook {number}"),
        "created_by": id("identity", 1), "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "playbook_variables": variables, "workflow_start": id("start", 1), "workflow": workflow,
        "agent_definitions": { id("organization", 1): { "type": "organization", "name": "SOC" } },
    })
}

/// Ask, isolate, tell.
fn phishing() -> Value {
    document(
        1,
        json!({ "__host__": { "type": "string", "external": true }, "__bad__": { "type": "bool" } }),
        json!({
            id("start", 1): { "type": "start", "on_completion": id("action", 1) },
            id("action", 1): { "type": "action", "name": "Ask", "agent": id("organization", 1), "on_completion": id("if-condition", 1), "out_args": ["__bad__"],
                "commands": [{ "type": "manual", "command": "Is __host__:value bad?" }] },
            id("if-condition", 1): { "type": "if-condition", "name": "Bad?", "condition": "__bad__:value", "on_true": id("action", 2), "on_completion": id("action", 3) },
            id("action", 2): { "type": "action", "name": "Isolate", "agent": id("organization", 1), "on_completion": id("end", 1),
                "commands": [{ "type": "watchfloor-action", "command": "isolate_host", "arguments": { "host": "__host__:value" }, "time_limit_s": 600 }] },
            id("action", 3): { "type": "action", "name": "Tell", "agent": id("organization", 1), "on_completion": id("end", 2),
                "commands": [{ "type": "watchfloor-action", "command": "call_webhook", "arguments": { "text": "__host__:value is done" } }] },
            id("end", 1): { "type": "end" }, id("end", 2): { "type": "end" },
        }),
    )
}

async fn start(casework: &Casework, document: &Value, inputs: &[(&str, &str)]) -> RunId {
    let saved = casework
        .save_playbook(&lead(), document.to_string().as_bytes(), None)
        .await
        .unwrap();
    assert!(saved.record.is_runnable, "{:?}", saved.faults);
    let inputs = inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    casework
        .start_run(&analyst(), &saved.record.id, inputs, None)
        .await
        .unwrap()
        .id
}

/// The steps as `name:status`, and the run's state.
async fn steps(casework: &Casework, run: &RunId) -> (Vec<String>, RunStatus) {
    let detail = casework.run(&system(), run).await.unwrap();
    let steps = detail
        .steps
        .iter()
        .filter(|step| !matches!(step.kind.as_str(), "start" | "end"));
    (
        steps
            .map(|step| format!("{}:{}", step.name, step.status))
            .collect(),
        detail.run.status,
    )
}

fn yes(values: &[(&str, &str)]) -> StepAnswer {
    StepAnswer {
        is_done: true,
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        note: String::new(),
    }
}

async fn asked(casework: &Casework, run: &RunId) -> u64 {
    let detail = casework.run(&system(), run).await.unwrap();
    let step = detail.steps.iter().find(|step| {
        step.status == StepStatus::Waiting && step.waits_for == Some(WaitsFor::Person)
    });
    step.unwrap_or_else(|| panic!("nobody is asked: {:?}", detail.steps))
        .instance
}

#[tokio::test]
async fn a_playbook_is_run_by_people_and_actions() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    casework
        .take_findings(
            1,
            vec![finding("f1", "r1", "high", 1, "host:ws-042 user:j.doe")],
        )
        .await
        .unwrap();
    let run = start(casework, &phishing(), &[("__host__", "ws-042")]).await;
    let trial = casework
        .rehearse_playbook(
            &analyst(),
            Ok(&id("playbook", 1)),
            &BTreeMap::from([("__host__".to_owned(), "ws-042".to_owned())]),
            None,
        )
        .await
        .unwrap();
    let isolate = trial
        .steps
        .iter()
        .find(|step| step.name == "Isolate")
        .unwrap();
    assert!(!isolate.is_certain && isolate.actions[0].needs_approval);
    assert!(
        isolate.actions[0]
            .touches
            .iter()
            .any(|one| one.value == "j.doe"),
        "{isolate:?}"
    );
    assert_eq!(
        steps(casework, &run).await,
        (vec!["Ask:waiting".to_owned()], RunStatus::Running)
    );
    let instance = asked(casework, &run).await;
    let detail = casework.run(&analyst(), &run).await.unwrap();
    assert_eq!(detail.outputs[&instance]["__bad__"], "bool");
    let wrong = casework
        .answer_step(&analyst(), &run, instance, yes(&[("__bad__", "perhaps")]))
        .await;
    assert!(matches!(wrong, Err(CaseworkError::Invalid { .. })));
    casework
        .answer_step(&analyst(), &run, instance, yes(&[("__bad__", "true")]))
        .await
        .unwrap();
    settle(casework).await;
    assert_eq!(
        steps(casework, &run).await.0,
        ["Ask:done", "Bad?:waiting", "Isolate:waiting"]
    );
    let detail = casework.run(&analyst(), &run).await.unwrap();
    let action = &detail.actions[0];
    assert_eq!(action.status, ActionStatus::Proposed);
    assert_eq!(action.time_limit_s, Some(600));
    // Whoever began the run asked for its actions, and does not agree to them.
    let mut self_made_lead = analyst();
    self_made_lead.permissions = Role::Lead.permissions();
    assert!(
        casework
            .approve_action(&self_made_lead, &action.id, "")
            .await
            .is_err()
    );
    casework
        .approve_action(&lead(), &action.id, "")
        .await
        .unwrap();
    settle(casework).await;
    let (list, state) = steps(casework, &run).await;
    assert_eq!(
        (list, state),
        (
            vec![
                "Ask:done".into(),
                "Bad?:done".into(),
                "Isolate:done".into(),
                "Tell:done".into()
            ],
            RunStatus::Done
        )
    );
    assert_eq!(
        outside.kinds(),
        ["isolate_host ws-042", "call_webhook ws-042 is done"]
    );
}

#[tokio::test]
async fn a_refused_action_fails_its_step_with_the_reason() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let run = start(casework, &phishing(), &[("__host__", "ws-1")]).await;
    let instance = asked(casework, &run).await;
    casework
        .answer_step(&analyst(), &run, instance, yes(&[("__bad__", "true")]))
        .await
        .unwrap();
    let detail = casework.run(&analyst(), &run).await.unwrap();
    casework
        .reject_action(
            &lead(),
            &detail.actions[0].id,
            "it is the domain controller",
        )
        .await
        .unwrap();
    settle(casework).await;
    let detail = casework.run(&analyst(), &run).await.unwrap();
    assert_eq!(detail.run.status, RunStatus::Failed);
    assert!(
        detail
            .run
            .reason
            .unwrap()
            .contains("it is the domain controller")
    );
    assert_eq!(outside.kinds(), [""; 0]);
}

#[tokio::test]
async fn a_run_that_waits_too_long_is_stuck_and_says_why() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let run = start(casework, &phishing(), &[("__host__", "ws-1")]).await;
    settle(casework).await;
    let stuck = |run: &RunId| {
        let run = run.clone();
        async move { casework.run(&system(), &run).await.unwrap().run.stuck }
    };
    assert_eq!(stuck(&run).await, None);
    fixture.clock.advance(SignedDuration::from_mins(61));
    settle(casework).await;
    assert!(
        stuck(&run)
            .await
            .unwrap()
            .contains("'Ask' waits for a person since")
    );
    let instance = asked(casework, &run).await;
    casework
        .answer_step(&analyst(), &run, instance, yes(&[("__bad__", "true")]))
        .await
        .unwrap();
    settle(casework).await;
    assert_eq!(stuck(&run).await, None);
    fixture.clock.advance(SignedDuration::from_mins(61));
    settle(casework).await;
    assert!(
        stuck(&run)
            .await
            .unwrap()
            .contains("second person's approval")
    );
    outside
        .answers
        .lock()
        .unwrap()
        .push(Err(ActionFailure::unknown("it broke off")));
    let action = casework.run(&system(), &run).await.unwrap().actions[0]
        .id
        .clone();
    casework.approve_action(&lead(), &action, "").await.unwrap();
    settle(casework).await;
    settle(casework).await;
    assert!(stuck(&run).await.unwrap().contains("nobody knows whether"));
    casework
        .settle_action(&lead(), &action, Settlement::NotDone, "it is not")
        .await
        .unwrap();
    settle(casework).await;
    let detail = casework.run(&system(), &run).await.unwrap();
    assert_eq!(
        (detail.run.status, detail.run.stuck),
        (RunStatus::Failed, None)
    );
}

#[tokio::test]
async fn a_run_goes_on_in_another_process_at_every_step() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let run = start(&fixture.casework, &phishing(), &[("__host__", "ws-1")]).await;
    let mut casework = fixture.casework.clone();
    let mut outsides = Vec::new();
    for number in 0..8 {
        // Each round is a process of its own, which ends right after one step.
        casework = over(fixture.folder.path(), fixture.clock.clone()).await;
        outsides.push(
            outside_over(
                &casework,
                fixture.folder.path(),
                FakeOutside::default(),
                &format!("boot {number}"),
            )
            .await,
        );
        casework.recover_actions().await.unwrap();
        let detail = casework.run(&system(), &run).await.unwrap();
        if let Some(step) = detail
            .steps
            .iter()
            .find(|step| step.waits_for == Some(WaitsFor::Person))
        {
            casework
                .answer_step(&analyst(), &run, step.instance, yes(&[("__bad__", "true")]))
                .await
                .unwrap();
        } else if let Some(action) = detail
            .actions
            .iter()
            .find(|one| one.status == ActionStatus::Proposed)
        {
            casework
                .approve_action(&lead(), &action.id, "")
                .await
                .unwrap();
        } else {
            settle(&casework).await;
        }
    }
    assert_eq!(steps(&casework, &run).await.1, RunStatus::Done);
    let all: Vec<String> = outsides
        .iter()
        .flat_map(|outside| outside.kinds())
        .collect();
    assert_eq!(
        all,
        ["isolate_host ws-1", "call_webhook ws-1 is done"],
        "each action once"
    );
}

#[tokio::test]
async fn playbooks_call_each_other_and_give_values_back() {
    let (fixture, _) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let caller = document(
        2,
        json!({ "__host__": { "type": "string", "value": "ws-7" }, "__bad__": { "type": "bool" } }),
        json!({
            id("start", 1): { "type": "start", "on_completion": id("playbook-action", 1) },
            id("playbook-action", 1): { "type": "playbook-action", "name": "Call", "playbook_id": id("playbook", 1), "in_args": ["__host__"], "out_args": ["__bad__"], "on_completion": id("if-condition", 1) },
            id("if-condition", 1): { "type": "if-condition", "name": "Bad?", "condition": "NOT __bad__:value", "on_true": id("end", 1), "on_completion": id("end", 2) },
            id("end", 1): { "type": "end" }, id("end", 2): { "type": "end" },
        }),
    );
    // The called one is not here yet: the caller is kept as a draft.
    let draft = casework
        .save_playbook(&lead(), caller.to_string().as_bytes(), None)
        .await
        .unwrap();
    assert!(!draft.record.is_runnable);
    assert!(
        draft
            .faults
            .iter()
            .any(|fault| fault.code == "missing_playbook")
    );
    casework
        .save_playbook(&lead(), phishing().to_string().as_bytes(), None)
        .await
        .unwrap();
    let run = start(casework, &caller, &[]).await;
    let detail = casework.run(&system(), &run).await.unwrap();
    let child = detail
        .steps
        .iter()
        .find_map(|step| step.child.clone())
        .unwrap();
    let instance = asked(casework, &child).await;
    casework
        .answer_step(&analyst(), &child, instance, yes(&[("__bad__", "false")]))
        .await
        .unwrap();
    settle(casework).await;
    assert_eq!(steps(casework, &child).await.1, RunStatus::Done);
    let detail = casework.run(&system(), &run).await.unwrap();
    assert_eq!(detail.run.status, RunStatus::Done);
    let decided = detail
        .steps
        .iter()
        .find(|step| step.name == "Bad?")
        .unwrap();
    assert_eq!(decided.status, StepStatus::Done);
    // A second round, ended from above: the child ends with it.
    let run = casework
        .start_run(&analyst(), &id("playbook", 2), BTreeMap::new(), None)
        .await
        .unwrap()
        .id;
    let child = casework
        .run(&system(), &run)
        .await
        .unwrap()
        .steps
        .iter()
        .find_map(|step| step.child.clone())
        .unwrap();
    casework
        .cancel_run(&analyst(), &run, "not needed")
        .await
        .unwrap();
    assert_eq!(steps(casework, &run).await.1, RunStatus::Cancelled);
    assert_eq!(steps(casework, &child).await.1, RunStatus::Cancelled);
}

#[tokio::test]
async fn retries_end_and_timeouts_go_their_way() {
    let (fixture, outside) = opened(FakeOutside::default()).await;
    let casework = &fixture.casework;
    let extension = watchfloor_casework::playbook::WATCHFLOOR_EXTENSION;
    let playbook = document(
        3,
        json!({}),
        json!({
            id("start", 1): { "type": "start", "on_completion": id("action", 1) },
            id("action", 1): { "type": "action", "name": "Tell", "agent": id("organization", 1), "on_success": id("end", 1), "on_failure": id("action", 2),
                "step_extensions": { extension: { "retries": 2, "retry_wait_s": 60 } },
                "commands": [{ "type": "watchfloor-action", "command": "call_webhook", "arguments": { "text": "x" } }] },
            id("action", 2): { "type": "action", "name": "By hand", "agent": id("organization", 1), "timeout": 60_000, "on_success": id("end", 1), "on_failure": id("end", 2),
                "commands": [{ "type": "manual", "command": "Do it." }] },
            id("end", 1): { "type": "end" }, id("end", 2): { "type": "end" },
        }),
    );
    *outside.answers.lock().unwrap() = (0..3)
        .map(|_| Err(ActionFailure::failed("answered 500")))
        .collect();
    let run = start(casework, &playbook, &[]).await;
    for _ in 0..2 {
        settle(casework).await;
        fixture.clock.advance(SignedDuration::from_secs(61));
    }
    settle(casework).await;
    assert_eq!(outside.kinds().len(), 3, "once and two more times");
    let (list, state) = steps(casework, &run).await;
    assert_eq!(
        (list[0].as_str(), state),
        ("Tell:failed", RunStatus::Running)
    );
    settle(casework).await;
    fixture.clock.advance(SignedDuration::from_secs(61));
    settle(casework).await;
    let (list, state) = steps(casework, &run).await;
    assert_eq!(
        (list, state),
        (
            vec!["Tell:failed".into(), "By hand:failed".into()],
            RunStatus::Done
        )
    );
}

#[tokio::test]
async fn what_nobody_serves_is_done_by_a_person() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    outside_over(
        casework,
        fixture.folder.path(),
        FakeOutside::default(),
        "first",
    )
    .await;
    let refused = casework.propose_action(&analyst(), isolate("ws-1")).await;
    assert!(
        matches!(&refused, Err(CaseworkError::Invalid { reason, .. }) if reason.contains("no connector serves")),
        "{refused:?}"
    );
    let run = start(casework, &phishing(), &[("__host__", "ws-1")]).await;
    let instance = asked(casework, &run).await;
    casework
        .answer_step(&analyst(), &run, instance, yes(&[("__bad__", "true")]))
        .await
        .unwrap();
    let instance = asked(casework, &run).await;
    let detail = casework.run(&system(), &run).await.unwrap();
    let step = detail
        .steps
        .iter()
        .find(|step| step.instance == instance)
        .unwrap();
    assert!(
        step.detail.contains("no connector serves isolate_host"),
        "{}",
        step.detail
    );
    casework
        .answer_step(&analyst(), &run, instance, yes(&[]))
        .await
        .unwrap();
}
