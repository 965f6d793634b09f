//! Measures decoding and normalising on one core: `throughput FILE [ROUNDS]`, or, without a
//! file, a table of all packs over the lines of their cases. A number of each line changes from
//! one repetition to the next, so that texts differ as they do in real logs.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, MAX_BATCH_EVENTS, RawRecord};
use watchfloor_normalize::{Case, PackSet};

/// Events that each pack is measured with.
const EVENTS_PER_PACK: usize = 10 * MAX_BATCH_EVENTS;

fn main() {
    let mut arguments = std::env::args().skip(1);
    match arguments.next() {
        Some(word) if word == "--packs" => packs(&arguments.collect::<Vec<_>>()),
        Some(path) => file(&path, arguments),
        None => packs(&[]),
    }
}

fn load() -> PackSet {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/mappings");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .expect("packs")
        .flatten()
        .map(|entry| entry.path().join("pack.yaml"))
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    let texts = paths.iter().map(|path| {
        let text = std::fs::read_to_string(path).expect("text");
        (path.display().to_string(), text)
    });
    let (set, errors) = PackSet::load(texts);
    assert!(errors.is_empty(), "{errors:?}");
    set
}

/// The table of all packs, or of those that are named.
fn packs(names: &[String]) {
    let set = load();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../content/mappings");
    let mut products: Vec<String> = set
        .packs()
        .iter()
        .map(|pack| pack.product.clone())
        .collect();
    products.sort();
    println!("pack                 lines  bytes   events/s  decode us  normalize us  form");
    for product in products {
        if !names.is_empty() && !names.contains(&product) {
            continue;
        }
        let mut records = Vec::new();
        let Ok(cases) = std::fs::read_dir(format!("{folder}/{product}/cases")) else {
            continue;
        };
        for file in cases.flatten() {
            let text = std::fs::read_to_string(file.path()).expect("readable");
            let lines = text.lines().filter(|line| !line.is_empty());
            records.extend(lines.map(|line| Case::parse(line).expect("a case").record().clone()));
        }
        measure(&set, &product, &records);
    }
}

/// Time that this thread has spent on a core: on a machine with other work, the clock on the
/// wall says little. Where the kernel does not tell, that clock is used.
fn spent(started: Instant) -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .map_or_else(|| started.elapsed(), Duration::from_nanos)
}

fn measure(set: &PackSet, product: &str, records: &[RawRecord]) {
    let json = records
        .iter()
        .filter(|record| record.bytes.first() == Some(&b'{'))
        .count();
    let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let (mut decoding, mut normalizing) = (Duration::ZERO, Duration::ZERO);
    let mut batch = EventBatch::new();
    let started = Instant::now();
    let mut count = 0;
    while count < EVENTS_PER_PACK {
        let many: Vec<RawRecord> = (count..count + MAX_BATCH_EVENTS)
            .map(|number| varied(&records[number % records.len()], number))
            .collect();
        batch.clear();
        let start = spent(started);
        for record in &many {
            decoder.decode(&mut batch, record);
        }
        let middle = spent(started);
        set.normalize(&mut batch);
        normalizing += spent(started).saturating_sub(middle);
        decoding += middle.saturating_sub(start);
        count += many.len();
    }
    let per_event = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{product:<20} {:>5} {:>6} {:>10.0} {:>10.2} {:>13.2}  {}",
        records.len(),
        bytes / records.len().max(1),
        1e6 / per_event(decoding + normalizing),
        per_event(decoding),
        per_event(normalizing),
        if json * 2 > records.len() {
            "json"
        } else {
            "text"
        },
    );
}

/// The record with the last digits of its last long number (that is no year) changed.
fn varied(record: &RawRecord, number: usize) -> RawRecord {
    let mut bytes = record.bytes.to_vec();
    let mut at = bytes.len();
    while at > 0 {
        let end = at;
        while at > 0 && bytes[at - 1].is_ascii_digit() {
            at -= 1;
        }
        let length = end - at;
        if (4..=7).contains(&length) && &bytes[at..end] != b"2026" {
            let digits = format!("{:03}", number % 1000);
            bytes[end - 3..end].copy_from_slice(digits.as_bytes());
            break;
        }
        at = at.saturating_sub(1);
    }
    RawRecord {
        bytes: Bytes::from(bytes),
        ..record.clone()
    }
}

fn file(path: &str, mut arguments: impl Iterator<Item = String>) {
    let rounds: u32 = arguments
        .next()
        .map_or(5, |text| text.parse().expect("a number"));
    let mut records = Vec::new();
    let file = std::fs::File::open(path).expect("readable");
    framing::read_records(file, path, None, &mut |framed| {
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
    let set = load();
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
