//! The detector: rules and the state of correlations, fed batch by batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use watchfloor_event::{Entity, EventBatch, EventId, EventKind, Finding};
use watchfloor_rules::{Correlation, CorrelationKind, GroupBy, Rule, RuleMeta, RuleSet};

use crate::analytics::{Analytics, Feeder, Sighting, States};
use crate::correlate::{Correlator, Member};
use crate::evaluate::{Evaluation, Match};
use crate::finding::{GroupKey, finding_of_event, finding_of_group};
use crate::gate::Frequencies;
use crate::memory::{Memory, PlanMemory};
use crate::program::{Plan, Program};

/// Events of a kind after which its gates are chosen anew by what was measured; each time four
/// times as many.
const FIRST_MEASURE_EVENTS: u64 = 256;

/// What a batch gave.
#[derive(Debug, Default)]
pub struct DetectOutcome {
    /// Findings, by event time, then rule.
    pub findings: Vec<Finding>,
    /// Events that were evaluated.
    pub evaluated: usize,
}

/// Which rules come along with those that are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// Those that they rest on.
    Bases,
    /// Those as well that rest on them.
    Dependents,
}

/// Saved state that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the saved state of correlations cannot be read")]
pub struct RestoreError(#[source] serde_json::Error);

/// All rules, and the state of those that look at several events.
#[derive(Debug)]
pub struct Detector {
    program: Arc<Program>,
    plans: HashMap<Arc<str>, KindPlan, FixedState>,
    memory: Memory,
    correlator: Correlator,
    analytics: Analytics,
}

/// What is saved.
#[derive(Serialize)]
struct Saved<'a> {
    correlations: &'a Correlator,
    analytics: &'a States,
}

/// What is taken up.
#[derive(Deserialize)]
struct Restored {
    correlations: Correlator,
    analytics: States,
}

/// The plan for one kind of event, with what was learnt about it.
#[derive(Debug, Default)]
struct KindPlan {
    plan: Arc<Plan>,
    memory: PlanMemory,
    frequencies: Frequencies,
    events: u64,
    measure_at: u64,
}

impl Detector {
    /// Compiles rules.
    pub fn new(set: RuleSet) -> Self {
        let analytics = Analytics::new(&set);
        Self {
            program: Arc::new(Program::compile(set)),
            plans: HashMap::default(),
            memory: Memory::default(),
            correlator: Correlator::default(),
            analytics,
        }
    }

    /// Takes other rules; the state of correlations that stay as they are is kept.
    pub fn replace_rules(&mut self, set: RuleSet) {
        self.analytics.replace(&set);
        self.program = Arc::new(Program::compile(set));
        self.plans.clear();
        self.memory = Memory::default();
    }

    /// Takes the compiled rules of another detector; the state of correlations that stay as
    /// they are is kept.
    pub fn adopt(&mut self, other: &Self) {
        self.analytics.adopt(&other.analytics);
        self.program = Arc::clone(&other.program);
        self.plans.clear();
        self.memory = Memory::default();
    }

