//! Native rules over several events: documents with the key `analytic`, beside Sigma's
//! correlations, for what the specification has no words for.
//!
//! The key is one that Sigma tools do not know, so that none of them misreads such a document.
//! Every parameter has a default or is demanded, and is checked; what a type has no use for is
//! refused.

mod params;

use std::time::Duration;

use serde_json::{Map, Value};

use crate::correlation::{self, GroupBy};
use crate::near;
use crate::rule::{self, RuleMeta, required_text};
use params::Params;

/// Every type.
const TYPES: [&str; 8] = [
    "new_terms",
    "rare_terms",
    "rate_baseline",
    "impossible_travel",
    "beaconing",
    "dns_tunnelling",
    "password_spraying",
    "sequence",
];
/// Most steps of a sequence.
const MAX_STEPS: u64 = 16;
/// Most buckets of a rate's history.
const MAX_BUCKETS: u64 = 10_000;
const DAY: u64 = 86_400;
const HOUR: u64 = 3_600;

/// A native rule over several events.
#[derive(Clone, Debug)]
pub struct Analytic {
    /// What it says about itself.
    pub meta: RuleMeta,
    /// What it looks for.
    pub kind: AnalyticKind,
    /// Ids or names of the rules and correlations whose matches it takes, in order.
    pub rules: Vec<String>,
    /// The entity that it looks at; each has a history of its own.
    pub group_by: Vec<GroupBy>,
    /// How far back it looks.
    pub timespan: Duration,
    /// Whether the rules it rests on make findings of their own.
    pub generate: bool,
}

/// What an analytic looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum AnalyticKind {
    /// A value that its group has not had within the timespan.
    NewTerms(NewTerms),
    /// A value with a small share of its group's events.
    RareTerms(RareTerms),
    /// Far more events in a span of time than in those before.
    RateBaseline(RateBaseline),
    /// One user in two places, too far apart for the time between.
    ImpossibleTravel(ImpossibleTravel),
    /// Connections at regular intervals.
    Beaconing(Beaconing),
    /// Many long, random names below one domain.
    DnsTunnelling(DnsTunnelling),
    /// A few failed log-ons at each of many accounts.
    PasswordSpraying(PasswordSpraying),
    /// Steps in an order, tied by values that may go from host to host.
    Sequence(Sequence),
}

/// Parameters of `new_terms`.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTerms {
    /// The field, or the fields of a tuple.
    pub fields: Vec<String>,
    /// How long a group is known before a value of it can be new.
    pub learn: Duration,
}

/// Parameters of `rare_terms`.
#[derive(Clone, Debug, PartialEq)]
pub struct RareTerms {
    /// The field, or the fields of a tuple.
    pub fields: Vec<String>,
    /// Events that the group must have within the timespan.
    pub min_events: u64,
    /// Greatest share of a rare value, 0 to 0.5.
    pub max_share: f64,
}

/// Parameters of `rate_baseline`.
#[derive(Clone, Debug, PartialEq)]
pub struct RateBaseline {
    /// Length of the span that is counted.
    pub bucket: Duration,
    /// Spans that must lie before.
    pub min_buckets: u64,
    /// Standard deviations above the mean.
    pub deviations: f64,
    /// Times the mean.
    pub min_factor: f64,
    /// Events in the span.
    pub min_count: u64,
}

/// Parameters of `impossible_travel`.
#[derive(Clone, Debug, PartialEq)]
pub struct ImpossibleTravel {
    /// Fields of the latitude in degrees; the first that is there counts.
    pub latitude: Vec<String>,
    /// Fields of the longitude in degrees; the first that is there counts.
    pub longitude: Vec<String>,
    /// Fields that name the place for people.
    pub place: Vec<String>,
    /// Shorter ways are no travel.
    pub min_distance_km: f64,
    /// Greatest possible speed.
    pub max_speed_kmh: f64,
}

/// Parameters of `beaconing`.
#[derive(Clone, Debug, PartialEq)]
pub struct Beaconing {
    /// Connections within the timespan.
    pub min_events: u64,
    /// Greatest deviation of the regular gaps, as a share of their mean.
    pub max_jitter: f64,
    /// Share of the gaps that must be regular.
    pub min_regular: f64,
    /// Shortest period.
    pub min_period: Duration,
    /// Longest period.
    pub max_period: Duration,
}

