//! From the rows of a batch to what correlations are given: the group's key, the measured value,
//! who took part.
//!
//! Hashes are made once per distinct value of a column, keys once per event and set of group-by
//! fields however many correlations rest on it, and who took part once per event. No text of a
//! group is made before the correlation fires.

use hashbrown::HashMap;

use foldhash::fast::FixedState;
use watchfloor_event::{Column, EventBatch};
use watchfloor_rules::{Correlation, CorrelationKind, RuleMeta};

use crate::correlate::{EMPTY_LIST, Parties, Value, hash, put_entity, with_hash};
use crate::entities::EntityColumns;
use crate::resolve;

/// The fields that may hold a value, the first that is there counts.
type Fields = Vec<String>;

/// Which matches go to which correlations, and what of them is looked at; shared where alike.
#[derive(Debug, Default)]
pub(crate) struct Wiring {
    /// By rule.
    by_rule: Vec<Vec<Feed>>,
    /// Distinct sets of group-by fields.
    keys: Vec<Vec<Fields>>,
    /// Distinct sets of measured fields.
    values: Vec<Vec<Fields>>,
}

/// A correlation that rests on a rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    /// Place of the correlation in the rule set.
    pub correlation: usize,
    /// Place of the rule in the correlation's list.
    pub place: u16,
    key: usize,
    /// What is measured, and whether it is a number.
    value: Option<(usize, bool)>,
}

impl Wiring {
    /// For rules, each with the correlations that rest on it.
    pub(crate) fn of<'a>(
        rules: impl Iterator<Item = (&'a RuleMeta, &'a [usize])>,
        correlations: &[Correlation],
    ) -> Self {
        let mut wiring = Self::default();
        for (meta, feeds) in rules {
            // A correlation that names a rule by id and by name rests on it once.
            let mut feeds = feeds.to_vec();
            feeds.sort_unstable();
            feeds.dedup();
            let feeds = feeds.into_iter().filter_map(|correlation| {
                let rule = &correlations[correlation];
                wiring.feed(meta, correlation, rule)
            });
            let feeds = feeds.collect();
            wiring.by_rule.push(feeds);
        }
        wiring
    }

    fn feed(&mut self, meta: &RuleMeta, correlation: usize, rule: &Correlation) -> Option<Feed> {
        let place = place_of(rule, meta)?;
        let key = rule.group_by.iter();
        let key: Vec<Fields> = key
            .map(|group| group.fields_of(&meta.id, &meta.name).to_vec())
            .collect();
        let (names, is_number) = measured(&rule.kind);
        let value: Vec<Fields> = names.iter().map(|name| vec![name.clone()]).collect();
        Some(Feed {
            correlation,
            place,
            key: place_in(&mut self.keys, key),
            value: (!value.is_empty()).then(|| (place_in(&mut self.values, value), is_number)),
        })
    }

    /// The correlations that rest on a rule, given its place in the rule set.
    pub(crate) fn feeds(&self, rule: usize) -> &[Feed] {
        self.by_rule.get(rule).map_or(&[], Vec::as_slice)
    }
}

/// The place of a rule in a correlation's list.
pub(crate) fn place_of(correlation: &Correlation, meta: &RuleMeta) -> Option<u16> {
    let mut names = correlation.rules.iter();
    let place = names.position(|name| meta.answers_to(name))?;
    u16::try_from(place).ok()
}

/// The measured fields, and whether they are taken as numbers.
fn measured(kind: &CorrelationKind) -> (&[String], bool) {
    match kind {
        CorrelationKind::ValueCount(names) => (names, false),
        CorrelationKind::ValueSum(field)
        | CorrelationKind::ValueAvg(field)
        | CorrelationKind::ValueMedian(field)
        | CorrelationKind::ValuePercentile(field, _) => (std::slice::from_ref(field), true),
        CorrelationKind::EventCount
        | CorrelationKind::Temporal
        | CorrelationKind::TemporalOrdered => (&[], false),
    }
}

/// The measured value of a match whose fields are texts.
pub(crate) fn value_of(kind: &CorrelationKind, fields: &dyn Fn(&str) -> Option<String>) -> Value {
    let (names, is_number) = measured(kind);
    let texts: Option<Vec<String>> = names.iter().map(|name| fields(name)).collect();
    match texts {
        Some(texts) if is_number => texts
            .first()
            .map_or(Value::None, |text| Value::of_number(text)),
        Some(texts) if !texts.is_empty() => Value::of_texts(texts.iter().map(String::as_str)),
        _ => Value::None,
    }
}

fn place_in(known: &mut Vec<Vec<Fields>>, one: Vec<Fields>) -> usize {
    known
        .iter()
        .position(|other| *other == one)
        .unwrap_or_else(|| {
            known.push(one);
            known.len() - 1
        })
}

/// A column with the hashes of its values that were met, by code; 0 is unknown.
struct Hashed<'a> {
    column: &'a Column,
    hashes: Vec<u128>,
}

impl Hashed<'_> {
    fn hash(&mut self, code: u32) -> u128 {
        let known = &mut self.hashes[code as usize];
        if *known == 0 {
            let value = self.column.dictionary().get(code);
            *known = hash(value.map_or("", |value| value.text));
        }
        *known
    }
}

/// A set of fields in a batch.
#[derive(Default)]
struct Found {
    /// By field: places of the columns that may hold it. Empty until it is asked for.
    fields: Option<Vec<Vec<usize>>>,
    /// What the last event gave.
    last: Option<(usize, Option<u128>)>,
}

