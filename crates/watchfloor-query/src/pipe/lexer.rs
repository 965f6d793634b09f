//! Pieces of a pipe query with their places.

use std::fmt;
use std::ops::Range;

use crate::diagnostic::Diagnostic;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Letters, digits and `_`; operators in words and verbs with `-` too.
    Name(String),
    /// `['a name']`.
    QuotedName(String),
    Text(String),
    Long(i64),
    Real(f64),
    /// Microseconds.
    Span(i64),
    Sign(&'static str),
    /// What stands in the brackets of `datetime(…)`, `timespan(…)`, `dynamic(…)` and the like.
    Raw(&'static str, String),
    /// What cannot be read; an error once it is come to.
    Bad(Diagnostic),
}

impl fmt::Display for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) | Self::QuotedName(name) => write!(formatter, "'{name}'"),
            Self::Text(_) => write!(formatter, "a text"),
            Self::Long(_) | Self::Real(_) => write!(formatter, "a number"),
            Self::Span(_) => write!(formatter, "a span of time"),
            Self::Sign(sign) => write!(formatter, "'{sign}'"),
            Self::Raw(kind, _) => write!(formatter, "'{kind}(…)'"),
            Self::Bad(error) => write!(formatter, "{error}"),
        }
    }
}

pub(super) type Placed = (Token, Range<usize>);

/// Longest first.
const SIGNS: [&str; 29] = [
    "..", "==", "=~", "!=", "!~", "<=", ">=", "<>", "=>", "(", ")", "[", "]", "{", "}", ",", ";",
    "|", "<", ">", "=", "+", "-", "*", "/", "%", ":", ".", "$",
];

/// Words that may stand behind `!`.
const NEGATED: [&str; 16] = [
    "has_any",
    "has_all",
    "has_cs",
    "hasprefix_cs",
    "hassuffix_cs",
    "hasprefix",
    "hassuffix",
    "has",
    "contains_cs",
    "contains",
    "startswith_cs",
    "startswith",
    "endswith_cs",
    "endswith",
    "in",
    "between",
];

/// Literals whose brackets hold what is no expression.
const RAW: [&str; 6] = ["datetime", "date", "timespan", "time", "dynamic", "guid"];

/// Names that hold a `-`.
const DASHED: [&str; 20] = [
    "project-by-names",
    "sample-distinct",
    "make-graph",
    "graph-match",
    "graph-to-table",
    "graph-shortest-paths",
    "graph-mark-components",
    "macro-expand",
    "assert-schema",
    "mv-expand",
    "mv-apply",
    "make-series",
    "project-away",
    "project-keep",
    "project-rename",
    "project-reorder",
    "parse-where",
    "parse-kv",
    "top-nested",
    "top-hitters",
];

/// The tokens from a byte on, up to the first that cannot be read.
pub(super) fn tokens(text: &str, from: usize) -> Vec<Placed> {
    let mut tokens = Vec::new();
    let mut at = from;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        // Byte order marks and blanks without width come along when a query is copied.
        if next.is_whitespace() || matches!(next, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}')
        {
            at += next.len_utf8();
            continue;
        }
        // `#connect` and the like are for a program of another maker.
        let is_directive = next == '#' && text[..at].trim_end_matches([' ', '\t']).ends_with('\n');
        if rest.starts_with("//") || is_directive {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        match token(text, at, rest, next) {
            Ok((token, len)) => {
                tokens.push((token, at..at + len));
                at += len;
            }
            Err(error) => {
                tokens.push((Token::Bad(error), at..text.len()));
                return tokens;
            }
        }
    }
    tokens
}

