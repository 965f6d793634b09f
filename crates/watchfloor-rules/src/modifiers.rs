//! Field modifiers: from what a rule writes beside a field to matchers.
//!
//! # Source
//! Sigma specification 2.1, modifiers appendix.

mod encoding;
mod placeholder;
mod plan;
mod windash;

pub(crate) use placeholder::{Piece, Placeholders, filled, joined, pieces};
use serde_json::Value;

use crate::detection::DetectionItem;
use crate::expr::{Expr, Leaf};
use crate::matcher::{CompareOp, FieldCompare, Matcher, TimePart};
use crate::pattern::Pattern;
use crate::rule::kind;
use encoding::Working;
use plan::{Place, Plan, Test, Transform};

/// Most values of one item, before and after modifiers multiply them.
pub(crate) const MAX_VALUES: usize = 100_000;
/// Most bytes of a compiled regular expression.
const MAX_REGEX_BYTES: usize = 8 << 20;
/// A compiled regular expression above this many bytes is a large one.
const LARGE_REGEX_BYTES: usize = 128 << 10;
/// Most regular expressions of one rule.
const MAX_REGEXES: usize = 2_000;
/// Most large regular expressions of one rule.
const MAX_LARGE_REGEXES: usize = 32;
/// First and last year that an order such as `year|gte` can name.
const YEARS: std::ops::RangeInclusive<i64> = 1970..=2100;

/// What is learnt about a rule while its detection is read, and what its limits have left.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// Names of placeholders without values.
    pub unresolved: Vec<String>,
    /// What the rule's author should know.
    pub remarks: Vec<String>,
    regexes: usize,
    large_regexes: usize,
}

/// Turns an item into a condition.
pub(crate) fn apply(
    selection: &str,
    item: &DetectionItem,
    placeholders: &Placeholders,
    notes: &mut Notes,
) -> Result<Expr, String> {
    let plan = Plan::of(&item.modifiers)?;
    check_values(item, &plan, notes)?;
    let mut reader = Reader {
        selection,
        item,
        plan: &plan,
        placeholders,
        notes,
        leaves: 0,
    };
    let mut exprs = Vec::with_capacity(item.values.len());
    for value in &item.values {
        exprs.push(reader.value(value)?);
    }
    let joined = if exprs.len() == 1 {
        exprs.remove(0)
    } else if plan.all {
        Expr::And(exprs)
    } else {
        Expr::Or(exprs)
    };
    Ok(if plan.negated {
        Expr::Not(Box::new(joined))
    } else {
        joined
    })
}

fn check_values(item: &DetectionItem, plan: &Plan, notes: &mut Notes) -> Result<(), String> {
    if item.values.is_empty() {
        return Err("has an empty list of values; give it at least one".to_owned());
    }
    if item.values.len() > MAX_VALUES {
        return Err(format!(
            "{} values in one list; the limit is {MAX_VALUES}; split the rule, or use indicators",
            item.values.len()
        ));
    }
    let name = item.field.as_deref().unwrap_or("keywords");
    let nulls = item.values.iter().filter(|value| value.is_null()).count();
    if nulls > 0 && item.field.is_none() {
        return Err("a keyword cannot be null; remove it".to_owned());
    }
    let changes_text = plan.place != Place::Whole || !plan.transforms.is_empty();
    if nulls > 0 && (changes_text || plan.test != Test::Text) {
        return Err(
            "null takes no modifier but all and neq; give it a selection of its own".to_owned(),
        );
    }
    if nulls > 0 && item.values.len() > 1 {
        notes.remarks.push(format!(
            "'{name}' has null in a list, which the specification does not allow; it is taken as one more value"
        ));
    }
    if plan.all && item.values.len() == 1 && item.field.is_some() {
        notes.remarks.push(format!(
            "'{name}' has the modifier 'all' with a single value, where it has no effect"
        ));
    }
    Ok(())
}

struct Reader<'a> {
    selection: &'a str,
    item: &'a DetectionItem,
    plan: &'a Plan,
    placeholders: &'a Placeholders,
    notes: &'a mut Notes,
    leaves: usize,
}

