//! STIX patterns that are plain comparisons of one value, alone or joined by `OR`.
//!
//! Others need several fields or events at once; those are what rules are for, so they are
//! named and counted and not half understood.
//!
//! # Source
//! STIX 2.1, section 9, patterning.

use crate::{IndicatorKind, Value};

/// Longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 16;

/// Why a pattern gives no indicator.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is a pattern that asks for more than one value, or for something that this matcher
    /// does not look at.
    NotUnderstood(String),
    /// It is no pattern.
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    ParenOpen,
    ParenClose,
    Comma,
    Text(String),
    /// An object path, an operator or a word.
    Word(String),
}

/// The values that a pattern is met by.
pub(super) fn values(pattern: &str) -> Result<Vec<Value>, Fault> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(Fault::Refused(format!(
            "the pattern has more than {MAX_PATTERN_BYTES} bytes"
        )));
    }
    let tokens = tokens(pattern)?;
    let mut found = Vec::new();
    let mut at = 0;
    let mut is_inside = false;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            Token::Open if !is_inside => is_inside = true,
            Token::Close if is_inside => is_inside = false,
            Token::ParenOpen | Token::ParenClose => {}
            Token::Word(word) if word.eq_ignore_ascii_case("or") => {}
            Token::Word(word) if is_inside && word.contains(':') => {
                at = comparison(word, &tokens, at, &mut found)?;
            }
            Token::Word(word) if !word.contains(':') => {
                return Err(Fault::NotUnderstood(format!(
                    "pattern with {}",
                    upper(word)
                )));
            }
            _ => return Err(broken()),
        }
    }
    if found.is_empty() || is_inside {
        return Err(broken());
    }
    Ok(found)
}

/// Reads what stands behind an object path; gives the place of the next token.
fn comparison(
    path: &str,
    tokens: &[Token],
    at: usize,
    found: &mut Vec<Value>,
) -> Result<usize, Fault> {
    let Some(Token::Word(operator)) = tokens.get(at) else {
        return Err(broken());
    };
    match operator.to_ascii_uppercase().as_str() {
        "=" | "==" | "ISSUBSET" => {
            let Some(Token::Text(text)) = tokens.get(at + 1) else {
                return Err(broken());
            };
            if let Some(next) = type_of_reference(path, tokens, at + 2) {
                return Ok(next);
            }
            found.push(value(path, text)?);
            Ok(at + 2)
        }
        "IN" => {
            let mut next = at + 1;
            loop {
                next += 1;
                match tokens.get(next - 1) {
                    Some(Token::Text(text)) => found.push(value(path, text)?),
                    Some(Token::ParenOpen | Token::Comma) => {}
                    Some(Token::ParenClose) => return Ok(next),
                    _ => return Err(broken()),
                }
            }
        }
        other => Err(Fault::NotUnderstood(format!(
            "pattern with {}",
            upper(other)
        ))),
    }
}

/// `dst_ref.type = 'ipv4-addr' AND dst_ref.value = …` says of the type what the value shows
/// anyway.
fn type_of_reference(path: &str, tokens: &[Token], at: usize) -> Option<usize> {
    let is_type = path.ends_with("_ref.type");
    let is_and =
        matches!(tokens.get(at), Some(Token::Word(word)) if word.eq_ignore_ascii_case("and"));
    (is_type && is_and).then_some(at + 1)
}

fn value(path: &str, text: &str) -> Result<Value, Fault> {
    let parsed = match kind(path)? {
        Some(kind) => Value::parse(kind, text),
        None => Value::detect(text),
    };
    parsed.map_err(|error| Fault::Refused(format!("'{}': {error}", super::text::cut(text))))
}

/// The kind that an object path holds; `None` if the value's form tells.
fn kind(path: &str) -> Result<Option<IndicatorKind>, Fault> {
    use IndicatorKind as K;
    let folded: String = path
        .to_ascii_lowercase()
        .chars()
        .filter(|c| *c != '\'')
        .collect();
    let not_understood =
        || Fault::NotUnderstood(format!("pattern on {}", super::text::cut(&folded)));
    Ok(Some(match folded.as_str() {
        "ipv4-addr:value" | "ipv6-addr:value" => K::Address,
        "domain-name:value" => K::Domain,
        "url:value" => K::Url,
        "email-addr:value" | "email-message:from_ref.value" | "email-message:sender_ref.value" => {
            K::Email
        }
        "network-traffic:dst_ref.value" | "network-traffic:src_ref.value" => return Ok(None),
        "network-traffic:dst_ref.type" | "network-traffic:src_ref.type" => {
            return Err(not_understood());
        }
        path if path.starts_with("network-traffic:") && path.contains("ja3s") => K::Ja3s,
        path if path.starts_with("network-traffic:") && path.contains("ja3") => K::Ja3,
        path if path.starts_with("network-traffic:") && path.contains("ja4") => K::Ja4,
        path => {
            let (object, algorithm) = path.rsplit_once("hashes.").ok_or_else(not_understood)?;
            if !matches!(
                object,
                "file:"
                    | "artifact:"
                    | "process:binary_ref."
                    | "file:content_ref."
                    | "process:image_ref."
            ) {
                return Err(not_understood());
            }
            match algorithm.replace('-', "").as_str() {
                "md5" => K::Md5,
                "sha1" => K::Sha1,
                "sha256" => K::Sha256,
                "sha512" => K::Sha512,
                _ => return Err(not_understood()),
            }
        }
    }))
}

