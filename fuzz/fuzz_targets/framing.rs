//! Any bytes as a file of unknown form; each record is decoded.
#![no_main]

mod support;

use std::io::Cursor;
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use watchfloor_decode::framing::read_records;

fuzz_target!(|data: &[u8]| {
    let _ = read_records(Cursor::new(data), "conn.log", None, &mut |record| {
        support::decoded(record.format, record.context.as_deref(), record.bytes);
        ControlFlow::Continue(())
    });
});
