//! Updates, and collectors that need what not every machine gives.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use ring::signature::Ed25519KeyPair;
use serde_json::json;
use watchfloor_link::{IntegrityPath, ProcessEvents, ToAgent};

use crate::server::{Agent, Server, WAIT, quiet_policy};

/// An agent whose binary may be replaced.
fn movable(server: &Server) -> Agent {
    let mut agent = Agent::new();
    let own = agent.folder.path().join("watchfloor-agent");
    fs::copy(&agent.binary, &own).unwrap();
    agent.binary = own;
    agent.enrol(server);
    agent.set_policy(&quiet_policy(&agent.log()));
    agent.run();
    server.wait_connected();
    agent
}

/// A program that says a version, and writes down that it was run.
fn script(version: &str, mark: &std::path::Path) -> Vec<u8> {
    format!(
        "#!/bin/sh\nif [ \"$1\" = version ]; then echo watchfloor-agent {version}; exit; fi\n\
         echo \"$@\" > {}\nexec sleep 300\n",
        mark.display()
    )
    .into_bytes()
}

/// The same agent with another version in it.
fn renumbered(agent: &Agent, version: &str) -> Vec<u8> {
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(own.len(), version.len());
    let mut bytes = fs::read(&agent.binary).unwrap();
    for at in 0..bytes.len() - own.len() {
        if &bytes[at..at + own.len()] == own.as_bytes() {
            bytes[at..at + own.len()].copy_from_slice(version.as_bytes());
        }
    }
    bytes
}

#[test]
fn a_signed_newer_version_takes_the_place_of_the_old_one() {
    let server = Server::start();
    let agent = movable(&server);
    let binary = renumbered(&agent, "0.9.0");
    server.offer("0.9.0", binary, &server.authority.update_key);
    let updated = server.wait("the new version", |heard| {
        heard.of_kind("agent_updated").pop()
    });
    assert_eq!(updated["version"], "0.9.0");
    assert_eq!(updated["watchfloor"]["agent_version"], "0.9.0");
    assert!(
        agent
            .binary
            .with_file_name("watchfloor-agent.previous")
            .exists()
    );
}

