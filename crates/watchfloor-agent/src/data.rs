//! The agent's folder: who it is, which server is its own, and where everything else stands.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where the folder is unless told otherwise.
pub(crate) const DEFAULT_FOLDER: &str = "/var/lib/watchfloor-agent";

/// The agent's folder; all in it is for its user only.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
}

/// What enrolment settles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// `HOST:PORT` of the server.
    pub(crate) server: String,
    /// The agent's id.
    pub(crate) agent: String,
    /// Key that signs versions of the agent, hexadecimal; empty where the server gave none.
    #[serde(default)]
    pub(crate) update_key: String,
}

impl DataFolder {
    /// Opens the folder, makes it where it is missing.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)?;
        Ok(Self {
            root: root.to_owned(),
        })
    }

    /// The folder itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A folder in it, made where it is missing.
    pub(crate) fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)?;
        Ok(path)
    }

    /// What enrolment settled, if the agent is enrolled.
    pub(crate) fn settings(&self) -> Option<Settings> {
        self.read_json("settings.json")
    }

    /// Reads a file of JSON; `None` if it is missing or cannot be read.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = fs::read(self.path(name)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes a file of JSON so that there is the old or the new one, never half of it.
    pub(crate) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
        write_atomically(&self.path(name), &bytes, 0o600)
    }

    /// As [`DataFolder::write_json`], for bytes.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        write_atomically(&self.path(name), bytes, 0o600)
    }
}

/// Writes a file beside its place, syncs it and moves it there.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    // A file that a crash left here might have another mode.
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    sync_folder_of(path);
    Ok(())
}

/// Makes names in the folder of a path durable.
pub(crate) fn sync_folder_of(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| fs::File::open(folder).ok()) {
        // Some file systems cannot sync folders; the names follow with their next commit.
        let _ = folder.sync_all();
    }
}

/// SHA-256 of bytes, hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}
