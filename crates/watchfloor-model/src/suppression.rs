//! What shall not become an alert, why, and until when.

use jiff::Timestamp;

use crate::SuppressionId;

/// One condition; all of a suppression's must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `entity.<kind>`, `source`, or the name of a matched field of the event.
    pub field: String,
    /// The value, case-insensitive; `*` stands for any run of characters.
    pub value: String,
}

impl Condition {
    /// Whether a value fits.
    pub fn fits(&self, value: &str) -> bool {
        wildcard_fits(&self.value.to_lowercase(), &value.to_lowercase())
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
    /// Why.
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// How many findings it held back.
    pub count: u64,
    /// When it last held one back.
    pub last_at: Option<Timestamp>,
}

impl Suppression {
    /// Whether it is in force.
    pub fn is_active(&self, now: Timestamp) -> bool {
        now < self.expires_at
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
                value: pattern.to_owned(),
            };
            assert_eq!(condition.fits(text), expected, "{pattern} {text}");
        }
    }
}
