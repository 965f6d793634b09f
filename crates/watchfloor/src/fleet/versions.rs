//! Versions of the agent: the binaries that can be downloaded and offered to agents.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use watchfloor_fleet::Authority;
use watchfloor_link::{Frame, HostIdentity, ToAgent, UpdateOffer};

/// Begins the names of the binaries: `watchfloor-agent-VERSION-TARGET`.
const PREFIX: &str = "watchfloor-agent-";
/// Bytes of a part of a binary.
const PART_BYTES: usize = 512 * 1024;
/// Largest binary in bytes.
const BINARY_BYTES_MAX: u64 = 256 << 20;

/// A binary of the agent.
#[derive(Clone, Debug)]
pub(super) struct Binary {
    pub(super) version: String,
    pub(super) target: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) path: PathBuf,
}

/// All binaries: the one beside the server's, and those in the data folder.
pub(super) struct Versions {
    binaries: BTreeMap<(String, String), Binary>,
}

impl Versions {
    /// Looks for binaries; what cannot be read is not offered.
    pub(super) fn open(folder: &Path) -> Self {
        let mut binaries = BTreeMap::new();
        let mut add = |version: &str, target: &str, path: PathBuf| match Binary::read(
            version, target, path,
        ) {
            Ok(binary) => {
                binaries.insert((version.to_owned(), target.to_owned()), binary);
            }
            Err(error) => tracing::warn!(%error, version, target, "a binary of the agent"),
        };
        if let Some(own) = beside_the_server() {
            add(env!("CARGO_PKG_VERSION"), &own_target(), own);
        }
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let rest = name
                .strip_prefix(PREFIX)
                .and_then(|rest| rest.split_once('-'));
            if let Some((version, target)) = rest {
                add(version, target, entry.path());
            }
        }
        Self { binaries }
    }

    /// All of them, by version and target.
    pub(super) fn all(&self) -> impl Iterator<Item = &Binary> {
        self.binaries.values()
    }

    /// The newest binary for a target.
    pub(super) fn newest(&self, target: &str) -> Option<&Binary> {
        let of_target = self.all().filter(|one| one.target == target);
        of_target.max_by_key(|one| numbers(&one.version))
    }

    /// Whether a version is there at all.
    pub(super) fn has(&self, version: &str) -> bool {
        self.all().any(|one| one.version == version)
    }

    /// The offer to an agent that is to run another version than it does.
    pub(super) fn offer(
        &self,
        authority: &Authority,
        running: &str,
        host: &HostIdentity,
        wanted: Option<&str>,
    ) -> Option<Arc<[u8]>> {
        let wanted = wanted.filter(|wanted| *wanted != running)?;
        let target = format!("{}-{}", host.os, host.arch);
        let binary = self.binaries.get(&(wanted.to_owned(), target))?;
        let text = UpdateOffer::signed_text(&binary.version, &binary.target, &binary.sha256);
        let offer = UpdateOffer {
            version: binary.version.clone(),
            size: binary.size,
            sha256: binary.sha256.clone(),
            signature: authority.sign(&text),
        };
        let frame = Frame::from(ToAgent::Update { offer }).encode().ok()?;
        Some(frame.into())
    }

    /// A part of a binary.
    pub(super) fn part(&self, version: &str, target: &str, offset: u64) -> Option<Vec<u8>> {
        let binary = self
            .binaries
            .get(&(version.to_owned(), target.to_owned()))?;
        let file = File::open(&binary.path).ok()?;
        let mut part = vec![0; PART_BYTES];
        let mut length = 0;
        while length < part.len() {
            match file
                .read_at(&mut part[length..], offset + length as u64)
                .ok()?
            {
                0 => break,
                read => length += read,
            }
        }
        part.truncate(length);
        Some(part)
    }
}

impl Binary {
    fn read(version: &str, target: &str, path: PathBuf) -> std::io::Result<Self> {
        let size = std::fs::metadata(&path)?.len();
        if size > BINARY_BYTES_MAX {
            return Err(std::io::Error::other("it is larger than 256 MiB"));
        }
        let mut hasher = Sha256::new();
        std::io::copy(&mut File::open(&path)?, &mut Hashing(&mut hasher))?;
        Ok(Self {
            version: version.to_owned(),
            target: target.to_owned(),
            size,
            sha256: hex::encode(hasher.finalize()),
            path,
        })
    }
}

struct Hashing<'h>(&'h mut Sha256);

impl std::io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn own_target() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn beside_the_server() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    let agent = own.with_file_name("watchfloor-agent");
    agent.is_file().then_some(agent)
}

/// The numbers of a version, so that 1.10 comes after 1.9.
fn numbers(version: &str) -> Vec<u64> {
    let parts = version.split(['.', '-', '+']);
    parts.map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_by_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("watchfloor-agent-1.9.0-linux-aarch64", "nine"),
            ("watchfloor-agent-1.10.0-linux-aarch64", "ten"),
            ("else", ""),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let versions = Versions::open(folder.path());
        let newest = versions.newest("linux-aarch64").unwrap();
        assert_eq!(newest.version, "1.10.0");
        assert_eq!(newest.size, 3);
        assert_eq!(versions.part("1.9.0", "linux-aarch64", 2).unwrap(), b"ne");
        assert!(
            versions
                .part("1.9.0", "linux-aarch64", 4)
                .unwrap()
                .is_empty()
        );
        assert!(versions.part("2.0.0", "linux-aarch64", 0).is_none());
    }
}
