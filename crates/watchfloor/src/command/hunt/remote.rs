//! The same over the API of a running server.

use std::io::Write;

use anyhow::{Context, Result, anyhow, bail};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use watchfloor_query::{Diagnostic, is_sql, pipe};

use super::{instant, marked, print, tell_capped, tell_unread};
use crate::Outcome;
use crate::cli::{HuntArgs, HuntFormat};
use crate::command::{block_on, visible};

pub(super) fn run(args: &HuntArgs, url: &str) -> Result<Outcome> {
    let token = std::env::var("WATCHFLOOR_TOKEN").map_err(|_| {
        anyhow!("--url needs a token in WATCHFLOOR_TOKEN; watchfloor admin token --scope read --data FOLDER makes one")
    })?;
    let server = Server {
        client: Client::new(),
        url: format!("{}/api/v1", url.trim_end_matches('/')),
        token,
    };
    block_on(async {
        if args.tail {
            tail(&server, args).await
        } else if args.format == HuntFormat::Parquet {
            export(&server, args).await
        } else if is_sql(&args.query) || pipe::is_pipe(&args.query) {
            rows(&server, args).await
        } else {
            events(&server, args).await
        }
    })
}

struct Server {
    client: Client,
    url: String,
    token: String,
}

impl Server {
    async fn post(&self, path: &str, body: &Value, query: &str) -> Result<Response> {
        let request = self.client.post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json");
        self.send(request.body(body.to_string()), query).await
    }

    /// Sends a request; what the server says against the query is shown at its place.
    async fn send(&self, request: RequestBuilder, query: &str) -> Result<Response> {
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let response = request
            .send()
            .await
            .with_context(|| format!("{} does not answer", self.url))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(refused(&problem, query).unwrap_or_else(|| anyhow!("the server answered {status}")))
    }
}

fn refused(problem: &Value, query: &str) -> Option<anyhow::Error> {
    let detail = problem["detail"]
        .as_str()
        .or_else(|| problem["title"].as_str())?;
    let place = |end: &str| usize::try_from(problem["position"][end].as_u64()?).ok();
    let error = match (place("start"), place("end")) {
        (Some(start), Some(end)) => {
            let is_place = query.is_char_boundary(start.min(query.len()))
                && query.is_char_boundary(end.min(query.len()));
            let place = if is_place { start..end } else { 0..query.len() };
            let hint = problem["hint"].as_str().unwrap_or_default();
            marked(query, &Diagnostic::new(detail, place, hint))
        }
        _ => anyhow!("{}", visible(detail)),
    };
    Some(error)
}

fn asked(args: &HuntArgs) -> Result<Value> {
    let now = Timestamp::now();
    Ok(json!({
        "query": args.query,
        "from": instant(&args.from, now)?.to_string(),
        "to": instant(&args.to, now)?.to_string(),
        "limit": args.limit,
    }))
}

async fn answer(response: Response) -> Result<Value> {
    let text = response.text().await.context("the answer broke off")?;
    serde_json::from_str(&text).context("the answer is no JSON")
}