/// Parameters of `dns_tunnelling`.
#[derive(Clone, Debug, PartialEq)]
pub struct DnsTunnelling {
    /// The field of the name that is asked for.
    pub field: String,
    /// Distinct names below one registered domain.
    pub min_names: u64,
    /// Least length of what stands before the registered domain.
    pub min_length: u64,
    /// Least entropy of it in bits per character.
    pub min_entropy: f64,
}

/// Parameters of `password_spraying`.
#[derive(Clone, Debug, PartialEq)]
pub struct PasswordSpraying {
    /// The field of the account.
    pub user: String,
    /// Place in `rules` of the one that tells of a success, where there is one.
    pub success: Option<usize>,
    /// Accounts that must have been tried.
    pub min_accounts: u64,
    /// Accounts with more attempts do not count.
    pub max_attempts: u64,
}

/// Parameters of `sequence`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// Names of values that are host names: compared by their first label.
    pub hosts: Vec<String>,
}

/// A step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Id or name of its rule.
    pub rule: String,
    /// Values by name that it must share with the steps before, and their fields in its events.
    pub matches: Vec<(String, String)>,
    /// Values by name that it gives to later steps, and their fields.
    pub binds: Vec<(String, String)>,
}

impl AnalyticKind {
    /// The word of the type.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NewTerms(_) => "new_terms",
            Self::RareTerms(_) => "rare_terms",
            Self::RateBaseline(_) => "rate_baseline",
            Self::ImpossibleTravel(_) => "impossible_travel",
            Self::Beaconing(_) => "beaconing",
            Self::DnsTunnelling(_) => "dns_tunnelling",
            Self::PasswordSpraying(_) => "password_spraying",
            Self::Sequence(_) => "sequence",
        }
    }

    /// Every field of events that the parameters name.
    pub(crate) fn fields_mut(&mut self) -> Vec<&mut String> {
        match self {
            Self::NewTerms(one) => one.fields.iter_mut().collect(),
            Self::RareTerms(one) => one.fields.iter_mut().collect(),
            Self::RateBaseline(_) | Self::Beaconing(_) => Vec::new(),
            Self::ImpossibleTravel(one) => one
                .latitude
                .iter_mut()
                .chain(&mut one.longitude)
                .chain(&mut one.place)
                .collect(),
            Self::DnsTunnelling(one) => vec![&mut one.field],
            Self::PasswordSpraying(one) => vec![&mut one.user],
            Self::Sequence(one) => {
                let pairs = one
                    .steps
                    .iter_mut()
                    .flat_map(|step| step.matches.iter_mut().chain(&mut step.binds));
                pairs.map(|(_, field)| field).collect()
            }
        }
    }
}

/// Reads an analytic document.
pub(crate) fn parse(meta: RuleMeta, map: &Map<String, Value>) -> Result<Analytic, String> {
    let body = map.get("analytic").and_then(Value::as_object);
    let body = body.ok_or("'analytic' must be a map with type, rules and timespan")?;
    let word = required_text(body, "type")?;
    let mut params = Params::of(body, &word);
    params.take(&[
        "type", "rules", "group-by", "aliases", "timespan", "generate",
    ]);
    let (kind, timespan, group_needed, steps) = match word.as_str() {
        "new_terms" => new_terms(&mut params)?,
        "rare_terms" => rare_terms(&mut params)?,
        "rate_baseline" => rate_baseline(&mut params)?,
        "impossible_travel" => impossible_travel(&mut params)?,
        "beaconing" => beaconing(&mut params)?,
        "dns_tunnelling" => dns_tunnelling(&mut params)?,
        "password_spraying" => password_spraying(&mut params, body)?,
        "sequence" => sequence(&mut params, body)?,
        other => {
            let what = if other.is_empty() {
                "analytic has no 'type'".to_owned()
            } else {
                format!(
                    "unknown analytic type '{other}'{}",
                    near::hint(other, TYPES)
                )
            };
            return Err(format!("{what}; known are {}", TYPES.join(", ")));
        }
    };
    params.finish()?;
    let rules = match steps {
        None => correlation::rule_names(body, "analytic")?,
        Some(rules) => rules,
    };
    let group_by = correlation::group_by(body)?;
    if group_needed && group_by.is_empty() {
        return Err(format!(
            "analytic type '{word}' needs 'group-by': the fields of the entity that it looks at"
        ));
    }
    Ok(Analytic {
        meta,
        kind,
        rules,
        group_by,
        timespan,
        generate: correlation::truth(body, "generate")? || correlation::truth(map, "generate")?,
    })
}

/// Kind, timespan, whether a group is needed, and the rules where steps name them.
type Read = (AnalyticKind, Duration, bool, Option<Vec<String>>);

