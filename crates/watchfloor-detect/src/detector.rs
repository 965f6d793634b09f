//! The detector: rules and the state of correlations, fed batch by batch.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchfloor_event::{Entity, EventBatch, EventId, EventKind, Finding, MatchReason};
use watchfloor_rules::{Correlation, CorrelationKind, Expr, Leaf, RuleMeta, RuleSet};

use crate::correlate::{Correlator, Fired, Member};
use crate::describe;
use crate::entities::entities_of;
use crate::evaluate::{Evaluation, Match};
use crate::program::{KEYWORDS, Node, Plan, Program};
use crate::resolve;

/// Most event ids kept in a finding; `event_count` tells the whole number.
const MAX_EVENT_IDS: usize = 100;
/// Most bytes of a value in a reason.
const MAX_VALUE_BYTES: usize = 4096;
/// Most reasons in a finding.
const MAX_REASONS: usize = 64;

/// What a batch gave.
#[derive(Debug, Default)]
pub struct DetectOutcome {
    /// Findings, by event time, then rule.
    pub findings: Vec<Finding>,
    /// Events that were evaluated.
    pub evaluated: usize,
}

/// Saved state that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the saved state of correlations cannot be read")]
pub struct RestoreError(#[source] serde_json::Error);

/// All rules, and the state of those that look at several events.
#[derive(Debug)]
pub struct Detector {
    program: Arc<Program>,
    plans: HashMap<Arc<str>, Arc<Plan>, FixedState>,
    correlator: Correlator,
}

impl Detector {
    /// Compiles rules.
    pub fn new(set: RuleSet) -> Self {
        Self {
            program: Arc::new(Program::compile(set)),
            plans: HashMap::default(),
            correlator: Correlator::default(),
        }
    }

    /// Takes other rules; the state of correlations that stay as they are is kept.
    pub fn replace_rules(&mut self, set: RuleSet) {
        self.program = Arc::new(Program::compile(set));
        self.plans.clear();
    }

    /// Another detector over the same compiled rules, with no state of its own.
    #[must_use]
    pub fn share(&self) -> Self {
        Self {
            program: Arc::clone(&self.program),
            plans: self.plans.clone(),
            correlator: Correlator::default(),
        }
    }

    /// Number of rules, both kinds.
    pub fn rule_count(&self) -> usize {
        self.program.rules.len() + self.program.correlations.len()
    }

    /// Whether the rules would meet events of this kind at all.
    pub fn meets(&mut self, kind: &Arc<EventKind>) -> bool {
        let plan = self.plan(kind);
        !plan.gates.is_empty() || !plan.always.is_empty()
    }

    /// The state of correlations as JSON, to be saved with the journal position.
    pub fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.correlator).unwrap_or_default()
    }

    /// Takes up saved state.
    ///
    /// # Errors
    /// If the bytes do not come from [`Detector::save`].
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        self.correlator = serde_json::from_slice(saved).map_err(RestoreError)?;
        Ok(())
    }

    /// Evaluates all rules over a batch.
    pub fn evaluate(&mut self, batch: &EventBatch) -> DetectOutcome {
        let mut by_kind: Vec<Vec<u32>> = vec![Vec::new(); batch.kinds().len()];
        for (row, meta) in batch.rows().iter().enumerate() {
            by_kind[usize::from(meta.kind)].push(row as u32);
        }
        let plans: Vec<Arc<Plan>> = batch.kinds().iter().map(|kind| self.plan(kind)).collect();
        let program = Arc::clone(&self.program);
        let mut evaluation = Evaluation::new(&program, batch);
        let mut matches = Vec::new();
        for (plan, rows) in plans.iter().zip(&by_kind) {
            if !rows.is_empty() {
                evaluation.run(plan, rows, &mut matches);
            }
        }
        matches.sort_by_key(|one| (batch.rows()[one.row as usize].time, one.row, one.rule));
        let mut outcome = DetectOutcome {
            findings: Vec::new(),
            evaluated: batch.len(),
        };
        for one in matches {
            self.take_match(&mut evaluation, batch, one, &mut outcome.findings);
        }
        outcome
    }

    fn plan(&mut self, kind: &Arc<EventKind>) -> Arc<Plan> {
        let program = &self.program;
        let plan = self
            .plans
            .entry(Arc::clone(&kind.name))
            .or_insert_with(|| Arc::new(program.plan(kind)));
        Arc::clone(plan)
    }

    fn take_match(
        &mut self,
        evaluation: &mut Evaluation<'_>,
        batch: &EventBatch,
        one: Match,
        findings: &mut Vec<Finding>,
    ) {
        let program = Arc::clone(&self.program);
        let compiled = &program.rules[one.rule as usize];
        let row = one.row as usize;
        if compiled.emits {
            findings.push(finding_of_event(&program, evaluation, batch, one));
        }
        for &index in &compiled.feeds {
            let correlation = &program.correlations[index];
            let fields = |name: &str| {
                let columns = resolve::candidates(batch, name);
                columns
                    .into_iter()
                    .find_map(|column| column.get(row))
                    .map(|value| value.text.to_owned())
            };
            let meta = &batch.rows()[row];
            let match_ = Fed {
                meta: &compiled.rule.meta,
                time_us: meta.time.as_microsecond(),
                events: vec![meta.id],
                source: &meta.source,
                entities: entities_of(batch, row),
            };
            let chained = self.feed(&program, index, correlation, &match_, &fields, findings);
            if let Some(finding) = chained {
                findings.push(finding);
            }
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
        let mut key: BTreeKey = Vec::with_capacity(correlation.group_by.len());
        for group in &correlation.group_by {
            let alias = group
                .by_rule
                .get(&fed.meta.id)
                .or_else(|| group.by_rule.get(&fed.meta.name));
            // An event without the group's field belongs to no group.
            let value = fields(alias.unwrap_or(&group.name))?;
            key.push((group.name.clone(), value));
        }
        let group = serde_json::to_string(&key).unwrap_or_default();
        let member = Member {
            time_us: fed.time_us,
            rule: place,
            value: measured_field(&correlation.kind).and_then(fields),
            events: fed.events.clone(),
        };
        let fired = self
            .correlator
            .take(correlation, &group, member, &fed.entities)?;
        let finding = finding_of_group(correlation, &key, &fired, fed.source);
        for &next in &program.correlation_feeds[index] {
            let outer = &program.correlations[next];
            let inner_fields = |name: &str| {
                key.iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value.clone())
            };
            let inner = Fed {
                meta: &correlation.meta,
                time_us: finding.time.as_microsecond(),
                events: finding.event_ids.clone(),
                source: fed.source,
                entities: finding.entities.clone(),
            };
            let chained = self.feed(program, next, outer, &inner, &inner_fields, findings);
            findings.extend(chained);
        }
        program.correlation_emits[index].then_some(finding)
    }
}

