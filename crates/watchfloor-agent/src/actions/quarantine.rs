//! Taking a file away so that nobody runs it, and giving it back as it was.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ring::digest;
use rustix::fs::{Gid, RenameFlags, Timespec, Timestamps, Uid, XattrFlags};
use serde::{Deserialize, Serialize};

use super::Done;
use crate::core::Core;
use crate::data::{sync_folder_of, write_atomically};

/// Kept files are not the bytes that they were: nothing runs or scans them by accident.
const MASK: u8 = 0xa5;
/// Longest file that is taken.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// Longest value of an extended attribute that is kept.
const ATTRIBUTE_BYTES_MAX: usize = 64 << 10;

/// What a file was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    sha256: String,
    size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    accessed: (i64, i64),
    modified: (i64, i64),
    attributes: Vec<(String, String)>,
    taken_ms: i64,
}

/// Takes a file away.
pub(super) fn quarantine(core: &Core, path: &Path, sha256: Option<String>) -> Result<Done> {
    let folder = core.data.folder("quarantine")?;
    if path.starts_with(core.data.root()) || path == core.binary {
        bail!("the agent does not take its own files away");
    }
    take_away(&folder, path, sha256.as_deref())
}

/// Gives the file back that was last taken from a path.
pub(super) fn restore(core: &Core, path: &Path) -> Result<Done> {
    give_back(&core.data.folder("quarantine")?, path)
}

fn take_away(folder: &Path, path: &Path, sha256: Option<&str>) -> Result<Done> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags((rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits() as i32)
        .open(path)
        .with_context(|| format!("{} cannot be opened, or is a link", path.display()))?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        bail!("{} is no regular file", path.display());
    }
    if meta.len() > FILE_BYTES_MAX {
        bail!(
            "{} has {} bytes; at most {FILE_BYTES_MAX}",
            path.display(),
            meta.len()
        );
    }
    let taken_ms = crate::clock::own_ms();
    let store = folder.join(format!("{taken_ms}-{}.bin", meta.ino()));
    let found = copy_masked(&mut file, &store)
        .with_context(|| format!("no copy of {} could be made", path.display()))?;
    let result = finish_taking(path, &meta, sha256, &found, &store, taken_ms);
    if result.is_err() {
        // The file stays where it is; half of a quarantine would only confuse.
        let _ = fs::remove_file(&store);
        let _ = fs::remove_file(store.with_extension("json"));
    }
    result
}

fn finish_taking(
    path: &Path,
    meta: &fs::Metadata,
    sha256: Option<&str>,
    found: &str,
    store: &Path,
    taken_ms: i64,
) -> Result<Done> {
    if let Some(expected) = sha256
        && expected != found
    {
        bail!(
            "{} has the hash {found} and not {expected}; it is another file",
            path.display()
        );
    }
    let kept = Kept {
        path: path.to_owned(),
        sha256: found.to_owned(),
        size: meta.len(),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        accessed: (meta.atime(), meta.atime_nsec()),
        modified: (meta.mtime(), meta.mtime_nsec()),
        attributes: attributes(path),
        taken_ms,
    };
    let words = serde_json::to_vec_pretty(&kept)?;
    write_atomically(&store.with_extension("json"), &words, 0o600)?;
    let now = fs::symlink_metadata(path)?;
    if (now.dev(), now.ino()) != (meta.dev(), meta.ino()) {
        bail!("{} was replaced meanwhile", path.display());
    }
    fs::remove_file(path)
        .with_context(|| format!("{} cannot be removed; is it immutable?", path.display()))?;
    sync_folder_of(path);
    let mut done = Done::new(format!("took {} away", path.display()))
        .with("sha256", found)
        .with("size", meta.len().to_string())
        .with("kept_as", store.display().to_string());
    if meta.nlink() > 1 {
        let others = format!(
            "{} other names of the file are still there",
            meta.nlink() - 1
        );
        done = done.with("note", others);
    }
    Ok(done)
}

/// Copies a file under the mask, with no rights for anybody, and answers the hash of the plain one.
fn copy_masked(from: &mut File, to: &Path) -> io::Result<String> {
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let hash = pass_masked(from, &mut target, Hashed::Input)?;
    target.set_permissions(Permissions::from_mode(0o0))?;
    target.sync_all()?;
    Ok(hash)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hashed {
    Input,
    Output,
}

fn pass_masked(from: &mut impl Read, to: &mut impl Write, hashed: Hashed) -> io::Result<String> {
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(hex::encode(hash.finish()));
        }
        let part = &mut buffer[..count];
        if hashed == Hashed::Input {
            hash.update(part);
        }
        part.iter_mut().for_each(|byte| *byte ^= MASK);
        if hashed == Hashed::Output {
            hash.update(part);
        }
        to.write_all(part)?;
    }
}

