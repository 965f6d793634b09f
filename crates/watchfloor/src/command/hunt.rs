//! `watchfloor hunt`: searching a data folder, with verbs or without.

use std::io::{BufWriter, Write};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use watchfloor_lake::{
    PipeError, PipeRequest, PipeResult, RowsQuery, SearchRequest, SearchResult, SortOrder,
    StoredEvent,
};
use watchfloor_query::{Diagnostic, is_sql, pipe};

use crate::Outcome;
use crate::cli::{EventFormat, HuntArgs};
use crate::command::{block_on, csv_field, visible};
use crate::places;

/// Longest that a query with verbs may take.
const TIMEOUT: Duration = Duration::from_secs(600);

pub(crate) fn run(args: &HuntArgs) -> Result<Outcome> {
    if is_sql(&args.query) || pipe::is_pipe(&args.query) {
        return run_rows(args);
    }
    let query =
        watchfloor_query::parse(&args.query).map_err(|error| marked(&args.query, &error))?;
    let now = Timestamp::now();
    let request = SearchRequest {
        query,
        from: instant(&args.from, now)?,
        to: instant(&args.to, now)?,
        limit: args.limit,
        order: SortOrder::NewestFirst,
        with_findings: false,
        bucket_seconds: 0,
    };
    let found = block_on(async {
        let lake = places::open_to_read(&args.data).await?;
        Ok(lake.search(&request).await?)
    })?;
    print(&found, args.format)?;
    tell_unread(&found.unread);
    if (found.events.len() as u64) < found.total {
        eprintln!(
            "{} of {} events shown; raise --limit for more",
            found.events.len(),
            found.total
        );
    }
    Ok(Outcome::Done)
}

/// An error with the line of the query that it is in, and its place marked below it.
fn marked(query: &str, error: &Diagnostic) -> anyhow::Error {
    let start = error.start.min(query.len());
    let begin = query[..start].rfind('\n').map_or(0, |before| before + 1);
    let end = query[start..]
        .find('\n')
        .map_or(query.len(), |after| start + after);
    let line = &query[begin..end];
    let before = query[begin..start].chars().count();
    let width = query[start..error.end.clamp(start, end)].chars().count();
    anyhow!(
        "{}\n  {}\n  {}{}\n  {}",
        visible(&error.message),
        visible(line),
        " ".repeat(before),
        "^".repeat(width.max(1)),
        visible(&error.hint)
    )
}

fn run_rows(args: &HuntArgs) -> Result<Outcome> {
    let query = RowsQuery::parse(&args.query).map_err(|error| marked(&args.query, &error))?;
    let now = Timestamp::now();
    let request = PipeRequest {
        query,
        from: instant(&args.from, now)?,
        to: instant(&args.to, now)?,
        limit: args.limit,
        timeout: TIMEOUT,
    };
    let found = block_on(async {
        let lake = places::open_to_read(&args.data).await?;
        match lake.pipe(&request).await {
            Err(PipeError::Query(error)) => Err(marked(&args.query, &error)),
            other => Ok(other?),
        }
    })?;
    print_rows(&found, args.format)?;
    tell_unread(&found.unread);
    if found.is_capped {
        eprintln!(
            "the first {} rows are shown, there are more; raise --limit for them",
            found.rows.len()
        );
    }
    Ok(Outcome::Done)
}

fn tell_unread(paths: &[String]) {
    for path in paths {
        eprintln!(
            "watchfloor: {} cannot be read, what it holds is missing from the answer; see watchfloor lake verify",
            visible(path)
        );
    }
}

fn print_rows(found: &PipeResult, format: EventFormat) -> Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    let names: Vec<String> = found
        .columns
        .iter()
        .map(|column| visible(&column.name))
        .collect();
    match format {
        EventFormat::Ndjson => {
            for row in &found.rows {
                let fields = found.columns.iter().zip(row);
                let fields: serde_json::Map<_, _> = fields
                    .map(|(column, value)| (column.name.clone(), value.clone()))
                    .collect();
                writeln!(output, "{}", serde_json::Value::Object(fields))?;
            }
        }
        EventFormat::Csv => {
            let names: Vec<String> = names.iter().map(|name| csv_field(name)).collect();
            writeln!(output, "{}", names.join(","))?;
            // A number may begin with a sign; a text that does could be taken for a formula.
            let cell = |value: &serde_json::Value| match value {
                serde_json::Value::Number(number) => number.to_string(),
                other => csv_field(&shown(other)),
            };
            for row in &found.rows {
                let row: Vec<String> = row.iter().map(cell).collect();
                writeln!(output, "{}", row.join(","))?;
            }
        }
        EventFormat::Table => print_table(&mut output, &names, &found.rows)?,
    }
    Ok(output.flush()?)
}

