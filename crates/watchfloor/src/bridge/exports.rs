//! All that a query finds as a file, made while it is found.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use watchfloor_api::ports::{ExportFormat, ExportPieces, ExportRequest, SearchError};
use watchfloor_event::ocsf;
use watchfloor_lake::{
    ExportQuery, Lake, PipeColumn, PipeError, PipePart, PipeRequest, RowsQuery, StoredEvent,
};
use watchfloor_query::{is_sql, pipe};

use super::events::{failure, invalid};
use super::hunting::{self, Queries};
use crate::command::{csv_field, visible};

/// Reads a query of any form for an export.
pub(crate) fn export_query(text: &str) -> Result<ExportQuery, watchfloor_query::Diagnostic> {
    if is_sql(text) || pipe::is_pipe(text) {
        return RowsQuery::parse(text).map(ExportQuery::Rows);
    }
    watchfloor_query::parse(text).map(ExportQuery::Events)
}

pub(super) fn export(
    lake: Arc<Lake>,
    queries: &Arc<Queries>,
    request: &ExportRequest,
) -> Result<ExportPieces, SearchError> {
    let query = export_query(&request.query).map_err(invalid)?;
    let asked = PipeRequest {
        // What is exported stands beside.
        query: RowsQuery::Sql(String::new()),
        from: request.from,
        to: request.to,
        since: None,
        limit: request.limit as usize,
        run: hunting::run(&request.limits),
    };
    let format = request.format;
    let pieces = hunting::pieces(queries, |sender| async move {
        let written = match format {
            ExportFormat::Parquet => parquet(&lake, &query, &asked, &sender).await,
            ExportFormat::Csv | ExportFormat::Ndjson => {
                texts(&lake, query, asked, format, &sender).await
            }
        };
        if let Err(error) = written {
            let _ = sender.send(Err(failure(error))).await;
        }
    });
    Ok(pieces.boxed())
}

type Pieces = mpsc::Sender<Result<Bytes, SearchError>>;

async fn parquet(
    lake: &Lake,
    query: &ExportQuery,
    asked: &PipeRequest,
    sender: &Pieces,
) -> Result<(), PipeError> {
    let take = |bytes| async {
        let _ = sender.send(Ok(bytes)).await;
    };
    lake.export_parquet(query, asked, take).await.map(drop)
}

async fn texts(
    lake: &Lake,
    query: ExportQuery,
    asked: PipeRequest,
    format: ExportFormat,
    sender: &Pieces,
) -> Result<(), PipeError> {
    let give = |text: String| async {
        let _ = sender.send(Ok(Bytes::from(text))).await;
    };
    match query {
        ExportQuery::Events(query) => {
            if format == ExportFormat::Csv {
                give(EVENT_HEAD.to_owned()).await;
            }
            let take = |events: Vec<StoredEvent>| {
                let lines = events.iter().map(|event| event_line(event, format));
                give(lines.collect())
            };
            lake.export_events(&query, &asked, take).await.map(drop)
        }
        ExportQuery::Rows(rows) => {
            let request = PipeRequest {
                query: rows,
                ..asked
            };
            let mut names: Vec<PipeColumn> = Vec::new();
            let take = |part| {
                let text = match part {
                    PipePart::Columns(columns, _) => {
                        names = columns;
                        match format {
                            ExportFormat::Csv => head_line(&names),
                            ExportFormat::Ndjson | ExportFormat::Parquet => String::new(),
                        }
                    }
                    PipePart::Rows(rows) => {
                        let lines = rows.iter().map(|row| row_line(&names, row, format));
                        lines.collect()
                    }
                };
                give(text)
            };
            lake.pipe_into(&request, take).await.map(drop)
        }
    }
}

/// Columns of events as CSV.
pub(crate) const EVENT_HEAD: &str = "time,source,class,product,raw\n";

/// An event as a line.
fn event_line(event: &StoredEvent, format: ExportFormat) -> String {
    match format {
        ExportFormat::Ndjson | ExportFormat::Parquet => format!("{}\n", event_json(event)),
        ExportFormat::Csv => {
            let time = event.time.to_string();
            let class = ocsf::class_name(event.class_uid);
            let cells = [&time, &event.source, class, &event.product, &event.raw];
            let cells = cells.map(|text: &str| csv_field(&visible(text)));
            format!("{}\n", cells.join(","))
        }
    }
}

/// An event as JSON.
pub(crate) fn event_json(event: &StoredEvent) -> Value {
    let fields: Map<_, _> = event
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let anomalies = event.anomalies.iter();
    let anomalies =
        anomalies.map(|anomaly| json!({"code": anomaly.code.as_str(), "detail": anomaly.detail}));
    json!({
        "id": event.id.to_string(),
        "time": event.time.to_string(),
        "received_at": event.received_at.to_string(),
        "source": event.source,
        "product": event.product,
        "class_uid": event.class_uid,
        "class_name": ocsf::class_name(event.class_uid),
        "fields": fields,
        "raw": event.raw,
        "anomalies": anomalies.collect::<Vec<_>>(),
    })
}

/// The names of columns as a line of CSV.
fn head_line(columns: &[PipeColumn]) -> String {
    let names = columns
        .iter()
        .map(|column| csv_field(&visible(&column.name)));
    format!("{}\n", names.collect::<Vec<_>>().join(","))
}

/// A row as a line.
fn row_line(columns: &[PipeColumn], row: &[Value], format: ExportFormat) -> String {
    match format {
        ExportFormat::Ndjson | ExportFormat::Parquet => {
            let fields = columns.iter().zip(row);
            let fields: Map<_, _> = fields
                .map(|(column, value)| (column.name.clone(), value.clone()))
                .collect();
            format!("{}\n", Value::Object(fields))
        }
        ExportFormat::Csv => {
            // A number may begin with a sign; a text that does could be taken for a formula.
            let cell = |value: &Value| match value {
                Value::Number(number) => number.to_string(),
                Value::Null => String::new(),
                Value::String(text) => csv_field(&visible(text)),
                other => csv_field(&visible(&other.to_string())),
            };
            format!("{}\n", row.iter().map(cell).collect::<Vec<_>>().join(","))
        }
    }
}