fn new_terms(params: &mut Params<'_>) -> Result<Read, String> {
    let timespan = params.span("timespan", 30 * DAY)?;
    let learn = params.span("learn", DAY.min(timespan.as_secs()))?;
    if learn > timespan {
        return Err("'learn' must not be longer than 'timespan'".to_owned());
    }
    let fields = params.fields("field")?;
    let kind = AnalyticKind::NewTerms(NewTerms { fields, learn });
    Ok((kind, timespan, false, None))
}

fn rare_terms(params: &mut Params<'_>) -> Result<Read, String> {
    let kind = AnalyticKind::RareTerms(RareTerms {
        fields: params.fields("field")?,
        min_events: params.whole("min_events", 100, 10..=1_000_000)?,
        max_share: params.number("max_share", 0.01, 0.000_001..=0.5)?,
    });
    Ok((kind, params.span("timespan", 7 * DAY)?, false, None))
}

fn rate_baseline(params: &mut Params<'_>) -> Result<Read, String> {
    let timespan = params.span("timespan", 7 * DAY)?;
    let one = RateBaseline {
        bucket: params.span("bucket", HOUR)?,
        min_buckets: params.whole("min_buckets", 24, 3..=MAX_BUCKETS)?,
        deviations: params.number("deviations", 3.0, 0.5..=100.0)?,
        min_factor: params.number("min_factor", 2.0, 1.0..=1000.0)?,
        min_count: params.whole("min_count", 20, 1..=1_000_000_000)?,
    };
    let buckets = timespan.as_secs() / one.bucket.as_secs();
    if buckets > MAX_BUCKETS {
        return Err(format!(
            "'timespan' holds {buckets} spans of 'bucket'; the limit is {MAX_BUCKETS}; make 'bucket' longer"
        ));
    }
    if buckets < one.min_buckets {
        return Err(format!(
            "'timespan' holds {buckets} spans of 'bucket', fewer than 'min_buckets'; make it longer"
        ));
    }
    Ok((AnalyticKind::RateBaseline(one), timespan, false, None))
}

fn impossible_travel(params: &mut Params<'_>) -> Result<Read, String> {
    let kind = AnalyticKind::ImpossibleTravel(ImpossibleTravel {
        latitude: params.fields_or(
            "latitude",
            &[
                "src_endpoint.location.lat",
                "client.geographicalContext.geolocation.lat",
                "location.geoCoordinates.latitude",
                "properties.location.geoCoordinates.latitude",
                "source.geo.location.lat",
            ],
        )?,
        longitude: params.fields_or(
            "longitude",
            &[
                "src_endpoint.location.long",
                "client.geographicalContext.geolocation.lon",
                "location.geoCoordinates.longitude",
                "properties.location.geoCoordinates.longitude",
                "source.geo.location.lon",
            ],
        )?,
        place: params.fields_or(
            "place",
            &[
                "src_endpoint.location.city",
                "client.geographicalContext.city",
                "properties.location.city",
                "location.city",
                "src_endpoint.location.country",
                "src_endpoint.ip",
            ],
        )?,
        min_distance_km: params.number("min_distance_km", 500.0, 1.0..=20_000.0)?,
        max_speed_kmh: params.number("max_speed_kmh", 1000.0, 1.0..=100_000.0)?,
    });
    Ok((kind, params.span("timespan", DAY)?, true, None))
}

fn beaconing(params: &mut Params<'_>) -> Result<Read, String> {
    let one = Beaconing {
        min_events: params.whole("min_events", 20, 5..=1_000)?,
        max_jitter: params.number("max_jitter", 0.1, 0.000_1..=0.5)?,
        min_regular: params.number("min_regular", 0.8, 0.5..=1.0)?,
        min_period: params.span("min_period", 10)?,
        max_period: params.span("max_period", 6 * HOUR)?,
    };
    if one.min_period >= one.max_period {
        return Err("'min_period' must be shorter than 'max_period'".to_owned());
    }
    let timespan = params.span("timespan", DAY)?;
    if timespan < one.min_period.saturating_mul(one.min_events as u32) {
        return Err(
            "'timespan' is too short for 'min_events' of 'min_period'; make it longer".to_owned(),
        );
    }
    Ok((AnalyticKind::Beaconing(one), timespan, true, None))
}

