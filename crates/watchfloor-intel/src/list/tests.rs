//! Lists in, indicators and reports out.

use super::*;
use crate::{IndicatorSet, SetBuilder, csv_header, csv_line, stix_object};

/// Reads a list: its indicators as `kind value`, and the report.
fn read(name: &str, text: &str) -> (Vec<String>, ListReport) {
    let (indicators, report) = indicators(name, text);
    let shown = indicators.iter().map(|one| format!("{:?}", one.value));
    (shown.collect(), report)
}

fn indicators(name: &str, text: &str) -> (Vec<Indicator>, ListReport) {
    let mut found = Vec::new();
    let report = read_list(name, &mut text.as_bytes(), &mut |one| found.push(one)).unwrap();
    assert_eq!(report.taken.total(), found.len() as u64);
    (found, report)
}

fn refused(report: &ListReport) -> Vec<String> {
    let lines = report.refused.iter();
    lines
        .map(|line| format!("{}: {}", line.line, line.reason))
        .collect()
}

#[test]
fn plain_text_has_a_head_comments_and_defanged_values() {
    let text = "\u{feff}# source: Example CERT\n# confidence: 80\n# level: high\n# tlp: amber\n\
                # valid_until: 2027-01-01\n; note\n// note\n! note\n\n\
                hxxp://evil[.]example/a    # seen in March\n203.0.113.7 ; note\n\
                0.0.0.0 ads.example\nnot a value\n10.0.0.0/8\n2001:db8::/32\r\n";
    let (found, report) = indicators("feed.txt", text);
    let values: Vec<String> = found.iter().map(|one| one.value.to_string()).collect();
    assert_eq!(
        values,
        [
            "http://evil.example/a",
            "203.0.113.7",
            "ads.example",
            "2001:db8::/32"
        ]
    );
    let first = &found[0];
    assert_eq!(&*first.source, "Example CERT");
    assert_eq!(first.confidence, Some(80));
    assert_eq!(first.level, Some(watchfloor_event::FindingLevel::High));
    assert_eq!(first.tlp, Some(watchfloor_model::Tlp::Amber));
    assert_eq!(
        first.valid_until.unwrap().to_string(),
        "2027-01-01T00:00:00Z"
    );
    assert_eq!(report.format, Some(ListFormat::Text));
    let refused = refused(&report);
    assert_eq!(refused.len(), 2);
    assert!(refused[0].starts_with("13: no address"), "{refused:?}");
    assert!(
        refused[1].starts_with("14: the network covers"),
        "{refused:?}"
    );
}

#[test]
fn a_head_that_says_nonsense_is_named() {
    let (found, report) = read(
        "f",
        "# confidence: much\n# kind: ja3\n# kind: y\n00112233445566778899aabbccddeeff\n",
    );
    assert_eq!(found, ["ja3 00112233445566778899aabbccddeeff"]);
    assert_eq!(
        refused(&report),
        ["1: 'much' is no confidence", "3: there is no kind 'y'"]
    );
}

#[test]
fn csv_columns_are_known_by_name() {
    let text = "uuid,event_id,category,type,value,comment,to_ids,date\n\
        \"u-1\",1,\"Network activity\",\"ip-dst|port\",\"203.0.113.7|443\",\"C2, \"\"main\"\"\",1,1700000000\n\
        u-2,1,Payload,filename|sha256,\"a.exe|AEC070645FE53EE3B3763059376134F058CC337247C978ADD178B6CCDFB0019F\",\"two\nlines\",1,\n\
        u-3,1,x,domain,internal.example,,0,\n\
        u-4,1,x,mutex,Global\\\\x,,1,\n\
        u-5,1,x,domain,not valid,,1,\n";
    let (found, report) = indicators("misp.csv", text);
    assert_eq!(report.format, Some(ListFormat::Csv));
    let shown: Vec<String> = found.iter().map(|one| format!("{:?}", one.value)).collect();
    let hash = "sha256 aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f";
    assert_eq!(shown, ["address 203.0.113.7", hash]);
    assert_eq!(found[0].name.as_deref(), Some("C2, \"main\""));
    assert_eq!(found[0].id.as_deref(), Some("u-1"));
    assert_eq!(found[0].valid_from.unwrap().as_second(), 1_700_000_000);
    assert_eq!(found[1].name.as_deref(), Some("two\nlines"));
    assert_eq!(refused(&report), ["7: no value of the kind domain"]);
    let passed: Vec<_> = report.not_understood.iter().collect();
    assert_eq!(passed.len(), 2);
    assert_eq!(report.not_understood["type mutex"], 1);
}

