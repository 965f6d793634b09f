//! `%placeholders%` of the `expand` modifier.
//!
//! # Source
//! Sigma specification 2.1, "Placeholders".

/// Values for `%placeholder%`, asked by `expand`.
pub(crate) type Placeholders = std::collections::BTreeMap<String, Vec<String>>;

/// A piece of a value under `expand`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text as it stands, a plain percent sign without its backslash.
    Text(String),
    /// The name between two percent signs.
    Placeholder(String),
}

/// Takes a value apart. A percent sign after a backslash, or one that does not open a name, is
/// plain.
pub(crate) fn pieces(value: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        if let Some(escaped) = before.strip_suffix('\\') {
            text.push_str(escaped);
            text.push('%');
            rest = after;
            continue;
        }
        text.push_str(before);
        match named(after) {
            Some((name, behind)) => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Placeholder(name.to_owned()));
                rest = behind;
            }
            None => {
                text.push('%');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    if !text.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// The name that a value starts with and what stands behind its percent sign.
fn named(after: &str) -> Option<(&str, &str)> {
    let (name, behind) = after.split_once('%')?;
    let is_name = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, behind))
}

/// The value that [`pieces`] takes apart into these.
pub(crate) fn joined(pieces: &[Piece]) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.replace('%', "\\%"),
        Piece::Placeholder(name) => format!("%{name}%"),
    };
    pieces.iter().map(piece).collect()
}

/// Every value that comes of filling the placeholders for which `values` has some. Others stay.
///
/// # Errors
/// If there would be more than `most` values.
pub(crate) fn filled<'a>(
    pieces: &[Piece],
    values: impl Fn(&str) -> Option<&'a [String]>,
    most: usize,
) -> Result<Vec<Vec<Piece>>, String> {
    let mut forms: Vec<Vec<Piece>> = vec![Vec::new()];
    for piece in pieces {
        let found = match piece {
            Piece::Placeholder(name) => values(name),
            Piece::Text(_) => None,
        };
        let Some(found) = found else {
            forms.iter_mut().for_each(|form| form.push(piece.clone()));
            continue;
        };
        if forms.len().saturating_mul(found.len()) > most {
            return Err(format!(
                "placeholders multiply to more than {most} values; give them fewer values"
            ));
        }
        let fill = |form: &Vec<Piece>, value: &String| {
            let mut form = form.clone();
            form.push(Piece::Text(value.clone()));
            form
        };
        forms = forms
            .iter()
            .flat_map(|form| found.iter().map(move |value| fill(form, value)))
            .collect();
    }
    Ok(forms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &[&str]) {
        let show = |piece: Piece| match piece {
            Piece::Text(text) => text,
            Piece::Placeholder(name) => format!("<{name}>"),
        };
        let found: Vec<String> = pieces(value).into_iter().map(show).collect();
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn percent_signs_are_plain_unless_they_hold_a_name() {
        check("%name%", &["<name>"]);
        check("a%x%b%y%", &["a", "<x>", "b", "<y>"]);
        check(r"\%plain%name%", &["%plain", "<name>"]);
        check("100%", &["100%"]);
        check("50% of %n%", &["50% of ", "<n>"]);
        check("%%", &["%%"]);
        check("", &[""]);
    }
}
