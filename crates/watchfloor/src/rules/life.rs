//! Whether a rule could have fired on what came in: its log sources, and the fields that it
//! cannot do without.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use watchfloor_event::{EventKind, Logsource, ocsf};
use watchfloor_pipeline::{KindSeen, Seen};
use watchfloor_rules::{AnalyticKind, Correlation, CorrelationKind, Expr, Matcher, RuleSet};

use super::book::logsource_text;

/// Fields named in a reason.
const MAX_NAMED: usize = 3;

/// What a condition needs of an event to be able to hold at all.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing: it may hold on any event.
    Nothing,
    /// A value in this field.
    Field(String),
    All(Vec<Need>),
    /// One of these; none of an empty list.
    Any(Vec<Need>),
}

/// What a rule looks at.
#[derive(Clone, Debug)]
pub(crate) enum Looks {
    /// At single events.
    Event {
        logsource: Logsource,
        need: NeedOf,
        /// Every field that it names, sorted.
        fields: Vec<String>,
    },
    /// At what other rules found.
    Matches {
        /// Ids of the rules.
        rules: Vec<String>,
        /// Whether all of them must have fired.
        all: bool,
    },
}

/// What a rule over single events needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NeedOf(Need);

/// How a rule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    /// Kinds of event that it may meet and that came, with their number, most first.
    pub kinds: Vec<(String, u64)>,
    /// Events of these kinds in 24 hours, and today.
    pub events: u64,
    pub events_today: u64,
    /// Its fields, with how many of these events have a value.
    pub fields: Vec<(String, u64)>,
    /// Why it could not have fired; `None` if it could.
    pub dead: Option<String>,
}

impl Need {
    fn of(expr: &Expr) -> Self {
        match expr {
            Expr::And(items) => Self::all(items.iter().map(Self::of)),
            Expr::Or(items) => Self::any(items.iter().map(Self::of)),
            // What is not there does not match: a `not` asks for nothing.
            Expr::Not(_) => Self::Nothing,
            Expr::Leaf(leaf) => match (&leaf.field, &leaf.matcher) {
                (None, _) | (_, Matcher::Null | Matcher::Exists(false)) => Self::Nothing,
                (Some(field), Matcher::Field { other, .. }) => {
                    Self::all([Self::Field(field.clone()), Self::Field(other.clone())].into_iter())
                }
                (Some(field), _) => Self::Field(field.clone()),
            },
        }
    }

    fn all(items: impl Iterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for item in items {
            if item != Self::Nothing && !kept.contains(&item) {
                kept.push(item);
            }
        }
        match kept.len() {
            0 => Self::Nothing,
            1 => kept.remove(0),
            _ => Self::All(kept),
        }
    }

    fn any(items: impl Iterator<Item = Self>) -> Self {
        let mut kept: Vec<Self> = Vec::new();
        for item in items {
            if item == Self::Nothing {
                return Self::Nothing;
            }
            if !kept.contains(&item) {
                kept.push(item);
            }
        }
        match kept.len() {
            1 => kept.remove(0),
            _ => Self::Any(kept),
        }
    }

    /// The fields without which it cannot hold; `None` if it can.
    fn missing(&self, has: &dyn Fn(&str) -> bool) -> Option<BTreeSet<String>> {
        match self {
            Self::Nothing => None,
            Self::Field(field) => (!has(field)).then(|| BTreeSet::from([field.clone()])),
            Self::All(items) => {
                let missing: BTreeSet<String> = items
                    .iter()
                    .filter_map(|item| item.missing(has))
                    .flatten()
                    .collect();
                (!missing.is_empty()).then_some(missing)
            }
            Self::Any(items) => {
                let mut all = BTreeSet::new();
                for item in items {
                    all.extend(item.missing(has)?);
                }
                Some(all)
            }
        }
    }
}

