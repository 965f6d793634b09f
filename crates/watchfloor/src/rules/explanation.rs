//! A rule of a running server explained on an event, and the coverage of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use watchfloor_api::ports::{BacktestError, ExplainError, ExplainedEvent};
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::explain;
use watchfloor_event::{EventBatch, EventId, Format, RawRecord};
use watchfloor_lake::RecordScope;
use watchfloor_pipeline::RetroLimits;
use watchfloor_rules::{RuleMeta, RuleSet};

use super::coverage::{Coverage, Evidence, LayerHead, Tested};
use super::desk::Desk;

impl Desk {
    /// Explains a rule on one event. Blocks: it belongs on a thread of its own.
    pub(super) fn explanation(
        &self,
        rule: &str,
        event: ExplainedEvent,
    ) -> Result<Value, ExplainError> {
        let (set, _, _) = self.rules_by_id(rule).map_err(|error| match error {
            BacktestError::Missing => ExplainError::NoRule,
            other => ExplainError::Failed(other.to_string()),
        })?;
        match event {
            ExplainedEvent::Stored(id) => {
                let id: EventId = id.parse().map_err(|_| ExplainError::NoEvent)?;
                self.explain_stored(&set, rule, id)
            }
            ExplainedEvent::Raw { text, format } => {
                let format = match format {
                    None => Format::Auto,
                    Some(word) => Format::parse(&word).ok_or(ExplainError::NoFormat(word))?,
                };
                let mut batch = EventBatch::new();
                let record = RawRecord {
                    source: Arc::from("raw"),
                    format,
                    context: None,
                    position: 0,
                    received_at: Timestamp::now(),
                    bytes: Bytes::from(text),
                };
                Decoder::new(Limits::STANDARD).decode(&mut batch, &record);
                self.inner.pipeline.packs().normalize(&mut batch);
                of_row(&set, rule, &batch, 0).ok_or(ExplainError::NoRule)
            }
        }
    }

    /// The record is decoded and normalised again, as it would be now.
    fn explain_stored(
        &self,
        set: &RuleSet,
        rule: &str,
        id: EventId,
    ) -> Result<Value, ExplainError> {
        let position = id.position();
        let scope = RecordScope {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::now() + SignedDuration::from_hours(24 * 366),
            positions: position..position.saturating_add(1),
            kinds: None,
        };
        let limits = RetroLimits {
            events: u64::MAX,
            time: Duration::from_secs(30),
            stop: &AtomicBool::new(false),
        };
        let mut explained = None;
        let retro = self.inner.pipeline.retro();
        retro
            .batches(&self.inner.runtime, &scope, &limits, &mut |batch| {
                let row = batch.rows().iter().position(|row| row.id == id);
                explained = row.and_then(|row| of_row(set, rule, batch, row));
            })
            .map_err(|error| ExplainError::Failed(error.to_string()))?;
        explained.ok_or(ExplainError::NoEvent)
    }

    /// The coverage as a layer; `fired` has findings by rule. Blocks as well.
    pub(super) fn layer(&self, fired: &BTreeMap<String, (u64, Option<Timestamp>)>) -> Value {
        let now = Timestamp::now();
        let known = self.library().load(now).set;
        let mut in_force = known.clone();
        self.suspensions().clone().take_out(&mut in_force);
        let seen = self.inner.pipeline.liveness().seen(now);
        let shown = self.shown();
        let tested = |meta: &RuleMeta| Tested {
            cases: shown.cases.beside(&meta.path).len(),
            outcome: shown
                .canaries
                .get(&meta.id)
                .map(|canary| canary.outcome)
                .unwrap_or_default(),
        };
        let evidence = Evidence {
            seen: &seen,
            fired,
            tested: &tested,
        };
        let head = LayerHead {
            name: "Watchfloor coverage".to_owned(),
            description: format!(
                "{} rules in force; events of the last 24 hours, findings of the last 30 days, at {now:.0}",
                in_force.len()
            ),
        };
        Coverage::of(&in_force, &known, &evidence).layer(&head)
    }
}

fn of_row(set: &RuleSet, rule: &str, batch: &EventBatch, row: usize) -> Option<Value> {
    let mut object = explain(set, rule, batch, row)?.to_json();
    let meta = &batch.rows()[row];
    object["event"] = json!({
        "id": meta.id.to_string(),
        "kind": *batch.kind_of(row).name,
        "source": *meta.source,
        "time": meta.time.to_string(),
    });
    Some(object)
}
