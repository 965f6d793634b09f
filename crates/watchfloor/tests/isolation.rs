//! Isolation with real hosts: three of them and the server, each in a network namespace of its
//! own, joined by a switch in a fifth. An isolated host reaches the server and nothing else, and
//! is back after undo, and after its time limit also when the server died meanwhile.
//!
//! The test runs itself again inside the server's namespace.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
/// Set in the run inside the server's namespace: what the namespaces' names begin with.
const INSIDE: &str = "WATCHFLOOR_TEST_NAMESPACES";
/// Hosts and the last number of their addresses.
const HOSTS: [(&str, u8); 4] = [("soc", 1), ("ws1", 11), ("ws2", 12), ("srv", 13)];
/// Where a service of the third host listens.
const SERVICE: u16 = 8080;

#[test]
fn an_isolated_host_reaches_the_server_and_nothing_else() -> Result<()> {
    if let Ok(prefix) = std::env::var(INSIDE) {
        return scene(&prefix);
    }
    let Some(agent) = agent() else { return Ok(()) };
    for tool in ["ip", "nft", "unshare"] {
        if !has(tool) {
            println!("skipped: {tool} is absent; cargo xtask test installs it");
            return Ok(());
        }
    }
    let Some(lab) = Lab::build()? else {
        println!("skipped: network namespaces cannot be made here");
        return Ok(());
    };
    println!("the agent is {}", agent.display());
    let status = Command::new("ip")
        .args(["netns", "exec", &lab.name("soc")])
        .arg(std::env::current_exe()?)
        .args([
            "--exact",
            "an_isolated_host_reaches_the_server_and_nothing_else",
            "--nocapture",
        ])
        .env(INSIDE, &lab.prefix)
        .status()?;
    ensure!(status.success(), "the run inside the namespace failed");
    Ok(())
}

/// The agent's binary, beside the server's.
fn agent() -> Option<PathBuf> {
    let agent = Path::new(PROGRAM).with_file_name("watchfloor-agent");
    if agent.is_file() {
        return Some(agent);
    }
    println!(
        "skipped: {} is absent; cargo build --workspace makes it",
        agent.display()
    );
    None
}

fn has(tool: &str) -> bool {
    let found = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok()
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let out = Command::new(program).args(arguments).output()?;
    ensure!(
        out.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    Ok(())
}

/// Namespaces that go when this goes.
struct Lab {
    prefix: String,
}

impl Lab {
    fn build() -> Result<Option<Self>> {
        let lab = Self {
            prefix: format!("wf{}", std::process::id()),
        };
        let switch = lab.name("sw");
        if run("ip", &["netns", "add", &switch]).is_err() {
            return Ok(None);
        }
        let inside = |space: &str, arguments: &[&str]| {
            let mut all = vec!["-n", space];
            all.extend(arguments);
            run("ip", &all)
        };
        inside(&switch, &["link", "add", "br0", "type", "bridge"])?;
        inside(&switch, &["link", "set", "br0", "up"])?;
        for (host, number) in HOSTS {
            let (space, port) = (lab.name(host), format!("p{number}"));
            run("ip", &["netns", "add", &space])?;
            inside(
                &switch,
                &[
                    "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &space,
                ],
            )?;
            inside(&switch, &["link", "set", &port, "master", "br0", "up"])?;
            inside(&space, &["link", "set", "lo", "up"])?;
            inside(
                &space,
                &[
                    "addr",
                    "add",
                    &format!("{}/24", address(number)),
                    "dev",
                    "eth0",
                ],
            )?;
            inside(&space, &["link", "set", "eth0", "up"])?;
        }
        Ok(Some(lab))
    }

    fn name(&self, host: &str) -> String {
        format!("{}-{host}", self.prefix)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in HOSTS.iter().map(|one| one.0).chain(["sw"]) {
            let _ = run("ip", &["netns", "del", &self.name(host)]);
        }
    }
}

fn address(number: u8) -> String {
    format!("10.99.7.{number}")
}

/// A process that is killed when this goes.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A host of the lab.
struct Host {
    space: String,
    name: &'static str,
}

impl Host {
    /// A command in the host's namespace, under its name.
    fn command(&self, script: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.space,
            "unshare",
            "--uts",
            "bash",
            "-c",
        ]);
        command.arg(format!("hostname {}; {script}", self.name));
        command.arg("bash").args(arguments);
        command
    }

    /// Whether it reaches a port of an address within two seconds.
    fn reaches(&self, address: &str, port: u16) -> Result<bool> {
        let script = "timeout 2 bash -c 'exec 3<>/dev/tcp/'\"$1\"'/'\"$2\"";
        let status = self
            .command(script, &[address, &port.to_string()])
            .stderr(Stdio::null())
            .status()?;
        Ok(status.success())
    }
}

struct Scene {
    server: ServerProcess,
    client: Client,
    ws1: Host,
    ws2: Host,
    _processes: Vec<Process>,
}

