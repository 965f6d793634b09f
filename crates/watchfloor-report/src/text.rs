//! Makes hostile text harmless to read: control, bidirectional and invisible characters are
//! shown as what they are.

/// Longest text of one field, in characters; logs can hold megabytes.
const FIELD_CHARS_MAX: usize = 4_000;

/// Whether a character could change how the text around it is read.
const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Shows such characters as `⟨U+202E⟩`; keeps line feeds; cuts what is too long.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (position, c) in text.chars().enumerate() {
        if position == FIELD_CHARS_MAX {
            out.push_str(" … (cut)");
            break;
        }
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => {}
            c if c.is_control() || is_deceptive(c) => {
                out.push_str(&format!("⟨U+{:04X}⟩", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_would_hide() {
        for (text, expected) in [
            ("plain\r\nline", "plain\nline"),
            ("abc\u{202e}fdp.exe", "abc⟨U+202E⟩fdp.exe"),
            ("\u{1b}[31m", "⟨U+001B⟩[31m"),
            ("a\u{200b}b\u{0}", "a⟨U+200B⟩b⟨U+0000⟩"),
        ] {
            assert_eq!(visible(text), expected);
        }
        assert!(visible(&"x".repeat(5_000)).ends_with("… (cut)"));
    }
}
