//! Expressions, from `or` down to names and literals.

use std::ops::Range;

use super::ast::{Arg, Binary, Expr, ExprKind, Named};
use super::lexer::Token;
use super::{Parsed, Parser};
use crate::diagnostic::Diagnostic;

/// Tests of two texts, by their names.
const TEXT_TESTS: [&str; 13] = [
    "has",
    "has_cs",
    "hasprefix",
    "hasprefix_cs",
    "hassuffix",
    "hassuffix_cs",
    "contains",
    "contains_cs",
    "startswith",
    "startswith_cs",
    "endswith",
    "endswith_cs",
    "notcontains",
];

/// Tests of a text and a list.
const LIST_TESTS: [&str; 2] = ["has_any", "has_all"];

impl Parser<'_> {
    pub(super) fn expression(&mut self) -> Parsed<Expr> {
        self.deeper()?;
        let mut left = self.conjunction()?;
        while self.take_word("or") {
            self.longer()?;
            let right = self.conjunction()?;
            left = binary(Binary::Or, left, right);
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut left = self.comparison()?;
        while self.take_word("and") {
            self.longer()?;
            let right = self.comparison()?;
            left = binary(Binary::And, left, right);
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        let Some((token, _)) = self.peek().cloned() else {
            return Ok(left);
        };
        let operator = match token {
            Token::Sign("==") => Binary::Equal,
            Token::Sign("!=" | "<>") => Binary::NotEqual,
            Token::Sign("=~") => Binary::EqualFolded,
            Token::Sign("!~") => Binary::NotEqualFolded,
            Token::Sign("<") => Binary::Less,
            Token::Sign("<=") => Binary::LessEqual,
            Token::Sign(">") => Binary::Greater,
            Token::Sign(">=") => Binary::GreaterEqual,
            Token::Sign("=") | Token::Sign(":") => {
                return Err(Diagnostic::new(
                    format!("{token} compares nothing"),
                    self.place(),
                    "write == to compare; words and field:value stand before the first |",
                ));
            }
            Token::Name(word) => return self.word_test(left, &word),
            _ => return Ok(left),
        };
        self.at += 1;
        let right = self.sum()?;
        Ok(binary(operator, left, right))
    }

    /// A test that is named by a word, such as `has` or `!in`.
    fn word_test(&mut self, left: Expr, word: &str) -> Parsed<Expr> {
        let (is_not, name) = match word.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, word),
        };
        let start = left.place.start;
        let test = if let Some(name) = TEXT_TESTS.iter().find(|known| **known == name) {
            self.at += 1;
            let right = self.sum()?;
            match *name {
                "notcontains" => not(binary(Binary::Text("contains"), left, right)),
                name => binary(Binary::Text(name), left, right),
            }
        } else if name == "matches" {
            self.at += 1;
            self.want_word("regex", "write matches regex")?;
            let right = self.sum()?;
            binary(Binary::Text("matches regex"), left, right)
        } else if name == "in" || name == "in~" {
            self.at += 1;
            let list = self.values()?;
            let kind = ExprKind::In {
                value: Box::new(left),
                list,
                is_folded: name == "in~",
                is_not,
            };
            return Ok(self.placed(start, kind));
        } else if name == "between" {
            self.at += 1;
            self.want_sign("(", "write between (1 .. 5)")?;
            let from = self.sum()?;
            self.want_sign("..", "write between (1 .. 5)")?;
            let to = self.sum()?;
            self.want_sign(")", "close it with )")?;
            let kind = ExprKind::Between(Box::new(left), Box::new(from), Box::new(to));
            self.placed(start, kind)
        } else if LIST_TESTS.contains(&name) {
            let name = name.to_owned();
            self.at += 1;
            let values = self.values()?;
            let args = std::iter::once(left).chain(values);
            let args = args.map(|expr| Arg { name: None, expr }).collect();
            self.placed(start, ExprKind::Call(name, args))
        } else {
            return Ok(left);
        };
        Ok(if is_not { not(test) } else { test })
    }

    /// `(a, b, …)` or one value that is a list.
    fn values(&mut self) -> Parsed<Vec<Expr>> {
        if !self.is_sign("(") {
            return Ok(vec![self.sum()?]);
        }
        let open = self.place();
        if self.is_pipeline_in_brackets() {
            self.at += 1;
            let rows = self.pipeline()?;
            self.want_sign(")", "close it with )")?;
            return Ok(vec![Expr {
                kind: ExprKind::Rows(Box::new(rows)),
                place: open.start..self.end(),
            }]);
        }
        self.at += 1;
        if self.take_sign(")") {
            return Ok(Vec::new());
        }
        let values = self.list(Self::expression)?;
        self.want_sign(")", "close it with )")?;
        Ok(values)
    }

    pub(super) fn sum(&mut self) -> Parsed<Expr> {
        let mut left = self.product()?;
        loop {
            let operator = match self.peek() {
                Some((Token::Sign("+"), _)) => Binary::Add,
                Some((Token::Sign("-"), _)) => Binary::Subtract,
                _ => return Ok(left),
            };
            self.longer()?;
            self.at += 1;
            let right = self.product()?;
            left = binary(operator, left, right);
        }
    }

    fn product(&mut self) -> Parsed<Expr> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.peek() {
                Some((Token::Sign("*"), _)) => Binary::Multiply,
                Some((Token::Sign("/"), _)) => Binary::Divide,
                Some((Token::Sign("%"), _)) => Binary::Modulo,
                _ => return Ok(left),
            };
            self.longer()?;
            self.at += 1;
            let right = self.unary()?;
            left = binary(operator, left, right);
        }
    }

    fn unary(&mut self) -> Parsed<Expr> {
        let start = self.place().start;
        if self.take_sign("-") {
            self.deeper()?;
            let of = self.unary()?;
            self.depth -= 1;
            let kind = match of.kind {
                ExprKind::Long(number) => ExprKind::Long(number.wrapping_neg()),
                ExprKind::Real(number) => ExprKind::Real(-number),
                ExprKind::Span(span) => ExprKind::Span(-span),
                _ => ExprKind::Minus(Box::new(of)),
            };
            return Ok(self.placed(start, kind));
        }
        while self.take_sign("+") {}
        self.postfix()
    }

    /// A value with its members and items.
    fn postfix(&mut self) -> Parsed<Expr> {
        let mut of = self.primary()?;
        let start = of.place.start;
        loop {
            let member = if self.is_sign(".")
                && matches!(self.peek_at(1), Some(Token::Name(_) | Token::QuotedName(_)))
            {
                self.at += 1;
                let name = self.name("a name")?;
                if let ExprKind::Name(path) = &of.kind {
                    of.kind = ExprKind::Name(format!("{path}.{name}"));
                    of.place.end = self.end();
                    continue;
                }
                text(name, self.end()..self.end())
            } else if self.take_sign("[") {
                self.longer()?;
                let at = self.expression()?;
                self.want_sign("]", "close it with ]")?;
                at
            } else {
                return Ok(of);
            };
            let kind = ExprKind::Index(Box::new(of), Box::new(member));
            of = self.placed(start, kind);
        }
    }

    pub(super) fn primary(&mut self) -> Parsed<Expr> {
        let start = self.place().start;
        if self.is_sign("(") {
            if self.is_pipeline_in_brackets() {
                let mut rows = self.values()?;
                return rows.pop().ok_or_else(|| self.unexpected("a value", ""));
            }
            self.at += 1;
            let inner = self.expression()?;
            self.want_sign(")", "close it with )")?;
            return Ok(inner);
        }
        if self.take_sign("*") {
            return Ok(self.placed(start, ExprKind::Star));
        }
        if self.take_sign("$") {
            // `$left` and `$right` of a join.
            let side = self.name("left or right")?;
            return Ok(self.placed(start, ExprKind::Name(format!("${side}"))));
        }
        let kind = match self.peek().cloned() {
            Some((Token::Text(text), _)) => return Ok(self.texts(text)),
            Some((Token::Long(number), _)) => ExprKind::Long(number),
            Some((Token::Real(number), _)) => ExprKind::Real(number),
            Some((Token::Span(micros), _)) => ExprKind::Span(micros),
            Some((Token::Raw(kind, inside), place)) => self.raw(kind, &inside, &place)?,
            Some((Token::QuotedName(name), _)) => ExprKind::Name(name),
            Some((Token::Name(name), _)) if matches!(self.peek_at(1), Some(Token::Sign("("))) => {
                return self.call(&name);
            }
            Some((Token::Name(name), _)) => match name.as_str() {
                "true" => ExprKind::Bool(true),
                "false" => ExprKind::Bool(false),
                "null" => ExprKind::Null,
                _ => ExprKind::Name(name),
            },
            _ => {
                return Err(
                    self.unexpected("a value", "write a field, a text in quotes or a number")
                );
            }
        };
        self.at += 1;
        Ok(self.placed(start, kind))
    }

    /// Texts that stand side by side are one.
    fn texts(&mut self, first: String) -> Expr {
        let start = self.place().start;
        let mut whole = first;
        self.at += 1;
        while let Some((Token::Text(more), _)) = self.peek() {
            whole.push_str(more);
            self.at += 1;
        }
        self.placed(start, ExprKind::Text(whole))
    }

    fn call(&mut self, name: &str) -> Parsed<Expr> {
        let start = self.place().start;
        self.at += 2;
        if name == "typeof" {
            self.at -= 1;
            let inside = self.place().end;
            self.skip_brackets()?;
            let inside = self.text[inside..self.end().saturating_sub(1)].trim();
            let kind = text(inside.to_owned(), start..self.end());
            let args = vec![Arg {
                name: None,
                expr: kind,
            }];
            return Ok(self.placed(start, ExprKind::Call(name.to_owned(), args)));
        }
        let takes_rows = matches!(name, "toscalar" | "materialize" | "view");
        let args = if takes_rows {
            let rows = self.pipeline()?;
            let kind = ExprKind::Rows(Box::new(rows));
            vec![Arg {
                name: None,
                expr: self.placed(start, kind),
            }]
        } else {
            self.arguments()?
        };
        if takes_rows {
            self.want_sign(")", "close it with )")?;
        }
        if name == "not" && args.len() == 1 {
            let of = args.into_iter().next().map(|arg| arg.expr);
            let of = of.ok_or_else(|| self.unexpected("a condition", ""))?;
            return Ok(self.placed(start, ExprKind::Not(Box::new(of))));
        }
        Ok(self.placed(start, ExprKind::Call(name.to_owned(), args)))
    }

    /// Arguments up to and with the closing bracket.
    pub(super) fn arguments(&mut self) -> Parsed<Vec<Arg>> {
        if self.take_sign(")") {
            return Ok(Vec::new());
        }
        let args = self.list(|parser| {
            let from = parser.place().start;
            let name = match parser.peek() {
                Some((Token::Name(name), _))
                    if matches!(parser.peek_at(1), Some(Token::Sign("="))) =>
                {
                    Some(name.clone())
                }
                _ => None,
            };
            parser.at += if name.is_some() { 2 } else { 0 };
            let start = if name.is_some() {
                parser.place().start
            } else {
                from
            };
            let expr = parser.expression()?;
            if !parser.is_sign("|") {
                return Ok(Arg { name, expr });
            }
            // Rows as an argument, without brackets of their own.
            parser.fill(start);
            let rows = parser.pipeline()?;
            let expr = parser.placed(start, ExprKind::Rows(Box::new(rows)));
            Ok(Arg { name, expr })
        })?;
        self.want_sign(")", "close the call with )")?;
        Ok(args)
    }

    /// `expression`, `name = expression` or `(a, b) = expression`.
    pub(super) fn named(&mut self) -> Parsed<Named> {
        let start = self.at;
        if self.take_sign("(") {
            let names = self.list(|parser| parser.path("a name"));
            if let Ok(names) = names
                && self.take_sign(")")
                && self.take_sign("=")
            {
                let expr = self.expression()?;
                return Ok(Named { names, expr });
            }
            self.at = start;
        }
        if matches!(
            self.peek(),
            Some((Token::Name(_) | Token::QuotedName(_), _))
        ) {
            let name = self.path("a name")?;
            if self.take_sign("=") {
                let expr = self.expression()?;
                let names = vec![name];
                return Ok(Named { names, expr });
            }
            self.at = start;
        }
        let expr = self.expression()?;
        let names = Vec::new();
        Ok(Named { names, expr })
    }

    fn raw(&self, kind: &str, inside: &str, place: &Range<usize>) -> Parsed<ExprKind> {
        let bare = inside.trim_matches(['"', '\'']).trim();
        if bare.eq_ignore_ascii_case("null") || (bare.is_empty() && kind != "dynamic") {
            return Ok(ExprKind::Null);
        }
        match kind {
            "dynamic" => {
                let document = super::finding::document(inside);
                Ok(ExprKind::Dynamic(
                    document.unwrap_or_else(|| inside.to_owned()),
                ))
            }
            "guid" => Ok(ExprKind::Text(bare.to_owned())),
            "datetime" | "date" => instant(bare).map(ExprKind::Time).ok_or_else(|| {
                Diagnostic::new(
                    format!("'{bare}' is no time"),
                    place.clone(),
                    "write datetime(2026-11-24) or datetime(2026-11-24T12:00:00Z)",
                )
            }),
            _ => span(bare).map(ExprKind::Span).ok_or_else(|| {
                Diagnostic::new(
                    format!("'{bare}' is no span of time"),
                    place.clone(),
                    "write timespan(1d), timespan(12:30:00) or 90m",
                )
            }),
        }
    }

    pub(super) fn placed(&self, start: usize, kind: ExprKind) -> Expr {
        Expr {
            kind,
            place: start..self.end().max(start),
        }
    }
}

