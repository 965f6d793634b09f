//! `watchfloor normalize`: one OCSF event per record, in order.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Result, bail};
use watchfloor_decode::framing::FileFormat;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_event::{EventBatch, RawRecord};
use watchfloor_normalize::{PackSet, to_ocsf_json};

use crate::cli::NormalizeArgs;
use crate::command::visible;
use crate::{Outcome, content, files};

/// Records taken together; small, so that a pipe sees its events soon.
const RECORDS_PER_BATCH: usize = 512;

pub(crate) fn run(args: &NormalizeArgs) -> Result<Outcome> {
    let packs = content::packs(&args.mappings)?;
    let format = files::format(args.format.as_deref())?;
    let product = product(args.product.as_deref(), &packs)?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    for path in files::find(&args.input)? {
        let mut decoder = Decoder::new(Limits::STANDARD);
        each_batch(&path, format, product, &mut |records| {
            print(&mut decoder, &packs, records, &mut output)
        })?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}

/// The name of a pack as it was given, if there is such a pack.
pub(crate) fn product<'a>(name: Option<&'a str>, packs: &PackSet) -> Result<Option<&'a str>> {
    let Some(name) = name else {
        return Ok(None);
    };
    if packs.packs().iter().any(|pack| pack.product == name) {
        return Ok(Some(name));
    }
    let mut known: Vec<&str> = packs.packs().iter().map(|pack| &*pack.product).collect();
    known.sort_unstable();
    bail!(
        "there is no mapping pack '{}'; there are {}",
        visible(name),
        known.join(", ")
    );
}

/// Takes the records of a file, some hundred at a time.
type TakeRecords<'a> = &'a mut dyn FnMut(&[RawRecord]) -> Result<()>;

/// Gives the records of one file in batches.
pub(crate) fn each_batch(
    path: &Path,
    format: Option<FileFormat>,
    product: Option<&str>,
    take: TakeRecords<'_>,
) -> Result<()> {
    let mut records = Vec::new();
    let mut failed = None;
    files::each_record(path, format, &mut |mut record| {
        if let Some(product) = product {
            files::name_product(&mut record, product);
        }
        records.push(record);
        if records.len() >= RECORDS_PER_BATCH {
            failed = take(&std::mem::take(&mut records)).err();
        }
        if failed.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => take(&records),
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
