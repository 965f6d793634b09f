//! Files and folders of records, as the commands that read them see them.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::PRODUCT_CONTEXT;
use watchfloor_decode::framing::{self, FileFormat, FramedRecord, Report};
use watchfloor_event::{Format, RawRecord};

use crate::command::visible;

/// The files below paths, by path; `-` stands for standard input.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            found.push(path.clone());
            continue;
        }
        let metadata =
            std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        if metadata.is_dir() {
            collect(path, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() {
            collect(&path, found)?;
        } else if !is_hidden {
            found.push(path);
        }
    }
    Ok(())
}

/// The file format of a word on the command line.
pub(crate) fn format(word: Option<&str>) -> Result<Option<FileFormat>> {
    let Some(word) = word else {
        return Ok(None);
    };
    let known = match word {
        "auto" => return Ok(None),
        "evtx" => FileFormat::Evtx,
        "json" | "ndjson" | "eve" | "cloudtrail" => FileFormat::JsonValues,
        "zeek" | "zeek-tsv" => FileFormat::ZeekTsv,
        "journal-export" => FileFormat::JournalExport,
        "table" | "csv" | "w3c" => FileFormat::Table,
        other => {
            let format = Format::parse(other);
            let format = format.ok_or_else(|| anyhow!("there is no format '{other}'; there are auto, evtx, json, zeek-tsv, table, journal-export, syslog, auditd, access-log, windows-xml, text"))?;
            FileFormat::Lines(format)
        }
    };
    Ok(Some(known))
}

/// Reads the records of a file.
pub(crate) fn read(
    path: &Path,
    format: Option<FileFormat>,
    emit: &mut dyn FnMut(FramedRecord<'_>) -> ControlFlow<()>,
) -> Result<Report> {
    let (reader, name): (Box<dyn Read>, String) = if path.as_os_str() == "-" {
        (Box::new(io::stdin().lock()), "stdin".to_owned())
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        (Box::new(BufReader::with_capacity(1 << 18, file)), name)
    };
    framing::read_records(reader, &name, format, emit)
        .with_context(|| format!("cannot read {} to its end", path.display()))
}

/// A record as it was read, for the decoder.
pub(crate) fn record(framed: &FramedRecord<'_>, source: &Arc<str>, position: u64) -> RawRecord {
    RawRecord {
        source: Arc::clone(source),
        format: framed.format,
        context: framed.context.clone(),
        position,
        received_at: Timestamp::now(),
        bytes: Bytes::copy_from_slice(framed.bytes),
    }
}

/// Says of a record which pack's product it is of, so that it is understood without its
/// syslog header too.
pub(crate) fn name_product(record: &mut RawRecord, product: &str) {
    let rest = record.context.as_deref().unwrap_or("");
    record.context = Some(Arc::from(format!("{PRODUCT_CONTEXT}{product}\n{rest}")));
}

/// Gives the records of a file, by position, and tells on standard error what could not be
/// read. Returns how many were given.
pub(crate) fn each_record(
    path: &Path,
    format: Option<FileFormat>,
    take: &mut dyn FnMut(RawRecord) -> ControlFlow<()>,
) -> Result<u64> {
    let source: Arc<str> = Arc::from(path.to_string_lossy());
    let mut count = 0;
    let report = read(path, format, &mut |framed| {
        count += 1;
        take(record(&framed, &source, count - 1))
    })?;
    for problem in report.problems {
        eprintln!(
            "watchfloor: {}: at byte {}: {}",
            visible(&source),
            problem.offset,
            visible(&problem.reason)
        );
    }
    Ok(count)
}
