//! CEF, LEEF, tables with their names above them, container lines and wrapped lines.

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{AnomalyCode, EventBatch, Format, Namespace, RawRecord};

fn decoded(format: Format, context: Option<&str>, bytes: &[u8]) -> EventBatch {
    let mut batch = EventBatch::new();
    let record = RawRecord {
        source: "test".into(),
        format,
        context: context.map(Into::into),
        position: 1,
        received_at: "2026-11-24T12:00:00Z".parse().expect("a time"),
        bytes: Bytes::copy_from_slice(bytes),
    };
    let rows = Decoder::new(Limits::STANDARD).decode(&mut batch, &record);
    assert!(rows > 0 && rows == batch.len(), "no record is lost");
    batch
}

fn field(batch: &EventBatch, name: &str) -> Option<String> {
    let value = batch.get(Namespace::Source, name, 0)?;
    Some(value.text.to_owned())
}

#[track_caller]
fn check(context: Option<&str>, line: &str, time: &str, expected: &[(&str, &str)]) {
    let batch = decoded(Format::Auto, context, line.as_bytes());
    assert_eq!(batch.anomalies(), [], "{line}");
    for (name, value) in expected {
        assert_eq!(
            field(&batch, name).as_deref(),
            Some(*value),
            "{name} of {line}"
        );
    }
    let row = &batch.rows()[0];
    assert_eq!(
        row.time,
        time.parse::<Timestamp>().expect("a time"),
        "{line}"
    );
}

fn codes(context: Option<&str>, line: &[u8]) -> Vec<AnomalyCode> {
    let batch = decoded(Format::Auto, context, line);
    let found = batch.anomalies().iter().map(|(_, anomaly)| anomaly.code);
    found.collect()
}

const CEF: &str = r"CEF:0|Acme\|Co|Wall|1.2|100|a \\ b|7|src=192.0.2.7 spt=4444 rt=1795518000000 msg=two words, a\=b and \\ too cs1Label=Policy Name cs1=Default out fname=C:\\a b.txt";

#[test]
fn cef_with_and_without_a_header() {
    let expected = [
        ("cef.device_vendor", "Acme|Co"),
        ("cef.name", "a \\ b"),
        ("cef.severity", "7"),
        ("src", "192.0.2.7"),
        ("spt", "4444"),
        ("msg", "two words, a=b and \\ too"),
        ("Policy_Name", "Default out"),
        ("fname", "C:\\a b.txt"),
    ];
    for head in [
        "",
        "<134>Nov 24 11:00:00 fw-01 ",
        "Nov 24 11:00:00 fw-01 agent[7]: ",
        "<134>1 2026-11-24T11:00:00Z fw-01 - - - - ",
        "2026-11-24T11:00:00Z fw-01 ",
        "<134>",
    ] {
        check(
            None,
            &format!("{head}{CEF}"),
            "2026-11-24T11:00:00Z",
            &expected,
        );
    }
    let batch = decoded(
        Format::Auto,
        None,
        format!("<134>Nov 24 11:00:00 fw-01 {CEF}").as_bytes(),
    );
    assert_eq!(field(&batch, "syslog.hostname").as_deref(), Some("fw-01"));
    assert_eq!(field(&batch, "syslog.appname"), None);
}

#[test]
fn leef_in_both_versions() {
    let expected = [
        ("leef.vendor", "Acme"),
        ("leef.event_id", "login"),
        ("src", "192.0.2.7"),
        ("usrName", "a b"),
    ];
    for line in [
        "LEEF:1.0|Acme|Wall|1.2|login|src=192.0.2.7\tusrName=a b\tdevTime=Nov 24 2026 11:00:00",
        "LEEF:2.0|Acme|Wall|1.2|login|^|src=192.0.2.7^usrName=a b^devTime=Nov 24 2026 11:00:00",
        "LEEF:2.0|Acme|Wall|1.2|login|x5E|src=192.0.2.7^usrName=a b^devTime=1795518000000",
        "LEEF:2.0|Acme|Wall|1.2|login||src=192.0.2.7\tusrName=a b\tdevTime=1795518000",
        "<13>Nov 24 11:00:00 h LEEF:1.0|Acme|Wall|1.2|login|src=192.0.2.7 usrName=a b",
    ] {
        check(None, line, "2026-11-24T11:00:00Z", &expected);
    }
}

