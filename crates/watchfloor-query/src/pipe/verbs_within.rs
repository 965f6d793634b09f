//! Verbs that hold verbs or calls: `mv-apply`, `partition`, `evaluate`, and those that are read
//! only.

use super::ast::{Arg, ExprKind, MvExpand, ParseKv, Verb, VerbKind};
use super::lexer::Token;
use super::{Parsed, Parser};

impl Parser<'_> {
    /// `mv-apply [with_itemindex=i] x = list [to typeof(t)] [limit n] on ( verbs )`.
    pub(super) fn mv_apply(&mut self) -> Parsed<VerbKind> {
        let mut expand = self.mv_expand()?;
        if self.take_word("id") {
            self.sum()?;
        }
        if expand.limit.is_none() {
            expand.limit = self.after("limit")?;
        }
        self.want_word("on", "write mv-apply x = list on (where x > 1)")?;
        let verbs = self.verbs_in_brackets()?;
        Ok(VerbKind::MvApply(expand, verbs))
    }

    /// `( where … | summarize … )`: verbs without a source.
    fn verbs_in_brackets(&mut self) -> Parsed<Vec<Verb>> {
        const HINT: &str = "write verbs in brackets, such as (where x > 1 | take 1)";
        self.want_sign("(", HINT)?;
        self.deeper()?;
        self.take_sign("|");
        let mut verbs = vec![self.verb()?];
        while self.take_sign("|") {
            verbs.push(self.verb()?);
        }
        self.want_sign(")", HINT)?;
        self.depth -= 1;
        Ok(verbs)
    }

    /// `partition by column ( verbs )`.
    pub(super) fn partition(&mut self) -> Parsed<VerbKind> {
        self.hints();
        self.take_word("kind");
        self.want_word("by", "write partition by user (top 3 by time)")?;
        // No expression: a bracket behind a name would read as a call.
        let start = self.place().start;
        let by = self.path("a column")?;
        let by = self.placed(start, ExprKind::Name(by));
        self.hints();
        if self.is_sign("{") {
            self.skip_brackets()?;
            return Ok(VerbKind::Other("partition with { }".to_owned()));
        }
        let verbs = self.verbs_in_brackets()?;
        Ok(VerbKind::Partition(by, verbs))
    }

    /// `evaluate plugin(…)`, which may tell the columns that it gives.
    pub(super) fn evaluate(&mut self) -> Parsed<VerbKind> {
        self.hints();
        let (name, args) = self.name_and_args("a plugin", "write evaluate bag_unpack(column)")?;
        if self.take_sign(":") {
            self.skip_brackets()?;
        }
        Ok(VerbKind::Evaluate(name, args))
    }

    pub(super) fn invoke(&mut self) -> Parsed<VerbKind> {
        let (name, args) = self.name_and_args("a function", "write invoke f(1)")?;
        Ok(VerbKind::Invoke(name, args))
    }

    fn name_and_args(&mut self, what: &str, hint: &str) -> Parsed<(String, Vec<Arg>)> {
        let name = self.path(what)?;
        self.want_sign("(", hint)?;
        Ok((name, self.arguments()?))
    }

    /// `sample-distinct 5 of column`.
    pub(super) fn sample_distinct(&mut self) -> Parsed<VerbKind> {
        let count = self.sum()?;
        self.want_word("of", "write sample-distinct 5 of user")?;
        Ok(VerbKind::SampleDistinct(count, self.named()?))
    }

    /// `top-hitters 5 of column by sum`.
    pub(super) fn top_hitters(&mut self) -> Parsed<VerbKind> {
        let count = self.sum()?;
        self.want_word("of", "write top-hitters 5 of user")?;
        let of = self.named()?;
        let by = self.after("by")?;
        Ok(VerbKind::TopHitters(count, of, by))
    }

    /// `parse-kv text as (a: string) with (pair_delimiter=',', kv_delimiter='=')`.
    pub(super) fn parse_kv(&mut self) -> Parsed<VerbKind> {
        const HINT: &str =
            "write parse-kv message as (user: string) with (pair_delimiter=' ', kv_delimiter='=')";
        let text = self.sum()?;
        self.want_word("as", HINT)?;
        self.want_sign("(", HINT)?;
        let columns = self.typed_columns(HINT)?;
        let mut with = Vec::new();
        if self.take_word("with") {
            self.want_sign("(", HINT)?;
            while !self.take_sign(")") {
                let name = self.name("an option")?;
                self.want_sign("=", HINT)?;
                let start = self.place().start;
                self.sum()?;
                let written = &self.text[start..self.end()];
                let value = super::lexer::literal(written, 0)?;
                with.push((name, value.map_or(written.to_owned(), |(text, _)| text)));
                if !self.take_sign(",") && !self.is_sign(")") {
                    return Err(self.unexpected("',' or ')'", HINT));
                }
            }
        }
        Ok(VerbKind::ParseKv(ParseKv {
            text,
            columns,
            with,
        }))
    }

    /// A verb that is read and not run: all up to the next `|` on this level.
    pub(super) fn unread(&mut self, name: &str) -> Parsed<VerbKind> {
        while let Some((token, _)) = self.peek() {
            match token {
                Token::Sign("|" | ";" | ")" | "}" | "]") => break,
                Token::Sign("(" | "[" | "{") => self.skip_brackets()?,
                Token::Bad(error) => return Err(error.clone()),
                _ => self.at += 1,
            }
        }
        Ok(VerbKind::Other(name.to_owned()))
    }

    pub(super) fn mv_expand(&mut self) -> Parsed<MvExpand> {
        let mut index = None;
        while matches!(self.peek_at(1), Some(Token::Sign("="))) {
            let Some((Token::Name(option), _)) = self.peek().cloned() else {
                break;
            };
            if !matches!(option.as_str(), "bagexpansion" | "kind" | "with_itemindex") {
                break;
            }
            self.at += 2;
            let value = self.option_value()?;
            if option == "with_itemindex" {
                index = Some(value);
            }
        }
        let columns = self.list(|parser| {
            let named = parser.named()?;
            let mut kind = None;
            if parser.take_word("to") {
                parser.want_word("typeof", "write to typeof(string)")?;
                parser.want_sign("(", "write to typeof(string)")?;
                kind = Some(parser.name("a type")?);
                parser.want_sign(")", "write to typeof(string)")?;
            }
            Ok((named, kind))
        })?;
        let limit = self.after("limit")?;
        Ok(MvExpand {
            columns,
            index,
            limit,
        })
    }
}
