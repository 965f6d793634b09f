//! Sources that are read from: Kafka (the mock cluster of librdkafka), NATS JetStream (a real
//! nats-server), and buckets (moto), by listing and by queue. Each goes away and returns; nothing is
//! lost and nothing stored twice.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use watchfloor_testkit::{Bucket, Client, Nats, ServerProcess, python, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/outside")
        .join(name)
}

fn start(folder: &Path, text: &str) -> Result<ServerProcess> {
    let config = folder.join("watchfloor.toml");
    std::fs::write(&config, format!("syslog = \"off\"\n{text}"))?;
    ServerProcess::start(
        Path::new(PROGRAM),
        &folder.join("data"),
        &["--config", &config.to_string_lossy()],
    )
}

/// How often each number is stored of what a query finds.
fn numbers(client: &Client, query: &str) -> Result<BTreeMap<u64, u64>> {
    let mut counts = BTreeMap::new();
    for event in client.events(query)? {
        let number = event["fields"]["unmapped.number"].as_str();
        *counts
            .entry(number.context("no number")?.parse()?)
            .or_default() += 1;
    }
    Ok(counts)
}

fn wait_for_all(client: &Client, query: &str, many: u64) -> Result<()> {
    wait_for(&format!("{many} records of {query}"), || {
        Ok(numbers(client, query)?.len() as u64 >= many)
    })?;
    client.settle()?;
    let found = numbers(client, query)?;
    ensure!(found.len() as u64 == many, "{} of {many}", found.len());
    let doubled = found.iter().find(|(_, count)| **count != 1);
    ensure!(doubled.is_none(), "stored twice: {doubled:?}");
    Ok(())
}

/// Records that were dropped for a reason.
fn dropped(client: &Client, reason: &str) -> Result<u64> {
    let ledger = client.balanced_ledger()?;
    Ok(ledger.dropped.get(reason).copied().unwrap_or_default())
}

/// The brokers; they end with the test.
struct Brokers {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    addresses: Vec<String>,
}

impl Brokers {
    fn start(python: &Path) -> Result<Self> {
        let mut child = Command::new(python)
            .arg(script("kafka_mock.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("no input")?;
        let mut output = BufReader::new(child.stdout.take().context("no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let addresses = line.trim().split(',').map(str::to_owned).collect();
        Ok(Self {
            child,
            input,
            output,
            addresses,
        })
    }

    fn produce(&mut self, topic: &str, first: u64, count: u64, codec: &str) -> Result<()> {
        writeln!(self.input, "produce {topic} {first} {count} {codec}")?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        ensure!(line.trim() == "done", "{line}");
        Ok(())
    }

    /// How many records a consumer of the topic gets, and how many different ones.
    fn consume(&mut self, topic: &str, count: u64) -> Result<(u64, u64)> {
        writeln!(self.input, "consume {topic} {count}")?;
        self.input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let numbers: Vec<u64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        match numbers.as_slice() {
            [got, different] => Ok((*got, *different)),
            _ => bail!("{line}"),
        }
    }

    fn list(&self) -> String {
        let quoted = self.addresses.iter().map(|one| format!("\"{one}\""));
        quoted.collect::<Vec<_>>().join(", ")
    }

    fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status()?;
        ensure!(status.success(), "kill -s {name}");
        Ok(())
    }
}

impl Drop for Brokers {
    fn drop(&mut self) {
        let _ = self.signal("CONT");
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn kafka_is_read_once_over_crashes_and_brokers_that_hang() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let mut brokers = Brokers::start(&python)?;
    let mut sent = 0;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        brokers.produce("logs", sent, 300, codec)?;
        sent += 300;
    }
    let folder = tempfile::tempdir()?;
    let config = format!(
        "[sources.bus]\nkind = \"kafka\"\nbrokers = [{}]\ntopics = [\"logs\"]\n",
        brokers.list()
    );
    let server = start(folder.path(), &config)?;
    let client = server.client("ingest,read")?;
    let query = "sender:logs";
    wait_for_all(&client, query, sent)?;
    let ledger = client.balanced_ledger()?;
    ensure!(ledger.stored == sent, "{ledger:?}");

    // Killed while it reads; what was read and not noted down is known again by its key.
    brokers.produce("logs", sent, 1500, "zstd")?;
    sent += 1500;
    server.kill()?;
    let server = start(folder.path(), &config)?;
    let client = Client::new(&server.url, client.token());
    wait_for_all(&client, query, sent)?;
    server.kill()?;
    // The saved positions are lost with their file: keys still tell what is there.
    std::fs::remove_file(folder.path().join("data/sources/bus.positions"))?;
    let server = start(folder.path(), &config)?;
    let client = Client::new(&server.url, client.token());
    wait_for_all(&client, query, sent)?;

    // Brokers that hang are come back to by itself.
    brokers.signal("STOP")?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    brokers.signal("CONT")?;
    brokers.produce("logs", sent, 100, "none")?;
    sent += 100;
    wait_for_all(&client, query, sent)?;
    Ok(())
}

/// Another consumer gets each forwarded record from the brokers, also those that waited on disk
/// while the brokers hung and the server was killed.
#[test]
fn records_are_forwarded_to_kafka_and_wait_while_it_is_away() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let mut brokers = Brokers::start(&python)?;
    brokers.produce("copies", 0, 1, "none")?;
    let config = format!(
        "[[routes]]\nname = \"copy\"\nforward = \"bus\"\n\
         [forward.bus]\nkind = \"kafka\"\nbrokers = [{}]\ntopic = \"copies\"\n",
        brokers.list()
    );
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), &config)?;
    let client = server.client("admin")?;
    let send = |client: &Client, first: u64, count: u64| -> Result<()> {
        let lines: Vec<String> = (first..first + count)
            .map(|number| format!("{{\"sender\":\"web\",\"number\":{number}}}"))
            .collect();
        let answer = client.post("/ingest/ndjson", &[], lines.join("\n").as_bytes())?;
        ensure!(answer.status == 200, "{}", answer.json());
        client.settle()
    };
    send(&client, 1, 500)?;
    let pending = |client: &Client| -> Result<u64> {
        let forwards = client.get("/api/v1/forwards")?.json();
        let one = &forwards["items"][0];
        one["pending_bytes"]
            .as_u64()
            .with_context(|| forwards.to_string())
    };
    wait_for("all are sent", || Ok(pending(&client)? == 0))?;

