//! Any text as a table of assets or identities, a directory's export or a lease file: read, or
//! refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfloor_enrich::{GeoBase, Leases, Table, TableKind, read_leases};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for kind in [TableKind::Assets, TableKind::Identities] {
        if let Ok(table) = Table::read("fuzz", kind, &text) {
            assert!(table.len() <= data.len());
        }
    }
    let mut leases = Leases::default();
    let _ = read_leases("fuzz", &text, &mut leases);
    for pair in leases.all().windows(2) {
        let same = pair[0].address == pair[1].address;
        assert!(!same || pair[0].to_us.is_some_and(|end| end <= pair[1].from_us));
    }
    let _ = GeoBase::read("fuzz", data.to_vec());
});
