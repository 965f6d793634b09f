use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_event::{AnomalyCode, EventBatch, Format, Namespace, RawRecord, ValueKind};

fn decoded(text: &str) -> EventBatch {
    let mut batch = EventBatch::new();
    let record = RawRecord {
        source: "test".into(),
        format: Format::Auto,
        context: None,
        position: 1,
        received_at: Timestamp::constant(1_700_000_000, 0),
        bytes: Bytes::copy_from_slice(text.as_bytes()),
    };
    crate::decode(&mut batch, &record);
    batch
}

fn check(text: &str, expected: &[(&str, ValueKind, &str)]) {
    let batch = decoded(text);
    assert_eq!(batch.anomalies(), [], "{text}");
    for (name, kind, value) in expected {
        let found = batch.get(Namespace::Source, name, 0);
        let found = found.unwrap_or_else(|| panic!("no field {name} in {text}"));
        assert_eq!((found.kind, found.text), (*kind, *value), "{name}");
    }
}

fn codes(text: &str) -> Vec<AnomalyCode> {
    let batch = decoded(text);
    batch
        .anomalies()
        .iter()
        .map(|(_, anomaly)| anomaly.code)
        .collect()
}

#[test]
fn objects_are_flattened() {
    use ValueKind::{Bool, Float, Int, List, Null, Str};
    check(
        r#" {"a":{"b":{"c":1}},"t":true,"n":null,"f":-1.50e3,"s":"x\n\u00e9\ud83d\ude00\"","l":[1, "a b" ,null],"e":[],"o":{},
           "big":12345678901234567890123,"a.b.d":"dot","dup":1,"dup":2,"p":[{"k":"a","v":{"w":1}},{"k":"b","v":{"w":2}}]} "#,
        &[
            ("a.b.c", Int, "1"),
            ("a.b.d", Str, "dot"),
            ("t", Bool, "true"),
            ("n", Null, ""),
            ("f", Float, "-1.50e3"),
            ("s", Str, "x\n\u{e9}\u{1f600}\""),
            ("l", List, r#"[1,"a b",null]"#),
            ("e", List, "[]"),
            ("big", Int, "12345678901234567890123"),
            ("dup", Int, "2"),
            (
                "p",
                List,
                r#"[{"k":"a","v":{"w":1}},{"k":"b","v":{"w":2}}]"#,
            ),
            ("p.k", List, r#"["a","b"]"#),
            ("p.v.w", List, "[1,2]"),
        ],
    );
}

#[test]
fn lists_and_records_give_a_row_per_element() {
    for text in [
        r#"[{"a":1},{"a":2}]"#,
        r#"{"Records": [ {"a":1} , {"a":2} ] }"#,
    ] {
        let batch = decoded(text);
        assert_eq!(batch.len(), 2, "{text}");
        assert_eq!(
            batch
                .get(Namespace::Source, "a", 1)
                .map(|v| v.text.to_owned()),
            Some("2".into())
        );
        assert_eq!(&batch.rows()[1].raw[..], br#"{"a":2}"#);
        assert_eq!(batch.rows()[1].id.part(), 1);
    }
    let batch = decoded(r#"{"Records":[{"a":1}],"more":2}"#);
    assert_eq!(batch.len(), 1);
    assert!(batch.get(Namespace::Source, "more", 0).is_some());
}

#[test]
fn faults_are_named_and_the_record_is_kept() {
    for text in [
        "{",
        r#"{"a"#,
        r#"{"a":"#,
        r#"{"a":1"#,
        r#"{"a":1,}"#,
        r#"{"a":1}x"#,
        r#"{"a":tru}"#,
        r#"{"a":"\u12"}"#,
        r#"{"a":"\"#,
        r#"{"a":[1,2}"#,
        "{\"a\":01x}",
        "{'a':1}",
    ] {
        let found = codes(text);
        assert!(found.contains(&AnomalyCode::Undecoded), "{text}: {found:?}");
        assert_eq!(decoded(text).len(), 1);
    }
}

#[test]
fn depth_fields_and_lengths_have_limits() {
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    assert_eq!(codes(&deep), [AnomalyCode::NestedTooDeep]);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(codes(&deep), [AnomalyCode::NestedTooDeep]);
    let many: Vec<String> = (0..5000).map(|n| format!("\"f{n}\":{n}")).collect();
    assert_eq!(
        codes(&format!("{{{}}}", many.join(","))),
        [AnomalyCode::TooManyFields]
    );
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(50 << 20));
    let found = codes(&long);
    assert!(found.contains(&AnomalyCode::Truncated) && found.contains(&AnomalyCode::Undecoded));
}

#[test]
fn a_wrapped_line_is_decoded_too() {
    use ValueKind::Str;
    check(
        r#"{"message":"<38>Nov 14 22:13:20 web-01 sshd[77]: Failed password for root from 203.0.113.66 port 4 ssh2","host":{"name":"col"}}"#,
        &[
            ("syslog.appname", Str, "sshd"),
            ("host.name", Str, "col"),
            (
                "message",
                Str,
                "Failed password for root from 203.0.113.66 port 4 ssh2",
            ),
        ],
    );
    check(
        r#"{"log":"{\"level\":\"info\"}\n","stream":"stdout"}"#,
        &[("level", Str, "info"), ("stream", Str, "stdout")],
    );
}

#[test]
fn windows_shapes_give_the_same_names() {
    use ValueKind::{Int, Str};
    check(
        r##"{"Event":{"#attributes":{"xmlns":"x"},"System":{"Provider":{"#attributes":{"Name":"P","Guid":"G"}},"EventID":{"#attributes":{"Qualifiers":16384},"#text":7045},"Channel":"System","Computer":"c","TimeCreated":{"#attributes":{"SystemTime":"2023-11-14T22:00:00Z"}},"Execution":{"#attributes":{"ProcessID":4}}},"EventData":{"ServiceName":"s","Data":{"#text":["a","b"]}}}}"##,
        &[
            ("EventID", Int, "7045"),
            ("EventID_Qualifiers", Int, "16384"),
            ("Provider_Name", Str, "P"),
            ("Channel", Str, "System"),
            ("Computer", Str, "c"),
            ("Execution_ProcessID", Int, "4"),
            ("ServiceName", Str, "s"),
            ("Data", ValueKind::List, r#"["a","b"]"#),
        ],
    );
    check(
        r##"{"Event":{"UserData":{"LogFileCleared":{"#attributes":{"xmlns":"x"},"SubjectUserName":"u"}}}}"##,
        &[("SubjectUserName", Str, "u")],
    );
    check(
        r#"{"Event":{"EventData":{"Threat Name":"EICAR"}}}"#,
        &[("Threat Name", Str, "EICAR"), ("ThreatName", Str, "EICAR")],
    );
    check(
        r#"{"winlog":{"channel":"Security","event_id":"4624","event_data":{"TargetUserName":"u"}},"event":{"code":"4624"}}"#,
        &[
            ("winlog.channel", Str, "Security"),
            ("Channel", Str, "Security"),
            ("EventID", Str, "4624"),
            ("TargetUserName", Str, "u"),
        ],
    );
}
