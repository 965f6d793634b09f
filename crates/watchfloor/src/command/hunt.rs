//! `watchfloor hunt`: searching a data folder or a running server, with verbs or without, once or
//! as events arrive.

mod print;
mod remote;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use watchfloor_lake::{
    PipeError, PipeRequest, PipeResult, RowsQuery, Run, SearchRequest, SortOrder,
};
use watchfloor_query::{Diagnostic, is_sql, pipe};

use crate::Outcome;
use crate::bridge::{event_json, export_query};
use crate::cli::{HuntArgs, HuntFormat};
use crate::command::{block_on, visible};
use crate::places;

/// Longest that a query may take.
const TIMEOUT: Duration = Duration::from_secs(600);

pub(crate) fn run(args: &HuntArgs) -> Result<Outcome> {
    if args.format == HuntFormat::Parquet && std::io::stdout().is_terminal() {
        bail!("Parquet is not for a terminal; send it to a file with > rows.parquet");
    }
    if let Some(url) = &args.url {
        return remote::run(args, url);
    }
    if args.format == HuntFormat::Parquet {
        return run_parquet(args);
    }
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
    let data = data(args)?;
    let found = block_on(async {
        let lake = places::open_to_read(data).await?;
        Ok(lake.search(&request).await?)
    })?;
    let events: Vec<_> = found.events.iter().map(event_json).collect();
    print::events(&events, args.format)?;
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

/// The query of the arguments as a request to the lake.
fn request(args: &HuntArgs, query: RowsQuery) -> Result<PipeRequest> {
    let now = Timestamp::now();
    Ok(PipeRequest {
        query,
        from: instant(&args.from, now)?,
        to: instant(&args.to, now)?,
        since: None,
        limit: args.limit,
        run: Run::within(TIMEOUT),
    })
}

fn run_parquet(args: &HuntArgs) -> Result<Outcome> {
    let query = export_query(&args.query).map_err(|error| marked(&args.query, &error))?;
    let request = request(args, RowsQuery::Sql(String::new()))?;
    let data = data(args)?;
    let mut written = Ok(());
    let exported = block_on(async {
        let lake = places::open_to_read(data).await?;
        let take = |piece: bytes::Bytes| {
            if written.is_ok() {
                written = std::io::stdout().lock().write_all(&piece);
            }
            std::future::ready(())
        };
        match lake.export_parquet(&query, &request, take).await {
            Err(PipeError::Query(error)) => Err(marked(&args.query, &error)),
            other => Ok(other?),
        }
    })?;
    written.context("the rows cannot be written")?;
    std::io::stdout().flush()?;
    tell_unread(&exported.unread);
    if exported.is_capped {
        eprintln!(
            "the first {} rows were written, there are more; raise --limit for them",
            exported.rows
        );
    }
    Ok(Outcome::Done)
}

/// The data folder that is searched.
fn data(args: &HuntArgs) -> Result<&Path> {
    args.data.as_deref().context("--data FOLDER is missing")
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
    let request = request(args, query)?;
    let data = data(args)?;
    let found: PipeResult = block_on(async {
        let lake = places::open_to_read(data).await?;
        match lake.pipe(&request).await {
            Err(PipeError::Query(error)) => Err(marked(&args.query, &error)),
            other => Ok(other?),
        }
    })?;
    let names: Vec<String> = found
        .columns
        .iter()
        .map(|column| column.name.clone())
        .collect();
    print::rows(&names, &found.rows, args.format)?;
    tell_unread(&found.unread);
    if found.is_capped {
        tell_capped(found.rows.len());
    }
    Ok(Outcome::Done)
}

fn tell_capped(rows: usize) {
    eprintln!("the first {rows} rows are shown, there are more; raise --limit for them");
}

fn tell_unread(paths: &[String]) {
    for path in paths {
        eprintln!(
            "watchfloor: {} cannot be read, what it holds is missing from the answer; see watchfloor lake verify",
            visible(path)
        );
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
