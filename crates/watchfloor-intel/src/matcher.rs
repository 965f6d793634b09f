//! Indicators met in the columns of a batch.
//!
//! Each distinct value of a column is looked up once, whatever the number of events that have
//! it; only if one is met are the rows looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use watchfloor_event::{Column, EventBatch, Namespace, ValueKind, ValueRef};

use crate::places::{self, Shape};
use crate::set::Place;
use crate::url::push_url;
use crate::value::{parse_address, push_domain, push_email, push_hex};
use crate::{Held, IndicatorKind, IndicatorSet};

/// Longest value of an event that is looked up, in bytes.
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Most bytes of an event's value that are kept in what was met.
const MAX_SHOWN_BYTES: usize = 1024;
/// Most indicators of one event; an event that has more is found all the same.
const MAX_MET: usize = 64;
/// Most parts of a value that holds several.
const MAX_PARTS: usize = 1024;

/// An indicator that an event met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    pub(crate) place: Place,
    /// Full name of the field in the stored event, e.g. `dst_endpoint.ip` or `unmapped.ja4`.
    pub field: String,
    /// The event's value, at most 1 KiB of it.
    pub value: String,
}

impl Met {
    /// The indicator.
    pub fn indicator<'a>(&self, set: &'a IndicatorSet) -> Option<Held<'a>> {
        set.at(self.place)
    }
}

/// What one event met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventMatches {
    /// Row of the event in its batch.
    pub row: usize,
    /// Indicators, each once, in the order of the fields that are looked at; at least one.
    pub met: Vec<Met>,
}

/// Looks a set's indicators up in batches.
#[derive(Debug)]
pub struct Matcher {
    set: Arc<IndicatorSet>,
    scratch: Scratch,
}

#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    /// Code of a distinct value, and what it meets.
    met: Vec<(u32, Place)>,
    joined: String,
}

impl Matcher {
    /// A matcher over a set.
    pub fn new(set: Arc<IndicatorSet>) -> Self {
        Self {
            set,
            scratch: Scratch::default(),
        }
    }

    /// The set.
    pub fn set(&self) -> &Arc<IndicatorSet> {
        &self.set
    }

    /// The events of a batch that meet an indicator which is valid at their time, by row.
    pub fn matches(&mut self, batch: &EventBatch) -> Vec<EventMatches> {
        if self.set.is_empty() || batch.is_empty() {
            return Vec::new();
        }
        let mut rows = BTreeMap::new();
        for (namespace, name, shape) in places::all() {
            let Some(column) = batch.column(namespace, name) else {
                continue;
            };
            self.look_up(column, shape);
            if !self.scratch.met.is_empty() {
                self.note_rows(batch, namespace, column, &mut rows);
            }
        }
        if self.set.has(IndicatorKind::Url) {
            self.join_urls(batch, &mut rows);
        }
        let events = rows.into_iter();
        events.map(|(row, met)| EventMatches { row, met }).collect()
    }

    /// Looks all distinct values of a column up.
    fn look_up(&mut self, column: &Column, shape: Shape) {
        let Self { set, scratch } = self;
        scratch.met.clear();
        if !shape_matters(set, shape) {
            return;
        }
        for (code, value) in (1_u32..).zip(column.dictionary().values()) {
            let Scratch { key, met, .. } = scratch;
            let mut look = Look {
                set,
                key,
                take: &mut |place| met.push((code, place)),
            };
            if value.kind == ValueKind::List && value.text.len() <= MAX_VALUE_BYTES {
                for (_, element) in value.elements().iter().take(MAX_PARTS) {
                    look.value(shape, element);
                }
            } else if matches!(value.kind, ValueKind::Str | ValueKind::Int) {
                look.value(shape, value.text);
            }
        }
    }

