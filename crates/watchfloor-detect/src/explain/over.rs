//! Correlations and native analytics: what they need beside one event, and what each of the
//! rules they rest on says of it.

use std::time::Duration;

use watchfloor_event::EventBatch;
use watchfloor_rules::{
    Analytic, AnalyticKind, Bound, Correlation, CorrelationKind, GroupBy, RuleMeta, RuleSet,
    Sequence,
};

use super::question;
use super::{Body, Explanation, Read};

/// A rule over several events, of either sort.
struct Over<'a> {
    meta: &'a RuleMeta,
    rules: &'a [String],
    group_by: &'a [GroupBy],
    kind: &'static str,
    needs: Vec<String>,
    fields: Vec<String>,
    /// An analytic takes an empty value, and `-`, for none.
    is_analytic: bool,
}

/// Explains a rule over several events; `None` where the set has none of this id.
pub(super) fn explain(
    set: &RuleSet,
    id: &str,
    batch: &EventBatch,
    row: usize,
) -> Option<Explanation> {
    within(set, id, batch, row, set.len())
}

fn within(
    set: &RuleSet,
    id: &str,
    batch: &EventBatch,
    row: usize,
    depth: usize,
) -> Option<Explanation> {
    if let Some(rule) = set.rules.iter().find(|rule| rule.meta.id == id) {
        return Some(super::of_event(rule, batch, row));
    }
    let correlation = set.correlations.iter().find(|one| one.meta.id == id);
    let analytic = set.analytics.iter().find(|one| one.meta.id == id);
    let over = match (correlation, analytic) {
        (Some(one), _) => of_correlation(one),
        (None, Some(one)) => of_analytic(one),
        (None, None) => return None,
    };
    // A ring was refused at loading; the depth ends one all the same.
    let depth = depth.checked_sub(1)?;
    let below: Vec<&RuleMeta> = over
        .rules
        .iter()
        .flat_map(|name| set.metas().filter(move |meta| meta.answers_to(name)))
        .filter(|meta| meta.id != id)
        .collect();
    let explained = below
        .iter()
        .filter_map(|meta| within(set, &meta.id, batch, row, depth));
    let bases: Vec<Explanation> = explained.collect();
    let matched = below
        .iter()
        .zip(&bases)
        .any(|(meta, base)| base.matched && over.has_group(meta, batch, row));
    Some(Explanation {
        matched,
        body: Body::Several {
            kind: over.kind,
            fields: over.reads(batch, row),
            needs: over.needs,
            bases,
        },
        ..Explanation::empty(over.meta)
    })
}

impl Over<'_> {
    /// Whether the event has the group's fields, as those of this rule are named.
    fn has_group(&self, base: &RuleMeta, batch: &EventBatch, row: usize) -> bool {
        let has = |field: &String| {
            let value = question::read(Some(field), batch, row).value;
            value.is_some_and(|value| !self.is_analytic || !(value.is_empty() || value == "-"))
        };
        let mut groups = self.group_by.iter();
        groups.all(|group| group.fields_of(&base.id, &base.name).iter().any(has))
    }

    fn reads(&self, batch: &EventBatch, row: usize) -> Vec<Read> {
        let groups = self.group_by.iter();
        let groups = groups.flat_map(|group| group.by_rule.values().chain(&group.fields));
        let mut names: Vec<&String> = Vec::new();
        for name in groups.chain(&self.fields) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let reads = names.into_iter();
        reads
            .map(|name| question::read(Some(name), batch, row))
            .collect()
    }
}

fn of_correlation(one: &Correlation) -> Over<'_> {
    let (kind, measure, fields) = match &one.kind {
        CorrelationKind::EventCount => ("event_count", "the number of events".to_owned(), vec![]),
        CorrelationKind::ValueCount(fields) => (
            "value_count",
            format!("the number of distinct values of {}", fields.join(", ")),
            fields.clone(),
        ),
        CorrelationKind::ValueSum(field) => measured("value_sum", "sum", field),
        CorrelationKind::ValueAvg(field) => measured("value_avg", "mean", field),
        CorrelationKind::ValueMedian(field) => measured("value_median", "median", field),
        CorrelationKind::ValuePercentile(field, percent) => measured(
            "value_percentile",
            &format!("{percent}th percentile"),
            field,
        ),
        CorrelationKind::Temporal => ("temporal", "the number of its rules".to_owned(), vec![]),
        CorrelationKind::TemporalOrdered => (
            "temporal_ordered",
            "the number of its rules in their order".to_owned(),
            vec![],
        ),
    };
    let within = format!("within {}", span(one.timespan));
    let mut needs = Vec::new();
    match (&one.kind, one.bounds.is_empty()) {
        (CorrelationKind::Temporal, true) => {
            needs.push(format!(
                "each of its rules must match, in any order, {within}"
            ));
        }
        (CorrelationKind::TemporalOrdered, true) => {
            needs.push(format!(
                "each of its rules must match, in the order of the list, {within}"
            ));
        }
        _ => {
            let bounds: Vec<String> = one.bounds.iter().map(|bound| bound_words(*bound)).collect();
            needs.push(format!(
                "{measure} {within} must be {}",
                bounds.join(" and ")
            ));
        }
    }
    needs.extend(grouped(&one.group_by));
    Over {
        meta: &one.meta,
        rules: &one.rules,
        group_by: &one.group_by,
        kind,
        needs,
        fields,
        is_analytic: false,
    }
}

