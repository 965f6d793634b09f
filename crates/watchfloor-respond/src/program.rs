//! Programs of the server's machine: only those that are allowed, with arguments as arguments.

use std::collections::BTreeMap;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use watchfloor_model::{ActionFailure, ActionKind, ActionOutcome, ActionRequest};

use crate::settings::{AllowedProgram, Programs};

/// Bytes that are kept of what a program says.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// How often it is looked whether a program is over.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Characters of its complaints that are quoted.
const QUOTE_CHARS: usize = 500;

/// Path and arguments of a request. A place is filled by exactly one argument; no shell, no
/// splitting, no joining.
pub(crate) fn line(
    programs: &Programs,
    request: &ActionRequest,
) -> Result<(String, Vec<String>), String> {
    let name = request.text("program");
    let fits = |one: &&AllowedProgram| match request.kind {
        ActionKind::RunProgram => one.name == name,
        kind => one.serves.iter().any(|word| word == kind.as_str()),
    };
    let program = programs
        .programs
        .iter()
        .find(fits)
        .ok_or_else(|| match request.kind {
            ActionKind::RunProgram => format!("the program '{name}' is not allowed"),
            kind => format!("no allowed program serves {kind}"),
        })?;
    let mut arguments = Vec::new();
    for part in &program.arguments {
        match part
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'))
        {
            None => arguments.push(part.clone()),
            Some("arguments") => arguments.extend(request.list("arguments").iter().cloned()),
            Some(place) => match request.arguments.get(place) {
                Some(value) => arguments.extend(value.items().iter().cloned()),
                None => arguments.push(String::new()),
            },
        }
    }
    Ok((program.path.clone(), arguments))
}

/// Runs a program.
pub(crate) async fn run(
    programs: &Programs,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let (path, arguments) = line(programs, request).map_err(ActionFailure::refused)?;
    let limit = Duration::from_secs(programs.timeout_s);
    let key = request.idempotency_key.clone();
    tokio::task::spawn_blocking(move || run_blocking(&path, &arguments, &key, limit))
        .await
        .map_err(|_| ActionFailure::unknown("the thread that waited for the program was lost"))?
}

fn run_blocking(
    path: &str,
    arguments: &[String],
    key: &str,
    limit: Duration,
) -> Result<ActionOutcome, ActionFailure> {
    let mut child = Command::new(path)
        .args(arguments)
        .env_clear()
        .env("WATCHFLOOR_IDEMPOTENCY_KEY", key)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| ActionFailure::failed(format!("{path} cannot be started: {error}")))?;
    let said = child.stdout.take().map(kept);
    let complained = child.stderr.take().map(kept);
    let status = wait(&mut child, limit)
        .map_err(|error| ActionFailure::unknown(format!("{path} cannot be waited for: {error}")))?;
    let Some(status) = status else {
        return Err(ActionFailure::unknown(format!(
            "{path} was not over within {} s and was ended",
            limit.as_secs()
        )));
    };
    let text = |reader: Option<std::thread::JoinHandle<String>>| {
        reader
            .and_then(|reader| reader.join().ok())
            .unwrap_or_default()
    };
    let (output, complaint) = (text(said), text(complained));
    let quote: String = complaint.chars().take(QUOTE_CHARS).collect();
    if !status.success() {
        return Err(ActionFailure::failed(format!(
            "{path} ended with {status}: {quote}"
        )));
    }
    let evidence = BTreeMap::from([
        ("status".to_owned(), status.to_string()),
        ("output".to_owned(), output),
        ("complaints".to_owned(), complaint),
    ]);
    Ok(ActionOutcome {
        summary: format!("{path} ended with {status}"),
        evidence,
    })
}

/// Reads all, so that the program never blocks, and keeps the beginning.
fn kept(mut source: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let mut buffer = [0_u8; 8_192];
        while let Ok(length) = source.read(&mut buffer) {
            if length == 0 {
                break;
            }
            let room = OUTPUT_BYTES_MAX.saturating_sub(kept.len());
            kept.extend(buffer.iter().take(length.min(room)));
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

fn wait(child: &mut Child, limit: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
