//! What shall not become an alert, why, and until when.

use jiff::Timestamp;

use crate::grade::words;
use crate::{Entity, EntityKind, MatchedField, SuppressionId};
use std::fmt;

/// How a condition's value is compared; always regardless of case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConditionOp {
    /// The whole value; `*` stands for any run of characters.
    Is,
    /// The value holds it.
    Contains,
    /// The value begins with it.
    StartsWith,
    /// The value ends in it.
    EndsWith,
}

words!(ConditionOp {
    Is = "is",
    Contains = "contains",
    StartsWith = "starts_with",
    EndsWith = "ends_with",
});

/// One condition; all of a suppression's must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `entity.<kind>`, `entity.any`, `source`, or the full name of a field of the event.
    pub field: String,
    /// How the value is compared.
    pub op: ConditionOp,
    /// The value.
    pub value: String,
}

impl Condition {
    /// Whether a value fits.
    pub fn fits(&self, value: &str) -> bool {
        let (wanted, value) = (self.value.to_lowercase(), value.to_lowercase());
        match self.op {
            ConditionOp::Is => wildcard_fits(&wanted, &value),
            ConditionOp::Contains => value.contains(&wanted),
            ConditionOp::StartsWith => value.starts_with(&wanted),
            ConditionOp::EndsWith => value.ends_with(&wanted),
        }
    }

    fn is_of_finding(&self) -> bool {
        self.field == "source" || self.field.starts_with("entity.")
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        if let Some(kind) = self.field.strip_prefix("entity.") {
            let wanted = EntityKind::parse(kind);
            let of_kind = facts
                .entities
                .iter()
                .filter(|entity| kind == "any" || Some(entity.kind) == wanted);
            let mut of_kind = of_kind;
            return of_kind
                .any(|entity| self.fits(&entity.value) || self.fits(&entity.key().value));
        }
        if self.field == "source" {
            return self.fits(facts.source);
        }
        let mut matched = facts
            .reasons
            .iter()
            .filter(|reason| reason.field == self.field);
        matched.any(|reason| self.fits(&reason.value))
            || (facts.event)(&self.field).is_some_and(|value| self.fits(&value))
    }
}

/// Hours of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DayWindow {
    /// First minute of the day, 0 to 1439.
    pub from_minute: u16,
    /// Minute after the last, 1 to 1440; before `from_minute`, it is on the next day.
    pub to_minute: u16,
    /// Time zone of both, as in the IANA database.
    pub zone: String,
}

impl DayWindow {
    /// Whether a minute of the day lies in it.
    pub fn holds(&self, minute: u16) -> bool {
        if self.from_minute <= self.to_minute {
            (self.from_minute..self.to_minute).contains(&minute)
        } else {
            minute >= self.from_minute || minute < self.to_minute
        }
    }
}

/// Only so many findings within a time are worth an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// Findings that make the first alert, at least 2.
    pub count: u32,
    /// Within so many seconds of event time.
    pub within_s: u32,
    /// Counted per value of this field, named as in a condition; all together if empty.
    pub per: String,
}

/// What a suppression looks at.
pub struct Facts<'a> {
    /// The rule.
    pub rule_id: &'a str,
    /// The source.
    pub source: &'a str,
    /// Who and what took part.
    pub entities: &'a [Entity],
    /// Fields that the rule matched.
    pub reasons: &'a [MatchedField],
    /// Any field of the event by full name.
    pub event: &'a dyn Fn(&str) -> Option<String>,
    /// The minute of the day of the event in a time zone.
    pub minute_in: &'a dyn Fn(&str) -> u16,
}

impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("rule_id", &self.rule_id)
            .finish_non_exhaustive()
    }
}

impl Facts<'_> {
    /// The value of a field, named as in a condition.
    pub fn value(&self, field: &str) -> Option<String> {
        if let Some(kind) = field.strip_prefix("entity.") {
            let wanted = EntityKind::parse(kind);
            let mut of_kind = self
                .entities
                .iter()
                .filter(|entity| kind == "any" || Some(entity.kind) == wanted);
            return of_kind.next().map(|entity| entity.key().value);
        }
        if field == "source" {
            return Some(self.source.to_owned());
        }
        let mut matched = self.reasons.iter().filter(|reason| reason.field == field);
        let matched = matched.next().map(|reason| reason.value.clone());
        matched.or_else(|| (self.event)(field))
    }
}

