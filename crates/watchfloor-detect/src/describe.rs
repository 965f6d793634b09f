//! One sentence that says what happened, from an event's attributes.

use watchfloor_event::EventBatch;

use crate::entities::text;

/// Longest piece of a value in a sentence, in characters.
const MAX_PIECE: usize = 120;

/// What an event says, without what a rule says of it.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    what: Option<String>,
    place: String,
}

impl Description {
    /// The sentence that ends in a rule's title.
    pub(crate) fn sentence(&self, title: &str) -> String {
        match &self.what {
            Some(what) => format!("{what}: {title}"),
            None => format!("{title}{}", self.place),
        }
    }
}

/// Describes the event of a row.
pub(crate) fn describe(batch: &EventBatch, row: usize) -> Description {
    let get = |path: &str| text(batch, path, row).map(piece);
    let place = get("device.hostname")
        .map(|host| format!(" on {host}"))
        .unwrap_or_default();
    let what = match batch.kind_of(row).class_uid {
        1007 if matches!(batch.rows()[row].activity_id, 3 | 4) => generic(batch, row, &place),
        1007 => process(batch, row, &place),
        3002 => authentication(batch, row, &place),
        4001..=4014 | 2001..=2007 => network(batch, row),
        1001 | 201_001 | 201_002 => {
            let target = get("file.path").or_else(|| get("reg_key.path"));
            let by = get("process.file.path").or_else(|| get("actor.process.file.path"));
            match (by, target) {
                (Some(by), Some(target)) => Some(format!("{} touched {target}{place}", base(&by))),
                (None, Some(target)) => Some(format!("{target} was touched{place}")),
                _ => None,
            }
        }
        _ => generic(batch, row, &place),
    };
    Description { what, place }
}

fn process(batch: &EventBatch, row: usize, place: &str) -> Option<String> {
    let get = |path: &str| text(batch, path, row).map(piece);
    let program = get("process.file.path")?;
    let user = get("process.user.name").or_else(|| get("actor.user.name"));
    let mut sentence = format!("{}{place}", base(&program));
    match (get("actor.process.file.path"), user) {
        (Some(parent), Some(user)) => {
            sentence.push_str(&format!(", started by {} as {user}", base(&parent)));
        }
        (Some(parent), None) => sentence.push_str(&format!(", started by {}", base(&parent))),
        (None, Some(user)) => sentence.push_str(&format!(", run as {user}")),
        (None, None) => {}
    }
    if let Some(command) = get("process.cmd_line") {
        sentence.push_str(&format!(", ran \u{201c}{command}\u{201d}"));
    }
    Some(sentence)
}

fn authentication(batch: &EventBatch, row: usize, place: &str) -> Option<String> {
    let get = |path: &str| text(batch, path, row).map(piece);
    let user = get("user.name").or_else(|| get("actor.user.name"))?;
    let verb = match batch.rows()[row].status_id {
        1 => "logged on",
        2 => "failed to log on",
        _ => "authenticated",
    };
    let from = get("src_endpoint.ip").or_else(|| get("src_endpoint.hostname"));
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    Some(format!("{user} {verb}{place}{from}"))
}

fn network(batch: &EventBatch, row: usize) -> Option<String> {
    let get = |path: &str| text(batch, path, row).map(piece);
    let source = get("src_endpoint.ip").or_else(|| get("src_endpoint.hostname"));
    if let Some(name) = get("query.hostname") {
        let source = source
            .or_else(|| get("device.hostname"))
            .unwrap_or_else(|| "a host".to_owned());
        return Some(format!("{source} asked for {name}"));
    }
    let source = source?;
    let target = get("dst_endpoint.ip").or_else(|| get("dst_endpoint.hostname"));
    let mut sentence = match (
        get("http_request.http_method"),
        get("http_request.url.path"),
    ) {
        (Some(method), Some(path)) => format!("{source} sent {method} {path}"),
        _ => format!("{source} connected"),
    };
    if let Some(target) = target {
        let port = get("dst_endpoint.port")
            .map(|port| format!(" port {port}"))
            .unwrap_or_default();
        sentence.push_str(&format!(" to {target}{port}"));
    }
    let bytes: Option<u64> = get("traffic.bytes_out").and_then(|bytes| bytes.parse().ok());
    if let Some(bytes) = bytes.filter(|bytes| *bytes >= 1_000_000) {
        sentence.push_str(&format!(" and sent {} MB", bytes / 1_000_000));
    }
    if let Some(rule) = get("rule.name") {
        sentence.push_str(&format!(" ({rule})"));
    }
    Some(sentence)
}

fn generic(batch: &EventBatch, row: usize, place: &str) -> Option<String> {
    let get = |path: &str| text(batch, path, row).map(piece);
    let actor = get("actor.user.name").or_else(|| get("process.user.name"));
    if let Some(service) = get("win_service.name") {
        return Some(format!("service {service} was changed{place}"));
    }
    if let Some(operation) = get("api.operation") {
        let actor = actor.unwrap_or_else(|| "someone".to_owned());
        return Some(format!("{actor} called {operation}{place}"));
    }
    if let (Some(source), Some(target)) = (get("actor.process.file.path"), get("process.file.path"))
    {
        return Some(format!(
            "{} reached into {}{place}",
            base(&source),
            base(&target)
        ));
    }
    let program = get("process.file.path").or_else(|| get("actor.process.file.path"));
    program.map(|program| format!("{}{place}", base(&program)))
}

/// The program's name without its folders.
fn base(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or(path)
}

fn piece(value: &str) -> String {
    if value.chars().count() <= MAX_PIECE {
        return value.to_owned();
    }
    let mut cut: String = value.chars().take(MAX_PIECE).collect();
    cut.push('\u{2026}');
    cut
}