    /// Another detector over the same compiled rules, with no state of its own.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            program: Arc::clone(&self.program),
            plans: HashMap::default(),
            memory: Memory::default(),
            correlator: Correlator::default(),
            analytics: self.analytics.share(),
        }
    }

    /// The rules named by id, with those that they rest on, as a set of their own. With
    /// `Company::Dependents`, those that rest on them come along too: their own findings may
    /// hang on it.
    pub fn subset(&self, ids: &BTreeSet<String>, company: Company) -> RuleSet {
        let program = &self.program;
        let rules = || program.rules.iter().map(|compiled| &compiled.rule);
        let analytics = self.analytics.all();
        let over_rules = || {
            let correlations = program.correlations.iter();
            let correlations = correlations.map(|one| (&one.meta, &one.rules));
            correlations.chain(analytics.iter().map(|one| (&one.meta, &one.rules)))
        };
        let mut wanted = ids.clone();
        // Each round adds at least one rule, or is the last.
        loop {
            let before = wanted.len();
            for (meta, names) in over_rules() {
                let is_named = |below: &&RuleMeta| {
                    names.contains(&below.id)
                        || (!below.name.is_empty() && names.contains(&below.name))
                };
                let metas = rules().map(|rule| &rule.meta);
                let metas = metas.chain(program.correlations.iter().map(|one| &one.meta));
                let below: Vec<&RuleMeta> = metas.filter(is_named).collect();
                let mut ids = below.iter().map(|below| &below.id);
                if company == Company::Dependents && ids.any(|id| wanted.contains(id)) {
                    wanted.insert(meta.id.clone());
                }
                if wanted.contains(&meta.id) {
                    wanted.extend(below.iter().map(|below| below.id.clone()));
                }
            }
            if wanted.len() == before {
                break;
            }
        }
        let is_wanted = |meta: &RuleMeta| wanted.contains(&meta.id);
        let correlations = program.correlations.iter();
        let analytics = analytics.iter();
        RuleSet {
            rules: rules()
                .filter(|one| is_wanted(&one.meta))
                .cloned()
                .collect(),
            correlations: correlations
                .filter(|one| is_wanted(&one.meta))
                .cloned()
                .collect(),
            analytics: analytics
                .filter(|one| is_wanted(&one.meta))
                .cloned()
                .collect(),
            ..RuleSet::default()
        }
    }

    /// A rule over single events by its place.
    pub(crate) fn rule_at(&self, place: usize) -> Option<&Rule> {
        let compiled = self.program.rules.get(place);
        compiled.map(|compiled| &compiled.rule)
    }

    /// Number of rules of all kinds.
    pub fn rule_count(&self) -> usize {
        self.program.rules.len() + self.program.correlations.len() + self.analytics.len()
    }

    /// Whether the rules would meet events of this kind at all.
    pub fn meets(&self, kind: &EventKind) -> bool {
        let mut sources = self.program.logsources.iter();
        sources.any(|source| kind.answers_to(source))
    }

    /// The state of correlations and analytics as JSON, to be saved with the journal position.
    pub fn save(&self) -> Vec<u8> {
        let saved = Saved {
            correlations: &self.correlator,
            analytics: self.analytics.states(),
        };
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// Takes up saved state.
    ///
    /// # Errors
    /// If the bytes do not come from [`Detector::save`].
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let restored = serde_json::from_slice::<Restored>(saved);
        // Earlier versions saved correlations alone.
        let earlier = || serde_json::from_slice::<Correlator>(saved).ok();
        let (correlations, analytics) = match restored {
            Ok(restored) => (restored.correlations, restored.analytics),
            Err(error) => (earlier().ok_or(RestoreError(error))?, States::default()),
        };
        self.correlator = correlations;
        self.analytics.restore(analytics);
        Ok(())
    }

    /// Evaluates all rules over a batch.
    pub fn evaluate(&mut self, batch: &EventBatch) -> DetectOutcome {
        let mut by_kind: Vec<Vec<u32>> = vec![Vec::new(); batch.kinds().len()];
        for (row, meta) in batch.rows().iter().enumerate() {
            by_kind[usize::from(meta.kind)].push(row as u32);
        }
        let program = Arc::clone(&self.program);
        let mut memory = std::mem::take(&mut self.memory);
        memory.prepare(&program);
        let epoch = memory.epoch;
        let mut evaluation = Evaluation::new(&program, batch, &mut memory);
        let mut matches = Vec::new();
        let Self { plans, .. } = self;
        for (kind, rows) in batch.kinds().iter().zip(&by_kind) {
            if rows.is_empty() {
                continue;
            }
            let known = plans
                .entry(Arc::clone(&kind.name))
                .or_insert_with(|| KindPlan::new(&program, kind));
            known.memory.keep_to(epoch);
            known.measure(&program, kind, rows, &mut evaluation);
            evaluation.run(&known.plan, &mut known.memory, rows, &mut matches);
        }
        matches.sort_by_key(|one| (batch.rows()[one.row as usize].time, one.row, one.rule));
        let mut outcome = DetectOutcome {
            findings: Vec::new(),
            evaluated: batch.len(),
        };
        for one in matches {
            self.take_match(&program, &mut evaluation, batch, one, &mut outcome.findings);
        }
        drop(evaluation);
        self.memory = memory;
        outcome
    }

    fn take_match<'a>(
        &mut self,
        program: &'a Program,
        evaluation: &mut Evaluation<'a>,
        batch: &EventBatch,
        one: Match,
        findings: &mut Vec<Finding>,
    ) {
        let compiled = &program.rules[one.rule as usize];
        let row = one.row as usize;
        let feeder = Feeder::Rule(one.rule as usize);
        if compiled.emits && !self.analytics.silences(feeder) {
            findings.push(finding_of_event(program, evaluation, batch, one));
        }
        let for_analytics = self.analytics.is_fed_by(feeder);
        if compiled.feeds.is_empty() && !for_analytics {
            return;
        }
        let facts = evaluation.facts(row);
        let fields = |name: &str| evaluation.text(name, row).map(str::to_owned);
        let meta = &batch.rows()[row];
        let fed = Fed {
            meta: &compiled.rule.meta,
            time_us: meta.time.as_microsecond(),
            received_us: meta.received_at.as_microsecond(),
            events: vec![meta.id],
            source: &meta.source,
            entities: facts.entities.clone(),
        };
        if for_analytics {
            let sighting = fed.sighting(&fields);
            self.analytics.take(feeder, &sighting, findings);
        }
        for &index in &compiled.feeds {
            let correlation = &program.correlations[index];
            let chained = self.feed(program, index, correlation, &fed, &fields, findings);
            findings.extend(chained);
        }
    }

    /// Gives a match to a correlation, and what it concludes to those that rest on it in turn.
    fn feed(
        &mut self,
        program: &Program,
        index: usize,
        correlation: &Correlation,
        fed: &Fed<'_>,
        fields: &dyn Fn(&str) -> Option<String>,
        findings: &mut Vec<Finding>,
    ) -> Option<Finding> {
        let is_it = |name: &&String| {
            **name == fed.meta.id || (!fed.meta.name.is_empty() && **name == fed.meta.name)
        };
        let place = correlation.rules.iter().position(|name| is_it(&name))?;
        let mut key: GroupKey = Vec::with_capacity(correlation.group_by.len());
        for group in &correlation.group_by {
            let names = group.fields_of(&fed.meta.id, &fed.meta.name);
            // An event without the group's field belongs to no group.
            let value = names.iter().find_map(|name| fields(name))?;
            key.push((group.name.clone(), value));
        }
        let group = serde_json::to_string(&key).unwrap_or_default();
        let member = Member {
            time_us: fed.time_us,
            rule: place,
            value: measured_value(&correlation.kind, fields),
            events: fed.events.clone(),
        };
        let fired = self
            .correlator
            .take(correlation, &group, member, &fed.entities)?;
        let finding = finding_of_group(correlation, &key, &fired, fed.source);
        let inner_fields = |name: &str| {
            let is_it =
                |group: &GroupBy| group.name == name || group.fields.iter().any(|one| one == name);
            let place = correlation.group_by.iter().position(is_it)?;
            key.get(place).map(|(_, value)| value.clone())
        };
        let inner = Fed {
            meta: &correlation.meta,
            time_us: finding.time.as_microsecond(),
            received_us: fed.received_us,
            events: finding.event_ids.clone(),
            source: fed.source,
            entities: finding.entities.clone(),
        };
        let feeder = Feeder::Correlation(index);
        if self.analytics.is_fed_by(feeder) {
            let sighting = inner.sighting(&inner_fields);
            self.analytics.take(feeder, &sighting, findings);
        }
        for &next in &program.correlation_feeds[index] {
            let outer = &program.correlations[next];
            let chained = self.feed(program, next, outer, &inner, &inner_fields, findings);
            findings.extend(chained);
        }
        let emits = program.correlation_emits[index] && !self.analytics.silences(feeder);
        emits.then_some(finding)
    }
}