fn texts(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

async fn events(server: &Server, args: &HuntArgs) -> Result<Outcome> {
    let found = answer(server.post("/search", &asked(args)?, &args.query).await?).await?;
    let events = found["events"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    print::events(events, args.format)?;
    tell_unread(&texts(&found["unread"]));
    tell_cut(&found);
    if found["capped"] == true {
        eprintln!(
            "{} of {} events shown; raise --limit for more",
            events.len(),
            found["total"]
        );
    }
    Ok(Outcome::Done)
}

async fn rows(server: &Server, args: &HuntArgs) -> Result<Outcome> {
    let found = answer(server.post("/query", &asked(args)?, &args.query).await?).await?;
    let rows = rows_of(&found["rows"]);
    print::rows(&names_of(&found["columns"]), &rows, args.format)?;
    tell_unread(&texts(&found["unread"]));
    tell_cut(&found);
    if found["capped"] == true {
        tell_capped(rows.len());
    }
    Ok(Outcome::Done)
}

async fn export(server: &Server, args: &HuntArgs) -> Result<Outcome> {
    let mut body = asked(args)?;
    body["format"] = json!("parquet");
    let mut response = server.post("/export", &body, &args.query).await?;
    let mut output = std::io::stdout().lock();
    while let Some(piece) = response
        .chunk()
        .await
        .context("the answer broke off; what was written is not whole")?
    {
        output
            .write_all(&piece)
            .context("the rows cannot be written")?;
    }
    Ok(output.flush().map(|()| Outcome::Done)?)
}

fn names_of(columns: &Value) -> Vec<String> {
    let columns = columns.as_array().into_iter().flatten();
    columns
        .map(|column| column["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn rows_of(rows: &Value) -> Vec<Vec<Value>> {
    let rows = rows.as_array().into_iter().flatten();
    rows.map(|row| row.as_array().cloned().unwrap_or_default())
        .collect()
}

fn tell_cut(found: &Value) {
    if let Some(detail) = found["cut"]["detail"].as_str() {
        eprintln!("{}", visible(detail));
    }
}

/// Prints what arrives until it is stopped. A server that goes away is an error, since what
/// arrives meanwhile would be missing.
async fn tail(server: &Server, args: &HuntArgs) -> Result<Outcome> {
    if args.format == HuntFormat::Parquet {
        bail!("what arrives cannot be written as Parquet; use --format ndjson or csv");
    }
    let mut since = None;
    let mut has_head = false;
    loop {
        let path = format!("{}/events/tail", server.url);
        let path = reqwest::Url::parse_with_params(&path, [("q", args.query.as_str())])
            .with_context(|| format!("{} is no address of a server", server.url))?;
        let mut request = server.client.get(path);
        if let Some(since) = &since {
            request = request.header("last-event-id", String::clone(since));
        }
        let mut response = server.send(request, &args.query).await?;
        let mut text = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .context("the server ended the stream")?
        {
            text.extend_from_slice(&piece);
            while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = text.drain(..end + 2).collect();
                let message = Message::of(&String::from_utf8_lossy(&block));
                if message.id.is_some() {
                    since.clone_from(&message.id);
                }
                show(&message, args, &mut has_head)?;
            }
        }
        // A stream ends after a while, so that rights are checked again.
    }
}

/// A server-sent event.
struct Message {
    name: String,
    data: String,
    id: Option<String>,
}

impl Message {
    fn of(block: &str) -> Self {
        let value = |name: &str| {
            let lines = block.lines().filter_map(|line| line.strip_prefix(name));
            let lines: Vec<&str> = lines
                .map(|line| line.strip_prefix(' ').unwrap_or(line))
                .collect();
            lines.join("\n")
        };
        let id = value("id:");
        Self {
            name: value("event:"),
            data: value("data:"),
            id: (!id.is_empty()).then_some(id),
        }
    }
}

fn show(message: &Message, args: &HuntArgs, has_head: &mut bool) -> Result<()> {
    let body: Value = serde_json::from_str(&message.data).unwrap_or_default();
    let is_first = !std::mem::replace(
        has_head,
        *has_head || matches!(message.name.as_str(), "events" | "rows"),
    );
    match message.name.as_str() {
        "begun" => eprintln!("following what arrives; press Ctrl-C to stop"),
        "events" => {
            let events = body["events"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            match is_first {
                true => print::events(events, args.format)?,
                false => print::more_events(events, args.format)?,
            }
        }
        "rows" => {
            let (names, rows) = (names_of(&body["columns"]), rows_of(&body["rows"]));
            match is_first {
                true => print::rows(&names, &rows, args.format)?,
                false => print::more_rows(&names, &rows, args.format)?,
            }
        }
        "replaced" => {
            print::rows(
                &names_of(&body["columns"]),
                &rows_of(&body["rows"]),
                args.format,
            )?;
            println!();
        }
        "lagged" => eprintln!("{} events arrived too fast to be shown", message.data),
        "failed" => {
            let error = refused(&body, &args.query);
            return Err(error.unwrap_or_else(|| anyhow!("the server ended the stream")));
        }
        _ => {}
    }
    if let Some(count) = body["left_out"].as_u64().filter(|count| *count > 0) {
        eprintln!("{count} more arrived in this second and are not shown");
    }
    Ok(())
}
