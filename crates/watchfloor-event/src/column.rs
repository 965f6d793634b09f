//! A dictionary-encoded column: each distinct value once, and a small code per row.
//!
//! Nine of ten field values in security logs repeat within a batch, so whatever is done once
//! per distinct value (case folding, pattern matching, look-ups) is nearly free per event.
//! The layout is that of an Arrow dictionary array, with the kind of each value beside it.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// What a value was at its source. The kind is part of a value's identity: the number 1 and
/// the text "1" are two entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum ValueKind {
    /// Present and null.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number, in decimal.
    Int,
    /// A number with a fraction or exponent, as written.
    Float,
    /// Text.
    Str,
    /// A list; its text is the list as compact JSON.
    List,
}

/// One value: its kind and its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueRef<'a> {
    /// What it was at its source.
    pub kind: ValueKind,
    /// The text form; empty for null.
    pub text: &'a str,
}

impl<'a> ValueRef<'a> {
    /// A text value.
    pub const fn str(text: &'a str) -> Self {
        Self {
            kind: ValueKind::Str,
            text,
        }
    }

    /// The elements of a list, in order; a value that is no list is its own only element.
    pub fn elements(self) -> Vec<(ValueKind, String)> {
        if self.kind != ValueKind::List {
            return vec![(self.kind, self.text.to_owned())];
        }
        let parsed: Result<Vec<serde_json::Value>, _> = serde_json::from_str(self.text);
        parsed
            .unwrap_or_default()
            .into_iter()
            .map(element)
            .collect()
    }
}

fn element(value: serde_json::Value) -> (ValueKind, String) {
    match value {
        serde_json::Value::Null => (ValueKind::Null, String::new()),
        serde_json::Value::Bool(truth) => (ValueKind::Bool, truth.to_string()),
        serde_json::Value::Number(number) if number.is_f64() => {
            (ValueKind::Float, number.to_string())
        }
        serde_json::Value::Number(number) => (ValueKind::Int, number.to_string()),
        serde_json::Value::String(text) => (ValueKind::Str, text),
        other => (ValueKind::Str, other.to_string()),
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    len: u32,
    kind: ValueKind,
    hash: u64,
}

/// The value that was set last, at hand without a look into the dictionary's lists: waiting for
/// memory is most of what setting a value costs.
#[derive(Clone, Copy, Debug)]
struct Recent {
    code: u32,
    start: u32,
    len: u32,
    kind: ValueKind,
}

impl Recent {
    const NONE: Self = Self {
        code: 0,
        start: 0,
        len: 0,
        kind: ValueKind::Null,
    };
}

/// The distinct values of a column. Codes start at 1; code 0 means that the row has no value.
#[derive(Clone, Debug, Default)]
pub struct Dictionary {
    text: String,
    entries: Vec<Entry>,
    table: HashTable<u32>,
    lists: Vec<u32>,
}

/// Seeded alike in all processes: the hash is used inside one batch only, and determinism
/// makes runs comparable. Flooding one batch with colliding values costs one batch's time,
/// bounded by the batch limit.
const HASHER: FixedState = FixedState::with_seed(0x5743_4846);

impl Dictionary {
    /// Number of distinct values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no value was seen.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of a code, or `None` for code 0 and codes never handed out.
    pub fn get(&self, code: u32) -> Option<ValueRef<'_>> {
        let entry = self.entries.get((code as usize).checked_sub(1)?)?;
        Some(self.value(entry))
    }

    /// A hash of the value that is the same in every batch and process of one build.
    pub fn hash_of(&self, code: u32) -> Option<u64> {
        let entry = self.entries.get((code as usize).checked_sub(1)?)?;
        Some(entry.hash)
    }

    /// Takes all values out and keeps the room they had.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
        self.table.clear();
        self.lists.clear();
    }

    /// The codes of values that are lists, in order.
    pub fn lists(&self) -> &[u32] {
        &self.lists
    }

    /// The values in the order of their codes, from code 1.
    pub fn values(&self) -> impl ExactSizeIterator<Item = ValueRef<'_>> {
        self.entries.iter().map(|entry| self.value(entry))
    }

    /// The code of a value, adding it if it is new.
    pub fn intern(&mut self, value: ValueRef<'_>) -> u32 {
        let hash = HASHER.hash_one((value.kind as u8, value.text));
        let Self {
            text,
            entries,
            table,
            lists,
        } = self;
        let same = |&code: &u32| {
            let entry = &entries[code as usize - 1];
            entry.hash == hash
                && entry.kind == value.kind
                && text.as_bytes()[entry.start as usize..][..entry.len as usize]
                    == *value.text.as_bytes()
        };
        if let Some(&code) = table.find(hash, same) {
            return code;
        }
        entries.push(Entry {
            start: text.len() as u32,
            len: value.text.len() as u32,
            kind: value.kind,
            hash,
        });
        text.push_str(value.text);
        let code = entries.len() as u32;
        if value.kind == ValueKind::List {
            lists.push(code);
        }
        table.insert_unique(hash, code, |&code| entries[code as usize - 1].hash);
        code
    }

    /// Where the value of a code stands.
    fn recent(&self, code: u32) -> Recent {
        let entry = (code as usize).checked_sub(1);
        let entry = entry.and_then(|at| self.entries.get(at));
        entry.map_or(Recent::NONE, |entry| Recent {
            code,
            start: entry.start,
            len: entry.len,
            kind: entry.kind,
        })
    }

    /// Whether a value is the one that was set last.
    fn is_recent(&self, recent: Recent, value: ValueRef<'_>) -> bool {
        if recent.code == 0 || recent.len as usize != value.text.len() || recent.kind != value.kind
        {
            return false;
        }
        let text = self.text.as_bytes().get(recent.start as usize..);
        text.is_some_and(|text| text.starts_with(value.text.as_bytes()))
    }

    fn value(&self, entry: &Entry) -> ValueRef<'_> {
        let range = entry.start as usize..(entry.start + entry.len) as usize;
        ValueRef {
            kind: entry.kind,
            text: &self.text[range],
        }
    }
}

