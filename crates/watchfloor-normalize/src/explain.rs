//! Why an event is what it is: for `watchfloor mapping try`.

use std::fmt;

use watchfloor_event::{EventBatch, Namespace, ValueKind};

use crate::pack::PackSet;
use crate::route::{Clause, Condition, Test};

/// A field and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// What became of one event, and why.
#[derive(Clone, Debug, Default)]
pub struct Explanation {
    /// Pack and kind, or `unknown`.
    pub kind: String,
    /// Title of the product.
    pub product: String,
    /// The conditions that made it this kind, each as one line.
    pub conditions: Vec<String>,
    /// The expression that matched, if the kind has one.
    pub matched: Option<String>,
    /// Kinds whose conditions hold too, but whose expressions do not match; they were tried
    /// before this one.
    pub refused: Vec<String>,
    /// OCSF attributes.
    pub attributes: Vec<Field>,
    /// Source fields that no attribute took.
    pub unmapped: Vec<Field>,
}

impl PackSet {
    /// Says why the event of a row of a normalised batch is of its kind.
    pub fn explain(&self, batch: &EventBatch, row: usize) -> Explanation {
        let kind = batch.kind_of(row);
        let mut found = Explanation {
            kind: kind.name.to_string(),
            product: kind.product.to_string(),
            ..Explanation::default()
        };
        let place = self
            .kinds
            .iter()
            .position(|known| known.event.name == kind.name);
        if let Some(place) = place {
            found.conditions = self
                .conditions
                .get(place)
                .map(|condition| held(batch, row, condition))
                .unwrap_or_default();
            let matching = self.kinds.get(place).map(|kind| kind.matching.as_slice());
            found.matched = matching
                .unwrap_or(&[])
                .iter()
                .find(|matching| matching.is_match(batch, row))
                .map(|matching| format!("{} ~ {}", matching.field, matching.pattern()));
        }
        for (index, kind) in self.kinds.iter().enumerate() {
            let is_other = Some(index) != place && !kind.matching.is_empty();
            let holds = is_other
                && self
                    .conditions
                    .get(index)
                    .is_some_and(|condition| holds(batch, row, condition));
            if holds && !kind.matching.iter().any(|one| one.is_match(batch, row)) {
                found.refused.push(kind.event.name.to_string());
            }
        }
        found.attributes = fields(batch, Namespace::Ocsf, row);
        found.unmapped = self.unmapped(batch, row, place);
        found
    }

    /// The source fields that no map of the kind reads.
    fn unmapped(&self, batch: &EventBatch, row: usize, place: Option<usize>) -> Vec<Field> {
        let kind = place.and_then(|place| self.kinds.get(place));
        let mut left = fields(batch, Namespace::Source, row);
        left.retain(|field| {
            let is_read = kind.is_some_and(|kind| {
                let in_maps = kind.all_maps().any(|map| *map.source == *field.name);
                let in_joins = kind
                    .joins
                    .iter()
                    .any(|join| join.sources.iter().any(|source| **source == *field.name));
                let in_time = kind
                    .times
                    .iter()
                    .any(|time| time.fields.iter().any(|name| **name == *field.name));
                in_maps || in_joins || in_time
            });
            !is_read
        });
        left
    }
}

fn fields(batch: &EventBatch, namespace: Namespace, row: usize) -> Vec<Field> {
    let mut found: Vec<Field> = batch
        .columns(namespace)
        .iter()
        .filter_map(|column| {
            let value = column.get(row)?;
            (value.kind != ValueKind::Null).then(|| Field {
                name: column.name().to_string(),
                value: value.text.to_owned(),
            })
        })
        .collect();
    found.sort_by(|left, right| left.name.cmp(&right.name));
    found
}

fn clause_holds(batch: &EventBatch, row: usize, clause: &Clause) -> bool {
    let value = batch.get(Namespace::Source, &clause.field, row);
    let holds = value
        .filter(|value| value.kind != ValueKind::Null)
        .is_some_and(|value| {
            let folded = value.text.to_ascii_lowercase();
            clause.test.holds(value.text, &folded)
        });
    holds != clause.negated
}

/// The first of some alternatives that holds.
fn first<'c>(batch: &EventBatch, row: usize, any: &'c [Vec<Clause>]) -> Option<&'c [Clause]> {
    let all = any
        .iter()
        .find(|all| all.iter().all(|clause| clause_holds(batch, row, clause)))?;
    Some(all)
}

fn holds(batch: &EventBatch, row: usize, condition: &Condition) -> bool {
    first(batch, row, &condition.recognize).is_some()
        && first(batch, row, &condition.when).is_some()
}

/// The clauses of the first alternatives that hold.
fn held(batch: &EventBatch, row: usize, condition: &Condition) -> Vec<String> {
    let when = first(batch, row, &condition.when);
    let recognize = first(batch, row, &condition.recognize);
    match (when, recognize) {
        (Some(when), Some(recognize)) => when
            .iter()
            .chain(recognize)
            .map(ToString::to_string)
            .collect(),
        _ => vec!["the source names the product".to_owned()],
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[String]| values.join(", ");
        let (field, not) = (&self.field, if self.negated { "not " } else { "" });
        match &self.test {
            Test::Exists if self.negated => write!(f, "{field} is absent"),
            Test::Exists => write!(f, "{field} exists"),
            Test::In(values) => write!(f, "{field} is {not}{}", list(values)),
            Test::Prefix(values) => write!(f, "{field} {not}begins with {}", list(values)),
            Test::Suffix(values) => write!(f, "{field} {not}ends with {}", list(values)),
            Test::Contains(values) => write!(f, "{field} {not}contains {}", list(values)),
            Test::Regex(regex) => write!(f, "{field} {not}matches {}", regex.as_str()),
        }
    }
}
