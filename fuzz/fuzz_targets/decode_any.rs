//! Any bytes as any format.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::Format;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let format = Format::ALL[usize::from(*first) % Format::ALL.len()];
    let context =
        "#separator \\x09\n#path\tx\n#fields\tts\tuid\tn\n#types\ttime\tset[string]\tcount\n";
    support::decoded(format, Some(context), rest);
    support::decoded(format, None, rest);
});
