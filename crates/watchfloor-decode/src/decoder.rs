//! The entry: one raw record in, one or more rows out.

use std::borrow::Cow;
use std::sync::Arc;

use watchfloor_event::{AnomalyCode, EventBatch, Format, Namespace, RawRecord, ValueKind};

use crate::detect::{LineForm, line_form};
use crate::limits::MAX_RECORD_BYTES;
use crate::sink::{Shape, Sink, clip};
use crate::zeek::Header;
use crate::{Limits, delimited, json};

/// Fields that carry a whole raw line inside a JSON record, in the order in which they are
/// tried.
const WRAPPED: [&str; 10] = [
    "message",
    "event.original",
    "log",
    "_raw",
    "MESSAGE",
    "short_message",
    "full_message",
    "event",
    "result._raw",
    "SyslogMessage",
];
/// Those of them that may hold a mere word: what is no line of a known form is left alone.
const ONLY_LINES: [&str; 1] = ["event"];

/// How a context that names the record's product begins; the name of the product's mapping
/// pack stands after it, up to the end of the line.
pub const PRODUCT_CONTEXT: &str = "#product\t";

/// Name under which a wrapper's field is kept when the line it wraps has one of the same name.
const WRAPPER: &str = "wrapper.";

/// Decodes records into batches; keeps buffers and predictions between records, so one per
/// thread is best.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    shape: Shape,
    line_shape: Shape,
    json: json::Buffers,
    zeek: Option<(Arc<str>, Header)>,
    table: Option<(Arc<str>, delimited::Header)>,
}

/// Decodes one record with fresh buffers; [`Decoder::decode`] is the faster way for many.
pub fn decode(batch: &mut EventBatch, record: &RawRecord) -> usize {
    Decoder::new(Limits::STANDARD).decode(batch, record)
}