#[test]
fn a_version_that_does_not_reach_the_server_is_taken_back() {
    let server = Server::start();
    let mut agent = movable(&server);
    let binary = renumbered(&agent, "0.9.1");
    server.offer("0.9.1", binary, &server.authority.update_key);
    // The server goes away once it has given the binary out.
    let until = Instant::now() + WAIT;
    while !agent
        .binary
        .with_file_name("watchfloor-agent.previous")
        .exists()
    {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(2));
    }
    let (address, authority, heard) = server.stop();
    while agent
        .binary
        .with_file_name("watchfloor-agent.previous")
        .exists()
    {
        assert!(
            Instant::now() < until && agent.is_running(),
            "it was not taken back"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let server = Server::start_at(&address, authority, heard);
    let trouble = server.wait("the trouble", |heard| heard.of_kind("agent_trouble").pop());
    assert!(
        trouble["message"]
            .as_str()
            .unwrap()
            .contains("the one before is back")
    );
    server.wait_connected();
    server.wait("the one before", |heard| {
        let started = heard.of_kind("agent_started").pop()?;
        (started["version"] == env!("CARGO_PKG_VERSION")).then_some(())
    });
}

#[test]
fn what_the_server_did_not_sign_is_not_run() {
    let server = Server::start();
    let agent = movable(&server);
    let before = fs::read(&agent.binary).unwrap();
    let mark = agent.folder.path().join("ran");
    let other = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
    let refused = |count: usize| {
        server.wait("a refusal", |heard| {
            let all = heard.of_kind("agent_trouble");
            (all.len() >= count).then(|| all.last().unwrap()["message"].to_string())
        })
    };
    server.offer("9.9.9", script("9.9.9", &mark), &other);
    assert!(refused(1).contains("not signed"));
    server.offer(
        "0.0.1",
        script("0.0.1", &mark),
        &server.authority.update_key,
    );
    assert!(refused(2).contains("older"));
    // Signed, but it says another version.
    server.offer(
        "9.9.9",
        script("9.9.8", &mark),
        &server.authority.update_key,
    );
    assert!(refused(3).contains("it says that it is"));
    assert_eq!(fs::read(&agent.binary).unwrap(), before);
    assert!(!mark.exists());
}

#[test]
fn changes_of_files_say_before_after_and_difference() {
    let server = Server::start();
    let mut agent = Agent::new();
    let place = agent.folder.path().join("etc");
    fs::create_dir(&place).unwrap();
    fs::write(place.join("a.conf"), "one\ntwo\n").unwrap();
    agent.enrol(&server);
    let mut policy = quiet_policy(&agent.log());
    policy.integrity = vec![IntegrityPath {
        with_diff: true,
        exclude: vec!["*.swp".to_owned()],
        ..IntegrityPath::plain(&place.to_string_lossy())
    }];
    agent.set_policy(&policy);
    agent.run();
    let until = Instant::now() + WAIT;
    while !agent.data().join("integrity/roots.json").exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(20));
    }
    let wait = |kind: &'static str, name: &'static str| {
        server.wait(&format!("{kind} of {name}"), |heard| {
            let all = heard.of_kind(kind);
            all.into_iter()
                .rev()
                .find(|one| one["path"].as_str().unwrap().ends_with(name))
        })
    };
    fs::write(place.join("a.conf"), "one\nthree\n").unwrap();
    let record = wait("file_modified", "a.conf");
    assert_ne!(record["before"]["sha256"], record["after"]["sha256"]);
    let diff = record["diff"].as_str().unwrap();
    assert!(diff.contains("-two") && diff.contains("+three"), "{diff}");
    if rustix::process::geteuid().is_root() {
        assert_eq!(record["who"]["pid"], std::process::id());
    }
    fs::set_permissions(place.join("a.conf"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(wait("file_attributes", "a.conf")["after"]["mode"], "0600");
    fs::create_dir(place.join("d")).unwrap();
    fs::write(place.join("d/b.conf"), "x").unwrap();
    wait("file_created", "d/b.conf");
    fs::write(place.join("d/.x.swp"), "x").unwrap();
    fs::rename(place.join("d/b.conf"), place.join("c.conf")).unwrap();
    assert!(
        wait("file_renamed", "c.conf")["old_path"]
            .as_str()
            .unwrap()
            .ends_with("b.conf")
    );
    // While nobody looks.
    agent.kill();
    fs::remove_file(place.join("c.conf")).unwrap();
    fs::write(place.join("a.conf"), "four\n").unwrap();
    agent.run();
    wait("file_deleted", "c.conf");
    server.wait("the other change", |heard| {
        let all = heard.of_kind("file_modified");
        all.iter()
            .any(|one| {
                one["diff"]
                    .as_str()
                    .is_some_and(|diff| diff.contains("+four"))
            })
            .then_some(())
    });
    let heard = server.heard.lock().unwrap();
    assert!(
        !heard
            .of_kind("file_created")
            .iter()
            .any(|one| one["path"].to_string().contains(".swp"))
    );
}

#[test]
fn processes_ports_inventories_and_checks_are_told() {
    let server = Server::start();
    let mut agent = Agent::new();
    agent.enrol(&server);
    let mut policy = quiet_policy(&agent.log());
    policy.processes = ProcessEvents::Auto;
    policy.network = true;
    policy.inventory_every_s = 3_600;
    policy.checks_every_s = 3_600;
    policy.checks = serde_json::from_value(json!([{
        "id": "x", "title": "t", "rationale": "r", "remediation": "m", "severity": "low",
        "all": [{"probe": "file", "path": "/nowhere/at/all", "exists": true}]
    }]))
    .unwrap();
    agent.set_policy(&policy);
    agent.run();
    server.wait("an inventory", |heard| {
        let kinds = [
            "host_inventory",
            "process_inventory",
            "user_inventory",
            "listening_inventory",
        ];
        kinds
            .iter()
            .all(|kind| !heard.of_kind(kind).is_empty() || *kind == "listening_inventory")
            .then_some(())
    });
    let failed = server.wait("a check", |heard| heard.of_kind("check_failed").pop());
    assert_eq!(failed["evidence"], "/nowhere/at/all is not there");
    // What listens at the first look is no news; the looks are three seconds apart.
    std::thread::sleep(Duration::from_secs(8));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut child = std::process::Command::new("sleep")
        .arg("3.25")
        .spawn()
        .unwrap();
    let opened = server.wait("a port", |heard| {
        heard
            .of_kind("port_opened")
            .into_iter()
            .find(|one| one["port"] == port)
    });
    assert_eq!(opened["pid"], std::process::id());
    let _client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    server.wait("a connection", |heard| {
        heard
            .of_kind("connection")
            .into_iter()
            .find(|one| one["remote_port"] == port || one["local_port"] == port)
    });
    if rustix::process::geteuid().is_root() {
        short_connections_are_told_once(&server, port);
    }
    drop(listener);
    server.wait("a closed port", |heard| {
        heard
            .of_kind("port_closed")
            .into_iter()
            .find(|one| one["port"] == port)
    });
    let of_child = |kind: &'static str, pid: u32| {
        server.wait(kind, |heard| {
            heard
                .of_kind(kind)
                .into_iter()
                .find(|one| one["pid"] == pid)
        })
    };
    let started = of_child("process_start", child.id());
    assert_eq!(started["command"], "sleep 3.25");
    assert_eq!(started["ppid"], std::process::id());
    assert_eq!(started["sha256"].as_str().unwrap().len(), 64);
    child.wait().unwrap();
    of_child("process_end", child.id());
}

