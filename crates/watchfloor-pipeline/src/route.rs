//! Routes: what becomes of some records besides being kept. Records are left out, sampled,
//! masked or forwarded, by source and by what they hold, before they are decoded or after they
//! are normalised.
//!
//! What a route leaves out is counted with its name; what it masks is masked before rules,
//! indicators and the lake see it. The decision depends on the record and its place in the
//! journal alone, so that reading the journal again after a crash decides the same.

mod forward;
mod mask;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, RawRecord};
use watchfloor_normalize::to_ocsf_json;

pub use forward::{ForwardError, ForwardOptions, ForwardStatus, Forwarder};
pub use mask::{MaskKey, MaskStyle};
pub use rule::{Act, Form, RouteError, RouteRule, Stage};

use crate::ledger::{Deltas, count_drop};
use rule::{Compiled, Step};

/// What routes are known by in the ledger's reasons.
const REASON: &str = "route:";

/// All routes, in order.
#[derive(Debug, Default)]
pub struct Routes {
    before: Vec<Compiled>,
    after: Vec<Compiled>,
    /// Conditions of the routes after normalisation.
    conditions: Option<Detector>,
    forwarders: BTreeMap<String, Arc<Forwarder>>,
    key: MaskKey,
}

/// What the routes after normalisation left out of a batch: reason by journal position, for
/// records of which nothing is left.
pub(crate) type LeftOut = BTreeMap<u64, String>;

impl Routes {
    /// Compiles routes. `key` makes hashes of masked values that only this installation can
    /// make.
    ///
    /// # Errors
    /// If a route cannot be understood: which, why, and how to mend it.
    pub fn new(
        rules: Vec<RouteRule>,
        forwarders: BTreeMap<String, Arc<Forwarder>>,
        key: MaskKey,
    ) -> Result<Self, RouteError> {
        let mut routes = Self {
            forwarders,
            key,
            ..Self::default()
        };
        let mut searches = Vec::new();
        for rule in rules {
            let compiled = Compiled::new(rule, &routes.forwarders, &mut searches)?;
            match compiled.stage {
                Stage::Before => routes.before.push(compiled),
                Stage::After => routes.after.push(compiled),
            }
        }
        if !searches.is_empty() {
            routes.conditions = Some(rule::detector(searches)?);
        }
        Ok(routes)
    }

    /// The same routes for another partition; they forward to the same destinations.
    #[must_use]
    pub(crate) fn share(&self) -> Self {
        Self {
            before: self.before.clone(),
            after: self.after.clone(),
            conditions: self.conditions.as_ref().map(Detector::share),
            forwarders: self.forwarders.clone(),
            key: self.key.clone(),
        }
    }

    /// Where records are forwarded to.
    pub fn forwarders(&self) -> impl Iterator<Item = &Arc<Forwarder>> {
        self.forwarders.values()
    }

    /// Whether records pass as they are.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Works on records before they are decoded; what is left out is counted.
    pub(crate) fn before(&self, records: Vec<RawRecord>, deltas: &mut Deltas) -> Vec<RawRecord> {
        if self.before.is_empty() {
            return records;
        }
        let mut parcels = Parcels::default();
        let kept = records.into_iter().filter_map(|mut record| {
            for route in &self.before {
                if !route.meets_record(&record) {
                    continue;
                }
                match &route.step {
                    Step::Drop => return self.leave_out(route, &record, deltas),
                    Step::Sample(share) if !share.keeps(record.position, 0) => {
                        return self.leave_out(route, &record, deltas);
                    }
                    Step::Sample(_) => {}
                    Step::MaskText(mask) => record.bytes = mask.apply(&self.key, &record.bytes),
                    // Fields are known after normalisation only.
                    Step::MaskFields(..) => {}
                    Step::Forward(to, _) => {
                        parcels.add(to, record.position, 0, record.bytes.to_vec());
                    }
                }
            }
            Some(record)
        });
        let kept = kept.collect();
        self.send(parcels);
        kept
    }

    fn leave_out(
        &self,
        route: &Compiled,
        record: &RawRecord,
        deltas: &mut Deltas,
    ) -> Option<RawRecord> {
        let reason = format!("{REASON}{}", route.name);
        count_drop(deltas, record.received_at, &record.source, &reason);
        None
    }

    /// Works on the events of a normalised batch, and says of which records nothing is left.
    pub(crate) fn after(&mut self, batch: &mut EventBatch) -> LeftOut {
        if self.after.is_empty() || batch.is_empty() {
            return LeftOut::new();
        }
        let mut matched: BTreeSet<(usize, usize)> = BTreeSet::new();
        if let Some(conditions) = &mut self.conditions {
            matched.extend(conditions.matches(batch));
        }
        let mut keep = vec![true; batch.len()];
        let mut reasons = LeftOut::new();
        let mut parcels = Parcels::default();
        for route in &self.after {
            let rows: Vec<usize> = (0..batch.len())
                .filter(|row| keep[*row] && route.meets_source(&batch.rows()[*row].source))
                .filter(|row| {
                    let condition = route.condition;
                    condition.is_none_or(|condition| matched.contains(&(condition, *row)))
                })
                .collect();
            for row in rows {
                let id = batch.rows()[row].id;
                match &route.step {
                    Step::Drop => keep[row] = false,
                    Step::Sample(share) => keep[row] = share.keeps(id.position(), id.part()),
                    Step::MaskText(mask) => mask::mask_text(batch, row, mask, &self.key),
                    Step::MaskFields(fields, style) => {
                        mask::mask_fields(batch, row, fields, *style, &self.key);
                    }
                    Step::Forward(to, form) => {
                        let bytes = match form {
                            Form::Raw => batch.rows()[row].raw.to_vec(),
                            Form::Ocsf => to_ocsf_json(batch, row).to_string().into_bytes(),
                        };
                        parcels.add(to, id.position(), id.part(), bytes);
                    }
                }
                if !keep[row] {
                    reasons.insert(id.position(), format!("{REASON}{}", route.name));
                }
            }
        }
        self.send(parcels);
        batch.retain_rows(&keep);
        for meta in batch.rows() {
            reasons.remove(&meta.id.position());
        }
        reasons
    }

    fn send(&self, parcels: Parcels) {
        for (to, parcels) in parcels.by_target {
            if let Some(forwarder) = self.forwarders.get(&to) {
                forwarder.take(parcels);
            }
        }
    }
}

/// Records on their way to other systems.
#[derive(Default)]
struct Parcels {
    by_target: BTreeMap<String, Vec<forward::Parcel>>,
}

impl Parcels {
    fn add(&mut self, to: &str, position: u64, part: u32, bytes: Vec<u8>) {
        let parcel = forward::Parcel {
            position,
            part,
            bytes,
        };
        match self.by_target.get_mut(to) {
            Some(parcels) => parcels.push(parcel),
            None => {
                self.by_target.insert(to.to_owned(), vec![parcel]);
            }
        }
    }
}
