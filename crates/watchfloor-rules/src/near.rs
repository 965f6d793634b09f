//! Known words that are close to one that was mistyped, for messages that say how to mend it.

/// Most words in a suggestion.
const MAX_SUGGESTED: usize = 3;
/// Longest word that is compared, in bytes; longer ones are no typing errors.
const MAX_WORD_BYTES: usize = 64;

/// ` (did you mean a, b?)`, or nothing where no known word is close. The words stand without
/// quotation marks, which mark what was read.
pub(crate) fn hint<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    if word.len() > MAX_WORD_BYTES {
        return String::new();
    }
    let lower = word.to_lowercase();
    let mut close: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|one| one.len() <= MAX_WORD_BYTES)
        .map(|one| (distance(&lower, &one.to_lowercase()), one))
        .filter(|(steps, one)| *steps <= 2.max(one.len() / 3))
        .collect();
    close.sort_unstable();
    close.dedup();
    close.truncate(MAX_SUGGESTED);
    if close.is_empty() {
        return String::new();
    }
    let words: Vec<&str> = close.into_iter().map(|(_, one)| one).collect();
    format!(" (did you mean {}?)", words.join(", "))
}

/// Letters to insert, delete or change, to get from one word to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut before = row[0];
        row[0] = index + 1;
        for (at, other) in right.iter().enumerate() {
            let changed = before + usize::from(letter != *other);
            before = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(before + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_near_and_other_words_are_not() {
        let known = ["contains", "startswith", "endswith", "re"];
        assert_eq!(hint("endwith", known), " (did you mean endswith?)");
        assert_eq!(hint("Contain", known), " (did you mean contains?)");
        assert_eq!(hint("nonsense", known), "");
        assert_eq!(hint(&"x".repeat(1 << 20), known), "");
    }
}
