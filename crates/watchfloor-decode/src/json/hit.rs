//! Documents as Elasticsearch and OpenSearch give them out: `{"_index": …, "_source": {…}}`, alone
//! or as the hits of an answer to a search.
//!
//! # Source
//! Elasticsearch reference, "Search API", response body; OpenSearch, "Search API".

use std::ops::Range;

use super::scan::Scan;

/// How the objects begin: the test that every other record costs.
const HIT: &str = "{\"_";
const ANSWER: &str = "{\"took\"";

/// A document inside its envelope.
pub(crate) struct Hit<'a> {
    /// The document.
    pub(crate) source: &'a str,
    /// Index, then id, as JSON strings without their quotes.
    pub(crate) named: [Option<&'a str>; 2],
}

/// The document of an object that is a hit: it names its index or id, and holds the source.
pub(crate) fn hit(text: &str) -> Option<Hit<'_>> {
    if !text.trim_start().starts_with(HIT) {
        return None;
    }
    let (mut source, mut named) = (None, [None, None]);
    members(text, |name, value, _| match name {
        "\"_source\"" if value.starts_with('{') => source = Some(value),
        "\"_index\"" => named[0] = bare(value),
        "\"_id\"" => named[1] = bare(value),
        _ => {}
    })?;
    let source = source?;
    (named != [None, None]).then_some(Hit { source, named })
}

/// Where the hits of an answer to a search stand.
pub(super) fn hits(text: &str) -> Option<Vec<Range<usize>>> {
    if !text.trim_start().starts_with(ANSWER) {
        return None;
    }
    let within = |text: &str, brace: char| {
        let mut found = None;
        members(text, |name, value, start| {
            if name == "\"hits\"" && value.starts_with(brace) {
                found = Some(start..start + value.len());
            }
        })?;
        found
    };
    let outer = within(text, '{')?;
    let list = within(text.get(outer.clone())?, '[')?;
    let start = outer.start + list.start;
    let list = text.get(start..outer.start + list.end)?;
    let ranges = super::list::element_ranges(&mut Scan::new(list))?;
    let moved = ranges.into_iter();
    let moved = moved.map(|range| range.start + start..range.end + start);
    let moved: Vec<Range<usize>> = moved.collect();
    (!moved.is_empty()).then_some(moved)
}

/// Gives each member of an object, with where its value starts; nothing if the text is no object
/// or ends early.
fn members<'a>(text: &'a str, mut see: impl FnMut(&'a str, &'a str, usize)) -> Option<()> {
    let mut scan = Scan::new(text);
    scan.blanks();
    scan.expect(b'{').ok()?;
    loop {
        scan.blanks();
        let start = scan.at();
        scan.skip_string().ok()?;
        let name = scan.slice(start..scan.at());
        scan.blanks();
        scan.expect(b':').ok()?;
        scan.blanks();
        let value = scan.skip_value().ok()?;
        see(name, scan.slice(value.clone()), value.start);
        scan.blanks();
        match scan.peek()? {
            b',' => scan.skip_byte(),
            b'}' => return Some(()),
            _ => return None,
        }
    }
}

/// What stands between the quotes of a plain string.
fn bare(value: &str) -> Option<&str> {
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('\\')).then_some(inside)
}
