//! Plain SQL over events and findings: read-only, within the limits of pipe queries.

use std::sync::Arc;

use datafusion::datasource::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::{DataFrame, SessionContext};
use watchfloor_query::Diagnostic;

use crate::pipe::{PipeError, PipeRequest, asked};
use crate::schema;
use crate::search::query_error;
use crate::snapshot::Snapshot;
use crate::table::Lake;

/// The tables that SQL knows.
const TABLES: &str =
    "the tables are events and findings; columns are OCSF paths with _ for ., such as user_name";

impl Lake {
    /// The plan of a query in SQL, which may read and nothing else.
    pub(crate) async fn planned(
        &self,
        text: &str,
        request: &PipeRequest,
        snapshot: Snapshot,
    ) -> Result<DataFrame, PipeError> {
        let only_reads = SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false);
        self.sql_context(request, snapshot)?
            .sql_with_options(text, only_reads)
            .await
            .map_err(|error| PipeError::Query(diagnostic(text, &error)))
    }

    fn sql_context(
        &self,
        request: &PipeRequest,
        snapshot: Snapshot,
    ) -> Result<SessionContext, PipeError> {
        let context = self.pipe_context(&request.run)?;
        let lake: Arc<dyn TableProvider> = Arc::new(snapshot);
        context
            .state_ref()
            .write()
            .config_mut()
            .options_mut()
            .sql_parser
            .collect_spans = true;
        let asked = asked(request);
        let tables = [
            ("events", schema::is_event()),
            ("findings", schema::is_finding()),
        ];
        for (name, filter) in tables {
            let view = context
                .read_table(Arc::clone(&lake))
                .and_then(|frame| frame.filter(asked.clone().and(filter)))
                .map_err(query_error)?
                .into_view();
            context.register_table(name, view).map_err(query_error)?;
        }
        Ok(context)
    }
}

/// What the planner says, at its place in the text.
fn diagnostic(text: &str, error: &DataFusionError) -> Diagnostic {
    let root = error.find_root().strip_backtrace();
    let span = error.diagnostic().and_then(|found| found.span);
    let place = match span {
        Some(span) => {
            let (start, end) = (span.start, span.end);
            let start = offset(text, start.line, start.column);
            start..offset(text, end.line, end.column).max(start)
        }
        // The parser names its place in words only.
        None => named_place(&root).map_or(0..text.len(), |(line, column)| {
            let start = offset(text, line, column);
            start..start
        }),
    };
    let message = root.split(" at Line:").next().unwrap_or_default();
    let message = message.lines().next().unwrap_or_default();
    Diagnostic::new(message.to_owned(), place, TABLES)
}

/// The place in a message such as `… at Line: 2, Column: 8`.
fn named_place(message: &str) -> Option<(u64, u64)> {
    let (line, column) = message.split_once("Line: ")?.1.split_once(", Column: ")?;
    let digits = column.split(|next: char| !next.is_ascii_digit()).next()?;
    Some((line.parse().ok()?, digits.parse().ok()?))
}

/// The byte at a line and column, both counted from one.
fn offset(text: &str, line: u64, column: u64) -> usize {
    let skipped = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
    let start: usize = text.split_inclusive('\n').take(skipped).map(str::len).sum();
    let column = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    let mut chars = text[start..].char_indices().map(|(at, _)| at);
    chars.nth(column).map_or(text.len(), |at| start + at)
}
