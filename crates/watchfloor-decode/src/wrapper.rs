//! What a record that wraps a raw line says about it: the wrapper's own fields are kept beside
//! the line's, and the names that shippers give to program and host become those of syslog.

use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef};

/// Names under which shippers write the program that wrote the line, most telling first.
const PROGRAM: [&str; 17] = [
    "log.syslog.appname",
    "SYSLOG_IDENTIFIER",
    "syslog_identifier",
    "systemd.syslog_identifier",
    "journald.custom.syslog_identifier",
    "syslog_program",
    "programname",
    "program",
    "PROGRAM",
    "app-name",
    "appname",
    "ident",
    "otel.attributes.appname",
    "otel.resource.service.name",
    "loki.labels.syslog_identifier",
    "loki.labels.app",
    "_application_name",
];
/// Names under which shippers write the host of the line.
const HOST: [&str; 15] = [
    "log.syslog.hostname",
    "syslog_hostname",
    "host.hostname",
    "host.name",
    "hostname",
    "_HOSTNAME",
    "logsource",
    "agent.hostname",
    "HOST",
    "host",
    "hec.host",
    "otel.attributes.hostname",
    "otel.resource.host.name",
    "loki.labels.hostname",
    "loki.labels.host",
];

/// A column and its value's code.
pub(crate) type Fields = Vec<(usize, u32)>;

/// The fields of a row as they are now.
pub(crate) fn fields(batch: &EventBatch, row: usize) -> Fields {
    let columns = batch.columns(Namespace::Source);
    let used = batch.source_columns_of(row).filter_map(|index| {
        let code = columns.get(index)?.code(row);
        (code != 0).then_some((index, code))
    });
    used.collect()
}

/// Sets what has changed since then under its name with a prefix; the field that held the line
/// is left out, because the line itself is kept.
pub(crate) fn keep(batch: &mut EventBatch, row: usize, before: &Fields, prefix: &str, line: &str) {
    let columns = batch.columns(Namespace::Source);
    let mut changed = Vec::new();
    for (index, code) in before {
        let Some(column) = columns.get(*index) else {
            continue;
        };
        let is_same = column.code(row) == *code || &**column.name() == line;
        if let (false, Some(value)) = (is_same, column.dictionary().get(*code))
            && value.kind != ValueKind::Null
        {
            let name = format!("{prefix}{}", column.name());
            changed.push((name, value.kind, value.text.to_owned()));
        }
    }
    for (name, kind, text) in changed {
        let value = ValueRef { kind, text: &text };
        batch.set(Namespace::Source, &name, row, value);
    }
}

/// Gives a wrapped line the program that its wrapper names, and then its host, where the line
/// names none.
pub(crate) fn complete(batch: &mut EventBatch, row: usize) {
    if !complete_one(batch, row, "syslog.appname", &PROGRAM) {
        return;
    }
    complete_one(batch, row, "syslog.hostname", &HOST);
}

/// Whether the field is there in the end.
fn complete_one(batch: &mut EventBatch, row: usize, target: &str, names: &[&str]) -> bool {
    if batch.get(Namespace::Source, target, row).is_some() {
        return true;
    }
    let found = names.iter().find_map(|name| {
        let value = batch.get(Namespace::Source, name, row)?;
        let is_name = value.kind == ValueKind::Str
            && !value.text.is_empty()
            && value.text.len() <= 255
            && !value.text.contains(' ');
        is_name.then(|| value.text.to_owned())
    });
    match found {
        Some(text) => {
            batch.set(Namespace::Source, target, row, ValueRef::str(&text));
            true
        }
        None => false,
    }
}