type BTreeKey = Vec<(String, String)>;

/// What is given to a correlation.
struct Fed<'a> {
    meta: &'a RuleMeta,
    time_us: i64,
    events: Vec<EventId>,
    source: &'a str,
    entities: Vec<Entity>,
}

fn measured_field(kind: &CorrelationKind) -> Option<&str> {
    match kind {
        CorrelationKind::ValueCount(field)
        | CorrelationKind::ValueSum(field)
        | CorrelationKind::ValueAvg(field)
        | CorrelationKind::ValueMedian(field)
        | CorrelationKind::ValuePercentile(field, _) => Some(field),
        CorrelationKind::EventCount
        | CorrelationKind::Temporal
        | CorrelationKind::TemporalOrdered => None,
    }
}

fn finding_of_event(
    program: &Program,
    evaluation: &mut Evaluation<'_>,
    batch: &EventBatch,
    one: Match,
) -> Finding {
    let compiled = &program.rules[one.rule as usize];
    let meta = &compiled.rule.meta;
    let row = one.row as usize;
    let event = &batch.rows()[row];
    let mut reasons = Vec::new();
    explain(
        program,
        evaluation,
        batch,
        &compiled.node,
        &compiled.rule.expr,
        row,
        &mut reasons,
    );
    Finding {
        id: finding_id(&meta.id, &[event.id]),
        rule_id: meta.id.clone(),
        rule_version: meta.version.clone(),
        title: meta.title.clone(),
        level: meta.level,
        time: event.time,
        first_time: event.time,
        source: event.source.to_string(),
        event_ids: vec![event.id],
        event_count: 1,
        summary: describe::sentence(batch, row, &meta.title),
        reasons,
        entities: entities_of(batch, row),
        tactics: meta.tactics.clone(),
        techniques: meta.techniques.clone(),
    }
}

