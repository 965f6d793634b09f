//! Senders: lines of about 1 KB over HTTP and over syslog/TCP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;

/// Lines of one HTTP body.
pub(super) const LINES_PER_BODY: usize = 500;

/// Windows events of the demonstration's background between 800 and 1,300 bytes, each time
/// with other numbers in them, so that no two are the same, of a second such as [`now`] gives.
pub(super) fn lines(wanted: usize, now: &str) -> Result<Vec<String>> {
    let file = shell::root().join("demo/background.ndjson.gz");
    let mut gunzip = std::process::Command::new("gzip");
    let text = shell::output(gunzip.arg("-dc").arg(&file))?;
    let mut templates = Vec::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line)?;
        let line = record["line"].as_str().unwrap_or_default();
        if (800..1300).contains(&line.len()) && line.starts_with('{') {
            templates.push(line.to_owned());
        }
    }
    if templates.is_empty() {
        bail!("{} holds no line of about 1 KB", file.display());
    }
    let line = |index: usize| {
        let template = &templates[index % templates.len()];
        let filled = template
            .replace("{{windows}}", &format!("{now}.{:07}Z", index % 10_000_000))
            .replace("{{iso_ms}}", &format!("{now}.{:03}Z", index % 1000));
        // A value that is new in every event, as process ids and ports are.
        filled.replacen(
            "\"EventRecordID\":",
            &format!("\"ExecutionNumber\":{index},\"EventRecordID\":"),
            1,
        )
    };
    Ok((0..wanted).map(line).collect())
}

/// The second, as the lines have it.
pub(super) fn now() -> Result<String> {
    let now = shell::output(std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S"]))?;
    Ok(now.trim().to_owned())
}

/// An HTTP connection that stays open.
pub(super) struct Http {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Http {
    pub(super) fn connect(address: &str, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST /ingest/ndjson HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\n"
        );
        Ok(Self {
            stream: BufReader::new(stream),
            head,
        })
    }

    /// Sends a body and waits for the answer, which comes when its lines are durable.
    pub(super) fn send(&mut self, body: &str) -> Result<()> {
        let request = format!("{}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut status = String::new();
        self.stream.read_line(&mut status)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = number.trim().parse()?;
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        if !status.contains(" 200 ") {
            bail!("{}: {}", status.trim(), String::from_utf8_lossy(&answer));
        }
        Ok(())
    }
}

/// Sends all lines over HTTP with some connections at once.
pub(super) fn over_http(
    address: &str,
    token: &str,
    lines: &[String],
    connections: usize,
) -> Result<()> {
    let bodies: Vec<String> = lines
        .chunks(LINES_PER_BODY)
        .map(|chunk| chunk.join("\n"))
        .collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    let mut http = Http::connect(address, token)?;
                    while let Some(body) =
                        bodies.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                    {
                        http.send(body)?;
                    }
                    Ok(())
                })
            })
            .collect();
        senders
            .into_iter()
            .try_for_each(|sender| sender.join().unwrap_or_else(|_| bail!("a sender stopped")))
    })
}

/// Sends lines that were made at a second at a steady rate, over and over, as events of the second in which they are sent:
/// the same times again and again would be late matches to every window of a correlation.
pub(super) fn paced(
    address: &str,
    token: &str,
    lines: &[String],
    made: &str,
    per_second: usize,
    stop: &std::sync::atomic::AtomicBool,
) -> Result<()> {
    const BODY: usize = 100;
    let mut http = Http::connect(address, token)?;
    let start = Instant::now();
    let mut second = (0, String::new());
    for (sent, chunk) in lines.chunks(BODY).cycle().enumerate() {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            break;
        }
        let due = Duration::from_secs_f64((sent * BODY) as f64 / per_second as f64);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        let elapsed = start.elapsed().as_secs() + 1;
        if second.0 != elapsed {
            second = (elapsed, now()?);
        }
        http.send(&chunk.join("\n").replace(made, &second.1))?;
    }
    Ok(())
}

/// Sends all lines over one syslog/TCP connection, RFC 5424 with octet counting.
pub(super) fn over_syslog(address: &str, lines: &[String]) -> Result<()> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
    let mut out = Vec::with_capacity(1 << 20);
    for line in lines {
        let message = format!("<134>1 2026-11-24T12:00:00.000Z ws-003 winlog 4120 - - {line}");
        out.extend_from_slice(format!("{} {message}", message.len()).as_bytes());
        if out.len() > 900_000 {
            stream.write_all(&out)?;
            out.clear();
        }
    }
    stream.write_all(&out)?;
    Ok(())
}
