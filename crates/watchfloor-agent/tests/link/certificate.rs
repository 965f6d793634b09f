//! Certificates: their renewal, and what an agent says whose certificate is over.

use std::fs;

use crate::server::{Agent, Server, WAIT, quiet_policy};
use crate::{append, expected, lines, wait_for_first_look, wait_for_messages};

#[test]
fn a_certificate_is_renewed_at_two_thirds_of_its_life() {
    let server = Server::start();
    *server.authority.life_s.lock().unwrap() = (-60, 20);
    let mut agent = Agent::new();
    agent.enrol(&server);
    agent.set_policy(&quiet_policy(&agent.log()));
    let identity = || fs::read(agent.data().join("identity.pem")).unwrap();
    let before = identity();
    *server.authority.life_s.lock().unwrap() = (-60, 86_400);
    agent.run();
    // It comes again with the new one, and is content with it.
    server.wait("the new certificate in use", |heard| {
        (heard.renewals >= 1 && heard.hellos >= 2).then_some(())
    });
    assert_ne!(fs::read(agent.data().join("identity.pem")).unwrap(), before);
    wait_for_first_look(&agent);
    append(&agent.log(), &lines(0..5));
    assert_eq!(wait_for_messages(&server, 5), expected(0..5));
    assert_eq!(server.heard.lock().unwrap().renewals, 1);
}

#[test]
fn an_agent_that_was_away_past_the_end_says_what_to_do_and_loses_nothing() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    wait_for_first_look(&agent);
    append(&agent.log(), &lines(0..5));
    wait_for_messages(&server, 5);
    agent.kill();
    // As if it had been away for so long: what it has was over yesterday.
    let away = Agent::new();
    *server.authority.life_s.lock().unwrap() = (-90 * 86_400, -86_400);
    away.enrol(&server);
    fs::copy(
        away.data().join("identity.pem"),
        agent.data().join("identity.pem"),
    )
    .unwrap();
    append(&agent.log(), &lines(5..10));
    let hellos = server.heard.lock().unwrap().hellos;
    agent.run();
    let until = std::time::Instant::now() + WAIT;
    let words = loop {
        let status = agent.status();
        if status.contains("was over on") {
            break status;
        }
        assert!(std::time::Instant::now() < until, "{status}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    assert!(words.contains("take a new line under Fleet") && words.contains("--again"));
    assert_eq!(server.heard.lock().unwrap().hellos, hellos);
    // Enrolled again while it runs, it starts anew under its new name, with all that it has.
    *server.authority.life_s.lock().unwrap() = (-60, 86_400);
    "agent-2".clone_into(&mut server.authority.agent.lock().unwrap());
    let (address, token) = (server.address.to_string(), server.token());
    let refused = agent.try_enrol(&address, &token);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--again"));
    let again = agent.try_enrol_with(&address, &token, &["--again"]);
    assert!(again.status.success(), "{again:?}");
    assert_eq!(wait_for_messages(&server, 10), expected(0..10));
    server.wait("its start under the new name", |heard| {
        let all = heard.of_kind("agent_started");
        let mut names = all.iter().map(|one| &one["watchfloor"]["agent"]);
        names.any(|name| name == "agent-2").then_some(())
    });
}
