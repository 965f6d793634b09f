//! Sign-in, sessions, tokens, and who may do what.

use jiff::SignedDuration;
use watchfloor_casework::{CaseworkError, Credential, Peer, SignInError, SignedIn};
use watchfloor_model::{Permission, Role, Scope};

use crate::support::{Fixture, fixture, system};

const PASSWORD: &str = "correct horse battery";

fn peer() -> Peer {
    Peer {
        address: "192.0.2.1".to_owned(),
        user_agent: "test".to_owned(),
    }
}

async fn set_up(fixture: &Fixture) -> SignedIn {
    let token = fixture.casework.setup_link_token().await.unwrap().unwrap();
    fixture
        .casework
        .set_up(&token, "ada", PASSWORD, &peer())
        .await
        .unwrap()
}

fn session(signed_in: &SignedIn) -> Credential {
    Credential::Session(signed_in.secret.clone().unwrap())
}

#[tokio::test]
async fn the_setup_link_opens_once() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    assert!(casework.setup_required().await.unwrap());
    let old = casework.setup_link_token().await.unwrap().unwrap();
    let token = casework.setup_link_token().await.unwrap().unwrap();
    for (link, password) in [(old.as_str(), PASSWORD), ("nonsense", PASSWORD)] {
        let refused = casework.set_up(link, "ada", password, &peer()).await;
        assert!(matches!(refused, Err(SignInError::BadSetupLink)), "{link}");
    }
    for weak in ["short", "aaaaaaaaaaaaaaaa", "Administrator", "password1234"] {
        let refused = casework.set_up(&token, "ada", weak, &peer()).await;
        let is_weak = matches!(
            refused,
            Err(SignInError::Casework(CaseworkError::Invalid {
                field: "password",
                ..
            }))
        );
        assert!(is_weak, "{weak}");
    }
    let admin = casework
        .set_up(&token, "ada", PASSWORD, &peer())
        .await
        .unwrap();
    assert_eq!(admin.user.as_ref().unwrap().role, Role::Admin);
    let again = casework.set_up(&token, "eve", PASSWORD, &peer()).await;
    assert!(matches!(again, Err(SignInError::BadSetupLink)));
    assert_eq!(casework.setup_link_token().await.unwrap(), None);
    assert!(casework.identify(&session(&admin)).await.unwrap().is_some());
}

#[tokio::test]
async fn sessions_end_and_are_renewed() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let first = set_up(&fixture).await;
    let second = casework
        .sign_in("ADA", PASSWORD, first.secret.as_deref(), &peer())
        .await
        .unwrap();
    assert_ne!(first.secret, second.secret);
    assert!(
        casework.identify(&session(&first)).await.unwrap().is_none(),
        "renewed"
    );
    fixture.clock.advance(SignedDuration::from_hours(11));
    assert!(
        casework
            .identify(&session(&second))
            .await
            .unwrap()
            .is_some()
    );
    fixture.clock.advance(SignedDuration::from_hours(11));
    assert!(
        casework
            .identify(&session(&second))
            .await
            .unwrap()
            .is_some(),
        "was used"
    );
    fixture.clock.advance(SignedDuration::from_hours(13));
    assert!(
        casework
            .identify(&session(&second))
            .await
            .unwrap()
            .is_none(),
        "idle"
    );
    let third = casework
        .sign_in("ada", PASSWORD, None, &peer())
        .await
        .unwrap();
    for _ in 0..15 {
        fixture.clock.advance(SignedDuration::from_hours(11));
        casework.identify(&session(&third)).await.unwrap();
    }
    fixture.clock.advance(SignedDuration::from_hours(4));
    assert!(
        casework.identify(&session(&third)).await.unwrap().is_none(),
        "seven days"
    );
    let fourth = casework
        .sign_in("ada", PASSWORD, None, &peer())
        .await
        .unwrap();
    casework.sign_out(&fourth.actor).await.unwrap();
    assert!(
        casework
            .identify(&session(&fourth))
            .await
            .unwrap()
            .is_none(),
        "signed out"
    );
}

#[tokio::test]
async fn a_new_password_ends_other_sessions() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let first = set_up(&fixture).await;
    let second = casework
        .sign_in("ada", PASSWORD, None, &peer())
        .await
        .unwrap();
    let wrong = casework
        .change_password(&second.actor, "wrong", "another long secret")
        .await;
    assert!(matches!(wrong, Err(SignInError::BadCredentials)));
    casework
        .change_password(&second.actor, PASSWORD, "another long secret")
        .await
        .unwrap();
    assert!(casework.identify(&session(&first)).await.unwrap().is_none());
    assert!(
        casework
            .identify(&session(&second))
            .await
            .unwrap()
            .is_some()
    );
    let old = casework.sign_in("ada", PASSWORD, None, &peer()).await;
    assert!(matches!(old, Err(SignInError::BadCredentials)));
}

