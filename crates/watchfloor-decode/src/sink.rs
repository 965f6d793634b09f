//! Where decoders put fields: one row of a batch, with the limits kept and column look-ups
//! predicted.
//!
//! Records of one source have the same fields in the same order, so the column of the n-th
//! field of the last record is tried first; comparing one name is cheaper than hashing it.

use std::sync::Arc;

use watchfloor_event::{Anomaly, AnomalyCode, EventBatch, Namespace, ValueKind, ValueRef};

use crate::Limits;

/// Columns in the order in which the last record used them.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    columns: Vec<u32>,
}

/// One row that takes fields.
pub(crate) struct Sink<'b> {
    pub(crate) batch: &'b mut EventBatch,
    pub(crate) row: usize,
    pub(crate) limits: Limits,
    shape: &'b mut Shape,
    used: usize,
    noted: u16,
    /// Whether a field of it lies in an object of Windows data at the root.
    pub(crate) holds_windows_data: bool,
}

impl<'b> Sink<'b> {
    pub(crate) fn new(
        batch: &'b mut EventBatch,
        row: usize,
        limits: Limits,
        shape: &'b mut Shape,
    ) -> Self {
        Self {
            batch,
            row,
            limits,
            shape,
            used: 0,
            noted: 0,
            holds_windows_data: false,
        }
    }

    /// Sets a field; a later value replaces an earlier one of the same name.
    pub(crate) fn put(&mut self, name: &str, kind: ValueKind, text: &str) {
        if self.is_full(name) {
            return;
        }
        let index = self.column(name);
        self.set(index, name, kind, text);
    }

    /// As [`Sink::put`] for a name that remembers the place of its column.
    pub(crate) fn put_at(
        &mut self,
        column: &mut u32,
        name: &mut Arc<str>,
        kind: ValueKind,
        text: &str,
    ) {
        if self.is_full(name) {
            return;
        }
        self.used += 1;
        let known = self.batch.columns(Namespace::Source).get(*column as usize);
        if !known.is_some_and(|known| Arc::ptr_eq(known.name(), name)) {
            let index = self.batch.source_column_index(name);
            *column = u32::try_from(index).unwrap_or(u32::MAX);
            if let Some(found) = self.batch.columns(Namespace::Source).get(index) {
                *name = Arc::clone(found.name());
            }
        }
        self.set(*column as usize, name, kind, text);
    }

    fn is_full(&mut self, name: &str) -> bool {
        let is_full = self.used >= self.limits.fields_max;
        if is_full {
            self.note(AnomalyCode::TooManyFields, || {
                format!("fields from '{}' on are left out", clip(name, 80))
            });
        }
        is_full
    }

    #[inline]
    fn set(&mut self, column: usize, name: &str, kind: ValueKind, text: &str) {
        let text = if text.len() > self.limits.value_bytes_max {
            self.note(AnomalyCode::Truncated, || {
                format!("'{}' is {} bytes long", clip(name, 80), text.len())
            });
            clip(text, self.limits.value_bytes_max)
        } else {
            text
        };
        self.batch
            .set_source(column, self.row, ValueRef { kind, text });
    }

    /// Sets a text field.
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.put(name, ValueKind::Str, text);
    }

    /// Sets a field whose text may be a whole number.
    pub(crate) fn scalar(&mut self, name: &str, text: &str) {
        let kind = if is_whole_number(text) {
            ValueKind::Int
        } else {
            ValueKind::Str
        };
        self.put(name, kind, text);
    }

    /// A field of this row.
    pub(crate) fn get(&self, name: &str) -> Option<ValueRef<'_>> {
        self.batch.get(Namespace::Source, name, self.row)
    }

    /// Notes an oddity once per row and code; the detail is made only if it is wanted.
    pub(crate) fn note(&mut self, code: AnomalyCode, detail: impl FnOnce() -> String) {
        let bit = 1_u16 << (code as u16);
        if self.noted & bit == 0 {
            self.noted |= bit;
            self.batch
                .add_anomaly(self.row, Anomaly::new(code, detail()));
        }
    }

    /// Sets the event's own time, if it is plausible beside the time of receipt.
    pub(crate) fn own_time(&mut self, moment: Option<crate::time::Moment>, shown: &str) {
        let Some(received_at) = self.batch.rows().get(self.row).map(|row| row.received_at) else {
            return;
        };
        let Some(moment) = moment else {
            self.note(AnomalyCode::TimeUnreadable, || clip(shown, 80).to_owned());
            return;
        };
        match moment.plausible(received_at) {
            Some(time) => {
                let row = self.batch.row_mut(self.row);
                row.time = time;
                row.has_own_time = true;
            }
            None => self.note(AnomalyCode::TimeImplausible, || clip(shown, 80).to_owned()),
        }
    }

    /// When the record arrived.
    pub(crate) fn received_at(&self) -> Option<jiff::Timestamp> {
        self.batch.rows().get(self.row).map(|row| row.received_at)
    }

    /// Whether the event's own time is known.
    pub(crate) fn has_own_time(&self) -> bool {
        self.batch
            .rows()
            .get(self.row)
            .is_some_and(|row| row.has_own_time)
    }

    fn column(&mut self, name: &str) -> usize {
        let at = self.used;
        self.used += 1;
        if let Some(&index) = self.shape.columns.get(at) {
            let columns = self.batch.columns(Namespace::Source);
            if columns
                .get(index as usize)
                .is_some_and(|column| **column.name() == *name)
            {
                return index as usize;
            }
        }
        let index = self.batch.source_column_index(name);
        let small = u32::try_from(index).unwrap_or(u32::MAX);
        match self.shape.columns.get_mut(at) {
            Some(slot) => *slot = small,
            None => self.shape.columns.push(small),
        }
        index
    }
}

/// The longest start of a text that is no longer than `bytes` and ends between characters.
pub(crate) fn clip(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// Whether a text is a whole number as JSON would write it.
pub(crate) fn is_whole_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    match digits {
        [] => false,
        [b'0'] => true,
        [b'0', ..] => false,
        _ => digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit),
    }
}
