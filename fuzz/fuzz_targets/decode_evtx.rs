//! Any bytes as the chunks of a Windows event log file.
#![no_main]

use std::io::Cursor;
use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use watchfloor_decode::framing::{FileFormat, read_records};

fuzz_target!(|data: &[u8]| {
    let mut file = b"ElfFile\0".to_vec();
    file.resize(4096, 0);
    file.extend_from_slice(data);
    let _ = read_records(
        Cursor::new(file),
        "a.evtx",
        Some(FileFormat::Evtx),
        &mut |_| ControlFlow::Continue(()),
    );
});
