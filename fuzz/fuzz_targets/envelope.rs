//! Any bytes as a request of HEC, OTLP or Loki: what comes out is JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfloor_decode::envelope::{hec, loki, otlp};

fuzz_target!(|data: &[u8]| {
    let metadata = hec::Metadata {
        host: Some("h\"\\".to_owned()),
        ..hec::Metadata::default()
    };
    let mut records = hec::lines(data, &metadata);
    records.extend(hec::events(data, &metadata).into_iter().flatten());
    for read in [
        otlp::from_protobuf(data),
        otlp::from_json(data),
        loki::from_protobuf(data),
        loki::from_json(data),
    ] {
        records.extend(read.unwrap_or_default());
    }
    for record in records {
        let text = String::from_utf8(record.bytes).expect("records are UTF-8");
        assert!(text.starts_with('{') && text.ends_with('}'), "{text}");
    }
});