    /// Finds the rows that have the values which were met.
    fn note_rows(
        &self,
        batch: &EventBatch,
        namespace: Namespace,
        column: &Column,
        rows: &mut BTreeMap<usize, Vec<Met>>,
    ) {
        let met = &self.scratch.met;
        let mut starts = vec![0_u32; column.dictionary().len() + 2];
        for (code, _) in met {
            if let Some(start) = starts.get_mut(*code as usize + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        for (row, code) in column.codes().iter().enumerate() {
            let code = *code as usize;
            let (from, to) = (starts.get(code).copied(), starts.get(code + 1).copied());
            let range = from.unwrap_or(0) as usize..to.unwrap_or(0) as usize;
            // What an attribute has taken over was looked at there.
            if range.is_empty() || column.is_moved(row) {
                continue;
            }
            let field = match namespace {
                Namespace::Ocsf => column.name().to_string(),
                Namespace::Source => format!("unmapped.{}", column.name()),
            };
            let value = column.get(row).map_or("", |value| value.text);
            for (_, place) in met.get(range).unwrap_or_default() {
                self.note(batch, row, *place, &field, value, rows);
            }
        }
    }

    fn note(
        &self,
        batch: &EventBatch,
        row: usize,
        place: Place,
        field: &str,
        value: &str,
        rows: &mut BTreeMap<usize, Vec<Met>>,
    ) {
        let Some(event) = batch.rows().get(row) else {
            return;
        };
        if !self.set.is_valid(place, event.time) {
            return;
        }
        let met = rows.entry(row).or_default();
        if met.len() < MAX_MET && met.iter().all(|one| one.place != place) {
            met.push(Met {
                place,
                field: field.to_owned(),
                value: shown(value),
            });
        }
    }

    /// Web servers and network monitors log host and path apart: joined they are a URL.
    fn join_urls(&mut self, batch: &EventBatch, rows: &mut BTreeMap<usize, Vec<Met>>) {
        let column = |name| batch.column(Namespace::Ocsf, name);
        let Some(hosts) = column("http_request.url.hostname") else {
            return;
        };
        let rest = [
            column("http_request.url.url_string"),
            column("http_request.url.path"),
            column("http_request.url.query_string"),
        ];
        let code = |column: Option<&Column>, row| column.map_or(0, |column| column.code(row));
        let mut known: HashMap<[u32; 4], Vec<Place>, FixedState> = HashMap::default();
        for row in 0..hosts.codes().len() {
            let Some(host) = hosts.get(row) else {
                continue;
            };
            let [whole, path, query] = rest.map(|column| code(column, row));
            let key = [hosts.code(row), whole, path, query];
            let parts = rest.map(|column| column.and_then(|column| column.get(row)));
            let places = known.entry(key).or_insert_with(|| {
                let mut places = Vec::new();
                if join(&mut self.scratch.joined, host, parts) {
                    let key = &mut self.scratch.key;
                    if push_url(&self.scratch.joined, key).is_some() {
                        self.set
                            .exact(IndicatorKind::Url, key, &mut |place| places.push(place));
                    }
                }
                places
            });
            if places.is_empty() || !join(&mut self.scratch.joined, host, parts) {
                continue;
            }
            for place in std::mem::take(places) {
                let value = &self.scratch.joined;
                self.note(
                    batch,
                    row,
                    place,
                    "http_request.url.url_string",
                    value,
                    rows,
                );
                places.push(place);
            }
        }
    }
}

/// Joins host, and path and query, or the part of a URL that begins with its path; `false` if
/// there is nothing to join.
fn join(out: &mut String, host: ValueRef<'_>, parts: [Option<ValueRef<'_>>; 3]) -> bool {
    out.clear();
    let [whole, path, query] = parts.map(|part| part.map_or("", |part| part.text));
    let is_path = whole.starts_with('/') && !whole.starts_with("//");
    if host.text.is_empty() || host.text == "-" || !(is_path || whole.is_empty()) {
        return false;
    }
    if !is_path && path.is_empty() {
        return false;
    }
    out.push_str(host.text);
    if is_path {
        out.push_str(whole);
        return true;
    }
    out.push_str(path);
    if !query.is_empty() && query != "-" {
        out.push('?');
        out.push_str(query.strip_prefix('?').unwrap_or(query));
    }
    true
}

/// Whether there is any indicator that a column of this shape could meet.
fn shape_matters(set: &IndicatorSet, shape: Shape) -> bool {
    use IndicatorKind as K;
    let kinds: &[K] = match shape {
        Shape::Address => &[K::Address, K::Network],
        Shape::Several | Shape::Name => &[K::Address, K::Network, K::Domain],
        Shape::Url => &[K::Url, K::Address, K::Network, K::Domain],
        Shape::Hashes => &[K::Md5, K::Sha1, K::Sha256, K::Sha512],
        Shape::Email => &[K::Email, K::Domain],
        Shape::Ja3 => &[K::Ja3],
        Shape::Ja3s => &[K::Ja3s],
        Shape::Ja4 => &[K::Ja4],
    };
    kinds.iter().any(|kind| set.has(*kind))
}

/// One look-up of a value in a set.
struct Look<'a> {
    set: &'a IndicatorSet,
    key: &'a mut Vec<u8>,
    take: &'a mut dyn FnMut(Place),
}

