//! Verbs: what stands behind `|`.

use super::ast::{
    Binary, Expr, ExprKind, Join, JoinKind, MakeSeries, Named, ParsePart, ParseVerb, ProjectKind,
    Render, SeqCondition, SeqStep, Sequence, SortKey, Verb, VerbKind,
};
use super::lexer::Token;
use super::source::{end_of_search, unknown_verb};
use super::{Parsed, Parser, is_pipe};
use crate::diagnostic::Diagnostic;

/// Every verb.
pub(super) const VERBS: [&str; 42] = [
    "where",
    "filter",
    "search",
    "extend",
    "project",
    "project-away",
    "project-keep",
    "project-rename",
    "project-reorder",
    "summarize",
    "sort",
    "order",
    "top",
    "take",
    "limit",
    "distinct",
    "count",
    "join",
    "lookup",
    "union",
    "mv-expand",
    "mvexpand",
    "parse",
    "parse-where",
    "make-series",
    "render",
    "sequence",
    "getschema",
    "as",
    "serialize",
    "sample",
    "mv-apply",
    "partition",
    "evaluate",
    "invoke",
    "sample-distinct",
    "top-hitters",
    "parse-kv",
    "consume",
    "project-by-names",
    "top-nested",
    "reduce",
];

/// Verbs of Kusto that are read so that an error tells which part of a query is not known here.
const READ_ONLY: [&str; 14] = [
    "top-nested",
    "reduce",
    "scan",
    "fork",
    "facet",
    "make-graph",
    "graph-match",
    "graph-to-table",
    "graph-shortest-paths",
    "graph-mark-components",
    "macro-expand",
    "assert-schema",
    "externaldata",
    "execute",
];