fn finding_of_group(
    correlation: &Correlation,
    key: &BTreeKey,
    fired: &Fired,
    source: &str,
) -> Finding {
    let meta = &correlation.meta;
    let mut ids: Vec<EventId> = fired
        .members
        .iter()
        .flat_map(|member| member.events.clone())
        .collect();
    let count = ids.len() as u64;
    ids.dedup();
    let id = finding_id(&meta.id, &ids);
    let mut entities = fired.entities.clone();
    entities.dedup_by(|left, right| left.kind == right.kind && left.value == right.value);
    ids.truncate(MAX_EVENT_IDS);
    let time = |member: Option<&Member>| {
        let time_us = member.map_or(0, |member| member.time_us);
        Timestamp::from_microsecond(time_us).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let group: Vec<String> = key
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let group = if group.is_empty() {
        String::new()
    } else {
        format!(" for {}", group.join(", "))
    };
    let seconds = correlation.timespan.as_secs();
    let reasons = key.iter().map(|(name, value)| MatchReason {
        selection: "group-by".to_owned(),
        field: name.clone(),
        value: value.clone(),
        pattern: format!(
            "{} events within {seconds} s, measure {}",
            fired.members.len(),
            fired.measure
        ),
    });
    Finding {
        id,
        rule_id: meta.id.clone(),
        rule_version: meta.version.clone(),
        title: meta.title.clone(),
        level: meta.level,
        time: time(fired.members.last()),
        first_time: time(fired.members.first()),
        source: source.to_owned(),
        event_ids: ids,
        event_count: count,
        summary: format!("{count} events within {seconds} s{group}: {}", meta.title),
        reasons: reasons.collect(),
        entities,
        tactics: meta.tactics.clone(),
        techniques: meta.techniques.clone(),
    }
}

/// Walks the condition and its compiled twin together and notes the questions with the answer
/// yes. Below a `not` there is nothing that an analyst could be shown as matched.
fn explain(
    program: &Program,
    evaluation: &mut Evaluation<'_>,
    batch: &EventBatch,
    node: &Node,
    expr: &Expr,
    row: usize,
    reasons: &mut Vec<MatchReason>,
) {
    match (node, expr) {
        (Node::And(nodes), Expr::And(exprs)) | (Node::Or(nodes), Expr::Or(exprs)) => {
            for (node, expr) in nodes.iter().zip(exprs) {
                explain(program, evaluation, batch, node, expr, row, reasons);
            }
        }
        (Node::Leaf(id), Expr::Leaf(leaf))
            if reasons.len() < MAX_REASONS && evaluation.answer(*id, row) =>
        {
            let keyword = program.predicates[*id as usize].field == KEYWORDS;
            reasons.push(reason(batch, leaf, keyword, row));
        }
        _ => {}
    }
}

fn reason(batch: &EventBatch, leaf: &Leaf, keyword: bool, row: usize) -> MatchReason {
    let name = leaf.field.as_deref().unwrap_or_default();
    let value = if keyword {
        leaf.written.clone()
    } else {
        let columns = resolve::candidates(batch, name);
        let value = columns.into_iter().find_map(|column| column.get(row));
        value.map(|value| value.text.to_owned()).unwrap_or_default()
    };
    MatchReason {
        selection: leaf.selection.clone(),
        field: if keyword {
            String::new()
        } else {
            resolve::stored_name(batch, name, row)
        },
        value: cut(value),
        pattern: leaf.written.clone(),
    }
}

fn cut(mut value: String) -> String {
    let mut end = value.len().min(MAX_VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value.truncate(end);
    value
}

fn finding_id(rule_id: &str, events: &[EventId]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(rule_id.as_bytes());
    for event in events {
        hasher.update(event.position().to_le_bytes());
        hasher.update(event.part().to_le_bytes());
    }
    hex::encode(&hasher.finalize()[..16])
}
