//! Findings: what is told of a match to those who look at it.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchfloor_event::{EventBatch, EventId, Finding, MatchReason};
use watchfloor_rules::{Correlation, Expr, Leaf};

use crate::correlate::Fired;
use crate::evaluate::{Evaluation, Match};
use crate::program::{KEYWORDS, Node, Program};

/// Most event ids kept in a finding; `event_count` tells the whole number.
const MAX_EVENT_IDS: usize = 100;
/// Most bytes of a value in a reason.
const MAX_VALUE_BYTES: usize = 4096;
/// Most reasons in a finding.
const MAX_REASONS: usize = 64;

/// A group's key: names and values in the order of the rule's `group-by`.
pub(crate) type GroupKey = Vec<(String, String)>;

pub(crate) fn finding_of_event<'a>(
    program: &'a Program,
    evaluation: &mut Evaluation<'a>,
    batch: &EventBatch,
    one: Match,
) -> Finding {
    let compiled = &program.rules[one.rule as usize];
    let meta = &compiled.rule.meta;
    let row = one.row as usize;
    let event = &batch.rows()[row];
    let mut reasons = Reasons {
        program,
        evaluation,
        row,
        found: Vec::new(),
    };
    reasons.walk(&compiled.node, &compiled.rule.expr);
    let reasons = reasons.found;
    let facts = evaluation.facts(row);
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
        summary: facts.description.sentence(&meta.title),
        reasons,
        entities: facts.entities.clone(),
        tactics: meta.tactics.clone(),
        techniques: meta.techniques.clone(),
    }
}

pub(crate) fn finding_of_group(
    correlation: &Correlation,
    key: &GroupKey,
    fired: &Fired,
    source: &str,
) -> Finding {
    let meta = &correlation.meta;
    let mut ids = fired.events.clone();
    let count = ids.len() as u64;
    ids.dedup();
    let id = finding_id(&meta.id, &ids);
    let mut entities = fired.entities.clone();
    entities.dedup_by(|left, right| left.kind == right.kind && left.value == right.value);
    ids.truncate(MAX_EVENT_IDS);
    let time = |time_us| Timestamp::from_microsecond(time_us).unwrap_or(Timestamp::UNIX_EPOCH);
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
            fired.members, fired.measure
        ),
    });
    Finding {
        id,
        rule_id: meta.id.clone(),
        rule_version: meta.version.clone(),
        title: meta.title.clone(),
        level: meta.level,
        time: time(fired.last_us),
        first_time: time(fired.first_us),
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

/// A walk over a condition and its compiled twin that notes the questions with the answer
/// yes. Below a `not` there is nothing that an analyst could be shown as matched.
struct Reasons<'e, 'a> {
    program: &'a Program,
    evaluation: &'e mut Evaluation<'a>,
    row: usize,
    found: Vec<MatchReason>,
}

impl Reasons<'_, '_> {
    fn walk(&mut self, node: &Node, expr: &Expr) {
        match (node, expr) {
            (Node::And(nodes), Expr::And(exprs)) | (Node::Or(nodes), Expr::Or(exprs)) => {
                for (node, expr) in nodes.iter().zip(exprs) {
                    self.walk(node, expr);
                }
            }
            (Node::Any(questions), Expr::Or(exprs)) | (Node::All(questions), Expr::And(exprs)) => {
                for (id, expr) in questions.written.iter().zip(exprs) {
                    self.leaf(*id, expr);
                }
            }
            (Node::Leaf(id), expr) => self.leaf(*id, expr),
            _ => {}
        }
    }

    fn leaf(&mut self, id: u32, expr: &Expr) {
        let Expr::Leaf(leaf) = expr else {
            return;
        };
        if self.found.len() < MAX_REASONS && self.evaluation.answer(id, self.row) {
            let reason = self.reason(id, leaf);
            self.found.push(reason);
        }
    }

    fn reason(&mut self, id: u32, leaf: &Leaf) -> MatchReason {
        let field = self.program.predicates[id as usize].field;
        let (name, value) = if field == KEYWORDS {
            (String::new(), leaf.written.clone())
        } else {
            match self.evaluation.shown(field, self.row) {
                Some((name, value)) => (name, cut(value.text)),
                None => {
                    let name = leaf.field.as_deref().unwrap_or_default();
                    (format!("unmapped.{name}"), String::new())
                }
            }
        };
        MatchReason {
            selection: leaf.selection.clone(),
            field: name,
            value,
            pattern: leaf.written.clone(),
        }
    }
}

fn cut(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].to_owned()
}

pub(crate) fn finding_id(rule_id: &str, events: &[EventId]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(rule_id.as_bytes());
    for event in events {
        hasher.update(event.position().to_le_bytes());
        hasher.update(event.part().to_le_bytes());
    }
    hex::encode(&hasher.finalize()[..16])
}