    brokers.signal("STOP")?;
    send(&client, 501, 500)?;
    ensure!(pending(&client)? > 0);
    server.kill()?;
    let server = start(folder.path(), &config)?;
    let client = Client::new(&server.url, client.token());
    brokers.signal("CONT")?;
    wait_for("what waited is sent", || Ok(pending(&client)? == 0))?;
    let (_, different) = brokers.consume("copies", 1001)?;
    ensure!(different == 1001, "{different} of 1001");
    Ok(())
}

#[test]
fn a_stream_of_nats_is_read_once_and_acknowledged_when_durable() -> Result<()> {
    let Some(mut nats) = Nats::start()? else {
        return Ok(());
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let publish = |first: u64, count: u64| -> Result<()> {
        runtime.block_on(async {
            let client = async_nats::connect(nats.url()).await?;
            let context = async_nats::jetstream::new(client);
            let stream = async_nats::jetstream::stream::Config {
                name: "APP".to_owned(),
                subjects: vec!["app.>".to_owned()],
                ..Default::default()
            };
            context.get_or_create_stream(stream).await?;
            for number in first..first + count {
                let text = format!("{{\"sender\":\"nats\",\"number\":{number}}}");
                let subject = format!("app.{}", number % 3);
                context.publish(subject, text.into()).await?.await?;
            }
            Ok(())
        })
    };
    publish(0, 700)?;
    let config = format!(
        "[sources.bus]\nkind = \"nats\"\nurl = \"{}\"\nstream = \"APP\"\n",
        nats.url()
    );
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), &config)?;
    let client = server.client("ingest,read")?;
    wait_for_all(&client, "sender:nats", 700)?;
    publish(700, 600)?;
    server.kill()?;
    let server = start(folder.path(), &config)?;
    let client = Client::new(&server.url, client.token());
    wait_for_all(&client, "sender:nats", 1300)?;
    nats.kill()?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    nats.start_again()?;
    runtime.block_on(async {
        let client = async_nats::connect(nats.url()).await?;
        let context = async_nats::jetstream::new(client);
        for number in 1300..1400 {
            let text = format!("{{\"sender\":\"nats\",\"number\":{number}}}");
            context.publish("app.z", text.into()).await?.await?;
        }
        anyhow::Ok(())
    })?;
    wait_for_all(&client, "sender:nats", 1400)?;
    let pending = || {
        runtime.block_on(async {
            let client = async_nats::connect(nats.url()).await?;
            let context = async_nats::jetstream::new(client);
            let stream = context.get_stream("APP").await?;
            let info = stream.consumer_info("watchfloor").await?;
            anyhow::Ok(info.num_ack_pending as u64 + info.num_pending)
        })
    };
    // Those that the killed server had taken and not acknowledged are given again first.
    wait_for("all are acknowledged", || Ok(pending()? == 0))?;
    wait_for_all(&client, "sender:nats", 1400)?;
    Ok(())
}

