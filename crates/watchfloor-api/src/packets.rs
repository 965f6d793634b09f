//! The packet of an alert as a capture file that every analyzer opens.
//!
//! # Source
//! draft-ietf-opsawg-pcap, "PCAP Capture File Format"; Suricata EVE, `packet`, `packet_info`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::ports::Event;

/// Microseconds, little endian.
const MAGIC: u32 = 0xa1b2_c3d4;
/// The link type of Ethernet.
const ETHERNET: u32 = 1;
/// Longest packet.
const SNAP_LENGTH: u32 = 262_144;

/// The capture file of an event that carries its packet.
pub(crate) fn of_event(event: &Event) -> Option<Vec<u8>> {
    let packet = event.fields.get("unmapped.packet")?;
    let link_type = event.fields.get("unmapped.packet_info.linktype");
    let link_type = link_type
        .and_then(|text| text.parse().ok())
        .unwrap_or(ETHERNET);
    pcap_of(packet, link_type, event.time)
}

/// A capture file with one packet, from its text in base64 and its link type (1 is Ethernet).
/// `None` if the text is no base64.
fn pcap_of(packet: &str, link_type: u32, time: Timestamp) -> Option<Vec<u8>> {
    let packet = STANDARD.decode(packet).ok()?;
    let length = u32::try_from(packet.len())
        .ok()
        .filter(|length| *length <= SNAP_LENGTH)?;
    let mut file = Vec::with_capacity(40 + packet.len());
    file.extend(MAGIC.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    file.extend([0; 8]);
    file.extend(SNAP_LENGTH.to_le_bytes());
    file.extend(link_type.to_le_bytes());
    let seconds = u32::try_from(time.as_second()).unwrap_or(0);
    let micros = u32::try_from(time.subsec_microsecond()).unwrap_or(0);
    file.extend(seconds.to_le_bytes());
    file.extend(micros.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(length.to_le_bytes());
    file.extend(packet);
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_becomes_a_capture_file() {
        let time = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
        let file = pcap_of("AAEC", 1, time).unwrap();
        assert_eq!(file.len(), 24 + 16 + 3);
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        assert_eq!(file[40..], [0, 1, 2]);
        assert!(pcap_of("not base64!", 1, time).is_none());
    }
}
