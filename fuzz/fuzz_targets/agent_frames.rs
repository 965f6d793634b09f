//! Frames of agents: heads, messages and tokens, from any bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use watchfloor_link::{EnrolmentToken, Frame, HEAD_BYTES, Head, Policy, ToAgent, ToServer};

fuzz_target!(|data: &[u8]| {
    if let Some(head) = data.first_chunk::<HEAD_BYTES>()
        && let Ok(head) = Head::parse(*head)
    {
        let rest = &data[HEAD_BYTES..];
        let rest = rest[..head.rest().min(rest.len())].to_vec();
        if let Ok(frame) = Frame::<ToServer>::decode(head, rest.clone()) {
            assert!(frame.encode().is_ok());
        }
        let _ = Frame::<ToAgent>::decode(head, rest);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        if let Ok(token) = text.parse::<EnrolmentToken>() {
            assert_eq!(token.to_string().parse(), Ok(token));
        }
        let _ = serde_json::from_str::<Policy>(text);
    }
});
