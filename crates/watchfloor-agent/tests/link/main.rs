//! The agent as a process, with a server that speaks its language.

mod certificate;
mod extra;
mod once;
mod server;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use server::{Agent, Authority, Server, now_ms, quiet_policy};
use watchfloor_link::{Act, ActOutcome, LogFile, ToAgent};

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|one| format!("line {one}\n")).collect()
}

fn expected(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|one| format!("line {one}")).collect()
}

fn wait_for_messages(server: &Server, count: usize) -> Vec<String> {
    server.wait(&format!("{count} messages"), |heard| {
        let messages = heard.messages();
        (messages.len() >= count).then_some(messages)
    })
}

/// Waits until the agent has taken a first look at its files.
fn wait_for_first_look(agent: &Agent) {
    let until = Instant::now() + server::WAIT;
    let spool = agent.data().join("spool");
    loop {
        let has_mark = fs::read_dir(&spool)
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| {
                let bytes = fs::read(entry.path()).unwrap_or_default();
                bytes.windows(5).any(|part| part == b"glob:")
            });
        if has_mark {
            return;
        }
        assert!(
            Instant::now() < until,
            "the agent does not look at its files"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn act(key: &str, kind: &str, arguments: Value) -> Act {
    Act {
        key: key.to_owned(),
        kind: kind.to_owned(),
        arguments: serde_json::from_value(arguments).unwrap(),
        undo_at_ms: None,
        not_after_ms: now_ms() + 60_000,
        redone: 0,
    }
}

fn reason(outcome: ActOutcome) -> String {
    match outcome {
        ActOutcome::Failed { reason } => reason,
        other => panic!("{other:?} and no failure"),
    }
}

fn evidence(outcome: ActOutcome) -> BTreeMap<String, String> {
    match outcome {
        ActOutcome::Done { evidence, .. } => evidence,
        other => panic!("{other:?} and not done"),
    }
}

#[test]
fn an_agent_is_enrolled_once_and_tells_how_it_is() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    assert_eq!(server.heard.lock().unwrap().enrolments, ["ab".repeat(32)]);
    let again = agent.try_enrol(&server.address.to_string(), &server.token());
    assert!(!again.status.success());
    let health = server.wait("health", |heard| heard.health.clone());
    assert!(health.memory_bytes > 0);
    let started = server.wait("the first record", |heard| {
        heard.of_kind("agent_started").pop()
    });
    assert_eq!(started["watchfloor"]["agent"], "agent-1");
    let until = Instant::now() + server::WAIT;
    while !agent.status().contains("state       connected") {
        assert!(Instant::now() < until && agent.is_running());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_server_with_another_authority_gets_no_token() {
    let server = Server::start();
    let agent = Agent::new();
    let token = format!("wfe1.{}.{}", "ab".repeat(32), Authority::new().pin());
    let output = agent.try_enrol(&server.address.to_string(), &token);
    assert!(!output.status.success());
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        words.contains("not the server that made the token"),
        "{words}"
    );
    assert!(server.heard.lock().unwrap().enrolments.is_empty());
    assert!(!agent.data().join("settings.json").exists());
}

#[test]
fn lines_come_once_in_order_while_files_are_moved_and_cut() {
    let server = Server::start();
    let mut agent = Agent::new();
    let log = agent.log();
    append(&log, "before\n");
    agent.enrol(&server);
    agent.set_policy(&quiet_policy(&log));
    agent.run();
    wait_for_first_look(&agent);
    append(&log, &lines(0..10));
    assert_eq!(wait_for_messages(&server, 10), expected(0..10));
    // Moved away, with more in it; another one takes its place.
    fs::rename(&log, log.with_extension("1")).unwrap();
    append(&log.with_extension("1"), &lines(10..20));
    wait_for_messages(&server, 20);
    append(&log, &lines(20..30));
    wait_for_messages(&server, 30);
    // Cut to nothing and written on.
    fs::write(&log, lines(30..32)).unwrap();
    assert_eq!(wait_for_messages(&server, 32), expected(0..32));
}

#[test]
fn nothing_is_lost_or_doubled_by_kills() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    let log = agent.log();
    wait_for_first_look(&agent);
    let mut written = 0;
    for round in 0..8 {
        for _ in 0..20 {
            append(&log, &lines(written..written + 50));
            written += 50;
            std::thread::sleep(Duration::from_millis(10));
        }
        std::thread::sleep(Duration::from_millis(80 * round));
        agent.kill();
        if round == 4 {
            // Moved away while nobody looked.
            fs::rename(&log, log.with_extension("1")).unwrap();
        }
        agent.run();
    }
    let messages = wait_for_messages(&server, written as usize);
    assert_eq!(messages, expected(0..written));
}

#[test]
fn what_happens_while_the_server_is_away_comes_when_it_is_back() {
    let server = Server::start();
    let agent = Agent::begin(&server);
    wait_for_first_look(&agent);
    append(&agent.log(), &lines(0..5));
    wait_for_messages(&server, 5);
    let (address, authority, heard) = server.stop();
    append(&agent.log(), &lines(5..2_000));
    std::thread::sleep(Duration::from_millis(700));
    let server = Server::start_at(&address, authority, heard);
    assert_eq!(wait_for_messages(&server, 2_000), expected(0..2_000));
    assert!(server.heard.lock().unwrap().hellos >= 2);
    let spool = server.wait("an empty queue", |heard| {
        heard
            .health
            .clone()
            .filter(|health| health.queue_records == 0)
    });
    assert!(spool.dropped.is_empty());
}

#[test]
fn a_server_that_asks_to_hold_gets_all_later() {
    let server = Server::start();
    let agent = Agent::begin(&server);
    wait_for_first_look(&agent);
    server.heard.lock().unwrap().is_holding = true;
    append(&agent.log(), &lines(0..100));
    server.wait("a held message", |heard| (heard.held >= 2).then_some(()));
    server.heard.lock().unwrap().is_holding = false;
    assert_eq!(wait_for_messages(&server, 100), expected(0..100));
}

#[test]
fn another_epoch_frees_nothing() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    wait_for_first_look(&agent);
    server.heard.lock().unwrap().is_silent = true;
    append(&agent.log(), &lines(0..10));
    wait_for_messages(&server, 10);
    server.say(ToAgent::Stored {
        epoch: 1,
        through: 1_000,
    });
    server.wait("a queue", |heard| {
        heard
            .health
            .as_ref()
            .filter(|health| health.queue_records >= 10)
            .map(|_| ())
    });
    agent.kill();
    server.heard.lock().unwrap().records.clear();
    agent.run();
    assert_eq!(
        wait_for_messages(&server, 10),
        expected(0..10),
        "they are sent again"
    );
}

