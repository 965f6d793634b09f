//! Each decoder from bytes to fields, with truncated and hostile cases.

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_event::{AnomalyCode, EventBatch, Format, Namespace, RawRecord};

fn record(format: Format, context: Option<&str>, bytes: &[u8]) -> RawRecord {
    RawRecord {
        source: "test".into(),
        format,
        context: context.map(Into::into),
        position: 1,
        received_at: "2024-05-02T00:00:00Z".parse().expect("a time"),
        bytes: Bytes::copy_from_slice(bytes),
    }
}

fn decoded(format: Format, context: Option<&str>, bytes: &[u8]) -> EventBatch {
    let mut batch = EventBatch::new();
    let rows = Decoder::new(Limits::STANDARD).decode(&mut batch, &record(format, context, bytes));
    assert_eq!(rows, batch.len());
    assert!(rows > 0, "no record is lost");
    batch
}

fn shown(batch: &EventBatch) -> Vec<(String, String)> {
    batch
        .columns(Namespace::Source)
        .iter()
        .filter_map(|column| Some((column.name().to_string(), column.get(0)?.text.to_owned())))
        .collect()
}

fn check(format: Format, line: &str, time: &str, expected: &[(&str, &str)]) {
    let batch = decoded(format, None, line.as_bytes());
    assert_eq!(batch.anomalies(), [], "{line}");
    let fields = shown(&batch);
    for (name, value) in expected {
        let found = fields.iter().find(|(known, _)| known == name);
        assert_eq!(
            found.map(|(_, text)| text.as_str()),
            Some(*value),
            "{name} in {fields:#?}"
        );
    }
    if !time.is_empty() {
        let row = &batch.rows()[0];
        assert!(row.has_own_time, "{line}");
        assert_eq!(
            row.time,
            time.parse::<Timestamp>().expect("a time"),
            "{line}"
        );
    }
}

fn codes(format: Format, bytes: &[u8]) -> Vec<AnomalyCode> {
    let batch = decoded(format, None, bytes);
    batch
        .anomalies()
        .iter()
        .map(|(_, anomaly)| anomaly.code)
        .collect()
}

#[test]
fn syslog_5424() {
    check(
        Format::Syslog,
        "<34>1 2024-05-01T22:14:15.003Z mymachine.example.com su 77 ID47 [ex@32473 iut=\"3\" q=\"a\\\"b\"][o x=\"y\"] \u{feff}'su root' failed",
        "2024-05-01T22:14:15.003Z",
        &[
            ("syslog.facility", "4"),
            ("syslog.severity", "2"),
            ("syslog.hostname", "mymachine.example.com"),
            ("syslog.appname", "su"),
            ("syslog.procid", "77"),
            ("syslog.msgid", "ID47"),
            ("syslog.sd.ex@32473.iut", "3"),
            ("syslog.sd.ex@32473.q", "a\"b"),
            ("syslog.sd.o.x", "y"),
            ("message", "'su root' failed"),
        ],
    );
    check(
        Format::Auto,
        "<0>1 2024-05-01T22:14:15Z h - - - -",
        "2024-05-01T22:14:15Z",
        &[("message", "")],
    );
}

