//! Loads the packs of the repository.

use std::path::{Path, PathBuf};

use watchfloor_normalize::PackSet;

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/mappings")
}

pub(crate) fn load() -> PackSet {
    let mut files = Vec::new();
    let mut folders: Vec<_> = std::fs::read_dir(folder())
        .expect("content/mappings is part of the repository")
        .flatten()
        .map(|entry| entry.path().join("pack.yaml"))
        .filter(|path| path.is_file())
        .collect();
    folders.sort();
    for path in folders {
        let text = std::fs::read_to_string(&path).expect("readable");
        files.push((path.display().to_string(), text));
    }
    let (set, errors) = PackSet::load(files);
    assert!(errors.is_empty(), "{errors:#?}");
    set
}