impl Decoder {
    /// A decoder with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            shape: Shape::default(),
            line_shape: Shape::default(),
            json: json::Buffers::default(),
            zeek: None,
            table: None,
        }
    }

    /// Adds the events of a record to a batch and returns how many there were: at least one.
    pub fn decode(&mut self, batch: &mut EventBatch, record: &RawRecord) -> usize {
        let cut = record.bytes.len() >= MAX_RECORD_BYTES;
        let bytes = record
            .bytes
            .get(..MAX_RECORD_BYTES)
            .unwrap_or(&record.bytes);
        // The strict check is several times faster than the lossy one, and nearly all pass.
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(bytes),
        };
        // A cut may fall inside a character; that alone is no invalid text.
        let invalid = matches!(text, Cow::Owned(_)) && !(cut && ends_inside_character(bytes));
        let first = batch.len();
        let rows = self.decode_text(batch, record, &text);
        for row in first..batch.len() {
            if invalid {
                let detail = "bytes that are no UTF-8 were replaced in the fields";
                note(batch, row, AnomalyCode::InvalidUtf8, detail);
            }
            if cut {
                let detail = "only the first 1 MiB of the record was decoded";
                note(batch, row, AnomalyCode::Truncated, detail);
            }
        }
        rows
    }

    fn decode_text(&mut self, batch: &mut EventBatch, record: &RawRecord, text: &str) -> usize {
        if record.format == Format::ZeekTsv && self.zeek_line(batch, record, text) {
            return 1;
        }
        if self.table_line(batch, record, text) {
            return 1;
        }
        let form = match record.format {
            Format::JournalExport => LineForm::JournalExport,
            // Devices also send lines without any header, such as pairs.
            Format::Syslog => match line_form(text) {
                LineForm::Plain | LineForm::JournalExport => LineForm::Syslog,
                form => form,
            },
            Format::Auto
            | Format::Json
            | Format::WindowsXml
            | Format::ZeekTsv
            | Format::Auditd
            | Format::AccessLog
            | Format::Text => line_form(text),
        };
        if form == LineForm::Json {
            return self.decode_json(batch, record, text);
        }
        let row = batch.push_row(record, 0);
        let mut sink = Sink::new(batch, row, self.limits, &mut self.shape);
        let understood = match form {
            LineForm::JournalExport => crate::journal::decode(&mut sink, &record.bytes),
            other => decode_line(&mut sink, other, text, &mut self.json),
        };
        if !understood {
            undecoded(&mut sink, text);
        } else if form == LineForm::JournalExport {
            self.unwrap_line(batch, row);
        }
        1
    }

    fn decode_json(&mut self, batch: &mut EventBatch, record: &RawRecord, text: &str) -> usize {
        let parts = json::parts(text);
        let whole = parts.len() == 1;
        let borrowed = text.len() == record.bytes.len();
        for (part, range) in parts.iter().enumerate() {
            let row = batch.push_row(record, u32::try_from(part).unwrap_or(u32::MAX));
            if !whole && borrowed {
                batch.row_mut(row).raw = record.bytes.slice(range.clone());
            }
            let slice = text.get(range.clone()).unwrap_or("");
            let mut sink = Sink::new(batch, row, self.limits, &mut self.shape);
            // An export wraps the document that was once indexed.
            let hit = json::hit(slice);
            if let Some(hit) = &hit {
                for (name, value) in ["_index", "_id"].into_iter().zip(hit.named) {
                    if let Some(value) = value {
                        sink.text(name, value);
                    }
                }
            }
            let slice = hit.map_or(slice, |hit| hit.source);
            match json::decode(&mut sink, slice, &mut self.json) {
                Ok(()) => {
                    crate::windows::complete(&mut sink);
                    crate::journal::complete(&mut sink);
                    if let Some(context) = &record.context {
                        zeek_path(&mut sink, context);
                    }
                    self.unwrap_line(batch, row);
                }
                Err(fault) => {
                    sink.note(AnomalyCode::MalformedJson, || fault.to_string());
                    undecoded(&mut sink, slice);
                }
            }
        }
        parts.len()
    }

    /// Decodes a line by the header of its table; false if it has none or is something else.
    fn table_line(&mut self, batch: &mut EventBatch, record: &RawRecord, text: &str) -> bool {
        let Some(context) = &record.context else {
            return false;
        };
        let known = matches!(&self.table, Some((known, _)) if Arc::ptr_eq(known, context)
            || known == context);
        if !known {
            if !delimited::Header::is_in(context) {
                return false;
            }
            let header = delimited::Header::parse(context);
            self.table = Some((Arc::clone(context), header));
        }
        // Files are put together from several senders.
        let is_other = matches!(
            line_form(text),
            LineForm::Json | LineForm::WindowsXml | LineForm::Cef | LineForm::Leef
        );
        if is_other || (text.starts_with('<') && line_form(text) == LineForm::Syslog) {
            return false;
        }
        let Some((_, header)) = &self.table else {
            return false;
        };
        let row = batch.push_row(record, 0);
        let mut sink = Sink::new(batch, row, self.limits, &mut self.shape);
        if !delimited::decode(&mut sink, header, text) {
            undecoded(&mut sink, text);
        }
        true
    }

    /// Decodes the raw line that a record carries in one of its fields. Fields of the wrapper
    /// that the line has too are kept with `wrapper.` before their names.
    fn unwrap_line(&mut self, batch: &mut EventBatch, row: usize) {
        for name in WRAPPED {
            let Some(value) = batch.get(Namespace::Source, name, row) else {
                continue;
            };
            if value.kind != ValueKind::Str || value.text.trim().is_empty() {
                continue;
            }
            let form = line_form(value.text);
            let line = value.text.to_owned();
            if form == LineForm::Plain && ONLY_LINES.contains(&name) {
                continue;
            }
            if form == LineForm::Plain {
                // Packs look for text in `message`; the wrapper may call it otherwise.
                if batch.get(Namespace::Source, "message", row).is_none() {
                    let mut sink = Sink::new(batch, row, self.limits, &mut self.line_shape);
                    sink.text("message", line.trim_end_matches(['\r', '\n']));
                }
                crate::wrapper::complete(batch, row);
                continue;
            }
            let before = crate::wrapper::fields(batch, row);
            let mut sink = Sink::new(batch, row, self.limits, &mut self.line_shape);
            let understood = match form {
                LineForm::Json => {
                    let done = json::decode(&mut sink, &line, &mut self.json).is_ok();
                    crate::windows::complete(&mut sink);
                    done
                }
                _ => decode_line(&mut sink, form, &line, &mut self.json),
            };
            if understood {
                if sink.get(name).is_none_or(|value| value.text != line)
                    && sink.get("event.original").is_none()
                {
                    sink.text("event.original", &line);
                }
                crate::wrapper::keep(batch, row, &before, WRAPPER, name);
                crate::wrapper::complete(batch, row);
                return;
            }
        }
    }

    fn zeek_line(&mut self, batch: &mut EventBatch, record: &RawRecord, text: &str) -> bool {
        let Some(context) = &record.context else {
            return false;
        };
        if text.starts_with('{') || !context.contains("#fields") {
            return false;
        }
        let known = matches!(&self.zeek, Some((known, _)) if Arc::ptr_eq(known, context)
            || known == context);
        if !known {
            self.zeek = Some((Arc::clone(context), Header::parse(context)));
        }
        let Some((_, header)) = &self.zeek else {
            return false;
        };
        let row = batch.push_row(record, 0);
        let mut sink = Sink::new(batch, row, self.limits, &mut self.shape);
        if !crate::zeek::decode(&mut sink, header, text) {
            undecoded(&mut sink, text);
        }
        true
    }
}

