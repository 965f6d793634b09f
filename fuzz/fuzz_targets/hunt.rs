//! Any text as a query, of the search bar and with verbs: read, or refused at a place within it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfloor_query::{parse, pipe};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = pipe::is_pipe(&text);
    let refused = [parse(&text).err(), pipe::parse(&text).err()];
    for error in refused.into_iter().flatten() {
        assert!(error.start <= error.end && error.end <= text.len(), "{error:?}");
        assert!(text.is_char_boundary(error.start) && text.is_char_boundary(error.end));
    }
});
