//! Senders that no one here wrote: rsyslog and syslog-ng over TLS, the clients of Splunk, Loki,
//! Graylog, OpenTelemetry and OpenSearch from PyPI, softflowd.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use watchfloor_testkit::{Client, ServerProcess, corpus, node_modules, python, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn start(folder: &Path, text: &str) -> Result<ServerProcess> {
    let config = folder.join("watchfloor.toml");
    fs::write(&config, text)?;
    ServerProcess::start(
        Path::new(PROGRAM),
        &folder.join("data"),
        &["--config", &config.to_string_lossy()],
    )
}

/// A program that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("{command:?}"))?))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An authority, and certificates of it for the server and for a sender.
fn certificates(folder: &Path) -> Result<bool> {
    if !Path::new("/usr/bin/openssl").is_file() {
        println!("skipped: openssl is absent");
        return Ok(false);
    }
    let run = |arguments: &[&str]| -> Result<()> {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(folder)
            .output()?;
        ensure!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "30",
    ];
    let with = |more: &[&'static str]| -> Vec<&'static str> {
        ["req", "-x509"]
            .into_iter()
            .chain(key)
            .chain(more.iter().copied())
            .collect()
    };
    for name in ["ca", "other"] {
        let (certificate, private) = match name {
            "ca" => ("ca.pem", "ca.key"),
            _ => ("other.pem", "other.key"),
        };
        run(&with(&[
            "-subj",
            "/CN=test authority",
            "-keyout",
            private,
            "-out",
            certificate,
        ]))?;
    }
    for (certificate, private, subject, authority, authority_key) in [
        (
            "server.pem",
            "server.key",
            "/CN=localhost",
            "ca.pem",
            "ca.key",
        ),
        ("client.pem", "client.key", "/CN=sender", "ca.pem", "ca.key"),
        (
            "stranger.pem",
            "stranger.key",
            "/CN=sender",
            "other.pem",
            "other.key",
        ),
    ] {
        run(&with(&[
            "-subj",
            subject,
            "-keyout",
            private,
            "-out",
            certificate,
            "-CA",
            authority,
            "-CAkey",
            authority_key,
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]))?;
    }
    Ok(true)
}

const TLS: &str = "syslog = \"off\"\n[sources.tls]\nkind = \"syslog-tls\"\nlisten = \"127.0.0.1:0\"\ncertificate = \"DIR/server.pem\"\nkey = \"DIR/server.key\"\nclient_authority = \"DIR/ca.pem\"\n";

fn numbered(count: usize) -> String {
    (0..count).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "order {number} of someone");
        text
    })
}

/// That each numbered line is stored once.
fn assert_orders(client: &Client, query: &str, count: usize) -> Result<()> {
    wait_for("all lines are stored", || {
        client.settle()?;
        Ok(client.events(query)?.len() >= count)
    })?;
    let events = client.events(query)?;
    let numbers: BTreeSet<String> = events
        .iter()
        .filter_map(|event| {
            let message = event["fields"]["message"].as_str()?;
            let number = message.trim().strip_prefix("order ")?.split(' ').next()?;
            Some(number.to_owned())
        })
        .collect();
    ensure!(
        events.len() == count && numbers.len() == count,
        "{} events, {} numbers; first: {:?}",
        events.len(),
        numbers.len(),
        events.first()
    );
    client.balanced_ledger()?;
    Ok(())
}