/// One field of a batch: a dictionary and a code per row.
#[derive(Clone, Debug)]
pub struct Column {
    name: Arc<str>,
    codes: Vec<u32>,
    dictionary: Dictionary,
    recent: Recent,
    moved: Vec<bool>,
}

impl Column {
    pub(crate) fn new(name: Arc<str>, rows: usize) -> Self {
        Self {
            name,
            codes: vec![0; rows],
            dictionary: Dictionary::default(),
            recent: Recent::NONE,
            moved: Vec::new(),
        }
    }

    /// The field's name, without a namespace prefix.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// One code per row; rows after the end have no value.
    pub fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The code of a row; 0 if it has no value.
    pub fn code(&self, row: usize) -> u32 {
        self.codes.get(row).copied().unwrap_or(0)
    }

    /// The distinct values.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The dictionary, to add values that [`Column::set_code`] then uses.
    pub fn dictionary_mut(&mut self) -> &mut Dictionary {
        &mut self.dictionary
    }

    /// The value of a row.
    pub fn get(&self, row: usize) -> Option<ValueRef<'_>> {
        self.dictionary.get(self.code(row))
    }

    /// Sets the value of a row, replacing an earlier one.
    pub fn set(&mut self, row: usize, value: ValueRef<'_>) {
        // Neighbouring events often agree: comparing with the last value costs less than
        // hashing.
        if !self.dictionary.is_recent(self.recent, value) {
            let code = self.dictionary.intern(value);
            self.recent = self.dictionary.recent(code);
        }
        let code = self.recent.code;
        self.set_code(row, code);
    }

    /// Takes all values out and keeps the room they had.
    pub fn clear(&mut self) {
        self.codes.clear();
        self.moved.clear();
        self.dictionary.clear();
        self.recent = Recent::NONE;
    }

    /// Sets the code of a row; the code must come from this column's dictionary.
    pub fn set_code(&mut self, row: usize, code: u32) {
        debug_assert!(code as usize <= self.dictionary.len());
        if self.codes.len() == row {
            self.codes.push(code);
            return;
        }
        if self.codes.len() < row {
            self.codes.resize(row + 1, 0);
        }
        self.codes[row] = code;
    }

    /// Takes out the rows for which `keeps` says `false`.
    pub(crate) fn retain_rows(&mut self, keeps: &impl Fn(usize) -> bool) {
        let mut row = 0;
        self.codes.retain(|_| {
            row += 1;
            keeps(row - 1)
        });
        row = 0;
        self.moved.retain(|_| {
            row += 1;
            keeps(row - 1)
        });
    }

    /// Marks that an OCSF attribute holds this row's value as it is, so that the lake need
    /// not store it a second time under `unmapped.`.
    pub fn mark_moved(&mut self, row: usize) {
        if self.moved.len() <= row {
            self.moved.resize(row + 1, false);
        }
        self.moved[row] = true;
    }

    /// Whether an OCSF attribute holds this row's value as it is.
    pub fn is_moved(&self, row: usize) -> bool {
        self.moved.get(row).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_code_and_kinds_keep_apart() {
        let mut column = Column::new(Arc::from("EventID"), 2);
        let number = ValueRef {
            kind: ValueKind::Int,
            text: "1",
        };
        column.set(0, number);
        column.set(3, ValueRef::str("1"));
        column.set(4, number);
        assert_eq!(column.codes(), [1, 0, 0, 2, 1]);
        assert_eq!(column.get(4), Some(number));
        assert_eq!(column.get(1), None);
        assert_eq!(column.get(99), None);
        assert_eq!(column.dictionary().len(), 2);
    }

    #[test]
    fn a_list_gives_its_elements_and_a_scalar_itself() {
        let list = ValueRef {
            kind: ValueKind::List,
            text: r#"["a",1,null,{"b":2}]"#,
        };
        let expected = [
            (ValueKind::Str, "a"),
            (ValueKind::Int, "1"),
            (ValueKind::Null, ""),
            (ValueKind::Str, r#"{"b":2}"#),
        ];
        let found = list.elements();
        let found: Vec<_> = found.iter().map(|(kind, text)| (*kind, &**text)).collect();
        assert_eq!(found, expected);
        assert_eq!(
            ValueRef::str("x").elements(),
            [(ValueKind::Str, "x".to_owned())]
        );
    }
}