/// What each rule of a set looks at, by id.
pub(crate) fn looks(set: &RuleSet) -> BTreeMap<String, Looks> {
    let mut looks = BTreeMap::new();
    let mut ids: BTreeMap<&str, &str> = BTreeMap::new();
    for meta in set.metas() {
        ids.insert(&meta.id, &meta.id);
        if !meta.name.is_empty() {
            ids.insert(&meta.name, &meta.id);
        }
    }
    for rule in &set.rules {
        let mut fields = BTreeSet::new();
        rule.expr
            .for_each_leaf(&mut |leaf| fields.extend(leaf.field.clone()));
        looks.insert(
            rule.meta.id.clone(),
            Looks::Event {
                logsource: rule.logsource.clone(),
                need: NeedOf(Need::of(&rule.expr)),
                fields: fields.into_iter().collect(),
            },
        );
    }
    let correlations = set.correlations.iter();
    let correlations = correlations.map(|one| (&one.meta, &one.rules, needs_all(one)));
    let analytics = set.analytics.iter();
    let analytics = analytics.map(|one| {
        let needs_all = matches!(one.kind, AnalyticKind::Sequence(_));
        (&one.meta, &one.rules, needs_all)
    });
    for (meta, names, all) in correlations.chain(analytics) {
        let rules = names.iter().filter_map(|name| ids.get(name.as_str()));
        looks.insert(
            meta.id.clone(),
            Looks::Matches {
                rules: rules.map(|id| (*id).to_owned()).collect(),
                all,
            },
        );
    }
    looks
}

fn needs_all(correlation: &Correlation) -> bool {
    let is_temporal = matches!(
        correlation.kind,
        CorrelationKind::Temporal | CorrelationKind::TemporalOrdered
    );
    is_temporal && correlation.bounds.is_empty()
}

/// What was seen, laid out for looking many rules up.
pub(crate) struct Index<'a> {
    looks: &'a BTreeMap<String, Looks>,
    /// Kinds that came, most first.
    kinds: Vec<(EventKind, &'a KindSeen)>,
    names: RefCell<HashMap<String, Rc<[String]>>>,
}

impl<'a> Index<'a> {
    pub(crate) fn new(looks: &'a BTreeMap<String, Looks>, seen: &'a Seen) -> Self {
        let came = seen.kinds.iter().filter(|kind| kind.events > 0);
        let mut kinds: Vec<(EventKind, &KindSeen)> = came
            .map(|seen| {
                let kind = EventKind {
                    logsources: seen.logsources.clone(),
                    ..EventKind::unknown()
                };
                (kind, seen)
            })
            .collect();
        kinds.sort_by(|(_, left), (_, right)| {
            (right.events, &left.kind).cmp(&(left.events, &right.kind))
        });
        Self {
            looks,
            kinds,
            names: RefCell::default(),
        }
    }

    /// How a rule stands.
    pub(crate) fn life(&self, id: &str) -> Life {
        // A correlation rests on at most a few others in turn; a ring was refused at loading.
        self.life_within(id, self.looks.len())
    }

    fn life_within(&self, id: &str, depth: usize) -> Life {
        match self.looks.get(id) {
            Some(Looks::Event {
                logsource,
                need,
                fields,
            }) => self.of_event(logsource, &need.0, fields),
            Some(Looks::Matches { rules, all }) if depth > 0 => {
                let below = rules
                    .iter()
                    .map(|rule| (rule, self.life_within(rule, depth - 1)));
                of_matches(below.collect(), *all)
            }
            Some(Looks::Matches { .. }) | None => Life::default(),
        }
    }

    fn of_event(&self, logsource: &Logsource, need: &Need, fields: &[String]) -> Life {
        let kinds: Vec<&KindSeen> = self
            .kinds
            .iter()
            .filter(|(kind, _)| kind.answers_to(logsource))
            .map(|(_, seen)| *seen)
            .collect();
        let mut life = Life {
            events: kinds.iter().map(|kind| kind.events).sum(),
            events_today: kinds.iter().map(|kind| kind.events_today).sum(),
            kinds: kinds
                .iter()
                .map(|kind| (kind.kind.clone(), kind.events))
                .collect(),
            fields: fields
                .iter()
                .map(|field| {
                    let events = kinds.iter().map(|kind| self.events_with(kind, field));
                    (field.clone(), events.sum())
                })
                .collect(),
            dead: None,
        };
        let missing = |kind: &KindSeen| need.missing(&|field| self.events_with(kind, field) > 0);
        life.dead = match kinds.first() {
            None => Some(no_event(logsource)),
            Some(most) => match missing(most) {
                Some(fields) if kinds.iter().all(|kind| missing(kind).is_some()) => {
                    Some(no_field(&fields, &most.kind))
                }
                _ => None,
            },
        };
        life
    }

    /// How many events of a kind have a value in a field, by whichever of its names.
    fn events_with(&self, kind: &KindSeen, field: &str) -> u64 {
        let names = Rc::clone(
            self.names
                .borrow_mut()
                .entry(field.to_owned())
                .or_insert_with(|| ocsf::full_names(field).into()),
        );
        let counts = names.iter().filter_map(|name| kind.fields.get(name));
        counts.copied().max().unwrap_or(0)
    }
}

