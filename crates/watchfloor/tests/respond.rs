//! Playbooks and actions of the whole program, with the server killed wherever it hurts: each
//! action is done exactly once, or shown as uncertain.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

/// What the gate does with the next call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    Answer,
    /// The first time that it sees a key it does it and never answers: the server is killed.
    DoAndHold,
    /// The first time that it sees a key it neither does it nor answers.
    HoldFirst,
}

/// A gate on loopback that does each key once, if it is told to look at keys, and counts.
struct Gate {
    port: u16,
    done: Arc<Mutex<Vec<(String, String)>>>,
    calls: Arc<Mutex<usize>>,
    held: Arc<Mutex<usize>>,
    mood: Arc<Mutex<Mood>>,
}

impl Gate {
    fn open(looks_at_keys: bool) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let gate = Self {
            port: listener.local_addr()?.port(),
            done: Arc::default(),
            calls: Arc::default(),
            held: Arc::default(),
            mood: Arc::new(Mutex::new(Mood::Answer)),
        };
        let keys: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (done, calls, held, mood) = (
            gate.done.clone(),
            gate.calls.clone(),
            gate.held.clone(),
            gate.mood.clone(),
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (done, calls, held, mood, keys) = (
                    done.clone(),
                    calls.clone(),
                    held.clone(),
                    mood.clone(),
                    keys.clone(),
                );
                std::thread::spawn(move || {
                    answer(&stream, looks_at_keys, &done, (&calls, &held), &mood, &keys)
                });
            }
        });
        Ok(gate)
    }

    fn done(&self) -> Vec<String> {
        self.done
            .lock()
            .unwrap()
            .iter()
            .map(|(_, action)| action.clone())
            .collect()
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }

    fn held(&self) -> usize {
        *self.held.lock().unwrap()
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

fn answer(
    stream: &TcpStream,
    looks_at_keys: bool,
    done: &Mutex<Vec<(String, String)>>,
    (calls, held): (&Mutex<usize>, &Mutex<usize>),
    mood: &Mutex<Mood>,
    keys: &Mutex<BTreeSet<String>>,
) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let lower = head.to_lowercase();
    let length = lower
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![
        0;
        length
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(0)
    ];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let key = body["idempotency_key"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let action = format!(
        "{} {}",
        body["action"].as_str().unwrap_or_default(),
        body["target"].as_str().unwrap_or_default()
    );
    let now = *mood.lock().unwrap();
    let is_new = keys.lock().unwrap().insert(key.clone());
    let holds = now != Mood::Answer && is_new;
    if !(holds && now == Mood::HoldFirst) {
        let mut done = done.lock().unwrap();
        if !looks_at_keys || !done.iter().any(|(known, _)| *known == key) {
            done.push((key, action));
        }
    }
    *calls.lock().unwrap() += 1;
    if holds {
        *held.lock().unwrap() += 1;
        // Until the server is gone: then nobody listens any more.
        let _ = reader.read(&mut [0]);
        return;
    }
    let mut stream = stream;
    let _ =
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
}

fn id(kind: &str, number: u32) -> String {
    format!("{kind}--00000000-0000-4000-8000-{number:012}")
}

/// Three actions, the middle two at the same time, then a person, then one more.
fn playbook() -> Value {
    let hook = |number: u32, next: String| {
        json!({ "type": "action", "name": format!("a{number}"), "agent": id("organization", 1), "on_completion": next,
            "commands": [{ "type": "watchfloor-action", "command": "call_webhook", "arguments": { "text": format!("__host__:value {number}") } }] })
    };
    json!({
        "type": "playbook", "spec_version": "cacao-2.0", "id": id("playbook", 1), "name": "Crash",
        "created_by": id("identity", 1), "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
        "playbook_variables": { "__host__": { "type": "string", "external": true } },
        "workflow_start": id("start", 1),
        "agent_definitions": { id("organization", 1): { "type": "organization", "name": "SOC" } },
        "workflow": {
            id("start", 1): { "type": "start", "on_completion": id("action", 1) },
            id("action", 1): hook(1, id("parallel", 1)),
            id("parallel", 1): { "type": "parallel", "name": "p", "next_steps": [id("action", 2), id("action", 3)], "on_completion": id("action", 4) },
            id("action", 2): hook(2, id("end", 1)),
            id("action", 3): hook(3, id("end", 2)),
            id("action", 4): { "type": "action", "name": "person", "agent": id("organization", 1), "on_completion": id("action", 5), "commands": [{ "type": "manual", "command": "Look." }] },
            id("action", 5): hook(5, id("end", 3)),
            id("end", 1): { "type": "end" }, id("end", 2): { "type": "end" }, id("end", 3): { "type": "end" },
        },
    })
}

fn post(client: &Client, path: &str, body: &Value) -> Result<Value> {
    let answer = client.post(
        &format!("/api/v1{path}"),
        &[("Content-Type", "application/json")],
        body.to_string().as_bytes(),
    )?;
    if answer.status >= 300 {
        bail!("{path}: {} {}", answer.status, answer.json());
    }
    Ok(answer.json())
}

fn get(client: &Client, path: &str) -> Result<Value> {
    Ok(client.get(&format!("/api/v1{path}"))?.json())
}

struct Floor {
    folder: tempfile::TempDir,
    server: ServerProcess,
    client: Client,
    run: String,
}

fn start(folder: &Path) -> Result<ServerProcess> {
    ServerProcess::start(Path::new(PROGRAM), folder, &["--syslog", "off"])
}

impl Floor {
    fn open(gate: &Gate, honors_key: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = start(folder.path())?;
        let client = server.client("admin")?;
        post(
            &client,
            "/connectors",
            &json!({
                "name": "Gate", "kind": "webhook", "serves": ["call_webhook"],
                "settings": { "url": format!("http://127.0.0.1:{}/", gate.port), "allowed_networks": ["127.0.0.1"], "honors_idempotency_key": honors_key, "timeout_s": 60 },
            }),
        )?;
        post(&client, "/playbooks", &playbook())?;
        Ok(Self {
            folder,
            server,
            client,
            run: String::new(),
        })
    }

    fn begin(&mut self) -> Result<()> {
        let run = post(
            &self.client,
            "/playbook-runs",
            &json!({ "playbook_id": id("playbook", 1), "inputs": { "__host__": "ws-1" } }),
        )?;
        self.run = run["id"].as_str().context("no run")?.to_owned();
        Ok(())
    }

    fn detail(&self) -> Result<Value> {
        get(&self.client, &format!("/playbook-runs/{}", self.run))
    }

    /// Killed at once and begun again over the same folder.
    fn kill(self) -> Result<Self> {
        self.server.kill()?;
        let server = start(self.folder.path())?;
        let client = server.client("admin")?;
        Ok(Self {
            server,
            client,
            ..self
        })
    }

    /// Answers the person's step if it waits.
    fn answer(&self) -> Result<bool> {
        let detail = self.detail()?;
        let steps = detail["steps"].as_array().cloned().unwrap_or_default();
        let asked = steps.iter().find(|step| step["waits_for"] == "person");
        if let Some(step) = asked {
            post(
                &self.client,
                &format!("/playbook-runs/{}/steps/{}", self.run, step["instance"]),
                &json!({ "is_done": true }),
            )?;
        }
        Ok(asked.is_some())
    }

    fn statuses(&self) -> Result<BTreeMap<String, String>> {
        let detail = self.detail()?;
        let actions = detail["actions"].as_array().cloned().unwrap_or_default();
        Ok(actions
            .iter()
            .map(|one| {
                (
                    one["target"].as_str().unwrap_or_default().to_owned(),
                    one["status"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect())
    }

    fn finish(&self) -> Result<()> {
        wait_for("the run is over", || {
            self.answer()?;
            Ok(self.detail()?["status"] != "running")
        })
    }
}

const ALL: [&str; 4] = [
    "call_webhook ws-1 1",
    "call_webhook ws-1 2",
    "call_webhook ws-1 3",
    "call_webhook ws-1 5",
];

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort();
    list
}

#[test]
fn killed_between_all_steps_each_action_is_done_once() -> Result<()> {
    let gate = Gate::open(false)?;
    let mut floor = Floor::open(&gate, false)?;
    floor.begin()?;
    // Killed whenever something new is seen done, and once more at the person's step. The gate
    // answers at once, so that a kill nearly always falls between two actions; where it falls
    // into one, that one is uncertain and is settled from what the gate knows.
    let mut kills = 0;
    let mut seen = 0;
    while floor.detail()?["status"] == "running" && kills < 12 {
        wait_for("something happens", || {
            let detail = floor.detail()?;
            let over = detail["status"] != "running";
            let waits = detail["steps"]
                .as_array()
                .is_some_and(|steps| steps.iter().any(|step| step["waits_for"] == "person"));
            let uncertain = floor
                .statuses()?
                .values()
                .any(|status| status == "uncertain");
            Ok(over || waits || uncertain || gate.calls() > seen)
        })?;
        seen = gate.calls();
        floor = floor.kill()?;
        kills += 1;
        settle_from_gate(&floor, &gate)?;
        floor.answer()?;
    }
    floor.finish()?;
    assert_eq!(floor.detail()?["status"], "done");
    assert_eq!(sorted(gate.done()), ALL, "after {kills} kills");
    assert!(kills >= 2, "{kills}");
    let audit = Command::new(PROGRAM)
        .args(["admin", "audit", "verify", "--data"])
        .arg(floor.folder.path())
        .status()?;
    assert!(audit.success());
    Ok(())
}

/// A person looks at the gate and says what became of uncertain actions.
fn settle_from_gate(floor: &Floor, gate: &Gate) -> Result<()> {
    let approvals = get(&floor.client, "/approvals")?;
    for action in approvals["uncertain"].as_array().into_iter().flatten() {
        let name = format!(
            "call_webhook {}",
            action["target"].as_str().unwrap_or_default()
        );
        let how = if gate.done().contains(&name) {
            "done"
        } else {
            "again"
        };
        let path = format!(
            "/actions/{}/settle",
            action["id"].as_str().unwrap_or_default()
        );
        post(
            &floor.client,
            &path,
            &json!({ "how": how, "note": "looked at the gate" }),
        )?;
    }
    Ok(())
}

/// In the middle of each action in turn: before the gate did it, and after.
#[test]
fn killed_in_the_middle_of_each_action_it_is_uncertain_or_done_once() -> Result<()> {
    for honors_key in [true, false] {
        let gate = Gate::open(honors_key)?;
        let mut floor = Floor::open(&gate, honors_key)?;
        for mood in [Mood::DoAndHold, Mood::HoldFirst] {
            gate.done.lock().unwrap().clear();
            gate.set(mood);
            let mut held = gate.held();
            floor.begin()?;
            for expected in [1_usize, 2, 1] {
                held += expected;
                wait_for("the gate holds actions", || {
                    floor.answer()?;
                    Ok(gate.held() >= held)
                })?;
                // The kill falls into actions that are with the gate and were not answered.
                floor = floor.kill()?;
                if honors_key {
                    // One key is done once over there, so it is begun again by itself.
                    wait_for("nothing is uncertain", || {
                        Ok(floor
                            .statuses()?
                            .values()
                            .all(|status| status != "uncertain"))
                    })?;
                } else {
                    wait_for("they are shown as uncertain", || {
                        Ok(floor
                            .statuses()?
                            .values()
                            .filter(|status| *status == "uncertain")
                            .count()
                            == expected)
                    })?;
                    wait_for("the run says so", || {
                        Ok(floor.detail()?["stuck"]
                            .as_str()
                            .is_some_and(|text| text.contains("nobody knows")))
                    })?;
                    settle_from_gate(&floor, &gate)?;
                }
            }
            floor.finish()?;
            assert_eq!(floor.detail()?["status"], "done", "{honors_key} {mood:?}");
            assert_eq!(sorted(gate.done()), ALL, "{honors_key} {mood:?}");
        }
    }
    Ok(())
}

#[test]
fn playbook_commands() -> Result<()> {
    let run = |arguments: &[&str]| -> Result<(Option<i32>, String, String)> {
        let made = Command::new(PROGRAM).args(arguments).output()?;
        Ok((
            made.status.code(),
            String::from_utf8_lossy(&made.stdout).into_owned(),
            String::from_utf8_lossy(&made.stderr).into_owned(),
        ))
    };
    let (code, out, _) = run(&["playbook", "validate"])?;
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("13 playbooks") && out.contains(" 0 with errors"),
        "{out}"
    );
    let examples = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../watchfloor-playbook/tests/examples"
    );
    let (code, out, _) = run(&["playbook", "validate", examples])?;
    assert_eq!(code, Some(0), "{out}");
    let content = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../content/playbooks/ransomware-host.json"
    );
    let (code, out, _) = run(&[
        "playbook",
        "run",
        content,
        "--dry",
        "--input",
        "host=ws-042",
    ])?;
    assert_eq!(code, Some(0), "{out}");
    assert!(
        out.contains("isolate host: host=ws-042, undone after 259200 s"),
        "{out}"
    );
    let (code, _, error) = run(&["playbook", "run", content, "--dry"])?;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("__host__"), "{error}");
    let folder = tempfile::tempdir()?;
    let broken = folder.path().join("broken.json");
    std::fs::write(
        &broken,
        playbook()
            .to_string()
            .replace("\"parallel\"", "\"teleport\""),
    )?;
    let (code, out, _) = run(&["playbook", "validate", &broken.to_string_lossy()])?;
    assert_eq!(code, Some(1));
    assert!(
        out.contains("which is none of CACAO 2.0") && out.contains("use one of"),
        "{out}"
    );
    // Import and export by a server lose nothing.
    let server = start(&folder.path().join("data"))?;
    let client = server.client("admin")?;
    let remote = |arguments: &[&str]| -> Result<(Option<i32>, String)> {
        let made = Command::new(PROGRAM)
            .args(arguments)
            .args(["--url", &server.url])
            .env("WATCHFLOOR_TOKEN", client.token())
            .output()?;
        Ok((
            made.status.code(),
            format!(
                "{}{}",
                String::from_utf8_lossy(&made.stdout),
                String::from_utf8_lossy(&made.stderr)
            ),
        ))
    };
    for entry in std::fs::read_dir(examples)? {
        let path = entry?.path();
        let given: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        let (_, said) = remote(&["playbook", "import", &path.to_string_lossy()])?;
        let id = given["id"].as_str().context("no id")?;
        assert!(said.contains(id), "{said}");
        let (code, text) = remote(&["playbook", "export", id])?;
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(
            serde_json::from_str::<Value>(&text)?,
            given,
            "{}",
            path.display()
        );
    }
    let (code, list) = remote(&["playbook", "list"])?;
    assert_eq!(code, Some(0));
    assert!(
        list.contains("Ransomware on a host") && list.contains("Calls another playbook"),
        "{list}"
    );
    Ok(())
}
