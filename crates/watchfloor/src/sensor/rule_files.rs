//! Rule sets: fetched, kept as they came, and made into the one file of rules that is in use.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;

use super::configuration;
use super::process;
use super::settings::Settings;
use super::tuning::{Tuner, sid_of, threshold_lines};

/// Folder of the sets as they came, in the sensor's folder.
const SETS: &str = "rule-sets";
/// The rules in use.
pub(super) const ACTIVE: &str = "active.rules";
/// Limits on an archive: files, bytes of all of them, bytes of one download.
const MAX_FILES: usize = 2_000;
const MAX_BYTES: u64 = 512 << 20;
const MAX_DOWNLOAD: usize = 256 << 20;
/// Longest time that a download may take.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// What is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Active {
    /// Rules in use.
    pub rules: usize,
    /// Rules of the sets that are off.
    pub off: usize,
    /// Numbers that stood twice; the first counts.
    pub doubled: usize,
    /// Rule files.
    pub files: usize,
}

/// Fetches every rule set anew. A set that cannot be had stays as it was, and is named.
pub(crate) async fn update(folder: &Path, settings: &Settings) -> Vec<(String, anyhow::Error)> {
    let mut faults = Vec::new();
    for (name, place) in &settings.rule_sets {
        if let Err(error) = take(folder, name, place).await {
            faults.push((name.clone(), error));
        }
    }
    faults
}

async fn take(folder: &Path, name: &str, place: &str) -> Result<()> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if name.is_empty() || !name.chars().all(is_plain) {
        bail!("the name of a rule set has letters, digits, - and _ only");
    }
    let files = if place.starts_with("https://") || place.starts_with("http://") {
        of_bytes(place, &fetch(place).await?)?
    } else {
        of_path(Path::new(place))?
    };
    if files.is_empty() {
        bail!("no rule file (*.rules) is in {place}");
    }
    let target = folder.join(SETS).join(name);
    let fresh = folder.join(SETS).join(format!("{name}.new"));
    let _ = std::fs::remove_dir_all(&fresh);
    std::fs::create_dir_all(&fresh)
        .with_context(|| format!("cannot make the folder {}", fresh.display()))?;
    for (file, text) in files {
        let path = fresh.join(&file);
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let _ = std::fs::remove_dir_all(&target);
    std::fs::rename(&fresh, &target)
        .with_context(|| format!("cannot put {} in its place", target.display()))
}

async fn fetch(url: &str) -> Result<Vec<u8>> {
    let client = watchfloor_forward::http_client(FETCH_LIMIT)?;
    let mut answer = client
        .get(url)
        .send()
        .await
        .context("it cannot be fetched")?;
    if !answer.status().is_success() {
        bail!("{url} answered {}", answer.status());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.context("the download broke off")? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_DOWNLOAD {
            bail!("{url} gives more than {MAX_DOWNLOAD} bytes");
        }
    }
    Ok(bytes)
}

/// Rule files by name.
type Files = BTreeMap<String, Vec<u8>>;

fn of_path(path: &Path) -> Result<Files> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_file() {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        return of_bytes(&path.to_string_lossy(), &bytes);
    }
    let mut files = Files::new();
    let entries =
        std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if is_rule_file(&path) {
            let bytes =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.insert(entry.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    Ok(files)
}

fn of_bytes(name: &str, bytes: &[u8]) -> Result<Files> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        let file = Path::new(name).file_name().unwrap_or_default();
        let mut file = file.to_string_lossy().into_owned();
        if !file.ends_with(".rules") {
            file.push_str(".rules");
        }
        return Ok(Files::from([(file, bytes.to_vec())]));
    }
    let mut archive = tar::Archive::new(GzDecoder::new(bytes).take(MAX_BYTES));
    let mut files = Files::new();
    for entry in archive.entries().context("it is no tar.gz archive")? {
        let mut entry = entry.context("the archive is damaged")?;
        let path = entry.path().context("the archive is damaged")?.into_owned();
        if !is_rule_file(&path) || files.len() >= MAX_FILES {
            continue;
        }
        // The name alone: a path of an archive may lead anywhere.
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut text = Vec::new();
        entry
            .read_to_end(&mut text)
            .context("the archive is damaged")?;
        files.insert(file, text);
    }
    Ok(files)
}

fn is_rule_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "rules")
}

/// Makes the rules in use from the sets and the tuning, and has Suricata test them; on a fault
/// those before stay in use.
pub(crate) fn build(folder: &Path, settings: &Settings) -> Result<Active> {
    let tuner = Tuner::new(&settings.tuning)?;
    let mut active = Active::default();
    let mut known = BTreeSet::new();
    let mut text = String::new();
    for (set, path) in rule_files(folder)? {
        active.files += 1;
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        text += &format!("# {set}/{name}\n");
        for line in joined_lines(&String::from_utf8_lossy(&bytes)) {
            match tuner.apply(&name, &line) {
                Some(rule) if sid_of(&rule).is_none_or(|sid| known.insert(sid)) => {
                    active.rules += 1;
                    text += &rule;
                    text.push('\n');
                }
                Some(_) => active.doubled += 1,
                None => active.off += usize::from(line.contains("sid:")),
            }
        }
    }
    let fresh = folder.join("active.rules.new");
    std::fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
    let threshold = threshold_lines(&settings.tuning)?;
    std::fs::write(folder.join(configuration::THRESHOLD), threshold)
        .context("threshold.config cannot be written")?;
    let config = configuration::write(folder, settings, &configuration::Output::Test)?;
    let program = process::program(settings)?;
    process::test_rules(&program, &config, &fresh)?;
    std::fs::rename(&fresh, folder.join(ACTIVE)).context("the rules cannot be put in place")?;
    Ok(active)
}

/// Rule files of all sets with the set's name, in order.
fn rule_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let Ok(sets) = std::fs::read_dir(folder.join(SETS)) else {
        return Ok(found);
    };
    for set in sets.flatten() {
        let name = set.file_name().to_string_lossy().into_owned();
        if name.ends_with(".new") {
            continue;
        }
        let files = std::fs::read_dir(set.path());
        let files = files.with_context(|| format!("cannot read {}", set.path().display()))?;
        let files = files
            .flatten()
            .map(|file| file.path())
            .filter(|path| is_rule_file(path));
        found.extend(files.map(|path| (name.clone(), path)));
    }
    found.sort();
    Ok(found)
}

/// Lines, with those that end in a backslash joined to the next.
fn joined_lines(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let (part, goes_on) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some(last) if is_open => last.push_str(part),
            _ => lines.push(part.to_owned()),
        }
        is_open = goes_on;
    }
    lines
}
