//! `watchfloor hunt`: searching a data folder.

use std::io::{BufWriter, Write};

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use watchfloor_lake::{Lake, SearchRequest, SearchResult, SortOrder, StoredEvent};

use crate::Outcome;
use crate::cli::{EventFormat, HuntArgs};
use crate::command::{block_on, csv_field, visible};

pub(crate) fn run(args: &HuntArgs) -> Result<Outcome> {
    let query = watchfloor_query::parse(&args.query).map_err(|error| {
        let marked = format!(
            "{}{}",
            " ".repeat(error.start),
            "^".repeat((error.end - error.start).max(1))
        );
        anyhow!(
            "{}\n  {}\n  {marked}\n  {}",
            error.message,
            visible(&args.query),
            error.hint
        )
    })?;
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
    let folder = args.data.join("lake");
    if !folder.is_dir() {
        bail!(
            "{} is no data folder of Watchfloor: it has no lake in it",
            args.data.display()
        );
    }
    let found = block_on(async {
        let lake = Lake::open_to_read(&folder).await?;
        Ok(lake.search(&request).await?)
    })?;
    print(&found, args.format)?;
    if (found.events.len() as u64) < found.total {
        eprintln!(
            "{} of {} events shown; raise --limit for more",
            found.events.len(),
            found.total
        );
    }
    Ok(Outcome::Done)
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
