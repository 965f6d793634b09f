//! Templates: which fields the records of a set have, and how long each is.

use super::{FIELDS_MAX, read_u16, read_u32};

/// The length that says that a field says its own.
pub(super) const VARIABLE: u16 = 0xffff;

/// One field of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldSpec {
    /// Number of the element.
    pub(super) id: u16,
    /// Whose element it is; 0 for IANA's.
    pub(super) enterprise: u32,
    /// Bytes, or [`VARIABLE`].
    pub(super) length: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) fields: Vec<FieldSpec>,
    /// Whether its records tell of the exporter instead of flows.
    pub(super) is_options: bool,
    /// Fewest bytes of a record.
    pub(super) bytes_min: usize,
}

/// A template with its number; `None` where it is withdrawn.
type Read = (u16, Option<Template>);

/// Reads the templates of a set.
pub(super) fn read(mut rest: &[u8], version: u16, is_options: bool) -> Result<Vec<Read>, String> {
    let mut found = Vec::new();
    // Up to three bytes may pad the set.
    while rest.len() >= 4 {
        let id = read_u16(rest, 0).unwrap_or(0);
        if id == 0 && rest.iter().all(|byte| *byte == 0) {
            break;
        }
        if id < 256 {
            return Err(format!(
                "a template has the number {id}, which is below 256"
            ));
        }
        let second = usize::from(read_u16(rest, 2).unwrap_or(0));
        let third = usize::from(read_u16(rest, 4).unwrap_or(0));
        let (count, head) = match (version, is_options) {
            (_, false) => (second, 4),
            // Lengths in bytes of scope and fields.
            (9, true) => ((second + third) / 4, 6),
            // Count of all fields, of which some are scope.
            (_, true) => (second, if second == 0 { 4 } else { 6 }),
        };
        if count > FIELDS_MAX {
            return Err(format!(
                "a template has {count} fields, more than {FIELDS_MAX}"
            ));
        }
        rest = rest.get(head..).unwrap_or(&[]);
        if count == 0 {
            found.push((id, None));
            continue;
        }
        let mut fields = Vec::with_capacity(count);
        for at in 0..count {
            let (field, used) = field(rest, version)
                .ok_or_else(|| format!("template {id} ends inside its field {at}"))?;
            // In version 9, scopes have numbers of their own; they do not name elements.
            let is_scope = is_options && version == 9 && at < second / 4;
            fields.push(if is_scope {
                FieldSpec {
                    enterprise: u32::MAX,
                    ..field
                }
            } else {
                field
            });
            rest = rest.get(used..).unwrap_or(&[]);
        }
        let bytes_min = fields
            .iter()
            .map(|field| match field.length {
                VARIABLE => 1,
                length => usize::from(length),
            })
            .sum();
        if bytes_min == 0 {
            return Err(format!("the records of template {id} have no bytes"));
        }
        let template = Template {
            fields,
            is_options,
            bytes_min,
        };
        found.push((id, Some(template)));
    }
    Ok(found)
}

fn field(bytes: &[u8], version: u16) -> Option<(FieldSpec, usize)> {
    let id = read_u16(bytes, 0)?;
    let length = read_u16(bytes, 2)?;
    if version == 10 && id & 0x8000 != 0 {
        let enterprise = read_u32(bytes, 4)?;
        let id = id & 0x7fff;
        return Some((
            FieldSpec {
                id,
                enterprise,
                length,
            },
            8,
        ));
    }
    let field = FieldSpec {
        id,
        enterprise: 0,
        length,
    };
    Some((field, 4))
}