#[test]
fn rsyslog_over_tls_with_a_certificate() -> Result<()> {
    let module = Path::new("/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_gtls.so");
    if !module.is_file() {
        println!(
            "skipped: {} is absent; apt-get install rsyslog-gnutls",
            module.display()
        );
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let dir = folder.path().display().to_string();
    if !certificates(folder.path())? {
        return Ok(());
    }
    let server = start(folder.path(), &TLS.replace("DIR", &dir))?;
    let client = server.client("read")?;
    let address = client.listener("syslog-tls")?;
    let port = address.rsplit(':').next().unwrap_or_default();
    fs::write(folder.path().join("shop.log"), numbered(2000))?;
    let config = format!(
        r#"global(workDirectory="{dir}" DefaultNetstreamDriverCAFile="{dir}/ca.pem" DefaultNetstreamDriverCertFile="{dir}/client.pem" DefaultNetstreamDriverKeyFile="{dir}/client.key")
module(load="imfile")
input(type="imfile" file="{dir}/shop.log" tag="shop[77]:" ruleset="out")
ruleset(name="out") {{ action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted" template="RSYSLOG_SyslogProtocol23Format" StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost") }}
"#
    );
    let path = folder.path().join("rsyslog.conf");
    fs::write(&path, config)?;
    let _rsyslog = Running::start(
        Command::new("/usr/sbin/rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(&path)
            .arg("-i")
            .arg(folder.path().join("rsyslog.pid")),
    )?;
    assert_orders(&client, "source:\"tls:127.0.0.1\"", 2000)
}

/// syslog-ng cannot be installed beside rsyslog, so its package is unpacked into a folder.
fn syslog_ng() -> Option<PathBuf> {
    let named = std::env::var_os("WATCHFLOOR_TEST_ASIDE").map(PathBuf::from);
    let folder =
        named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/aside"));
    if folder.join("usr/sbin/syslog-ng").is_file() {
        return folder.canonicalize().ok();
    }
    println!(
        "skipped: {} has no syslog-ng; cargo xtask test makes it",
        folder.display()
    );
    None
}

fn check_syslog_ng(server_text: &str, kind: &str, destination: &str) -> Result<()> {
    let Some(aside) = syslog_ng() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let dir = folder.path().display().to_string();
    if !certificates(folder.path())? {
        return Ok(());
    }
    let server = start(folder.path(), &server_text.replace("DIR", &dir))?;
    let client = server.client("read")?;
    let address = client.listener(kind)?;
    let port = address.rsplit(':').next().unwrap_or_default();
    fs::write(folder.path().join("shop.log"), numbered(2000))?;
    let destination = destination.replace("PORT", port).replace("DIR", &dir);
    let config = format!(
        "@version: 3.38\noptions {{ keep-hostname(yes); }};\nsource s {{ file(\"{dir}/shop.log\" follow-freq(1) flags(no-parse) program-override(\"shop\")); }};\n\
         destination d {{ {destination} }};\nlog {{ source(s); destination(d); flags(flow-control); }};\n"
    );
    let path = folder.path().join("syslog-ng.conf");
    fs::write(&path, config)?;
    let _running = Running::start(
        Command::new(aside.join("usr/sbin/syslog-ng"))
            .env("LD_LIBRARY_PATH", aside.join("usr/lib/syslog-ng"))
            .args(["-F", "--no-caps"])
            .arg("--module-path")
            .arg(aside.join("usr/lib/syslog-ng/3.38"))
            .arg("-f")
            .arg(&path)
            .arg("-R")
            .arg(folder.path().join("persist"))
            .arg("-p")
            .arg(folder.path().join("pid"))
            .arg("-c")
            .arg(folder.path().join("ctl")),
    )?;
    assert_orders(&client, "\"of someone\"", 2000)
}

#[test]
fn syslog_ng_over_tcp_and_tls() -> Result<()> {
    check_syslog_ng(
        "syslog = \"127.0.0.1:0\"\n",
        "syslog-tcp",
        "syslog(\"127.0.0.1\" port(PORT) transport(\"tcp\"));",
    )?;
    check_syslog_ng(
        "syslog = \"127.0.0.1:0\"\n",
        "syslog-tcp",
        "network(\"127.0.0.1\" port(PORT) transport(\"tcp\"));",
    )?;
    check_syslog_ng(
        TLS,
        "syslog-tls",
        "syslog(\"localhost\" port(PORT) transport(\"tls\") tls(ca-file(\"DIR/ca.pem\") cert-file(\"DIR/client.pem\") key-file(\"DIR/client.key\") peer-verify(required-trusted)));",
    )
}

#[test]
fn bad_certificates_are_refused_with_a_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let dir = folder.path().display().to_string();
    if !certificates(folder.path())? {
        return Ok(());
    }
    let server = start(folder.path(), &TLS.replace("DIR", &dir))?;
    let client = server.client("read")?;
    let address = client.listener("syslog-tls")?;
    let connect = |arguments: &[&str]| -> Result<()> {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &address, "-quiet", "-no_ign_eof"])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut input) = child.stdin.take() {
            let _ = std::io::Write::write_all(
                &mut input,
                b"<13>Nov 24 12:00:00 host app: order 1 of someone\n",
            );
        }
        let _ = child.wait();
        Ok(())
    };
    let troubles = |client: &Client| -> Result<(u64, String)> {
        let sources = client.get("/api/v1/sources")?.json();
        let items = sources["items"].as_array().cloned().unwrap_or_default();
        let trouble = items
            .iter()
            .flat_map(|item| item["troubles"].as_array().cloned().unwrap_or_default())
            .find(|trouble| trouble["word"] == "tls_refused")
            .unwrap_or_default();
        let message = trouble["message"].as_str().unwrap_or_default().to_owned();
        Ok((trouble["count"].as_u64().unwrap_or_default(), message))
    };
    for (arguments, word) in [
        (&[][..], "client authority"),
        (
            &["-cert", "stranger.pem", "-key", "stranger.key"],
            "client authority",
        ),
    ] {
        let before = troubles(&client)?.0;
        connect(arguments)?;
        wait_for("the refusal is counted", || {
            Ok(troubles(&client)?.0 > before)
        })?;
        let message = troubles(&client)?.1;
        ensure!(message.contains(word), "{message}");
    }
    // A sender that speaks no TLS at all.
    let before = troubles(&client)?.0;
    let mut plain = std::net::TcpStream::connect(&address)?;
    std::io::Write::write_all(&mut plain, b"<13>Nov 24 12:00:00 host app: hello\n")?;
    wait_for("the refusal is counted", || {
        Ok(troubles(&client)?.0 > before)
    })?;
    let metrics = client.get("/metrics")?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    ensure!(
        metrics.contains("watchfloor_source_troubles_total{source=\"tls\",reason=\"tls_refused\"}"),
        "{metrics}"
    );
    connect(&[
        "-cert",
        "client.pem",
        "-key",
        "client.key",
        "-CAfile",
        "ca.pem",
    ])?;
    assert_orders(&client, "source:\"tls:127.0.0.1\"", 1)
}

