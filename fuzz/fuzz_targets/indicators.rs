//! Any bytes as a list of indicators in each form; nothing that is taken is lost on the way
//! through the set and an export.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfloor_intel::{Indicator, SetBuilder, csv_header, csv_line, read_list};

fuzz_target!(|data: &[u8]| {
    for name in ["list.txt", "list.csv", "list.json", "list.ndjson"] {
        let mut found: Vec<Indicator> = Vec::new();
        let mut reader = data;
        let report = read_list(name, &mut reader, &mut |one| found.push(one)).expect("memory does not fail");
        assert_eq!(report.taken.total(), found.len() as u64);
        assert!(report.refused.iter().all(|line| line.line > 0 && !line.reason.is_empty()));
        let mut builder = SetBuilder::new(1);
        let mut csv = format!("{}\n", csv_header());
        for one in &found {
            builder.add("l", one).expect("there is room");
            csv.push_str(&csv_line(one));
            csv.push('\n');
        }
        let set = builder.build();
        assert_eq!(set.len() + set.doubles(), found.len());
        let back = read_list("back.csv", &mut csv.as_bytes(), &mut |_| {}).expect("memory does not fail");
        assert_eq!(back.taken.total() + back.refused_count, found.len() as u64);
    }
});
