//! Sigma strings: literals with the wildcards `*` and `?` and backslash escapes.
//!
//! # Source
//! Sigma specification 2.1, "Escaping" and "Wildcards".

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Text that must stand there.
    Literal(String),
    /// Any number of characters, also none (`*`).
    Any,
    /// Exactly one character (`?`).
    One,
}

/// A whole value to be met, anchored at both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    parts: Vec<Part>,
}

impl Pattern {
    /// Reads a Sigma string. A backslash makes a following `*`, `?` or backslash literal and
    /// stands for itself before anything else.
    pub fn parse(text: &str) -> Self {
        let mut pattern = Self::default();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => {
                    let escaped = characters.next_if(|next| matches!(next, '*' | '?' | '\\'));
                    pattern.push_char(escaped.unwrap_or('\\'));
                }
                '*' => pattern.push(Part::Any),
                '?' => pattern.push(Part::One),
                other => pattern.push_char(other),
            }
        }
        pattern
    }

    /// A pattern that is met by this text alone.
    pub fn literal(text: &str) -> Self {
        let mut pattern = Self::default();
        if !text.is_empty() {
            pattern.push(Part::Literal(text.to_owned()));
        }
        pattern
    }

    /// The pieces in order; neighbouring literals and neighbouring `*` are one piece.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (Some(Part::Literal(text)), Part::Literal(more)) => text.push_str(&more),
            (Some(Part::Any), Part::Any) => {}
            (_, part) => self.parts.push(part),
        }
    }

    fn push_char(&mut self, character: char) {
        if let Some(Part::Literal(text)) = self.parts.last_mut() {
            text.push(character);
        } else {
            self.parts.push(Part::Literal(character.to_string()));
        }
    }

    /// This pattern anywhere in the value.
    pub fn contained(self) -> Self {
        self.open_start().open_end()
    }

    /// This pattern at the end of the value.
    pub fn open_start(mut self) -> Self {
        if self.parts.first() != Some(&Part::Any) {
            self.parts.insert(0, Part::Any);
        }
        self
    }

    /// This pattern at the start of the value.
    pub fn open_end(mut self) -> Self {
        self.push(Part::Any);
        self
    }

    /// The text, if there is no wildcard.
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The pattern with its literals changed.
    pub fn map_literals(&self, mut change: impl FnMut(&str) -> String) -> Self {
        let mut mapped = Self::default();
        for part in &self.parts {
            mapped.push(match part {
                Part::Literal(text) => Part::Literal(change(text)),
                other => other.clone(),
            });
        }
        mapped
    }

    /// Whether a value meets the pattern, letter case included. Time is bounded by the product
    /// of the two lengths.
    pub fn is_match(&self, value: &str) -> bool {
        glob(&self.parts, value)
    }
}

/// Greedy matching with one fallback point: after a `*` the latest one alone is worth
/// retrying, so there is no exponential case.
fn glob(parts: &[Part], value: &str) -> bool {
    let (mut part, mut rest) = (0, value);
    let mut fallback: Option<(usize, &str)> = None;
    loop {
        let step = match parts.get(part) {
            None if rest.is_empty() => return true,
            None => None,
            Some(Part::Any) => {
                fallback = Some((part + 1, rest));
                Some(rest)
            }
            Some(Part::One) => after_one(rest),
            Some(Part::Literal(text)) => rest.strip_prefix(text.as_str()),
        };
        if let Some(next) = step {
            part += 1;
            rest = next;
            continue;
        }
        let Some((resume_part, resume_rest)) = fallback else {
            return false;
        };
        let Some(shorter) = next_try(parts.get(resume_part), resume_rest) else {
            return false;
        };
        fallback = Some((resume_part, shorter));
        part = resume_part;
        rest = shorter;
    }
}

/// Where to try again after a `*`: at the next place where the following literal could stand.
fn next_try<'a>(following: Option<&Part>, rest: &'a str) -> Option<&'a str> {
    let shorter = after_one(rest)?;
    match following {
        Some(Part::Literal(text)) => {
            let at = memchr::memmem::find(shorter.as_bytes(), text.as_bytes())?;
            shorter.get(at..)
        }
        None => Some(""),
        Some(_) => Some(shorter),
    }
}

fn after_one(text: &str) -> Option<&str> {
    let mut characters = text.chars();
    characters.next()?;
    Some(characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, value: &str, expected: bool) {
        assert_eq!(
            Pattern::parse(pattern).is_match(value),
            expected,
            "{pattern} on {value}"
        );
    }

    #[test]
    fn wildcards_meet_what_they_should() {
        check("abc", "abc", true);
        check("abc", "abcd", false);
        check("*", "", true);
        check("*b*", "abc", true);
        check("a?c", "aéc", true);
        check("a?c", "ac", false);
        check("*.exe", "a.exe.exe", true);
        check("*a*b*c", "xxaxxbxxc", true);
        check("*a*b*c", "xxaxxbxxcd", false);
        check("a*?", "a", false);
        check("a*?b", "axb", true);
        check("", "", true);
        check("", "x", false);
    }

    #[test]
    fn a_pattern_of_many_stars_does_not_explode() {
        let pattern = "*a".repeat(200);
        check(&pattern, &"a".repeat(150), false);
        check(&format!("{pattern}*b"), &"a".repeat(20_000), false);
    }

    #[test]
    fn backslash_escapes_wildcards_and_itself_only() {
        assert_eq!(Pattern::parse(r"\*a\?").as_literal(), Some("*a?"));
        assert_eq!(Pattern::parse(r"C:\Win").as_literal(), Some(r"C:\Win"));
        assert_eq!(Pattern::parse(r"\\a").as_literal(), Some(r"\a"));
        check(r"C:\\*", r"C:\x", true);
        check(r"\\*\\x", r"\y\x", true);
    }

    proptest::proptest! {
        #[test]
        fn wildcards_mean_what_a_regular_expression_says(text in "[ab*?\\\\]{0,8}", value in "[ab*?\\\\]{0,8}") {
            let pattern = Pattern::parse(&text);
            let part = |part: &Part| match part {
                Part::Literal(text) => regex::escape(text),
                Part::Any => "(?s:.*)".to_owned(),
                Part::One => "(?s:.)".to_owned(),
            };
            let expression: String = pattern.parts().iter().map(part).collect();
            let expression = regex::Regex::new(&format!("^(?:{expression})$")).unwrap();
            proptest::prop_assert_eq!(pattern.is_match(&value), expression.is_match(&value));
        }
    }
}
