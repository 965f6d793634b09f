//! Tables by name, and functions of other products that give rows.

use std::ops::Range;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr as DfExpr, lit};
use watchfloor_query::pipe::{
    Arg, Binary, Expr, ExprKind, Find, Sought, Source, TABLES, nearest, table_filter,
};
use watchfloor_query::{Diagnostic, Query};

use super::verbs::{name_expr, wildcard};
use super::{Lowered, Lowering, Rows, Scope, Value, at, find};
use crate::lower;

/// Parameters of ASIM functions without what stands behind the first `_`, with their columns.
const PARAMETERS: [(&str, &[&str]); 30] = [
    ("srcipaddr", &["SrcIpAddr"]),
    ("dstipaddr", &["DstIpAddr"]),
    ("ipaddr", &["SrcIpAddr", "DstIpAddr"]),
    ("dvcipaddr", &["DvcIpAddr"]),
    ("dstportnumber", &["DstPortNumber"]),
    ("srchostname", &["SrcHostname"]),
    ("hostname", &["SrcHostname", "DstHostname"]),
    ("dvchostname", &["DvcHostname"]),
    ("domain", &["DnsQuery"]),
    ("response", &["DnsResponseName"]),
    ("responsecodename", &["DnsResponseCodeName"]),
    ("url", &["Url"]),
    ("httpuseragent", &["HttpUserAgent"]),
    ("commandline", &["CommandLine"]),
    ("actingprocess", &["ActingProcessName"]),
    ("targetprocess", &["TargetProcessName"]),
    ("parentprocess", &["ParentProcessName"]),
    ("actorusername", &["ActorUsername"]),
    ("targetusername", &["TargetUsername"]),
    ("username", &["ActorUsername", "TargetUsername"]),
    ("targetappname", &["app_name"]),
    ("targetfilepath", &["TargetFilePath"]),
    ("filepath", &["TargetFilePath"]),
    ("hashes", &["SHA256"]),
    ("registrykey", &["RegistryKey"]),
    ("registryvalue", &["RegistryValueName"]),
    ("operation", &["Operation"]),
    ("eventtype", &["EventType"]),
    ("eventresult", &["EventResult"]),
    ("eventresultdetails", &["EventResultDetails"]),
];

/// What a table's rows are in the search bar's language; ASIM's tables by any of their names.
pub(super) fn filter_of(name: &str) -> Option<&'static str> {
    table_filter(name).or_else(|| asim(name).and_then(|name| table_filter(&name)))
}

/// Whether a function of another product gives rows.
pub(super) fn gives_rows(name: &str) -> bool {
    asim(name).is_some() || name == "_GetWatchlist"
}

/// The short name of an ASIM parser: `imDns` of `_Im_Dns`, `vimDnsX` and `ASimDns`.
fn asim(name: &str) -> Option<String> {
    let prefixes = ["_Im_", "_ASim_", "ASim", "vim", "im"];
    let mut bases = prefixes
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix));
    let base = bases.next().filter(|base| !base.is_empty())?;
    let exact = format!("im{base}");
    if table_filter(&exact).is_some() {
        return Some(exact);
    }
    // A parser of one source has its name behind.
    let known = TABLES.iter().map(|(name, ..)| *name);
    let mut longest = known.filter(|known| known.starts_with("im") && exact.starts_with(known));
    longest.next().map(str::to_owned)
}

impl Lowering {
    pub(super) fn table(&self, name: &str, place: &Range<usize>, scope: &Scope) -> Lowered<Rows> {
        match find(scope, name) {
            Some(Value::Rows(rows)) => return Ok(*rows),
            Some(Value::Function(..)) => return self.call_rows(name, &[], place, scope),
            Some(Value::Scalar(expr, outer)) => match &expr.kind {
                ExprKind::Rows(pipeline) => return Ok(self.pipeline(pipeline, &outer)?.0),
                ExprKind::Call(name, args) => {
                    return self.call_rows(name, args, &expr.place, &outer);
                }
                ExprKind::Name(other) if other != name => {
                    return self.table(other, &expr.place, &outer);
                }
                _ => {}
            },
            None => {}
        }
        let Some(filter) = filter_of(name) else {
            return Err(no_table(name, place));
        };
        let mut rows = self.search(&watchfloor_query::parse(filter)?, place)?;
        name.clone_into(&mut rows.table);
        Ok(rows)
    }