#[test]
fn csv_heads_may_be_comments_and_columns_kinds() {
    let text = "# made today\n# \"first_seen_utc\",\"dst_ip\",\"dst_port\",\"malware\"\n\"2026-03-01 10:00:00\",\"203.0.113.7\",\"443\",\"Emotet\"\n";
    let (found, _) = indicators("feodo.csv", text);
    assert_eq!(found[0].value.to_string(), "203.0.113.7");
    assert_eq!(found[0].name.as_deref(), Some("Emotet"));
    assert_eq!(
        found[0].valid_from.unwrap().to_string(),
        "2026-03-01T10:00:00Z"
    );
    let (found, _) = read("x.csv", "value;confidence\nevil.example;7\n");
    assert_eq!(found, ["domain evil.example"]);
    let (found, report) = read("x.csv", "value,valid_until\nevil.example,soon\n\"open");
    assert!(found.is_empty());
    assert_eq!(
        refused(&report),
        [
            "2: 'soon' is no time for the end",
            "3: a quote is not closed"
        ]
    );
}

const STIX: &str = r#"{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","name":"Poison Ivy","pattern":"[domain-name:value = 'evil.example' OR ipv4-addr:value = '203.0.113.7']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","valid_until":"2026-06-01T00:00:00Z","confidence":90,"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}"#;

#[test]
fn stix_comes_as_bundle_or_line_by_line() {
    let revoked = STIX.replace("\"confidence\":90", "\"revoked\":true");
    let yara = STIX.replace("\"pattern_type\":\"stix\"", "\"pattern_type\":\"yara\"");
    let matches = STIX.replace("value = 'evil", "value MATCHES 'evil");
    let broken = STIX.replace("[domain", "domain");
    let objects = [
        STIX,
        r#"{"type":"malware","id":"m"}"#,
        &revoked,
        &yara,
        &matches,
        &broken,
        "{}",
    ];
    let bundle = format!(
        "{{\"type\":\"bundle\",\"id\":\"b\",\n\"objects\":[{}]}}",
        objects.join(",\n")
    );
    let lines = objects.join("\n");
    for (name, text) in [("b.json", &bundle), ("l.ndjson", &lines)] {
        let (found, report) = indicators(name, text);
        assert_eq!(report.format, Some(ListFormat::Stix), "{name}");
        let values: Vec<String> = found.iter().map(|one| one.value.to_string()).collect();
        assert_eq!(values, ["evil.example", "203.0.113.7"], "{name}");
        let first = &found[0];
        assert_eq!(
            first.id.as_deref(),
            Some("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")
        );
        assert_eq!(first.tlp, Some(watchfloor_model::Tlp::Amber));
        assert_eq!(first.confidence, Some(90));
        assert_eq!(
            first.valid_until.unwrap().to_string(),
            "2026-06-01T00:00:00Z"
        );
        let reasons: Vec<&str> = report.not_understood.keys().map(String::as_str).collect();
        let expected = [
            "object of the type malware",
            "pattern of the type yara",
            "pattern with MATCHES",
            "revoked",
        ];
        assert_eq!(reasons, expected, "{name}");
        assert_eq!(refused(&report).len(), 2, "{name}: {report:?}");
        assert!(refused(&report)[0].starts_with("6: "), "{name}: {report:?}");
    }
}

#[test]
fn misp_events_give_attributes_and_objects() {
    let event = r#"{"Event":{"info":"Campaign","threat_level_id":"1","Orgc":{"name":"CIRCL"},
        "Tag":[{"name":"tlp:white"}],
        "Attribute":[
          {"uuid":"a","type":"domain|ip","value":"evil.example|203.0.113.7","to_ids":true},
          {"uuid":"b","type":"ip-dst","value":"198.51.100.1","to_ids":false},
          {"uuid":"c","type":"yara","value":"rule x {}","to_ids":true},
          {"uuid":"d","type":"md5","value":"xyz","to_ids":true},
          {"uuid":"e","type":"md5"}],
        "Object":[{"Attribute":[{"uuid":"f","type":"ja3-fingerprint-md5","value":"00112233445566778899aabbccddeeff","to_ids":true}]}]}}"#;
    let response = format!("{{\"response\":[{event}]}}");
    for text in [event, &response] {
        let (found, report) = indicators("event.json", text);
        assert_eq!(report.format, Some(ListFormat::Misp));
        let shown: Vec<String> = found.iter().map(|one| format!("{:?}", one.value)).collect();
        let expected = [
            "domain evil.example",
            "address 203.0.113.7",
            "ja3 00112233445566778899aabbccddeeff",
        ];
        assert_eq!(shown, expected);
        assert_eq!(&*found[0].source, "CIRCL");
        assert_eq!(found[0].level, Some(watchfloor_event::FindingLevel::High));
        assert_eq!(found[0].tlp, Some(watchfloor_model::Tlp::Clear));
        assert_eq!(report.refused_count, 2);
        assert_eq!(report.not_understood["type yara"], 1);
    }
}

