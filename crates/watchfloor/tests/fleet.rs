//! Agents at a whole server: how they come in, what they bring, what they are told, and those
//! that cannot be believed.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use watchfloor_fleet::Authority;
use watchfloor_link::{ActOutcome, EnrolmentToken, RefusalCode, ToAgent, ToServer};
use watchfloor_testkit::{
    AgentLink, Client, EnrolledAgent, Entry, ServerProcess, host, now_ms, wait_for,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
/// Longest wait for a word.
const LIMIT: Duration = Duration::from_secs(20);

struct Scene {
    server: ServerProcess,
    client: Client,
    folder: tempfile::TempDir,
}

impl Scene {
    fn open() -> Result<Self> {
        Self::over(tempfile::tempdir()?)
    }

    fn over(folder: tempfile::TempDir) -> Result<Self> {
        Self::with(folder, &[])
    }

    fn with(folder: tempfile::TempDir, more: &[&str]) -> Result<Self> {
        let arguments = [&["--syslog", "off"], more].concat();
        let server = ServerProcess::start(Path::new(PROGRAM), folder.path(), &arguments)?;
        let client = server.client("admin")?;
        Ok(Self {
            server,
            client,
            folder,
        })
    }

    fn fleet(&self) -> Result<Value> {
        Ok(self.client.get("/api/v1/fleet")?.json())
    }

    fn door(&self) -> Result<String> {
        let fleet = self.fleet()?;
        let listen = fleet["listen"].as_str();
        Ok(listen
            .with_context(|| format!("no door: {fleet}"))?
            .to_owned())
    }

    fn token(&self, uses: u32) -> Result<EnrolmentToken> {
        let body = json!({ "uses": uses }).to_string();
        let json_type = [("content-type", "application/json")];
        let made = self
            .client
            .post("/api/v1/fleet/enrolments", &json_type, body.as_bytes())?;
        let token = made.json()["token"].as_str().map(str::to_owned);
        Ok(token.with_context(|| made.json().to_string())?.parse()?)
    }

    fn agent(&self, id: &str) -> Result<Value> {
        Ok(self
            .client
            .get(&format!("/api/v1/fleet/agents/{id}"))?
            .json())
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let json_type = [("content-type", "application/json")];
        let text = body.to_string();
        let answer = self
            .client
            .request(method, path, &json_type, text.as_bytes())?;
        if answer.status >= 300 {
            bail!("{method} {path}: {} {}", answer.status, answer.json());
        }
        Ok(answer.json())
    }

    fn waits_for_doubt(&self, id: &str, kind: &str) -> Result<()> {
        wait_for(&format!("doubt {kind} of {id}"), || {
            let agent = self.agent(id)?;
            let doubts = agent["doubts"].as_array().cloned().unwrap_or_default();
            Ok(doubts.iter().any(|doubt| doubt["kind"] == kind))
        })
    }
}

async fn enrolled(scene: &Scene, name: &str) -> Result<EnrolledAgent> {
    EnrolledAgent::enrol(&scene.door()?, &scene.token(1)?, host(name))
        .await?
        .let_in()
}

async fn stored(link: &mut AgentLink) -> Result<u64> {
    let wanted = |one: &ToAgent| matches!(one, ToAgent::Stored { .. });
    match tokio::time::timeout(LIMIT, link.next_that(wanted)).await?? {
        ToAgent::Stored { through, .. } => Ok(through),
        _ => bail!("not stored"),
    }
}

fn record(agent: &str, host: &str, number: u64) -> Value {
    json!({
        "watchfloor": { "kind": "log", "agent": agent, "agent_version": "0.1.0" },
        "@timestamp": "2026-11-30T12:00:00Z",
        "host": { "name": host },
        "log": { "file": { "path": "/var/log/auth.log" } },
        "message": format!("Nov 30 12:00:00 {host} sshd[{number}]: Failed password for root from 192.0.2.7 port 4711 ssh2"),
    })
}

fn found(scene: &Scene, query: &str) -> Result<usize> {
    Ok(scene.client.events(query)?.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_enrols_once_brings_records_once_and_is_shown() -> Result<()> {
    let scene = Scene::open()?;
    let door = scene.door()?;
    let token = scene.token(1)?;
    let agent = EnrolledAgent::enrol(&door, &token, host("web-1"))
        .await?
        .let_in()?;
    // The token is used up.
    let second = EnrolledAgent::enrol(&door, &token, host("web-2")).await?;
    assert!(matches!(second, Entry::Out(RefusalCode::Token, _)));

    let mut link = agent.connect(&door, 0).await?.let_in()?;
    let policy = link
        .next_that(|one| matches!(one, ToAgent::Policy { .. }))
        .await?;
    let ToAgent::Policy { policy } = policy else {
        bail!("no policy")
    };
    assert!(!policy.log_files.is_empty());
    let records: Vec<Value> = (1..=100).map(|n| record(&agent.id, "web-1", n)).collect();
    link.send_records(7, 1, &records).await?;
    assert_eq!(stored(&mut link).await?, 100);
    // An answer that was lost: the same again, with more; nothing is doubled.
    let more: Vec<Value> = (51..=150).map(|n| record(&agent.id, "web-1", n)).collect();
    link.send_records(7, 51, &more).await?;
    assert_eq!(stored(&mut link).await?, 150);
    wait_for("all records", || {
        Ok(found(&scene, "device.hostname:web-1")? == 150)
    })?;
    assert_eq!(
        found(&scene, "user.name:root src_endpoint.ip:192.0.2.7")?,
        150
    );

    let health = watchfloor_link::Health {
        cpu_percent: 1.5,
        memory_bytes: 20 << 20,
        queue_records: 3,
        ..Default::default()
    };
    link.send(ToServer::Heartbeat {
        clock_ms: now_ms(),
        policy: policy.revision,
        health,
    })
    .await?;
    wait_for("its health", || {
        let shown = scene.agent(&agent.id)?;
        Ok(shown["health"]["queue_records"] == 3 && shown["has_policy"] == true)
    })?;
    let shown = scene.agent(&agent.id)?;
    assert_eq!(shown["is_connected"], true);
    assert_eq!(
        shown["identity"]["os_name"],
        "Debian GNU/Linux 12 (bookworm)"
    );
    assert_eq!(shown["doubts"].as_array().map(Vec::len), Some(0), "{shown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_stored_once_also_when_the_server_dies() -> Result<()> {
    let scene = Scene::open()?;
    let agent = enrolled(&scene, "db-1").await?;
    let mut link = agent.connect(&scene.door()?, 0).await?.let_in()?;
    let records: Vec<Value> = (1..=50).map(|n| record(&agent.id, "db-1", n)).collect();
    link.send_records(9, 1, &records).await?;
    assert_eq!(stored(&mut link).await?, 50);
    let folder = scene.folder;
    scene.server.kill()?;
    let scene = Scene::over(folder)?;
    // The agent did not hear of it.
    let mut link = agent.connect(&scene.door()?, 0).await?.let_in()?;
    link.send_records(9, 1, &records).await?;
    assert_eq!(stored(&mut link).await?, 50);
    wait_for("all records", || {
        Ok(found(&scene, "device.hostname:db-1")? >= 50)
    })?;
    assert_eq!(found(&scene, "device.hostname:db-1")?, 50);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_goes_to_its_agent_and_comes_back() -> Result<()> {
    let scene = Scene::open()?;
    let agent = enrolled(&scene, "ws-7").await?;
    let mut link = agent.connect(&scene.door()?, 0).await?.let_in()?;
    let action = scene.send(
        "POST",
        "/api/v1/actions",
        &json!({
            "kind": "collect_triage", "arguments": { "host": "WS-7" }, "reason": "to look at it",
        }),
    )?;
    let id = action["id"].as_str().context("no id")?.to_owned();
    let act = tokio::time::timeout(
        LIMIT,
        link.next_that(|one| matches!(one, ToAgent::Act { .. })),
    );
    let ToAgent::Act { act } = act.await?? else {
        bail!("no action")
    };
    assert_eq!(act.kind, "collect_triage");
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    link.send(watchfloor_link::Frame {
        message: ToServer::File {
            key: act.key.clone(),
            name: "triage.tar.gz".to_owned(),
            offset: 0,
            sha256: Some(sha256.to_owned()),
        },
        payload: b"abc".to_vec(),
    })
    .await?;
    let kept = link.next_that(|one| matches!(one, ToAgent::FileStored { .. }));
    tokio::time::timeout(LIMIT, kept).await??;
    let outcome = ActOutcome::Done {
        summary: "collected".to_owned(),
        evidence: [("sha256".to_owned(), sha256.to_owned())].into(),
    };
    link.send(ToServer::Acted {
        key: act.key.clone(),
        outcome,
    })
    .await?;
    wait_for("the action is done", || {
        let shown = scene.client.get(&format!("/api/v1/actions/{id}"))?.json();
        Ok(shown["status"] == "done")
    })?;
    let files = scene
        .client
        .get(&format!("/api/v1/actions/{id}/files"))?
        .json();
    assert_eq!(files["items"][0]["sha256"], sha256);
    let bytes = scene
        .client
        .get(&format!("/api/v1/actions/{id}/files/triage.tar.gz"))?;
    assert_eq!(bytes.body, b"abc");
    // A file for an action that nobody waits for ends the connection.
    link.send(ToServer::File {
        key: act.key,
        name: "more".to_owned(),
        offset: 0,
        sha256: None,
    })
    .await?;
    let end = link
        .next_that(|one| matches!(one, ToAgent::Refused { .. }))
        .await?;
    assert!(matches!(
        end,
        ToAgent::Refused {
            code: RefusalCode::Nonsense,
            ..
        }
    ));
    Ok(())
}

/// Asks for a collection on a host; answers the action's id, and what the agent is given.
async fn collection(scene: &Scene, link: &mut AgentLink) -> Result<(String, watchfloor_link::Act)> {
    let asked = json!({
        "kind": "collect_triage", "arguments": { "host": "slow-1" }, "reason": "to look at it",
    });
    let action = scene.send("POST", "/api/v1/actions", &asked)?;
    let id = action["id"].as_str().context("no id")?.to_owned();
    let given = link.next_that(|one| matches!(one, ToAgent::Act { .. }));
    match tokio::time::timeout(LIMIT, given).await?? {
        ToAgent::Act { act } => Ok((id, act)),
        other => bail!("{other:?} and no action"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_takes_long_runs_as_long_as_its_agent_says_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("server.toml");
    std::fs::write(&config, "[fleet]\nsilence_s = 3\n")?;
    let config = config.display().to_string();
    let scene = Scene::with(folder, &["--config", &config])?;
    let agent = enrolled(&scene, "slow-1").await?;
    let mut link = agent.connect(&scene.door()?, 0).await?.let_in()?;
    let (id, act) = collection(&scene, &mut link).await?;
    let shown = |id: &str| -> Result<Value> {
        Ok(scene.client.get(&format!("/api/v1/actions/{id}"))?.json())
    };
    // Three times as long as silence is borne, also over a new connection.
    for round in 0..9 {
        if round == 4 {
            link = agent.connect(&scene.door()?, 0).await?.let_in()?;
        }
        let health = watchfloor_link::Health {
            acting: [(act.key.clone(), format!("{round} files"))].into(),
            ..Default::default()
        };
        link.send(ToServer::Heartbeat {
            clock_ms: now_ms(),
            policy: 0,
            health,
        })
        .await?;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        assert_eq!(shown(&id)?["status"], "running", "round {round}");
    }
    wait_for("how far it is", || {
        let said = scene.agent(&agent.id)?["health"]["acting"][&act.key].clone();
        Ok(said == "8 files")
    })?;
    let outcome = ActOutcome::Done {
        summary: "collected at last".to_owned(),
        evidence: Default::default(),
    };
    let key = act.key;
    link.send(ToServer::Acted { key, outcome }).await?;
    wait_for("its real outcome", || Ok(shown(&id)?["status"] == "done"))?;
    // An agent that says nothing of it is not waited for.
    let (id, _) = collection(&scene, &mut link).await?;
    wait_for("the doubt", || Ok(shown(&id)?["status"] == "uncertain"))?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_reaches_all_agents_of_its_group_and_revoking_hangs_up() -> Result<()> {
    let scene = Scene::open()?;
    let door = scene.door()?;
    let token = scene.token(2)?;
    let mut links = Vec::new();
    for name in ["a-1", "a-2"] {
        let agent = EnrolledAgent::enrol(&door, &token, host(name))
            .await?
            .let_in()?;
        let mut link = agent.connect(&door, 0).await?.let_in()?;
        link.next_that(|one| matches!(one, ToAgent::Policy { .. }))
            .await?;
        links.push((agent, link));
    }
    let bad = json!({ "policy": { "cpu_percent": 0 } });
    let refused = scene.send("PATCH", "/api/v1/fleet/groups/standard", &bad);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("cpu_percent must be 1 to 100")
    );
    let patch = json!({ "policy": { "cpu_percent": 9 } });
    scene.send("PATCH", "/api/v1/fleet/groups/standard", &patch)?;
    for (_, link) in &mut links {
        let wanted =
            |one: &ToAgent| matches!(one, ToAgent::Policy { policy } if policy.cpu_percent == 9);
        tokio::time::timeout(LIMIT, link.next_that(wanted)).await??;
    }
    let (agent, mut link) = links.remove(0);
    let path = format!("/api/v1/fleet/agents/{}/revoke", agent.id);
    scene.send("POST", &path, &json!({ "reason": "stolen" }))?;
    assert!(
        tokio::time::timeout(LIMIT, link.next()).await?.is_err(),
        "it is hung up on"
    );
    let again = agent.connect(&door, 0).await?;
    assert!(matches!(again, Entry::Out(RefusalCode::Revoked, _)));
    scene.waits_for_doubt(&agent.id, "revoked")?;
    wait_for("an alert", || {
        let alerts = scene
            .client
            .get("/api/v1/alerts?rule_id=watchfloor-agent-doubt")?
            .json();
        Ok(alerts["items"]
            .as_array()
            .is_some_and(|rows| !rows.is_empty()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_lie_flood_or_talk_nonsense_are_contained_and_named() -> Result<()> {
    let scene = Scene::open()?;
    let door = scene.door()?;
    // A stolen certificate on another machine.
    let agent = enrolled(&scene, "v-1").await?;
    let mut thief = agent.host.clone();
    thief.machine = "feedface".to_owned();
    let out = agent.connect_as(&door, thief, 0, now_ms()).await?;
    assert!(matches!(out, Entry::Out(RefusalCode::OtherMachine, _)));
    scene.waits_for_doubt(&agent.id, "other_machine")?;
    // Another name, and a clock that is a year ahead; its records stay its own.
    let mut liar = agent.host.clone();
    liar.name = "dc-1".to_owned();
    let year_ms = 365 * 86_400_000;
    let mut link = agent
        .connect_as(&door, liar, 0, now_ms() + year_ms)
        .await?
        .let_in()?;
    scene.waits_for_doubt(&agent.id, "other_name")?;
    scene.waits_for_doubt(&agent.id, "clock")?;
    let mut lie = record("agent-999", "dc-1", 5);
    lie["message"] = json!("a line without a header");
    link.send_records(1, 1, &[lie]).await?;
    assert_eq!(stored(&mut link).await?, 1);
    let lie = "\"a line without a header\"";
    wait_for("the record", || Ok(found(&scene, lie)? == 1))?;
    let kept = scene.client.events(lie)?.remove(0);
    let raw = kept["raw"].as_str().context("no raw record")?;
    assert!(raw.contains(r#""host":{"name":"v-1"}"#), "{raw}");
    assert!(raw.contains(r#""claimed_host":{"name":"dc-1"}"#), "{raw}");
    // What is long stored comes again.
    let many: Vec<Value> = (2..=10_001).map(|n| record(&agent.id, "v-1", n)).collect();
    for (start, chunk) in (2_u64..).step_by(2_000).zip(many.chunks(2_000)) {
        link.send_records(1, start, chunk).await?;
        stored(&mut link).await?;
    }
    let one_more = [record(&agent.id, "v-1", 10_002)];
    link.send_records(1, 10_002, &one_more).await?;
    stored(&mut link).await?;
    link.send_records(1, 1, &one_more).await?;
    stored(&mut link).await?;
    scene.waits_for_doubt(&agent.id, "replay")?;
    // A flood is held, and nothing of it is lost: the agent keeps it.
    let mut held = false;
    let mut first = 10_003;
    for _ in 0..40 {
        link.send_records(1, first, &many[..2_000]).await?;
        match tokio::time::timeout(LIMIT, link.next()).await??.message {
            ToAgent::Stored { through, .. } => first = through + 1,
            ToAgent::Hold { ms } => {
                held = ms > 0;
                break;
            }
            other => bail!("{other:?}"),
        }
    }
    assert!(held, "a flood is held");
    scene.waits_for_doubt(&agent.id, "flood")?;
    // A frame over the limits, and one that is no JSON.
    for bytes in [&[0xff_u8; 8][..], b"\0\0\0\x05\0\0\0\0hello"] {
        let agent = enrolled(&scene, "n-1").await?;
        let mut link = agent.connect(&door, 0).await?.let_in()?;
        link.send_bytes(bytes).await?;
        let end = link
            .next_that(|one| matches!(one, ToAgent::Refused { .. }))
            .await?;
        assert!(matches!(
            end,
            ToAgent::Refused {
                code: RefusalCode::Nonsense,
                ..
            }
        ));
    }
    let refused = scene.fleet()?["refused"].clone();
    assert!(
        refused.to_string().contains("over the limits")
            || refused.to_string().contains("message cannot be read"),
        "{refused}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_over_or_of_another_authority_lets_nobody_in() -> Result<()> {
    let scene = Scene::open()?;
    let door = scene.door()?;
    let agent = enrolled(&scene, "old-1").await?;
    let key = rcgen::KeyPair::generate()?;
    let request = rcgen::CertificateParams::default().serialize_request(&key)?;
    let now = jiff::Timestamp::now();
    let long_ago = now.checked_sub(jiff::SignedDuration::from_hours(24 * 120))?;
    let authority = Authority::open(&scene.folder.path().join("fleet"), now)?;
    let over = authority.issue("main", &agent.id, request.der(), long_ago)?;
    let old = EnrolledAgent::with_certificate(&agent.id, agent.host.clone(), &over.pem, &key)?;
    assert!(
        old.connect(&door, 0).await.is_err(),
        "a certificate that is over"
    );
    scene.waits_for_doubt(&agent.id, "expired")?;
    // Another authority may name whom it wants: nobody is let in, and nobody is suspected.
    let other = tempfile::tempdir()?;
    let other = Authority::open(other.path(), now)?;
    let forged = other.issue("main", &agent.id, request.der(), now)?;
    let own = over
        .pem
        .split_inclusive("-----END CERTIFICATE-----\n")
        .nth(1);
    let leaf = forged
        .pem
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next();
    let pem = format!(
        "{}{}",
        leaf.context("no leaf")?,
        own.context("no authority")?
    );
    let forger = EnrolledAgent::with_certificate(&agent.id, agent.host.clone(), &pem, &key)?;
    assert!(
        forger.connect(&door, 0).await.is_err(),
        "a forged certificate"
    );
    wait_for("they are counted", || {
        let refused = scene.fleet()?["refused"].clone();
        let rows = refused.as_array().cloned().unwrap_or_default();
        Ok(rows
            .iter()
            .any(|row| row["reason"] == "tls" && row["count"].as_u64() >= Some(2)))
    })?;
    assert!(
        matches!(agent.connect(&door, 0).await?, Entry::In(_)),
        "its own is good"
    );
    Ok(())
}
