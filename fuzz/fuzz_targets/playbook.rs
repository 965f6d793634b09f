//! Any bytes as a playbook, and as a condition: read, checked, rehearsed and begun.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use watchfloor_playbook::{Condition, Context, Machine, check, read, rehearse};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Condition::parse(text);
    }
    let (Some(playbook), _) = read(data) else {
        return;
    };
    let _ = check(&playbook);
    let inputs = BTreeMap::new();
    let _ = rehearse(&playbook, &inputs, &[]);
    if let Ok(mut machine) = Machine::new(&playbook, &inputs) {
        let context = Context { playbook: &playbook, now_ms: 0, observed: &[] };
        let _ = machine.begin(context);
    }
});
