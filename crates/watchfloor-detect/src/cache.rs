//! Answers of values met before, kept from batch to batch.
//!
//! Nine of ten values of a field were seen already, if not in this batch then in one before
//! it. A value is known again by its hash and its text: a hash alone could be forged, and a
//! forged value would go past the rules unseen.

use hashbrown::HashTable;
use watchfloor_event::{ValueKind, ValueRef};

/// Longest value that is kept, in bytes; longer ones hardly repeat.
const MAX_VALUE_BYTES: usize = 4096;

/// The values of one field with the questions that each answers with yes.
#[derive(Debug, Default)]
pub(crate) struct AnswerCache {
    table: HashTable<u32>,
    values: Vec<Known>,
    texts: String,
    answers: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    hash: u64,
    kind: ValueKind,
    text: (u32, u32),
    answers: (u32, u32),
}

impl AnswerCache {
    /// The place of a value, scanned if it is new. Places stay good until [`Self::clear`].
    pub(crate) fn place(
        &mut self,
        hash: u64,
        value: ValueRef<'_>,
        scan: impl FnOnce(&mut Vec<u32>),
    ) -> u32 {
        let keeps = value.text.len() <= MAX_VALUE_BYTES;
        if keeps && let Some(place) = self.find(hash, value) {
            return place;
        }
        let mut found = Vec::new();
        scan(&mut found);
        let start = self.answers.len() as u32;
        self.answers.extend(found);
        let text = (self.texts.len() as u32, value.text.len() as u32);
        let place = self.values.len() as u32;
        self.values.push(Known {
            hash,
            kind: value.kind,
            text,
            answers: (start, self.answers.len() as u32),
        });
        if keeps {
            self.texts.push_str(value.text);
            let values = &self.values;
            self.table
                .insert_unique(hash, place, |place| values[*place as usize].hash);
        }
        place
    }

    fn find(&self, hash: u64, value: ValueRef<'_>) -> Option<u32> {
        let same = |place: &u32| {
            let known = &self.values[*place as usize];
            let (start, len) = (known.text.0 as usize, known.text.1 as usize);
            known.hash == hash
                && known.kind == value.kind
                && self.texts.as_bytes()[start..start + len] == *value.text.as_bytes()
        };
        self.table.find(hash, same).copied()
    }

    /// The questions that the value of a place answers with yes, sorted.
    pub(crate) fn answers(&self, place: u32) -> &[u32] {
        let (start, end) = self.values[place as usize].answers;
        &self.answers[start as usize..end as usize]
    }

    /// Bytes held, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.texts.len() + self.values.len() * (size_of::<Known>() + 8) + self.answers.len() * 4
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_hash_does_not_borrow_answers() {
        let mut cache = AnswerCache::default();
        let evil = cache.place(7, ValueRef::str("evil"), |found| found.push(1));
        let forged = cache.place(7, ValueRef::str("good"), |_| {});
        assert_ne!(evil, forged);
        assert_eq!(cache.answers(evil), [1]);
        assert_eq!(cache.answers(forged), [0_u32; 0]);
        let again = cache.place(7, ValueRef::str("evil"), |_| panic!("is known"));
        assert_eq!(again, evil);
        let number = ValueRef {
            kind: ValueKind::Int,
            text: "evil",
        };
        assert_ne!(cache.place(7, number, |_| {}), evil);
        cache.clear();
        assert_eq!(cache.bytes(), 0);
    }
}