#[test]
fn syslog_3164() {
    let expected: &[(&str, &str)] = &[
        ("syslog.hostname", "web-01"),
        ("syslog.appname", "sshd"),
        ("syslog.procid", "123"),
        ("message", "Accepted password: x"),
    ];
    for (line, time) in [
        (
            "<38>May  1 12:00:00 web-01 sshd[123]: Accepted password: x",
            "2024-05-01T12:00:00Z",
        ),
        (
            "May  1 12:00:00 web-01 sshd[123]: Accepted password: x\n",
            "2024-05-01T12:00:00Z",
        ),
        (
            "2024-05-01T14:00:00.5+02:00 web-01 sshd[123]: Accepted password: x",
            "2024-05-01T12:00:00.5Z",
        ),
        (
            "<38>Dec 31 23:59:59 web-01 sshd[123]: Accepted password: x",
            "2023-12-31T23:59:59Z",
        ),
    ] {
        check(Format::Auto, line, time, expected);
    }
    check(
        Format::Syslog,
        "<13>May  1 12:00:00 backup[9]: done: all",
        "2024-05-01T12:00:00Z",
        &[("syslog.appname", "backup"), ("message", "done: all")],
    );
    check(
        Format::Syslog,
        "<189>29: *May  1 12:00:00.123: %SYS-5-CONFIG_I: Configured from console",
        "2024-05-01T12:00:00.123Z",
        &[("message", "%SYS-5-CONFIG_I: Configured from console")],
    );
    let batch = decoded(Format::Syslog, None, b"<13>just a message");
    assert_eq!(
        shown(&batch)[2],
        ("message".into(), "just a message".into())
    );
    assert_eq!(
        codes(Format::Syslog, b"<13>just a message"),
        [AnomalyCode::TimeMissing]
    );
    assert_eq!(codes(Format::Syslog, b"<999>x"), [AnomalyCode::Undecoded]);
    assert_eq!(
        codes(Format::Auto, b"nothing known"),
        [AnomalyCode::Undecoded]
    );
}

#[test]
fn audit_lines() {
    check(
        Format::Auto,
        "type=SYSCALL msg=audit(1714557600.123:4242): arch=c000003e syscall=59 success=yes exit=0 a0=55d0 items=2 uid=0 auid=1000 comm=\"cat\" exe=\"/usr/bin/cat\" key=\"rootcmd\"\u{1d}ARCH=x86_64 SYSCALL=execve UID=\"root\"",
        "2024-05-01T10:00:00.123Z",
        &[
            ("type", "SYSCALL"),
            ("audit.serial", "4242"),
            ("syscall", "59"),
            ("a0", "55d0"),
            ("exe", "/usr/bin/cat"),
            ("SYSCALL", "execve"),
            ("UID", "root"),
        ],
    );
    check(
        Format::Auditd,
        "node=web-01 type=EXECVE msg=audit(1714557600.123:4242): argc=3 a0=\"sh\" a1=\"-c\" a2=6C73202D6C61",
        "2024-05-01T10:00:00.123Z",
        &[("node", "web-01"), ("a0", "sh"), ("a2", "ls -la")],
    );
    check(
        Format::Auto,
        "type=PROCTITLE msg=audit(1714557600.123:4242): proctitle=636174002F6574632F736861646F77",
        "",
        &[("proctitle", "cat /etc/shadow")],
    );
    check(
        Format::Auto,
        "type=USER_AUTH msg=audit(1714557600.123:7): pid=1 uid=0 msg='op=PAM:authentication acct=\"root\" exe=\"/usr/sbin/sshd\" hostname=? addr=203.0.113.66 terminal=ssh res=failed'",
        "",
        &[
            ("op", "PAM:authentication"),
            ("acct", "root"),
            ("addr", "203.0.113.66"),
            ("res", "failed"),
        ],
    );
    let found = codes(
        Format::Auto,
        b"type=SYSCALL msg=audit(99999999999999:1): a=1",
    );
    assert!(found.contains(&AnomalyCode::TimeImplausible), "{found:?}");
    assert_eq!(
        codes(Format::Auto, b"type=X msg=audit("),
        [AnomalyCode::Undecoded]
    );
}