#[tokio::test]
async fn guessing_is_slowed_down_per_name_and_address() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    set_up(&fixture).await;
    for _ in 0..5 {
        let refused = casework.sign_in("ada", "wrong", None, &peer()).await;
        assert!(matches!(refused, Err(SignInError::BadCredentials)));
    }
    let elsewhere = Peer {
        address: "192.0.2.2".to_owned(),
        ..peer()
    };
    for (name, from) in [("ada", &elsewhere), ("bob", &peer())] {
        let slowed = casework.sign_in(name, PASSWORD, None, from).await;
        assert!(
            matches!(slowed, Err(SignInError::RateLimited { .. })),
            "{name}"
        );
    }
    fixture.clock.advance(SignedDuration::from_secs(31));
    let started = std::time::Instant::now();
    casework
        .sign_in("ada", PASSWORD, None, &peer())
        .await
        .unwrap();
    println!("sign-in took {:?}", started.elapsed());
}

#[tokio::test]
async fn tokens_do_what_their_scope_says() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let admin = set_up(&fixture).await.actor;
    for (scope, may, may_not) in [
        (Scope::Ingest, Permission::Ingest, Permission::ReadCases),
        (Scope::Read, Permission::ReadEvents, Permission::WorkCases),
        (Scope::Write, Permission::WorkCases, Permission::ManageUsers),
    ] {
        let made = casework
            .add_token(&admin, "t", vec![scope], 30)
            .await
            .unwrap();
        assert!(made.secret.starts_with("wf_"));
        let credential = Credential::Token(made.secret);
        let actor = casework.identify(&credential).await.unwrap().unwrap().actor;
        assert!(actor.may(may) && !actor.may(may_not), "{scope}");
        casework.revoke_token(&admin, &made.token.id).await.unwrap();
        assert!(
            casework.identify(&credential).await.unwrap().is_none(),
            "revoked"
        );
    }
    let made = casework
        .add_token(&admin, "t", vec![Scope::Read], 1)
        .await
        .unwrap();
    fixture.clock.advance(SignedDuration::from_hours(25));
    let over = casework
        .identify(&Credential::Token(made.secret))
        .await
        .unwrap();
    assert!(over.is_none(), "its time is over");
}

#[tokio::test]
async fn who_may_do_what() {
    use Permission as P;
    let matrix: [(Role, &[Permission]); 4] = [
        (Role::Viewer, &[P::ReadCases, P::ReadEvents, P::ReadMonitor]),
        (
            Role::Analyst,
            &[
                P::ReadCases,
                P::ReadEvents,
                P::ReadMonitor,
                P::WorkCases,
                P::ProposeActions,
                P::RunPlaybooks,
            ],
        ),
        (
            Role::Lead,
            &[
                P::ReadCases,
                P::ReadEvents,
                P::ReadMonitor,
                P::WorkCases,
                P::ProposeActions,
                P::ApproveActions,
                P::RunPlaybooks,
                P::ManagePlaybooks,
                P::ManageDuty,
                P::ManageSuppressions,
                P::ManageRules,
                P::ReadAudit,
            ],
        ),
        (Role::Admin, Permission::ALL),
    ];
    let fixture = fixture().await;
    let casework = &fixture.casework;
    for (role, expected) in matrix {
        let mut actor = system();
        actor.permissions = role.permissions();
        for permission in Permission::ALL {
            let may = casework.authorize(&actor, *permission).is_ok();
            assert_eq!(may, expected.contains(permission), "{role} {permission}");
        }
        let page = watchfloor_casework::PageRequest::new(None, None);
        let audit = casework.audit(&actor, &page).await;
        assert_eq!(audit.is_ok(), expected.contains(&P::ReadAudit), "{role}");
        let incident = casework.create_incident(&actor, "By hand", None, &[]).await;
        assert_eq!(incident.is_ok(), expected.contains(&P::WorkCases), "{role}");
        let name = format!("by-{role}");
        let user = casework
            .add_user(&actor, &name, PASSWORD, Role::Viewer)
            .await;
        assert_eq!(user.is_ok(), expected.contains(&P::ManageUsers), "{role}");
    }
}

#[tokio::test]
async fn one_admin_remains() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let ada = set_up(&fixture).await;
    let id = ada.user.as_ref().unwrap().id.clone();
    for (role, disabled) in [(Some(Role::Viewer), None), (None, Some(true))] {
        let refused = casework.patch_user(&ada.actor, &id, role, disabled).await;
        assert!(matches!(refused, Err(CaseworkError::Invalid { .. })));
    }
    let bob = casework
        .add_user(&ada.actor, "bob", PASSWORD, Role::Admin)
        .await
        .unwrap();
    let twice = casework
        .add_user(&ada.actor, "BOB", PASSWORD, Role::Viewer)
        .await;
    assert!(matches!(twice, Err(CaseworkError::Taken { .. })));
    let session = casework
        .sign_in("bob", PASSWORD, None, &peer())
        .await
        .unwrap();
    casework
        .patch_user(&ada.actor, &bob.id, None, Some(true))
        .await
        .unwrap();
    let credential = Credential::Session(session.secret.unwrap());
    assert!(
        casework.identify(&credential).await.unwrap().is_none(),
        "disabled"
    );
}