/// Connections that live for a moment, between two looks.
fn short_connections_are_told_once(server: &Server, port: u16) {
    let mut ports = Vec::new();
    for _ in 0..20 {
        let client = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        ports.push(client.local_addr().unwrap().port());
    }
    ports.sort_unstable();
    let ports = ports;
    let told = || {
        let heard = server.heard.lock().unwrap();
        let all = heard.of_kind("connection");
        let of = |one: &serde_json::Value| one["local_port"].as_u64().unwrap_or_default() as u16;
        let mut told: Vec<u16> = all
            .iter()
            .filter(|one| one["remote_port"] == port && one["direction"] == "outbound")
            .map(of)
            .filter(|one| ports.contains(one))
            .collect();
        told.sort_unstable();
        told
    };
    let until = Instant::now() + WAIT;
    while told().len() < ports.len() {
        assert!(
            Instant::now() < until,
            "{} of {}",
            told().len(),
            ports.len()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nor later a second time.
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(told(), ports);
}

#[test]
fn a_policy_for_files_that_is_taken_back_ends_watching() {
    let server = Server::start();
    let agent = Agent::begin(&server);
    let mut policy = quiet_policy(&agent.log());
    policy.revision = 3;
    policy.integrity = vec![IntegrityPath::plain(
        &agent.folder.path().join("x").to_string_lossy(),
    )];
    server.say(ToAgent::Policy {
        policy: Box::new(policy.clone()),
    });
    server.wait("the collector", |heard| {
        let health = heard.health.as_ref()?;
        health
            .collectors
            .iter()
            .any(|one| one.name == "integrity")
            .then_some(())
    });
    policy.revision = 4;
    policy.integrity = Vec::new();
    server.say(ToAgent::Policy {
        policy: Box::new(policy),
    });
    server.wait("its end", |heard| {
        let health = heard.health.as_ref()?;
        health
            .collectors
            .iter()
            .all(|one| one.name != "integrity")
            .then_some(())
    });
}

#[test]
fn long_files_are_looked_through_to_their_end_and_cut_ones_are_named() {
    let server = Server::start();
    let mut agent = Agent::new();
    agent.enrol(&server);
    let mut policy = quiet_policy(&agent.log());
    policy.scan_file_mib = 64;
    agent.set_policy(&policy);
    agent.run();
    server.wait_connected();
    let place = agent.folder.path().join("big");
    fs::create_dir(&place).unwrap();
    // Sparse: long, and nothing on disk. The text stands behind what is read into memory.
    for (name, length, at) in [
        ("-a b.bin", 60 << 20, (50 << 20) - 3),
        ("longer.bin", 70 << 20, 1_000),
    ] {
        let file = fs::File::create(place.join(name)).unwrap();
        file.set_len(length).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"a needle here", at).unwrap();
    }
    let rules = r#"rule needle { strings: $a = "needle" condition: $a and filesize > 1MB }"#;
    let act = watchfloor_link::Act {
        key: "k1".to_owned(),
        kind: "scan_files".to_owned(),
        arguments: serde_json::from_value(json!({"rules": rules, "paths": [place]})).unwrap(),
        undo_at_ms: None,
        not_after_ms: crate::server::now_ms() + 60_000,
        redone: 0,
    };
    server.act(&act);
    let watchfloor_link::ActOutcome::Done { evidence, .. } = server.outcome("k1") else {
        panic!("not done");
    };
    assert_eq!((&evidence["matches"][..], &evidence["cut"][..]), ("2", "1"));
    assert!(evidence["cut_files"].contains("longer than the policy says: "));
    assert!(evidence["cut_files"].ends_with("longer.bin"));
    let found = server.wait("both matches", |heard| {
        let all = heard.of_kind("yara_match");
        (all.len() == 2).then_some(all)
    });
    let of = |name: &str| {
        let mut all = found.iter();
        all.find(|one| one["path"].as_str().unwrap().ends_with(name))
            .unwrap()
    };
    let whole = of("-a b.bin");
    assert_eq!(whole["strings"][0]["offsets"], json!([(50 << 20) - 1]));
    assert!(whole["is_cut"].is_null() && of("longer.bin")["is_cut"] == true);
    let bytes = fs::read(place.join("-a b.bin")).unwrap();
    let hash = ring::digest::digest(&ring::digest::SHA256, &bytes);
    assert_eq!(whole["sha256"], hex::encode(hash));
}

#[test]
fn what_takes_long_is_named_with_how_far_it_is_until_it_is_over() {
    let server = Server::start();
    let mut agent = Agent::new();
    agent.enrol(&server);
    let mut policy = quiet_policy(&agent.log());
    // So little that looking takes seconds.
    policy.cpu_percent = 1;
    agent.set_policy(&policy);
    agent.run();
    server.wait_connected();
    let place = agent.folder.path().join("many");
    fs::create_dir(&place).unwrap();
    for one in 0..40 {
        fs::write(place.join(format!("{one}")), vec![b'x'; 200_000]).unwrap();
    }
    let rules = r#"rule x { strings: $a = /y[a-z]+z/ condition: $a }"#;
    server.act(&watchfloor_link::Act {
        key: "k1".to_owned(),
        kind: "scan_files".to_owned(),
        arguments: serde_json::from_value(json!({"rules": rules, "paths": [place]})).unwrap(),
        undo_at_ms: None,
        not_after_ms: crate::server::now_ms() + 60_000,
        redone: 0,
    });
    server.wait("how far it is", |heard| {
        let words = heard.health.as_ref()?.acting.get("k1")?;
        words.contains(" files, ").then_some(())
    });
    server.outcome("k1");
    server.wait("its end", |heard| {
        let health = heard.health.as_ref()?;
        health.acting.is_empty().then_some(())
    });
}
