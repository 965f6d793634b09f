//! Another version of the agent: fetched, checked against the key that came with enrolment, tried,
//! and taken back if it does not reach the server.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ring::{digest, signature};
use serde::{Deserialize, Serialize};
use watchfloor_link::UpdateOffer;

use crate::core::{Core, End};
use crate::platform::command;
use crate::record::{Fields, VERSION, put};
use crate::tell::tell;

/// File that says that a new version is on trial.
const STATE: &str = "update.json";
/// Longest binary.
const SIZE_MAX: u64 = 64 << 20;
/// Time in which a new version must be let in by the server.
const TRIAL: Duration = Duration::from_secs(300);
/// Starts in which a new version must manage that.
const STARTS_MAX: u32 = 3;

/// A new version on trial, or one that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Trial {
    version: String,
    is_on: bool,
    starts: u32,
    /// Hashes of binaries that failed: they are not fetched again.
    failed: Vec<String>,
    sha256: String,
}

/// The target of this binary, as it stands in what is signed: `linux-x86_64`.
fn target() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// A binary that is being fetched.
pub(crate) struct Fetch {
    offer: UpdateOffer,
    path: PathBuf,
    file: File,
    hash: digest::Context,
    offset: u64,
}

/// What follows a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There are more.
    More,
    /// It is whole.
    Whole,
}

impl Fetch {
    /// Begins to fetch what is offered, if it is to be run here.
    pub(crate) fn begin(core: &Core, offer: UpdateOffer) -> Option<Self> {
        let result = check(
            &offer,
            VERSION,
            &core.settings.update_key,
            &core.data.read_json::<Trial>(STATE).unwrap_or_default(),
        );
        let begun = result.and_then(|is_new| match is_new {
            true => Self::open(&core.data.path("update.bin"), offer.clone()).map(Some),
            false => Ok(None),
        });
        begun.unwrap_or_else(|error| {
            refuse(core, &offer.version, &format!("{error:#}"));
            None
        })
    }

    fn open(path: &Path, offer: UpdateOffer) -> Result<Self> {
        Ok(Self {
            offer,
            path: path.to_owned(),
            file: File::create(path).context("the new version cannot be kept")?,
            hash: digest::Context::new(&digest::SHA256),
            offset: 0,
        })
    }

    /// Its version.
    pub(crate) fn version(&self) -> &str {
        &self.offer.version
    }

    /// Where the next part begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes a part.
    pub(crate) fn part(&mut self, part: &[u8]) -> Result<Step> {
        if part.is_empty() {
            bail!("the server sent an empty part");
        }
        self.offset += part.len() as u64;
        if self.offset > self.offer.size {
            bail!("it is longer than was said");
        }
        self.hash.update(part);
        self.file
            .write_all(part)
            .context("the new version cannot be kept")?;
        if self.offset < self.offer.size {
            return Ok(Step::More);
        }
        self.file.sync_all()?;
        let found = hex::encode(self.hash.clone().finish());
        match found == self.offer.sha256.to_ascii_lowercase() {
            true => Ok(Step::Whole),
            false => bail!("its hash is {found} and not {}", self.offer.sha256),
        }
    }
}

/// Whether an offer is a newer version, signed for this target. An error for what must not be.
fn check(offer: &UpdateOffer, own: &str, key: &str, trial: &Trial) -> Result<bool> {
    if offer.version == own || trial.failed.contains(&offer.sha256) {
        return Ok(false);
    }
    if offer.size == 0 || offer.size > SIZE_MAX {
        bail!("{} bytes are no agent", offer.size);
    }
    let key = hex::decode(key).unwrap_or_default();
    let signed = hex::decode(&offer.signature).context("its signature is no signature")?;
    let text = UpdateOffer::signed_text(&offer.version, &target(), &offer.sha256);
    signature::UnparsedPublicKey::new(&signature::ED25519, key)
        .verify(text.as_bytes(), &signed)
        .ok()
        .with_context(|| format!("it is not signed for {} by the server's key", target()))?;
    match (numbers(&offer.version), numbers(own)) {
        (Some(offered), Some(own)) if offered > own => Ok(true),
        (Some(_), Some(_)) => bail!("{} is older than {own}", offer.version),
        _ => bail!("{:?} is no version", offer.version),
    }
}