/// Columns as wide as what is in them, up to a limit.
fn print_table(
    output: &mut impl Write,
    names: &[String],
    rows: &[Vec<serde_json::Value>],
) -> Result<()> {
    const WIDEST: usize = 60;
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(shown).collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let cells = cells.chain(names.get(column));
        let longest = cells.map(|cell| cell.chars().count()).max();
        longest.unwrap_or(0).min(WIDEST)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    for row in std::iter::once(names).chain(rows.iter().map(Vec::as_slice)) {
        let cells = row.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(number, (cell, width))| {
                // The last column takes what room there is.
                let most = if number + 1 == names.len() {
                    200
                } else {
                    *width
                };
                let cut: String = cell.chars().take(most).collect();
                format!("{cut:<width$}")
            })
            .collect();
        writeln!(output, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => visible(text),
        other => visible(&other.to_string()),
    }
}

/// Reads RFC 3339, `now`, or a span before now such as `15m`.
pub(super) fn instant(text: &str, now: Timestamp) -> Result<Timestamp> {
    if text == "now" {
        // Events of this very moment are meant as well.
        return Ok(now + SignedDuration::from_secs(1));
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let hint = || {
        format!(
            "'{text}' is no time; write 2026-11-24T12:00:00Z, now, or a span before now such as 15m, 24h, 30d"
        )
    };
    let unit = text.chars().last().with_context(hint)?;
    let number: i64 = text
        .strip_suffix(unit)
        .unwrap_or_default()
        .parse()
        .with_context(hint)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => bail!("{}", hint()),
    };
    let span = SignedDuration::from_secs(number.saturating_mul(seconds));
    now.checked_sub(span).with_context(hint)
}

fn print(found: &SearchResult, format: EventFormat) -> Result<()> {
    let mut output = BufWriter::new(std::io::stdout().lock());
    match format {
        EventFormat::Ndjson => {
            for event in &found.events {
                writeln!(output, "{}", as_json(event))?;
            }
        }
        EventFormat::Csv => {
            writeln!(output, "time,source,class,product,raw")?;
            for event in &found.events {
                let fields = columns(event).map(|field| csv_field(&visible(&field)));
                writeln!(
                    output,
                    "{},{}",
                    fields.join(","),
                    csv_field(&visible(&event.raw))
                )?;
            }
        }
        EventFormat::Table => {
            for event in &found.events {
                let [time, source, class, _] = columns(event).map(|field| visible(&field));
                let raw: String = visible(&event.raw).chars().take(200).collect();
                writeln!(output, "{time:<27} {source:<20} {class:<24} {raw}")?;
            }
        }
    }
    Ok(output.flush()?)
}

fn columns(event: &StoredEvent) -> [String; 4] {
    let class = watchfloor_event::ocsf::class_name(event.class_uid).to_owned();
    [
        event.time.to_string(),
        event.source.clone(),
        class,
        event.product.clone(),
    ]
}

fn as_json(event: &StoredEvent) -> serde_json::Value {
    let fields: serde_json::Map<_, _> = event
        .fields
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    json!({
        "id": event.id.to_string(),
        "time": event.time.to_string(),
        "received_at": event.received_at.to_string(),
        "source": event.source,
        "product": event.product,
        "class_uid": event.class_uid,
        "class_name": watchfloor_event::ocsf::class_name(event.class_uid),
        "fields": fields,
        "raw": event.raw,
        "anomalies": event.anomalies.iter().map(|anomaly| json!({"code": anomaly.code.as_str(), "detail": anomaly.detail})).collect::<Vec<_>>(),
    })
}