impl Parser<'_> {
    pub(super) fn verb(&mut self) -> Parsed<Verb> {
        let place = self.place();
        let name = self.name("a verb")?;
        let kind = self.verb_kind(&name, place.clone())?;
        let place = place.start..self.end().max(place.end);
        Ok(Verb { kind, place })
    }

    fn verb_kind(&mut self, name: &str, place: std::ops::Range<usize>) -> Parsed<VerbKind> {
        Ok(match name {
            "where" | "filter" => VerbKind::Where(self.expression()?),
            "search" => VerbKind::Search(self.search()?.sought),
            "extend" => VerbKind::Extend(self.list(Self::named)?),
            "project" => VerbKind::Project(self.list(Self::named)?),
            "project-away" => VerbKind::Columns(ProjectKind::Away, self.patterns()?),
            "project-keep" | "project-by-names" => {
                VerbKind::Columns(ProjectKind::Keep, self.patterns()?)
            }
            "project-reorder" => VerbKind::Columns(ProjectKind::Reorder, self.patterns()?),
            "project-rename" => VerbKind::Columns(ProjectKind::Rename, self.list(Self::named)?),
            "summarize" => self.summarize()?,
            "sort" | "order" => {
                self.hints();
                self.want_word("by", "write sort by time desc")?;
                VerbKind::Sort(self.list(Self::sort_key)?)
            }
            "top" => {
                let count = self.sum()?;
                self.want_word("by", "write top 10 by count_")?;
                VerbKind::Top(count, self.list(Self::sort_key)?)
            }
            "take" | "limit" | "sample" => VerbKind::Take(self.sum()?),
            "distinct" => VerbKind::Distinct(self.list(Self::named)?),
            "count" => VerbKind::Count,
            "join" => VerbKind::Join(self.join(false)?),
            "lookup" => VerbKind::Join(self.join(true)?),
            "union" => VerbKind::Union(self.union()?),
            "mv-expand" | "mvexpand" => VerbKind::MvExpand(self.mv_expand()?),
            "parse" => VerbKind::Parse(self.parse_verb(false)?),
            "parse-where" => VerbKind::Parse(self.parse_verb(true)?),
            "make-series" => VerbKind::MakeSeries(self.make_series()?),
            "render" => VerbKind::Render(self.render()?),
            "sequence" => VerbKind::Sequence(self.sequence()?),
            "getschema" => VerbKind::GetSchema,
            "as" => {
                self.hints();
                let name = self.name("a name")?;
                self.names.push(name.clone());
                VerbKind::As(name)
            }
            name if READ_ONLY.contains(&name) => self.unread(name)?,
            _ => return self.verb_within(name, place),
        })
    }

    /// Verbs that hold verbs or calls, or are followed by nothing.
    fn verb_within(&mut self, name: &str, place: std::ops::Range<usize>) -> Parsed<VerbKind> {
        Ok(match name {
            "serialize" => match self.peek() {
                None | Some((Token::Sign("|" | ")" | ";" | "}"), _)) => {
                    VerbKind::Serialize(Vec::new())
                }
                _ => {
                    self.hints();
                    VerbKind::Serialize(self.list(Self::named)?)
                }
            },
            "mv-apply" => self.mv_apply()?,
            "partition" => self.partition()?,
            "evaluate" => self.evaluate()?,
            "invoke" => self.invoke()?,
            "sample-distinct" => self.sample_distinct()?,
            "top-hitters" => self.top_hitters()?,
            "parse-kv" => self.parse_kv()?,
            "consume" => {
                self.unread(name)?;
                VerbKind::Consume
            }
            _ => return Err(unknown_verb(name, place, &VERBS)),
        })
    }

    /// `hint.strategy=shuffle` and the like say how another engine should go about it.
    pub(super) fn hints(&mut self) {
        while let (Some((Token::Name(name), _)), Some(Token::Sign("."))) =
            (self.peek(), self.peek_at(1))
        {
            if name != "hint" {
                return;
            }
            self.at += 3;
            if self.take_sign("=") {
                self.at += 1;
            }
        }
    }

    /// Names that may hold `*`, such as `process.*`.
    fn patterns(&mut self) -> Parsed<Vec<Named>> {
        self.list(|parser| {
            let start = parser.place();
            let mut end = start.start;
            while let Some((token, place)) = parser.peek() {
                let is_part = match token {
                    Token::Name(word) => {
                        end == place.start
                            || end == start.start && !matches!(word.as_str(), "asc" | "desc")
                    }
                    Token::QuotedName(_) | Token::Sign("*" | "." | "-") => true,
                    _ => false,
                };
                if !is_part || (end != start.start && end != place.start) {
                    break;
                }
                end = place.end;
                parser.at += 1;
            }
            if end == start.start {
                return Err(parser.unexpected("a column", "name columns, with * for any run"));
            }
            // The order of columns that one pattern names.
            let is_granny = parser.take_word("granny") && parser.take_sign("-");
            if !parser.take_word("asc") && !parser.take_word("desc") && is_granny {
                return Err(parser.unexpected("asc or desc", "write granny-asc"));
            }
            let written = &parser.text[start.start..end];
            let written = written.trim_start_matches("['").trim_end_matches("']");
            let kind = ExprKind::Name(written.to_owned());
            Ok(Named {
                names: Vec::new(),
                expr: Expr {
                    kind,
                    place: start.start..end,
                },
            })
        })
    }

    fn summarize(&mut self) -> Parsed<VerbKind> {
        self.hints();
        let aggregates = if self.is_word("by") {
            Vec::new()
        } else {
            self.list(Self::named)?
        };
        self.hints();
        let by = if self.take_word("by") {
            self.list(Self::named)?
        } else {
            Vec::new()
        };
        Ok(VerbKind::Summarize(aggregates, by))
    }

    fn sort_key(&mut self) -> Parsed<SortKey> {
        let expr = self.expression()?;
        let is_ascending = self.take_word("asc");
        if !is_ascending {
            self.take_word("desc");
        }
        let mut nulls_first = is_ascending;
        if self.take_word("nulls") {
            nulls_first = self.take_word("first");
            self.at += usize::from(!nulls_first);
        }
        Ok(SortKey {
            expr,
            is_ascending,
            nulls_first,
        })
    }

    fn join(&mut self, is_lookup: bool) -> Parsed<Join> {
        let mut kind = if is_lookup {
            JoinKind::LeftOuter
        } else {
            JoinKind::InnerUnique
        };
        loop {
            self.hints();
            if !self.is_word("kind") || !matches!(self.peek_at(1), Some(Token::Sign("="))) {
                break;
            }
            self.at += 2;
            let place = self.place();
            let word = self.name("a kind of join")?;
            kind = join_kind(&word).ok_or_else(|| {
                Diagnostic::new(
                    format!("'{word}' is no kind of join"),
                    place,
                    "kinds are innerunique, inner, leftouter, rightouter, fullouter, leftsemi, rightsemi, leftanti, rightanti",
                )
            })?;
        }
        let right = self.right_side()?;
        self.want_word(
            "on",
            "name what both sides share: on user, or on $left.a == $right.b",
        )?;
        let on = self.list(Self::expression)?;
        let on = on.into_iter().flat_map(conjuncts).collect();
        Ok(Join {
            kind,
            right,
            on,
            is_lookup,
        })
    }

    fn parse_verb(&mut self, is_filter: bool) -> Parsed<ParseVerb> {
        let mut is_regex = false;
        if self.take_word("kind") {
            self.want_sign("=", "write kind=regex")?;
            is_regex = self.name("simple, regex or relaxed")? == "regex";
        }
        let mut flags = String::new();
        if self.is_word("flags") && matches!(self.peek_at(1), Some(Token::Sign("="))) {
            self.at += 2;
            flags = self.option_value()?;
        }
        let text = self.sum()?;
        self.want_word(
            "with",
            "write parse message with 'user ' user ' from ' address",
        )?;
        let mut parts = Vec::new();
        while let Some((token, _)) = self.peek().cloned() {
            match token {
                Token::Sign("*") => parts.push(ParsePart::Any),
                Token::Text(text) => parts.push(ParsePart::Text(text)),
                Token::Name(_) | Token::QuotedName(_) => {
                    let name = self.path("a column")?;
                    let kind = if self.take_sign(":") {
                        Some(self.name("a type")?)
                    } else {
                        None
                    };
                    parts.push(ParsePart::Column(name, kind));
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        if parts.is_empty() {
            return Err(self.unexpected("a pattern", "write texts and names of columns in turn"));
        }
        Ok(ParseVerb {
            text,
            parts,
            is_regex,
            flags,
            is_filter,
        })
    }

    fn make_series(&mut self) -> Parsed<MakeSeries> {
        const HINT: &str = "write make-series count() on time step 1h by user";
        self.hints();
        let aggregates = self.list(|parser| {
            let named = parser.named()?;
            let default = if parser.take_word("default") {
                parser.want_sign("=", "write default=0")?;
                Some(parser.sum()?)
            } else {
                None
            };
            Ok((named, default))
        })?;
        self.want_word("on", HINT)?;
        let on = self.sum()?;
        let (from, to, step) = if self.take_word("in") {
            self.want_word("range", HINT)?;
            self.want_sign("(", HINT)?;
            let bounds = self.list(Self::sum)?;
            self.want_sign(")", HINT)?;
            let Ok([from, to, step]) = <[Expr; 3]>::try_from(bounds) else {
                return Err(self.unexpected("three values", HINT));
            };
            (Some(from), Some(to), step)
        } else {
            let from = self.after("from")?;
            let to = self.after("to")?;
            self.want_word("step", HINT)?;
            (from, to, self.sum()?)
        };
        let by = if self.take_word("by") {
            self.list(Self::named)?
        } else {
            Vec::new()
        };
        Ok(MakeSeries {
            aggregates,
            on,
            from,
            to,
            step,
            by,
        })
    }

    pub(super) fn after(&mut self, word: &str) -> Parsed<Option<Expr>> {
        if !self.take_word(word) {
            return Ok(None);
        }
        self.sum().map(Some)
    }

    fn render(&mut self) -> Parsed<Render> {
        let kind = self.name("a kind of chart")?;
        let mut with = Vec::new();
        // Properties without brackets are of an older form.
        while !self.is_word("with")
            && matches!(self.peek(), Some((token, _)) if !matches!(token, Token::Sign("|" | ";" | ")" | "}") | Token::Bad(_)))
        {
            self.at += 1;
        }
        if self.take_word("with") {
            self.want_sign("(", "write with (title='…')")?;
            while !self.take_sign(")") {
                let name = self.name("a property")?;
                self.want_sign("=", "write name=value")?;
                let start = self.place().start;
                let value = match self.next() {
                    Some((Token::Text(text), _)) => text,
                    Some((_, place)) => {
                        let mut end = place.end;
                        // A list of columns goes on to the next property.
                        while self.is_sign(",")
                            && !matches!(self.tokens.get(self.at + 2), Some((Token::Sign("="), _)))
                        {
                            self.at += 2;
                            end = self.end();
                        }
                        self.text[start..end].to_owned()
                    }
                    None => return Err(self.unexpected("a value", "write name=value")),
                };
                with.push((name, value));
                self.take_sign(",");
                if self.peek().is_none() {
                    return Err(self.unexpected("')'", "close the properties with )"));
                }
            }
        }
        Ok(Render { kind, with })
    }

    fn sequence(&mut self) -> Parsed<Sequence> {
        const HINT: &str =
            "write sequence by user [class:authentication] [where process.pid > 5] with maxspan=5m";
        let by = if self.take_word("by") {
            self.keys()?
        } else {
            Vec::new()
        };
        let mut maxspan = self.maxspan()?;
        let mut steps = Vec::new();
        while self.is_sign("[") || matches!(self.peek(), Some((Token::QuotedName(_), _))) {
            steps.push(self.step()?);
        }
        if steps.len() < 2 {
            return Err(self.unexpected("a further [step]", HINT));
        }
        if maxspan.is_none() {
            maxspan = self.maxspan()?;
        }
        Ok(Sequence { by, steps, maxspan })
    }

    fn keys(&mut self) -> Parsed<Vec<Expr>> {
        self.list(|parser| {
            let start = parser.place().start;
            let path = parser.path("a field")?;
            Ok(parser.placed(start, ExprKind::Name(path)))
        })
    }

    fn maxspan(&mut self) -> Parsed<Option<Expr>> {
        if !self.take_word("with") {
            return Ok(None);
        }
        self.want_word("maxspan", "write with maxspan=5m")?;
        self.want_sign("=", "write with maxspan=5m")?;
        // No sum: the `[` of the first step may follow.
        self.primary().map(Some)
    }

    fn step(&mut self) -> Parsed<SeqStep> {
        let open = self.place().start + 1;
        let skipped = self.text[open..].len() - self.text[open..].trim_start().len();
        self.fill(open + skipped);
        let condition = if self.take_word("where") {
            SeqCondition::Where(self.expression()?)
        } else {
            let end = open + end_of_search(&self.text[open..]);
            if is_pipe(&self.text[open..end]) {
                return Err(self.unexpected("a condition", "a step takes no verbs"));
            }
            SeqCondition::Search(self.query()?)
        };
        self.want_sign("]", "close the step with ]")?;
        let by = if self.take_word("by") {
            self.keys()?
        } else {
            Vec::new()
        };
        Ok(SeqStep { condition, by })
    }
}

/// The parts of a condition that `and` joins.
fn conjuncts(condition: Expr) -> Vec<Expr> {
    match condition.kind {
        ExprKind::Binary(Binary::And, left, right) => {
            let mut parts = conjuncts(*left);
            parts.extend(conjuncts(*right));
            parts
        }
        _ => vec![condition],
    }
}

fn join_kind(word: &str) -> Option<JoinKind> {
    Some(match word {
        "innerunique" => JoinKind::InnerUnique,
        "inner" => JoinKind::Inner,
        "leftouter" | "left" => JoinKind::LeftOuter,
        "rightouter" | "right" => JoinKind::RightOuter,
        "fullouter" | "outer" | "full" => JoinKind::FullOuter,
        "leftsemi" => JoinKind::LeftSemi,
        "rightsemi" => JoinKind::RightSemi,
        "leftanti" | "anti" | "leftantisemi" => JoinKind::LeftAnti,
        "rightanti" | "rightantisemi" => JoinKind::RightAnti,
        _ => return None,
    })
}
