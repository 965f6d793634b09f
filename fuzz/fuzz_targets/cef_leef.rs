//! Any bytes behind the headers of CEF and LEEF, bare and in syslog.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::Format;

fuzz_target!(|data: &[u8]| {
    for head in [
        "CEF:0|",
        "CEF:0|V|P|1|2|n|3|",
        "LEEF:1.0|V|P|1|2|",
        "LEEF:2.0|V|P|1|2|^|",
        "<34>May  1 12:00:00 h CEF:0|V|P|1|2|n|3|",
    ] {
        support::decoded(Format::Auto, None, &[head.as_bytes(), data].concat());
    }
});
