//! Any bytes behind a syslog priority.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::Format;

fuzz_target!(|data: &[u8]| {
    for head in [
        "<34>",
        "<34>1 ",
        "<34>1 2024-05-01T22:14:15Z h a p m ",
        "<38>May  1 12:00:00 ",
    ] {
        support::decoded(Format::Syslog, None, &[head.as_bytes(), data].concat());
    }
});
