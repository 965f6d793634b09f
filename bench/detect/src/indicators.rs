//! Ten million indicators looked for in every event: what they cost in time and memory.
//!
//! The stream runs without and with the set, turn by turn in one process, so that whatever else
//! the machine does falls on both. Beside the seeded values stand some that the stream itself
//! has, so that findings are made as well.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use serde_json::{Value as Json, json};
use watchfloor_intel::{Indicator, IndicatorSet, Matcher, SetBuilder, read_list};

use crate::ours::Ours;
use crate::{Paths, memory_kb, thread_seconds};

const INDICATORS: u64 = 10_000_000;

/// Numbers that look like chance and are the same every time (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn word(&mut self, least: u64, most: u64) -> String {
        let len = least + self.next() % (most - least + 1);
        (0..len)
            .map(|_| char::from(b'a' + (self.next() % 26) as u8))
            .collect()
    }

    fn hex(&mut self, bytes: usize) -> String {
        (0..bytes / 4)
            .map(|_| format!("{:08x}", self.next() as u32))
            .collect()
    }

    fn domain(&mut self) -> String {
        const ENDS: [&str; 6] = ["com", "net", "org", "info", "xyz", "co.uk"];
        let end = ENDS[(self.next() % 6) as usize];
        if self.next() % 3 == 0 {
            return format!("{}.{}.{end}", self.word(2, 8), self.word(5, 16));
        }
        format!("{}.{end}", self.word(6, 20))
    }

    /// One line of a list, in the mix of public feeds.
    fn value(&mut self) -> String {
        let octets = |n: u64| {
            // None of private ranges, which the streams are full of.
            format!(
                "{}.{}.{}.{}",
                11 + (n >> 24) % 100,
                (n >> 16) % 256,
                (n >> 8) % 256,
                n % 256
            )
        };
        match self.next() % 100 {
            0..28 => octets(self.next()),
            28..29 => format!("{}/{}", octets(self.next()), 18 + self.next() % 14),
            29..31 => format!(
                "2a{:02x}:{:x}::{:x}",
                self.next() % 256,
                self.next() as u16,
                self.next() as u16
            ),
            31..56 => self.domain(),
            56..71 => {
                let (domain, path, file) = (self.domain(), self.word(4, 14), self.word(4, 24));
                format!("http://{domain}/{path}/{file}.exe")
            }
            71..86 => self.hex(32),
            86..93 => self.hex(16),
            93..98 => self.hex(20),
            _ => format!("{}@{}", self.word(4, 12), self.domain()),
        }
    }
}

/// Lists of lines, as producers give them, read into a set: the reader's work is in the time.
fn set(count: u64, per_list: u64) -> Result<(IndicatorSet, f64, f64)> {
    let mut numbers = Numbers(7);
    let mut builder = SetBuilder::new(0x5eed);
    let (mut reading, mut made) = (0.0, 0);
    let mut list = 0;
    while made < count {
        let mut text = format!(
            "# source: producer {list}\n# confidence: {}\n",
            40 + list % 60
        );
        for _ in 0..per_list.min(count - made) {
            text.push_str(&numbers.value());
            text.push('\n');
        }
        made += per_list;
        let start = thread_seconds();
        let name = format!("list-{list}");
        let mut full = None;
        read_list(&name, &mut text.as_bytes(), &mut |one: Indicator| {
            full = builder.add(&name, &one).err().or(full);
        })?;
        anyhow::ensure!(full.is_none(), "the set is full");
        reading += thread_seconds() - start;
        list += 1;
    }
    for value in ["203.0.113.7", "evil.example"] {
        builder.add("stream", &Indicator::parse(value)?)?;
    }
    let start = thread_seconds();
    let set = builder.build();
    Ok((set, reading, thread_seconds() - start))
}

/// The worst case: events whose address, name, URL and hash were never seen before. Microseconds
/// for the look-ups of one event.
fn look_up_new_values(ours: &Ours, matcher: &mut Matcher) -> f64 {
    const EVENTS: usize = 100_000;
    let mut numbers = Numbers(99);
    let lines: Vec<String> = (0..EVENTS)
        .map(|_| {
            let (address, name, hash) = (numbers.next() as u32, numbers.domain(), numbers.hex(32));
            let address = std::net::Ipv4Addr::from(address);
            let url = format!("https://{}/{}", numbers.domain(), numbers.word(4, 30));
            json!({"dst_ip": address, "QueryName": name, "url": url, "sha256": hash}).to_string()
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let batches = ours.batches(&Ours::records(&lines));
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = thread_seconds();
        let found: usize = batches
            .iter()
            .map(|batch| matcher.matches(batch).len())
            .sum();
        std::hint::black_box(found);
        best = best.min(thread_seconds() - start);
    }
    best * 1e6 / EVENTS as f64
}

pub fn measure(lines: &[&str], paths: &Paths) -> Result<Json> {
    let count = std::env::var("WATCHFLOOR_BENCH_INDICATORS").ok();
    let count = count.map_or(Ok(INDICATORS), |text| text.parse())?;
    let before = memory_kb("VmRSS:");
    let (set, read_seconds, build_seconds) = set(count, 100_000)?;
    // Freed memory goes back to the system a moment later.
    std::thread::sleep(std::time::Duration::from_millis(200));
    drop((0..10_000).map(|at| vec![1_u8; at]).collect::<Vec<_>>());
    let (peak, resident) = (memory_kb("VmHWM:"), memory_kb("VmRSS:"));
    let (indicators, bytes) = (set.len(), set.bytes());
    let ours = Ours::load(&paths.rules, &paths.content)?;
    let records = Ours::records(lines);
    let mut matcher = Matcher::new(Arc::new(set));
    let (mut without, mut with, mut look) = (f64::INFINITY, f64::INFINITY, f64::INFINITY);
    let mut ratios = Vec::new();
    let (mut rules_found, mut found) = (0, 0);
    let batches = ours.batches(&records);
    for _ in 0..paths.rounds {
        let start = thread_seconds();
        rules_found = 0;
        ours.whole(&records, |findings| rules_found += findings.len());
        let plain = thread_seconds() - start;
        let start = thread_seconds();
        found = 0;
        ours.with_indicators(&records, &mut matcher, |findings| found += findings.len());
        let both = thread_seconds() - start;
        let start = thread_seconds();
        let mut events = 0;
        for batch in &batches {
            events += matcher.matches(batch).len();
        }
        std::hint::black_box(events);
        look = look.min(thread_seconds() - start);
        (without, with) = (without.min(plain), with.min(both));
        ratios.push(both / plain);
    }
    ratios.sort_by(f64::total_cmp);
    let all_new = look_up_new_values(&ours, &mut matcher);
    let wall = Instant::now();
    drop(matcher);
    Ok(json!({
        "indicators": indicators, "set_bytes": bytes,
        "bytes_per_indicator": bytes as f64 / indicators as f64,
        "resident_mib": resident.saturating_sub(before) / 1024,
        "peak_mib": peak.saturating_sub(before) / 1024,
        "read_seconds": read_seconds, "build_seconds": build_seconds,
        "without_cpu_seconds": without, "with_cpu_seconds": with, "look_up_cpu_seconds": look,
        "look_up_us_per_event_all_values_new": all_new,
        "cost_of_fastest": with / without - 1.0,
        "cost_median": ratios.get(ratios.len() / 2).map(|ratio| ratio - 1.0),
        "rules_found": rules_found, "found": found,
        "drop_seconds": wall.elapsed().as_secs_f64(),
    }))
}