fn feed(python: &Path, bucket: &Bucket, arguments: &[&str]) -> Result<String> {
    let ran = Command::new(python)
        .arg(script("s3_feed.py"))
        .arg(&bucket.endpoint)
        .args(arguments)
        .output()?;
    ensure!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// A CloudTrail object: gzip around one JSON value with a list of records.
fn trail(first: u64, count: u64) -> Result<Vec<u8>> {
    let record = |number: u64| {
        format!(
            "{{\"eventVersion\":\"1.08\",\"eventTime\":\"2026-03-02T10:00:00Z\",\"eventSource\":\"s3.amazonaws.com\",\
             \"eventName\":\"GetObject\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"198.51.100.7\",\"eventID\":\"id-{number}\",\
             \"eventType\":\"AwsApiCall\",\"number\":{number},\"userIdentity\":{{\"type\":\"IAMUser\",\"userName\":\"u{number}\"}}}}"
        )
    };
    let records: Vec<String> = (first..first + count).map(record).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    write!(gzip, "{{\"Records\":[{}]}}", records.join(","))?;
    Ok(gzip.finish()?)
}

const FLOW: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n\
2 123456789000 eni-0a0 192.0.2.10 198.51.100.20 40000 443 6 5 1000 1795518000 1795518060 ACCEPT OK\n\
2 123456789000 eni-0a0 192.0.2.11 198.51.100.20 40001 22 6 5 1000 1795518000 1795518060 REJECT OK\n";

const ALB: &str = "http 2026-03-02T10:00:00.186641Z app/my-lb/50dc6c495c0c9188 192.0.2.40:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 \"GET http://www.example.com:80/a?b=c HTTP/1.1\" \"curl/7.46.0\" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 2026-03-02T10:00:00.000000Z \"forward\" \"-\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\"\n";

#[test]
fn buckets_are_read_once_by_listing_and_by_queue() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let bucket = Bucket::start(&python)?;
    let folder = tempfile::tempdir()?;
    let put = |key: &str, bytes: &[u8]| -> Result<()> {
        let file = folder.path().join("object");
        std::fs::write(&file, bytes)?;
        feed(
            &python,
            &bucket,
            &["put", "soc", key, &file.to_string_lossy()],
        )?;
        Ok(())
    };
    let queue = feed(&python, &bucket, &["queue", "told"])?;
    let storage = format!(
        "endpoint = \"{}\"\nregion = \"us-east-1\"\nallow_http = \"true\"\naccess_key_id = \"watchfloor\"\nsecret_access_key = \"test\"\n",
        bucket.endpoint
    );
    let config = format!(
        "[sources.trail]\nkind = \"s3\"\nbucket = \"soc\"\nprefix = \"AWSLogs/\"\npoll_s = 1\n[sources.trail.storage]\n{storage}\
         [sources.told]\nkind = \"s3\"\nbucket = \"soc\"\nqueue = \"{queue}\"\n[sources.told.storage]\n{storage}"
    );
    put("AWSLogs/1/CloudTrail/eu/b.json.gz", &trail(0, 200)?)?;
    put("AWSLogs/1/vpcflowlogs/eu/f.log", FLOW.as_bytes())?;
    put("AWSLogs/1/elasticloadbalancing/eu/l.log", ALB.as_bytes())?;
    put("other/x.json.gz", &trail(5000, 10)?)?;
    let server = start(folder.path(), &config)?;
    let client = server.client("ingest,read")?;
    wait_for_all(&client, "source:trail api.operation:GetObject", 200)?;
    client.settle()?;
    let flows = client.events("source:trail class:network_activity")?;
    ensure!(flows.len() == 2, "{} flows", flows.len());
    let balancer = client.events("source:trail 192.0.2.40")?;
    ensure!(
        balancer.len() == 1 && balancer[0]["fields"]["http_response.code"] == "200",
        "{balancer:?}"
    );
    ensure!(
        client
            .events("source:trail api.operation:GetObject u5001")?
            .is_empty(),
        "outside of the prefix"
    );

    // A name that sorts before those that were read, and a version that replaces another.
    put("AWSLogs/1/CloudTrail/eu/a.json.gz", &trail(200, 100)?)?;
    server.kill()?;
    let server = start(folder.path(), &config)?;
    let client = Client::new(&server.url, client.token());
    wait_for_all(&client, "source:trail api.operation:GetObject", 300)?;

    // By queue: an object, one that is not there, and no notification at all.
    put("told/one.json.gz", &trail(1000, 50)?)?;
    feed(
        &python,
        &bucket,
        &["tell", &queue, "soc", "told/one.json.gz"],
    )?;
    feed(
        &python,
        &bucket,
        &["tell", &queue, "soc", "told/none.json.gz"],
    )?;
    feed(&python, &bucket, &["say", &queue, "no notification"])?;
    wait_for_all(&client, "source:told", 50)?;
    wait_for("the queue is empty", || {
        Ok(feed(&python, &bucket, &["waiting", &queue])? == "0")
    })?;
    ensure!(dropped(&client, "not_a_notification")? == 1, "not counted");

    // A store that hangs, under a source that reads.
    bucket.signal("STOP")?;
    std::thread::sleep(std::time::Duration::from_secs(2));
    bucket.signal("CONT")?;
    put("AWSLogs/1/CloudTrail/eu/c.json.gz", &trail(300, 100)?)?;
    wait_for_all(&client, "source:trail api.operation:GetObject", 400)?;
    // An object that is cut off: what came is kept, and it is told.
    let whole = trail(400, 100)?;
    put(
        "AWSLogs/1/CloudTrail/eu/d.json.gz",
        &whole[..whole.len() / 2],
    )?;
    wait_for("the broken object is told of", || {
        Ok(dropped(&client, "unreadable")? == 1)
    })?;
    Ok(())
}
