//! The language against DuckDB: generated queries over generated events, each said in Kusto's verbs
//! and in SQL, must give the same rows.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watchfloor_testkit::{ServerProcess, python, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const EVENTS: u64 = 6000;
const QUERIES: usize = 240;

/// Numbers that are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// The same question twice.
struct Pair {
    kusto: String,
    sql: String,
}

impl Pair {
    fn new(kusto: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            kusto: kusto.into(),
            sql: sql.into(),
        }
    }
}

/// Users of letters in either case, some of whom have a quote in their name; some lines have none.
fn line(numbers: &mut Numbers) -> String {
    let (minute, second) = (numbers.below(60), numbers.below(60));
    let address = format!("192.0.2.{}", numbers.below(40));
    let port = 1024 + numbers.below(5000);
    let user = match numbers.below(9) {
        0 => format!("Root{}", numbers.below(4)),
        1 => format!("o'neil{}", numbers.below(3)),
        _ => format!("user{}", numbers.below(60)),
    };
    let what = match numbers.below(5) {
        0 => format!("Accepted password for {user} from {address} port {port} ssh2"),
        1 => format!("Connection closed by {address} port {port} [preauth]"),
        _ => format!("Failed password for {user} from {address} port {port} ssh2"),
    };
    format!(
        "<38>Nov 24 10:{minute:02}:{second:02} web sshd[{}]: {what}",
        1 + numbers.below(99)
    )
}

/// A text without a value is an empty one to Kusto.
const USER: &str = "coalesce(user_name, '')";

fn quoted(text: &str) -> (String, String) {
    (
        format!("\"{text}\""),
        format!("'{}'", text.replace('\'', "''")),
    )
}

fn test(numbers: &mut Numbers, depth: u64) -> Pair {
    if depth > 0 && numbers.below(2) == 0 {
        let (left, right) = (test(numbers, depth - 1), test(numbers, depth - 1));
        return match numbers.below(3) {
            0 => Pair::new(
                format!("({} and {})", left.kusto, right.kusto),
                format!("({} and {})", left.sql, right.sql),
            ),
            1 => Pair::new(
                format!("({} or {})", left.kusto, right.kusto),
                format!("({} or {})", left.sql, right.sql),
            ),
            _ => Pair::new(format!("not({})", left.kusto), format!("not({})", left.sql)),
        };
    }
    let name = match numbers.below(3) {
        0 => format!("o'neil{}", numbers.below(4)),
        1 => format!("Root{}", numbers.below(5)),
        _ => format!("user{}", numbers.below(62)),
    };
    let (kusto, sql) = quoted(&name);
    let upper = sql.to_uppercase();
    let address = format!("192.0.2.{}", numbers.below(42));
    match numbers.below(9) {
        0 => Pair::new(format!("user_name == {kusto}"), format!("{USER} = {sql}")),
        1 => Pair::new(format!("user_name != {kusto}"), format!("{USER} <> {sql}")),
        2 => Pair::new(
            format!("user_name =~ {}", kusto.to_uppercase()),
            format!("upper({USER}) = {upper}"),
        ),
        3 => Pair::new(
            format!("user_name in ({kusto}, \"user1\", \"user22\")"),
            format!("{USER} in ({sql}, 'user1', 'user22')"),
        ),
        4 => Pair::new(
            format!("user_name startswith {kusto}"),
            format!("starts_with(upper({USER}), {upper})"),
        ),
        5 => Pair::new(
            "user_name contains \"SER1\"",
            format!("contains(upper({USER}), 'SER1')"),
        ),
        6 => Pair::new("isempty(user_name)", format!("{USER} = ''")),
        7 => Pair::new(
            format!("src_endpoint_ip == \"{address}\""),
            format!("src_endpoint_ip = '{address}'"),
        ),
        _ => {
            let sign = numbers.one(&["<", "<=", ">", ">=", "=="]);
            let bound = 1000 + numbers.below(5200);
            let equal = sign.replace("==", "=");
            Pair::new(
                format!("src_endpoint_port {sign} {bound}"),
                format!("src_endpoint_port {equal} {bound}"),
            )
        }
    }
}

fn aggregate(numbers: &mut Numbers) -> Pair {
    match numbers.below(8) {
        0 => Pair::new("sum(src_endpoint_port)", "sum(src_endpoint_port)"),
        1 => Pair::new("min(src_endpoint_port)", "min(src_endpoint_port)"),
        2 => Pair::new("max(src_endpoint_port)", "max(src_endpoint_port)"),
        3 => Pair::new("avg(src_endpoint_port)", "avg(src_endpoint_port)"),
        4 => Pair::new("dcount(src_endpoint_ip)", "count(distinct src_endpoint_ip)"),
        5 => {
            let of = test(numbers, 0);
            Pair::new(
                format!("countif({})", of.kusto),
                format!("count(*) filter (where {})", of.sql),
            )
        }
        6 => Pair::new(
            "sum(src_endpoint_port * 3 - 7)",
            "sum(src_endpoint_port * 3 - 7)",
        ),
        _ => Pair::new("count()", "count(*)"),
    }
}

fn key(numbers: &mut Numbers) -> Pair {
    match numbers.below(5) {
        0 => Pair::new("user_name", USER),
        1 => Pair::new("src_endpoint_ip", "src_endpoint_ip"),
        2 => Pair::new(
            "bin(src_endpoint_port, 500)",
            "src_endpoint_port // 500 * 500",
        ),
        3 => Pair::new(
            "minute = datetime_diff('minute', bin(time, 5m), datetime(2000-01-01))",
            "(time_us // 300000000 * 300000000 - epoch_us(timestamp '2000-01-01')) // 60000000",
        ),
        _ => Pair::new(
            "first = tolower(substring(user_name, 0, 2))",
            format!("lower(substring({USER}, 1, 2))"),
        ),
    }
}