#[test]
fn a_policy_is_followed_at_once_and_kept() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    let other = agent.folder.path().join("other.txt");
    let mut policy = quiet_policy(&agent.log());
    policy.revision = 7;
    policy.log_files.push(LogFile {
        path: other.to_string_lossy().into_owned(),
        product: Some("door".to_owned()),
    });
    server.say(ToAgent::Policy {
        policy: Box::new(policy),
    });
    server.wait("the policy in force", |heard| {
        (heard.policy == 7).then_some(())
    });
    std::thread::sleep(Duration::from_secs(3));
    append(&other, "opened\n");
    let record = server.wait("a line", |heard| heard.of_kind("log").pop());
    assert_eq!(record["message"], "opened");
    assert_eq!(record["watchfloor"]["product"], "door");
    assert_eq!(
        record["log"]["file"]["path"],
        other.to_string_lossy().as_ref()
    );
    agent.kill();
    let hellos = server.heard.lock().unwrap().hellos;
    server.heard.lock().unwrap().policy = 0;
    agent.run();
    server.wait("the next hello", |heard| {
        (heard.hellos > hellos).then_some(())
    });
    assert_eq!(server.heard.lock().unwrap().policy, 7);
}

#[test]
fn what_is_not_on_the_list_or_comes_too_late_is_refused() {
    let server = Server::start();
    let _agent = Agent::begin(&server);
    server.act(&act("k1", "run_program", json!({"program": "/bin/sh"})));
    assert!(reason(server.outcome("k1")).contains("not on this agent's list"));
    let late = Act {
        not_after_ms: now_ms() - 1_000,
        ..act("k2", "isolate_host", json!({}))
    };
    server.act(&late);
    assert!(reason(server.outcome("k2")).contains("too late"));
    server.act(&act(
        "k3",
        "quarantine_file",
        json!({"path": "../etc/passwd"}),
    ));
    assert!(reason(server.outcome("k3")).contains("absolute path"));
}

#[test]
fn a_repeated_key_is_done_once() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    let path = agent.folder.path().join("tool");
    fs::write(&path, "one").unwrap();
    let take = act(
        "k1",
        "quarantine_file",
        json!({"path": path, "host": "ws-042"}),
    );
    server.act(&take);
    let first = evidence(server.outcome("k1"));
    assert!(!path.exists());
    fs::write(&path, "two").unwrap();
    server.act(&take);
    assert_eq!(evidence(server.outcome("k1")), first);
    agent.kill();
    agent.run();
    server.wait("the next hello", |heard| (heard.hellos >= 2).then_some(()));
    server.act(&take);
    assert_eq!(evidence(server.outcome("k1")), first);
    assert_eq!(fs::read(&path).unwrap(), b"two");
    let done = server.wait("a record of it", |heard| heard.of_kind("action_done").pop());
    assert_eq!(done["action"], "quarantine_file");
}

