//! The detector: rules and the state of correlations, fed batch by batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use watchfloor_event::{EventBatch, EventKind, Finding};
use watchfloor_rules::{Correlation, GroupBy, Rule, RuleMeta, RuleSet};

use crate::analytics::{Analytics, Feeder, Sighting};
use crate::correlate::{
    CorrelationSize, Correlator, Fired, LATENESS_US, Member, Parties, hash, hash_of_all,
    put_entity, put_events,
};
use crate::evaluate::{Evaluation, Match};
use crate::feeding::{self, Feed, Feeding};
use crate::finding::{GroupKey, finding_of_event, finding_of_group};
use crate::gate::Frequencies;
use crate::memory::{Memory, PlanMemory};
use crate::program::{Plan, Program};
use crate::saved_state::Saving;

/// Events of a kind after which its gates are chosen anew by what was measured; each time four
/// times as many.
const FIRST_MEASURE_EVENTS: u64 = 256;

/// Matches whose groups are fetched together.
const WARMED_MATCHES: usize = 128;

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

/// All rules, and the state of those that look at several events.
#[derive(Debug)]
pub struct Detector {
    program: Arc<Program>,
    plans: HashMap<Arc<str>, KindPlan, FixedState>,
    memory: Memory,
    pub(crate) correlator: Correlator,
    pub(crate) analytics: Analytics,
    pub(crate) saving: Saving,
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
        let program = Program::compile(set);
        Self {
            correlator: Correlator::new(&program.correlations),
            program: Arc::new(program),
            plans: HashMap::default(),
            memory: Memory::default(),
            saving: Saving::default(),
            analytics,
        }
    }

    /// Takes other rules; the state of correlations that stay as they are is kept.
    pub fn replace_rules(&mut self, set: RuleSet) {
        self.analytics.replace(&set);
        self.program = Arc::new(Program::compile(set));
        self.correlator.follow(&self.program.correlations);
        self.saving = Saving::default();
        self.plans.clear();
        self.memory = Memory::default();
    }

    /// Takes the compiled rules of another detector; the state of correlations that stay as
    /// they are is kept.
    pub fn adopt(&mut self, other: &Self) {
        self.analytics.adopt(&other.analytics);
        self.program = Arc::clone(&other.program);
        self.correlator.follow(&self.program.correlations);
        self.saving = Saving::default();
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
            saving: Saving::default(),
            correlator: Correlator::new(&self.program.correlations),
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

    /// The compiled rules.
    pub(crate) fn program(&self) -> Arc<Program> {
        Arc::clone(&self.program)
    }

    /// A rule over single events by its place.
    pub(crate) fn rule_at(&self, place: usize) -> Option<&Rule> {
        let compiled = self.program.rules.get(place);
        compiled.map(|compiled| &compiled.rule)
    }

    /// Ids of the rules over single events, in the order of loading.
    pub fn rule_ids(&self) -> impl Iterator<Item = &str> {
        let rules = self.program.rules.iter();
        rules.map(|compiled| compiled.rule.meta.id.as_str())
    }

    /// Ids of the rules over single events that make no findings of their own, because a rule
    /// over several events rests on them and speaks for them.
    pub fn silent_rules(&self) -> BTreeSet<String> {
        let rules = self.program.rules.iter().enumerate();
        let silent = rules.filter(|(place, compiled)| {
            !compiled.emits || self.analytics.silences(Feeder::Rule(*place))
        });
        silent
            .map(|(_, compiled)| compiled.rule.meta.id.clone())
            .collect()
    }

    /// Number of rules of all kinds.
    pub fn rule_count(&self) -> usize {
        self.program.rules.len() + self.program.correlations.len() + self.analytics.len()
    }

    /// How much correlations keep.
    pub fn correlation_size(&self) -> CorrelationSize {
        self.correlator.size()
    }

    /// Whether the rules would meet events of this kind at all.
    pub fn meets(&self, kind: &EventKind) -> bool {
        let mut sources = self.program.logsources.iter();
        sources.any(|source| kind.answers_to(source))
    }

    /// The rules over single events that match, with the rows they match: place of the rule in
    /// [`Detector::rule_ids`], row. Nothing is correlated and no finding is made.
    pub fn matches(&mut self, batch: &EventBatch) -> Vec<(usize, usize)> {
        let program = Arc::clone(&self.program);
        let mut memory = std::mem::take(&mut self.memory);
        memory.prepare(&program);
        let mut evaluation = Evaluation::new(&program, batch, &mut memory);
        let matches = self.run(&program, &mut evaluation, batch);
        drop(evaluation);
        self.memory = memory;
        let matches = matches.iter();
        matches
            .map(|one| (one.rule as usize, one.row as usize))
            .collect()
    }

    /// Evaluates all rules over a batch.
    pub fn evaluate(&mut self, batch: &EventBatch) -> DetectOutcome {
        let program = Arc::clone(&self.program);
        let mut memory = std::mem::take(&mut self.memory);
        memory.prepare(&program);
        let mut evaluation = Evaluation::new(&program, batch, &mut memory);
        let mut matches = self.run(&program, &mut evaluation, batch);
        put_in_order(batch, &mut matches);
        let mut findings = Vec::new();
        let mut feeding = Feeding::new(&program.wiring, batch);
        for part in matches.chunks(WARMED_MATCHES) {
            self.warm(&program, &mut feeding, part);
            for one in part {
                self.take_match(&mut evaluation, &mut feeding, batch, *one, &mut findings);
            }
        }
        drop(evaluation);
        self.memory = memory;
        findings.sort_by_key(|finding| finding.time);
        DetectOutcome {
            findings,
            evaluated: batch.len(),
        }
    }

    /// Matches of single events, kind by kind.
    fn run(
        &mut self,
        program: &Program,
        evaluation: &mut Evaluation<'_>,
        batch: &EventBatch,
    ) -> Vec<Match> {
        let mut by_kind: Vec<Vec<u32>> = vec![Vec::new(); batch.kinds().len()];
        for (row, meta) in batch.rows().iter().enumerate() {
            by_kind[usize::from(meta.kind)].push(row as u32);
        }
        let epoch = evaluation.epoch();
        let mut matches = Vec::new();
        for (kind, rows) in batch.kinds().iter().zip(&by_kind) {
            if rows.is_empty() {
                continue;
            }
            let known = self
                .plans
                .entry(Arc::clone(&kind.name))
                .or_insert_with(|| KindPlan::new(program, kind));
            known.memory.keep_to(epoch);
            known.measure(program, kind, rows, evaluation);
            evaluation.run(&known.plan, &mut known.memory, rows, &mut matches);
        }
        matches
    }

    /// Fetches the groups of some matches before they are worked on one by one: waiting for
    /// memory is most of a correlation's work, and here one wait does not hold up the next.
    fn warm(&self, program: &Program, feeding: &mut Feeding<'_>, matches: &[Match]) {
        let mut keys = Vec::with_capacity(2 * matches.len());
        for one in matches {
            for feed in program.wiring.feeds(one.rule as usize) {
                let key = feeding.key(feed, one.row as usize);
                keys.extend(key.map(|key| (feed.correlation, key)));
            }
        }
        std::hint::black_box(self.correlator.fetch(&keys));
    }

    fn take_match<'a>(
        &mut self,
        evaluation: &mut Evaluation<'a>,
        feeding: &mut Feeding<'a>,
        batch: &EventBatch,
        one: Match,
        findings: &mut Vec<Finding>,
    ) {
        let program = evaluation.program();
        let compiled = &program.rules[one.rule as usize];
        let row = one.row as usize;
        let feeder = Feeder::Rule(one.rule as usize);
        if compiled.emits && !self.analytics.silences(feeder) {
            findings.push(finding_of_event(program, evaluation, batch, one));
        }
        if self.analytics.is_fed_by(feeder) {
            let facts = evaluation.facts(row);
            let fields = |name: &str| evaluation.text(name, row).map(str::to_owned);
            let meta = &batch.rows()[row];
            let sighting = Sighting {
                meta: &compiled.rule.meta,
                time_us: meta.time.as_microsecond(),
                received_us: meta.received_at.as_microsecond(),
                events: &[meta.id],
                source: &meta.source,
                entities: &facts.entities,
                fields: &fields,
            };
            self.analytics.take(feeder, &sighting, findings);
        }
        let feeds = program.wiring.feeds(one.rule as usize);
        if !feeds.is_empty() {
            self.feed_match(evaluation, feeding, batch, one, feeds, findings);
        }
    }

    /// Gives a match to the correlations that rest on its rule.
    fn feed_match<'a>(
        &mut self,
        evaluation: &Evaluation<'a>,
        feeding: &mut Feeding<'a>,
        batch: &EventBatch,
        one: Match,
        feeds: &[Feed],
        findings: &mut Vec<Finding>,
    ) {
        let program = evaluation.program();
        let row = one.row as usize;
        let meta = &batch.rows()[row];
        let time_us = meta.time.as_microsecond();
        let received_us = meta.received_at.as_microsecond();
        let mut fired = Vec::new();
        for feed in feeds {
            let Some(key) = feeding.key(feed, row) else {
                continue;
            };
            let value = feeding.value(feed, row);
            let parties = feeding.parties(row);
            let member = Member::new(time_us, feed.place, value, meta.id, parties);
            self.correlator
                .take(feed.correlation, key, member, received_us, &mut fired);
            if fired.is_empty() {
                continue;
            }
            let correlation = &program.correlations[feed.correlation];
            let rule = &program.rules[one.rule as usize].rule.meta;
            let fields = |name: &str| evaluation.text(name, row).map(str::to_owned);
            let Some(key) = key_of(correlation, rule, &fields) else {
                continue;
            };
            let place = Place {
                key: &key,
                received_us,
                source: &meta.source,
            };
            for fired in fired.drain(..) {
                self.conclude(program, feed.correlation, &place, &fired, findings);
            }
        }
    }

    /// Makes a finding of a correlation that holds, and gives it to what rests on the
    /// correlation in turn.
    fn conclude(
        &mut self,
        program: &Program,
        index: usize,
        place: &Place<'_>,
        fired: &Fired,
        findings: &mut Vec<Finding>,
    ) {
        let correlation = &program.correlations[index];
        let finding = finding_of_group(correlation, place.key, fired, place.source);
        let fields = |name: &str| {
            let is_it =
                |group: &GroupBy| group.name == name || group.fields.iter().any(|one| one == name);
            let found = correlation.group_by.iter().position(is_it)?;
            place.key.get(found).map(|(_, value)| value.clone())
        };
        let feeder = Feeder::Correlation(index);
        if self.analytics.is_fed_by(feeder) {
            let sighting = Sighting {
                meta: &correlation.meta,
                time_us: fired.last_us,
                received_us: place.received_us,
                events: &finding.event_ids,
                source: place.source,
                entities: &finding.entities,
                fields: &fields,
            };
            self.analytics.take(feeder, &sighting, findings);
        }
        for &next in &program.correlation_feeds[index] {
            let outer = &program.correlations[next];
            let rule = &correlation.meta;
            let known = key_of(outer, rule, &fields).zip(feeding::place_of(outer, rule));
            let Some((key, at)) = known else {
                continue;
            };
            let value = feeding::value_of(&outer.kind, &fields);
            let Some(first) = finding.event_ids.first() else {
                continue;
            };
            let parties = parties_of(&finding);
            let member = Member::new(fired.last_us, at, value, *first, parties);
            let values = hash_of_all(key.iter().map(|(_, value)| hash(value)));
            let mut outer_fired = Vec::new();
            self.correlator
                .take(next, values, member, place.received_us, &mut outer_fired);
            let outer_place = Place {
                key: &key,
                ..*place
            };
            for fired in &outer_fired {
                self.conclude(program, next, &outer_place, fired, findings);
            }
        }
        if program.correlation_emits[index] && !self.analytics.silences(feeder) {
            findings.push(finding);
        }
    }
}