fn query(numbers: &mut Numbers) -> Pair {
    let filter = test(numbers, 2);
    let (first, second, by) = (aggregate(numbers), aggregate(numbers), key(numbers));
    let (rows, from) = (
        format!("events | where {}", filter.kusto),
        format!("from events where {}", filter.sql),
    );
    match numbers.below(6) {
        0 => Pair::new(format!("{rows} | count"), format!("select count(*) {from}")),
        1 => Pair::new(
            format!("{rows} | distinct user_name, src_endpoint_ip"),
            format!("select distinct {USER}, src_endpoint_ip {from}"),
        ),
        2 => {
            let top = 1 + numbers.below(9);
            Pair::new(
                format!(
                    "{rows} | summarize n = count() by src_endpoint_ip | top {top} by n desc, src_endpoint_ip asc | project src_endpoint_ip, n"
                ),
                format!(
                    "select src_endpoint_ip, count(*) as n {from} group by 1 order by n desc, 1 limit {top}"
                ),
            )
        }
        3 => {
            let other = test(numbers, 1);
            Pair::new(
                format!(
                    "{rows} | distinct src_endpoint_ip | join kind=inner (events | where {} | summarize n = count() by src_endpoint_ip) on src_endpoint_ip | project src_endpoint_ip, n",
                    other.kusto
                ),
                format!(
                    "select l.src_endpoint_ip, r.n from (select distinct src_endpoint_ip {from}) l join (select src_endpoint_ip, count(*) as n from events where {} group by 1) r using (src_endpoint_ip)",
                    other.sql
                ),
            )
        }
        4 => Pair::new(
            format!("{rows} | summarize a = {}", first.kusto),
            format!("select {} {from}", first.sql),
        ),
        _ => Pair::new(
            format!(
                "{rows} | summarize a = {}, b = {} by {}",
                first.kusto, second.kusto, by.kusto
            ),
            format!(
                "select {}, {}, {} {from} group by {}",
                by.sql, first.sql, second.sql, by.sql
            ),
        ),
    }
}

/// Rows in an order of their own, texts without a value as empty ones, numbers to six places.
fn plain(rows: &Value) -> Vec<String> {
    let value = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => match text.parse::<f64>() {
            Ok(number) => format!("{number:.6}"),
            Err(_) => text.clone(),
        },
        Value::Number(number) => format!("{:.6}", number.as_f64().unwrap_or(f64::NAN)),
        other => other.to_string(),
    };
    let rows = rows.as_array().into_iter().flatten().map(|row| {
        let row = row.as_array().into_iter().flatten().map(value);
        row.collect::<Vec<_>>().join("|")
    });
    let mut rows: Vec<String> = rows.collect();
    rows.sort();
    rows
}

#[test]
fn verbs_and_sql_agree_with_duckdb() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let mut numbers = Numbers(20_261_125);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    for _ in 0..3 {
        let mut body = String::new();
        for _ in 0..EVENTS / 3 {
            writeln!(body, "{}", json!({"message": line(&mut numbers)}))?;
        }
        let kind = [("content-type", "application/x-ndjson")];
        let answer = client.post("/ingest/ndjson?source=web", &kind, body.as_bytes())?;
        ensure!(answer.status == 200, "{}", answer.status);
    }
    wait_for("events are files", || {
        let storage = client.get("/api/v1/storage")?.json();
        let classes = storage["usage"]["classes"].as_array().cloned();
        let events = classes.iter().flatten().filter(|of| of["name"] != "2004");
        let rows = events.filter_map(|of| of["rows"].as_u64()).sum::<u64>();
        Ok(rows == EVENTS)
    })?;

    let pairs: Vec<Pair> = (0..QUERIES).map(|_| query(&mut numbers)).collect();
    let texts: Vec<&str> = pairs.iter().map(|pair| pair.sql.as_str()).collect();
    let file = folder.path().join("queries.json");
    std::fs::write(&file, serde_json::to_string(&texts)?)?;
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside/answer_duckdb.py"))
        .arg(data.join("lake"))
        .arg(&file)
        .output()?;
    let wanted: Vec<Value> = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;

    let (mut differ, mut rows) = (Vec::new(), 0);
    for (pair, wanted) in pairs.iter().zip(&wanted) {
        let body = json!({
            "query": pair.kusto, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 10_000,
        });
        let kind = [("content-type", "application/json")];
        let answer = client.post("/api/v1/query", &kind, body.to_string().as_bytes())?;
        let found = answer.json();
        let (found, wanted) = (plain(&found["rows"]), plain(wanted));
        rows += wanted.len();
        if answer.status != 200 || found != wanted {
            let (first, second) = (found.iter().take(3), wanted.iter().take(3));
            let (first, second): (Vec<_>, Vec<_>) = (first.collect(), second.collect());
            differ.push(format!(
                "{}\n{}\n  {} rows {first:?}\n  {} rows {second:?}\n  {}",
                pair.kusto,
                pair.sql,
                found.len(),
                wanted.len(),
                if answer.status == 200 {
                    String::new()
                } else {
                    answer.json().to_string()
                },
            ));
        }
    }
    assert!(
        differ.is_empty(),
        "{} differ:\n{}",
        differ.len(),
        differ.join("\n\n")
    );
    assert!(rows > 1000, "the queries find something: {rows}");
    Ok(())
}
