//! NetFlow 5: fixed records.

use std::net::{IpAddr, Ipv4Addr};

use super::record::{Header, number};
use super::{Out, read_u16, read_u32};

const HEADER_BYTES: usize = 24;
const RECORD_BYTES: usize = 48;

pub(super) fn read(exporter: IpAddr, bytes: &[u8], flows: &mut Vec<Vec<u8>>) -> Result<(), String> {
    let short = || "the packet is shorter than its header".to_owned();
    let count = usize::from(read_u16(bytes, 2).ok_or_else(short)?);
    let engine = read_u16(bytes, 20).ok_or_else(short)?;
    let sampling = read_u16(bytes, 22).ok_or_else(short)?;
    let header = Header {
        exporter,
        version: 5,
        uptime_ms: read_u32(bytes, 4),
        export_s: read_u32(bytes, 8).ok_or_else(short)?,
        sequence: read_u32(bytes, 16).ok_or_else(short)?,
        domain: u32::from(engine),
    };
    let records = bytes.get(HEADER_BYTES..).unwrap_or(&[]);
    for record in records.chunks_exact(RECORD_BYTES).take(count) {
        flows.push(flow(&header, record, sampling));
    }
    let found = records.len() / RECORD_BYTES;
    if found < count {
        return Err(format!("the packet says {count} flows and has {found}"));
    }
    Ok(())
}

/// Numbers of a record: name as IPFIX has it, place, bytes.
const NUMBERS: [(&str, usize, usize); 14] = [
    ("ingressInterface", 12, 2),
    ("egressInterface", 14, 2),
    ("packetDeltaCount", 16, 4),
    ("octetDeltaCount", 20, 4),
    ("sourceTransportPort", 32, 2),
    ("destinationTransportPort", 34, 2),
    ("tcpControlBits", 37, 1),
    ("protocolIdentifier", 38, 1),
    ("ipClassOfService", 39, 1),
    ("bgpSourceAsNumber", 40, 2),
    ("bgpDestinationAsNumber", 42, 2),
    ("sourceIPv4PrefixLength", 44, 1),
    ("destinationIPv4PrefixLength", 45, 1),
    ("flowEndSysUpTime", 28, 4),
];

fn flow(header: &Header, record: &[u8], sampling: u16) -> Vec<u8> {
    let mut out = Out::default();
    out.open();
    header.write(&mut out, 0, false);
    for (name, at) in [
        ("sourceIPv4Address", 0),
        ("destinationIPv4Address", 4),
        ("ipNextHopIPv4Address", 8),
    ] {
        let address = Ipv4Addr::from(read_u32(record, at).unwrap_or(0));
        out.member(name, &address.to_string());
    }
    for (name, at, bytes) in NUMBERS {
        if let Some(value) = record.get(at..at + bytes).and_then(number) {
            out.name(name);
            out.raw(&value.to_string());
        }
    }
    // The upper two bits say the mode, the rest the interval.
    if sampling & 0x3fff > 1 {
        out.name("samplingInterval");
        out.raw(&(sampling & 0x3fff).to_string());
    }
    for (name, at) in [("flowStart", 24), ("flowEnd", 28)] {
        let time = read_u32(record, at).and_then(|ms| header.since_start(ms, None));
        if let Some(time) = time {
            out.member(name, &time.to_string());
        }
    }
    out.close();
    out.bytes
}
