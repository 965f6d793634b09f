//! How much an asset or an account matters to the organization.

/// From what matters least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Criticality {
    /// Its loss is hardly felt.
    Low,
    /// Its loss hinders.
    Medium,
    /// Its loss stops a part of the work.
    High,
    /// Its loss stops the work, or opens the rest.
    Critical,
}

impl Criticality {
    /// The words that tables should say, for people.
    pub const WORDS: &'static str = "critical, high, medium, low";

    /// Reads a word or grade as inventories write it; grades from 1 (least) to 5, tiers of
    /// administration from 0 (most).
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "critical" | "very high" | "highest" | "5" | "4" | "tier 0" | "tier0" => Self::Critical,
            "high" | "important" | "3" | "tier 1" | "tier1" => Self::High,
            "medium" | "moderate" | "normal" | "2" | "tier 2" | "tier2" => Self::Medium,
            "low" | "lowest" | "very low" | "none" | "1" | "0" => Self::Low,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Criticality;

    #[test]
    fn words_and_grades_are_ordered() {
        let grades = ["none", "Medium", "IMPORTANT", "tier 0"].map(Criticality::from_word);
        assert!(grades.is_sorted() && grades.iter().all(Option::is_some));
        assert_eq!(Criticality::from_word("hihg"), None);
        for word in Criticality::WORDS.split(", ") {
            assert!(Criticality::from_word(word).is_some(), "{word}");
        }
    }
}
