//! What is told once although the agent is killed all the time: changes of files, and inventories.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use watchfloor_link::IntegrityPath;

use crate::server::{Agent, Server, WAIT, quiet_policy};

/// How often each was told.
fn counts(server: &Server, kind: &str, name: impl Fn(&Value) -> String) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for one in server.heard.lock().unwrap().of_kind(kind) {
        *counts.entry(name(&one)).or_default() += 1;
    }
    counts
}

#[test]
fn changes_of_files_are_told_once_over_kills() {
    let server = Server::start();
    let mut agent = Agent::new();
    let place = agent.folder.path().join("etc");
    fs::create_dir(&place).unwrap();
    agent.enrol(&server);
    let mut policy = quiet_policy(&agent.log());
    policy.integrity = vec![IntegrityPath {
        with_diff: true,
        ..IntegrityPath::plain(&place.to_string_lossy())
    }];
    agent.set_policy(&policy);
    agent.run();
    let until = Instant::now() + WAIT;
    while !agent.data().join("integrity/roots.json").exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut made = 0;
    let mut make = |count: u32| {
        for _ in 0..count {
            // Whole at once: what is seen half is another change.
            let beside = agent_file(&place, "beside");
            fs::write(&beside, format!("file {made}\n")).unwrap();
            fs::rename(beside, place.join(format!("f{made:04}"))).unwrap();
            made += 1;
        }
        made
    };
    for round in 0..10 {
        for _ in 0..8 {
            make(25);
            std::thread::sleep(Duration::from_millis(40 + 13 * round));
        }
        agent.kill();
        make(20);
        agent.run();
        std::thread::sleep(Duration::from_millis(31 * round));
    }
    let made = make(1) as usize;
    let path = |one: &Value| one["path"].as_str().unwrap().to_owned();
    let until = Instant::now() + WAIT;
    while counts(&server, "file_created", path).len() < made {
        let told = counts(&server, "file_created", path).len();
        assert!(Instant::now() < until, "{told} of {made}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let twice: Vec<_> = counts(&server, "file_created", path)
        .into_iter()
        .filter(|(_, count)| *count != 1)
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(counts(&server, "file_modified", path).is_empty());
    let heard = server.heard.lock().unwrap();
    let created = heard.of_kind("file_created");
    let is_whole = |one: &Value| {
        one["diff"]
            .as_str()
            .is_some_and(|diff| diff.contains("+file "))
    };
    assert!(created.iter().all(is_whole), "each with its text");
}

/// A file beside the folder that is watched.
fn agent_file(place: &std::path::Path, name: &str) -> std::path::PathBuf {
    place.with_file_name(name)
}

#[test]
fn rows_of_inventories_are_told_once_over_kills() {
    let server = Server::start();
    let mut agent = Agent::new();
    agent.enrol(&server);
    let mut policy = quiet_policy(&agent.log());
    policy.inventory_every_s = 1;
    agent.set_policy(&policy);
    // The first look comes after two seconds; the kills fall into it and behind it.
    for round in 0..12 {
        agent.run();
        std::thread::sleep(Duration::from_millis(2_000 + 60 * round));
        agent.kill();
    }
    agent.run();
    server.wait("all kinds", |heard| {
        let all = heard.of_kind("module_inventory").len() + heard.of_kind("timer_inventory").len();
        (all > 0).then_some(())
    });
    std::thread::sleep(Duration::from_secs(4));
    let row = |one: &Value| {
        let words = [
            "manager", "name", "arch", "path", "user", "group", "service",
        ];
        words.map(|word| one[word].to_string()).join(" ")
    };
    for kind in [
        "package_inventory",
        "user_inventory",
        "group_inventory",
        "service_inventory",
    ] {
        let counts = counts(&server, kind, row);
        assert!(!counts.is_empty(), "{kind}");
        let twice: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| *count != 1)
            .collect();
        assert!(twice.is_empty(), "{kind}: {twice:?}");
    }
    let packages = counts(&server, "package_inventory", row).len();
    let dpkg = fs::read_to_string("/var/lib/dpkg/status").unwrap_or_default();
    let installed = dpkg.matches("\nStatus: install ok installed").count();
    assert!(packages >= installed, "{packages} of {installed}");
}