fn run_python(python: &Path, script: &str, arguments: &[&str]) -> Result<()> {
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
    Ok(())
}

const HTTP_CLIENTS: &str = r#"
import logging, sys
from urllib.parse import urlparse
url, token, grpc, gelf = sys.argv[1:5]
host, port = urlparse(url).hostname, urlparse(url).port
count = 100

from splunk_hec_handler import SplunkHecHandler
handler = SplunkHecHandler(host, token, port=port, proto="http", sourcetype="shop", empty_body=True)
for i in range(count):
    handler.emit(logging.makeLogRecord({"msg": f"order {i} of hec", "levelname": "INFO"}))

from logging_loki import LokiHandler
handler = LokiHandler(url=url + "/loki/api/v1/push", tags={"app": "shop"}, auth=("anyone", token), version="1")
for i in range(count):
    handler.emit(logging.makeLogRecord({"msg": f"order {i} of loki", "levelname": "INFO", "name": "shop"}))

from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as Http, Compression
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as Grpc
import grpc as grpc_library
headers = {"authorization": f"Bearer {token}"}
for name, exporter in [
    ("otlphttp", Http(endpoint=url + "/v1/logs", headers=headers)),
    ("otlpgzip", Http(endpoint=url + "/v1/logs", headers=headers, compression=Compression.Gzip)),
    ("otlpgrpc", Grpc(endpoint=grpc, headers=(("authorization", f"Bearer {token}"),), insecure=True)),
    ("otlpgrpcgzip", Grpc(endpoint=grpc, headers=(("authorization", f"Bearer {token}"),), insecure=True, compression=grpc_library.Compression.Gzip)),
]:
    provider = LoggerProvider(resource=Resource.create({"service.name": "shop", "host.name": "web-01"}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    handler = LoggingHandler(level=logging.INFO, logger_provider=provider)
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    for i in range(count):
        logger.info("order %d of %s", i, name, extra={"customer": "eve"})
    assert provider.force_flush()
    provider.shutdown()

from pygelf import GelfHttpHandler, GelfTcpHandler, GelfUdpHandler
ghost, gport = gelf.rsplit(":", 1)
for name, handler in [
    ("gelftcp", GelfTcpHandler(host=ghost, port=int(gport))),
    ("gelfudp", GelfUdpHandler(host=ghost, port=int(gport), compress=True)),
    ("gelfchunks", GelfUdpHandler(host=ghost, port=int(gport), compress=False, chunk_size=200, _shop="north", include_extra_fields=True)),
]:
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    for i in range(count):
        logger.info("order %d of %s", i, name)
    handler.close()

from opensearchpy import OpenSearch, helpers
client = OpenSearch(url, http_auth=("anyone", token))
done, errors = helpers.bulk(client, ({"_index": "shop", "_source": {"message": f"order {i} of opensearch"}} for i in range(count)))
assert (done, errors) == (count, []), (done, errors)
"#;

#[test]
fn clients_of_splunk_loki_opentelemetry_graylog_and_opensearch() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let server = start(
        folder.path(),
        "syslog = \"off\"\n[sources.otel]\nkind = \"otlp-grpc\"\nlisten = \"127.0.0.1:0\"\n[sources.graylog]\nkind = \"gelf\"\nlisten = \"127.0.0.1:0\"\n",
    )?;
    let client = server.client("ingest,read")?;
    let grpc = client.listener("otlp-grpc")?;
    let gelf = client.listener("gelf")?;
    run_python(
        &python,
        HTTP_CLIENTS,
        &[&server.url, client.token(), &grpc, &gelf],
    )?;
    for name in [
        "hec",
        "loki",
        "otlphttp",
        "otlpgzip",
        "otlpgrpc",
        "otlpgrpcgzip",
        "gelftcp",
        "gelfudp",
        "gelfchunks",
        "opensearch",
    ] {
        assert_orders(&client, &format!("\"of {name}\""), 100).with_context(|| name.to_owned())?;
    }
    let one = |query: &str| -> Result<serde_json::Value> {
        let mut events = client.events(query)?;
        ensure!(!events.is_empty(), "nothing for {query}");
        Ok(events.swap_remove(0))
    };
    let event = one("\"order 7 of otlphttp\"")?;
    let fields = &event["fields"];
    ensure!(
        fields["unmapped.otel.resource.service.name"] == "shop"
            && fields["unmapped.otel.severity_text"] == "INFO"
            && fields["unmapped.otel.attributes.customer"] == "eve"
            && event["source"] == "otlp:shop",
        "{event}"
    );
    ensure!(one("\"order 7 of hec\"")?["source"] == "hec:shop");
    ensure!(one("\"order 7 of loki\"")?["source"] == "loki:shop");
    Ok(())
}

#[test]
fn exporters_of_opentelemetry_for_javascript() -> Result<()> {
    let Some(modules) = node_modules() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let server = start(
        folder.path(),
        "syslog = \"off\"\n[sources.otel]\nkind = \"otlp-grpc\"\nlisten = \"127.0.0.1:0\"\n",
    )?;
    let client = server.client("ingest,read")?;
    let grpc = client.listener("otlp-grpc")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/otel_js/send.cjs");
    let output = Command::new("node")
        .arg(script)
        .args([&server.url, &grpc, client.token(), "100"])
        .env("NODE_PATH", modules)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for name in ["jsjson", "jsproto", "jsgzip", "jsgrpc"] {
        assert_orders(&client, &format!("\"of {name}\""), 100).with_context(|| name.to_owned())?;
    }
    let event = client.events("\"order 7 of jsproto\"")?.swap_remove(0);
    ensure!(
        event["fields"]["unmapped.otel.attributes.customer"] == "eve"
            && event["source"] == "otlp:shop",
        "{event}"
    );
    Ok(())
}

#[test]
fn softflowd_sends_the_flows_of_a_capture() -> Result<()> {
    let Some(corpus) = corpus() else {
        return Ok(());
    };
    let capture = corpus.join("suricata-verify/tests/sip-method/sip.pcap");
    if !capture.is_file() || !Path::new("/usr/sbin/softflowd").is_file() {
        println!("skipped: softflowd or {} is absent", capture.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = start(
        folder.path(),
        "syslog = \"off\"\n[sources.flows]\nkind = \"netflow\"\nlisten = \"127.0.0.1:0\"\n",
    )?;
    let client = server.client("read")?;
    let address = client.listener("netflow")?;
    let mut addresses = BTreeSet::new();
    for version in ["5", "9", "10"] {
        let status = Command::new("/usr/sbin/softflowd")
            .args([
                "-r",
                &capture.to_string_lossy(),
                "-n",
                &address,
                "-v",
                version,
                "-d",
            ])
            // Without a control socket, on which it may wait for ever.
            .args(["-c", "none", "-p"])
            .arg(folder.path().join("softflowd.pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "softflowd: {status}");
        let query =
            format!("source:\"flows:127.0.0.1\" class:network_activity flow.version:{version}");
        wait_for("flows of the version", || {
            client.settle()?;
            Ok(client.events(&query)?.len() >= 174)
        })?;
        let events = client.events(&query)?;
        ensure!(
            events.len() == 174,
            "{} flows of version {version}",
            events.len()
        );
        let pairs: BTreeSet<String> = events
            .iter()
            .map(|event| {
                let fields = &event["fields"];
                format!(
                    "{} {}",
                    fields["src_endpoint.ip"], fields["dst_endpoint.ip"]
                )
            })
            .collect();
        addresses.insert(pairs);
        ensure!(
            events
                .iter()
                .all(|event| event["fields"]["traffic.bytes_out"].is_string()
                    && event["fields"]["connection_info.protocol_name"].is_string()),
            "{events:?}"
        );
    }
    // Every version tells of the same pairs of addresses.
    ensure!(addresses.len() == 1, "{addresses:?}");
    client.balanced_ledger()?;
    Ok(())
}