    /// A function of another product that gives rows, with its named parameters as conditions.
    pub(super) fn foreign_rows(
        &self,
        name: &str,
        args: &[Arg],
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        if name == "_GetWatchlist" || name == "_GetWatchlistAlias" {
            return Err(Diagnostic::new(
                "there are no watchlists here",
                place.clone(),
                "write the list as let list = datatable(SearchKey: string)['a', 'b'];",
            ));
        }
        let Some(table) = asim(name).or_else(|| table_filter(name).map(|_| name.to_owned())) else {
            return Err(Diagnostic::new(
                format!("there is no function '{name}' that gives rows"),
                place.clone(),
                "define it with let, or name a table",
            ));
        };
        let mut rows = self.table(&table, place, &None)?;
        for arg in args {
            let Some(parameter) = &arg.name else {
                continue;
            };
            if let Some(condition) = self.parameter(&rows, parameter, &arg.expr, scope)? {
                rows.frame = rows.frame.filter(condition).map_err(at(place))?;
            }
        }
        Ok(rows)
    }

    /// The condition that a parameter of an ASIM function stands for; none where it asks nothing.
    fn parameter(
        &self,
        rows: &Rows,
        parameter: &str,
        value: &Expr,
        scope: &Scope,
    ) -> Lowered<Option<DfExpr>> {
        if matches!(parameter, "pack" | "disabled") {
            return Ok(None);
        }
        let lowered = self.expr(rows, value, scope)?;
        let nothing = match super::expression::literal(&lowered, rows) {
            Some(ScalarValue::Utf8(Some(text))) => matches!(text.as_str(), "" | "*" | "[]"),
            Some(other) => other.is_null(),
            None => false,
        };
        if nothing {
            return Ok(None);
        }
        let name = |name: &str| name_expr(name, &value.place);
        let test = |operator: Binary, column: &str| Expr {
            kind: ExprKind::Binary(operator, Box::new(name(column)), Box::new(value.clone())),
            place: value.place.clone(),
        };
        match parameter {
            "starttime" => {
                let test = test(Binary::GreaterEqual, "TimeGenerated");
                return self.condition(rows, &test, scope).map(Some);
            }
            "endtime" => {
                let test = test(Binary::LessEqual, "TimeGenerated");
                return self.condition(rows, &test, scope).map(Some);
            }
            _ => {}
        }
        let (base, how) = parameter.split_once('_').unwrap_or((parameter, ""));
        let found = PARAMETERS.iter().find(|(known, _)| *known == base);
        let Some((_, columns)) = found else {
            let known: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).collect();
            return Err(Diagnostic::new(
                format!("the parameter '{parameter}' is not known here"),
                value.place.clone(),
                &format!("parameters begin with {}", known.join(", ")),
            ));
        };
        let tests = columns.iter().map(|column| match how {
            how if how.starts_with("has_all") => {
                self.has_call("has_all", name(column), value, scope, rows)
            }
            how if how.starts_with("has") && !how.contains("prefix") => {
                self.has_call("has_any", name(column), value, scope, rows)
            }
            how if how.contains("prefix") => {
                self.has_call("has_any_ipv4_prefix", name(column), value, scope, rows)
            }
            _ => {
                let list = ExprKind::In {
                    value: Box::new(name(column)),
                    list: vec![value.clone()],
                    is_folded: true,
                    is_not: false,
                };
                let place = value.place.clone();
                self.condition(rows, &Expr { kind: list, place }, scope)
            }
        });
        let tests = tests.collect::<Lowered<Vec<_>>>()?;
        Ok(tests.into_iter().reduce(DfExpr::or))
    }

    fn has_call(
        &self,
        test: &str,
        column: Expr,
        value: &Expr,
        scope: &Scope,
        rows: &Rows,
    ) -> Lowered<DfExpr> {
        let args = [column, value.clone()].map(|expr| Arg { name: None, expr });
        self.call(rows, test, &args, &value.place, scope)
    }

    /// `find` and `search` among tables.
    pub(super) fn find_rows(
        &self,
        find: &Find,
        place: &Range<usize>,
        scope: &Scope,
    ) -> Lowered<Rows> {
        let mut tables: Vec<(String, Query)> = Vec::new();
        for name in &find.tables {
            let names = names_of(name);
            if names.is_empty() {
                return Err(no_table(name, place));
            }
            for name in names {
                let filter = filter_of(&name).unwrap_or_default();
                tables.push((name, watchfloor_query::parse(filter)?));
            }
        }
        let any = |tables: &[(String, Query)]| {
            Query::Or(tables.iter().map(|(_, query)| query.clone()).collect())
        };
        let mut parts = Vec::new();
        if !tables.is_empty() {
            parts.push(any(&tables));
        }
        if let Sought::Words(words) = &find.sought {
            parts.push(words.clone());
        }
        let mut rows = self.search(&Query::And(parts), place)?;
        if let [(table, _)] = tables.as_slice() {
            rows.table.clone_from(table);
        }
        if let Sought::Condition(condition) = &find.sought {
            let condition = words_in(condition);
            let condition = self.condition(&rows, &condition, scope)?;
            rows.frame = rows.frame.filter(condition).map_err(at(place))?;
        }
        if let Some(name) = &find.with_source {
            let mut value = lit(ScalarValue::Utf8(None));
            for (table, query) in tables.iter().rev() {
                value = super::expression::df_case(lower::query(query), lit(table.clone()), value);
            }
            rows = self.with_column(rows, name, value, place)?;
        }
        if find.project.is_empty() {
            return Ok(rows);
        }
        self.project(&rows, &find.project, (place, false), scope)
    }
}