fn token(text: &str, at: usize, rest: &str, next: char) -> Result<(Token, usize), Diagnostic> {
    if let Some((value, len)) = literal(text, at)? {
        return Ok((Token::Text(value), len));
    }
    if let Some(inner) = rest.strip_prefix('[') {
        let skipped = inner.len() - inner.trim_start().len();
        if inner.trim_start().starts_with(['\'', '"'])
            && let Some((name, len)) = literal(text, at + 1 + skipped)?
            && let after = &text[at + 1 + skipped + len..]
            && after.trim_start().starts_with(']')
            && !is_after_value(text, at)
        {
            let close = after.len() - after.trim_start().len() + 1;
            return Ok((Token::QuotedName(name), 1 + skipped + len + close));
        }
    }
    if next.is_ascii_digit() {
        return number(rest, at);
    }
    if next.is_alphabetic() || next == '_' || next == '@' {
        let dashed = DASHED.iter().find(|name| {
            rest.starts_with(**name)
                && !rest[name.len()..].starts_with(|next: char| next.is_alphanumeric())
        });
        let name = dashed.copied().unwrap_or_else(|| word(rest));
        if let Some(kind) = RAW.iter().find(|kind| **kind == name)
            && let Some((inside, len)) = raw(text, at, name.len())?
        {
            return Ok((Token::Raw(kind, inside), len));
        }
        return Ok((Token::Name(name.to_owned()), name.len()));
    }
    if let Some(word) = rest
        .strip_prefix('!')
        .and_then(|rest| NEGATED.iter().find(|word| rest.starts_with(**word)))
    {
        let tilde = usize::from(*word == "in" && rest[1 + word.len()..].starts_with('~'));
        let len = 1 + word.len() + tilde;
        return Ok((Token::Name(rest[..len].to_owned()), len));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err(Diagnostic::new(
            format!("'{next}' has no meaning here"),
            at..at + next.len_utf8(),
            "put texts in quotes",
        )),
    }
}

/// What the brackets behind a literal's name hold, and the length of all of it.
fn raw(text: &str, at: usize, name: usize) -> Result<Option<(String, usize)>, Diagnostic> {
    let rest = &text[at + name..];
    let open = rest.len() - rest.trim_start().len();
    if !rest[open..].starts_with('(') {
        return Ok(None);
    }
    let (mut depth, mut place) = (0_usize, at + name + open);
    while let Some(next) = text[place..].chars().next() {
        if let Some((_, len)) = literal(text, place)? {
            place += len;
            continue;
        }
        if text[place..].starts_with("//") {
            place += text[place..].find('\n').unwrap_or(text.len() - place);
            continue;
        }
        place += next.len_utf8();
        match next {
            '(' => depth += 1,
            ')' if depth == 1 => {
                let inside = text[at + name + open + 1..place - 1].trim();
                return Ok(Some((inside.to_owned(), place - at)));
            }
            ')' => depth -= 1,
            _ => {}
        }
    }
    Err(Diagnostic::new(
        "a bracket is not closed",
        at..text.len(),
        "close it with )",
    ))
}

/// Whether what stands directly before can be indexed, so that `[` is no quoted name.
fn is_after_value(text: &str, at: usize) -> bool {
    text[..at]
        .ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | ')' | ']'))
}

fn word(rest: &str) -> &str {
    let end = rest
        .char_indices()
        .skip(1)
        .find(|(_, next)| !next.is_alphanumeric() && *next != '_')
        .map_or(rest.len(), |(index, _)| index);
    let word = &rest[..end];
    if word == "in" && rest[end..].starts_with('~') {
        return &rest[..=end];
    }
    word
}

/// A text in quotes, with its length: `"a\n"`, `'a'`, `@"as it is"`, `h"hidden"`, and between
/// three backticks or tildes.
pub(super) fn literal(text: &str, at: usize) -> Result<Option<(String, usize)>, Diagnostic> {
    let rest = &text[at..];
    for fence in ["```", "~~~"] {
        if let Some(inner) = rest.strip_prefix(fence) {
            let end = inner
                .find(fence)
                .ok_or_else(|| not_closed(at..text.len(), fence))?;
            return Ok(Some((inner[..end].to_owned(), end + 6)));
        }
    }
    // Before the quote stand two letters at most; the rest of the text is not looked through.
    let prefix = ["", "@", "h", "H", "h@", "H@"]
        .iter()
        .find(|prefix| {
            rest.strip_prefix(**prefix)
                .is_some_and(|rest| rest.starts_with(['"', '\'']))
        })
        .map(|prefix| prefix.len());
    let Some(prefix) = prefix else {
        return Ok(None);
    };
    let is_verbatim = rest[..prefix].contains('@');
    let quote = if rest[prefix..].starts_with('"') {
        '"'
    } else {
        '\''
    };
    let mut value = String::new();
    let mut characters = rest[prefix + 1..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        if character == quote {
            let is_doubled =
                is_verbatim && characters.next_if(|(_, next)| *next == quote).is_some();
            if is_doubled {
                value.push(quote);
                continue;
            }
            return Ok(Some((value, prefix + 1 + offset + 1)));
        }
        if character == '\\' && !is_verbatim {
            let Some((_, escaped)) = characters.next() else {
                break;
            };
            value.push_str(&unescaped(escaped, &mut characters));
        } else {
            value.push(character);
        }
    }
    Err(not_closed(at..text.len(), &quote.to_string()))
}

