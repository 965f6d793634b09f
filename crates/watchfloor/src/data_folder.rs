//! The data folder: one server at a time, and no data of a newer version.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Version of the folder's layout. Each step up is a migration; steps down do not exist.
const VERSION: u32 = 1;

/// A data folder that this process alone may write to.
#[derive(Debug)]
pub(crate) struct DataFolder {
    pub path: PathBuf,
    /// Held until the process ends.
    _lock: File,
}

impl DataFolder {
    /// Takes the folder, making it if need be. `None` if a server has it.
    pub(crate) fn try_take(path: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(path).with_context(|| {
            format!(
                "cannot make the data folder {}; name one that you may write to with --data",
                path.display()
            )
        })?;
        check_version(path)?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path);
        let lock = lock.with_context(|| {
            format!(
                "cannot write to the data folder {}; check its rights, or name another with --data",
                path.display()
            )
        })?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self {
                path: path.to_owned(),
                _lock: lock,
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", lock_path.display()))
            }
        }
    }

    /// Takes the folder; an error if a server has it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        match Self::try_take(path)? {
            Some(folder) => Ok(folder),
            None => bail!(
                "the data folder {} is used by a running server; stop it, or name another folder with --data",
                path.display()
            ),
        }
    }
}

fn check_version(path: &Path) -> Result<()> {
    let file = path.join("VERSION");
    match std::fs::read_to_string(&file) {
        Ok(text) => {
            let version: u32 = text.trim().parse().with_context(|| {
                format!(
                    "{} holds no number; this is no data folder of Watchfloor",
                    file.display()
                )
            })?;
            if version > VERSION {
                bail!(
                    "the data folder {} has version {version}, this program knows up to {VERSION}; use a newer program, or name another folder with --data",
                    path.display()
                );
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => std::fs::write(
            &file,
            format!("{VERSION}\n"),
        )
        .with_context(|| {
            format!(
                "cannot write to the data folder {}; check its rights, or name another with --data",
                path.display()
            )
        }),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_newer() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataFolder::take(folder.path()).unwrap();
        let second = DataFolder::take(folder.path()).unwrap_err().to_string();
        assert!(second.contains("running server"), "{second}");
        drop(first);
        std::fs::write(folder.path().join("VERSION"), "99\n").unwrap();
        let newer = DataFolder::take(folder.path()).unwrap_err().to_string();
        assert!(newer.contains("version 99"), "{newer}");
    }
}