fn measured(kind: &'static str, what: &str, field: &String) -> (&'static str, String, Vec<String>) {
    (kind, format!("the {what} of {field}"), vec![field.clone()])
}

fn bound_words(bound: Bound) -> String {
    match bound {
        Bound::Compare(op, number) => format!("{} {number}", op.as_str()),
        Bound::Equal(number) => format!("= {number}"),
        Bound::NotEqual(number) => format!("other than {number}"),
    }
}

fn grouped(group_by: &[GroupBy]) -> Option<String> {
    let names: Vec<&str> = group_by.iter().map(|group| group.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "all events must have the same {}; one without it belongs to no group",
            names.join(", ")
        )
    })
}

fn of_analytic(one: &Analytic) -> Over<'_> {
    let back = span(one.timespan);
    let (needs, fields) = analytic_words(&one.kind, &back);
    let mut needs = vec![needs];
    needs.extend(grouped(&one.group_by));
    Over {
        meta: &one.meta,
        rules: &one.rules,
        group_by: &one.group_by,
        kind: one.kind.as_str(),
        needs,
        fields,
        is_analytic: true,
    }
}

/// What an analytic looks for with its thresholds, and the fields that it reads.
fn analytic_words(kind: &AnalyticKind, back: &str) -> (String, Vec<String>) {
    match kind {
        AnalyticKind::NewTerms(one) => (
            format!(
                "{} must have a value that its group has not had within {back}; the group must be known for {}",
                one.fields.join(", "),
                span(one.learn)
            ),
            one.fields.clone(),
        ),
        AnalyticKind::RareTerms(one) => (
            format!(
                "the value of {} must make up at most {} of the group's events within {back}, which must be {} or more",
                one.fields.join(", "),
                percent(one.max_share),
                one.min_events
            ),
            one.fields.clone(),
        ),
        AnalyticKind::RateBaseline(one) => (
            format!(
                "{} or more events in {}, {} standard deviations above the mean and {} times the mean of {} or more spans within {back}",
                one.min_count,
                span(one.bucket),
                one.deviations,
                one.min_factor,
                one.min_buckets
            ),
            Vec::new(),
        ),
        AnalyticKind::ImpossibleTravel(one) => (
            format!(
                "two places {} km apart or more within {back}, and a way between them faster than {} km/h",
                one.min_distance_km, one.max_speed_kmh
            ),
            [&one.latitude, &one.longitude, &one.place]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        ),
        AnalyticKind::Beaconing(one) => (
            format!(
                "{} or more events within {back}, {} of their gaps regular to within {}, with a period of {} to {}",
                one.min_events,
                percent(one.min_regular),
                percent(one.max_jitter),
                span(one.min_period),
                span(one.max_period)
            ),
            Vec::new(),
        ),
        AnalyticKind::DnsTunnelling(one) => (
            format!(
                "{} or more distinct names below one registered domain within {back}, each {} characters or longer before it and of {} bits of entropy or more per character",
                one.min_names, one.min_length, one.min_entropy
            ),
            vec![one.field.clone()],
        ),
        AnalyticKind::PasswordSpraying(one) => (
            format!(
                "{} or more accounts tried within {back}, each {} times at most",
                one.min_accounts, one.max_attempts
            ),
            vec![one.user.clone()],
        ),
        AnalyticKind::Sequence(one) => sequence_words(one, back),
    }
}

fn sequence_words(one: &Sequence, back: &str) -> (String, Vec<String>) {
    let steps = one.steps.iter();
    let names: Vec<&str> = steps.clone().map(|step| step.rule.as_str()).collect();
    let pairs = steps.flat_map(|step| step.matches.iter().chain(&step.binds));
    (
        format!(
            "these rules must match in this order within {back}, tied by the values that the steps share: {}",
            names.join(", ")
        ),
        pairs.map(|(_, field)| field.clone()).collect(),
    )
}

fn percent(share: f64) -> String {
    // Shares such as 0.01 are not exact in binary.
    format!("{} %", (share * 1_000_000.0).round() / 10_000.0)
}

/// A span of time in its largest whole unit.
fn span(time: Duration) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let seconds = time.as_secs();
    let whole = |(unit, _): &&(u64, &str)| seconds >= *unit && seconds.is_multiple_of(*unit);
    match UNITS.iter().find(whole) {
        Some((unit, name)) => format!("{} {name}", seconds / unit),
        None => format!("{seconds} s"),
    }
}
