//! Lists: one value of compact JSON text, and for lists of objects one list per name inside.

use std::ops::Range;

use watchfloor_event::{AnomalyCode, ValueKind};

use super::scan::Scan;
use super::{Buffers, Fault};
use crate::sink::Sink;

/// Most names that are drawn out of the objects of one list.
const NAMES_MAX: usize = 64;

/// Where the elements of a list stand; `None` if it is no well-formed list that ends the
/// text or the object around it.
pub(super) fn element_ranges(scan: &mut Scan<'_>) -> Option<Vec<Range<usize>>> {
    let in_object = scan.at() > 0;
    scan.skip_byte();
    let mut found = Vec::new();
    loop {
        scan.blanks();
        match scan.peek()? {
            b']' => break,
            b',' => scan.skip_byte(),
            _ => found.push(scan.skip_value().ok()?),
        }
    }
    scan.skip_byte();
    scan.blanks();
    if in_object && scan.peek() == Some(b'}') {
        scan.skip_byte();
        scan.blanks();
    }
    scan.peek().is_none().then_some(found)
}

pub(super) fn decode(
    sink: &mut Sink<'_>,
    scan: &mut Scan<'_>,
    buffers: &mut Buffers,
    name: u32,
    depth: usize,
) -> Result<(), Fault> {
    let range = scan.skip_value()?;
    let raw = scan.slice(range);
    buffers.list.clear();
    let too_deep = compact(
        raw,
        &mut buffers.list,
        sink.limits.depth_max.saturating_sub(depth),
    );
    if too_deep {
        // Others parse the list again, with limits of their own: what is too deep for us
        // stays out of the fields.
        sink.note(AnomalyCode::NestedTooDeep, || {
            "what is nested deeper is left out of the fields".to_owned()
        });
        return Ok(());
    }
    if buffers.list.len() > sink.limits.value_bytes_max {
        let kind = ValueKind::Str;
        super::put(sink, &mut buffers.outline, name, kind, &buffers.list);
        return Ok(());
    }
    let kind = ValueKind::List;
    super::put(sink, &mut buffers.outline, name, kind, &buffers.list);
    if buffers.list.contains('{') {
        let mut names: Vec<(String, String)> = Vec::new();
        let mut path = String::new();
        gather(
            &mut Scan::new(&buffers.list),
            &mut path,
            &mut names,
            &mut buffers.unescaped,
        )?;
        for (inside, mut list) in names {
            list.push(']');
            let below = buffers.outline.learn_inside(name, &inside);
            super::put(sink, &mut buffers.outline, below, ValueKind::List, &list);
        }
    }
    Ok(())
}

/// Copies JSON without the blanks between tokens; true if it is nested too deep.
fn compact(raw: &str, into: &mut String, depth_max: usize) -> bool {
    let mut scan = Scan::new(raw);
    let mut depth = 0_usize;
    loop {
        scan.blanks();
        let start = scan.at();
        match scan.peek() {
            None => return false,
            Some(b'"') => {
                if scan.skip_string().is_err() {
                    return false;
                }
            }
            Some(b'{' | b'[') => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
                scan.skip_byte();
            }
            Some(b'}' | b']') => {
                depth = depth.saturating_sub(1);
                scan.skip_byte();
            }
            Some(b',' | b':') => scan.skip_byte(),
            Some(_) => {
                if scan.scalar().is_err() {
                    return false;
                }
            }
        }
        into.push_str(scan.slice(start..scan.at()));
    }
}

/// Draws the scalars inside the objects of a compact list out by name. Recursion is bounded
/// by the depth that [`compact`] has checked.
fn gather(
    scan: &mut Scan<'_>,
    path: &mut String,
    names: &mut Vec<(String, String)>,
    unescaped: &mut String,
) -> Result<(), Fault> {
    match scan.peek() {
        Some(b'[') => {
            scan.skip_byte();
            while scan.peek() != Some(b']') {
                if scan.peek() == Some(b',') {
                    scan.skip_byte();
                }
                gather(scan, path, names, unescaped)?;
            }
            scan.skip_byte();
        }
        Some(b'{') => {
            scan.skip_byte();
            let parent = path.len();
            while scan.peek() != Some(b'}') {
                if scan.peek() == Some(b',') {
                    scan.skip_byte();
                }
                let key = scan.string(unescaped)?;
                if parent != 0 {
                    path.push('.');
                }
                path.push_str(key.unwrap_or(unescaped));
                scan.expect(b':')?;
                gather(scan, path, names, unescaped)?;
                path.truncate(parent);
            }
            scan.skip_byte();
        }
        _ => {
            let range = scan.skip_value()?;
            if !path.is_empty() {
                add(names, path, scan.slice(range));
            }
        }
    }
    Ok(())
}

fn add(names: &mut Vec<(String, String)>, name: &str, value: &str) {
    if let Some((_, list)) = names.iter_mut().find(|(known, _)| known == name) {
        list.push(',');
        list.push_str(value);
    } else if names.len() < NAMES_MAX {
        names.push((name.to_owned(), format!("[{value}")));
    }
}