#[test]
fn bad_input_costs_its_own_line_only() {
    let long = "a".repeat(MAX_LINE_BYTES + 10);
    let (found, report) = read("x.txt", &format!("{long}\nevil.example\n"));
    assert_eq!(found, ["domain evil.example"]);
    assert_eq!(report.refused_count, 1);
    let exact = "a".repeat(MAX_LINE_BYTES);
    let (found, report) = read("x.txt", &format!("evil.example\n{exact}\nbad.example\n"));
    assert_eq!(found.len(), 2, "{report:?}");
    let (found, report) = read("x.ndjson", &format!("{STIX}\n{{broken\n{STIX}\n"));
    assert_eq!(found.len(), 4);
    assert!(refused(&report)[0].starts_with("2: no JSON"), "{report:?}");
    // A bundle that was cut keeps what came before the cut.
    let bundle = format!("{{\"type\":\"bundle\",\"objects\":[\n{STIX},\n{STIX},\n{{\"type\":");
    let (found, report) = read("x.json", &bundle);
    assert_eq!(found.len(), 4);
    assert!(
        refused(&report)[0].starts_with("4: no JSON from here on"),
        "{report:?}"
    );
    for text in [
        "{}",
        "[]",
        "[1,2]",
        "{\"a\":1}",
        "\0\0\u{1}",
        "{",
        "[[[",
        "\"",
        "#",
    ] {
        let (found, _) = read("x.json", text);
        assert!(found.is_empty(), "{text}");
    }
    let (_, report) = read("x.txt", &"no value here\n".repeat(1000));
    assert_eq!(
        (report.refused_count, report.refused.len()),
        (1000, MAX_REFUSED_NAMED)
    );
}

#[test]
fn an_export_is_read_back_as_it_was() {
    let (mut all, _) = indicators("s.ndjson", STIX);
    let text = "203.0.113.0/24\n2001:db8::/32\n2001:db8::1\nhttps://evil.example/a?b='c'\\d\nbad@evil.example\n\
        00112233445566778899aabbccddeeff\nt13d1516h2_8daaf6152771_b186095e22b6\nftp://evil.example/x\n";
    all.extend(indicators("t.txt", text).0);
    let named = Indicator {
        name: Some("a \"name\", of;two\nlines # here".to_owned()),
        source: "us".into(),
        level: Some(watchfloor_event::FindingLevel::Critical),
        ..all[0].clone()
    };
    all.push(named);
    let csv: Vec<String> = all.iter().map(csv_line).collect();
    let csv = format!("{}\n{}\n", csv_header(), csv.join("\n"));
    let (back, report) = indicators("x.csv", &csv);
    assert_eq!(report.refused_count, 0, "{report:?}\n{csv}");
    assert_eq!(back, all);
    let set = set_of(&all);
    let objects: Vec<String> = set
        .iter()
        .map(|held| stix_object(&held, jiff::Timestamp::UNIX_EPOCH).to_string())
        .collect();
    let (back, report) = indicators("x.ndjson", &objects.join("\n"));
    assert_eq!(report.refused_count, 0, "{report:?}");
    let sorted = |all: &[Indicator]| {
        let mut values: Vec<_> = all.iter().map(|one| one.value.clone()).collect();
        values.sort();
        values
    };
    assert_eq!(sorted(&back), sorted(&all));
    let formula = Indicator {
        name: Some("=1+1".to_owned()),
        ..all[0].clone()
    };
    assert!(csv_line(&formula).contains(",'=1+1,"));
}

fn set_of(all: &[Indicator]) -> IndicatorSet {
    let mut builder = SetBuilder::new(1);
    for one in all {
        builder.add("l", one).unwrap();
    }
    builder.build()
}

#[test]
fn real_lists_are_read() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/corpus");
    let corpus = std::path::Path::new(corpus);
    let real = [
        (
            "maltrail-trails/trails/static/malware/zeus.txt",
            ListFormat::Text,
            100,
        ),
        (
            "maltrail-trails/trails/static/malware/apt_xpath.txt",
            ListFormat::Text,
            5,
        ),
    ];
    for (path, format, least) in real {
        let Ok(text) = read_to_string(&corpus.join(path)) else {
            println!("skipped: {path} is not there");
            continue;
        };
        let (found, report) = indicators(path, &text);
        assert_eq!(report.format, Some(format), "{path}");
        assert!(found.len() >= least, "{path}: {}", found.len());
        assert!(
            report.refused_count * 10 < report.taken.total(),
            "{path}: {report:?}"
        );
    }
}

/// Tests may open files.
#[allow(clippy::disallowed_methods)]
fn read_to_string(path: &std::path::Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}
