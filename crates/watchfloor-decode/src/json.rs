//! JSON objects to flat fields in one pass, without a tree.
//!
//! Nested names are joined by dots, lists become one value of compact JSON text, a list of
//! objects gives also one list per name inside, numbers keep their text, and of duplicate
//! names the last wins. A hand-written scanner, because the fields go straight into columns:
//! a tree per event is what makes others slow.

mod hit;
mod list;
mod outline;
mod scan;

use std::ops::Range;

use watchfloor_event::{AnomalyCode, ValueKind};

use crate::sink::Sink;
pub(crate) use hit::hit;
use outline::{Outline, ROOT, Route};
use scan::{Scan, Token};

/// Buffers that live longer than a record.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    outline: Outline,
    unescaped: String,
    list: String,
}

/// Why a text is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {reason}")]
pub(crate) struct Fault {
    at: usize,
    reason: &'static str,
}

/// The parts of a text that are an event each: the elements of a list, those of the only
/// list `Records` or `records` in an object, the hits of a search, or the whole.
pub(crate) fn parts(text: &str) -> Vec<Range<usize>> {
    if let Some(hits) = hit::hits(text) {
        return hits;
    }
    let whole: Vec<Range<usize>> = std::iter::once(0..text.len()).collect();
    let mut scan = Scan::new(text);
    scan.blanks();
    if scan.peek() == Some(b'{') {
        scan.skip_byte();
        scan.blanks();
        let rest = text.get(scan.at()..).unwrap_or("");
        if !rest.starts_with("\"Records\"") && !rest.starts_with("\"records\"") {
            return whole;
        }
        if scan.skip_string().is_err() {
            return whole;
        }
        scan.blanks();
        if scan.expect(b':').is_err() {
            return whole;
        }
        scan.blanks();
    }
    if scan.peek() != Some(b'[') {
        return whole;
    }
    list::element_ranges(&mut scan)
        .filter(|found| !found.is_empty())
        .unwrap_or(whole)
}

/// Decodes one object onto a row. Fields before a fault are kept.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str, buffers: &mut Buffers) -> Result<(), Fault> {
    let mut scan = Scan::new(text);
    scan.blanks();
    buffers.outline.prepare();
    let name = if scan.peek() == Some(b'{') {
        ROOT
    } else {
        // An element of a list that is no object is an event with one value.
        buffers.outline.learn(ROOT, ROOT, b"\"message\"", "message")
    };
    value(sink, &mut scan, buffers, name, 0)?;
    scan.blanks();
    if scan.peek().is_some() {
        return Err(scan.fault("text after the end"));
    }
    Ok(())
}

fn value(
    sink: &mut Sink<'_>,
    scan: &mut Scan<'_>,
    buffers: &mut Buffers,
    name: u32,
    depth: usize,
) -> Result<(), Fault> {
    match scan.peek() {
        Some(b'"') => {
            let text = scan.string(&mut buffers.unescaped)?;
            let text = text.unwrap_or(&buffers.unescaped);
            put(sink, &mut buffers.outline, name, ValueKind::Str, text);
            Ok(())
        }
        Some(b'{') if depth >= sink.limits.depth_max => too_deep(sink, scan),
        Some(b'{') => object(sink, scan, buffers, name, depth),
        Some(b'[') => list::decode(sink, scan, buffers, name, depth),
        _ => {
            let Token { kind, text } = scan.scalar()?;
            put(sink, &mut buffers.outline, name, kind, text);
            Ok(())
        }
    }
}

fn object(
    sink: &mut Sink<'_>,
    scan: &mut Scan<'_>,
    buffers: &mut Buffers,
    parent: u32,
    depth: usize,
) -> Result<(), Fault> {
    scan.expect(b'{')?;
    scan.blanks();
    if scan.peek() == Some(b'}') {
        scan.skip_byte();
        return Ok(());
    }
    let mut name = ROOT;
    loop {
        scan.blanks();
        name = next_name(scan, buffers, parent, name)?;
        scan.blanks();
        scan.expect(b':')?;
        scan.blanks();
        value(sink, scan, buffers, name, depth + 1)?;
        scan.blanks();
        match scan.peek() {
            Some(b',') => scan.skip_byte(),
            Some(b'}') => {
                scan.skip_byte();
                return Ok(());
            }
            _ => return Err(scan.fault("expected ',' or '}'")),
        }
    }
}

/// Steps over a name; `before` is the one before it in the same object.
fn next_name(
    scan: &mut Scan<'_>,
    buffers: &mut Buffers,
    parent: u32,
    before: u32,
) -> Result<u32, Fault> {
    let Buffers {
        outline, unescaped, ..
    } = buffers;
    if let Some((name, length)) = outline.guess(parent, before, scan.rest()) {
        scan.skip(length);
        return Ok(name);
    }
    let start = scan.at();
    let read = scan.string(unescaped)?;
    let written = scan.slice(start..scan.at()).as_bytes();
    Ok(outline.learn(parent, before, written, read.unwrap_or(unescaped)))
}

fn too_deep(sink: &mut Sink<'_>, scan: &mut Scan<'_>) -> Result<(), Fault> {
    sink.note(AnomalyCode::NestedTooDeep, || {
        "what is nested deeper is left out of the fields".to_owned()
    });
    scan.skip_value().map(|_| ())
}

/// Puts a value; Windows events as JSON get the bare names that rules use.
fn put(sink: &mut Sink<'_>, outline: &mut Outline, name: u32, kind: ValueKind, text: &str) {
    let Some(name) = outline.name_mut(name) else {
        return;
    };
    match name.route {
        Route::Plain => sink.put_at(&mut name.column, &mut name.path, kind, text),
        Route::WindowsData => {
            sink.holds_windows_data = true;
            sink.put_at(&mut name.column, &mut name.path, kind, text);
        }
        Route::WindowsEvent => crate::windows::put_event_path(sink, &name.path, kind, text),
        Route::Winlog => {
            sink.put_at(&mut name.column, &mut name.path, kind, text);
            if let Some(bare) = crate::windows::bare_winlog(&name.path) {
                crate::windows::put_data(sink, bare, kind, text);
            }
        }
    }
}

#[cfg(test)]
mod tests;
