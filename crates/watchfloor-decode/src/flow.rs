//! NetFlow 5 and 9 and IPFIX: packets to one JSON record per flow.
//!
//! A packet of version 9 or IPFIX is understood by templates that came in packets before it, so
//! it means nothing by itself. Flows are therefore taken apart where packets arrive, and what is
//! stored of each is complete (`docs/adr/0014`).
//!
//! # Source
//! Cisco, "NetFlow Export Datagram Format" (version 5); RFC 3954 (version 9); RFC 7011 and
//! RFC 5103 (IPFIX); IANA, "IP Flow Information Export (IPFIX) Entities".

mod elements;
mod record;
mod template;
mod v5;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use jiff::Timestamp;

use crate::envelope::out::Out;
use record::Header;
use template::Template;

/// Templates of all exporters.
const TEMPLATES_MAX: usize = 65_536;
/// Templates of one exporter.
const TEMPLATES_PER_EXPORTER_MAX: usize = 4_096;
/// Fields of a template.
const FIELDS_MAX: usize = 512;
/// Sets that wait for their template.
const WAITING_MAX: usize = 4_096;
/// Bytes of sets that wait for their template.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Seconds that a set waits for its template; exporters send them every minute to half an hour.
const WAIT_S: i64 = 30 * 60;

/// Which template: exporter, observation domain, number.
type TemplateKey = (IpAddr, u32, u16);

/// What a packet gave.
#[derive(Debug, Default)]
pub struct Packet {
    /// One JSON record per flow.
    pub flows: Vec<Vec<u8>>,
    /// Sets that now wait for their template.
    pub waiting: u32,
    /// What was wrong with the packet, if anything was; flows before that place are given.
    pub fault: Option<String>,
}

/// A set that waits for its template.
struct Waiting {
    key: TemplateKey,
    header: Header,
    since: Timestamp,
    bytes: Vec<u8>,
}

