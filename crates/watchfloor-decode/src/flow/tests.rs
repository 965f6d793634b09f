use super::*;

const EXPORTER: &str = "192.0.2.1";

fn now() -> Timestamp {
    Timestamp::from_second(1_700_000_000).unwrap()
}

fn packet(flows: &mut Flows, bytes: &[u8]) -> Packet {
    flows.packet(EXPORTER.parse().unwrap(), bytes, now())
}

fn texts(packet: &Packet) -> Vec<String> {
    let texts = packet.flows.iter().map(|flow| {
        serde_json::from_slice::<serde_json::Value>(flow).unwrap();
        String::from_utf8(flow.clone()).unwrap()
    });
    texts.collect()
}

fn be(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn set(id: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap();
    be(&[&id.to_be_bytes(), &length.to_be_bytes(), body])
}

fn v9(sets: &[Vec<u8>]) -> Vec<u8> {
    let mut out = be(&[
        &[0, 9, 0, 1],
        &60_000_u32.to_be_bytes(),
        &1_700_000_000_u32.to_be_bytes(),
    ]);
    out.extend_from_slice(&be(&[&7_u32.to_be_bytes(), &3_u32.to_be_bytes()]));
    out.extend(sets.concat());
    out
}

fn ipfix(sets: &[Vec<u8>]) -> Vec<u8> {
    let body = sets.concat();
    let length = u16::try_from(body.len() + 16).unwrap();
    let mut out = be(&[
        &[0, 10],
        &length.to_be_bytes(),
        &1_700_000_000_u32.to_be_bytes(),
    ]);
    out.extend_from_slice(&be(&[&7_u32.to_be_bytes(), &3_u32.to_be_bytes()]));
    out.extend(body);
    out
}

/// Addresses, start since boot, bytes.
fn template_9() -> Vec<u8> {
    let words: [u16; 10] = [300, 4, 8, 4, 12, 4, 22, 4, 1, 4];
    set(0, &words.map(u16::to_be_bytes).concat())
}

fn data_9() -> Vec<u8> {
    let body = be(&[
        &[10, 0, 0, 1, 10, 0, 0, 2],
        &50_000_u32.to_be_bytes(),
        &1234_u32.to_be_bytes(),
    ]);
    set(300, &body)
}

const FLOW_9: &str = r#"{"flow":{"exporter":"192.0.2.1","version":9,"domain":3,"sequence":7,"template":300,"exported":"2023-11-14T22:13:20Z"},"sourceIPv4Address":"10.0.0.1","destinationIPv4Address":"10.0.0.2","flowStartSysUpTime":50000,"octetDeltaCount":1234,"flowStart":"2023-11-14T22:13:10Z"}"#;

#[test]
fn version_9_by_template() {
    let mut flows = Flows::default();
    let got = packet(&mut flows, &v9(&[template_9(), data_9()]));
    assert_eq!(got.fault, None);
    assert_eq!(texts(&got), [FLOW_9]);
    // Another exporter's template of the same number is another.
    let other = flows.packet("192.0.2.9".parse().unwrap(), &v9(&[data_9()]), now());
    assert_eq!((other.flows.len(), other.waiting), (0, 1));
}

#[test]
fn a_set_before_its_template_waits_and_is_given_up_with_its_bytes() {
    let mut flows = Flows::default();
    let got = packet(&mut flows, &v9(&[data_9()]));
    assert_eq!((got.flows.len(), got.waiting, got.fault), (0, 1, None));
    assert_eq!(texts(&packet(&mut flows, &v9(&[template_9()]))), [FLOW_9]);
    assert_eq!(flows.waiting_bytes, 0);
    let body = v9(&[set(999, &[1, 2, 3, 4])]);
    packet(&mut flows, &body);
    assert!(flows.give_up(now(), false).is_empty());
    let given_up = flows.give_up(now() + jiff::SignedDuration::from_secs(WAIT_S), false);
    assert_eq!(given_up.len(), 1);
    let text = String::from_utf8_lossy(&given_up[0].1).into_owned();
    assert!(
        text.contains(r#""set":"01020304""#) && text.contains("did not come"),
        "{text}"
    );
    assert_eq!(flows.waiting_bytes, 0);
}

#[test]
fn ipfix_with_enterprise_reverse_and_variable_fields() {
    let mut fields: Vec<u8> = Vec::new();
    let words = |words: &[u16]| {
        words
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect::<Vec<u8>>()
    };
    fields.extend(words(&[256, 5, 27, 16, 152, 8, 371, 0xffff, 0x8001, 8]));
    fields.extend(29_305_u32.to_be_bytes());
    fields.extend(words(&[0x8005, 2]));
    fields.extend(9_u32.to_be_bytes());
    let mut record = vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    record.extend(1_700_000_000_123_u64.to_be_bytes());
    record.extend([3, b'e', b'v', b'e']);
    record.extend(99_u64.to_be_bytes());
    record.extend([0xab, 0xcd, 0, 0]);
    let mut flows = Flows::default();
    let got = packet(&mut flows, &ipfix(&[set(2, &fields), set(256, &record)]));
    assert_eq!(got.fault, None);
    let text = &texts(&got)[0];
    for part in [
        r#""sourceIPv6Address":"2001:db8::1""#,
        r#""userName":"eve""#,
        r#""reverseOctetDeltaCount":99"#,
        r#""enterprise9.element5":"abcd""#,
        r#""flowStart":"2023-11-14T22:13:20.123Z""#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A template that is withdrawn is known no more.
    let gone = words(&[256, 0]);
    let got = packet(&mut flows, &ipfix(&[set(2, &gone), set(256, &record)]));
    assert_eq!((got.flows.len(), got.waiting), (0, 1));
}

#[test]
fn version_5() {
    let mut bytes = vec![0, 5, 0, 2];
    bytes.extend(be(&[
        &60_000_u32.to_be_bytes(),
        &1_700_000_000_u32.to_be_bytes(),
        &[0; 4],
    ]));
    bytes.extend(be(&[&9_u32.to_be_bytes(), &[0, 1, 0, 0]]));
    let mut record = vec![10, 0, 0, 1, 10, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2];
    record.extend(be(&[&5_u32.to_be_bytes(), &600_u32.to_be_bytes()]));
    record.extend(be(&[&50_000_u32.to_be_bytes(), &60_000_u32.to_be_bytes()]));
    record.extend(be(&[&[0x9c, 0x40, 0, 80, 0, 0x1b, 6, 0], &[0; 8]]));
    assert_eq!(record.len(), 48);
    bytes.extend(&record);
    let mut flows = Flows::default();
    let got = packet(&mut flows, &bytes);
    let fault = got.fault.clone().unwrap();
    assert!(fault.contains("says 2 flows and has 1"), "{fault}");
    let text = &texts(&got)[0];
    for part in [
        r#""sourceTransportPort":40000"#,
        r#""protocolIdentifier":6"#,
        r#""octetDeltaCount":600"#,
        r#""flowStart":"2023-11-14T22:13:10Z","flowEnd":"2023-11-14T22:13:20Z""#,
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn every_cut_and_hostile_template_is_survived() {
    let whole = v9(&[template_9(), data_9()]);
    for end in 0..whole.len() {
        packet(&mut Flows::default(), &whole[..end]);
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut broken = whole.clone();
            broken[at] = value;
            packet(&mut Flows::default(), &broken);
        }
    }
    let mut flows = Flows::default();
    // A template of no bytes would give records without end.
    let empty: Vec<u8> = [300_u16, 1, 8, 0]
        .iter()
        .flat_map(|word| word.to_be_bytes())
        .collect();
    assert!(
        packet(&mut flows, &v9(&[set(0, &empty), data_9()]))
            .fault
            .is_some()
    );
    // More templates than one exporter may have.
    let mut faults = 0;
    for id in 256..u16::MAX {
        let words: Vec<u8> = [id, 1, 8, 4]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        faults += usize::from(packet(&mut flows, &v9(&[set(0, &words)])).fault.is_some());
        if faults > 0 {
            break;
        }
    }
    assert_eq!(
        (flows.templates.len(), faults),
        (TEMPLATES_PER_EXPORTER_MAX, 1)
    );
    for number in 0..2 * WAITING_MAX {
        let mut body = number.to_be_bytes().to_vec();
        body.resize(64, 0);
        let got = packet(&mut flows, &v9(&[set(65_535, &body)]));
        assert_eq!(got.waiting, 1);
        assert_eq!(got.flows.len(), usize::from(number >= WAITING_MAX));
    }
    assert!(
        packet(&mut flows, &[0, 7, 0, 0])
            .fault
            .unwrap()
            .contains("version 7")
    );
}