#[test]
fn windows_xml() {
    let line = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Sysmon' Guid='{5770385F}'/><EventID Qualifiers='16'>1</EventID><TimeCreated SystemTime='2024-05-01T12:00:00.1234567Z'/><EventRecordID>99</EventRecordID><Execution ProcessID='4' ThreadID='5'/><Channel>Microsoft-Windows-Sysmon/Operational</Channel><Computer>ws-042</Computer></System><EventData><Data Name='Image'>C:\\a &amp; b\\x.exe</Data><Data Name='Empty'/><Data>plain</Data></EventData></Event>";
    check(
        Format::Auto,
        line,
        "",
        &[
            ("Provider_Name", "Microsoft-Windows-Sysmon"),
            ("EventID", "1"),
            ("EventID_Qualifiers", "16"),
            ("TimeCreated", "2024-05-01T12:00:00.1234567Z"),
            ("Execution_ProcessID", "4"),
            ("Channel", "Microsoft-Windows-Sysmon/Operational"),
            ("Computer", "ws-042"),
            ("Image", "C:\\a & b\\x.exe"),
            ("Data", "plain"),
        ],
    );
    for cut in [30, 200, 400, 500] {
        assert!(!codes(Format::WindowsXml, &line.as_bytes()[..cut]).is_empty());
    }
    let deep = format!("<Event>{}", "<a>".repeat(10_000));
    assert!(codes(Format::Auto, deep.as_bytes()).contains(&AnomalyCode::NestedTooDeep));
    check(
        Format::Auto,
        "<Event><System><EventID>1102</EventID></System><UserData><LogFileCleared xmlns='x'><SubjectUserName>eve</SubjectUserName></LogFileCleared></UserData></Event>",
        "",
        &[("EventID", "1102"), ("SubjectUserName", "eve")],
    );
}

