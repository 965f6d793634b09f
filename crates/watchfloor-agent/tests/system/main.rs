//! The agent on a whole system: systemd as the first process of a container, over a copy of this
//! machine that nobody keeps. What is changed there (accounts, units, sessions) is real.

mod machine;
#[path = "../namespaces/net.rs"]
#[allow(dead_code)]
mod net;
#[path = "../link/server.rs"]
#[allow(dead_code)]
mod server;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use machine::Machine;
use serde_json::{Value, json};
use server::{Server, WAIT, now_ms, quiet_policy};
use watchfloor_link::{Act, ActOutcome, Policy, ToAgent};

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

fn done(server: &Server, act: &Act) -> BTreeMap<String, String> {
    server.act(act);
    match server.outcome(&act.key) {
        ActOutcome::Done { evidence, .. } => evidence,
        other => panic!("{}: {other:?}", act.key),
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + WAIT;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Lines of a program in the journal, as the server has them, in order.
fn journal(server: &Server, tag: &str) -> Vec<String> {
    let heard = server.heard.lock().unwrap();
    let records = heard.records.values();
    records
        .map(|text| serde_json::from_str::<Value>(text).unwrap())
        .filter(|one| one["SYSLOG_IDENTIFIER"] == tag)
        .map(|one| one["MESSAGE"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Enrols the machine as its owner does, and waits for the agent that systemd starts.
fn enrolled(machine: &Machine, server: &Server, policy: Policy) {
    let said = machine.run(&[
        machine::AGENT,
        "enrol",
        "--server",
        &server.address.to_string(),
        "--token",
        &server.token(),
        "--start",
    ]);
    assert!(said.contains("runs as watchfloor-agent.service"), "{said}");
    server.wait_connected();
    server.say(ToAgent::Policy {
        policy: Box::new(policy),
    });
}

fn policy() -> Policy {
    Policy {
        revision: 2,
        log_files: Vec::new(),
        ..quiet_policy(std::path::Path::new("/nowhere"))
    }
}

#[test]
fn the_agent_is_a_service_that_comes_back_and_reads_the_journal_once() {
    let Some(machine) = Machine::boot(208) else {
        return;
    };
    let server = Server::start_at(&machine.here(), Default::default(), Default::default());
    let journald = Policy {
        journald: true,
        ..policy()
    };
    enrolled(&machine, &server, journald);
    let unit = "watchfloor-agent.service";
    assert_eq!(
        machine.run(&["systemctl", "is-enabled", unit]).trim(),
        "enabled"
    );
    let pid = || {
        machine
            .run(&["systemctl", "show", "-P", "MainPID", unit])
            .trim()
            .to_owned()
    };
    server.wait("the journal", |heard| {
        let health = heard.health.as_ref()?;
        let mut all = health.collectors.iter();
        all.any(|one| one.name == "journald").then_some(())
    });
    // The tool looks for a first place in the journal; what comes after the first line counts.
    wait_until("a first line", || {
        machine.run(&["logger", "-t", "wffirst", "x"]);
        !journal(&server, "wffirst").is_empty()
    });
    let mut expected = Vec::new();
    for round in 0..3 {
        let lines: Vec<String> = (0..200).map(|one| format!("line {round}.{one}")).collect();
        machine.log("wftest", &lines);
        expected.extend(lines);
        let (before, hellos) = (pid(), server.heard.lock().unwrap().hellos);
        machine.run(&["kill", "-9", &before]);
        let lines: Vec<String> = (0..50).map(|one| format!("away {round}.{one}")).collect();
        machine.log("wftest", &lines);
        expected.extend(lines);
        server.wait("the agent again", |heard| {
            (heard.hellos > hellos).then_some(())
        });
        assert_ne!(pid(), before);
    }
    wait_until("all lines", || {
        journal(&server, "wftest").len() >= expected.len()
    });
    assert_eq!(journal(&server, "wftest"), expected);
    // An orderly stop is no failure, and a start reads on.
    machine.run(&["systemctl", "stop", unit]);
    machine.log("wftest", &["while it was stopped".to_owned()]);
    expected.push("while it was stopped".to_owned());
    machine.run(&["systemctl", "start", unit]);
    wait_until("the last line", || {
        journal(&server, "wftest").len() >= expected.len()
    });
    assert_eq!(journal(&server, "wftest"), expected);
}

#[test]
fn services_are_restarted_and_listed_by_systemd() {
    let Some(machine) = Machine::boot(209) else {
        return;
    };
    let server = Server::start_at(&machine.here(), Default::default(), Default::default());
    machine.write(
        "/etc/systemd/system/wf-good.service",
        "[Unit]\nDescription=Good one\n[Service]\nExecStart=/bin/sleep 1000\n",
    );
    machine.write(
        "/etc/systemd/system/wf-bad.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    machine.write(
        "/etc/systemd/system/wf-often.timer",
        "[Timer]\nOnCalendar=hourly\nUnit=wf-good.service\n[Install]\nWantedBy=timers.target\n",
    );
    machine.run(&["systemctl", "daemon-reload"]);
    machine.run(&["systemctl", "enable", "wf-often.timer"]);
    machine.run(&["systemctl", "start", "wf-good.service"]);
    let inventory = Policy {
        inventory_every_s: 3_600,
        ..policy()
    };
    enrolled(&machine, &server, inventory);
    let good = server.wait("the service", |heard| {
        let all = heard.of_kind("service_inventory");
        all.into_iter()
            .find(|one| one["service"] == "wf-good.service")
    });
    assert_eq!(
        (&good["state"], &good["sub_state"]),
        (&"active".into(), &"running".into())
    );
    assert_eq!(good["description"], "Good one");
    let timer = server.wait("the timer", |heard| {
        let all = heard.of_kind("timer_inventory");
        all.into_iter().find(|one| one["timer"] == "wf-often.timer")
    });
    assert_eq!(timer["start"], "enabled");

    let pid = || machine.run(&["systemctl", "show", "-P", "MainPID", "wf-good.service"]);
    let before = pid();
    let restart = |key: &str, service: &str| {
        act(
            key,
            "restart_service",
            json!({"host": "x", "service": service}),
        )
    };
    let evidence = done(&server, &restart("k1", "wf-good.service"));
    assert_eq!(evidence["state"], "active");
    assert_ne!(pid(), before);
    for (key, service, words) in [
        ("k2", "wf-bad.service", "wf-bad.service"),
        ("k3", "wf-none.service", "not found"),
        ("k4", "watchfloor-agent", "does not restart itself"),
    ] {
        server.act(&restart(key, service));
        match server.outcome(key) {
            ActOutcome::Failed { reason } => assert!(reason.contains(words), "{reason}"),
            other => panic!("{service}: {other:?}"),
        }
    }
}

#[test]
fn accounts_are_locked_given_back_and_their_sessions_end() {
    let Some(machine) = Machine::boot(210) else {
        return;
    };
    let server = Server::start_at(&machine.here(), Default::default(), Default::default());
    for user in ["m.keller", "ann", "locked"] {
        machine.run(&["useradd", "--create-home", "--shell", "/bin/sh", user]);
    }
    for user in ["m.keller", "ann"] {
        machine.run(&["sh", "-c", &format!("echo {user}:secret | chpasswd")]);
    }
    machine.run(&["usermod", "--expiredate", "2050-01-01", "ann"]);
    enrolled(&machine, &server, policy());
    let shadow = |user: &str| machine.run(&["getent", "shadow", user]);
    let may_log_in = |user: &str| machine.try_run(&["su", "-l", user, "-c", "true"]).is_ok();
    let user =
        |key: &str, kind: &str, name: &str| act(key, kind, json!({"host": "x", "user": name}));
    let sessions = || machine.run(&["loginctl", "list-sessions", "--no-legend", "--no-pager"]);
    let processes = |user: &str| machine.try_run(&["pgrep", "-u", user]).unwrap_or_default();

    // A session each, by the way that a login goes.
    let _open: Vec<_> = ["m.keller", "ann"]
        .map(|user| machine.start(&["setsid", "su", "-l", user, "-c", "sleep 1000 & sleep 1001"]))
        .into();
    wait_until("both sessions", || {
        let shown = sessions();
        shown.contains("m.keller") && shown.contains("ann") && !processes("ann").is_empty()
    });
    for name in ["m.keller", "ann", "locked"] {
        let before = shadow(name);
        assert!(may_log_in(name), "{name}");
        done(&server, &user(&format!("d-{name}"), "disable_user", name));
        assert!(!may_log_in(name), "{name}");
        // Twice is as once: what it was before is not forgotten.
        done(&server, &user(&format!("d2-{name}"), "disable_user", name));
        done(&server, &user(&format!("e-{name}"), "enable_user", name));
        assert!(may_log_in(name), "{name}");
        assert_eq!(shadow(name), before, "as it was");
    }
    done(&server, &user("s1", "end_sessions", "m.keller"));
    wait_until("the end of the session", || {
        !sessions().contains("m.keller") && processes("m.keller").is_empty()
    });
    assert!(sessions().contains("ann") && !processes("ann").is_empty());
    server.act(&user("d-root", "disable_user", "root"));
    assert!(matches!(
        server.outcome("d-root"),
        ActOutcome::Failed { .. }
    ));
    // A time limit gives the account back.
    let short = Act {
        undo_at_ms: Some(now_ms() + 4_000),
        ..user("d3", "disable_user", "ann")
    };
    done(&server, &short);
    assert!(!may_log_in("ann"));
    wait_until("the account again", || may_log_in("ann"));
}