fn start(prefix: &str, folder: &Path) -> Result<Scene> {
    let agents = format!("{}:6517", address(1));
    let data = folder.join("server");
    let config = folder.join("server.toml");
    std::fs::write(&config, "[fleet]\nheartbeat_s = 1\n")?;
    let config = config.display().to_string();
    let arguments = ["--syslog", "off", "--agents", &agents, "--config", &config];
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    let made = send(
        &client,
        "POST",
        "/api/v1/fleet/enrolments",
        &json!({ "uses": 1 }),
    )?;
    let token = made["token"].as_str().context("no token")?.to_owned();
    let host = |name| Host {
        space: format!("{prefix}-{name}"),
        name,
    };
    let (ws1, ws2, srv) = (host("ws1"), host("ws2"), host("srv"));
    let service = "exec python3 -m http.server --bind 0.0.0.0 \"$1\"";
    let mut processes = Vec::new();
    for one in [&srv, &ws1, &ws2] {
        let mut command = one.command(service, &[&SERVICE.to_string()]);
        command
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        processes.push(Process(command.spawn()?));
    }
    let agent = agent().context("no agent")?.display().to_string();
    let own = folder.join("agent").display().to_string();
    let enrol = "exec \"$1\" enrol --server \"$2\" --token \"$3\" --data \"$4\"";
    let out = ws1
        .command(enrol, &[&agent, &agents, &token, &own])
        .output()?;
    ensure!(
        out.status.success(),
        "enrol: {}",
        String::from_utf8_lossy(&out.stderr)
    );
    let mut command = ws1.command("exec \"$1\" run --data \"$2\"", &[&agent, &own]);
    processes.push(Process(command.spawn()?));
    Ok(Scene {
        server,
        client,
        ws1,
        ws2,
        _processes: processes,
    })
}

fn send(client: &Client, method: &str, path: &str, body: &Value) -> Result<Value> {
    let json_type = [("content-type", "application/json")];
    let answer = client.request(method, path, &json_type, body.to_string().as_bytes())?;
    if answer.status >= 300 {
        bail!("{method} {path}: {} {}", answer.status, answer.json());
    }
    Ok(answer.json())
}

fn isolate(client: &Client, time_limit_s: u32) -> Result<String> {
    let action = send(
        client,
        "POST",
        "/api/v1/actions",
        &json!({
            "kind": "isolate_host", "arguments": { "host": "ws1" }, "reason": "it speaks with a stranger",
            "time_limit_s": time_limit_s,
        }),
    )?;
    let id = action["id"].as_str().context("no action")?.to_owned();
    wait_for("the host is isolated", || {
        let shown = client.get(&format!("/api/v1/actions/{id}"))?.json();
        ensure!(shown["status"] != "failed", "{shown}");
        Ok(shown["status"] == "done")
    })?;
    Ok(id)
}

fn scene(prefix: &str) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let scene = start(prefix, folder.path())?;
    let (ws1, ws2, client) = (&scene.ws1, &scene.ws2, &scene.client);
    let alone = json!({ "needs_approval": false, "time_limit_s": 3_600 });
    send(
        client,
        "PUT",
        "/api/v1/actions/policies/isolate_host",
        &alone,
    )?;
    let agent =
        || Ok::<_, anyhow::Error>(client.get("/api/v1/fleet/agents")?.json()["items"][0].clone());
    wait_for("the agent comes", || Ok(agent()?["is_connected"] == true))?;
    let (stranger, service) = (address(13), SERVICE);
    wait_for("the hosts reach each other", || {
        Ok(ws1.reaches(&stranger, service)? && ws2.reaches(&address(11), service)?)
    })?;

    let id = isolate(client, 3_600)?;
    ensure!(!ws1.reaches(&stranger, service)?, "it reaches a stranger");
    ensure!(
        !ws1.reaches(&address(12), service)?,
        "it reaches a neighbour"
    );
    ensure!(
        !ws2.reaches(&address(11), service)?,
        "a neighbour reaches it"
    );
    ensure!(
        ws1.reaches(&address(1), 6517)?,
        "it does not reach the server"
    );
    wait_for("its health says so", || {
        let agent = agent()?;
        Ok(agent["is_connected"] == true && agent["health"]["is_isolated"] == true)
    })?;

    send(
        client,
        "POST",
        &format!("/api/v1/actions/{id}/undo"),
        &json!({ "reason": "it was nothing" }),
    )?;
    wait_for("it is back after undo", || ws1.reaches(&stranger, service))?;

    // The server dies; the agent undoes it by itself when its time is over.
    let limit = Duration::from_secs(12);
    let begin = Instant::now();
    isolate(client, u32::try_from(limit.as_secs())?)?;
    ensure!(
        !ws1.reaches(&stranger, service)?,
        "it reaches a stranger again"
    );
    scene.server.kill()?;
    let is_early = begin.elapsed() + Duration::from_secs(3) < limit;
    if is_early {
        ensure!(
            !scene.ws1.reaches(&stranger, service)?,
            "it is back before its time"
        );
    }
    wait_for("it is back after its time", || {
        scene.ws1.reaches(&stranger, service)
    })?;
    ensure!(
        scene.ws2.reaches(&address(11), service)?,
        "a neighbour does not reach it"
    );
    Ok(())
}
