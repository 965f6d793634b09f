//! Senders that no one here wrote: rsyslog, the Python client of Elasticsearch, curl; and a
//! reader that no one here wrote, DuckDB, over the lake's files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchfloor_testkit::{Client, ServerProcess, python, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const RSYSLOG: &str = "/usr/sbin/rsyslogd";

fn start(data: &Path, arguments: &[&str]) -> Result<ServerProcess> {
    ServerProcess::start(Path::new(PROGRAM), data, arguments)
}

/// An rsyslogd that ends with the test.
struct Rsyslog(Child);

impl Rsyslog {
    /// Starts one that reads a file as a service's log and forwards it by an action.
    fn start(folder: &Path, input: &Path, action: &str) -> Result<Self> {
        let (folder, input) = (folder.display(), input.display());
        let config = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imfile")
input(type="imfile" file="{input}" tag="shop[77]:" severity="warning" facility="local3" ruleset="out")
ruleset(name="out") {{ {action} }}
"#
        );
        let path = PathBuf::from(format!("{folder}/rsyslog.conf"));
        std::fs::write(&path, config)?;
        let child = Command::new(RSYSLOG)
            .arg("-n")
            .arg("-f")
            .arg(&path)
            .arg("-i")
            .arg(format!("{folder}/rsyslog.pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start rsyslogd")?;
        Ok(Self(child))
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends numbered lines through rsyslog and checks that each arrives once, under the name of
/// this host and of the service.
fn check_rsyslog(lines: usize, protocol: &str, action: &str) -> Result<()> {
    if !Path::new(RSYSLOG).is_file() {
        println!("skipped: {RSYSLOG} is absent; apt-get install rsyslog");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = start(&folder.path().join("data"), &["--syslog", "127.0.0.1:0"])?;
    let client = server.client("ingest,read")?;
    let address = client.listener(&format!("syslog-{protocol}"))?;
    let port = address.rsplit(':').next().unwrap_or_default();
    let action = format!(
        r#"action(type="omfwd" target="127.0.0.1" port="{port}" protocol="{protocol}" {action})"#
    );
    let mut text = String::new();
    for number in 0..lines {
        writeln!(text, "order {number} of <someone> at 10 % \"off\" ünïcode")?;
    }
    let input = folder.path().join("shop.log");
    std::fs::write(&input, text)?;
    let rsyslog = Rsyslog::start(folder.path(), &input, &action)?;
    wait_for("all lines are stored", || {
        client.settle()?;
        Ok(client.events("product:Syslog")?.len() >= lines)
    })?;
    drop(rsyslog);
    client.settle()?;
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    let host = host.trim().split('.').next().unwrap_or_default();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for event in client.events("*")? {
        let fields = &event["fields"];
        let message = fields["message"].as_str().unwrap_or_default().trim_start();
        let number = message
            .strip_prefix("order ")
            .and_then(|rest| rest.split(' ').next());
        let number = number
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("another event: {event}"))?;
        *counts.entry(number).or_default() += 1;
        ensure!(
            message == format!("order {number} of <someone> at 10 % \"off\" ünïcode"),
            "{message}"
        );
        ensure!(
            fields["device.hostname"]
                .as_str()
                .is_some_and(|name| name.split('.').next() == Some(host)),
            "host: {event}"
        );
        ensure!(
            fields["app_name"] == "shop" && fields["process.pid"] == "77",
            "service: {event}"
        );
        // local3.warning
        ensure!(
            fields["unmapped.syslog.facility"] == "19" && fields["unmapped.syslog.severity"] == "4",
            "priority: {event}"
        );
    }
    ensure!(
        counts.len() == lines && counts.values().all(|count| *count == 1),
        "stored {counts:?}"
    );
    let ledger = client.balanced_ledger()?;
    ensure!(
        ledger.received == lines as u64 && ledger.undecoded == 0,
        "{ledger:?}"
    );
    Ok(())
}

#[test]
fn rsyslog_over_tcp_counted_rfc5424() -> Result<()> {
    check_rsyslog(
        3000,
        "tcp",
        r#"TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format""#,
    )
}

#[test]
fn rsyslog_over_tcp_lines_rfc3164() -> Result<()> {
    check_rsyslog(
        3000,
        "tcp",
        r#"TCP_Framing="traditional" template="RSYSLOG_TraditionalForwardFormat""#,
    )
}

#[test]
fn rsyslog_over_udp() -> Result<()> {
    // Few enough for the kernel's smallest usual receive buffer: what is tested is the path,
    // not how fast a loaded machine empties it.
    check_rsyslog(100, "udp", r#"template="RSYSLOG_TraditionalForwardFormat""#)
}

/// Runs a Python script with arguments and reads the JSON that it prints.
fn run_python(python: &Path, script: &str, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(python)
        .arg("-c")
        .arg(script)
        .args(arguments)
        .output()?;
    ensure!(
        output.status.success(),
        "python: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(serde_json::from_slice(&output.stdout)?)
}

const BULK: &str = r#"
import json, sys, warnings
warnings.filterwarnings("ignore")
from elasticsearch import Elasticsearch, helpers, exceptions
url, token = sys.argv[1:3]
out = {}
# Three ways to sign in; with and without the path of ingest.
by_key = Elasticsearch(url, api_key=token)
by_basic = Elasticsearch(url + "/ingest", basic_auth=("anyone", token), http_compress=True)
by_bearer = Elasticsearch(url, bearer_auth=token)
docs = lambda name, count: ({"_index": name, "_source": {"sender": name, "number": i, "@timestamp": "2026-11-20T10:00:00Z"}} for i in range(count))
out["bulk"] = helpers.bulk(by_key, docs("by-key", 1200), chunk_size=500)
out["streaming"] = sum(ok for ok, _ in helpers.streaming_bulk(by_basic, docs("by-basic", 700), chunk_size=100))
out["parallel"] = sum(ok for ok, _ in helpers.parallel_bulk(by_bearer, docs("by-bearer", 700), thread_count=2, chunk_size=100))
# The same document twice, as a sender does that had no answer.
once = lambda: ({"_op_type": "create", "_index": "once", "_id": str(i), "_source": {"sender": "once", "number": i}} for i in range(50))
out["once"] = [helpers.bulk(by_key, once(), raise_on_error=False, stats_only=True) for _ in range(2)]
# Broken items among good ones.
class Raw(str): pass
items = [
    {"_index": "mixed", "_source": {"sender": "mixed", "number": 1}},
    {"_op_type": "delete", "_index": "mixed", "_id": "1"},
    {"_index": "mixed", "_source": {"sender": "mixed", "number": 2, "pad": "x" * (1 << 20)}},
    {"_op_type": "update", "_index": "mixed", "_id": "1", "doc": {"a": 1}},
    {"_index": "mixed", "_source": {"sender": "mixed", "number": 3}},
]
done, errors = helpers.bulk(by_key, items, raise_on_error=False)
out["mixed"] = [done, [next(iter(error.values()))["error"]["reason"] for error in errors]]
raw = by_key.perform_request("POST", "/_bulk", headers={"content-type": "application/x-ndjson", "accept": "application/json"},
    body=b'{"index":{}}\n{"sender":"raw","number":1}\n{"index":{}}\n{"broken":\n{"index":{}}\n{"sender":"raw","number":2}\n')
out["raw"] = [[next(iter(item.values()))["status"] for item in raw.body["items"]], raw.body["errors"]]
try:
    Elasticsearch(url, api_key="wf_not_a_token").bulk(operations=[{"index": {}}, {"a": 1}])
except exceptions.AuthenticationException as error:
    out["refused"] = error.status_code
print(json.dumps(out))
"#;

#[test]
fn elasticsearch_bulk_helpers() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), &["--syslog", "off"])?;
    let client = server.client("ingest,read")?;
    let out = run_python(&python, BULK, &[&server.url, client.token()])?;
    assert_eq!(out["bulk"], serde_json::json!([1200, []]));
    assert_eq!(
        (&out["streaming"], &out["parallel"]),
        (&700.into(), &700.into())
    );
    assert_eq!(out["once"], serde_json::json!([[50, 0], [50, 0]]));
    assert_eq!(out["mixed"][0], 2);
    let reasons: Vec<&str> = out["mixed"][1]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    assert!(
        reasons[0].contains("delete")
            && reasons[1].contains("1 MiB")
            && reasons[2].contains("update"),
        "{reasons:?}"
    );
    assert_eq!(out["raw"], serde_json::json!([[201, 400, 201], true]));
    assert_eq!(out["refused"], 401);
    client.settle()?;
    for (sender, count) in [
        ("by-key", 1200),
        ("by-basic", 700),
        ("by-bearer", 700),
        ("once", 50),
        ("mixed", 2),
        ("raw", 2),
    ] {
        assert_numbers(&client, sender, count)?;
    }
    let ledger = client.balanced_ledger()?;
    assert_eq!(ledger.stored, 1200 + 700 + 700 + 50 + 2 + 2);
    assert_eq!(
        ledger.dropped,
        BTreeMap::from([("malformed_json".to_owned(), 1), ("too_long".to_owned(), 1)])
    );
    Ok(())
}

/// That a sender's documents are stored, each once.
fn assert_numbers(client: &Client, sender: &str, count: usize) -> Result<()> {
    let events = client.events(&format!("sender:\"{sender}\""))?;
    let mut numbers: Vec<&str> = events
        .iter()
        .filter_map(|event| event["fields"]["unmapped.number"].as_str())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((events.len(), numbers.len()), (count, count), "{sender}");
    Ok(())
}

fn curl(arguments: &[&str]) -> Result<Option<Value>> {
    let output = match Command::new("curl")
        .args(["-sS", "--max-time", "30"])
        .args(arguments)
        .output()
    {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: curl is absent");
            return Ok(None);
        }
        other => other?,
    };
    ensure!(
        output.status.success(),
        "curl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Some(
        serde_json::from_str(&text).with_context(|| format!("curl got: {text}"))?,
    ))
}

