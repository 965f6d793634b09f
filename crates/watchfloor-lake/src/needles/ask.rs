//! What a filter of a query asks needle filters for.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use hashbrown::HashMap;

use super::file::Blocks;
use super::words::each_word;
use crate::schema;

/// Words that rows must have, as far as a query says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// A word by its hash.
    Word(u64),
    All(Vec<Ask>),
    Any(Vec<Ask>),
    /// Any row may be one.
    Whatever,
}

impl Ask {
    fn all(parts: Vec<Self>) -> Self {
        let mut parts: Vec<Self> = parts
            .into_iter()
            .filter(|part| *part != Self::Whatever)
            .collect();
        match parts.len() {
            0 => Self::Whatever,
            1 => parts.swap_remove(0),
            _ => Self::All(parts),
        }
    }

    fn any(parts: Vec<Self>) -> Self {
        if parts.is_empty() || parts.contains(&Self::Whatever) {
            return Self::Whatever;
        }
        Self::Any(parts)
    }

    /// All words of a text.
    fn text(text: &str) -> Self {
        let mut words = Vec::new();
        each_word(&text.to_lowercase(), &mut |word| {
            words.push(Self::Word(word))
        });
        Self::all(words)
    }

    pub(super) fn words(&self, into: &mut Vec<u64>) {
        match self {
            Self::Word(word) => into.push(*word),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.words(into)),
            Self::Whatever => {}
        }
    }

    pub(super) fn blocks(&self, found: &HashMap<u64, Blocks>, count: usize) -> Blocks {
        let of = |part: &Self| part.blocks(found, count);
        match self {
            Self::Word(word) => found.get(word).cloned().unwrap_or(Blocks::all(count)),
            Self::All(parts) => parts.iter().fold(Blocks::all(count), |mut all, part| {
                all.and(&of(part));
                all
            }),
            Self::Any(parts) => parts.iter().fold(Blocks::none(count), |mut any, part| {
                any.or(&of(part));
                any
            }),
            Self::Whatever => Blocks::all(count),
        }
    }
}

/// What a filter asks for.
pub(crate) fn of_filter(filter: &Expr) -> Ask {
    match filter {
        Expr::IsTrue(inner) => of_filter(inner),
        Expr::Alias(alias) => of_filter(&alias.expr),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => Ask::all(vec![of_filter(left), of_filter(right)]),
            Operator::Or => Ask::any(vec![of_filter(left), of_filter(right)]),
            Operator::Eq => match (text(left), text(right)) {
                (None, Some(text)) if is_searched(left) => Ask::text(&text),
                (Some(text), None) if is_searched(right) => Ask::text(&text),
                _ => Ask::Whatever,
            },
            _ => Ask::Whatever,
        },
        Expr::InList(list) if !list.negated && is_searched(&list.expr) => {
            let texts = list
                .list
                .iter()
                .map(|item| text(item).map(|text| Ask::text(&text)));
            texts
                .collect::<Option<Vec<_>>>()
                .map_or(Ask::Whatever, Ask::any)
        }
        Expr::Like(like) if !like.negated && is_searched(&like.expr) => {
            text(&like.pattern).map_or(Ask::Whatever, |pattern| of_pattern(&pattern))
        }
        Expr::ScalarFunction(call) => match (call.name(), call.args.as_slice()) {
            ("has_word" | "has", [value, words]) if is_searched(value) => {
                text(words).map_or(Ask::Whatever, |words| Ask::text(&words))
            }
            _ => Ask::Whatever,
        },
        _ => Ask::Whatever,
    }
}

/// A text that stands in the query.
fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text),
            _,
        ) => text.clone(),
        Expr::Cast(cast) => text(&cast.expr),
        Expr::TryCast(cast) => text(&cast.expr),
        _ => None,
    }
}

/// Whether the words of a value are in filters: that of a column, of a source field, or of
/// either in lower case.
fn is_searched(value: &Expr) -> bool {
    match value {
        Expr::Column(column) => {
            column.name == schema::RAW
                || column.name == schema::UNMAPPED
                || schema::is_text_attribute(&column.name)
        }
        Expr::Cast(cast) => is_searched(&cast.expr),
        Expr::TryCast(cast) => is_searched(&cast.expr),
        Expr::Alias(alias) => is_searched(&alias.expr),
        Expr::ScalarFunction(call) => {
            matches!(call.name(), "lower" | "array_element" | "map_extract")
                && call.args.first().is_some_and(is_searched)
        }
        _ => false,
    }
}

/// The words that a pattern of SQL holds whole: no wildcard touches them.
fn of_pattern(pattern: &str) -> Ask {
    let mut pieces = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        match char {
            '%' | '_' => pieces.push(String::new()),
            '\\' => {
                let next = chars.next();
                pieces
                    .last_mut()
                    .into_iter()
                    .for_each(|piece| piece.extend(next));
            }
            char => pieces
                .last_mut()
                .into_iter()
                .for_each(|piece| piece.push(char)),
        }
    }
    let last = pieces.len() - 1;
    let whole = pieces.iter().enumerate().map(|(index, piece)| {
        let is_word = |char: char| char.is_alphanumeric();
        let piece = if index == 0 {
            piece
        } else {
            piece.trim_start_matches(is_word)
        };
        let piece = if index == last {
            piece
        } else {
            piece.trim_end_matches(is_word)
        };
        Ask::text(piece)
    });
    Ask::all(whole.collect())
}

#[cfg(test)]
mod tests {
    use datafusion::functions::expr_fn::lower;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn only_what_must_be_there_is_asked_for() {
        let word = |text: &str| Ask::text(text);
        let user = || lower(col("user_name"));
        assert_eq!(of_filter(&user().eq(lit("mallory"))), word("mallory"));
        assert_eq!(of_filter(&col("source").eq(lit("mallory"))), Ask::Whatever);
        assert_eq!(of_filter(&user().not_eq(lit("mallory"))), Ask::Whatever);
        let either = user().eq(lit("mallory")).or(col("severity_id").eq(lit(5)));
        assert_eq!(of_filter(&either), Ask::Whatever);
        let both = user().eq(lit("mallory")).and(col("severity_id").eq(lit(5)));
        assert_eq!(of_filter(&both), word("mallory"));
        let list = col("user_name").in_list(vec![lit("mallory"), lit("trudy")], false);
        let any = Ask::Any(vec![word("mallory"), word("trudy")]);
        assert_eq!(of_filter(&list), any);
    }

    #[test]
    fn patterns_ask_for_the_words_within() {
        let pattern = |text: &str| of_filter(&col("raw").ilike(lit(text)));
        assert_eq!(pattern("%mimikatz%"), Ask::Whatever);
        assert_eq!(pattern("%\\\\mimikatz.exe"), Ask::text("mimikatz.exe"));
        assert_eq!(pattern("%invoke-mimi katz.now%"), Ask::text("mimi katz"));
        assert_eq!(pattern("mimi%"), Ask::Whatever);
        assert_eq!(pattern("mimikatz"), Ask::text("mimikatz"));
        assert_eq!(pattern("10.1.2.3_"), Ask::Whatever);
    }
}