impl KindPlan {
    fn new(program: &Program, kind: &EventKind) -> Self {
        Self {
            plan: Arc::new(program.plan(kind, &Frequencies::default())),
            measure_at: FIRST_MEASURE_EVENTS,
            ..Self::default()
        }
    }

    /// Chooses the gates anew when enough events were seen to know better.
    fn measure(
        &mut self,
        program: &Program,
        kind: &EventKind,
        rows: &[u32],
        evaluation: &mut Evaluation<'_>,
    ) {
        self.events += rows.len() as u64;
        if self.events < self.measure_at {
            return;
        }
        self.measure_at = self.events.saturating_mul(4);
        evaluation.measure(&self.plan, rows, &mut self.frequencies);
        self.plan = Arc::new(program.plan(kind, &self.frequencies));
        self.memory = self.memory.emptied();
    }
}

/// What is given to a correlation.
struct Fed<'a> {
    meta: &'a RuleMeta,
    time_us: i64,
    received_us: i64,
    events: Vec<EventId>,
    source: &'a str,
    entities: Vec<Entity>,
}

impl<'a> Fed<'a> {
    /// The same for analytics.
    fn sighting<'b>(&'b self, fields: &'b dyn Fn(&str) -> Option<String>) -> Sighting<'b>
    where
        'a: 'b,
    {
        Sighting {
            meta: self.meta,
            time_us: self.time_us,
            received_us: self.received_us,
            events: &self.events,
            source: self.source,
            entities: &self.entities,
            fields,
        }
    }
}

/// The value that a correlation measures; the tuple of several fields is written as a list.
fn measured_value(
    kind: &CorrelationKind,
    fields: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    match kind {
        CorrelationKind::ValueCount(names) if names.len() > 1 => {
            let tuple: Option<Vec<String>> = names.iter().map(|name| fields(name)).collect();
            serde_json::to_string(&tuple?).ok()
        }
        CorrelationKind::ValueCount(names) => fields(names.first()?),
        CorrelationKind::ValueSum(field)
        | CorrelationKind::ValueAvg(field)
        | CorrelationKind::ValueMedian(field)
        | CorrelationKind::ValuePercentile(field, _) => fields(field),
        CorrelationKind::EventCount
        | CorrelationKind::Temporal
        | CorrelationKind::TemporalOrdered => None,
    }
}
