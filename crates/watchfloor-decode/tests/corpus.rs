//! Real EVTX files, whole, cut off and damaged: what is readable is kept, nothing panics.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use watchfloor_decode::framing::{FileFormat, Report, read_records};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|end| end == "evtx") {
            found.push(path);
        }
    }
    found.sort();
}

fn read(bytes: &[u8]) -> Report {
    read_records(
        Cursor::new(bytes),
        "a.evtx",
        Some(FileFormat::Evtx),
        &mut |record| {
            assert!(record.bytes.starts_with(b"{\"Event\""));
            ControlFlow::Continue(())
        },
    )
    .expect("the reader is memory and the magic is whole")
}

#[test]
fn damaged_evtx_files_keep_what_is_readable() {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/sigma-regression");
    if !folder.is_dir() {
        println!("skipped: {} is absent", folder.display());
        return;
    }
    let mut found = Vec::new();
    files(&folder, &mut found);
    let mut records = 0;
    for (number, path) in found.iter().enumerate() {
        let bytes = std::fs::read(path).expect("readable");
        let whole = read(&bytes);
        assert!(
            whole.records > 0 && whole.problems.is_empty(),
            "{}: {whole:?}",
            path.display()
        );
        records += whole.records;
        if number % 5 != 0 {
            continue;
        }
        for cut in [100, 4096, 4200, 5000, bytes.len() / 2] {
            let report = read(bytes.get(..cut).unwrap_or(&bytes));
            assert!(report.records <= whole.records);
            assert!(report.records == whole.records || cut == 4096 || !report.problems.is_empty());
        }
        // A fixed pattern of damage, so that a failure can be repeated.
        let mut state = 0x9e37_79b9_u32;
        for _ in 0..20 {
            let mut damaged = bytes.clone();
            for _ in 0..8 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = 4096 + state as usize % (damaged.len() - 4096).min(8192);
                damaged[at] ^= (state >> 24) as u8 | 1;
            }
            read(&damaged);
        }
    }
    println!("{records} records in {} files", found.len());
}