fn give_back(folder: &Path, path: &Path) -> Result<Done> {
    let Some((store, kept)) = newest(folder, path)? else {
        bail!("no file from {} is kept here", path.display());
    };
    if path.symlink_metadata().is_ok() {
        bail!("{} is there again; it is not overwritten", path.display());
    }
    let parent = path.parent().context("a path without a folder")?;
    let beside = parent.join(format!(".watchfloor-{}.restore", kept.taken_ms));
    let result = write_back(&store, &beside, &kept).and_then(|()| {
        let cwd = rustix::fs::CWD;
        rustix::fs::renameat_with(cwd, &beside, cwd, path, RenameFlags::NOREPLACE)
            .with_context(|| format!("{} is there again", path.display()))
    });
    if result.is_err() {
        let _ = fs::remove_file(&beside);
    }
    result?;
    sync_folder_of(path);
    fs::remove_file(store.with_extension("json"))?;
    fs::remove_file(&store)?;
    Ok(Done::new(format!("gave {} back", path.display())).with("sha256", kept.sha256))
}

fn write_back(store: &Path, beside: &Path, kept: &Kept) -> Result<()> {
    // Its mode forbids reading to all but root.
    fs::set_permissions(store, Permissions::from_mode(0o400))?;
    let mut source = File::open(store)?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)?;
    let hash = pass_masked(&mut source, &mut target, Hashed::Output)?;
    if hash != kept.sha256 {
        bail!(
            "the kept file has the hash {hash} and not {}; it was changed",
            kept.sha256
        );
    }
    // The owner goes first: changing it takes special bits of the mode away.
    let (uid, gid) = (Uid::from_raw(kept.uid), Gid::from_raw(kept.gid));
    rustix::fs::fchown(&target, Some(uid), Some(gid)).context("the owner cannot be set")?;
    for (name, value) in &kept.attributes {
        let value = hex::decode(value)?;
        // Labels of a security module may not be settable; the file is more important.
        let _ = rustix::fs::fsetxattr(&target, name.as_str(), &value, XattrFlags::empty());
    }
    target.set_permissions(Permissions::from_mode(kept.mode))?;
    let time = |(tv_sec, tv_nsec): (i64, i64)| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(kept.accessed),
        last_modification: time(kept.modified),
    };
    rustix::fs::futimens(&target, &times)?;
    target.sync_all()?;
    Ok(())
}

fn newest(folder: &Path, path: &Path) -> Result<Option<(PathBuf, Kept)>> {
    let mut found: Option<(PathBuf, Kept)> = None;
    for entry in fs::read_dir(folder)?.flatten() {
        let file = entry.path();
        if file.extension().is_none_or(|one| one != "json") {
            continue;
        }
        let Ok(kept) = serde_json::from_slice::<Kept>(&fs::read(&file)?) else {
            continue;
        };
        let is_newer = found
            .as_ref()
            .is_none_or(|(_, one)| one.taken_ms < kept.taken_ms);
        if kept.path == path && is_newer {
            found = Some((file.with_extension("bin"), kept));
        }
    }
    Ok(found)
}

/// Extended attributes of a file, values in hexadecimal.
fn attributes(path: &Path) -> Vec<(String, String)> {
    let mut names = vec![0; ATTRIBUTE_BYTES_MAX];
    let Ok(length) = rustix::fs::llistxattr(path, names.as_mut_slice()) else {
        return Vec::new();
    };
    let names = names.get(..length).unwrap_or_default();
    let mut found = Vec::new();
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let Ok(name) = std::str::from_utf8(name) else {
            continue;
        };
        let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
        if let Ok(length) = rustix::fs::lgetxattr(path, name, value.as_mut_slice()) {
            let value = value.get(..length).unwrap_or_default();
            found.push((name.to_owned(), hex::encode(value)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_and_given_back_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = place.path().join("tool with blank");
        fs::write(&path, "malware").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o4755)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let hash = crate::data::sha256_hex(b"malware");

        let other = "0".repeat(64);
        assert!(take_away(folder.path(), &path, Some(&other)).is_err());
        assert!(path.exists() && fs::read_dir(folder.path()).unwrap().next().is_none());

        let done = take_away(folder.path(), &path, Some(&hash)).unwrap();
        assert!(!path.exists());
        assert_eq!(done.evidence["sha256"], hash);
        let store = PathBuf::from(&done.evidence["kept_as"]);
        assert_eq!(fs::metadata(&store).unwrap().mode() & 0o777, 0);

        fs::write(&path, "new one").unwrap();
        assert!(give_back(folder.path(), &path).is_err());
        fs::remove_file(&path).unwrap();
        give_back(folder.path(), &path).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"malware");
        assert_eq!(after.mode(), before.mode());
        assert_eq!(after.modified().unwrap(), before.modified().unwrap());
        assert!(
            give_back(folder.path(), &path).is_err(),
            "it is not kept any more"
        );
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
    }

    #[test]
    fn links_and_folders_are_refused() {
        let place = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let target = place.path().join("target");
        fs::write(&target, "x").unwrap();
        let link = place.path().join("link");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(take_away(folder.path(), &link, None).is_err());
        assert!(take_away(folder.path(), place.path(), None).is_err());
        assert!(target.exists());
    }
}
