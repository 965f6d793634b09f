//! Words of a condition.

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    Comma,
    Operator(String),
    Text(String),
    Number(f64),
    Word(String),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
            Self::OpenBracket => f.write_str("["),
            Self::CloseBracket => f.write_str("]"),
            Self::Comma => f.write_str(","),
            Self::Operator(text) | Self::Word(text) => f.write_str(text),
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

type LexError = (usize, String);

/// Takes a condition apart; each token with its first byte.
pub(super) fn lex(text: &str) -> Result<Vec<(usize, Token)>, LexError> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len() - rest.len();
        if first.is_whitespace() {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            continue;
        }
        let (token, length) = token(rest).map_err(|message| (at, message))?;
        tokens.push((at, token));
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(tokens)
}

fn token(rest: &str) -> Result<(Token, usize), String> {
    let first = rest.chars().next().unwrap_or_default();
    Ok(match first {
        '(' => (Token::Open, 1),
        ')' => (Token::Close, 1),
        '[' => (Token::OpenBracket, 1),
        ']' => (Token::CloseBracket, 1),
        ',' => (Token::Comma, 1),
        '=' | '!' | '<' | '>' => {
            let length = rest
                .bytes()
                .take(2)
                .take_while(|b| b"=!<>".contains(b))
                .count();
            let text = rest.get(..length).unwrap_or_default();
            if !["=", "==", "!=", "<>", "<", "<=", ">", ">="].contains(&text) {
                return Err(format!("{text} is no operator; = != < <= > >= are"));
            }
            (Token::Operator(text.to_owned()), length)
        }
        '\'' | '"' => quoted(rest, first)?,
        _ => word(rest)?,
    })
}

/// A text in quotes; `\'` and `\\` stand for themselves.
fn quoted(rest: &str, quote: char) -> Result<(Token, usize), String> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, next)) => {
                    if next != quote && next != '\\' {
                        text.push('\\');
                    }
                    text.push(next);
                }
                None => break,
            },
            _ if character == quote => return Ok((Token::Text(text), at + 1)),
            _ => text.push(character),
        }
    }
    Err(format!("the text has no {quote} at its end"))
}

fn word(rest: &str) -> Result<(Token, usize), String> {
    let is_part = |c: char| c.is_alphanumeric() || "_-.:*".contains(c);
    let mut length = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
    if length == 0 {
        let first: String = rest.chars().take(1).collect();
        return Err(format!("'{first}' belongs to no condition"));
    }
    // Timestamps, hexadecimal and binary texts, and keys of paths such as hashes.'SHA-256'.
    let head = rest.get(..length).unwrap_or_default();
    if rest
        .get(length..)
        .is_some_and(|tail| tail.starts_with('\''))
        && (matches!(head, "t" | "h" | "b") || head.ends_with('.'))
    {
        let (token, quoted_length) = quoted(rest.get(length..).unwrap_or_default(), '\'')?;
        length += quoted_length;
        return Ok(match token {
            Token::Text(text) if head.ends_with('.') => {
                (Token::Word(format!("{head}{text}")), length)
            }
            other => (other, length),
        });
    }
    // A path may hold an index, as in `values[0].name`.
    while let Some(tail) = rest
        .get(length..)
        .filter(|tail| tail.starts_with('[') && head.contains(':'))
    {
        let Some(end) = tail.find(']') else {
            return Err("the index has no ] at its end".to_owned());
        };
        length += end + 1;
        let more = rest.get(length..).unwrap_or_default();
        length += more.find(|c: char| !is_part(c)).unwrap_or(more.len());
    }
    let text = rest.get(..length).unwrap_or_default();
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match text.parse::<f64>() {
        Ok(number) if is_number && number.is_finite() => Ok((Token::Number(number), length)),
        _ => Ok((Token::Word(text.to_owned()), length)),
    }
}