#[test]
fn zeek_tsv() {
    let header = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tlocal_orig\tnote\ttunnel_parents\n#types\ttime\tstring\taddr\tport\tbool\tstring\tset[string]\n";
    let line = b"1714557600.5\tC1\t10.20.0.5\t4444\tT\t-\ta,b";
    let batch = decoded(Format::ZeekTsv, Some(header), line);
    assert_eq!(batch.anomalies(), []);
    let fields = shown(&batch);
    let expected = [
        ("_path", "conn"),
        ("ts", "1714557600.5"),
        ("uid", "C1"),
        ("id.orig_h", "10.20.0.5"),
        ("id.orig_p", "4444"),
        ("local_orig", "true"),
        ("tunnel_parents", "[\"a\",\"b\"]"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(a, b)| (a.to_string(), b.to_string()))
        .collect();
    assert_eq!(fields, expected);
    let batch = decoded(Format::ZeekTsv, Some(header), b"1714557600.5\tC1");
    assert_eq!(batch.anomalies()[0].1.code, AnomalyCode::Malformed);
    assert_eq!(
        codes(Format::ZeekTsv, b"1714557600.5\tC1"),
        [AnomalyCode::Undecoded]
    );
}

#[test]
fn journal() {
    let mut entry = b"__REALTIME_TIMESTAMP=1714557600123456\nPRIORITY=6\n_HOSTNAME=web-01\nSYSLOG_IDENTIFIER=sshd\n_PID=7\nMESSAGE\n".to_vec();
    entry.extend_from_slice(&3_u64.to_le_bytes());
    entry.extend_from_slice(b"a\nb\n");
    let batch = decoded(Format::JournalExport, None, &entry);
    assert_eq!(batch.anomalies(), []);
    let fields = shown(&batch);
    for (name, value) in [
        ("message", "a\nb"),
        ("syslog.appname", "sshd"),
        ("syslog.hostname", "web-01"),
    ] {
        assert!(fields.contains(&(name.into(), value.into())), "{fields:?}");
    }
    let batch = decoded(Format::JournalExport, None, &entry[..entry.len() - 3]);
    assert_eq!(batch.anomalies()[0].1.code, AnomalyCode::Malformed);
    check(
        Format::Auto,
        r#"{"__REALTIME_TIMESTAMP":"1714557600123456","MESSAGE":[104,105],"SYSLOG_IDENTIFIER":"x","_HOSTNAME":"h"}"#,
        "2024-05-01T10:00:00.123456Z",
        &[("message", "hi"), ("syslog.appname", "x")],
    );
}

#[test]
fn access_logs() {
    check(
        Format::Auto,
        "10.0.0.1 - frank [01/May/2024:13:55:36 -0700] \"GET /a.gif?x=1 HTTP/1.0\" 200 2326 \"http://r/\" \"Mozilla/4.08 \\\"x\\\"\" \"203.0.113.9\" 0.003",
        "2024-05-01T20:55:36Z",
        &[
            ("c-ip", "10.0.0.1"),
            ("cs-username", "frank"),
            ("cs-method", "GET"),
            ("c-uri", "/a.gif?x=1"),
            ("cs-uri-stem", "/a.gif"),
            ("cs-uri-query", "x=1"),
            ("cs-version", "HTTP/1.0"),
            ("sc-status", "200"),
            ("sc-bytes", "2326"),
            ("cs-referer", "http://r/"),
            ("cs-user-agent", "Mozilla/4.08 \"x\""),
            ("x-forwarded-for", "203.0.113.9"),
            ("time-taken", "0.003"),
        ],
    );
    check(
        Format::AccessLog,
        "www.example.org:80 10.0.0.1 - - [01/May/2024:13:55:36 +0000] \"\\x16\\x03\" 400 0",
        "",
        &[
            ("cs-host", "www.example.org"),
            ("s-port", "80"),
            ("cs-request", "\\x16\\x03"),
        ],
    );
    let cut = b"10.0.0.1 - - [01/May/2024:13:55:36 +0000] \"GET /a";
    assert_eq!(codes(Format::Auto, cut), [AnomalyCode::Malformed]);
    check(
        Format::Auto,
        "2024/05/01 12:00:00 [error] 99#99: *5 open() \"/x\" failed, client: 10.0.0.1, server: _",
        "2024-05-01T12:00:00Z",
        &[
            ("level", "error"),
            ("c-ip", "10.0.0.1"),
            ("server", "nginx"),
        ],
    );
    check(
        Format::Auto,
        "[Wed May 01 12:00:00.123 2024] [core:error] [pid 35:tid 4] [client 10.0.0.1:999] AH00126: Invalid URI",
        "2024-05-01T12:00:00.123Z",
        &[
            ("level", "error"),
            ("c-ip", "10.0.0.1"),
            ("message", "AH00126: Invalid URI"),
        ],
    );
}

#[test]
fn hostile_bytes_never_panic_and_never_vanish() {
    let long = vec![b'a'; 2 << 20];
    assert!(codes(Format::Auto, &long).contains(&AnomalyCode::Truncated));
    assert!(codes(Format::Auto, b"\xff\xfe<34>").contains(&AnomalyCode::InvalidUtf8));
    // Every prefix and every one-byte change of one line per form.
    let seeds: [&[u8]; 7] = [
        b"{\"a\":[{\"b\":\"\\u00e9\"}],\"message\":\"<1>x\"}",
        b"<34>1 2024-05-01T22:14:15.003Z h a p m [x y=\"z\"] t",
        b"type=EXECVE msg=audit(1.2:3): a0=41 a1=\"x\"",
        b"<Event><System><EventID>1</EventID></System></Event>",
        b"10.0.0.1 - - [01/May/2024:13:55:36 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"x\"",
        b"May  1 12:00:00 h t[1]: m",
        b"__CURSOR=1\nA\n\x01\0\0\0\0\0\0\0x\n",
    ];
    for seed in seeds {
        for format in Format::ALL {
            for cut in 0..seed.len() {
                decoded(format, Some("#fields\ta\tb"), &seed[..cut]);
                for byte in [0, b'"', b'\\', b'[', b' ', 0xff, 0xc3] {
                    let mut changed = seed.to_vec();
                    changed[cut] = byte;
                    decoded(format, Some("#fields\ta\tb"), &changed);
                }
            }
        }
    }
}
