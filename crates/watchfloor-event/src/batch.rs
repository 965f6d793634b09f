//! A batch of events as columns: what decoders fill, mappers add to, rules read and the lake
//! writes.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use jiff::Timestamp;

use crate::{Anomaly, Column, EventId, EventKind, Format, RawRecord, ValueRef};

/// Most events in one batch.
pub const MAX_BATCH_EVENTS: usize = 8192;

/// Which of the two sets of columns a field name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// As the source called it; nested names are joined by dots. Stored under `unmapped.`
    /// unless an OCSF attribute holds the same value.
    Source,
    /// An OCSF attribute path such as `process.cmd_line`.
    Ocsf,
}

/// What every event has, whatever its kind.
#[derive(Clone, Debug)]
pub struct RowMeta {
    /// Identity.
    pub id: EventId,
    /// Source of the raw record.
    pub source: Arc<str>,
    /// The form the record was decoded as.
    pub format: Format,
    /// What stood before the record in its file and belongs to it.
    pub context: Option<Arc<str>>,
    /// When the record arrived.
    pub received_at: Timestamp,
    /// When it happened; the time of receipt until a decoder or mapper knows better.
    pub time: Timestamp,
    /// Whether `time` came from the record itself.
    pub has_own_time: bool,
    /// The raw bytes.
    pub raw: Bytes,
    /// Index into [`EventBatch::kinds`].
    pub kind: u16,
    /// OCSF `activity_id` (0 unknown, 99 other).
    pub activity_id: i32,
    /// OCSF `severity_id` (0 unknown, 1 informational … 6 fatal).
    pub severity_id: i32,
    /// OCSF `status_id` (0 unknown, 1 success, 2 failure, 99 other).
    pub status_id: i32,
}

/// Up to [`MAX_BATCH_EVENTS`] events.
#[derive(Debug, Default)]
pub struct EventBatch {
    rows: Vec<RowMeta>,
    kinds: Vec<Arc<EventKind>>,
    source: ColumnSet,
    ocsf: ColumnSet,
    anomalies: Vec<(usize, Anomaly)>,
    used: UsedColumns,
}

/// Which source columns each row uses. Batches of many products have many columns and few
/// values in each row; whoever asks every value of a row needs to look at these alone.
#[derive(Debug, Default)]
struct UsedColumns {
    /// Places of columns, row after row.
    columns: Vec<u32>,
    /// By row: where its own end.
    ends: Vec<u32>,
    /// Columns that were set for a row that was no longer the last.
    late: Vec<u32>,
    /// By place of a column: whether it is among them.
    is_late: Vec<bool>,
}

impl UsedColumns {
    fn clear(&mut self) {
        self.columns.clear();
        self.ends.clear();
        self.late.clear();
        self.is_late.clear();
    }

    fn note(&mut self, row: usize, column: usize) {
        let column = column as u32;
        if row + 1 == self.ends.len() {
            self.columns.push(column);
            self.ends[row] = self.columns.len() as u32;
        } else {
            let place = column as usize;
            if place >= self.is_late.len() {
                self.is_late.resize(place + 1, false);
            }
            if !std::mem::replace(&mut self.is_late[place], true) {
                self.late.push(column);
            }
        }
    }

    /// The same for the rows that have a new place.
    fn retained(&self, places: &[Option<usize>]) -> Self {
        let mut kept = Self {
            late: self.late.clone(),
            is_late: self.is_late.clone(),
            ..Self::default()
        };
        for row in places
            .iter()
            .enumerate()
            .filter_map(|(row, place)| place.map(|_| row))
        {
            kept.columns.extend(self.own(row));
            kept.ends.push(kept.columns.len() as u32);
        }
        kept
    }

    fn own(&self, row: usize) -> &[u32] {
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = start.copied().unwrap_or(0) as usize;
        let end = self.ends.get(row).copied().unwrap_or(0) as usize;
        self.columns.get(start..end).unwrap_or(&[])
    }

    fn of(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        let own = self.own(row);
        own.iter().chain(&self.late).map(|column| *column as usize)
    }
}

#[derive(Debug, Default)]
struct ColumnSet {
    columns: Vec<Column>,
    by_name: HashMap<Arc<str>, usize, foldhash::fast::FixedState>,
}

