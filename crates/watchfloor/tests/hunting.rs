//! Hunting over HTTP with a running server: what arrives, answers in parts, queries that nobody
//! waits for any more, completion, field counts, exports, limits, and the command line with --url.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn server(folder: &Path, arguments: &[&str]) -> Result<ServerProcess> {
    let arguments = [&["--syslog", "off"], arguments].concat();
    ServerProcess::start(Path::new(PROGRAM), &folder.join("data"), &arguments)
}

fn send(client: &Client, lines: &[Value]) -> Result<()> {
    let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answer = client.post("/ingest/ndjson", &[], lines.as_bytes())?;
    ensure!(answer.status == 200, "not taken");
    Ok(())
}

fn login(user: &str, number: usize) -> Value {
    json!({"message": format!("login {number} of {user}"), "user": user, "number": number, "formula": "=1+1"})
}

/// A stream of server-sent events, as lines.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(client: &Client, method: &str, path: &str, body: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(client.address())?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            client.address(),
            client.token(),
            body.len()
        )?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The next event by a name, with its data.
    fn next(&mut self, wanted: &str) -> Result<Value> {
        let mut is_wanted = false;
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(
                self.0.read_line(&mut line)? > 0,
                "the stream ended before {wanted}"
            );
            if let Some(name) = line.trim_end().strip_prefix("event: ") {
                ensure!(name == wanted || name != "failed", "{wanted} failed");
                is_wanted = name == wanted;
            } else if let Some(data) = line.trim_end().strip_prefix("data: ")
                && is_wanted
            {
                return Ok(serde_json::from_str(data)?);
            }
        }
    }
}

fn metric(client: &Client, name: &str) -> Result<f64> {
    let text = String::from_utf8(client.get("/metrics")?.body)?;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")));
    let line = line.with_context(|| format!("no metric {name}"))?;
    Ok(line.rsplit(' ').next().context("no value")?.parse()?)
}

fn span() -> Value {
    json!({"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"})
}

fn asked(more: Value) -> String {
    let mut body = span();
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body.to_string()
}

#[test]
fn what_arrives_is_on_the_screen_within_two_seconds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let client = server.client("admin")?;
    send(&client, &[login("before", 0)])?;
    client.settle()?;
    let mut events = Stream::open(&client, "GET", "/api/v1/events/tail?q=user:ann", "")?;
    let begun = events.next("begun")?;
    ensure!(begun["mode"] == "events", "{begun}");
    let query = "/api/v1/events/tail?q=events%20%7C%20project%20user%2C%20number";
    let mut rows = Stream::open(&client, "GET", query, "")?;
    ensure!(rows.next("begun")?["mode"] == "rows");
    let query = "/api/v1/events/tail?q=events%20%7C%20summarize%20n%3Dcount()%20by%20user";
    let mut whole = Stream::open(&client, "GET", query, "")?;
    ensure!(whole.next("begun")?["mode"] == "replaced");
    ensure!(
        whole.next("replaced")?["rows"] == json!([]),
        "nothing has arrived yet"
    );

    let start = Instant::now();
    send(&client, &[login("ann", 1), login("bob", 2)])?;
    let arrived = events.next("events")?;
    let took = start.elapsed();
    ensure!(took < Duration::from_secs(2), "took {took:?}");
    ensure!(
        arrived["events"]
            .as_array()
            .is_some_and(|events| events.len() == 1),
        "{arrived}"
    );
    ensure!(
        arrived["events"][0]["fields"]["unmapped.number"] == "1",
        "{arrived}"
    );
    ensure!(
        rows.next("rows")?["rows"]
            .as_array()
            .is_some_and(|rows| rows.len() == 2)
    );
    let replaced = whole.next("replaced")?;
    ensure!(
        replaced["rows"]
            .as_array()
            .is_some_and(|rows| rows.len() == 2),
        "{replaced}"
    );

    // More than a second may have: what is left out is counted.
    let many: Vec<Value> = (0..1_000).map(|number| login("ann", number)).collect();
    send(&client, &many)?;
    let (mut shown, mut left_out) = (0, 0);
    while shown + left_out < 1_000 {
        let arrived = events.next("events")?;
        shown += arrived["events"].as_array().map_or(0, Vec::len);
        left_out += usize::try_from(arrived["left_out"].as_u64().unwrap_or_default())?;
    }
    ensure!(
        shown + left_out == 1_000 && left_out > 0 && shown >= 100,
        "{shown} {left_out}"
    );

    let refused = client.get("/api/v1/events/tail?q=%22")?;
    ensure!(refused.json()["code"] == "query_invalid");
    let sender = server.client("ingest")?;
    ensure!(sender.get("/api/v1/events/tail")?.status == 403);
    Ok(())
}