impl Look<'_> {
    fn value(&mut self, shape: Shape, text: &str) {
        if text.len() < 2 || text.len() > MAX_VALUE_BYTES {
            return;
        }
        match shape {
            Shape::Address => self.address(text),
            Shape::Name => self.name(text),
            Shape::Several => {
                let parts = text.split(|c: char| c.is_whitespace() || ",;\"[]".contains(c));
                parts.take(MAX_PARTS).for_each(|part| self.name(part));
            }
            Shape::Url => self.url(text),
            Shape::Hashes => self.hashes(text),
            Shape::Email => self.emails(text),
            Shape::Ja3 => self.digest(text, &[(16, IndicatorKind::Ja3)]),
            Shape::Ja3s => self.digest(text, &[(16, IndicatorKind::Ja3s)]),
            Shape::Ja4 => {
                self.key.clear();
                self.key
                    .extend(text.trim().bytes().map(|byte| byte.to_ascii_lowercase()));
                self.set.exact(IndicatorKind::Ja4, self.key, self.take);
            }
        }
    }

    fn address(&mut self, text: &str) {
        if let Some(address) = parse_address(text) {
            self.set.address(address, self.take);
        }
    }

    /// A name, or an address where a name could stand.
    fn name(&mut self, text: &str) {
        if text.len() < 3 {
            return;
        }
        if let Some(address) = parse_address(text) {
            self.set.address(address, self.take);
            return;
        }
        // Some write the port behind a host.
        let text = text.trim();
        let text = match text.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => text,
        };
        if !text.contains(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']) {
            return;
        }
        self.key.clear();
        if push_domain(text, self.key).is_some() {
            self.set.domain(self.key, self.take);
        }
    }

    fn url(&mut self, text: &str) {
        // A path alone has no host; it is joined with one elsewhere.
        if text.starts_with('/') && !text.starts_with("//") {
            return;
        }
        let Some(parts) = push_url(text, self.key) else {
            return;
        };
        self.set.exact(IndicatorKind::Url, self.key, self.take);
        let (start, end) = parts.host;
        let host = self.key.get(start..end).unwrap_or_default();
        match std::str::from_utf8(host).ok().and_then(parse_address) {
            Some(address) => self.set.address(address, self.take),
            None => self.set.domain(host, self.take),
        }
    }

    fn hashes(&mut self, text: &str) {
        use IndicatorKind as K;
        const FILES: [(usize, IndicatorKind); 4] = [
            (16, K::Md5),
            (20, K::Sha1),
            (32, K::Sha256),
            (64, K::Sha512),
        ];
        let parts = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|'));
        for part in parts.take(MAX_PARTS) {
            match part.split_once(['=', ':']) {
                // An import hash is as long as an MD5 and is none.
                Some((name, hash)) => {
                    let is_named = [
                        "md5", "sha1", "sha256", "sha512", "sha-1", "sha-256", "sha-512",
                    ]
                    .iter()
                    .any(|known| name.eq_ignore_ascii_case(known));
                    if is_named {
                        self.digest(hash, &FILES);
                    }
                }
                None => self.digest(part, &FILES),
            }
        }
    }

    /// A hash in hex, of the kind that its length tells.
    fn digest(&mut self, text: &str, kinds: &[(usize, IndicatorKind)]) {
        if push_hex(text.trim(), self.key).is_none() {
            return;
        }
        let kind = kinds.iter().find(|(len, _)| *len == self.key.len());
        if let Some((_, kind)) = kind {
            self.set.exact(*kind, self.key, self.take);
        }
    }

    fn emails(&mut self, text: &str) {
        for part in text.split([',', ';']).take(MAX_PARTS) {
            let Some(start) = push_email(part, self.key) else {
                continue;
            };
            self.set.exact(IndicatorKind::Email, self.key, self.take);
            let domain = self.key.get(start..).unwrap_or_default();
            self.set.domain(domain, self.take);
        }
    }
}

fn shown(value: &str) -> String {
    let mut end = value.len().min(MAX_SHOWN_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