impl ColumnSet {
    fn clear(&mut self) {
        let is_spread = self.columns.iter().any(|column| column.codes().is_empty());
        if is_spread {
            self.columns.retain(|column| !column.codes().is_empty());
            self.by_name.clear();
            let names = self.columns.iter().enumerate();
            self.by_name
                .extend(names.map(|(index, column)| (Arc::clone(column.name()), index)));
        }
        self.columns.iter_mut().for_each(Column::clear);
    }

    fn index(&mut self, name: &str) -> usize {
        if let Some(&index) = self.by_name.get(name) {
            return index;
        }
        let name: Arc<str> = Arc::from(name);
        let index = self.columns.len();
        self.columns.push(Column::new(Arc::clone(&name), 0));
        self.by_name.insert(name, index);
        index
    }
}

impl EventBatch {
    /// An empty batch.
    pub fn new() -> Self {
        let mut batch = Self::default();
        batch.kinds.push(Arc::new(EventKind::unknown()));
        batch
    }

    /// Takes all events out and keeps columns and their room for the next ones: filling a
    /// batch again costs far less than making one. Columns that the last events did not use
    /// are let go.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.kinds.truncate(1);
        if self.kinds.is_empty() {
            self.kinds.push(Arc::new(EventKind::unknown()));
        }
        self.anomalies.clear();
        self.used.clear();
        self.source.clear();
        self.ocsf.clear();
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether another event would exceed [`MAX_BATCH_EVENTS`].
    pub fn is_full(&self) -> bool {
        self.rows.len() >= MAX_BATCH_EVENTS
    }

    /// Adds the `part`-th event of a raw record and returns its row.
    pub fn push_row(&mut self, record: &RawRecord, part: u32) -> usize {
        self.rows.push(RowMeta {
            id: EventId::new(record.position, part),
            source: Arc::clone(&record.source),
            format: record.format,
            context: record.context.clone(),
            received_at: record.received_at,
            time: record.received_at,
            has_own_time: false,
            raw: record.bytes.clone(),
            kind: 0,
            activity_id: 0,
            severity_id: 0,
            status_id: 0,
        });
        self.used.ends.push(self.used.columns.len() as u32);
        self.rows.len() - 1
    }

    /// What every event has, by row.
    pub fn rows(&self) -> &[RowMeta] {
        &self.rows
    }

