//! The rules of the repository and other folders, as the tests read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use watchfloor_rules::{RuleFile, RuleSet};

/// When the records of cases are received.
pub(crate) const CASE_TIME: Timestamp = Timestamp::constant(1_795_521_600, 0);

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder, by path.
pub(crate) fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

pub(crate) fn is_cases(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".cases.yaml")
}

/// The rules below a folder.
pub(crate) fn rules_below(folder: &Path) -> RuleSet {
    let mut found = Vec::new();
    files(folder, &mut found);
    let is_rule = |path: &PathBuf| {
        let extension = path.extension();
        extension.is_some_and(|end| end == "yml" || end == "yaml") && !is_cases(path)
    };
    let file = |path: PathBuf| RuleFile {
        text: std::fs::read_to_string(&path).expect("readable"),
        path: Arc::from(path.to_string_lossy()),
    };
    RuleSet::load(found.into_iter().filter(is_rule).map(file), BTreeMap::new())
}