#[test]
fn what_is_cut_or_unbalanced_is_kept_and_named() {
    for line in [
        "CEF:0|",
        "CEF:0|Acme|Wall",
        "LEEF:1.0|Acme",
        "LEEF:2.0|A|W|1|x|^|oops",
    ] {
        assert_eq!(
            codes(None, line.as_bytes()),
            [AnomalyCode::Malformed],
            "{line}"
        );
        let batch = decoded(Format::Auto, None, line.as_bytes());
        assert_eq!(field(&batch, "message").as_deref(), Some(line));
    }
    let huge = format!("CEF:0|A|B|1|2|n|3|{}=1 a=2", "k".repeat(1 << 20));
    assert!(codes(None, huge.as_bytes()).contains(&AnomalyCode::Truncated));
    let many: String = (0..6000).map(|index| format!("k{index}=v ")).collect();
    let found = codes(None, format!("CEF:0|A|B|1|2|n|3|{many}").as_bytes());
    assert!(found.contains(&AnomalyCode::TooManyFields), "{found:?}");
    assert!(codes(None, b"CEF:0|A|B|1|2|n|3|a=\xff").contains(&AnomalyCode::InvalidUtf8));
    let header = "#columns\t,a,b,c\n";
    assert_eq!(codes(Some(header), b"1,\"open,2"), [AnomalyCode::Malformed]);
    assert_eq!(codes(Some(header), b"1,2,3,4"), [AnomalyCode::Malformed]);
}

#[test]
fn tables_take_their_names_from_above() {
    let w3c = "#Software: IIS\n#Fields: date time s-ip cs-method cs(User-Agent) sc-status\n";
    check(
        Some(w3c),
        "2026-11-24 11:00:00 192.0.2.1 GET Mozilla/5.0+(X) 200",
        "2026-11-24T11:00:00Z",
        &[
            ("cs-method", "GET"),
            ("cs-user-agent", "Mozilla/5.0 (X)"),
            ("sc-status", "200"),
        ],
    );
    check(
        Some("#columns\t,time,name,what\n"),
        "2026-11-24T11:00:00Z,\"a, b\",\"say \"\"x\"\"\"",
        "2026-11-24T11:00:00Z",
        &[("name", "a, b"), ("what", "say \"x\"")],
    );
    let mut found = Vec::new();
    let csv = b"time,name,size\n2026-11-24T11:00:00Z,a,1\n2026-11-24T11:00:01Z,b,2\n";
    framing::read_records(&csv[..], "x.csv", None, &mut |record| {
        found.push((
            record.context.map(|context| context.to_string()),
            record.bytes.to_vec(),
        ));
        std::ops::ControlFlow::Continue(())
    })
    .expect("readable");
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].0.as_deref(), Some("#columns\t,time,name,size\n"));
    let iis = b"#Software: x\r\n#Fields: date time c-ip\r\n2026-11-24 11:00:00 192.0.2.1\r\n";
    let mut contexts = Vec::new();
    framing::read_records(&iis[..], "u_ex.log", None, &mut |record| {
        contexts.push(record.context.map(|context| context.to_string()));
        std::ops::ControlFlow::Continue(())
    })
    .expect("readable");
    let context = contexts[0].as_deref().expect("a context");
    assert!(contexts.len() == 1 && context.contains("#Fields: date time c-ip"));
}

