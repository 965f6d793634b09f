//! Collecting files and state of the host for examination: one archive, with a list of what is in
//! it and of what is not and why.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest;
use serde::Serialize;
use watchfloor_link::{ArtifactDefinition, Frame, ToServer};

use super::Done;
use crate::collect::inventory;
use crate::core::{Core, lock};
use crate::glob;

/// Most bytes of the files in one archive, before they are packed.
const TOTAL_BYTES_MAX: u64 = 512 << 20;
/// Most bytes of one file unless its definition says otherwise.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Files of one artifact.
const FILES_MAX: usize = 5_000;
/// Bytes of one part on its way to the server.
const PART_BYTES: usize = 512 << 10;
/// Longest wait until the server says that it keeps the file, on one connection.
const KEPT_MAX: Duration = Duration::from_secs(300);
/// Connections on which the file is sent.
const TRIES_MAX: u32 = 20;

/// A line of the list.
#[derive(Debug, Serialize)]
struct Listed {
    artifact: String,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_s: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    changed_s: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    /// Why it is not in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<String>,
}

/// Collects and sends; answers once the server keeps it.
pub(super) fn collect(core: &Core, key: &str, names: &[String]) -> Result<Done> {
    let policy = core.policy();
    let wanted = choose(&policy.artifacts, names)?;
    let folder = core.data.folder("triage")?;
    let path = folder.join(format!(
        "{}.tar.gz",
        crate::data::sha256_hex(key.as_bytes())
    ));
    let result = gather(core, key, &wanted, &path).and_then(|gathered| {
        core.ledger
            .progress(key, "sending what was collected".to_owned());
        let name = format!("triage-{}.tar.gz", core.host.name.replace(['/', '\0'], "_"));
        send(core, key, &name, &path, &gathered.sha256)?;
        Ok(Done::new(format!(
            "collected {} files of {} artifacts; {} were left out",
            gathered.files,
            wanted.len(),
            gathered.left_out
        ))
        .with("file", name)
        .with("sha256", gathered.sha256)
        .with("size", fs::metadata(&path)?.len().to_string()))
    });
    // It is on the server, or it is collected anew.
    let _ = fs::remove_file(&path);
    result
}

/// All artifacts unless some are named.
fn choose<'a>(
    all: &'a BTreeMap<String, ArtifactDefinition>,
    names: &[String],
) -> Result<Vec<(&'a str, &'a ArtifactDefinition)>> {
    if all.is_empty() {
        bail!("the policy of this host has no artifacts");
    }
    if names.is_empty() {
        return Ok(all.iter().map(|(name, one)| (name.as_str(), one)).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        match all.get_key_value(name) {
            Some((name, one)) => chosen.push((name.as_str(), one)),
            None => bail!("the policy of this host has no artifact {name:?}"),
        }
    }
    Ok(chosen)
}

struct Gathered {
    sha256: String,
    files: usize,
    left_out: usize,
}

/// Hashes what goes to a file.
struct Hashing {
    file: File,
    hash: digest::Context,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

type Archive = tar::Builder<GzEncoder<Hashing>>;

fn gather(
    core: &Core,
    key: &str,
    wanted: &[(&str, &ArtifactDefinition)],
    path: &Path,
) -> Result<Gathered> {
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)
        .context("the archive cannot be begun")?;
    let hashing = Hashing {
        file,
        hash: digest::Context::new(&digest::SHA256),
    };
    let mut archive = tar::Builder::new(GzEncoder::new(hashing, Compression::new(4)));
    let mut listed = Vec::new();
    let mut left = TOTAL_BYTES_MAX;
    for (name, artifact) in wanted {
        for state in &artifact.states {
            listed.push(add_state(core, &mut archive, name, state)?);
        }
        for pattern in &artifact.paths {
            for file in glob::expand(Path::new("/"), pattern, FILES_MAX) {
                if file.starts_with(core.data.root()) {
                    continue;
                }
                let most = artifact.file_bytes_max.unwrap_or(FILE_BYTES_MAX).min(left);
                if let Some(one) = add_file(&mut archive, name, &file, most)? {
                    left -= one
                        .size
                        .filter(|_| one.left_out.is_none())
                        .unwrap_or(0)
                        .min(left);
                    listed.push(one);
                }
                core.ledger
                    .progress(key, format!("{} files collected", listed.len()));
                core.pace.step();
                if !core.is_running() {
                    bail!("the agent ended");
                }
            }
        }
    }
    add_bytes(
        &mut archive,
        "manifest.json",
        &serde_json::to_vec_pretty(&listed)?,
    )?;
    let hashing = archive.into_inner()?.finish()?;
    hashing.file.sync_all()?;
    let left_out = listed.iter().filter(|one| one.left_out.is_some()).count();
    Ok(Gathered {
        sha256: hex::encode(hashing.hash.finish()),
        files: listed.len() - left_out,
        left_out,
    })
}

fn add_bytes(archive: &mut Archive, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    archive.append_data(&mut header, name, bytes)
}

fn add_state(core: &Core, archive: &mut Archive, artifact: &str, state: &str) -> Result<Listed> {
    let name = format!("state/{state}.json");
    let mut listed = Listed::new(artifact, &format!("state:{state}"));
    match inventory::state(core, state) {
        Some(rows) => {
            let bytes = serde_json::to_vec_pretty(&rows)?;
            add_bytes(archive, &name, &bytes)?;
            listed.size = Some(bytes.len() as u64);
            listed.sha256 = Some(crate::data::sha256_hex(&bytes));
            listed.name = Some(name);
        }
        None => listed.left_out = Some("this agent does not know this state".to_owned()),
    }
    Ok(listed)
}

impl Listed {
    fn new(artifact: &str, path: &str) -> Self {
        Self {
            artifact: artifact.to_owned(),
            path: path.to_owned(),
            name: None,
            size: None,
            sha256: None,
            modified_s: None,
            changed_s: None,
            mode: None,
            uid: None,
            left_out: None,
        }
    }
}

/// Adds a file; `None` for folders. A file that grows meanwhile is kept as long as it was.
fn add_file(
    archive: &mut Archive,
    artifact: &str,
    path: &Path,
    most: u64,
) -> Result<Option<Listed>> {
    let mut listed = Listed::new(artifact, &path.to_string_lossy());
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(None);
    };
    if meta.is_dir() {
        return Ok(None);
    }
    listed.size = Some(meta.len());
    listed.modified_s = Some(meta.mtime());
    listed.changed_s = Some(meta.ctime());
    listed.mode = Some(format!("{:o}", meta.mode() & 0o7777));
    listed.uid = Some(meta.uid());
    if !meta.is_file() {
        let target = fs::read_link(path).map(|target| target.to_string_lossy().into_owned());
        listed.left_out = Some(match target {
            Ok(target) => format!("a link to {target}"),
            Err(_) => "no regular file".to_owned(),
        });
        return Ok(Some(listed));
    }
    if meta.len() > most {
        listed.left_out = Some(format!("{} bytes are more than {most}", meta.len()));
        return Ok(Some(listed));
    }
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits() as i32)
        .open(path);
    match opened {
        Ok(file) => {
            let name = format!("files{}", path.to_string_lossy());
            let (sha256, size) = append(archive, &name, file, &meta)?;
            listed.name = Some(name);
            listed.sha256 = Some(sha256);
            listed.size = Some(size);
        }
        Err(error) => listed.left_out = Some(error.to_string()),
    }
    Ok(Some(listed))
}

