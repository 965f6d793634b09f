//! Isolation between hosts in network namespaces over a bridge: an isolated host reaches the server
//! and nothing else, and is back after undo or after its time, also when the server is gone.

mod iptables;
mod lease;
mod net;
#[path = "../link/server.rs"]
#[allow(dead_code)]
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use net::{Net, listen_here};

use server::{Agent, Server, WAIT, now_ms, quiet_policy};
use watchfloor_link::{Act, ActOutcome};

fn act(key: &str, kind: &str, undo_after_ms: Option<i64>) -> Act {
    Act {
        key: key.to_owned(),
        kind: kind.to_owned(),
        arguments: BTreeMap::new(),
        undo_at_ms: undo_after_ms.map(|ms| now_ms() + ms),
        not_after_ms: now_ms() + 60_000,
        redone: 0,
    }
}

fn evidence(outcome: ActOutcome) -> BTreeMap<String, String> {
    match outcome {
        ActOutcome::Done { evidence, .. } => evidence,
        other => panic!("{other:?}"),
    }
}

/// The agent on host `a`.
fn agent_on(net: &Net, server: &Server) -> Agent {
    let mut agent = Agent::new();
    agent.wrap = net.wrap("a");
    begin(agent, server, &server.address.to_string())
}

/// Enrols an agent with a server under this address, and runs it.
fn begin(mut agent: Agent, server: &Server, address: &str) -> Agent {
    let output = agent.try_enrol(address, &server.token());
    assert!(output.status.success(), "{output:?}");
    agent.set_policy(&quiet_policy(&agent.log()));
    agent.run();
    server.wait_connected();
    agent
}

#[test]
fn an_isolated_host_reaches_the_server_and_nothing_else_until_it_is_released() {
    let Some(net) = Net::new(201) else { return };
    let server = Server::start_at("10.77.201.1:0", Default::default(), Default::default());
    let _b = net.listen("b", 8000);
    let _a = net.listen("a", 8000);
    let other = listen_here("10.77.201.1:0");
    let agent = agent_on(&net, &server);
    let reaches = || {
        [
            net.reaches("a", "10.77.201.3", 8000),
            net.reaches("b", "10.77.201.2", 8000),
            net.reaches("a", "10.77.201.1", other),
            net.pings("a", "10.77.201.3"),
            net.pings("a", "10.77.201.1"),
        ]
    };
    assert_eq!(reaches(), [true; 5]);
    server.act(&act("k1", "isolate_host", None));
    let proof = evidence(server.outcome("k1"));
    assert_eq!(proof["reachable"], server.address.to_string());
    assert_eq!(reaches(), [false; 5]);
    assert!(
        net.reaches("a", "127.0.0.1", 8000),
        "the host itself is there"
    );
    server.wait("isolation", |heard| {
        heard
            .health
            .as_ref()
            .filter(|one| one.is_isolated)
            .map(|_| ())
    });
    // Also while it is isolated everything comes.
    let mut log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(agent.log())
        .unwrap();
    log.write_all(b"still here\n").unwrap();
    server.wait("a line", |heard| {
        heard
            .messages()
            .contains(&"still here".to_owned())
            .then_some(())
    });
    server.act(&act("k2", "release_host", None));
    evidence(server.outcome("k2"));
    assert_eq!(reaches(), [true; 5]);
    server.wait("release", |heard| {
        heard
            .health
            .as_ref()
            .filter(|one| !one.is_isolated)
            .map(|_| ())
    });
}

#[test]
fn isolation_outlives_the_agent_and_ends_in_time_without_the_server() {
    let Some(net) = Net::new(202) else { return };
    let server = Server::start_at("10.77.202.1:0", Default::default(), Default::default());
    let _b = net.listen("b", 8000);
    let mut agent = agent_on(&net, &server);
    let reaches = || net.reaches("a", "10.77.202.3", 8000);
    assert!(reaches());
    let isolate = act("k1", "isolate_host", Some(9_000));
    server.act(&isolate);
    evidence(server.outcome("k1"));
    let (address, authority, heard) = server.stop();
    agent.kill();
    assert!(!reaches(), "rules do not end with the agent");
    // Somebody takes the rules away while the agent does not run.
    let flushed = net
        .on("a", "nft")
        .args(["delete", "table", "inet", "watchfloor_isolation"])
        .status();
    assert!(flushed.unwrap().success() && reaches());
    agent.run();
    let until = Instant::now() + Duration::from_secs(4);
    while reaches() && Instant::now() < until {}
    assert!(!reaches(), "the agent puts them back at its start");
    let until = Instant::now() + WAIT;
    while !reaches() {
        assert!(Instant::now() < until, "the time limit does not hold");
    }
    assert!(now_ms() >= isolate.undo_at_ms.unwrap());
    let server = Server::start_at(&address, authority, heard);
    let undone = server.wait("a record", |heard| heard.of_kind("action_undone").pop());
    assert_eq!(undone["outcome"], "done");
}

#[test]
fn an_agent_that_lost_its_server_comes_back_through_isolation() {
    let Some(net) = Net::new(203) else { return };
    let server = Server::start_at("10.77.203.1:0", Default::default(), Default::default());
    let _agent = agent_on(&net, &server);
    server.act(&act("k1", "isolate_host", None));
    evidence(server.outcome("k1"));
    let (address, authority, heard) = server.stop();
    let hellos = heard.lock().unwrap().hellos;
    let server = Server::start_at(&address, authority, heard);
    server.wait("the agent", |heard| (heard.hellos > hellos).then_some(()));
}

#[test]
fn a_blocked_address_is_out_of_reach_both_ways() {
    let Some(net) = Net::new(204) else { return };
    let server = Server::start_at("10.77.204.1:0", Default::default(), Default::default());
    let (_a, _b) = (net.listen("a", 8000), net.listen("b", 8000));
    let _agent = agent_on(&net, &server);
    let reaches = || {
        [
            net.reaches("a", "10.77.204.3", 8000),
            net.reaches("b", "10.77.204.2", 8000),
        ]
    };
    assert_eq!(reaches(), [true; 2]);
    let address = BTreeMap::from([("address".to_owned(), "10.77.204.3".into())]);
    let block = Act {
        arguments: address.clone(),
        ..act("k1", "block_address", None)
    };
    server.act(&block);
    evidence(server.outcome("k1"));
    assert_eq!(reaches(), [false; 2]);
    let unblock = Act {
        arguments: address,
        ..act("k2", "unblock_address", None)
    };
    server.act(&unblock);
    evidence(server.outcome("k2"));
    assert_eq!(reaches(), [true; 2]);
}