/// Takes packets of many exporters apart.
#[derive(Default)]
pub struct Flows {
    templates: HashMap<TemplateKey, Template>,
    by_exporter: HashMap<IpAddr, usize>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flows")
            .field("templates", &self.templates.len())
            .field("waiting", &self.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Flows {
    /// Takes one packet.
    pub fn packet(&mut self, exporter: IpAddr, bytes: &[u8], now: Timestamp) -> Packet {
        let mut packet = Packet::default();
        let fault = match read_u16(bytes, 0) {
            Some(5) => v5::read(exporter, bytes, &mut packet.flows),
            Some(9) => self.version_9(exporter, bytes, now, &mut packet),
            Some(10) => self.ipfix(exporter, bytes, now, &mut packet),
            Some(other) => Err(format!(
                "version {other} is not known; send version 5, 9 or IPFIX"
            )),
            None => Err("the packet is empty".to_owned()),
        };
        packet.fault = fault.err();
        packet
    }

    fn version_9(
        &mut self,
        exporter: IpAddr,
        bytes: &[u8],
        now: Timestamp,
        packet: &mut Packet,
    ) -> Result<(), String> {
        let short = || "the packet is shorter than its header".to_owned();
        let header = Header {
            exporter,
            version: 9,
            uptime_ms: Some(read_u32(bytes, 4).ok_or_else(short)?),
            export_s: read_u32(bytes, 8).ok_or_else(short)?,
            sequence: read_u32(bytes, 12).ok_or_else(short)?,
            domain: read_u32(bytes, 16).ok_or_else(short)?,
        };
        self.sets(&header, bytes.get(20..).unwrap_or(&[]), now, packet)
    }

    fn ipfix(
        &mut self,
        exporter: IpAddr,
        bytes: &[u8],
        now: Timestamp,
        packet: &mut Packet,
    ) -> Result<(), String> {
        let short = || "the packet is shorter than its header".to_owned();
        let length = usize::from(read_u16(bytes, 2).ok_or_else(short)?);
        let header = Header {
            exporter,
            version: 10,
            uptime_ms: None,
            export_s: read_u32(bytes, 4).ok_or_else(short)?,
            sequence: read_u32(bytes, 8).ok_or_else(short)?,
            domain: read_u32(bytes, 12).ok_or_else(short)?,
        };
        let body = bytes.get(16..length.min(bytes.len())).unwrap_or(&[]);
        self.sets(&header, body, now, packet)?;
        if length > bytes.len() {
            return Err(format!(
                "the packet says {length} bytes and has {}",
                bytes.len()
            ));
        }
        Ok(())
    }

    fn sets(
        &mut self,
        header: &Header,
        mut rest: &[u8],
        now: Timestamp,
        packet: &mut Packet,
    ) -> Result<(), String> {
        // Exporters may pad a packet.
        while rest.len() >= 4 {
            let id = read_u16(rest, 0).unwrap_or(0);
            let length = usize::from(read_u16(rest, 2).unwrap_or(0));
            if length < 4 {
                return if rest.iter().all(|byte| *byte == 0) {
                    Ok(())
                } else {
                    Err(format!(
                        "a set of {length} bytes is shorter than its header"
                    ))
                };
            }
            let body = rest.get(4..length);
            let body =
                body.ok_or_else(|| format!("a set of {length} bytes ends beyond the packet"))?;
            rest = rest.get(length..).unwrap_or(&[]);
            match (header.version, id) {
                (9, 0) | (10, 2) => self.learn(header, body, false, packet)?,
                (9, 1) | (10, 3) => self.learn(header, body, true, packet)?,
                (_, 256..) => self.data(header, id, body, now, packet)?,
                // Numbers below are reserved.
                _ => {}
            }
        }
        Ok(())
    }

    fn learn(
        &mut self,
        header: &Header,
        body: &[u8],
        is_options: bool,
        packet: &mut Packet,
    ) -> Result<(), String> {
        for (id, template) in template::read(body, header.version, is_options)? {
            let key = (header.exporter, header.domain, id);
            let Some(template) = template else {
                // Withdrawn.
                if self.templates.remove(&key).is_some()
                    && let Some(count) = self.by_exporter.get_mut(&header.exporter)
                {
                    *count = count.saturating_sub(1);
                }
                continue;
            };
            if !self.templates.contains_key(&key) {
                let count = self.by_exporter.entry(header.exporter).or_default();
                if *count >= TEMPLATES_PER_EXPORTER_MAX || self.templates.len() >= TEMPLATES_MAX {
                    return Err(format!(
                        "there are more than {TEMPLATES_PER_EXPORTER_MAX} templates of this exporter, or {TEMPLATES_MAX} of all"
                    ));
                }
                *count += 1;
            }
            self.templates.insert(key, template);
            self.catch_up(key, packet);
        }
        Ok(())
    }

    /// Reads the sets that waited for a template.
    fn catch_up(&mut self, key: TemplateKey, packet: &mut Packet) {
        if self.waiting.is_empty() {
            return;
        }
        let (now_known, rest): (VecDeque<_>, _) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|one| one.key == key);
        self.waiting = rest;
        for one in now_known {
            self.waiting_bytes -= one.bytes.len();
            if let Some(template) = self.templates.get(&key) {
                // What is wrong with it was sent in another packet.
                let _ = record::read(&one.header, key.2, template, &one.bytes, &mut packet.flows);
            }
        }
    }

    fn data(
        &mut self,
        header: &Header,
        id: u16,
        body: &[u8],
        now: Timestamp,
        packet: &mut Packet,
    ) -> Result<(), String> {
        let key = (header.exporter, header.domain, id);
        if let Some(template) = self.templates.get(&key) {
            return record::read(header, id, template, body, &mut packet.flows);
        }
        packet.waiting += 1;
        if self.waiting.len() >= WAITING_MAX || self.waiting_bytes + body.len() > WAITING_BYTES_MAX
        {
            packet.flows.push(unread(
                header,
                id,
                body,
                "too many sets wait for their template",
            ));
            return Ok(());
        }
        self.waiting_bytes += body.len();
        self.waiting.push_back(Waiting {
            key,
            header: header.clone(),
            since: now,
            bytes: body.to_vec(),
        });
        Ok(())
    }

    /// Gives up waiting for templates that did not come in time: each set becomes one record
    /// that holds its bytes. With `all`, every set is given up.
    pub fn give_up(&mut self, now: Timestamp, all: bool) -> Vec<(IpAddr, Vec<u8>)> {
        let mut given_up = Vec::new();
        while let Some(oldest) = self.waiting.front() {
            let age = now.duration_since(oldest.since).as_secs();
            if !all && age < WAIT_S {
                break;
            }
            if let Some(one) = self.waiting.pop_front() {
                self.waiting_bytes -= one.bytes.len();
                let reason = "its template did not come";
                given_up.push((
                    one.key.0,
                    unread(&one.header, one.key.2, &one.bytes, reason),
                ));
            }
        }
        given_up
    }
}

/// The record of a set that cannot be read: all that is known, and its bytes.
fn unread(header: &Header, id: u16, bytes: &[u8], reason: &str) -> Vec<u8> {
    let mut out = Out::default();
    out.open();
    header.write(&mut out, id, false);
    out.member("unread", reason);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    out.member("set", &hex);
    out.close();
    out.bytes
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    let two = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes(two.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

#[cfg(test)]
mod tests;