fn unescaped(escaped: char, rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> String {
    let digits = match escaped {
        'n' => return "\n".to_owned(),
        't' => return "\t".to_owned(),
        'r' => return "\r".to_owned(),
        '\\' | '"' | '\'' => return escaped.to_string(),
        'x' => 2,
        'u' => 4,
        other => return format!("\\{other}"),
    };
    let mut number = 0;
    for _ in 0..digits {
        let Some((_, digit)) = rest.next_if(|(_, next)| next.is_ascii_hexdigit()) else {
            break;
        };
        number = number * 16 + digit.to_digit(16).unwrap_or_default();
    }
    char::from_u32(number).unwrap_or('\u{fffd}').to_string()
}

fn not_closed(place: Range<usize>, quote: &str) -> Diagnostic {
    Diagnostic::new(
        "a quote is not closed",
        place,
        &format!("close it with {quote}"),
    )
}

/// A number, or a span such as `5m` or `1.5h`.
fn number(rest: &str, at: usize) -> Result<(Token, usize), Diagnostic> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(hex) = rest.strip_prefix("0x") {
        let len = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        if let Ok(number) = i64::from_str_radix(&hex[..len], 16) {
            return Ok((Token::Long(number), 2 + len));
        }
    }
    let mut len = digits(rest);
    let mut is_real = false;
    if rest[len..].starts_with('.') && digits(&rest[len + 1..]) > 0 {
        len += 1 + digits(&rest[len + 1..]);
        is_real = true;
    }
    let exponent = rest[len..].strip_prefix(['e', 'E']).map(|exponent| {
        let sign = usize::from(exponent.starts_with(['-', '+']));
        (sign, digits(&exponent[sign..]))
    });
    if let Some((sign, count)) = exponent.filter(|(_, count)| *count > 0) {
        len += 1 + sign + count;
        is_real = true;
    }
    let unit = rest[len..]
        .bytes()
        .take_while(|next| next.is_ascii_alphabetic())
        .count();
    let bad = |hint: &str| {
        Diagnostic::new(
            format!("'{}' is no number", &rest[..len + unit]),
            at..at + len + unit,
            hint,
        )
    };
    if unit > 0 {
        let micros = unit_micros(&rest[len..len + unit])
            .ok_or_else(|| bad("units are d, h, m, s, ms, microsecond and tick"))?;
        let count: f64 = rest[..len].parse().map_err(|_| bad("write digits"))?;
        return Ok((Token::Span((count * micros) as i64), len + unit));
    }
    let token = match rest[..len].parse() {
        Ok(number) if !is_real => Token::Long(number),
        _ => Token::Real(rest[..len].parse().map_err(|_| bad("write digits"))?),
    };
    Ok((token, len))
}

fn unit_micros(unit: &str) -> Option<f64> {
    let micros = match unit {
        "d" | "day" | "days" => 86_400e6,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600e6,
        "m" | "min" | "minute" | "minutes" => 60e6,
        "s" | "sec" | "second" | "seconds" => 1e6,
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1e3,
        "microsecond" | "microseconds" => 1.0,
        "tick" | "ticks" => 0.1,
        _ => return None,
    };
    Some(micros)
}