/// Numbers of a version; what is behind a dash or a plus does not count.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let plain = version.split(['-', '+']).next()?;
    let mut parts = plain.split('.').map(str::parse::<u64>);
    let numbers = [
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    ];
    parts.next().is_none().then_some(numbers)
}

/// Says that an offer is not taken.
pub(crate) fn refuse(core: &Core, version: &str, reason: &str) {
    tell(format_args!("version {version:?} is refused: {reason}"));
    let mut fields = Fields::new();
    put(&mut fields, "component", "update");
    put(
        &mut fields,
        "message",
        format!("version {version:?} is refused: {reason}"),
    );
    core.observe("agent", "agent_trouble", fields);
}

/// Tries a binary that is whole, puts it in place and starts the agent again.
pub(crate) fn install(core: &Arc<Core>, fetch: Fetch) {
    let version = fetch.offer.version.clone();
    drop(fetch.file);
    if let Err(error) = put_in_place(core, &fetch.offer, &fetch.path) {
        refuse(core, &version, &format!("{error:#}"));
        return;
    }
    tell(format_args!(
        "version {version} is in place; starting again"
    ));
    core.end(End::Again);
}

fn put_in_place(core: &Core, offer: &UpdateOffer, path: &Path) -> Result<()> {
    // Beside the old one: only there a rename replaces it at once.
    let fresh = beside(&core.binary, "new");
    fs::copy(path, &fresh).with_context(|| format!("{}", fresh.display()))?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o755))?;
    File::open(&fresh)?.sync_all()?;
    let tried = smoke_test(&fresh, &offer.version);
    if let Err(error) = tried {
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    let trial = Trial {
        version: offer.version.clone(),
        is_on: true,
        starts: 0,
        sha256: offer.sha256.clone(),
        ..core.data.read_json(STATE).unwrap_or_default()
    };
    core.data.write_json(STATE, &trial)?;
    let previous = beside(&core.binary, "previous");
    let _ = fs::remove_file(&previous);
    fs::hard_link(&core.binary, &previous)
        .or_else(|_| fs::copy(&core.binary, &previous).map(drop))
        .context("the present version cannot be kept")?;
    fs::rename(&fresh, &core.binary).context("the new version cannot be put in place")?;
    let _ = fs::remove_file(path);
    Ok(())
}

/// A binary of another system or a broken one does not say its version.
fn smoke_test(path: &Path, version: &str) -> Result<()> {
    let said = command::run_path(path, &["version"], Duration::from_secs(20))?;
    match said.split_whitespace().any(|word| word == version) {
        true => Ok(()),
        false => bail!("it says that it is {:?} and not {version}", said.trim()),
    }
}