#[test]
fn lines_in_wrappers_and_containers() {
    check(
        None,
        "2026-11-24T11:00:00Z stdout F {\"a\":\"b\"}",
        "2026-11-24T11:00:00Z",
        &[("stream", "stdout"), ("a", "b")],
    );
    let line = serde_json_like(&format!("<134>Nov 24 10:59:59 fw-01 {CEF}"));
    let wrapped = format!("{{\"src\":\"collector\",\"offset\":7,\"message\":{line}}}");
    check(
        None,
        &wrapped,
        "2026-11-24T11:00:00Z",
        &[
            ("src", "192.0.2.7"),
            ("wrapper.src", "collector"),
            ("offset", "7"),
        ],
    );
    let batch = decoded(
        Format::Auto,
        None,
        br#"{"log":"plain words\n","stream":"stderr","program":"sshd","host":"web-01"}"#,
    );
    assert_eq!(field(&batch, "message").as_deref(), Some("plain words"));
    assert_eq!(field(&batch, "syslog.appname").as_deref(), Some("sshd"));
    assert_eq!(field(&batch, "syslog.hostname").as_deref(), Some("web-01"));
    let batch = decoded(Format::Auto, None, br#"{"message":"a=1 b=2 c=3","a":"w"}"#);
    assert_eq!(field(&batch, "a").as_deref(), Some("1"));
    assert_eq!(field(&batch, "wrapper.a").as_deref(), Some("w"));
}

/// A JSON string of a text.
fn serde_json_like(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn forms_of_relays_and_of_people() {
    for (line, name, value) in [
        (
            "type=PROCTITLE msg=audit(11/24/2026 11:00:00.123:7) : proctitle=ls -la /root",
            "proctitle",
            "ls -la /root",
        ),
        (
            "[Tue Nov 24 11:00:00.5 2026] [core:error] [pid 7] (13)Denied: [client 192.0.2.1:5000] x",
            "c-port",
            "5000",
        ),
        (
            "[Tue Nov 24 11:00:00.5 2026] [core:error] [pid 7] [client 2001:db8::1] x",
            "c-ip",
            "2001:db8::1",
        ),
        (
            "192.0.2.1, 10.0.0.1, 127.0.0.1 - - [24/Nov/2026:11:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
            "c-ip",
            "192.0.2.1",
        ),
        (
            "10.0.0.1  id=firewall sn=17 time=\"2026-11-24 11:00:00\" fw=10.0.0.2",
            "sn",
            "17",
        ),
    ] {
        let batch = decoded(Format::Auto, None, line.as_bytes());
        assert_eq!(field(&batch, name).as_deref(), Some(value), "{line}");
        assert_eq!(batch.rows()[0].time.as_second(), 1_795_518_000, "{line}");
    }
}

#[test]
fn values_by_place_have_names() {
    let line = r#"{"Channel":"Security","EventID":4634,"StringInserts":["S-1-5-7","mira","EXAMPLE","0x51","3"]}"#;
    let batch = decoded(Format::Auto, None, line.as_bytes());
    assert_eq!(field(&batch, "TargetUserName").as_deref(), Some("mira"));
    assert_eq!(field(&batch, "LogonType").as_deref(), Some("3"));
    let line = r#"{"Channel":"Security","EventID":4672,"StringInserts":["S-1-5-7","mira"]}"#;
    let batch = decoded(Format::Auto, None, line.as_bytes());
    assert_eq!(field(&batch, "SubjectUserName").as_deref(), Some("mira"));
    assert_eq!(field(&batch, "PrivilegeList"), None);
}

#[test]
fn headers_of_network_devices() {
    for (line, host, message) in [
        (
            "<134>1 1795518000.123456789 MX84 flows src=192.0.2.1",
            "MX84",
            "flows src=192.0.2.1",
        ),
        (
            "<189>45: rtr-01: *Nov 24 11:00:00.123: %SYS-5-X: a",
            "rtr-01",
            "%SYS-5-X: a",
        ),
        (
            "<189>Nov 24 11:00:00.123 UTC: %SYS-5-X: a",
            "",
            "%SYS-5-X: a",
        ),
        (
            "<166>Nov 24 2026 11:00:00 fw-01: %ASA-6-302013: a",
            "fw-01",
            "%ASA-6-302013: a",
        ),
        (
            "<166>:Nov 24 11:00:00 UTC: %ASA-session-6-302015: a",
            "",
            "%ASA-session-6-302015: a",
        ),
        (
            "<189>: 2026 Nov 24 11:00:00 UTC: %ETHPORT-5-IF_UP: a",
            "",
            "%ETHPORT-5-IF_UP: a",
        ),
        (
            "2026 Nov 24 11:00:00 nx1 %AUTHPRIV-3-SYSTEM_MSG: a",
            "nx1",
            "%AUTHPRIV-3-SYSTEM_MSG: a",
        ),
        (
            "<189>: sw01: Nov 24 2026 11:00:00.964: %SYS-5-X: a",
            "sw01",
            "%SYS-5-X: a",
        ),
        (
            "<182>: host-1: 115649616: Nov 24 11:00:00.511 CET: %FMANFP-6-X: a",
            "host-1",
            "%FMANFP-6-X: a",
        ),
        (
            "<189>38: host-01: Nov 24 11:00:00.123 UTC+07:30: %DOT1X-5-FAIL: a",
            "host-01",
            "%DOT1X-5-FAIL: a",
        ),
        (
            "<191>26: rt401: Nov 24 11:00:00.461 CEST: NTP Core (NOTICE): lost",
            "rt401",
            "NTP Core (NOTICE): lost",
        ),
        (
            "<134>1 2026-11-24T11:00:00Z gw CheckPoint 9 - [action:\"Accept\"; x:\"y\"]",
            "gw",
            "[action:\"Accept\"; x:\"y\"]",
        ),
    ] {
        let batch = decoded(Format::Auto, None, line.as_bytes());
        assert_eq!(batch.anomalies(), [], "{line}");
        assert_eq!(
            field(&batch, "syslog.hostname").unwrap_or_default(),
            host,
            "{line}"
        );
        assert_eq!(field(&batch, "message").as_deref(), Some(message), "{line}");
        assert_eq!(batch.rows()[0].time.as_second(), 1_795_518_000, "{line}");
    }
    let line = "<14>1 2026-11-24T11:00:00.000Z srx RT_FLOW - RT_FLOW_SESSION_DENY [junos@2636.1.1.1.2.129 source-address=\"192.0.2.1\"]";
    let batch = decoded(Format::Auto, None, line.as_bytes());
    let found = field(&batch, "syslog.sd.junos@2636.source-address");
    assert_eq!(found.as_deref(), Some("192.0.2.1"));
}

#[test]
fn hostile_bytes_never_panic_and_never_vanish() {
    let seeds: [&[u8]; 6] = [
        CEF.as_bytes(),
        b"LEEF:2.0|A|W|1|x|^|a=b^c=d",
        b"2026-11-24T11:00:00Z stdout F <13>x",
        b"1,\"a \"\"b\"\"\",3",
        br#"{"message":"CEF:0|A|B|1|2|n|3|a=b","a":1}"#,
        b"<134>1 1795518000.1 MX flows a=b",
    ];
    for seed in seeds {
        for context in [
            None,
            Some("#Fields: date time x\n"),
            Some("#columns\t,a,b,c\n"),
        ] {
            for cut in 0..seed.len() {
                decoded(Format::Auto, context, &seed[..cut]);
                for byte in [0, b'"', b'\\', b'|', b'=', b' ', 0xff, 0xc3] {
                    let mut changed = seed.to_vec();
                    changed[cut] = byte;
                    decoded(Format::Syslog, context, &changed);
                    decoded(Format::Auto, context, &changed);
                }
            }
        }
    }
}