fn tokens(pattern: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(next) = rest.next() {
        let token = match next {
            '[' => Token::Open,
            ']' => Token::Close,
            '(' => Token::ParenOpen,
            ')' => Token::ParenClose,
            ',' => Token::Comma,
            '\'' => Token::Text(text(&mut rest)?),
            _ if next.is_whitespace() => continue,
            '=' | '<' | '>' | '!' => {
                let mut word = String::from(next);
                while let Some(more) = rest.next_if(|c| matches!(c, '=' | '<' | '>')) {
                    word.push(more);
                }
                Token::Word(word)
            }
            _ => Token::Word(word(next, &mut rest)?),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// The rest of a quoted text.
fn text(rest: &mut Chars<'_>) -> Result<String, Fault> {
    let mut text = String::new();
    while let Some(next) = rest.next() {
        match next {
            '\'' => return Ok(text),
            '\\' => text.extend(rest.next()),
            _ => text.push(next),
        }
    }
    Err(broken())
}

/// An object path or a word; inside `hashes.'SHA-256'` and `[*]` are other characters.
fn word(first: char, rest: &mut Chars<'_>) -> Result<String, Fault> {
    let mut word = String::from(first);
    while let Some(&next) = rest.peek() {
        match next {
            '\'' if word.ends_with('.') => {
                rest.next();
                word.push('\'');
                word.push_str(&text(rest)?);
                word.push('\'');
            }
            '[' if word.contains(':') => {
                for inner in rest.by_ref() {
                    word.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            _ if next.is_whitespace() || "[](),'=<>!".contains(next) => break,
            _ => {
                rest.next();
                word.push(next);
            }
        }
    }
    Ok(word)
}

fn upper(word: &str) -> String {
    super::text::cut(word).to_uppercase()
}

fn broken() -> Fault {
    Fault::Refused("the pattern is broken".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: Result<&[&str], &str>) {
        let found = values(pattern);
        let found = match found {
            Ok(values) => Ok(values.iter().map(|value| format!("{value:?}")).collect()),
            Err(Fault::NotUnderstood(reason)) => Err(reason),
            Err(Fault::Refused(reason)) => Err(format!("refused: {reason}")),
        };
        let expected = expected
            .map(|values| {
                values
                    .iter()
                    .map(|value| (*value).to_owned())
                    .collect::<Vec<_>>()
            })
            .map_err(str::to_owned);
        assert_eq!(found, expected, "{pattern}");
    }

    #[test]
    fn comparisons_are_read() {
        let sha256 = "aec070645fe53ee3b3763059376134f058cc337247c978add178b6ccdfb0019f";
        check(
            "[ipv4-addr:value = '203.0.113.7']",
            Ok(&["address 203.0.113.7"]),
        );
        check(
            "[ipv4-addr:value ISSUBSET '203.0.113.0/24']",
            Ok(&["network 203.0.113.0/24"]),
        );
        check(
            "[ipv6-addr:value='2001:db8::1']",
            Ok(&["address 2001:db8::1"]),
        );
        check(
            &format!("[file:hashes.'SHA-256' = '{sha256}']"),
            Ok(&[&format!("sha256 {sha256}")]),
        );
        check(
            "[file:hashes.MD5 = 'CEAD3F77F6CDA6EC00F57D76C9A6879F']",
            Ok(&["md5 cead3f77f6cda6ec00f57d76c9a6879f"]),
        );
        check(
            "[url:value = 'http://a.example/1' OR url:value = 'http://a.example/2'] OR [domain-name:value IN ('b.example', 'c.example')]",
            Ok(&[
                "url http://a.example/1",
                "url http://a.example/2",
                "domain b.example",
                "domain c.example",
            ]),
        );
        check(
            "[network-traffic:dst_ref.type = 'ipv4-addr' AND network-traffic:dst_ref.value = '203.0.113.33/32']",
            Ok(&["address 203.0.113.33"]),
        );
        check(
            "[network-traffic:extensions.'tls-ext'.ja3_hash = 'cead3f77f6cda6ec00f57d76c9a6879f']",
            Ok(&["ja3 cead3f77f6cda6ec00f57d76c9a6879f"]),
        );
    }

    #[test]
    fn others_are_named() {
        check("[file:name = 'a.exe']", Err("pattern on file:name"));
        check(
            "[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].value = '198.51.100.1/32']",
            Err("pattern with AND"),
        );
        check(
            "[domain-name:value = 'a.example'] FOLLOWEDBY [url:value = 'http://b.example/']",
            Err("pattern with FOLLOWEDBY"),
        );
        check(
            "[domain-name:value MATCHES '.*']",
            Err("pattern with MATCHES"),
        );
        check("[domain-name:value != 'a.example']", Err("pattern with !="));
        check(
            "[NOT domain-name:value = 'a.example']",
            Err("pattern with NOT"),
        );
        check(
            "[domain-name:value = 'a.example'",
            Err("refused: the pattern is broken"),
        );
        check("", Err("refused: the pattern is broken"));
        check(
            "[domain-name:value = 'a b']",
            Err("refused: 'a b': no value of the kind domain"),
        );
    }
}
