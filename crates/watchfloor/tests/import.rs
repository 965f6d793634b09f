//! Each kind of file that the product reads: imported, and found again with its class, product
//! and fields, the source's own fields under `unmapped.`, and the raw bytes as they were.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchfloor_testkit::{ServerProcess, corpus, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

/// A file and what becomes of one of its records.
struct Sample {
    name: &'static str,
    text: &'static str,
    /// A query that finds exactly this event.
    query: &'static str,
    class: &'static str,
    product: &'static str,
    time: &'static str,
    fields: &'static [(&'static str, &'static str)],
    /// How the record's bytes begin and end; what is between stands so in `text`.
    raw: (&'static str, &'static str),
}

const NDJSON: &str = r#"{"@timestamp":"2026-11-20T10:00:00Z","message":"user login","widget":{"color":"blue","count":7}}
{"time":"2026-11-20T10:00:01Z","custom key":"x  \u00e9 y"}
"#;
const AUTH: &str = "Nov 20 10:04:00 web-01 sshd[4242]: Failed password for invalid user oracle from 203.0.113.66 port 40200 ssh2\n\
    Nov 20 10:04:01 web-01 sshd[4242]: Accepted password for j.doe from 203.0.113.66 port 40202 ssh2\n";
const SYSLOG: &str = "<13>1 2026-11-20T10:05:00.000003Z db-01 myapp 77 ID47 [ex@32473 iut=\"3\" eventSource=\"App\"] an application event\n\
    <30>Nov 20 10:05:01 db-01 systemd[1]: Started Daily apt download activities.\n";
const AUDIT: &str = "type=SYSCALL msg=audit(1795168800.100:501): arch=c000003e syscall=59 success=yes exit=0 a0=55d0 a1=55d1 a2=55d2 a3=8 items=2 ppid=100 pid=101 auid=1000 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=2 comm=\"whoami\" exe=\"/usr/bin/whoami\" key=\"exec\"\n\
    type=EXECVE msg=audit(1795168800.100:501): argc=2 a0=\"whoami\" a1=2D2D68656C70\n";
const JOURNAL: &str = "__CURSOR=s=1;i=1\n__REALTIME_TIMESTAMP=1795168860000000\n_HOSTNAME=mail-01\nPRIORITY=6\nSYSLOG_IDENTIFIER=sshd\n_PID=555\nMESSAGE\n\
    \x43\0\0\0\0\0\0\0Failed password for invalid user admin from 203.0.113.77 port 41000\n_TRANSPORT=syslog\n\n\
    __CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795168861000000\n_HOSTNAME=mail-01\nSYSLOG_IDENTIFIER=cron\nMESSAGE=tick\n\n";
const ACCESS: &str = "203.0.113.8 - alice [20/Nov/2026:10:06:00 +0000] \"GET /index.php?id=1%20UNION%20SELECT HTTP/1.1\" 200 512 \"https://ref.example/\" \"sqlmap/1.7\"\n";
const APACHE: &str = "shop.example:443 198.51.100.9 - - [20/Nov/2026:11:07:00 +0100] \"POST /login HTTP/1.1\" 401 128 \"-\" \"curl/8.0\"\n";
const EVE: &str = r#"{"timestamp":"2026-11-20T10:02:00.123456+0000","flow_id":1234567890123456789,"in_iface":"eth0","event_type":"alert","src_ip":"10.0.0.5","src_port":49152,"dest_ip":"203.0.113.9","dest_port":80,"proto":"TCP","alert":{"action":"allowed","gid":1,"signature_id":2019401,"rev":3,"signature":"ET TROJAN Test","category":"A Network Trojan was detected","severity":1},"app_proto":"http"}
{"timestamp":"2026-11-20T10:02:01.000001+0000","flow_id":2,"event_type":"dns","src_ip":"10.0.0.5","src_port":5353,"dest_ip":"10.0.0.1","dest_port":53,"proto":"UDP","dns":{"type":"query","id":7,"rrname":"evil.example","rrtype":"A","tx_id":0}}
"#;
const ZEEK_TSV: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#open\t2026-11-20-10-00-00\n\
    #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_note\n\
    #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tstring\n\
    1795168920.500000\tCabc1\t10.0.0.6\t40000\t198.51.100.7\t443\ttcp\tssl\t1.5\t100\t2000\tSF\thello\n\
    #close\t2026-11-20-10-10-00\n";
