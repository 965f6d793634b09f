//! Measures decoding and normalising on one core: `throughput FILE [ROUNDS]`.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, MAX_BATCH_EVENTS, RawRecord};
use watchfloor_normalize::PackSet;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().expect("a file");
    let rounds: u32 = arguments
        .next()
        .map_or(5, |text| text.parse().expect("a number"));
    let mut records = Vec::new();
    let file = std::fs::File::open(&path).expect("readable");
    framing::read_records(file, &path, None, &mut |framed| {
        records.push(RawRecord {
            source: "bench".into(),
            format: framed.format,
            context: framed.context,
            position: records.len() as u64,
            received_at: Timestamp::now(),
            bytes: Bytes::copy_from_slice(framed.bytes),
        });
        ControlFlow::Continue(())
    })
    .expect("readable");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/mappings");
    let packs = std::fs::read_dir(folder)
        .expect("packs")
        .flatten()
        .map(|entry| entry.path().join("pack.yaml"))
        .map(|path| {
            (
                path.display().to_string(),
                std::fs::read_to_string(path).expect("text"),
            )
        });
    let (set, errors) = PackSet::load(packs);
    assert!(errors.is_empty(), "{errors:?}");
    let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let (mut decoding, mut normalizing) = (Duration::ZERO, Duration::ZERO);
    let (mut events, mut unknown, mut anomalies) = (0, 0, 0);
    for _ in 0..rounds {
        for chunk in records.chunks(MAX_BATCH_EVENTS) {
            let mut batch = EventBatch::new();
            let start = Instant::now();
            for record in chunk {
                decoder.decode(&mut batch, record);
            }
            let middle = Instant::now();
            set.normalize(&mut batch);
            normalizing += middle.elapsed();
            decoding += middle - start;
            events += batch.len();
            unknown += batch.rows().iter().filter(|row| row.kind == 0).count();
            anomalies += batch.anomalies().len();
        }
    }
    let seconds = (decoding + normalizing).as_secs_f64();
    println!(
        "{events} events of {} bytes: {:.0}/s ({:.2} us decode, {:.2} us normalize), {unknown} unknown, {anomalies} anomalies",
        bytes / records.len().max(1),
        events as f64 / seconds,
        decoding.as_secs_f64() * 1e6 / events as f64,
        normalizing.as_secs_f64() * 1e6 / events as f64,
    );
}
