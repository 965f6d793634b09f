//! Any bytes as lines of tables, and any bytes as the names above them.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::Format;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for separator in [',', ' ', '\t', ';', '"'] {
        watchfloor_decode::values(&text, separator).for_each(drop);
    }
    support::decoded(Format::Text, Some("#Fields: date time c-ip x\n"), data);
    support::decoded(Format::Text, Some("#columns\t,time,a,b\n"), data);
    if let Some((names, line)) = text.split_once('\n') {
        let context = format!("#columns\t{names}\n");
        support::decoded(Format::Text, Some(&context), line.as_bytes());
    }
});
