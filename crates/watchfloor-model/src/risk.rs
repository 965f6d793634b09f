//! How much an alert, an incident or an entity matters, in parts that can be shown.

use std::fmt;

use crate::grade::words;

/// What a part of a risk is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RiskKind {
    /// How grave the rule calls it.
    Severity,
    /// How much the asset or account matters to the organization.
    Criticality,
    /// How sure the producers of met indicators are.
    Indicator,
    /// How seldom rule and entity are seen.
    Rarity,
    /// What is open on the machine.
    Vulnerability,
    /// How far the attack has come.
    Progress,
}

words!(RiskKind {
    Severity = "severity",
    Criticality = "criticality",
    Indicator = "indicator",
    Rarity = "rarity",
    Vulnerability = "vulnerability",
    Progress = "progress",
});

/// One part of a risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskPart {
    /// What it is about.
    pub kind: RiskKind,
    /// Its points.
    pub points: u8,
    /// Most points that it can have.
    pub max: u8,
    /// Why it has them, as a sentence.
    pub reason: String,
}

/// A risk from 0 to 100: the sum of its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// The sum.
    pub score: u8,
    /// The parts, in the order of [`RiskKind::ALL`]; none before it was computed.
    pub parts: Vec<RiskPart>,
}

impl Risk {
    /// Most that a risk can be.
    pub const MAX: u8 = 100;

    /// A risk of these parts.
    pub fn of(mut parts: Vec<RiskPart>) -> Self {
        parts.sort_by_key(|part| part.kind);
        let sum = parts
            .iter()
            .fold(0_u8, |sum, part| sum.saturating_add(part.points));
        Self {
            score: sum.min(Self::MAX),
            parts,
        }
    }

    /// The part of a kind.
    pub fn part(&self, kind: RiskKind) -> Option<&RiskPart> {
        self.parts.iter().find(|part| part.kind == kind)
    }
}