/// Decodes one line of a known form onto a row; false if it does not hold to its form.
pub(crate) fn decode_line(
    sink: &mut Sink<'_>,
    form: LineForm,
    text: &str,
    buffers: &mut json::Buffers,
) -> bool {
    match form {
        LineForm::Json => json::decode(sink, text, buffers).is_ok(),
        LineForm::Syslog => crate::syslog::decode(sink, text, buffers),
        LineForm::WindowsXml => crate::windows::xml::decode(sink, text),
        LineForm::Auditd => crate::auditd::decode(sink, text),
        LineForm::AccessLog => crate::access_log::decode(sink, text),
        LineForm::WebErrorLog => crate::access_log::decode_error(sink, text),
        LineForm::KeyValue => crate::key_value::decode(sink, text),
        LineForm::Cef => bar_format(sink, text, buffers, crate::cef::find, crate::cef::decode),
        LineForm::Leef => bar_format(sink, text, buffers, crate::leef::find, crate::leef::decode),
        LineForm::Cri => cri(sink, text, buffers),
        LineForm::JournalExport => crate::journal::decode(sink, text.as_bytes()),
        LineForm::Plain => false,
    }
}

/// CEF or LEEF; what stands before it is a syslog header, a time or nothing.
fn bar_format(
    sink: &mut Sink<'_>,
    text: &str,
    buffers: &mut json::Buffers,
    find: fn(&str) -> Option<usize>,
    decode: fn(&mut Sink<'_>, &str) -> bool,
) -> bool {
    let Some(at) = find(text) else {
        return false;
    };
    let (before, rest) = text.split_at_checked(at).unwrap_or(("", text));
    if !before.trim().is_empty() && crate::syslog::decode(sink, text, buffers) {
        return true;
    }
    decode(sink, rest)
}

/// `2026-11-24T11:00:00.1Z stdout F text`, as container runtimes write their logs.
///
/// # Source
/// Kubernetes, `pkg/kubelet/cri`, "CRI logging".
fn cri(sink: &mut Sink<'_>, text: &str, buffers: &mut json::Buffers) -> bool {
    let Some((moment, rest)) = crate::time::parse_iso_prefix(text) else {
        return false;
    };
    let mut words = rest.trim_start().splitn(3, ' ');
    let (stream, tag, line) = (words.next(), words.next(), words.next().unwrap_or(""));
    sink.text("stream", stream.unwrap_or(""));
    sink.text("logtag", tag.unwrap_or(""));
    let line = line.trim_end_matches(['\r', '\n']);
    sink.text("message", line);
    sink.own_time(Some(moment), clip(text, 40));
    match line_form(line) {
        LineForm::Plain | LineForm::Cri => {}
        form => {
            decode_line(sink, form, line, buffers);
        }
    }
    true
}

fn undecoded(sink: &mut Sink<'_>, text: &str) {
    sink.text("message", text.trim_end_matches(['\r', '\n']));
    sink.note(AnomalyCode::Undecoded, || {
        "no decoder knows this form".to_owned()
    });
}

/// A Zeek JSON log does not name its kind; framing gives it as `#path` from the file's name.
fn zeek_path(sink: &mut Sink<'_>, context: &str) {
    let path = context
        .lines()
        .find_map(|line| line.strip_prefix("#path\t"));
    if let Some(path) = path
        && sink.get("_path").is_none()
    {
        sink.text("_path", path.trim());
    }
}

fn ends_inside_character(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => false,
        Err(fault) => fault.error_len().is_none() && fault.valid_up_to() + 4 > bytes.len(),
    }
}

fn note(batch: &mut EventBatch, row: usize, code: AnomalyCode, detail: &str) {
    batch.add_anomaly(row, watchfloor_event::Anomaly::new(code, detail));
}
