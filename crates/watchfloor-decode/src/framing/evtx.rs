//! Windows event log files, chunk by chunk, each record rendered to JSON. A damaged or
//! truncated file yields what is readable, and a reason for each place that is not.
//!
//! # Source
//! libevtx documentation, "Windows XML Event Log (EVTX) format".

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use evtx::{EvtxChunkData, ParserSettings};
use watchfloor_event::Format;

use super::{FramingError, Output, source};

const HEADER_BYTES: usize = 4096;
const CHUNK_BYTES: usize = 65_536;

pub(super) fn read(mut reader: impl Read, output: &mut Output<'_>) -> Result<(), FramingError> {
    let mut header = vec![0; HEADER_BYTES];
    let count = source::fill(&mut reader, &mut header, 0)?;
    if !header.starts_with(b"ElfFile\0") {
        return Err(FramingError::NotEvtx {
            reason: "it does not begin with ElfFile",
        });
    }
    if count < HEADER_BYTES {
        output.problem(count as u64, "the file ends inside its header");
        return Ok(());
    }
    let settings = Arc::new(
        ParserSettings::new()
            .num_threads(1)
            .indent(false)
            .separate_json_attributes(false),
    );
    let mut offset = HEADER_BYTES as u64;
    loop {
        let mut data = vec![0; CHUNK_BYTES];
        let count = source::fill(&mut reader, &mut data, offset)?;
        if count == 0 {
            return Ok(());
        }
        if count < CHUNK_BYTES {
            output.problem(offset + count as u64, "the file ends inside a chunk");
        }
        // Chunks that were never used are zero; they are no damage.
        if data.iter().any(|byte| *byte != 0) && !chunk(data, offset, &settings, output) {
            return Ok(());
        }
        offset += count as u64;
    }
}

/// Renders one chunk; false if no more records are wanted. The parser has been seen to
/// panic on hostile files, which must not take the process along.
fn chunk(
    data: Vec<u8>,
    offset: u64,
    settings: &Arc<ParserSettings>,
    output: &mut Output<'_>,
) -> bool {
    let mut rendered: Vec<Result<String, String>> = Vec::new();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        render(data, settings, &mut rendered);
    }));
    if outcome.is_err() {
        output.problem(offset, "the chunk could not be parsed");
    }
    for record in rendered {
        match record {
            Ok(text) => {
                if !output.record(text.as_bytes(), text.len() as u64, Format::Json, offset) {
                    return false;
                }
            }
            Err(reason) => output.problem(offset, reason),
        }
    }
    true
}

fn render(
    data: Vec<u8>,
    settings: &Arc<ParserSettings>,
    rendered: &mut Vec<Result<String, String>>,
) {
    let mut data = match EvtxChunkData::new(data, false) {
        Ok(data) => data,
        Err(fault) => {
            rendered.push(Err(chain(&fault)));
            return;
        }
    };
    let mut chunk = match data.parse(Arc::clone(settings)) {
        Ok(chunk) => chunk,
        Err(fault) => {
            rendered.push(Err(chain(&fault)));
            return;
        }
    };
    for record in chunk.iter() {
        let text = record.and_then(|record| record.into_json());
        rendered.push(match text {
            Ok(record) => Ok(record.data),
            Err(fault) => Err(chain(&fault)),
        });
    }
}

fn chain(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    crate::sink::clip(&text, 300).to_owned()
}
