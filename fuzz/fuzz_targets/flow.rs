//! Packets of NetFlow and IPFIX, one after another to one reader, so that templates of one meet
//! sets of the next.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfloor_decode::flow::Flows;

fuzz_target!(|data: &[u8]| {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let mut flows = Flows::default();
    // Cut where the fuzzer says: a length before each packet.
    let mut rest = data;
    while let Some((length, after)) = rest.split_first() {
        let (packet, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let exporter = std::net::IpAddr::from([192, 0, 2, 1]);
        for flow in flows.packet(exporter, packet, now).flows {
            assert!(flow.starts_with(b"{") && flow.ends_with(b"}"));
        }
    }
    flows.give_up(now, true);
});