fn beside(binary: &Path, ending: &str) -> PathBuf {
    let mut name = binary.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// At the start: counts starts of a version on trial, and goes back if there were too many.
pub(crate) fn on_start(core: &Arc<Core>) {
    let Some(mut trial) = core.data.read_json::<Trial>(STATE).filter(|one| one.is_on) else {
        return;
    };
    trial.starts += 1;
    if core.data.write_json(STATE, &trial).is_err() || trial.starts > STARTS_MAX {
        go_back(core, "it was started too often without reaching the server");
        return;
    }
    core.spawn("update", crate::core::SMALL_STACK, |core| {
        let until = Instant::now() + trial_time();
        while core.rest(Duration::from_millis(500)) {
            let is_on = core
                .data
                .read_json::<Trial>(STATE)
                .is_some_and(|one| one.is_on);
            if !is_on {
                return;
            }
            if Instant::now() >= until {
                go_back(&core, "it did not reach the server in time");
                return;
            }
        }
    });
}

/// Tests cannot wait five minutes.
fn trial_time() -> Duration {
    let seconds = std::env::var("WATCHFLOOR_AGENT_TRIAL_S").ok();
    seconds
        .and_then(|text| text.parse().ok())
        .map_or(TRIAL, Duration::from_secs)
}

/// The server let the agent in: a version on trial stays.
pub(crate) fn confirm(core: &Core) {
    let Some(mut trial) = core.data.read_json::<Trial>(STATE).filter(|one| one.is_on) else {
        return;
    };
    trial.is_on = false;
    if core.data.write_json(STATE, &trial).is_ok() {
        let mut fields = Fields::new();
        put(&mut fields, "version", trial.version.as_str());
        put(&mut fields, "sha256", trial.sha256);
        core.observe("agent", "agent_updated", fields);
        tell(format_args!("version {} stays", trial.version));
    }
}

fn go_back(core: &Core, reason: &str) {
    let mut trial: Trial = core.data.read_json(STATE).unwrap_or_default();
    trial.is_on = false;
    let failed = trial.sha256.clone();
    trial.failed.push(failed);
    let previous = beside(&core.binary, "previous");
    let result = core
        .data
        .write_json(STATE, &trial)
        .and_then(|()| fs::rename(&previous, &core.binary));
    match result {
        Ok(()) => {
            refuse(
                core,
                &trial.version,
                &format!("{reason}; the one before is back"),
            );
            core.end(End::Again);
        }
        Err(error) => refuse(
            core,
            &trial.version,
            &format!("{reason}, and the one before cannot be put back: {error}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    fn offer(version: &str, signer: &Ed25519KeyPair, target: &str) -> UpdateOffer {
        let sha256 = "ab".repeat(32);
        let text = UpdateOffer::signed_text(version, target, &sha256);
        UpdateOffer {
            version: version.to_owned(),
            size: 10,
            signature: hex::encode(signer.sign(text.as_bytes())),
            sha256,
        }
    }

    #[test]
    fn only_newer_versions_that_the_server_signed_for_this_target_are_taken() {
        let signer = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = hex::encode(signer.public_key());
        let trial = Trial::default();
        let ask = |offer: &UpdateOffer, key: &str| check(offer, "1.2.3", key, &trial);
        let right = offer("1.3.0", &signer, &target());
        assert!(ask(&right, &key).unwrap());
        assert!(!ask(&offer("1.2.3", &signer, &target()), &key).unwrap());
        assert!(ask(&offer("1.2.2", &signer, &target()), &key).is_err());
        assert!(ask(&offer("x", &signer, &target()), &key).is_err());
        assert!(ask(&offer("1.3.0", &signer, "plan9-mips"), &key).is_err());
        assert!(ask(&right, "").is_err() && ask(&right, &"00".repeat(32)).is_err());
        let other = UpdateOffer {
            sha256: "cd".repeat(32),
            ..right.clone()
        };
        assert!(ask(&other, &key).is_err());
        let failed = Trial {
            failed: vec![right.sha256.clone()],
            ..Trial::default()
        };
        assert!(!check(&right, "1.2.3", &key, &failed).unwrap());
    }

    #[test]
    fn a_binary_with_another_hash_or_length_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("update.bin");
        let offer = UpdateOffer {
            version: "9.0.0".to_owned(),
            size: 4,
            sha256: crate::data::sha256_hex(b"abcd"),
            signature: String::new(),
        };
        let mut fetch = Fetch::open(&path, offer.clone()).unwrap();
        assert_eq!(fetch.part(b"ab").unwrap(), Step::More);
        assert_eq!(fetch.part(b"cd").unwrap(), Step::Whole);
        let mut fetch = Fetch::open(&path, offer.clone()).unwrap();
        assert!(fetch.part(b"abce").is_err());
        let mut fetch = Fetch::open(&path, offer).unwrap();
        assert!(fetch.part(b"abcde").is_err());
        assert!(fetch.part(b"").is_err());
    }
}
