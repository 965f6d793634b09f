//! Regular expressions as packs mean them: classes such as `\d` and `\w` are those of ASCII.
//!
//! Logs mean `0` to `9` when they say digit, and the tables of all digits of all scripts make an
//! automaton many times larger and slower.

/// The expression with ASCII classes in place of those of Unicode.
pub(crate) fn ascii(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 32);
    let mut depth = 0_u32;
    let mut is_first = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let was_first = std::mem::take(&mut is_first);
        match character {
            '\\' => {
                let Some(class) = characters.next() else {
                    out.push('\\');
                    break;
                };
                match replacement(class, depth > 0) {
                    Some(text) => out.push_str(text),
                    None => {
                        out.push('\\');
                        out.push(class);
                    }
                }
            }
            '[' => {
                depth += 1;
                is_first = true;
                out.push('[');
            }
            '^' if was_first => {
                is_first = true;
                out.push('^');
            }
            // A bracket that stands first in a class is one of its characters.
            ']' if depth > 0 && !was_first => {
                depth -= 1;
                out.push(']');
            }
            other => out.push(other),
        }
    }
    out
}

fn replacement(class: char, is_inside: bool) -> Option<&'static str> {
    Some(match (class, is_inside) {
        ('d', false) => "[0-9]",
        ('d', true) => "0-9",
        ('w', false) => "[0-9A-Za-z_]",
        ('w', true) => "0-9A-Za-z_",
        ('s', false) => r"[ \t\n\r\x0B\x0C]",
        ('s', true) => r" \t\n\r\x0B\x0C",
        ('D', false) => "[^0-9]",
        ('W', false) => "[^0-9A-Za-z_]",
        ('S', false) => r"[^ \t\n\r\x0B\x0C]",
        ('b', false) => r"(?-u:\b)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_ascii() {
        for (pattern, expected) in [
            (r"\d+", "[0-9]+"),
            (r"[\d.]+", "[0-9.]+"),
            (r"[^]\w]", "[^]0-9A-Za-z_]"),
            (r"\\d\[\S", r"\\d\[[^ \t\n\r\x0B\x0C]"),
            (r"\", r"\"),
            (r"[\]\d]\d", r"[\]0-9][0-9]"),
        ] {
            assert_eq!(ascii(pattern), expected, "{pattern}");
        }
    }
}
