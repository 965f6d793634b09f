//! Queries on several machines: here, several processes over an S3-compatible server.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watchfloor_testkit::{Answer, Bucket, Client, ServerProcess, python, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const LINES: u64 = 3000;
const FILES: u64 = 6;

/// Queries of each kind, whose answers do not depend on an order that nobody asked for.
const QUERIES: [&str; 7] = [
    "Authentication | summarize count(), dcount(user_name) by src_endpoint_ip | sort by src_endpoint_ip asc",
    "events | where user_name in ('user7', 'user5001', 'user17001') | project user_name | sort by user_name asc",
    "events | where raw has 'user12345' | project user_name, src_endpoint_ip",
    "events | where ipv4_is_in_range(src_endpoint_ip, '192.0.2.0/30') | count",
    "events | extend tail = substring(user_name, 4) | where strlen(tail) == 3 | summarize max(toint(tail)), min(toint(tail)) by src_endpoint_ip | sort by src_endpoint_ip asc",
    "let some = events | where user_name in ('user1', 'user2') | distinct src_endpoint_ip; events | where src_endpoint_ip in (some) | summarize count()",
    "SELECT src_endpoint_ip, count(*) AS n, count(DISTINCT user_name) AS users FROM events GROUP BY 1 ORDER BY 1",
];

/// A worker that ends with the test.
struct Worker {
    child: Child,
    url: String,
}

impl Worker {
    fn start(certificates: &Path) -> Result<Self> {
        let mut child = Command::new(PROGRAM)
            .args([
                "cluster",
                "worker",
                "--listen",
                "127.0.0.1:0",
                "--authority",
            ])
            .arg(certificates.join("authority.pem"))
            .arg("--certificate")
            .arg(certificates.join("node.pem"))
            .arg("--key")
            .arg(certificates.join("node.key"))
            .envs(Bucket::CREDENTIALS)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("ready ").map(str::to_owned);
        let url = url.with_context(|| format!("the worker says {line:?}"))?;
        Ok(Self { child, url })
    }

    /// Processor time that it used, in clock ticks (proc(5), fields 14 and 15).
    fn ticks(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let rest = text.rsplit(')').next().unwrap_or_default();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
    }

    fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status()?;
        ensure!(status.success(), "kill -s {name}");
        Ok(())
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn watchfloor(arguments: &[&str], path: &Path, more: &[&str]) -> Result<()> {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .arg(path)
        .args(more)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// An authority and a node's certificate for this machine.
fn certificates(folder: &Path) -> Result<std::path::PathBuf> {
    let (authority, node) = (folder.join("authority"), folder.join("node"));
    watchfloor(&["cluster", "authority", "--out"], &authority, &[])?;
    let out = node.to_string_lossy();
    let more = ["--name", "127.0.0.1", "--name", "localhost", "--out", &out];
    watchfloor(
        &["cluster", "certificate", "--authority"],
        &authority,
        &more,
    )?;
    Ok(node)
}

fn cluster(workers: &[Worker], certificates: &Path) -> String {
    let urls: Vec<&str> = workers.iter().map(|worker| worker.url.as_str()).collect();
    let folder = certificates.display();
    format!(
        "[cluster]\nworkers = {urls:?}\nauthority = \"{folder}/authority.pem\"\n\
         certificate = \"{folder}/node.pem\"\nkey = \"{folder}/node.key\"\nbytes_per_worker = 1\n"
    )
}

fn fill(client: &Client) -> Result<()> {
    for file in 0..FILES {
        let mut body = String::new();
        for number in file * LINES..(file + 1) * LINES {
            let line = format!(
                "<34>Nov 25 01:02:03 web sshd[1]: Failed password for user{number} from 192.0.2.{} port 22 ssh2",
                number % 7
            );
            writeln!(body, "{}", json!({"message": line}))?;
        }
        let kind = [("content-type", "application/x-ndjson")];
        let answer = client.post("/ingest/ndjson?source=web", &kind, body.as_bytes())?;
        ensure!(answer.status == 200, "{}", answer.status);
        wait_for("a file is written", || {
            let storage = client.get("/api/v1/storage")?.json();
            let classes = storage["usage"]["classes"].as_array();
            let mut logins = classes
                .into_iter()
                .flatten()
                .filter(|of| of["name"] == "3002");
            Ok(logins.next().and_then(|of| of["rows"].as_u64()) >= Some((file + 1) * LINES))
        })?;
    }
    Ok(())
}

fn post(client: &Client, query: &str) -> Result<Answer> {
    let body = json!({
        "query": query, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 1000,
    });
    let kind = [("content-type", "application/json")];
    client.post("/api/v1/query", &kind, body.to_string().as_bytes())
}

fn ask(client: &Client, query: &str) -> Result<Value> {
    let answer = post(client, query)?;
    ensure!(answer.status == 200, "{query}: {}", answer.json());
    Ok(answer.json()["rows"].clone())
}

/// Queries that ran again without workers.
fn failures(client: &Client) -> Result<String> {
    let text = String::from_utf8_lossy(&client.get("/metrics")?.body).into_owned();
    let line = text
        .lines()
        .find(|line| line.starts_with("watchfloor_cluster_failures_total"));
    let line = line.with_context(|| text.clone())?;
    Ok(line.rsplit(' ').next().unwrap_or_default().to_owned())
}

#[test]
fn workers_share_the_work_and_one_that_dies_costs_no_answer() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let nodes = certificates(folder.path())?;
    let bucket = Bucket::start(&python)?;
    let mut workers = [Worker::start(&nodes)?, Worker::start(&nodes)?];
    let data = folder.path().join("data");

    let alone = bucket.config(folder.path(), "")?;
    let alone = alone.to_string_lossy();
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &alone])?;
    let client = server.client("admin")?;
    fill(&client)?;
    let wanted: Vec<Value> = QUERIES
        .iter()
        .map(|query| ask(&client, query))
        .collect::<Result<_>>()?;
    assert_eq!(wanted[3], json!([[LINES * FILES / 7 * 4 + 3]]));
    assert_eq!(wanted[1], json!([["user17001"], ["user5001"], ["user7"]]));
    drop(server);

    let limits = "[limits.viewer]\nread_mib = 1\n";
    let more = format!("{}{limits}", cluster(&workers, &nodes));
    let together = bucket.config(folder.path(), &more)?;
    let together = together.to_string_lossy();
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &together])?;
    let client = server.client("admin")?;
    let before = [workers[0].ticks()?, workers[1].ticks()?];
    for (query, wanted) in QUERIES.iter().zip(&wanted) {
        assert_eq!(&ask(&client, query)?, wanted, "{query}");
        let failures = failures(&client)?;
        let complaints = server.complaints();
        assert_eq!(
            failures, "0",
            "workers did not answer {query}: {complaints}"
        );
    }
    for _ in 0..10 {
        ask(&client, QUERIES[0])?;
    }
    for (worker, before) in workers.iter().zip(before) {
        let ticks = worker.ticks()? - before;
        assert!(ticks >= 5, "a worker did nothing: {ticks} ticks");
    }

    // What a role may read is counted where it is read: more than that is not shared out.
    let before = [workers[0].ticks()?, workers[1].ticks()?];
    let reader = server.client("read")?;
    let all = ["(events | project raw)"; 60].join(", ");
    let answer = post(&reader, &format!("union {all} | summarize dcount(raw)"))?;
    let said = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        answer.status != 200 && said.contains("1 MiB of files"),
        "{said}"
    );
    for (worker, before) in workers.iter().zip(before) {
        assert!(
            worker.ticks()? - before < 5,
            "a worker read beyond the limit"
        );
    }
    assert_eq!(&ask(&reader, QUERIES[3])?, &wanted[3]);
    assert_eq!(failures(&client)?, "0");

    // A worker that hangs costs time, and no answer.
    workers[0].signal("STOP")?;
    let start = std::time::Instant::now();
    assert_eq!(&ask(&client, QUERIES[0])?, &wanted[0]);
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    workers[0].signal("CONT")?;

    // Queries go on while one worker is killed, and when the other is, too.
    let url = client.address().to_owned();
    for index in [0, 1] {
        let (url, token) = (format!("http://{url}"), client.token().to_owned());
        let asking = std::thread::spawn(move || {
            let client = Client::new(&url, &token);
            (0..12)
                .map(|_| ask(&client, QUERIES[0]))
                .collect::<Result<Vec<_>>>()
        });
        std::thread::sleep(std::time::Duration::from_millis(150));
        workers[index].kill();
        let answers = asking
            .join()
            .map_err(|_| anyhow::anyhow!("asking panicked"))??;
        assert!(answers.iter().all(|answer| answer == &wanted[0]));
    }
    for (query, wanted) in QUERIES.iter().zip(&wanted) {
        assert_eq!(&ask(&client, query)?, wanted, "{query}");
    }
    Ok(())
}

#[test]
fn nodes_of_another_authority_are_strangers() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let (ours, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let nodes = certificates(ours.path())?;
    let strangers = certificates(theirs.path())?;
    let bucket = Bucket::start(&python)?;
    let workers = [Worker::start(&strangers)?];
    let config = bucket.config(ours.path(), &cluster(&workers, &nodes))?;
    let config = config.to_string_lossy();
    let data = ours.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config])?;
    let client = server.client("admin")?;
    fill(&client)?;
    let before = workers[0].ticks()?;
    // The answer is right all the same: it is made here.
    assert_eq!(ask(&client, "events | count")?, json!([[LINES * FILES]]));
    assert!(workers[0].ticks()? - before < 5, "a stranger did the work");
    Ok(())
}