#[test]
fn answers_come_in_parts_and_end_with_their_readers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let client = server.client("admin")?;
    for lot in 0..3 {
        let lines: Vec<Value> = (0..500)
            .map(|number| login("ann", lot * 500 + number))
            .collect();
        send(&client, &lines)?;
        client.settle()?;
    }
    let body = asked(json!({"query": "user:ann", "limit": 20}));
    let mut stream = Stream::open(&client, "POST", "/api/v1/search/stream", &body)?;
    ensure!(stream.next("part")?["files"].is_u64());
    let end = stream.next("end")?;
    ensure!(
        end["total"] == 1_500 && end["capped"] == true && end["cut"].is_null(),
        "{end}"
    );
    let body = asked(json!({"query": "events | summarize n = count() by user"}));
    let mut stream = Stream::open(&client, "POST", "/api/v1/query/stream", &body)?;
    ensure!(stream.next("head")?["columns"][1]["name"] == "n");
    ensure!(stream.next("rows")? == json!([["ann", 1_500]]));
    ensure!(stream.next("end")?["capped"] == false);

    // A million pairs of rows, thousands of times: it would run for long.
    let endless = "range a from 1 to 1000000 step 1 | extend k = 1 | join kind=inner (range b from 1 to 1000000 step 1 | extend k = 1) on k | summarize count() by a, b";
    let before = metric(&client, "watchfloor_queries_given_up_total")?;
    for path in ["/api/v1/query/stream", "/api/v1/query"] {
        let body = asked(json!({"query": endless}));
        let stream = Stream::open(&client, "POST", path, &body)?;
        wait_for("the query runs", || {
            Ok(metric(&client, "watchfloor_queries_running")? == 1.0)
        })?;
        drop(stream);
        wait_for("the query is given up", || {
            Ok(metric(&client, "watchfloor_queries_running")? == 0.0)
        })?;
    }
    ensure!(metric(&client, "watchfloor_queries_given_up_total")? == before + 2.0);
    Ok(())
}

#[test]
fn writers_of_questions_are_helped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let client = server.client("read")?;
    send(
        &server.client("ingest")?,
        &[login("ann", 1), login("anton", 2), login("anton", 3)],
    )?;
    server.client("admin")?.settle()?;
    let complete = |query: &str| -> Result<Value> {
        let body = json!({"query": query, "at": query.len()}).to_string();
        let headers = [("Content-Type", "application/json")];
        Ok(client
            .post("/api/v1/completions", &headers, body.as_bytes())?
            .json())
    };
    // Values that are not known in time come with the next letter.
    wait_for("values are known", || {
        let found = complete("unmapped.user:an")?;
        Ok(found["items"]
            .as_array()
            .is_some_and(|items| items.len() == 2))
    })?;
    let found = complete("unmapped.user:an")?;
    ensure!(
        found["items"][0]["insert"] == "anton" && found["items"][0]["kind"] == "value",
        "{found}"
    );
    ensure!(
        found["start"] == 14 && found["items"][1]["insert"] == "ann",
        "{found}"
    );
    let found = complete("events | summ")?;
    ensure!(found["items"][0]["insert"] == "summarize ", "{found}");

    let body = asked(json!({"query": ""}));
    let headers = [("Content-Type", "application/json")];
    let counted = client
        .post("/api/v1/search/fields", &headers, body.as_bytes())?
        .json();
    ensure!(
        counted["events"] == 3 && counted["exact"] == true,
        "{counted}"
    );
    let fields = counted["fields"].as_array().context("no fields")?;
    let user = fields.iter().find(|field| field["name"] == "unmapped.user");
    ensure!(
        user.is_some_and(|user| user["distinct"] == 2 && user["top"][0]["count"] == 2),
        "{counted}"
    );
    Ok(())
}