/// What shall not become an alert, why, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Its id.
    pub id: SuppressionId,
    /// The rule; `None` for all rules (then there is at least one condition).
    pub rule_id: Option<String>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
    /// Hours of the day in which it holds; `None` for all.
    pub window: Option<DayWindow>,
    /// How many findings it holds back before it lets one through; `None` for all.
    pub threshold: Option<Threshold>,
    /// Why.
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
    /// How many findings it held back.
    pub count: u64,
    /// When it last held one back.
    pub last_at: Option<Timestamp>,
}

impl Suppression {
    /// One that is tried and never kept.
    pub fn proposed(conditions: Vec<Condition>, window: Option<DayWindow>, now: Timestamp) -> Self {
        Self {
            id: SuppressionId::numbered(0),
            rule_id: None,
            conditions,
            window,
            threshold: None,
            reason: String::new(),
            created_by: String::new(),
            created_at: now,
            expires_at: None,
            count: 0,
            last_at: None,
        }
    }

    /// Whether it is in force.
    pub fn is_active(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }

    /// Whether it is about a finding. Its end and its threshold are the caller's to judge.
    pub fn meets(&self, facts: &Facts<'_>) -> bool {
        let rule_fits = self.rule_id.as_ref().is_none_or(|id| id == facts.rule_id);
        let in_window = |window: &DayWindow| window.holds((facts.minute_in)(&window.zone));
        rule_fits
            && self.window.as_ref().is_none_or(in_window)
            && self.conditions.iter().all(|one| one.holds(facts))
    }

    /// Whether findings of a rule cannot be judged without their events.
    pub fn asks_event(&self, rule_id: &str) -> bool {
        let per = self.threshold.iter().map(|threshold| &threshold.per);
        let asks = |field: &String| {
            !field.is_empty() && field != "source" && !field.starts_with("entity.")
        };
        self.rule_id.as_ref().is_none_or(|id| id == rule_id)
            && (self.conditions.iter().any(|one| !one.is_of_finding()) || per.into_iter().any(asks))
    }
}

/// Greedy match with backtracking to the last star only: linear in practice, and at most
/// the product of both lengths.
fn wildcard_fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((star, from)) => {
                    p = star + 1;
                    t = from + 1;
                    retry = Some((star, from + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("ws-*", "WS-042", true),
            ("*\\cmd.exe", "C:\\Windows\\CMD.EXE", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXbY", false),
            ("", "", true),
            ("", "x", false),
            ("*", "", true),
            ("exact", "exactly", false),
        ] {
            let condition = Condition {
                field: String::new(),
                op: ConditionOp::Is,
                value: pattern.to_owned(),
            };
            assert_eq!(condition.fits(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn operators_mind_no_case() {
        for (op, value, expected) in [
            (ConditionOp::Contains, "C:\\Tools\\PsExec.exe", true),
            (ConditionOp::StartsWith, "PSEXEC -s", true),
            (ConditionOp::StartsWith, "run psexec", false),
            (ConditionOp::EndsWith, "run psexec", true),
            (ConditionOp::EndsWith, "psexec.exe", false),
            (ConditionOp::Is, "psexec", true),
            (ConditionOp::Is, "psexec ", false),
        ] {
            let condition = Condition {
                field: String::new(),
                op,
                value: "PsExec".to_owned(),
            };
            assert_eq!(condition.fits(value), expected, "{op} {value}");
        }
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let window = |from_minute, to_minute| DayWindow {
            from_minute,
            to_minute,
            zone: "UTC".to_owned(),
        };
        let night = window(22 * 60, 6 * 60);
        assert!(night.holds(23 * 60) && night.holds(0) && !night.holds(6 * 60));
        let day = window(8 * 60, 1440);
        assert!(day.holds(1439) && !day.holds(0));
    }
}
