//! Records of a set, by its template.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::{SignedDuration, Timestamp};

use super::elements::{self, Kind};
use super::template::{FieldSpec, Template, VARIABLE};
use super::{Out, read_u16};

/// Elements of the opposite direction of a flow.
const REVERSE: u32 = 29_305;
/// Scopes of version 9's options.
const SCOPE: u32 = u32::MAX;

/// What a packet says of its sets.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) exporter: IpAddr,
    pub(super) version: u16,
    pub(super) uptime_ms: Option<u32>,
    pub(super) export_s: u32,
    pub(super) sequence: u32,
    pub(super) domain: u32,
}

impl Header {
    /// Writes where a flow comes from, as member `flow`.
    pub(super) fn write(&self, out: &mut Out, template: u16, is_options: bool) {
        out.name("flow");
        out.open();
        out.member("exporter", &self.exporter.to_string());
        for (name, value) in [
            ("version", u32::from(self.version)),
            ("domain", self.domain),
            ("sequence", self.sequence),
            ("template", u32::from(template)),
        ] {
            out.name(name);
            out.raw(&value.to_string());
        }
        if let Ok(time) = Timestamp::from_second(i64::from(self.export_s)) {
            out.member("exported", &time.to_string());
        }
        if is_options {
            out.name("options");
            out.raw("true");
        }
        out.close();
    }

    /// The instant that an exporter means by milliseconds since it started.
    pub(super) fn since_start(&self, ms: u32, started_ms: Option<u64>) -> Option<Timestamp> {
        if let Some(started) = started_ms {
            let instant = started.checked_add(u64::from(ms))?;
            return Timestamp::from_millisecond(i64::try_from(instant).ok()?).ok();
        }
        // The counter may have begun anew between the flow and the packet.
        let ago = self.uptime_ms?.wrapping_sub(ms);
        let export = Timestamp::from_second(i64::from(self.export_s)).ok()?;
        // A flow that ends after the packet was sent has a small negative age.
        let ago = if ago > u32::MAX / 2 {
            -i64::from(ms.wrapping_sub(self.uptime_ms?))
        } else {
            i64::from(ago)
        };
        export.checked_sub(SignedDuration::from_millis(ago)).ok()
    }
}

/// Reads the records of a set.
pub(super) fn read(
    header: &Header,
    id: u16,
    template: &Template,
    mut rest: &[u8],
    flows: &mut Vec<Vec<u8>>,
) -> Result<(), String> {
    // What is shorter than a record is padding.
    while rest.len() >= template.bytes_min {
        let mut out = Out::default();
        out.open();
        header.write(&mut out, id, template.is_options);
        let mut times = Times::default();
        for field in &template.fields {
            let value = value_of(field, &mut rest)
                .ok_or_else(|| format!("a record of template {id} ends inside a field"))?;
            times.note(field, value);
            write(&mut out, field, value);
        }
        times.write(header, &mut out);
        out.close();
        flows.push(out.bytes);
    }
    Ok(())
}

fn value_of<'a>(field: &FieldSpec, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = if field.length == VARIABLE {
        let (first, after) = rest.split_first()?;
        *rest = after;
        if *first == 255 {
            let length = read_u16(rest, 0)?;
            *rest = rest.get(2..)?;
            usize::from(length)
        } else {
            usize::from(*first)
        }
    } else {
        usize::from(field.length)
    };
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

/// Begin and end of a flow, in whichever form its exporter gives them.
#[derive(Default)]
struct Times {
    first_up: Option<u32>,
    last_up: Option<u32>,
    started_ms: Option<u64>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl Times {
    fn note(&mut self, field: &FieldSpec, value: &[u8]) {
        if field.enterprise != 0 {
            return;
        }
        let instant = || elements::instant(elements::kind(field.id)?, value);
        match field.id {
            22 => self.first_up = number(value).and_then(|value| u32::try_from(value).ok()),
            21 => self.last_up = number(value).and_then(|value| u32::try_from(value).ok()),
            160 => self.started_ms = number(value),
            150 | 152 | 154 | 156 => self.first = instant(),
            151 | 153 | 155 | 157 => self.last = instant(),
            _ => {}
        }
    }

    fn write(&self, header: &Header, out: &mut Out) {
        let up = |ms: Option<u32>| header.since_start(ms?, self.started_ms);
        let first = self.first.or_else(|| up(self.first_up));
        let last = self.last.or_else(|| up(self.last_up));
        for (name, time) in [("flowStart", first), ("flowEnd", last)] {
            if let Some(time) = time {
                out.member(name, &time.to_string());
            }
        }
    }
}

/// A whole number of up to eight bytes.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 8 {
        return None;
    }
    let mut number = 0_u64;
    for byte in value {
        number = number << 8 | u64::from(*byte);
    }
    Some(number)
}

fn write(out: &mut Out, field: &FieldSpec, value: &[u8]) {
    let (name, kind) = match field.enterprise {
        0 => match elements::element(field.id) {
            Some((name, kind)) => (name.to_owned(), kind),
            None => (format!("element{}", field.id), Kind::Bytes),
        },
        REVERSE => match elements::element(field.id) {
            Some((name, kind)) => (reversed(name), kind),
            None => (format!("reverseElement{}", field.id), Kind::Bytes),
        },
        SCOPE => (format!("scope{}", field.id), Kind::Number),
        other => (
            format!("enterprise{other}.element{}", field.id),
            Kind::Bytes,
        ),
    };
    out.name(&name);
    match kind {
        Kind::Number => match number(value) {
            Some(number) => out.raw(&number.to_string()),
            None => hex(out, value),
        },
        Kind::Address => match (<[u8; 4]>::try_from(value), <[u8; 16]>::try_from(value)) {
            (Ok(four), _) => out.text(&Ipv4Addr::from(four).to_string()),
            (_, Ok(six)) => out.text(&Ipv6Addr::from(six).to_string()),
            _ => hex(out, value),
        },
        Kind::Mac if value.len() == 6 => {
            let parts: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
            out.text(&parts.join(":"));
        }
        Kind::Text => {
            let text = String::from_utf8_lossy(value);
            out.text(text.trim_end_matches('\0'));
        }
        Kind::Seconds | Kind::Millis | Kind::Ntp => match elements::instant(kind, value) {
            Some(time) => out.text(&time.to_string()),
            None => hex(out, value),
        },
        Kind::Float => match (<[u8; 4]>::try_from(value), <[u8; 8]>::try_from(value)) {
            (Ok(four), _) if f32::from_be_bytes(four).is_finite() => {
                out.raw(&f32::from_be_bytes(four).to_string());
            }
            (_, Ok(eight)) if f64::from_be_bytes(eight).is_finite() => {
                out.raw(&f64::from_be_bytes(eight).to_string());
            }
            _ => hex(out, value),
        },
        Kind::Mac | Kind::Bytes => hex(out, value),
    }
}

fn reversed(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().fold("reverse".to_owned(), |mut text, c| {
        text.push(c);
        text
    }) + chars.as_str()
}

fn hex(out: &mut Out, value: &[u8]) {
    let text: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    out.text(&text);
}