const ZEEK_JSON: &str = r#"{"ts":1795168921.25,"uid":"Cdns1","id.orig_h":"10.0.0.6","id.orig_p":5300,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","trans_id":11,"query":"zeek.example","qtype_name":"A","rcode_name":"NOERROR","answers":["192.0.2.1"],"local_note":"kept"}
"#;
const CLOUDTRAIL: &str = r#"{"Records":[{"eventVersion":"1.08","userIdentity":{"type":"IAMUser","userName":"mallory","arn":"arn:aws:iam::123456789012:user/mallory","accountId":"123456789012"},"eventTime":"2026-11-20T10:08:00Z","eventSource":"cloudtrail.amazonaws.com","eventName":"StopLogging","awsRegion":"eu-central-1","sourceIPAddress":"203.0.113.20","userAgent":"aws-cli/2","requestParameters":{"name":"trail-1"},"responseElements":null,"eventID":"e-1","eventType":"AwsApiCall","recipientAccountId":"123456789012"},{"eventVersion":"1.08","userIdentity":{"type":"Root"},"eventTime":"2026-11-20T10:08:01Z","eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","awsRegion":"us-east-1","sourceIPAddress":"203.0.113.21","eventID":"e-2","eventType":"AwsConsoleSignIn","responseElements":{"ConsoleLogin":"Success"}}]}"#;
const PLAIN: &str = "something odd happened in a form that nobody knows\n\tand its second line\n";

