//! Cuts the bytes of files into records, streaming: no more than one record is held.
//!
//! Opening files is the caller's work; it gives a reader and a name, and takes records.

mod detect;
mod evtx;
mod gzip;
mod journal;
mod json_values;
mod lines;
mod source;
mod windows_xml;

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use watchfloor_event::Format;

pub use detect::detect_file;
pub use source::GZIP_RATIO_MAX;

/// How the records of a file stand beside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One record per line.
    Lines(Format),
    /// JSON values one after another, or in one list, over as many lines as they like.
    JsonValues,
    /// A Zeek TSV log with its header.
    ZeekTsv,
    /// Lines whose names stand above them: W3C extended logs, CSV, VPC flow logs.
    Table,
    /// The systemd journal export format.
    JournalExport,
    /// Windows events as XML, over any lines.
    WindowsXml,
    /// A Windows event log file.
    Evtx,
    /// Gzip around one of the others.
    Gzip,
}

/// One record of a file.
#[derive(Clone, Debug)]
pub struct FramedRecord<'a> {
    /// Its bytes, at most [`crate::MAX_RECORD_BYTES`].
    pub bytes: &'a [u8],
    /// Its form.
    pub format: Format,
    /// Header text that it needs.
    pub context: Option<Arc<str>>,
    /// Where it began, in bytes of the (unpacked) file.
    pub offset: u64,
    /// Whether it was longer than the limit and is cut.
    pub is_cut: bool,
}

/// What could not be read inside a file that as a whole was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the (unpacked) file.
    pub offset: u64,
    /// What, for a person.
    pub reason: String,
}

/// How the reading of a file went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Records handed out.
    pub records: u64,
    /// Records that were cut.
    pub cut: u64,
    /// Places that could not be read; the first thousand of them.
    pub problems: Vec<Problem>,
    /// Whether the receiver ended the reading.
    pub is_stopped: bool,
}

/// Why a file could not be read to its end. Records before that place were handed out.
#[derive(Debug, thiserror::Error)]
pub enum FramingError {
    /// The reader failed.
    #[error("reading failed at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// Gzip data that grows beyond all reason.
    #[error("the gzip data grows more than {GZIP_RATIO_MAX} times; refused as a bomb")]
    GzipBomb,
    /// Not a Windows event log file.
    #[error("not a Windows event log file: {reason}")]
    NotEvtx {
        /// What was found.
        reason: &'static str,
    },
}

/// Takes records; `Break` ends the reading.
pub type Emit<'e> = &'e mut dyn FnMut(FramedRecord<'_>) -> ControlFlow<()>;

/// Reads all records of a file.
///
/// The form is found from the content, then the name, if `format` is `None`.
///
/// # Errors
/// If the reader fails, the file is a gzip bomb or no EVTX file although it should be one.
/// Records before that place were handed out.
pub fn read_records(
    reader: impl Read,
    name: &str,
    format: Option<FileFormat>,
    emit: Emit<'_>,
) -> Result<Report, FramingError> {
    let mut reader: Box<dyn Read + '_> = Box::new(reader);
    let mut name = name;
    let mut format = format;
    // Gzip inside gzip is real (rotated, then packed again), but not without end.
    for _ in 0..3 {
        let (head, whole) = source::peek(reader)?;
        let found = match format {
            Some(FileFormat::Gzip) | None if detect::is_gzip(&head) => FileFormat::Gzip,
            Some(known) if known != FileFormat::Gzip => known,
            _ => detect_file(name, &head),
        };
        if found != FileFormat::Gzip {
            return dispatch(whole, name, found, emit);
        }
        reader = Box::new(gzip::bounded(whole));
        name = name.strip_suffix(".gz").unwrap_or(name);
        if format == Some(FileFormat::Gzip) {
            format = None;
        }
    }
    Err(FramingError::GzipBomb)
}

/// Reads the records of a stream that goes on, each as soon as it is whole: nothing is looked at
/// ahead, so the form must be known.
///
/// # Errors
/// As [`read_records`].
pub fn follow(
    reader: impl Read,
    name: &str,
    format: FileFormat,
    emit: Emit<'_>,
) -> Result<Report, FramingError> {
    dispatch(reader, name, format, emit)
}

/// Unpacks gzip data, within the limits that files have.
pub fn gunzip(reader: impl Read) -> impl Read {
    gzip::bounded(reader)
}

fn dispatch(
    reader: impl Read,
    name: &str,
    format: FileFormat,
    emit: Emit<'_>,
) -> Result<Report, FramingError> {
    let mut output = Output::new(emit);
    match format {
        FileFormat::Lines(form) => {
            output.context = detect::zeek_json_context(name, form);
            lines::read(reader, form, &mut output)?;
        }
        FileFormat::ZeekTsv => lines::read(reader, Format::ZeekTsv, &mut output)?,
        FileFormat::Table => lines::read_table(reader, name, &mut output)?,
        FileFormat::JsonValues => json_values::read(reader, &mut output)?,
        FileFormat::JournalExport => journal::read(reader, &mut output)?,
        FileFormat::WindowsXml => windows_xml::read(reader, &mut output)?,
        FileFormat::Evtx => evtx::read(reader, &mut output)?,
        FileFormat::Gzip => return Err(FramingError::GzipBomb),
    }
    Ok(output.report)
}

/// Hands records out and counts them.
pub(crate) struct Output<'e> {
    emit: Emit<'e>,
    pub(crate) report: Report,
    pub(crate) context: Option<Arc<str>>,
}

impl<'e> Output<'e> {
    fn new(emit: Emit<'e>) -> Self {
        Self {
            emit,
            report: Report::default(),
            context: None,
        }
    }

    /// Hands one record out, cut to the limit; false if no more are wanted.
    pub(crate) fn record(
        &mut self,
        bytes: &[u8],
        length: u64,
        format: Format,
        offset: u64,
    ) -> bool {
        let limit = crate::MAX_RECORD_BYTES;
        let is_cut = length > bytes.len() as u64 || bytes.len() > limit;
        self.report.records += 1;
        self.report.cut += u64::from(is_cut);
        let flow = (self.emit)(FramedRecord {
            bytes: bytes.get(..limit).unwrap_or(bytes),
            format,
            context: self.context.clone(),
            offset,
            is_cut,
        });
        self.report.is_stopped |= flow.is_break();
        flow.is_continue()
    }

    /// Notes a place that could not be read.
    pub(crate) fn problem(&mut self, offset: u64, reason: impl Into<String>) {
        if self.report.problems.len() < 1000 {
            self.report.problems.push(Problem {
                offset,
                reason: reason.into(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
