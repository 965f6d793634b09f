//! Lists of indicators: files read into one set, kept up to date while the server runs.
//!
//! [`load`] reads what commands are given; [`Shelf`] holds what a server looks for: the lists in
//! the data folder's `indicators`, and those that the configuration names.

mod shelf;

use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use jiff::Timestamp;
use watchfloor_intel::{Indicator, IndicatorSet, ListReport, SetBuilder, read_list};

use crate::command::visible;
use crate::rules::scan::Scan;

pub(crate) use shelf::{Shelf, Watch, folder};

/// Refused lines of a list that are printed; the rest is a number.
const MAX_PRINTED: usize = 20;
/// Bytes read from a list at once.
const READ_BYTES: usize = 1 << 18;

/// What a file gave.
#[derive(Clone, Debug)]
pub(crate) struct LoadedList {
    /// Name, as it stands in rule ids.
    pub name: String,
    pub path: PathBuf,
    pub report: ListReport,
    /// Why the file could not be read to its end.
    pub unreadable: Option<String>,
    pub loaded_at: Timestamp,
}

/// All lists together.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub set: Arc<IndicatorSet>,
    pub lists: Vec<LoadedList>,
}

/// Whether a file in a folder is taken for a list. One that is named itself always is.
fn is_list(path: &str) -> bool {
    let path = Path::new(path);
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some(extension) => matches!(
            extension.to_ascii_lowercase().as_str(),
            "txt"
                | "csv"
                | "json"
                | "ndjson"
                | "jsonl"
                | "stix"
                | "stix2"
                | "list"
                | "netset"
                | "ipset"
                | "hosts"
        ),
        None => path.file_name().is_some_and(|name| name == "hosts"),
    }
}

/// The lists below paths.
pub(crate) fn scan(paths: &[PathBuf]) -> Scan {
    Scan::wanted(paths, is_list)
}

/// The lists below paths, all of which must be readable.
pub(crate) fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    for path in paths {
        std::fs::metadata(path)
            .with_context(|| format!("cannot read the indicators in {}", path.display()))?;
    }
    Ok(scan(paths).files.into_keys().collect())
}

/// Reads lists into one set.
pub(crate) fn load(paths: &[PathBuf]) -> Loaded {
    // The seed keys hashes against whoever writes a list.
    let seed = RandomState::new().build_hasher().finish();
    let mut builder = SetBuilder::new(seed);
    let mut names = BTreeSet::new();
    let mut lists = Vec::with_capacity(paths.len());
    for path in paths {
        let name = name_of(path, &mut names);
        let mut full = None;
        let read = read(path, &mut |indicator| {
            if let Err(error) = builder.add(&name, &indicator) {
                full.get_or_insert(error);
            }
        });
        let (report, mut unreadable) = read;
        if let Some(error) = full {
            unreadable.get_or_insert(error.to_string());
        }
        lists.push(LoadedList {
            name,
            path: path.clone(),
            report,
            unreadable,
            loaded_at: Timestamp::now(),
        });
    }
    Loaded {
        set: Arc::new(builder.build()),
        lists,
    }
}

/// Reads one list; what was read before a failure counts.
pub(crate) fn read(path: &Path, take: &mut dyn FnMut(Indicator)) -> (ListReport, Option<String>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let result = File::open(path).and_then(|file| {
        let mut reader = BufReader::with_capacity(READ_BYTES, file);
        read_list(&name, &mut reader, take)
    });
    match result {
        Ok(report) => (report, None),
        Err(error) => (ListReport::default(), Some(error.to_string())),
    }
}

/// The file's name without its ending, unless another list has it already.
fn name_of(path: &Path, taken: &mut BTreeSet<String>) -> String {
    let text =
        |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let choices = [
        text(path.file_stem()),
        text(path.file_name()),
        path.display().to_string(),
    ];
    let free = choices.iter().find(|name| !taken.contains(*name));
    let name = free.cloned().unwrap_or_default();
    taken.insert(name.clone());
    name
}

/// Lines that say what is wrong with a list, for stderr and the server's log.
pub(crate) fn troubles(list: &LoadedList) -> Vec<String> {
    let path = list.path.display();
    let report = &list.report;
    let lines = report.refused.iter().take(MAX_PRINTED);
    let mut troubles: Vec<String> = lines
        .map(|line| format!("{path}:{}: {}", line.line, line.reason))
        .collect();
    let rest = report.refused_count.saturating_sub(troubles.len() as u64);
    if rest > 0 {
        troubles.push(format!("{path}: {rest} more lines are refused"));
    }
    for (reason, count) in &report.not_understood {
        troubles.push(format!("{path}: {count} passed over: {reason}"));
    }
    if let Some(reason) = &list.unreadable {
        troubles.push(format!("{path}: not read to its end: {reason}"));
    }
    troubles
}

/// Prints what is wrong with lists.
pub(crate) fn print_troubles(lists: &[LoadedList]) {
    for trouble in lists.iter().flat_map(troubles) {
        eprintln!("watchfloor: {}", visible(&trouble));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_names_of_their_own() {
        let mut taken = BTreeSet::new();
        let names: Vec<String> = ["a/feed.txt", "b/feed.txt", "b/feed.csv", "c/feed.csv"]
            .iter()
            .map(|path| name_of(Path::new(path), &mut taken))
            .collect();
        assert_eq!(names, ["feed", "feed.txt", "feed.csv", "c/feed.csv"]);
    }

    #[test]
    fn a_folder_gives_its_lists_and_a_named_file_itself() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.csv", "README.md", ".hidden.txt", "odd.name"] {
            std::fs::write(folder.path().join(name), "evil.example\nnonsense here\n").unwrap();
        }
        let odd = folder.path().join("odd.name");
        let found = find(&[folder.path().to_owned(), odd]).unwrap();
        let loaded = load(&found);
        let names: Vec<&str> = loaded.lists.iter().map(|list| list.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "odd"]);
        assert_eq!(loaded.set.len(), 3);
        let troubles = troubles(&loaded.lists[0]);
        assert!(troubles[0].contains("a.txt:2: no address"), "{troubles:?}");
        assert!(find(&[folder.path().join("absent")]).is_err());
    }
}
