//! Files that agents collect: parts in order, whole files by their hash.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchfloor_fleet::{FilePart, Session};
use watchfloor_model::{ActionId, AgentFile, AgentId, TenantId};

use super::Fleet;

/// Largest file in bytes.
const FILE_BYTES_MAX: u64 = 2 << 30;
/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Keeps a part of a file for an action that waits for it; says whether the file is whole.
pub(super) async fn keep(
    fleet: &Fleet,
    session: &Session,
    part: FilePart<'_>,
) -> Result<bool, String> {
    let inner = &fleet.0;
    if !inner.registry.expects(&session.who, part.key) {
        return Err(format!("nobody waits for files of action {}", part.key));
    }
    let action = action_of(part.key).ok_or("the key names no action")?;
    let folder = inner
        .collected
        .join(&session.who.tenant)
        .join(action.as_str());
    let path = place(&folder, part.name).map_err(|error| format!("{error:#}"))?;
    let whole = write(&path, &part).map_err(|error| format!("{error:#}"))?;
    let Some((size, sha256)) = whole else {
        return Ok(false);
    };
    let file = AgentFile {
        action,
        name: part.name.to_owned(),
        agent: AgentId::new(&session.who.agent).map_err(|error| error.to_string())?,
        size,
        sha256,
        kept_at: Timestamp::now(),
    };
    let tenant = TenantId::new(&session.who.tenant).map_err(|error| error.to_string())?;
    let kept = inner
        .casework
        .keep_agent_file(&tenant, &session.host, &file)
        .await;
    kept.map_err(|error| error.to_string())?;
    Ok(true)
}

/// Where a collected file stands.
pub(super) fn path_of(
    collected: &Path,
    tenant: &TenantId,
    action: &ActionId,
    name: &str,
) -> Result<PathBuf> {
    place(&collected.join(tenant.as_str()).join(action.as_str()), name)
}

/// The action that a key stands for (`wf-act-7-0123456789abcdef`).
fn action_of(key: &str) -> Option<ActionId> {
    let (id, _) = key.strip_prefix("wf-")?.rsplit_once('-')?;
    id.parse().ok()
}

fn place(folder: &Path, name: &str) -> Result<PathBuf> {
    let is_plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len());
    if !fits || !is_plain || name.starts_with('.') {
        bail!("the name of a file has other signs than letters, digits, '-', '_', '.'");
    }
    Ok(folder.join(name))
}

/// Writes a part; with the last one, the file gets its name once its hash is right.
fn write(path: &Path, part: &FilePart<'_>) -> Result<Option<(u64, String)>> {
    let folder = path.parent().context("no folder")?;
    std::fs::create_dir_all(folder).context("a collected file cannot be kept")?;
    let partial = path.with_file_name(format!(
        ".{}.part",
        path.file_name().unwrap_or_default().to_string_lossy()
    ));
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(part.offset == 0)
        .open(&partial)
        .context("a collected file cannot be kept")?;
    let length = file.metadata()?.len();
    if part.offset > length {
        bail!(
            "a part begins at byte {} and {length} are there",
            part.offset
        );
    }
    let end = part.offset + part.bytes.len() as u64;
    if end > FILE_BYTES_MAX {
        bail!("the file is larger than {FILE_BYTES_MAX} bytes");
    }
    file.seek(SeekFrom::Start(part.offset))?;
    file.write_all(part.bytes)
        .context("a collected file cannot be kept")?;
    let Some(announced) = part.sha256 else {
        return Ok(None);
    };
    file.set_len(end)?;
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let found = hash(&mut file)?;
    if !found.eq_ignore_ascii_case(announced) {
        bail!("the file has the hash {found} and not {announced}; send it again");
    }
    std::fs::rename(&partial, path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(Some((end, found)))
}

fn hash(file: &mut std::fs::File) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut block = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hex::encode(hasher.finalize()));
        }
        hasher.update(&block[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part<'a>(offset: u64, bytes: &'a [u8], sha256: Option<&'a str>) -> FilePart<'a> {
        FilePart {
            key: "wf-act-7-00",
            name: "triage.tar.gz",
            offset,
            bytes,
            sha256,
        }
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = place(folder.path(), "triage.tar.gz").unwrap();
        let whole = hex::encode(Sha256::digest(b"abcdef"));
        assert_eq!(write(&path, &part(0, b"abc", None)).unwrap(), None);
        assert!(write(&path, &part(9, b"def", None)).is_err());
        assert!(write(&path, &part(3, b"xyz", Some(&whole))).is_err());
        assert!(!path.exists());
        let done = write(&path, &part(3, b"def", Some(&whole))).unwrap();
        assert_eq!(done, Some((6, whole)));
        assert_eq!(std::fs::read(&path).unwrap(), b"abcdef");
    }

    #[test]
    fn names_stay_in_their_folder_and_keys_name_actions() {
        for name in ["", "..", "../x", "a/b", ".hidden", "a\0b", &"x".repeat(129)] {
            assert!(place(Path::new("/f"), name).is_err(), "{name:?}");
        }
        assert_eq!(action_of("wf-act-7-0123").unwrap().as_str(), "act-7");
        assert!(action_of("else").is_none());
    }
}
