//! Headers and wrappers as devices, relays and shippers really write them.
#![allow(missing_docs)]

use bytes::Bytes;
use watchfloor_decode::decode;
use watchfloor_event::{EventBatch, Format, Namespace, RawRecord};

fn decoded(format: Format, line: &str) -> EventBatch {
    let mut batch = EventBatch::new();
    let record = RawRecord {
        source: "test".into(),
        format,
        context: None,
        position: 0,
        received_at: "2026-11-24T12:00:00Z".parse().expect("a time"),
        bytes: Bytes::copy_from_slice(line.as_bytes()),
    };
    assert_eq!(decode(&mut batch, &record), 1, "{line}");
    batch
}

#[track_caller]
fn holds(format: Format, line: &str, expected: &[(&str, &str)]) {
    let batch = decoded(format, line);
    for (name, value) in expected {
        let found = match *name {
            "time" => Some(batch.rows()[0].time.to_string()),
            name => batch
                .get(Namespace::Source, name, 0)
                .map(|value| value.text.to_owned()),
        };
        assert_eq!(
            found.as_deref().unwrap_or("nothing"),
            *value,
            "{name} of {line}"
        );
    }
}

#[test]
fn years_and_zones_behind_the_clock_are_of_the_time() {
    holds(
        Format::Auto,
        "<190>Nov 24 10:00:30 2026 H3C %%10SHELL/6/SHELL_CMD: -Line=vty0; Command is quit",
        &[("syslog.hostname", "H3C"), ("time", "2026-11-24T10:00:30Z")],
    );
    holds(
        Format::Auto,
        "<190>Dec 31 23:59:30 2025 H3C %%10SHELL/6/SHELL_CMD: -Line=vty0; Command is quit",
        &[("time", "2025-12-31T23:59:30Z")],
    );
    holds(
        Format::Auto,
        "<189>Nov 24 2026 10:00:28+01:00 SW-A %%01SSH/4/SSH_FAIL(s)[1]:Failed to log in.",
        &[
            ("syslog.hostname", "SW-A"),
            ("time", "2026-11-24T09:00:28Z"),
        ],
    );
}

#[test]
fn a_relay_s_header_gives_way_to_the_device_s() {
    holds(
        Format::Auto,
        "<13>Nov 24 10:00:00 relay <166>Nov 24 2026 09:59:58 asa1 : %ASA-6-302013: Built",
        &[
            ("syslog.hostname", "asa1"),
            ("syslog.facility", "20"),
            ("time", "2026-11-24T09:59:58Z"),
            ("message", "%ASA-6-302013: Built"),
        ],
    );
    holds(
        Format::Auto,
        "Nov 24 10:00:00 srx1 1 2026-11-24T09:59:59.1Z srx1 RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1.2.129 source-port=\"5\"]",
        &[
            ("syslog.appname", "RT_FLOW"),
            ("syslog.msgid", "RT_FLOW_SESSION_CREATE"),
            ("syslog.sd.junos@2636.source-port", "5"),
        ],
    );
    // Headers without end are looked into a few times.
    let many = "<13>Nov 24 10:00:00 h ".repeat(5_000);
    let batch = decoded(Format::Auto, &many);
    assert_eq!(batch.len(), 1);
}

#[test]
fn cef_may_follow_the_host_at_once() {
    holds(
        Format::Auto,
        "<5>1 2026-11-24T10:00:00Z VAULT1 CEF:0|Cyber-Ark|Vault|12|7|Logon|5|suser=eve",
        &[
            ("syslog.hostname", "VAULT1"),
            ("syslog.appname", "nothing"),
            ("cef.device_vendor", "Cyber-Ark"),
            ("suser", "eve"),
        ],
    );
}

#[test]
fn lines_of_programs_in_a_file_of_syslog_have_no_host() {
    holds(
        Format::Syslog,
        "2026-11-24 10:01:27,123 WARN  [org.keycloak.events] type=LOGIN_ERROR",
        &[("syslog.hostname", "nothing")],
    );
    holds(
        Format::Syslog,
        "2026-11-24 10:01:27 [77] 1abc-2 <= eve@example.org",
        &[("syslog.hostname", "nothing")],
    );
    holds(
        Format::Syslog,
        "2026-11-24T10:01:27+00:00 web-01 sshd[7]: Connection closed",
        &[("syslog.hostname", "web-01"), ("syslog.appname", "sshd")],
    );
}

#[test]
fn tags_have_details_and_texts_have_tabs() {
    holds(
        Format::Auto,
        "Nov 24 10:00:00 kdc krb5kdc[99](info): AS_REQ (2 etypes {18 17}) 192.0.2.7: ISSUE",
        &[
            ("syslog.appname", "krb5kdc"),
            ("syslog.procid", "99"),
            ("message", "AS_REQ (2 etypes {18 17}) 192.0.2.7: ISSUE"),
        ],
    );
    holds(
        Format::Auto,
        "Nov 24 10:00:00 mac com.apple.xpc.launchd[1] (com.x.agent): Service exited",
        &[
            ("syslog.appname", "com.apple.xpc.launchd"),
            ("message", "Service exited"),
        ],
    );
    holds(
        Format::Auto,
        "<36>Nov 24 10:00:00 tp1 7\t2\tabc: \"x\"",
        &[("syslog.hostname", "tp1"), ("syslog.appname", "nothing")],
    );
}