/// An end of the agent cuts an action short, and the server gives it again the moment it is back.
#[test]
fn what_was_cut_short_is_uncertain_and_done_again_only_when_a_person_says_so() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    let path = agent.folder.path().join("tool");
    let take = act("k1", "quarantine_file", json!({"path": path}));
    agent.kill();
    let begun = json!({"line": "begun", "act": take, "at_ms": now_ms(), "deadline": null});
    append(&agent.data().join("actions.log"), &format!("{begun}\n"));
    fs::write(&path, "one").unwrap();
    agent.run();
    let uncertain = server.outcome("k1");
    assert!(
        matches!(uncertain, ActOutcome::Uncertain { .. }),
        "{uncertain:?}"
    );
    let asked_again = Act {
        not_after_ms: now_ms() + 120_000,
        ..take
    };
    server.act(&asked_again);
    assert_eq!(server.outcome("k1"), uncertain);
    assert!(path.exists(), "it was not begun a second time");
    server.act(&Act {
        redone: 1,
        ..asked_again
    });
    evidence(server.outcome("k1"));
    assert!(!path.exists());
}

#[test]
fn time_limits_hold_while_the_server_is_away_and_over_kills() {
    let server = Server::start();
    let mut agent = Agent::begin(&server);
    let path = agent.folder.path().join("tool");
    fs::write(&path, "one").unwrap();
    let take = Act {
        undo_at_ms: Some(now_ms() + 4_000),
        ..act("k1", "quarantine_file", json!({"path": path}))
    };
    server.act(&take);
    evidence(server.outcome("k1"));
    let health = server.wait("the time", |heard| {
        heard
            .health
            .clone()
            .filter(|health| !health.undo_at_ms.is_empty())
    });
    assert_eq!(health.undo_at_ms["k1"], take.undo_at_ms.unwrap());
    let (address, authority, heard) = server.stop();
    agent.kill();
    assert!(!path.exists());
    agent.run();
    let until = Instant::now() + server::WAIT;
    while !path.exists() {
        assert!(Instant::now() < until, "it was not given back");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(now_ms() >= take.undo_at_ms.unwrap());
    let server = Server::start_at(&address, authority, heard);
    let undone = server.wait("a record of it", |heard| {
        heard.of_kind("action_undone").pop()
    });
    assert_eq!(undone["key"], "k1");
}

#[test]
fn files_are_looked_through_with_rules() {
    let server = Server::start();
    let agent = Agent::begin(&server);
    let place = agent.folder.path().join("web");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("a.php"), "<?php system($_GET['cmd']); ?>").unwrap();
    fs::write(place.join("b.php"), "<?php echo 1; ?>").unwrap();
    let rules = r#"rule shell : web { strings: $a = "system($_GET" condition: $a }"#;
    server.act(&act(
        "k1",
        "scan_files",
        json!({"rules": rules, "paths": [place]}),
    ));
    let proof = evidence(server.outcome("k1"));
    assert_eq!(
        (proof["files"].as_str(), proof["matches"].as_str()),
        ("2", "1")
    );
    let found = server.wait("a match", |heard| heard.of_kind("yara_match").pop());
    assert_eq!(found["rule"], "shell");
    server.act(&act(
        "k2",
        "scan_files",
        json!({"rules": "rule", "paths": [place]}),
    ));
    assert!(reason(server.outcome("k2")).contains("rules cannot be used"));
}

#[test]
fn triage_comes_as_one_file_with_a_list() {
    let server = Server::start();
    let agent = Agent::begin(&server);
    let place = agent.folder.path().join("etc");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("a.conf"), "a = 1").unwrap();
    fs::write(place.join("b.conf"), "x".repeat(2_000_000)).unwrap();
    let mut policy = quiet_policy(&agent.log());
    policy.revision = 2;
    let artifact = json!({"paths": [format!("{}/*.conf", place.display())], "states": ["processes", "nonsense"], "file_bytes_max": 1_000_000});
    policy.artifacts.insert(
        "configs".to_owned(),
        serde_json::from_value(artifact).unwrap(),
    );
    server.say(ToAgent::Policy {
        policy: Box::new(policy),
    });
    server.wait("the policy in force", |heard| {
        (heard.policy == 2).then_some(())
    });
    server.act(&act(
        "k1",
        "collect_triage",
        json!({"artifacts": ["configs"]}),
    ));
    let proof = evidence(server.outcome("k1"));
    let heard = server.heard.lock().unwrap();
    let bytes = &heard.files[&proof["file"]];
    assert_eq!(heard.hashes[&proof["file"]], proof["sha256"]);
    assert_eq!(
        hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes)),
        proof["sha256"]
    );
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let mut names = Vec::new();
    let mut manifest = Value::Null;
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        if name == "manifest.json" {
            manifest = serde_json::from_reader(entry).unwrap();
        }
        names.push(name);
    }
    assert!(names.iter().any(|name| name.ends_with("/etc/a.conf")));
    assert!(!names.iter().any(|name| name.ends_with("/etc/b.conf")));
    let left_out: Vec<&Value> = manifest
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["left_out"].is_string())
        .collect();
    assert_eq!(left_out.len(), 2, "{manifest}");
}