/// Files of `/proc` say that they are empty; those are read first.
fn append(
    archive: &mut Archive,
    name: &str,
    file: File,
    meta: &fs::Metadata,
) -> Result<(String, u64)> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(meta.mode() & 0o777);
    header.set_mtime(u64::try_from(meta.mtime()).unwrap_or(0));
    if meta.len() == 0 {
        let mut bytes = Vec::new();
        // A file that cannot be read to its end is kept as far as it could.
        let _ = file.take(1 << 20).read_to_end(&mut bytes);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, name, bytes.as_slice())?;
        return Ok((crate::data::sha256_hex(&bytes), bytes.len() as u64));
    }
    header.set_size(meta.len());
    let mut exact = Exact {
        file,
        left: meta.len(),
        hash: digest::Context::new(&digest::SHA256),
    };
    archive.append_data(&mut header, name, &mut exact)?;
    Ok((hex::encode(exact.hash.finish()), meta.len()))
}

/// Gives exactly as many bytes as were promised, with zeros for what a shrunk file lacks.
struct Exact {
    file: File,
    left: u64,
    hash: digest::Context,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = match self.file.read(&mut buffer[..most]) {
            Ok(count) if count > 0 => count,
            _ => {
                buffer[..most].fill(0);
                most
            }
        };
        self.hash.update(&buffer[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

/// Sends a file, from its beginning on each new connection, until the server keeps it.
fn send(core: &Core, key: &str, name: &str, path: &Path, sha256: &str) -> Result<()> {
    for _ in 0..TRIES_MAX {
        let connection = core.connection();
        send_parts(core, key, name, path, sha256)?;
        let until = Instant::now() + KEPT_MAX;
        while core.connection() == connection && Instant::now() < until {
            if is_kept(core, key, name) {
                return Ok(());
            }
            if !core.rest(Duration::from_millis(50)) {
                bail!("the agent ended");
            }
        }
    }
    bail!("the server does not say that it keeps the file")
}

fn is_kept(core: &Core, key: &str, name: &str) -> bool {
    let mut stored = lock(&core.files_stored);
    let before = stored.len();
    stored.retain(|(of, file)| of != key || file != name);
    stored.len() < before
}

fn send_parts(core: &Core, key: &str, name: &str, path: &Path, sha256: &str) -> Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut offset = 0;
    loop {
        let mut payload = Vec::new();
        Read::by_ref(&mut file)
            .take(PART_BYTES as u64)
            .read_to_end(&mut payload)?;
        let next = offset + payload.len() as u64;
        let is_last = next >= size || payload.is_empty();
        let frame = Frame {
            message: ToServer::File {
                key: key.to_owned(),
                name: name.to_owned(),
                offset,
                sha256: is_last.then(|| sha256.to_owned()),
            },
            payload,
        };
        core.outgoing
            .blocking_send(frame)
            .context("the agent ended")?;
        if is_last {
            return Ok(());
        }
        offset = next;
    }
}

/// What a crash left of archives.
pub(super) fn sweep(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    for path in paths {
        let _ = fs::remove_file(path);
    }
}