impl Reader<'_> {
    fn value(&mut self, value: &Value) -> Result<Expr, String> {
        let written = written(value);
        let matchers = self.matchers(value, &written)?;
        self.leaves += matchers.len();
        if self.leaves > MAX_VALUES {
            return Err(format!(
                "modifiers turn its values into more than {MAX_VALUES}; split the rule"
            ));
        }
        let shown = shown(&self.item.modifiers, &written);
        let leaf = |matcher| {
            Expr::Leaf(Box::new(Leaf {
                selection: self.selection.to_owned(),
                field: self.item.field.clone(),
                matcher,
                written: shown.clone(),
            }))
        };
        let mut leaves: Vec<Expr> = matchers.into_iter().map(leaf).collect();
        Ok(if leaves.len() == 1 {
            leaves.remove(0)
        } else {
            Expr::Or(leaves)
        })
    }

    fn matchers(&mut self, value: &Value, written: &str) -> Result<Vec<Matcher>, String> {
        match value {
            Value::Null => return Ok(vec![Matcher::Null]),
            Value::Array(_) | Value::Object(_) => {
                return Err(format!(
                    "a value must be a text, number, truth value or null, not {}",
                    kind(value)
                ));
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        if !self.plan.expand {
            return self.tests(written);
        }
        let known = |name: &str| self.placeholders.get(name).map(Vec::as_slice);
        let forms = filled(&pieces(written), known, MAX_VALUES)?;
        let mut matchers = Vec::new();
        for form in forms {
            let unresolved = form.iter().find_map(|piece| match piece {
                Piece::Placeholder(name) => Some(name.clone()),
                Piece::Text(_) => None,
            });
            if let Some(name) = unresolved {
                self.notes.unresolved.push(name);
                return Ok(vec![Matcher::Never]);
            }
            let text: String = form.iter().map(text_of_piece).collect();
            matchers.extend(self.tests(&text)?);
        }
        Ok(if matchers.is_empty() {
            vec![Matcher::Never]
        } else {
            matchers
        })
    }

    fn tests(&mut self, text: &str) -> Result<Vec<Matcher>, String> {
        Ok(match self.plan.test {
            Test::Text => self.texts(text)?,
            Test::Regex => {
                let flags = &self.plan.regex_flags;
                let pattern = if flags.is_empty() {
                    text.to_owned()
                } else {
                    format!("(?{flags}){text}")
                };
                vec![self.regex(&pattern)?]
            }
            Test::Cidr => vec![cidr(text)?],
            Test::Exists => vec![Matcher::Exists(truth(text)?)],
            Test::Field => vec![field(text, self.plan)?],
            Test::Compare(op) => vec![Matcher::Compare(op, number(text)?)],
            Test::Time(part) => time(part, self.plan.time_order, number(text)?)?,
        })
    }

    fn texts(&mut self, text: &str) -> Result<Vec<Matcher>, String> {
        let mut working = vec![Working::Text(Pattern::parse(text))];
        let last = self.plan.transforms.len().saturating_sub(1);
        for (index, transform) in self.plan.transforms.iter().enumerate() {
            let mut next = Vec::with_capacity(working.len());
            for value in working {
                match (transform, value) {
                    (Transform::Windash, Working::Text(pattern)) => {
                        match windash::forms(&pattern) {
                            windash::Forms::Written(forms) => {
                                next.extend(forms.into_iter().map(Working::Text));
                            }
                            windash::Forms::TooMany if index < last => {
                                return Err(format!(
                                    "'{text}' has more dashes than 'windash' can vary before an encoding; split the value"
                                ));
                            }
                            windash::Forms::TooMany => {
                                let pattern = self.placed(pattern);
                                let expression = windash::expression(&pattern, self.plan.cased);
                                return Ok(vec![self.regex(&expression)?]);
                            }
                        }
                    }
                    (transform, value) => next.extend(transformed(*transform, value)),
                }
            }
            working = next;
        }
        let matcher = |value| {
            let pattern = self.placed(match value {
                Working::Text(pattern) => pattern,
                Working::Bytes(bytes) => Pattern::literal(&String::from_utf8_lossy(&bytes)),
            });
            Matcher::Text {
                pattern: if self.plan.cased {
                    pattern
                } else {
                    pattern.map_literals(str::to_lowercase)
                },
                cased: self.plan.cased,
            }
        };
        Ok(working.into_iter().map(matcher).collect())
    }

    fn placed(&self, pattern: Pattern) -> Pattern {
        match self.plan.place {
            // A keyword is looked for anywhere in a value.
            Place::Whole if self.item.field.is_none() => pattern.contained(),
            Place::Whole => pattern,
            Place::Contains => pattern.contained(),
            Place::Start => pattern.open_end(),
            Place::End => pattern.open_start(),
        }
    }

    fn regex(&mut self, pattern: &str) -> Result<Matcher, String> {
        self.notes.regexes += 1;
        if self.notes.regexes > MAX_REGEXES {
            return Err(format!(
                "more than {MAX_REGEXES} regular expressions in one rule; use contains, startswith or endswith, or split the rule"
            ));
        }
        let build = |limit: usize| regex::RegexBuilder::new(pattern).size_limit(limit).build();
        let built = match build(LARGE_REGEX_BYTES) {
            Err(regex::Error::CompiledTooBig(_)) => {
                self.notes.large_regexes += 1;
                if self.notes.large_regexes > MAX_LARGE_REGEXES {
                    return Err(format!(
                        "more than {MAX_LARGE_REGEXES} regular expressions of over {LARGE_REGEX_BYTES} bytes in one rule; make their repetitions smaller"
                    ));
                }
                build(MAX_REGEX_BYTES)
            }
            built => built,
        };
        built.map(Matcher::Regex).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            let mend = match error {
                regex::Error::CompiledTooBig(_) => "make its repetitions smaller",
                _ => "look-around and back references are not in the specification",
            };
            format!("regular expression cannot be used: {last}; {mend}")
        })
    }
}

