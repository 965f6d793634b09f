//! The modifiers of one field, sorted by what they act on, and which of them go together.
//!
//! # Source
//! Sigma specification 2.1, "Value Modifiers" and modifiers appendix.

use crate::matcher::{CompareOp, TimePart};
use crate::near;

/// Every modifier.
const KNOWN: [&str; 34] = [
    "contains",
    "startswith",
    "endswith",
    "all",
    "cased",
    "neq",
    "re",
    "i",
    "m",
    "s",
    "ignorecase",
    "multiline",
    "dotall",
    "cidr",
    "exists",
    "fieldref",
    "gt",
    "gte",
    "lt",
    "lte",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "base64",
    "base64offset",
    "wide",
    "utf16",
    "utf16le",
    "utf16be",
    "windash",
    "expand",
];

/// Modifiers of other tools, and what to write instead.
const ELSEWHERE: [(&str, &str); 3] = [
    ("timestamp", "use minute, hour, day, week, month or year"),
    ("base64url", "use base64 or base64offset"),
    ("not", "use neq, or 'not' in the condition"),
];

/// The modifiers of one item, sorted by what they act on.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub transforms: Vec<Transform>,
    pub place: Place,
    pub test: Test,
    /// Order to which a part of a time stamp is compared.
    pub time_order: Option<CompareOp>,
    pub cased: bool,
    pub all: bool,
    pub negated: bool,
    pub expand: bool,
    pub regex_flags: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transform {
    Base64,
    Base64Offset,
    Utf16Le,
    Utf16Be,
    Utf16,
    Windash,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Whole,
    Contains,
    Start,
    End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Test {
    #[default]
    Text,
    Regex,
    Cidr,
    Exists,
    Field,
    Compare(CompareOp),
    Time(TimePart),
}

impl Plan {
    /// Sorts modifiers.
    ///
    /// # Errors
    /// With the modifier that is unknown or does not go with the others.
    pub(super) fn of(modifiers: &[String]) -> Result<Self, String> {
        let mut plan = Self::default();
        for modifier in modifiers {
            plan.take(modifier)?;
        }
        plan.check()?;
        Ok(plan)
    }

    fn take(&mut self, modifier: &str) -> Result<(), String> {
        match modifier {
            "contains" => self.place(Place::Contains, modifier)?,
            "startswith" => self.place(Place::Start, modifier)?,
            "endswith" => self.place(Place::End, modifier)?,
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.negated = true,
            "expand" => self.expand = true,
            "i" | "ignorecase" => self.flag('i', modifier)?,
            "m" | "multiline" => self.flag('m', modifier)?,
            "s" | "dotall" => self.flag('s', modifier)?,
            "re" => self.test(Test::Regex, modifier)?,
            "cidr" => self.test(Test::Cidr, modifier)?,
            "exists" => self.test(Test::Exists, modifier)?,
            "fieldref" => self.test(Test::Field, modifier)?,
            "gt" => self.order(CompareOp::Greater, modifier)?,
            "gte" => self.order(CompareOp::GreaterOrEqual, modifier)?,
            "lt" => self.order(CompareOp::Less, modifier)?,
            "lte" => self.order(CompareOp::LessOrEqual, modifier)?,
            "minute" => self.test(Test::Time(TimePart::Minute), modifier)?,
            "hour" => self.test(Test::Time(TimePart::Hour), modifier)?,
            "day" => self.test(Test::Time(TimePart::Day), modifier)?,
            "week" => self.test(Test::Time(TimePart::Week), modifier)?,
            "month" => self.test(Test::Time(TimePart::Month), modifier)?,
            "year" => self.test(Test::Time(TimePart::Year), modifier)?,
            "base64" => self.encode(Transform::Base64, modifier)?,
            "base64offset" => self.encode(Transform::Base64Offset, modifier)?,
            "wide" | "utf16le" => self.encode(Transform::Utf16Le, modifier)?,
            "utf16be" => self.encode(Transform::Utf16Be, modifier)?,
            "utf16" => self.encode(Transform::Utf16, modifier)?,
            "windash" => self.transforms.push(Transform::Windash),
            unknown => return Err(unknown_modifier(unknown)),
        }
        Ok(())
    }

    fn place(&mut self, place: Place, modifier: &str) -> Result<(), String> {
        if self.place != Place::Whole && self.place != place {
            return Err(format!(
                "modifier '{modifier}' stands beside another place in the value; keep one of contains, startswith, endswith"
            ));
        }
        self.place = place;
        Ok(())
    }

    fn flag(&mut self, flag: char, modifier: &str) -> Result<(), String> {
        if self.test != Test::Regex {
            return Err(format!(
                "modifier '{modifier}' belongs to a regular expression; put 're' before it"
            ));
        }
        if !self.regex_flags.contains(flag) {
            self.regex_flags.push(flag);
        }
        Ok(())
    }

    fn test(&mut self, test: Test, modifier: &str) -> Result<(), String> {
        match (self.test, test) {
            (Test::Text, _) => self.test = test,
            (Test::Compare(op), Test::Time(_)) => {
                self.time_order = Some(op);
                self.test = test;
            }
            _ => {
                return Err(format!(
                    "modifier '{modifier}' does not go with the one before it that says how values are compared; keep one of them"
                ));
            }
        }
        Ok(())
    }

    fn order(&mut self, op: CompareOp, modifier: &str) -> Result<(), String> {
        if matches!(self.test, Test::Time(_)) && self.time_order.is_none() {
            self.time_order = Some(op);
            return Ok(());
        }
        self.test(Test::Compare(op), modifier)
    }

    fn encode(&mut self, transform: Transform, modifier: &str) -> Result<(), String> {
        if self.place != Place::Whole {
            return Err(format!(
                "modifier '{modifier}' would encode the wildcards of the one before it; put it before contains, startswith or endswith"
            ));
        }
        self.transforms.push(transform);
        Ok(())
    }

    /// Refuses modifiers that would have no effect beside the others.
    fn check(&self) -> Result<(), String> {
        let places = self.place != Place::Whole;
        let refused = match self.test {
            Test::Text | Test::Field | Test::Regex => None,
            Test::Cidr | Test::Exists | Test::Compare(_) | Test::Time(_) if places => {
                Some("contains, startswith and endswith")
            }
            Test::Cidr | Test::Exists | Test::Compare(_) | Test::Time(_) => None,
        };
        let refused = match (refused, self.test) {
            (None, Test::Text) => None,
            (None, _) if !self.transforms.is_empty() => {
                Some("base64, base64offset, utf16, wide and windash")
            }
            (found, _) => found,
        };
        match refused {
            None => Ok(()),
            Some(names) => Err(format!(
                "{names} change texts and do not go with the other modifiers here; remove one of them"
            )),
        }
    }
}

fn unknown_modifier(word: &str) -> String {
    if let Some((_, mend)) = ELSEWHERE.iter().find(|(name, _)| *name == word) {
        return format!("modifier '{word}' is not in the specification; {mend}");
    }
    if word.is_empty() {
        return "a modifier is empty; remove the '|' too many".to_owned();
    }
    let hint = near::hint(word, KNOWN);
    format!("unknown modifier '{word}'{hint}; the modifiers are listed in the guide to rules")
}