/// The bytes of an entity, by the codes that decide it.
type Pieces = HashMap<(u32, u32), (usize, usize), FixedState>;

/// One batch, as correlations see it.
pub(crate) struct Feeding<'a> {
    wiring: &'a Wiring,
    batch: &'a EventBatch,
    columns: Vec<Hashed<'a>>,
    keys: Vec<Found>,
    values: Vec<Found>,
    entities: EntityColumns<'a>,
    /// By place of the entity: where in `written` its bytes are.
    pieces: Vec<Pieces>,
    written: Vec<u8>,
    /// The last event's.
    parties: Option<(usize, Parties)>,
    scratch: Vec<u8>,
}

impl<'a> Feeding<'a> {
    pub(crate) fn new(wiring: &'a Wiring, batch: &'a EventBatch) -> Self {
        let entities = EntityColumns::of(batch);
        let mut pieces = Vec::new();
        pieces.resize_with(entities.len(), Pieces::default);
        let found = |count: usize| {
            let mut found = Vec::new();
            found.resize_with(count, Found::default);
            found
        };
        Self {
            wiring,
            batch,
            columns: Vec::new(),
            keys: found(wiring.keys.len()),
            values: found(wiring.values.len()),
            entities,
            pieces,
            written: Vec::new(),
            parties: None,
            scratch: Vec::new(),
        }
    }

    /// The hash of the group's values in the event of a row; an event without one of the fields
    /// belongs to no group.
    pub(crate) fn key(&mut self, feed: &Feed, row: usize) -> Option<u128> {
        let found = &mut self.keys[feed.key];
        if let Some((known, key)) = found.last
            && known == row
        {
            return key;
        }
        let wanted = &self.wiring.keys[feed.key];
        let key = combined(self.batch, &mut self.columns, found, wanted, row);
        found.last = Some((row, key));
        key
    }

    /// The measured value of the event of a row.
    pub(crate) fn value(&mut self, feed: &Feed, row: usize) -> Value {
        let Some((value, is_number)) = feed.value else {
            return Value::None;
        };
        let found = &mut self.values[value];
        let wanted = &self.wiring.values[value];
        if is_number {
            let fields = columns_of(self.batch, &mut self.columns, found, wanted);
            let places = fields.first().into_iter().flatten();
            let mut values = places.filter_map(|place| self.columns[*place].column.get(row));
            let value = values.next();
            return value.map_or(Value::None, |value| Value::of_number(value.text));
        }
        let known = found.last.filter(|(known, _)| *known == row);
        let all = match known {
            Some((_, all)) => all,
            None => combined(self.batch, &mut self.columns, found, wanted, row),
        };
        found.last = Some((row, all));
        all.map_or(Value::None, |all| Value::Text(all as u64))
    }

    /// Who and what took part in the event of a row.
    pub(crate) fn parties(&mut self, row: usize) -> Parties {
        if let Some((known, parties)) = &self.parties
            && *known == row
        {
            return parties.clone();
        }
        self.scratch.clear();
        for place in 0..self.pieces.len() {
            let Some(codes) = self.entities.codes(place, row) else {
                continue;
            };
            let (from, to) = match self.pieces[place].get(&codes) {
                Some(known) => *known,
                None => {
                    let from = self.written.len();
                    if let Some(one) = self.entities.entity(place, row) {
                        put_entity(&mut self.written, one.kind, &one.role, &one.value);
                    }
                    let piece = (from, self.written.len());
                    self.pieces[place].insert(codes, piece);
                    piece
                }
            };
            self.scratch.extend_from_slice(&self.written[from..to]);
        }
        // Events that follow each other often agree.
        let parties = match self.parties.take() {
            Some((_, last)) if last.bytes() == self.scratch => last,
            _ => Parties::of(&self.scratch),
        };
        self.parties = Some((row, parties.clone()));
        parties
    }
}

/// The hash of all fields' values; `None` where one has no value.
fn combined<'a>(
    batch: &'a EventBatch,
    columns: &mut Vec<Hashed<'a>>,
    found: &mut Found,
    wanted: &[Fields],
    row: usize,
) -> Option<u128> {
    let mut all = EMPTY_LIST;
    for places in columns_of(batch, columns, found, wanted) {
        let mut places = places.iter();
        let one = places.find_map(|place| {
            let hashed = &mut columns[*place];
            let code = hashed.column.code(row);
            (code != 0).then(|| hashed.hash(code))
        })?;
        all = with_hash(all, one);
    }
    Some(all)
}

/// By field the places of its columns, looked for once.
fn columns_of<'a, 'f>(
    batch: &'a EventBatch,
    columns: &mut Vec<Hashed<'a>>,
    found: &'f mut Found,
    wanted: &[Fields],
) -> &'f [Vec<usize>] {
    found.fields.get_or_insert_with(|| {
        let places = |names: &Fields| {
            let candidates = names
                .iter()
                .flat_map(|name| resolve::candidates(batch, name));
            candidates
                .map(|column| {
                    let known = columns
                        .iter()
                        .position(|one| std::ptr::eq(one.column, column));
                    known.unwrap_or_else(|| {
                        columns.push(Hashed {
                            column,
                            hashes: vec![0; column.dictionary().len() + 1],
                        });
                        columns.len() - 1
                    })
                })
                .collect()
        };
        wanted.iter().map(places).collect()
    })
}