/// The group in which a correlation holds, and what of it came last.
struct Place<'a> {
    key: &'a GroupKey,
    received_us: i64,
    source: &'a str,
}

/// Puts matches in the order in which correlations and analytics take them: that of the events,
/// so that it does not matter how they were cut into batches. Only where events of a batch are
/// further apart than the lateness limit, as in files that are read one after the other, the
/// order of time is taken instead: else the older ones would come too late.
fn put_in_order(batch: &EventBatch, matches: &mut [Match]) {
    matches.sort_unstable_by_key(|one| (one.row, one.rule));
    let time_us = |one: &Match| batch.rows()[one.row as usize].time.as_microsecond();
    let mut newest_us = i64::MIN;
    let is_late = matches.iter().any(|one| {
        newest_us = newest_us.max(time_us(one));
        time_us(one) < newest_us.saturating_sub(LATENESS_US)
    });
    if is_late {
        matches.sort_by_key(time_us);
    }
}

/// Names and values of the group; an event without one of them belongs to none.
fn key_of(
    correlation: &Correlation,
    rule: &RuleMeta,
    fields: &dyn Fn(&str) -> Option<String>,
) -> Option<GroupKey> {
    let value = |group: &GroupBy| {
        let mut names = group.fields_of(&rule.id, &rule.name).iter();
        let value = names.find_map(|name| fields(name))?;
        Some((group.name.clone(), value))
    };
    correlation.group_by.iter().map(value).collect()
}

/// Who and what took part in a finding, and its events.
fn parties_of(finding: &Finding) -> Parties {
    let mut bytes = Vec::new();
    for one in &finding.entities {
        put_entity(&mut bytes, one.kind, &one.role, &one.value);
    }
    put_events(&mut bytes, finding.event_ids.get(1..).unwrap_or_default());
    Parties::of(&bytes)
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