fn no_event(logsource: &Logsource) -> String {
    let wanted = logsource_text(logsource).replace(" / ", "/");
    if wanted.is_empty() {
        "no event at all in 24 h".to_owned()
    } else {
        format!("no event of {wanted} in 24 h")
    }
}

fn no_field(missing: &BTreeSet<String>, kind: &str) -> String {
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    let shown = names[..names.len().min(MAX_NAMED)].join(", ");
    let more = match names.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (word, verb) = if names.len() == 1 {
        ("field", "occurs")
    } else {
        ("fields", "occur")
    };
    format!("{word} {shown}{more} never {verb} in {kind} events")
}

fn of_matches(below: Vec<(&String, Life)>, all: bool) -> Life {
    let mut life = Life::default();
    let mut dead = Vec::new();
    let total = below.len();
    for (rule, one) in below {
        life.events += one.events;
        life.events_today += one.events_today;
        for (kind, events) in one.kinds {
            match life.kinds.iter_mut().find(|(known, _)| *known == kind) {
                // Two rules over one kind see the same events.
                Some(known) => known.1 = known.1.max(events),
                None => life.kinds.push((kind, events)),
            }
        }
        for (field, events) in one.fields {
            match life.fields.iter_mut().find(|(known, _)| *known == field) {
                Some(known) => known.1 = known.1.max(events),
                None => life.fields.push((field, events)),
            }
        }
        dead.extend(one.dead.map(|reason| format!("rests on {rule}: {reason}")));
    }
    life.kinds
        .sort_by(|left, right| (right.1, &left.0).cmp(&(left.1, &right.0)));
    life.fields.sort();
    let is_dead = if all {
        !dead.is_empty()
    } else {
        dead.len() == total
    };
    if is_dead {
        life.dead = Some(
            dead.into_iter()
                .next()
                .unwrap_or_else(|| "rests on no rule that is in force".to_owned()),
        );
    }
    life
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use watchfloor_rules::RuleFile;

    use super::*;

    fn seen(fields: &[&str]) -> Seen {
        let logsource = Logsource {
            product: Some("linux".to_owned()),
            category: None,
            service: Some("auditd".to_owned()),
        };
        Seen {
            since: Timestamp::UNIX_EPOCH,
            kinds: vec![KindSeen {
                kind: "linux/auditd".to_owned(),
                logsources: vec![logsource],
                events: 10,
                events_today: 4,
                fields: fields.iter().map(|name| ((*name).to_owned(), 7)).collect(),
            }],
            rules: BTreeMap::new(),
        }
    }

    fn check(detection: &str, source: &str, fields: &[&str], expected: Option<&str>) {
        let text = format!(
            "title: T\nid: r\nlogsource:\n  {source}\ndetection:\n{}\n",
            detection.replace('|', "\n")
        );
        let set = RuleSet::load(
            [RuleFile {
                path: Arc::from("r.yml"),
                text,
            }],
            BTreeMap::new(),
        );
        assert_eq!(set.refused, []);
        let (looks, seen) = (looks(&set), seen(fields));
        let life = Index::new(&looks, &seen).life("r");
        assert_eq!(life.dead.as_deref(), expected, "{detection}");
    }

    #[test]
    fn dead_rules_are_told_what_they_miss() {
        let one = "  s:|    ParentImage: a|  condition: s";
        check(
            one,
            "product: linux",
            &["unmapped.exe"],
            Some("field ParentImage never occurs in linux/auditd events"),
        );
        check(one, "product: linux", &["unmapped.ParentImage"], None);
        // The attribute that the name stands for will do as well.
        check(one, "product: linux", &["actor.process.file.path"], None);
        check(
            one,
            "{product: windows, category: process_creation}",
            &[],
            Some("no event of windows/process_creation in 24 h"),
        );
        let two = "  s:|    a: x|    b: y|  condition: s";
        check(
            two,
            "product: linux",
            &["unmapped.a"],
            Some("field b never occurs in linux/auditd events"),
        );
        let either = "  s:|    - a: x|    - b: y|  condition: s";
        check(either, "product: linux", &["unmapped.b"], None);
        check(
            either,
            "product: linux",
            &[],
            Some("fields a, b never occur in linux/auditd events"),
        );
        let absent = "  s:|    a: x|  f:|    b: y|  condition: s and not f";
        check(absent, "product: linux", &["unmapped.a"], None);
        let null = "  s:|    a: null|  condition: s";
        check(null, "product: linux", &[], None);
    }
}