/// The known tables that a name with `*` means; one without that is known means itself.
pub(super) fn names_of(pattern: &str) -> Vec<String> {
    if !pattern.contains('*') {
        let known = filter_of(pattern).is_some();
        return if known {
            vec![pattern.to_owned()]
        } else {
            Vec::new()
        };
    }
    if pattern == "*" {
        return vec!["events".to_owned()];
    }
    let small = pattern.to_lowercase();
    let all = TABLES.iter().map(|(name, ..)| *name);
    // What holds all events would give those of the others again, and what rules found of them is
    // asked for by name.
    all.filter(|name| !matches!(*name, "events" | "DeviceEvents"))
        .filter(|name| table_filter(name) != Some("class:detection_finding"))
        .filter(|name| wildcard(&small, &name.to_lowercase()))
        .map(str::to_owned)
        .collect()
}

/// An expression in which a text alone stands for a word that any column holds.
pub(super) fn words_in(expr: &Expr) -> Expr {
    let inner = |one: &Expr| Box::new(words_in(one));
    let place = expr.place.clone();
    let kind = match &expr.kind {
        ExprKind::Text(_) => {
            let star = Expr {
                kind: ExprKind::Star,
                place: place.clone(),
            };
            ExprKind::Binary(Binary::Text("has"), Box::new(star), Box::new(expr.clone()))
        }
        ExprKind::Binary(operator @ (Binary::And | Binary::Or), left, right) => {
            ExprKind::Binary(*operator, inner(left), inner(right))
        }
        ExprKind::Not(of) => ExprKind::Not(inner(of)),
        other => other.clone(),
    };
    Expr { kind, place }
}

pub(super) fn no_table(name: &str, place: &Range<usize>) -> Diagnostic {
    let known: Vec<&str> = TABLES.iter().map(|(name, _, _)| *name).collect();
    let near = nearest(name, known.iter().copied());
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!(
            "tables are {} and others of the reference page",
            known[..12].join(", ")
        ),
    };
    Diagnostic::new(format!("there is no table '{name}'"), place.clone(), &hint)
}

/// Whether an error says that a table or function of rows is missing.
pub(super) fn is_missing(error: &Diagnostic) -> bool {
    error.message.starts_with("there is no table")
        || error.message.starts_with("there are no watchlists")
        || (error.message.starts_with("there is no function")
            && error.message.ends_with("that gives rows"))
}

/// The name of a source, as a union tells it.
pub(super) fn source_name(source: &Source, number: usize) -> String {
    match source {
        Source::Table(name) => name.clone(),
        Source::Group(inner) if inner.verbs.is_empty() => source_name(&inner.source, number),
        _ => format!("union_arg{number}"),
    }
}