#[test]
fn exports_hold_all_rows_and_no_formulas() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let client = server.client("admin")?;
    let lines: Vec<Value> = (0..300).map(|number| login("ann", number)).collect();
    send(&client, &lines)?;
    client.settle()?;
    let export = |query: &str, format: &str| -> Result<Vec<u8>> {
        let body = asked(json!({"query": query, "format": format}));
        let headers = [("Content-Type", "application/json")];
        let answer = client.post("/api/v1/export", &headers, body.as_bytes())?;
        ensure!(
            answer.status == 200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        Ok(answer.body)
    };
    let csv = String::from_utf8(export("events | project number, formula", "csv")?)?;
    ensure!(
        csv.lines().count() == 301 && csv.contains(",'=1+1"),
        "{csv:.200}"
    );
    let ndjson = String::from_utf8(export("user:ann", "ndjson")?)?;
    ensure!(ndjson.lines().count() == 300);
    let first: Value = serde_json::from_str(ndjson.lines().next().context("no line")?)?;
    ensure!(first["fields"]["unmapped.user"] == "ann", "{first}");
    for query in ["user:ann", "events | summarize count() by number"] {
        let parquet = export(query, "parquet")?;
        ensure!(
            parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"),
            "{query}"
        );
    }
    let body = asked(json!({"query": "user:\"", "format": "csv"}));
    let headers = [("Content-Type", "application/json")];
    let refused = client.post("/api/v1/export", &headers, body.as_bytes())?;
    ensure!(refused.json()["code"] == "query_invalid");
    Ok(())
}

#[test]
fn limits_of_a_role_cut_an_answer_and_say_so() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("watchfloor.toml");
    std::fs::write(&config, "[limits.viewer]\nrows = 5\nexport_rows = 7\n")?;
    let config = config.to_string_lossy().into_owned();
    let server = server(folder.path(), &["--config", &config])?;
    let (admin, viewer) = (server.client("admin")?, server.client("read")?);
    let lines: Vec<Value> = (0..20).map(|number| login("ann", number)).collect();
    send(&admin, &lines)?;
    admin.settle()?;
    let body = asked(json!({"query": "user:ann", "limit": 10}));
    let headers = [("Content-Type", "application/json")];
    let of = |client: &Client| -> Result<Value> {
        Ok(client
            .post("/api/v1/search", &headers, body.as_bytes())?
            .json())
    };
    let found = of(&viewer)?;
    ensure!(
        found["events"].as_array().map(Vec::len) == Some(5) && found["total"] == 20,
        "{found}"
    );
    ensure!(found["cut"]["limit"] == "rows", "{found}");
    let found = of(&admin)?;
    ensure!(found["events"].as_array().map(Vec::len) == Some(10) && found["cut"].is_null());
    let body = asked(json!({"query": "user:ann", "format": "ndjson", "limit": 1000}));
    let exported = viewer.post("/api/v1/export", &headers, body.as_bytes())?;
    ensure!(String::from_utf8(exported.body)?.lines().count() == 7);
    Ok(())
}