#[test]
fn curl_with_lines_gzip_and_bulk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(&folder.path().join("data"), &["--syslog", "off"])?;
    let client = server.client("ingest,read")?;
    let lines: String = (0..100)
        .map(|number| format!("{{\"sender\":\"curl\",\"number\":{number}}}\n"))
        .collect();
    let plain = folder.path().join("lines.ndjson");
    std::fs::write(&plain, &lines)?;
    let packed = folder.path().join("lines.ndjson.gz");
    let mut gzip = flate2::write::GzEncoder::new(
        std::fs::File::create(&packed)?,
        flate2::Compression::default(),
    );
    gzip.write_all(lines.replace("curl", "gzip").as_bytes())?;
    gzip.finish()?;
    let bulk = folder.path().join("bulk.ndjson");
    std::fs::write(
        &bulk,
        lines
            .replace("curl", "bulk")
            .lines()
            .map(|line| format!("{{\"create\":{{}}}}\n{line}\n"))
            .collect::<String>(),
    )?;
    let token = format!("Authorization: Bearer {}", client.token());
    let url = |path: &str| format!("{}{path}", server.url);
    let data = |path: &Path| format!("@{}", path.display());
    let Some(answer) = curl(&[
        "-H",
        &token,
        "--data-binary",
        &data(&plain),
        &url("/ingest/ndjson"),
    ])?
    else {
        return Ok(());
    };
    assert_eq!(answer, serde_json::json!({"accepted": 100, "rejected": []}));
    let answer = curl(&[
        "-H",
        &token,
        "-H",
        "Content-Encoding: gzip",
        "--data-binary",
        &data(&packed),
        &url("/ingest/ndjson?source=packed"),
    ])?;
    assert_eq!(
        answer,
        Some(serde_json::json!({"accepted": 100, "rejected": []}))
    );
    // As the documentation of Elasticsearch tells people to.
    let user = format!("elastic:{}", client.token());
    let answer = curl(&[
        "-u",
        &user,
        "-H",
        "Content-Type: application/x-ndjson",
        "--data-binary",
        &data(&bulk),
        &url("/logs-app/_bulk"),
    ])?;
    let answer = answer.unwrap_or_default();
    assert_eq!(
        (&answer["errors"], answer["items"].as_array().map(Vec::len)),
        (&Value::Bool(false), Some(100))
    );
    // A body in chunks, of unknown length.
    let answer = curl(&[
        "-H",
        &token,
        "-H",
        "Transfer-Encoding: chunked",
        "-T",
        &plain.to_string_lossy(),
        "-X",
        "POST",
        &url("/ingest/ndjson"),
    ])?;
    assert_eq!(
        answer,
        Some(serde_json::json!({"accepted": 100, "rejected": []}))
    );
    client.settle()?;
    assert_numbers(&client, "gzip", 100)?;
    assert_numbers(&client, "bulk", 100)?;
    assert_eq!(client.events("sender:curl")?.len(), 200);
    assert_eq!(client.events("source:packed")?.len(), 100);
    assert_eq!(client.events("source:\"logs-app\"")?.len(), 100);
    assert_eq!(client.balanced_ledger()?.stored, 400);
    Ok(())
}