fn binary(operator: Binary, left: Expr, right: Expr) -> Expr {
    let place = left.place.start..right.place.end;
    Expr {
        kind: ExprKind::Binary(operator, Box::new(left), Box::new(right)),
        place,
    }
}

fn not(of: Expr) -> Expr {
    let place = of.place.clone();
    Expr {
        kind: ExprKind::Not(Box::new(of)),
        place,
    }
}

fn text(value: String, place: Range<usize>) -> Expr {
    Expr {
        kind: ExprKind::Text(value),
        place,
    }
}

/// Microseconds since 1970 of a day or an instant; UTC where no zone is written.
pub fn instant(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_microsecond());
    }
    let local = text.trim_end_matches(['Z', 'z']).trim_end();
    let utc = |time: jiff::civil::DateTime| {
        let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
        Some(time.as_microsecond())
    };
    if let Ok(time) = local.parse::<jiff::civil::DateTime>() {
        return utc(time);
    }
    if let Ok(date) = local.parse::<jiff::civil::Date>() {
        return utc(date.at(0, 0, 0, 0));
    }
    // Other forms: without zeros, with slashes (month first), with AM and PM, a month alone.
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%Y/%m/%d %H:%M:%S%.f",
        "%Y/%m/%d %H:%M",
        "%m/%d/%Y %I:%M:%S %p",
        "%m/%d/%Y %I:%M:%S%.f %p",
        "%m/%d/%Y %I:%M %p",
        "%m/%d/%Y %H:%M:%S%.f",
        "%m/%d/%Y %H:%M",
        "%d %b %Y %H:%M:%S",
        "%b %d %Y %H:%M:%S",
        "%a, %d %b %Y %H:%M:%S",
    ] {
        if let Ok(time) = jiff::civil::DateTime::strptime(format, local) {
            return utc(time);
        }
    }
    for format in ["%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d %b %Y", "%Y%m%d"] {
        if let Ok(date) = jiff::civil::Date::strptime(format, local) {
            return utc(date.at(0, 0, 0, 0));
        }
    }
    month(local).and_then(|date| utc(date.at(0, 0, 0, 0)))
}