#[test]
fn leef_of_the_first_version_may_have_bars() {
    holds(
        Format::Auto,
        "LEEF:1.0|Palo Alto Networks|PAN-OS|11|drop|cat=TRAFFIC|src=192.0.2.7|dst=198.51.100.1|",
        &[
            ("src", "192.0.2.7"),
            ("dst", "198.51.100.1"),
            ("cat", "TRAFFIC"),
        ],
    );
}

#[test]
fn windows_events_at_the_root_have_bare_data() {
    holds(
        Format::Auto,
        r#"{"EventID":4625,"Channel":"Security","EventData":{"TargetUserName":"mara","IpAddress":"192.0.2.7"}}"#,
        &[("TargetUserName", "mara"), ("IpAddress", "192.0.2.7")],
    );
    holds(
        Format::Auto,
        r#"{"event_id":4625,"log_name":"Security","computer_name":"dc1","event_data":{"TargetUserName":"mara"}}"#,
        &[
            ("EventID", "4625"),
            ("Channel", "Security"),
            ("Computer", "dc1"),
            ("TargetUserName", "mara"),
        ],
    );
    holds(
        Format::Auto,
        r#"{"event":"login","EventData":{"TargetUserName":"mara"}}"#,
        &[("TargetUserName", "nothing"), ("event", "login")],
    );
}

#[test]
fn wrappers_of_splunk_and_azure_are_opened() {
    for name in ["event", "SyslogMessage"] {
        let line =
            format!("{{\"{name}\":\"<38>Nov 24 10:00:00 web-01 sshd[7]: Connection closed\"}}");
        holds(
            Format::Auto,
            &line,
            &[("syslog.hostname", "web-01"), ("syslog.appname", "sshd")],
        );
    }
    holds(
        Format::Auto,
        r#"{"result":{"_raw":"<38>Nov 24 10:00:00 web-01 sshd[7]: Connection closed"}}"#,
        &[("syslog.appname", "sshd")],
    );
}

#[test]
fn access_vectors_have_their_result_and_rights() {
    holds(
        Format::Auto,
        "type=AVC msg=audit(1795514400.1:7): avc:  denied  { read write } for  pid=9 comm=\"httpd\" scontext=a tcontext=b tclass=file permissive=0",
        &[
            ("seresult", "denied"),
            ("seperms", "read write"),
            ("tclass", "file"),
        ],
    );
}

#[test]
fn prefixes_of_aix_and_solaris_are_of_the_header() {
    holds(
        Format::Auto,
        "<38>Nov 24 08:38:01 sol1 sshd[7334]: [ID 800047 auth.info] Accepted publickey for ops1",
        &[
            ("syslog.hostname", "sol1"),
            ("syslog.appname", "sshd"),
            ("syslog.msgid", "800047"),
            ("syslog.facility", "4"),
            ("message", "Accepted publickey for ops1"),
        ],
    );
    holds(
        Format::Auto,
        "Nov 24 08:38:01 sol1 genunix: [ID 936769 kern.warning] pm0 is /pseudo/pm@0",
        &[
            ("syslog.severity", "4"),
            ("syslog.facility", "0"),
            ("message", "pm0 is /pseudo/pm@0"),
        ],
    );
    holds(
        Format::Auto,
        "Nov 24 08:38:01 aix2 auth|security:info sshd[68196]: Failed password for ops1",
        &[
            ("syslog.hostname", "aix2"),
            ("syslog.appname", "sshd"),
            ("syslog.procid", "68196"),
            ("syslog.severity", "6"),
            ("message", "Failed password for ops1"),
        ],
    );
    for header in ["<38>Nov 24 08:38:01 10.0.0.1 ", "<38>Nov 24 08:38:01 "] {
        holds(
            Format::Auto,
            &format!("{header}Message forwarded from aix2: su: from eve to root at /dev/pts/1"),
            &[
                ("syslog.hostname", "aix2"),
                ("syslog.appname", "su"),
                ("message", "from eve to root at /dev/pts/1"),
            ],
        );
    }
    for text in ["[ID x auth.info] a", "[ID 7 auth] a", "[ID 7"] {
        holds(
            Format::Auto,
            &format!("Nov 24 08:38:01 h app: {text}"),
            &[("message", text), ("syslog.msgid", "nothing")],
        );
    }
}

#[test]
fn documents_of_an_index_are_opened() {
    let inside =
        r#"{"@timestamp":"2026-11-24T11:00:00Z","host":{"name":"web-1"},"message":"hello"}"#;
    for line in [
        format!(r#"{{"_index":"logs-1","_id":"a1","_score":null,"_source":{inside},"sort":[1]}}"#),
        format!(r#"{{ "_id": "a1", "_source": {inside}, "_index": "logs-1" }}"#)
            .replacen("{ ", "{", 1),
        format!(
            r#"{{"took":3,"hits":{{"total":{{"value":1}},"hits":[{{"_index":"logs-1","_id":"a1","_source":{inside}}}]}}}}"#
        ),
    ] {
        holds(
            Format::Auto,
            &line,
            &[
                ("host.name", "web-1"),
                ("message", "hello"),
                ("_index", "logs-1"),
                ("_id", "a1"),
            ],
        );
    }
    for line in [
        r#"{"_index":"a","_source":"text"}"#,
        r#"{"_source":{"a":1}}"#,
        r#"{"_id":"#,
    ] {
        let batch = decoded(Format::Auto, line);
        assert!(batch.get(Namespace::Source, "a", 0).is_none(), "{line}");
    }
}