#[test]
fn the_command_line_asks_a_running_server() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let client = server.client("admin")?;
    send(&client, &[login("ann", 1), login("bob", 2)])?;
    client.settle()?;
    let hunt = |arguments: &[&str]| {
        let mut command = Command::new(PROGRAM);
        command
            .arg("hunt")
            .args(arguments)
            .args(["--url", &server.url]);
        command.env("WATCHFLOOR_TOKEN", client.token());
        command
    };
    let output = hunt(&["user:ann", "--format", "ndjson"]).output()?;
    let event: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(event["fields"]["unmapped.number"] == "1", "{event}");
    let output = hunt(&["events | summarize n = count()", "--format", "csv"]).output()?;
    ensure!(output.stdout == b"n\n2\n", "{output:?}");
    let output = hunt(&["events", "--format", "parquet"]).output()?;
    ensure!(output.stdout.starts_with(b"PAR1"), "{output:?}");
    let output = hunt(&["events | wear x"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(2) && said.contains("^^^^") && said.contains("where"),
        "{said}"
    );
    let output = hunt(&["x"]).env_remove("WATCHFLOOR_TOKEN").output()?;
    ensure!(String::from_utf8_lossy(&output.stderr).contains("WATCHFLOOR_TOKEN"));

    let mut tail = hunt(&["--tail", "user:cid", "--format", "ndjson"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut said = BufReader::new(tail.stderr.take().context("no stderr")?);
    let mut line = String::new();
    said.read_line(&mut line)?;
    ensure!(line.contains("following"), "{line}");
    send(&client, &[login("cid", 7)])?;
    let mut output = BufReader::new(tail.stdout.take().context("no stdout")?);
    line.clear();
    output.read_line(&mut line)?;
    tail.kill()?;
    tail.wait()?;
    let mut rest = String::new();
    said.read_to_string(&mut rest)?;
    let event: Value = serde_json::from_str(&line).with_context(|| format!("{line} {rest}"))?;
    ensure!(event["fields"]["unmapped.number"] == "7", "{event}");
    Ok(())
}

#[test]
fn a_kept_question_is_asked_by_itself_and_raises_alerts_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let client = server.client("admin")?;
    let headers = [("Content-Type", "application/json")];
    let save = |body: Value| client.post("/api/v1/searches", &headers, body.to_string().as_bytes());
    send(
        &client,
        &[login("ann", 1), login("ann", 2), login("bob", 3)],
    )?;
    client.settle()?;
    let refused = save(json!({"name": "x", "query": "events | wear", "span": "1h"}))?;
    ensure!(
        refused.json()["code"] == "query_invalid",
        "{}",
        refused.json()
    );
    let refused = save(
        json!({"name": "x", "query": "a", "span": "1h", "alarm": {"rows": 1, "severity": "low"}}),
    )?;
    ensure!(refused.status == 400, "an alarm needs a schedule");
    let kept = json!({
        "name": "Logins", "query": "events | summarize n = count() by user", "span": "all",
        "sharing": "tenant", "schedule": {"kind": "every", "minutes": 60},
        "alarm": {"rows": 2, "severity": "high", "key": ["user"]},
    });
    let mut quiet = kept.clone();
    (quiet["schedule"], quiet["alarm"]) = (Value::Null, Value::Null);
    let made = save(quiet)?;
    ensure!(made.status == 201, "{}", made.json());
    let id = made.json()["id"].as_str().context("no id")?.to_owned();
    // A question with a new schedule is asked at once; each run gets another one.
    let path = format!("/api/v1/searches/{id}");
    let mut minutes = 60;
    let mut last = Value::Null;
    let mut run = || -> Result<Value> {
        minutes += 1;
        let mut body = kept.clone();
        body["schedule"]["minutes"] = json!(minutes);
        let changed = client.request("PUT", &path, &headers, body.to_string().as_bytes())?;
        ensure!(changed.status == 200, "{}", changed.json());
        wait_for("the question is asked", || {
            let run = client.get(&path)?.json()["last_run"].clone();
            Ok(!run.is_null()
                && run["at"] != last["at"]
                && client.get(&path)?.json()["next_run_at"]
                    .as_str()
                    .is_some_and(|next| next > run["at"].as_str().unwrap_or_default()))
        })?;
        last = client.get(&path)?.json()["last_run"].clone();
        Ok(last.clone())
    };
    let first = run()?;
    ensure!(
        first["rows"] == 2 && first["alerts"] == 2 && first["error"].is_null(),
        "{first}"
    );
    // The same answer again is no news.
    let again = run()?;
    ensure!(again["rows"] == 2 && again["alerts"] == 0, "{again}");
    let alerts = client.get(&format!("/api/v1/alerts?rule_id={id}"))?.json();
    let alerts = alerts["items"].as_array().context("no alerts")?.clone();
    ensure!(
        alerts.len() == 2 && alerts[0]["severity"] == "high",
        "{alerts:?}"
    );
    for alert in &alerts {
        let path = format!(
            "/api/v1/alerts/{}",
            alert["id"].as_str().unwrap_or_default()
        );
        ensure!(client.get(&path)?.status == 200, "the alert can be opened");
    }
    // Another row raises its own alert, and the changed one the count of the open one.
    send(&client, &[login("ann", 4), login("cid", 5)])?;
    client.settle()?;
    let changed = run()?;
    ensure!(changed["rows"] == 3 && changed["alerts"] == 2, "{changed}");
    let alerts = client.get(&format!("/api/v1/alerts?rule_id={id}"))?.json();
    ensure!(
        alerts["items"].as_array().map(Vec::len) == Some(3),
        "{alerts}"
    );

    let draft = json!({"title": "Ann", "query": "user:ann login"}).to_string();
    let draft = client
        .post("/api/v1/searches/rule", &headers, draft.as_bytes())?
        .json();
    let yaml = draft["yaml"].as_str().context("no rule")?;
    let rule = folder.path().join("rule.yml");
    std::fs::write(&rule, yaml)?;
    let lint = Command::new(PROGRAM)
        .args(["rules", "lint"])
        .arg(&rule)
        .output()?;
    ensure!(
        lint.status.success(),
        "{yaml}\n{}",
        String::from_utf8_lossy(&lint.stdout)
    );
    Ok(())
}

#[test]
fn who_may_not_see_or_change_a_kept_question_cannot() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = server(folder.path(), &[])?;
    let (admin, analyst, viewer) = (
        server.client("admin")?,
        server.client("write")?,
        server.client("read")?,
    );
    let headers = [("Content-Type", "application/json")];
    let save = |client: &Client, body: Value| {
        client.post("/api/v1/searches", &headers, body.to_string().as_bytes())
    };
    let own = save(&viewer, json!({"name": "mine", "query": "a", "span": "1h"}))?;
    ensure!(own.status == 201, "{}", own.json());
    let own = own.json()["id"].as_str().context("no id")?.to_owned();
    ensure!(
        save(
            &viewer,
            json!({"name": "x", "query": "a", "span": "1h", "sharing": "tenant"})
        )?
        .status
            == 403
    );
    let shared = save(
        &analyst,
        json!({"name": "ours", "query": "b", "span": "7d", "sharing": "tenant"}),
    )?;
    let shared = shared.json()["id"].as_str().context("no id")?.to_owned();
    ensure!(analyst.get(&format!("/api/v1/searches/{own}"))?.status == 404);
    ensure!(viewer.get(&format!("/api/v1/searches/{shared}"))?.status == 200);
    let names = |client: &Client| -> Result<Vec<String>> {
        let list = client.get("/api/v1/searches")?.json();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .iter()
            .filter_map(|item| item["name"].as_str().map(str::to_owned))
            .collect())
    };
    ensure!(names(&viewer)? == ["mine", "ours"] && names(&analyst)? == ["ours"]);
    let other = server.client("write")?;
    let body =
        json!({"name": "theirs", "query": "b", "span": "7d", "sharing": "tenant"}).to_string();
    let path = format!("/api/v1/searches/{shared}");
    ensure!(
        other
            .request("PUT", &path, &headers, body.as_bytes())?
            .status
            == 403
    );
    let stale = [headers[0], ("If-Match", "\"7\"")];
    ensure!(
        analyst
            .request("PUT", &path, &stale, body.as_bytes())?
            .status
            == 412
    );
    ensure!(
        analyst
            .request("PUT", &path, &headers, body.as_bytes())?
            .status
            == 200
    );
    ensure!(admin.request("DELETE", &path, &[], b"")?.status == 204);
    ensure!(names(&analyst)?.is_empty());
    let audit = admin.get("/api/v1/audit")?.json().to_string();
    for action in ["search.create", "search.change", "search.remove"] {
        ensure!(audit.contains(action), "{action} is not in the audit log");
    }
    Ok(())
}
