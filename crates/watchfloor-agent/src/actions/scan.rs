//! Looking through files with YARA rules.

mod look;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use jiff::Timestamp;
use ring::digest;

use super::Done;
use crate::core::Core;
use crate::record::put;
use crate::spool::{Class, Positions};
use look::Look;
pub(crate) use look::aside;

/// Bytes that are read at once to hash a file.
const HASH_BYTES: usize = 256 << 10;
/// Longest whole scan.
const SCAN_TIME_MAX: Duration = Duration::from_secs(45 * 60);
/// Files of one scan.
const FILES_MAX: u64 = 1_000_000;
/// Folders that hold no files.
const NOT_FILES: &[&str] = &["/proc", "/sys", "/dev"];
/// Files of each sort that are named in the proof; all matches are records.
const NAMED_MAX: usize = 50;

#[derive(Default)]
struct Counts {
    files: u64,
    matches: u64,
    cut: u64,
    unread: u64,
    named: Vec<String>,
    cut_named: Vec<String>,
    unread_named: Vec<String>,
    stopped: Option<&'static str>,
}

/// Names a file in a list, as long as there is room in it.
fn name(list: &mut Vec<String>, path: &Path, why: &str) {
    if list.len() < NAMED_MAX {
        list.push(format!("{why}: {}", path.display()));
    }
}

/// Looks through files and folders.
pub(super) fn scan(core: &Core, key: &str, rules: &str, paths: &[PathBuf]) -> Result<Done> {
    let limit = u64::from(core.policy().scan_file_mib) << 20;
    let look_with = Look::new(rules, &core.binary, limit)?;
    let mut counts = Counts::default();
    let begin = Instant::now();
    let mut open: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = open.pop() {
        counts.stopped = why_stop(core, &counts, begin);
        if counts.stopped.is_some() {
            break;
        }
        let Ok(meta) = fs::symlink_metadata(&path) else {
            counts.unread += 1;
            continue;
        };
        if meta.is_dir() {
            let is_none = NOT_FILES.iter().any(|one| Path::new(one) == path);
            if !is_none && path != core.data.root() {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                open.extend(entries.map(|entry| entry.path()));
            }
        } else if meta.is_file() && meta.len() > 0 {
            look(core, &look_with, &path, &mut counts);
            let words = format!("{} files, {} matches", counts.files, counts.matches);
            core.ledger.progress(key, words);
            core.pace.step();
        }
    }
    if counts.files == 0 && counts.unread > 0 {
        bail!("none of the paths could be read");
    }
    Ok(summary(&counts))
}

fn why_stop(core: &Core, counts: &Counts, begin: Instant) -> Option<&'static str> {
    if !core.is_running() {
        return Some("the agent ended");
    }
    if begin.elapsed() > SCAN_TIME_MAX {
        return Some("its time was over");
    }
    (counts.files >= FILES_MAX).then_some("there were too many files")
}

fn summary(counts: &Counts) -> Done {
    let mut text = format!(
        "looked at {} files: {} matches",
        counts.files, counts.matches
    );
    if let Some(reason) = counts.stopped {
        text.push_str(&format!("; not to the end, because {reason}"));
    }
    let mut done = Done::new(text)
        .with("files", counts.files.to_string())
        .with("matches", counts.matches.to_string());
    for (name, count) in [("cut", counts.cut), ("unread", counts.unread)] {
        if count > 0 {
            done = done.with(name, count.to_string());
        }
    }
    for (name, list) in [
        ("matched", &counts.named),
        ("cut_files", &counts.cut_named),
        ("unread_files", &counts.unread_named),
    ] {
        if !list.is_empty() {
            done = done.with(name, list.join("\n"));
        }
    }
    done
}

/// Looks at one file and tells what was found.
fn look(core: &Core, look: &Look, path: &Path, counts: &mut Counts) {
    let found = match look.at(path) {
        Ok(found) => found,
        Err(error) => {
            counts.unread += 1;
            name(&mut counts.unread_named, path, &format!("{error:#}"));
            return;
        }
    };
    counts.files += 1;
    if let Some(why) = found.cut {
        counts.cut += 1;
        name(&mut counts.cut_named, path, why);
    }
    if found.matches.is_empty() {
        return;
    }
    let hash = whole_hash(core, path);
    let records: Vec<Vec<u8>> = found
        .matches
        .into_iter()
        .map(|mut fields| {
            counts.matches += 1;
            let rule = fields["rule"].as_str().unwrap_or_default().to_owned();
            name(&mut counts.named, path, &rule);
            put(&mut fields, "path", path.to_string_lossy());
            put(&mut fields, "sha256", hash.clone());
            if found.cut.is_some() {
                put(&mut fields, "is_cut", true);
            }
            core.recorder.event("yara_match", Timestamp::now(), fields)
        })
        .collect();
    core.keep("actions", Class::Momentary, records, Positions::new());
}

/// Hash of a file as it is now, whatever its length.
fn whole_hash(core: &Core, path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut bytes = vec![0; HASH_BYTES];
    loop {
        let count = file.read(&mut bytes).ok()?;
        if count == 0 {
            return Some(hex::encode(hash.finish()));
        }
        hash.update(bytes.get(..count)?);
        core.pace.step();
    }
}