fn dns_tunnelling(params: &mut Params<'_>) -> Result<Read, String> {
    let mut field = params.fields_or("field", &["query.hostname"])?;
    let kind = AnalyticKind::DnsTunnelling(DnsTunnelling {
        field: field.pop().unwrap_or_default(),
        min_names: params.whole("min_names", 50, 5..=4_000)?,
        min_length: params.whole("min_length", 20, 1..=253)?,
        min_entropy: params.number("min_entropy", 3.0, 0.0..=8.0)?,
    });
    Ok((kind, params.span("timespan", HOUR)?, true, None))
}

fn password_spraying(params: &mut Params<'_>, body: &Map<String, Value>) -> Result<Read, String> {
    let rules = correlation::rule_names(body, "analytic")?;
    let success = params.text("success")?;
    let success = match success.as_str() {
        "" => None,
        name => Some(rules.iter().position(|rule| rule == name).ok_or_else(|| {
            format!("'success' names '{name}', which is not among 'rules'; add it there")
        })?),
    };
    if success.is_some() && rules.len() < 2 {
        return Err("'rules' needs a rule of failures beside that of 'success'".to_owned());
    }
    let mut user = params.fields_or("user", &["user.name"])?;
    let kind = AnalyticKind::PasswordSpraying(PasswordSpraying {
        user: user.pop().unwrap_or_default(),
        success,
        min_accounts: params.whole("min_accounts", 10, 2..=5_000)?,
        max_attempts: params.whole("max_attempts", 3, 1..=1_000)?,
    });
    Ok((kind, params.span("timespan", HOUR / 2)?, true, None))
}

fn sequence(params: &mut Params<'_>, body: &Map<String, Value>) -> Result<Read, String> {
    let timespan = params.span("timespan", HOUR)?;
    let hosts = params.fields_or("hosts", &[])?;
    params.take(&["steps"]);
    let list = body
        .get("steps")
        .and_then(Value::as_array)
        .ok_or("analytic type 'sequence' needs 'steps', a list of rules in order")?;
    if list.len() < 2 || list.len() as u64 > MAX_STEPS {
        return Err(format!(
            "'steps' must be 2 to {MAX_STEPS}, not {}",
            list.len()
        ));
    }
    let mut steps: Vec<Step> = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        let read = step(value, &steps).map_err(|reason| format!("step {}: {reason}", index + 1))?;
        steps.push(read);
    }
    let mut rules: Vec<String> = Vec::new();
    for step in &steps {
        if !rules.contains(&step.rule) {
            rules.push(step.rule.clone());
        }
    }
    let named = rule::texts(body, "rules")?;
    if !named.is_empty() && named != rules {
        return Err("'rules' differs from the rules of 'steps'; leave it out".to_owned());
    }
    if let Some(host) = hosts.iter().find(|host| {
        !steps
            .iter()
            .any(|step| step.binds.iter().any(|(name, _)| name == *host))
    }) {
        return Err(format!("'hosts' names '{host}', which no step binds"));
    }
    let kind = AnalyticKind::Sequence(Sequence { steps, hosts });
    Ok((kind, timespan, false, Some(rules)))
}

fn step(value: &Value, before: &[Step]) -> Result<Step, String> {
    let map = value
        .as_object()
        .ok_or_else(|| format!("must be a map with 'rule', not {}", rule::kind(value)))?;
    correlation::known_keys(map, &["rule", "match", "bind"], "a step")?;
    let name = required_text(map, "rule")?;
    if name.is_empty() {
        return Err("names no 'rule'".to_owned());
    }
    let matches = pairs(map, "match")?;
    let is_bound = |name: &String| {
        before
            .iter()
            .any(|step| step.binds.iter().any(|(bound, _)| bound == name))
    };
    if let Some((missing, _)) = matches.iter().find(|(name, _)| !is_bound(name)) {
        return Err(format!(
            "matches '{missing}', which no step before binds; bind it there"
        ));
    }
    Ok(Step {
        rule: name,
        matches,
        binds: pairs(map, "bind")?,
    })
}

fn pairs(map: &Map<String, Value>, key: &str) -> Result<Vec<(String, String)>, String> {
    let map = match map.get(key) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map,
        Some(other) => {
            return Err(format!(
                "'{key}' must map names to fields, not be {}",
                rule::kind(other)
            ));
        }
    };
    let mut pairs: Vec<(String, String)> = map
        .keys()
        .map(|name| Ok((name.clone(), required_text(map, name)?)))
        .collect::<Result<_, String>>()?;
    pairs.sort();
    match pairs.iter().find(|(_, field)| field.is_empty()) {
        Some((name, _)) => Err(format!("'{key}' gives '{name}' no field")),
        None => Ok(pairs),
    }
}

#[cfg(test)]
mod tests;