const DUCKDB: &str = r#"
import json, sys, duckdb
lake = sys.argv[1]
table = f"read_parquet('{lake}/day=*/*.parquet', union_by_name=true)"
rows = duckdb.sql(f"select count(*) from {table}").fetchone()[0]
days = duckdb.sql(f"select day::varchar, count(*) from {table} group by all order by all").fetchall()
# A promoted attribute, a field of the source, the raw bytes, the time.
one = duckdb.sql(f"""select message, unmapped['only_3'], raw, epoch_us(time), source from {table}
    where unmapped['only_3'] = '7'""").fetchall()
print(json.dumps({"rows": rows, "days": days, "one": one}, default=lambda value: value.decode()))
"#;

#[test]
fn duckdb_reads_the_lake() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), &["--syslog", "off"])?;
    let client = server.client("ingest,read")?;
    // Several commits, and fields that only some of them have. Without compaction every file
    // is alive; afterwards the Delta log says which are.
    for batch in 0..4 {
        let lines: String = (0..50).map(|number| format!("{{\"@timestamp\":\"2026-11-2{batch}T10:00:00Z\",\"only_{batch}\":{number},\"message\":\"m\"}}\n")).collect();
        let answer = client.post("/ingest/ndjson", &[], lines.as_bytes())?;
        ensure!(answer.json()["accepted"] == 50, "{}", answer.json());
        client.settle()?;
    }
    let lake = folder.path().join("lake");
    let out = run_python(&python, DUCKDB, &[&lake.to_string_lossy()])?;
    assert_eq!(out["rows"], 200, "{out}");
    let days: Vec<Value> = (0..4)
        .map(|batch| serde_json::json!([format!("2026-11-2{batch}"), 50]))
        .collect();
    assert_eq!(out["days"], Value::Array(days), "{out}");
    let raw = "{\"@timestamp\":\"2026-11-23T10:00:00Z\",\"only_3\":7,\"message\":\"m\"}";
    assert_eq!(
        out["one"],
        serde_json::json!([["m", "7", raw, 1_795_428_000_000_000_u64, "http"]]),
        "{out}"
    );
    Ok(())
}