    /// What the event of a row has, to change it.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut RowMeta {
        &mut self.rows[row]
    }

    /// The kinds of event in this batch; index 0 is the unknown kind.
    pub fn kinds(&self) -> &[Arc<EventKind>] {
        &self.kinds
    }

    /// The kind of the event of a row.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn kind_of(&self, row: usize) -> &Arc<EventKind> {
        &self.kinds[usize::from(self.rows[row].kind)]
    }

    /// A column of the source's own fields, if any row has it.
    pub fn source_column_mut(&mut self, name: &str) -> Option<&mut Column> {
        let index = *self.source.by_name.get(name)?;
        self.source.columns.get_mut(index)
    }

    /// The index of a kind in this batch, adding it if it is new.
    pub fn intern_kind(&mut self, kind: &Arc<EventKind>) -> u16 {
        let found = self.kinds.iter().position(|known| Arc::ptr_eq(known, kind));
        let index = found.unwrap_or_else(|| {
            self.kinds.push(Arc::clone(kind));
            self.kinds.len() - 1
        });
        u16::try_from(index).expect("packs hold far fewer than 65,536 kinds")
    }

    /// Sets a field of a row, replacing an earlier value.
    pub fn set(&mut self, namespace: Namespace, name: &str, row: usize, value: ValueRef<'_>) {
        match namespace {
            Namespace::Source => {
                let column = self.source.index(name);
                self.set_source(column, row, value);
            }
            Namespace::Ocsf => self.ocsf_column_mut(name).set(row, value),
        }
    }

    /// Sets the field of a source column, given by [`EventBatch::source_column_index`] for
    /// this batch; a place that was never given is left alone.
    pub fn set_source(&mut self, column: usize, row: usize, value: ValueRef<'_>) {
        if let Some(found) = self.source.columns.get_mut(column) {
            found.set(row, value);
            self.used.note(row, column);
        }
    }

    /// Places in [`EventBatch::columns`] of the source columns that may have a value in this
    /// row; all that do are among them.
    pub fn source_columns_of(&self, row: usize) -> impl Iterator<Item = usize> + '_ {
        self.used.of(row)
    }

    /// A field of a row.
    pub fn get(&self, namespace: Namespace, name: &str, row: usize) -> Option<ValueRef<'_>> {
        self.column(namespace, name)?.get(row)
    }

    /// A column by name.
    pub fn column(&self, namespace: Namespace, name: &str) -> Option<&Column> {
        let set = self.set_of(namespace);
        Some(&set.columns[*set.by_name.get(name)?])
    }

    /// An OCSF column by name, made if it is new.
    pub fn ocsf_column_mut(&mut self, name: &str) -> &mut Column {
        let index = self.ocsf.index(name);
        &mut self.ocsf.columns[index]
    }

    /// The place of a source column in [`EventBatch::columns`], made if it is new. Decoders
    /// keep places and check them by name, which is cheaper than a look-up per field.
    pub fn source_column_index(&mut self, name: &str) -> usize {
        self.source.index(name)
    }

    /// All columns of a namespace, in the order in which they were first seen.
    pub fn columns(&self, namespace: Namespace) -> &[Column] {
        &self.set_of(namespace).columns
    }

    /// A source column and an OCSF column together, both to change: what a mapping needs.
    pub fn mapping_columns(&mut self, source: &str, ocsf: &str) -> (&mut Column, &mut Column) {
        let from = self.source.index(source);
        let to = self.ocsf.index(ocsf);
        (&mut self.source.columns[from], &mut self.ocsf.columns[to])
    }

    /// Notes an oddity of a row.
    pub fn add_anomaly(&mut self, row: usize, anomaly: Anomaly) {
        self.anomalies.push((row, anomaly));
    }

    /// All oddities with their rows, in the order in which they were noted.
    pub fn anomalies(&self) -> &[(usize, Anomaly)] {
        &self.anomalies
    }

    /// Takes back the oddities for which `keep` says no.
    pub fn retain_anomalies(&mut self, mut keep: impl FnMut(usize, &Anomaly) -> bool) {
        self.anomalies.retain(|(row, anomaly)| keep(*row, anomaly));
    }

    /// Takes out the events for which `keep` says `false`; rows beyond its end stay. Values that
    /// no event has any more may stay in dictionaries.
    pub fn retain_rows(&mut self, keep: &[bool]) {
        let keeps = |row: usize| keep.get(row).copied().unwrap_or(true);
        let mut places = Vec::with_capacity(self.rows.len());
        let mut kept = 0;
        for row in 0..self.rows.len() {
            places.push(keeps(row).then_some(kept));
            kept += usize::from(keeps(row));
        }
        if kept == self.rows.len() {
            return;
        }
        self.used = self.used.retained(&places);
        let columns = self.source.columns.iter_mut();
        let columns = columns.chain(&mut self.ocsf.columns);
        columns.for_each(|column| column.retain_rows(&keeps));
        let mut row = 0;
        self.rows.retain(|_| {
            row += 1;
            keeps(row - 1)
        });
        let anomalies = std::mem::take(&mut self.anomalies).into_iter();
        let anomalies = anomalies
            .filter_map(|(row, anomaly)| Some((places.get(row).copied().flatten()?, anomaly)));
        self.anomalies = anomalies.collect();
    }

    fn set_of(&self, namespace: Namespace) -> &ColumnSet {
        match namespace {
            Namespace::Source => &self.source,
            Namespace::Ocsf => &self.ocsf,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cleared_batch_is_as_a_new_one() {
        let mut batch = EventBatch::new();
        for (position, name) in [(1, "Image"), (2, "User")] {
            let row = batch.push_row(&record(position), 0);
            batch.set(Namespace::Source, name, row, ValueRef::str("old"));
        }
        batch.clear();
        assert!(batch.is_empty() && batch.anomalies().is_empty());
        let row = batch.push_row(&record(3), 0);
        batch.set(Namespace::Source, "User", row, ValueRef::str("new"));
        assert_eq!(batch.get(Namespace::Source, "Image", row), None);
        assert_eq!(
            batch.get(Namespace::Source, "User", row),
            Some(ValueRef::str("new"))
        );
        batch.clear();
        assert!(batch.column(Namespace::Source, "Image").is_none());
        assert_eq!(batch.kinds().len(), 1);
    }

    #[test]
    fn rows_are_taken_out_with_all_that_is_theirs() {
        let mut batch = EventBatch::new();
        for (position, name) in [(1, "a"), (2, "b"), (3, "c")] {
            let row = batch.push_row(&record(position), 0);
            batch.set(Namespace::Source, name, row, ValueRef::str("x"));
            batch.set(Namespace::Ocsf, "o", row, ValueRef::str(name));
            let anomaly = Anomaly::new(crate::AnomalyCode::Malformed, name);
            batch.add_anomaly(row, anomaly);
        }
        batch.retain_rows(&[true, false]);
        assert_eq!(batch.len(), 2);
        let of = |row| batch.get(Namespace::Ocsf, "o", row).map(|value| value.text);
        assert_eq!([of(0), of(1), of(2)], [Some("a"), Some("c"), None]);
        let last = batch
            .anomalies()
            .last()
            .map(|(row, one)| (*row, one.detail.as_str()));
        assert_eq!(last, Some((1, "c")));
        let columns = batch.columns(Namespace::Source);
        let used: Vec<_> = batch.source_columns_of(1).collect();
        assert_eq!(used.len(), 1);
        assert_eq!(&**columns[used[0]].name(), "c");
        assert_eq!(batch.rows()[1].id, EventId::new(3, 0));
    }

    #[test]
    fn a_row_knows_its_source_columns() {
        let mut batch = EventBatch::new();
        let used = |batch: &EventBatch, row| -> Vec<String> {
            let columns = batch.columns(Namespace::Source);
            let places = batch.source_columns_of(row);
            places
                .map(|place| columns[place].name().to_string())
                .collect()
        };
        for names in [&["a", "b"][..], &[], &["b", "c"]] {
            let row = batch.push_row(&record(1), 0);
            for name in names {
                batch.set(Namespace::Source, name, row, ValueRef::str("x"));
            }
            batch.set(Namespace::Ocsf, "o", row, ValueRef::str("x"));
        }
        assert_eq!(used(&batch, 0), ["a", "b"]);
        assert_eq!(used(&batch, 1), [""; 0]);
        assert_eq!(used(&batch, 2), ["b", "c"]);
        batch.set(Namespace::Source, "late", 1, ValueRef::str("x"));
        assert_eq!(used(&batch, 1), ["late"]);
        assert_eq!(used(&batch, 2), ["b", "c", "late"]);
        batch.clear();
        batch.push_row(&record(1), 0);
        assert_eq!(used(&batch, 0), [""; 0]);
    }

    fn record(position: u64) -> RawRecord {
        RawRecord {
            source: Arc::from("test"),
            format: Format::Auto,
            context: None,
            position,
            received_at: Timestamp::UNIX_EPOCH,
            bytes: Bytes::from_static(b"{}"),
        }
    }

    #[test]
    fn rows_columns_and_kinds_hold_together() {
        let mut batch = EventBatch::new();
        let first = batch.push_row(&record(7), 0);
        let second = batch.push_row(&record(8), 1);
        batch.set(Namespace::Source, "Image", second, ValueRef::str("a.exe"));
        assert_eq!(batch.get(Namespace::Source, "Image", first), None);
        assert_eq!(
            batch.get(Namespace::Source, "Image", second),
            Some(ValueRef::str("a.exe"))
        );
        assert_eq!(batch.get(Namespace::Ocsf, "Image", second), None);

        let kind = Arc::new(EventKind {
            class_uid: 1007,
            ..EventKind::unknown()
        });
        let index = batch.intern_kind(&kind);
        assert_eq!(batch.intern_kind(&kind), index);
        batch.row_mut(second).kind = index;
        assert_eq!(batch.kind_of(first).class_uid, crate::ocsf::BASE_EVENT);
        assert_eq!(batch.kind_of(second).class_uid, 1007);
        assert_eq!(batch.rows()[second].id, EventId::new(8, 1));
    }
}
