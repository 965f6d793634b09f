//! Patterns of paths: `*` and `?` within names, `**` for any folders between.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Folders below `**` that are gone into.
const DEPTH_MAX: usize = 24;

/// Whether a name matches a pattern with `*` and `?`.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut of) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(of) {
            Some(b'*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(one) if *one == b'?' || *one == name[at] => {
                of += 1;
                at += 1;
            }
            _ => match star {
                // The last star takes one more.
                Some((star_of, star_at)) => {
                    star = Some((star_of, star_at + 1));
                    of = star_of + 1;
                    at = star_at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|one| *one == b'*')
}

/// Paths below a root that match an absolute pattern, in order, at most so many.
pub(crate) fn expand(root: &Path, pattern: &str, most: usize) -> Vec<PathBuf> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let mut found = Vec::new();
    walk(root, &parts, most, DEPTH_MAX, &mut found);
    found.sort();
    found.dedup();
    found
}

fn walk(folder: &Path, parts: &[&str], most: usize, depth: usize, found: &mut Vec<PathBuf>) {
    if found.len() >= most {
        return;
    }
    let Some((first, rest)) = parts.split_first() else {
        found.push(folder.to_owned());
        return;
    };
    if matches!(*first, "." | "..") {
        return;
    }
    if *first == "**" {
        walk(folder, rest, most, depth, found);
        if depth == 0 {
            return;
        }
        for (path, is_folder) in entries(folder) {
            // Links are not followed: they can lead in circles.
            if is_folder {
                walk(&path, parts, most, depth - 1, found);
            }
        }
        return;
    }
    if !first.contains(['*', '?']) {
        let path = folder.join(first);
        if path.symlink_metadata().is_ok() {
            walk(&path, rest, most, depth, found);
        }
        return;
    }
    for (path, _) in entries(folder) {
        let name = path.file_name().unwrap_or_default();
        let is_hidden = name.as_bytes().starts_with(b".") && !first.starts_with('.');
        if !is_hidden && matches(first.as_bytes(), name.as_bytes()) {
            walk(&path, rest, most, depth, found);
        }
    }
}

/// What is in a folder, in order, and whether it is a folder itself.
fn entries(folder: &Path) -> Vec<(PathBuf, bool)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<_> = entries
        .flatten()
        .map(|entry| {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            (entry.path(), is_folder)
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_in_a_shell() {
        for (pattern, name, expected) in [
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a?c*", "abcde", true),
            ("*a*b*c", "xxaybzc", true),
            ("*a*b*c", "xxaybz", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn paths_are_found_below_a_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["a/x.log", "a/b/y.log", "a/b/.z.log", "c/x.txt"] {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("a/loop")).unwrap();
        let found = |pattern: &str| {
            expand(root, pattern, 100)
                .iter()
                .map(|path| path.strip_prefix(root).unwrap().display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("/a/*.log"), ["a/x.log"]);
        assert_eq!(found("/**/*.log"), ["a/b/y.log", "a/x.log"]);
        assert_eq!(found("/a/b/.*"), ["a/b/.z.log"]);
        assert_eq!(found("/a/x.log"), ["a/x.log"]);
        assert_eq!(found("/a/../c/*"), Vec::<String>::new());
        assert_eq!(expand(root, "/**", 2).len(), 2);
    }
}