const SAMPLES: &[Sample] = &[
    Sample {
        name: "app.ndjson",
        text: NDJSON,
        query: "blue",
        class: "Base Event",
        product: "unknown",
        time: "2026-11-20T10:00:00Z",
        fields: &[
            ("message", "user login"),
            ("unmapped.widget.color", "blue"),
            ("unmapped.widget.count", "7"),
        ],
        raw: (r#"{"@timestamp""#, r#""count":7}}"#),
    },
    Sample {
        name: "auth.log",
        text: AUTH,
        query: "user.name:oracle",
        class: "Authentication",
        product: "OpenSSH",
        time: "2026-11-20T10:04:00Z",
        fields: &[
            ("src_endpoint.ip", "203.0.113.66"),
            ("src_endpoint.port", "40200"),
            ("device.hostname", "web-01"),
            ("unmapped.user", "oracle"),
        ],
        raw: ("Nov 20 10:04:00 web-01", "port 40200 ssh2"),
    },
    Sample {
        name: "syslog",
        text: SYSLOG,
        query: "app_name:myapp",
        class: "Base Event",
        product: "Syslog",
        time: "2026-11-20T10:05:00.000003Z",
        fields: &[
            ("device.hostname", "db-01"),
            ("message", "an application event"),
            ("unmapped.syslog.msgid", "ID47"),
            ("unmapped.syslog.sd.ex@32473.eventSource", "App"),
        ],
        raw: ("<13>1 2026", "an application event"),
    },
    Sample {
        name: "audit.log",
        text: AUDIT,
        query: "metadata.event_code:SYSCALL",
        class: "Process Activity",
        product: "Linux Audit",
        time: "2026-11-20T10:00:00.1Z",
        fields: &[
            ("process.file.path", "/usr/bin/whoami"),
            ("process.pid", "101"),
            ("unmapped.tty", "pts0"),
            ("unmapped.auid", "1000"),
        ],
        raw: ("type=SYSCALL", "key=\"exec\""),
    },
    Sample {
        name: "journal.export",
        text: JOURNAL,
        query: "user.name:admin",
        class: "Authentication",
        product: "OpenSSH",
        time: "2026-11-20T10:01:00Z",
        fields: &[
            ("device.hostname", "mail-01"),
            ("src_endpoint.ip", "203.0.113.77"),
            ("unmapped._TRANSPORT", "syslog"),
        ],
        raw: ("__CURSOR=s=1;i=1\n", "_TRANSPORT=syslog\n"),
    },
    Sample {
        name: "nginx-access.log",
        text: ACCESS,
        query: "user_agent.original:\"sqlmap/1.7\"",
        class: "HTTP Activity",
        product: "Web server",
        time: "2026-11-20T10:06:00Z",
        fields: &[
            ("http_request.url.path", "/index.php"),
            ("http_request.url.query_string", "id=1%20UNION%20SELECT"),
            ("http_response.code", "200"),
            ("actor.user.name", "alice"),
            ("src_endpoint.ip", "203.0.113.8"),
        ],
        raw: ("203.0.113.8 - alice", "\"sqlmap/1.7\""),
    },
    Sample {
        name: "other_vhosts_access.log",
        text: APACHE,
        query: "user_agent.original:\"curl/8.0\"",
        class: "HTTP Activity",
        product: "Web server",
        time: "2026-11-20T10:07:00Z",
        fields: &[
            ("http_request.http_method", "POST"),
            ("http_response.code", "401"),
            ("src_endpoint.ip", "198.51.100.9"),
        ],
        raw: ("shop.example:443", "\"curl/8.0\""),
    },
    Sample {
        name: "eve.json",
        text: EVE,
        query: "product:Suricata metadata.event_code:alert",
        class: "Detection Finding",
        product: "Suricata",
        time: "2026-11-20T10:02:00.123456Z",
        fields: &[
            ("rule.uid", "2019401"),
            ("finding_info.title", "ET TROJAN Test"),
            ("dst_endpoint.ip", "203.0.113.9"),
            // A number that a double cannot hold.
            ("connection_info.uid", "1234567890123456789"),
            ("unmapped.alert.rev", "3"),
        ],
        raw: (
            r#"{"timestamp":"2026-11-20T10:02:00"#,
            r#""app_proto":"http"}"#,
        ),
    },
    Sample {
        name: "conn.log",
        text: ZEEK_TSV,
        query: "product:Zeek metadata.log_name:conn",
        class: "Network Activity",
        product: "Zeek",
        time: "2026-11-20T10:02:00.5Z",
        fields: &[
            ("src_endpoint.ip", "10.0.0.6"),
            ("dst_endpoint.port", "443"),
            ("traffic.bytes_in", "2000"),
            ("unmapped.conn_state", "SF"),
            ("unmapped.local_note", "hello"),
        ],
        raw: ("1795168920.500000\tCabc1\t", "\tSF\thello"),
    },
    Sample {
        name: "dns.log",
        text: ZEEK_JSON,
        query: "product:Zeek metadata.log_name:dns",
        class: "DNS Activity",
        product: "Zeek",
        time: "2026-11-20T10:02:01.25Z",
        fields: &[
            ("query.hostname", "zeek.example"),
            ("rcode", "NOERROR"),
            ("unmapped.trans_id", "11"),
            ("unmapped.local_note", "kept"),
        ],
        raw: (r#"{"ts":"#, r#""kept"}"#),
    },
    Sample {
        name: "cloudtrail.json",
        text: CLOUDTRAIL,
        query: "api.operation:StopLogging",
        class: "API Activity",
        product: "AWS CloudTrail",
        time: "2026-11-20T10:08:00Z",
        fields: &[
            ("actor.user.name", "mallory"),
            ("src_endpoint.ip", "203.0.113.20"),
            ("cloud.region", "eu-central-1"),
            ("unmapped.requestParameters.name", "trail-1"),
        ],
        raw: (
            r#"{"eventVersion""#,
            r#""recipientAccountId":"123456789012"}"#,
        ),
    },
    Sample {
        name: "plain.log",
        text: PLAIN,
        query: "nobody",
        class: "Base Event",
        product: "unknown",
        time: "",
        fields: &[(
            "message",
            "something odd happened in a form that nobody knows",
        )],
        raw: ("something odd", "nobody knows"),
    },
];

fn watchfloor(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(PROGRAM).args(arguments).output()?)
}

/// Runs `import` and returns how many records it says it took.
fn import(data: &Path, inputs: &[&Path]) -> Result<u64> {
    let mut command = Command::new(PROGRAM);
    let output = command
        .arg("import")
        .arg("--data")
        .arg(data)
        .args(inputs)
        .output()?;
    ensure!(
        output.status.success(),
        "import: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .with_context(|| format!("import printed: {text}"))
}

fn hunt(data: &Path, query: &str) -> Result<Vec<Value>> {
    let data = data.to_string_lossy();
    let output = watchfloor(&[
        "hunt",
        query,
        "--from",
        "1990-01-01T00:00:00Z",
        "--data",
        &data,
        "--format",
        "ndjson",
        "--limit",
        "10000",
    ])?;
    ensure!(
        output.status.success(),
        "hunt {query}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

fn write_samples(folder: &Path) -> Result<PathBuf> {
    let inputs = folder.join("inputs");
    std::fs::create_dir(&inputs)?;
    for sample in SAMPLES {
        std::fs::write(inputs.join(sample.name), sample.text)?;
    }
    Ok(inputs)
}

fn check(sample: &Sample, found: &[Value]) {
    let name = sample.name;
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    let event = &found[0];
    assert_eq!(event["source"], format!("file:{name}"));
    assert_eq!(event["class_name"], sample.class, "{name}: {event}");
    assert_eq!(event["product"], sample.product, "{name}: {event}");
    if !sample.time.is_empty() {
        assert_eq!(event["time"], sample.time, "{name}: {event}");
    }
    for (field, value) in sample.fields {
        assert_eq!(event["fields"][field], *value, "{name}: {field}: {event}");
    }
    let raw = event["raw"].as_str().unwrap_or_default();
    assert!(
        sample.text.contains(raw) && raw.starts_with(sample.raw.0) && raw.ends_with(sample.raw.1),
        "{name}: {raw:?}"
    );
}

#[test]
fn every_kind_of_file_is_found_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let inputs = write_samples(folder.path())?;
    let data = folder.path().join("data");
    // CloudTrail's two events stand in one record.
    let records = import(&data, &[&inputs])?;
    assert_eq!(hunt(&data, "*")?.len() as u64, records + 1);
    for sample in SAMPLES {
        check(sample, &hunt(&data, sample.query)?);
    }
    // What no decoder knows is kept, and says so.
    let plain = hunt(&data, "source:\"file:plain.log\"")?;
    assert_eq!(plain.len(), 2);
    assert!(
        plain
            .iter()
            .all(|event| event["anomalies"][0]["code"] == "undecoded"),
        "{plain:?}"
    );
    Ok(())
}

#[test]
fn windows_event_logs_are_found_again() -> Result<()> {
    let Some(corpus) = corpus() else {
        return Ok(());
    };
    let recording = "sigma-regression/regression_data/rules/windows/process_creation";
    let Some(file) = first_file(&corpus.join(recording), "evtx") else {
        println!("skipped: no EVTX file below {recording}");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let records = import(folder.path(), &[&file])?;
    let events = hunt(
        folder.path(),
        "product:\"Microsoft Windows Sysmon\" metadata.event_code:1",
    )?;
    assert!(
        records >= 1 && !events.is_empty(),
        "{records} records, {} events",
        events.len()
    );
    for event in &events {
        assert_eq!(event["class_name"], "Process Activity", "{event}");
        assert!(
            event["fields"]["process.cmd_line"].is_string()
                && event["fields"]["process.file.path"].is_string(),
            "{event}"
        );
        assert!(event["fields"]["unmapped.UtcTime"].is_string(), "{event}");
        let raw: Value = serde_json::from_str(event["raw"].as_str().unwrap_or_default())?;
        assert_eq!(raw["Event"]["System"]["EventID"], 1, "{raw}");
    }
    Ok(())
}

fn first_file(folder: &Path, extension: &str) -> Option<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
        .iter()
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .cloned()
        .or_else(|| paths.iter().find_map(|path| first_file(path, extension)))
}

#[test]
fn a_running_server_takes_imports_and_raises_alerts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let inputs = write_samples(folder.path())?;
    let data = folder.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("read")?;
    let records = import(&data, &[&inputs])?;
    client.settle()?;
    assert_eq!(client.balanced_ledger()?.stored, records);
    assert_eq!(client.events("*")?.len() as u64, records + 1);
    for sample in SAMPLES {
        let found = client.events(sample.query)?;
        assert_eq!(found.len(), 1, "{}: {found:?}", sample.name);
        for (field, value) in sample.fields {
            assert_eq!(
                found[0]["fields"][field], *value,
                "{}: {field}",
                sample.name
            );
        }
    }
    // While it runs, the folder can be searched from the command line as well.
    assert_eq!(hunt(&data, "api.operation:StopLogging")?.len(), 1);
    let mut titles = Vec::new();
    wait_for("alerts of the findings", || {
        let answer = client.get("/api/v1/alerts")?.json();
        titles = answer["items"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|alert| alert["title"].as_str().map(str::to_owned))
            .collect();
        Ok(["CloudTrail", "ET TROJAN Test"]
            .iter()
            .all(|wanted| titles.iter().any(|title| title.contains(wanted))))
    })
    .with_context(|| format!("{titles:?}"))?;
    Ok(())
}

#[test]
fn findings_of_an_import_become_alerts_at_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let inputs = write_samples(folder.path())?;
    let data = folder.path().join("data");
    import(&data, &[&inputs.join("cloudtrail.json")])?;
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let answer = server.client("read")?.get("/api/v1/alerts")?.json();
    let rules: Vec<&str> = answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|alert| alert["title"].as_str())
        .collect();
    assert!(
        rules.iter().any(|title| title.contains("CloudTrail")),
        "{answer}"
    );
    Ok(())
}
