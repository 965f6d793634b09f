//! `watchfloor normalize`: one OCSF event per record, in order.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Result;
use watchfloor_decode::framing::FileFormat;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_event::{EventBatch, RawRecord};
use watchfloor_normalize::{PackSet, to_ocsf_json};

use crate::cli::NormalizeArgs;
use crate::{Outcome, content, files};

/// Records taken together; small, so that a pipe sees its events soon.
const RECORDS_PER_BATCH: usize = 512;

pub(crate) fn run(args: &NormalizeArgs) -> Result<Outcome> {
    let packs = content::packs(&[])?;
    let format = files::format(args.format.as_deref())?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    for path in files::find(&args.input)? {
        normalize(&path, format, &packs, &mut output)?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}

/// Prints the events of one file.
pub(crate) fn normalize(
    path: &Path,
    format: Option<FileFormat>,
    packs: &PackSet,
    output: &mut impl Write,
) -> Result<()> {
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut records = Vec::new();
    let mut failed = None;
    files::each_record(path, format, &mut |record| {
        records.push(record);
        if records.len() >= RECORDS_PER_BATCH {
            failed = print(&mut decoder, packs, &std::mem::take(&mut records), output).err();
        }
        if failed.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => print(&mut decoder, packs, &records, output),
    }
}

fn print(
    decoder: &mut Decoder,
    packs: &PackSet,
    records: &[RawRecord],
    output: &mut impl Write,
) -> Result<()> {
    let mut batch = EventBatch::new();
    for record in records {
        decoder.decode(&mut batch, record);
    }
    packs.normalize(&mut batch);
    for row in 0..batch.len() {
        serde_json::to_writer(&mut *output, &to_ocsf_json(&batch, row))?;
        output.write_all(b"\n")?;
    }
    output.flush()?;
    Ok(())
}