/// The first day of `2026-11` or `2026`.
fn month(text: &str) -> Option<jiff::civil::Date> {
    let (year, month) = text.split_once('-').unwrap_or((text, "1"));
    if year.len() != 4 {
        return None;
    }
    jiff::civil::Date::new(year.parse().ok()?, month.parse().ok()?, 1).ok()
}

/// Microseconds of `1d`, `90`, `1.02:03:04` (days, hours, minutes, seconds) or `02:03:04`.
pub fn span(text: &str) -> Option<i64> {
    if let [(Token::Span(micros), _)] = super::lexer::tokens(text, 0).as_slice() {
        return Some(*micros);
    }
    if let Ok(days) = text.parse::<f64>() {
        return Some((days * 86_400e6) as i64);
    }
    let (days, clock) = match text.split_once(':') {
        Some((head, _)) if head.contains('.') => text.split_once('.')?,
        _ => ("0", text),
    };
    let parts: Vec<f64> = clock
        .split(':')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [hours, minutes, seconds] = match parts.as_slice() {
        [hours, minutes] => [*hours, *minutes, 0.0],
        [hours, minutes, seconds] => [*hours, *minutes, *seconds],
        _ => return None,
    };
    let days: f64 = days.parse().ok()?;
    Some((((days * 24.0 + hours) * 60.0 + minutes) * 60e6 + seconds * 1e6) as i64)
}
