//! Whether a query judges each event by itself, so that it can be asked of events as they arrive.

use super::ast::{
    Arg, Expr, ExprKind, LetValue, Named, Pipeline, Program, Sought, Source, Verb, VerbKind,
};

/// Functions whose values depend on the rows before and behind.
const OF_ORDER: [&str; 6] = [
    "row_number",
    "row_cumsum",
    "row_window_session",
    "prev",
    "next",
    "row_rank_dense",
];

/// Whether the rows that a query gives for some events do not depend on other events: it reads
/// one table or searches, and all its verbs work row by row.
///
/// ```
/// use watchfloor_query::pipe::{is_per_row, parse};
/// assert!(is_per_row(&parse("failed | where user.name != 'bob' | project time, user.name").unwrap()));
/// assert!(!is_per_row(&parse("failed | summarize count() by user.name").unwrap()));
/// ```
pub fn is_per_row(program: &Program) -> bool {
    let lets = program.lets.iter();
    let mut values = lets.map(|one| match &one.value {
        LetValue::Scalar(expr) => is_own(expr),
        LetValue::Table(_) | LetValue::Function(..) => false,
    });
    values.all(|is_own| is_own) && is_pipeline(&program.body)
}

fn is_pipeline(pipeline: &Pipeline) -> bool {
    let is_source = match &pipeline.source {
        Source::Search(_) | Source::Table(_) => true,
        Source::Group(inner) => is_pipeline(inner),
        Source::Find(find) => is_sought(&find.sought) && are_own(&find.project),
        Source::Call(..)
        | Source::Print(_)
        | Source::Range(..)
        | Source::DataTable(..)
        | Source::Union(_)
        | Source::External(_) => false,
    };
    is_source && pipeline.verbs.iter().all(is_verb)
}

fn is_verb(verb: &Verb) -> bool {
    match &verb.kind {
        VerbKind::Where(condition) => is_own(condition),
        VerbKind::Search(sought) => is_sought(sought),
        VerbKind::Extend(columns) | VerbKind::Project(columns) => are_own(columns),
        VerbKind::Columns(_, columns) => are_own(columns),
        VerbKind::Parse(parse) => is_own(&parse.text),
        VerbKind::ParseKv(parse) => is_own(&parse.text),
        VerbKind::MvExpand(expand) => {
            expand
                .columns
                .iter()
                .all(|(column, _)| is_own(&column.expr))
                && expand.limit.as_ref().is_none_or(is_own)
        }
        VerbKind::Render(_) => true,
        // These look at several rows, or at the data to know their columns.
        VerbKind::Summarize(..)
        | VerbKind::Sort(_)
        | VerbKind::Top(..)
        | VerbKind::Take(_)
        | VerbKind::Distinct(_)
        | VerbKind::Count
        | VerbKind::Join(_)
        | VerbKind::Union(_)
        | VerbKind::MakeSeries(_)
        | VerbKind::Sequence(_)
        | VerbKind::GetSchema
        | VerbKind::As(_)
        | VerbKind::Serialize(_)
        | VerbKind::MvApply(..)
        | VerbKind::Partition(..)
        | VerbKind::Evaluate(..)
        | VerbKind::Invoke(..)
        | VerbKind::SampleDistinct(..)
        | VerbKind::TopHitters(..)
        | VerbKind::Consume
        | VerbKind::Other(_) => false,
    }
}

fn is_sought(sought: &Sought) -> bool {
    match sought {
        Sought::Words(_) => true,
        Sought::Condition(condition) => is_own(condition),
    }
}

fn are_own(columns: &[Named]) -> bool {
    columns.iter().all(|column| is_own(&column.expr))
}

/// Whether an expression looks at its own row only.
fn is_own(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Long(_)
        | ExprKind::Real(_)
        | ExprKind::Text(_)
        | ExprKind::Span(_)
        | ExprKind::Time(_)
        | ExprKind::Dynamic(_)
        | ExprKind::Name(_)
        | ExprKind::Star => true,
        ExprKind::Rows(_) => false,
        ExprKind::List(items) => items.iter().all(is_own),
        ExprKind::Index(left, right) | ExprKind::Binary(_, left, right) => {
            is_own(left) && is_own(right)
        }
        ExprKind::Call(name, args) => {
            !OF_ORDER.contains(&name.as_str()) && name != "toscalar" && are_args_own(args)
        }
        ExprKind::Not(inner) | ExprKind::Minus(inner) => is_own(inner),
        ExprKind::In { value, list, .. } => is_own(value) && list.iter().all(is_own),
        ExprKind::Between(value, from, to) => is_own(value) && is_own(from) && is_own(to),
    }
}

fn are_args_own(args: &[Arg]) -> bool {
    args.iter().all(|arg| is_own(&arg.expr))
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn what_looks_at_other_rows_is_told() {
        let is_per_row = |text: &str| super::is_per_row(&parse(text).unwrap());
        for text in [
            "events | where user.name has 'a' | extend n = strlen(raw)",
            "user:bob | parse raw with * 'from ' ip ' ' *",
            "let x = 5; events | where class_uid == x | project time",
            "DeviceLogonEvents | mv-expand a = split(raw, ' ') to typeof(string)",
            "events | where user.name in ('a', 'b') and dst_endpoint.port between (1 .. 5)",
        ] {
            assert!(is_per_row(text), "{text}");
        }
        for text in [
            "events | count",
            "events | take 5",
            "events | sort by time",
            "events | extend n = row_number()",
            "events | where user.name in (findings | project user.name)",
            "let t = events | take 1; t | where true",
            "print 1",
            "events | where x > toscalar(events | count)",
        ] {
            assert!(!is_per_row(text), "{text}");
        }
    }
}