fn text_of_piece(piece: &Piece) -> &str {
    match piece {
        Piece::Text(text) | Piece::Placeholder(text) => text,
    }
}

fn transformed(transform: Transform, value: Working) -> Vec<Working> {
    match transform {
        Transform::Windash => vec![value],
        Transform::Base64 => vec![encoding::base64(value)],
        Transform::Base64Offset => encoding::base64_offsets(value),
        Transform::Utf16Le => vec![encoding::utf16(value, &[], u16::to_le_bytes)],
        Transform::Utf16Be => vec![encoding::utf16(value, &[], u16::to_be_bytes)],
        Transform::Utf16 => vec![encoding::utf16(value, &[0xff, 0xfe], u16::to_le_bytes)],
    }
}

fn shown(modifiers: &[String], written: &str) -> String {
    let modifiers: Vec<&str> = modifiers
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "all")
        .collect();
    if modifiers.is_empty() {
        written.to_owned()
    } else {
        format!("{}: {written}", modifiers.join(" "))
    }
}

pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

fn truth(text: &str) -> Result<bool, String> {
    if text.eq_ignore_ascii_case("true") {
        Ok(true)
    } else if text.eq_ignore_ascii_case("false") {
        Ok(false)
    } else {
        Err(format!("'exists' takes true or false, not {text}"))
    }
}

fn number(text: &str) -> Result<f64, String> {
    let number: Option<f64> = text.trim().parse().ok();
    number
        .filter(|number| number.is_finite())
        .ok_or_else(|| format!("a number is needed here, not {text}"))
}

fn cidr(text: &str) -> Result<Matcher, String> {
    let network: Result<ipnet::IpNet, _> = text.parse();
    let network = network.or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from));
    network.map(Matcher::Cidr).map_err(|_| {
        format!("'{text}' is no network in CIDR form; write it like 10.0.0.0/8 or 2001:db8::/32")
    })
}

fn field(other: &str, plan: &Plan) -> Result<Matcher, String> {
    if other.is_empty() {
        return Err("'fieldref' needs the name of a field".to_owned());
    }
    Ok(Matcher::Field {
        other: other.to_owned(),
        compare: match plan.place {
            Place::Whole => FieldCompare::Equal,
            Place::Contains => FieldCompare::Contains,
            Place::Start => FieldCompare::StartsWith,
            Place::End => FieldCompare::EndsWith,
        },
        cased: plan.cased,
    })
}

/// A part of a time stamp that equals a number or, with an order, each number that the order
/// leaves.
fn time(part: TimePart, order: Option<CompareOp>, wanted: f64) -> Result<Vec<Matcher>, String> {
    let range = match part {
        TimePart::Minute => 0..=59,
        TimePart::Hour => 0..=23,
        TimePart::Day => 1..=31,
        TimePart::Week => 1..=53,
        TimePart::Month => 1..=12,
        TimePart::Year => YEARS,
    };
    let found: Vec<Matcher> = match order {
        None => range
            .clone()
            .filter(|number| *number as f64 == wanted)
            .map(|number| Matcher::Time(part, number))
            .collect(),
        Some(op) => range
            .clone()
            .filter(|number| op.holds(*number as f64, wanted))
            .map(|number| Matcher::Time(part, number))
            .collect(),
    };
    if found.is_empty() {
        return Err(format!(
            "{wanted} can never be met by that part of a time; it goes from {} to {}",
            range.start(),
            range.end()
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
