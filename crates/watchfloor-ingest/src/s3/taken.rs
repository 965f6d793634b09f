//! Which objects of a bucket are done.
//!
//! Objects of the last day are remembered by name and version, since names come in no order of
//! time and a large upload has the time of its beginning; what is older is done by its time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use object_store::ObjectMeta;

use super::S3Start;
use crate::positions::replace;

/// How late an object may appear after its time.
const LATE_US: i64 = 24 * 3600 * 1_000_000;
/// Most names remembered.
const NAMES_MAX: usize = 1_000_000;
/// Lines that are added to the file before it is written anew.
const LINES_MAX: usize = 50_000;

/// What is done.
#[derive(Debug)]
pub(super) struct Taken {
    path: PathBuf,
    /// Objects before this time are done; microseconds since 1970.
    until_us: i64,
    /// Version and time by name.
    names: BTreeMap<String, (String, i64)>,
    lines: usize,
}

impl Taken {
    /// Reads the file: a line for the time, then one per object; later lines go before.
    pub(super) fn open(path: PathBuf, start: S3Start) -> Self {
        let mut taken = Self {
            path,
            until_us: match start {
                S3Start::All => i64::MIN,
                S3Start::Since(time) => time.as_microsecond(),
            },
            names: BTreeMap::new(),
            lines: 0,
        };
        let text = std::fs::read_to_string(&taken.path).unwrap_or_default();
        for line in text.lines() {
            let mut words = line.splitn(3, '\t');
            match (words.next(), words.next(), words.next()) {
                (Some("until"), Some(until), None) => {
                    taken.until_us = until.parse().unwrap_or(taken.until_us);
                }
                (Some(time), Some(version), Some(name)) => {
                    if let Ok(time) = time.parse() {
                        taken
                            .names
                            .insert(name.to_owned(), (version.to_owned(), time));
                    }
                }
                _ => {}
            }
            taken.lines += 1;
        }
        taken
    }

    pub(super) fn knows(&self, object: &ObjectMeta) -> bool {
        if object.last_modified.timestamp_micros() < self.until_us {
            return true;
        }
        let known = self.names.get(object.location.as_ref());
        known.is_some_and(|(version, _)| *version == version_of(object))
    }

    /// Notes an object as done, in the file too.
    pub(super) fn add(&mut self, object: &ObjectMeta) -> std::io::Result<()> {
        let (name, version) = (object.location.to_string(), version_of(object));
        let time = object.last_modified.timestamp_micros();
        let line = format!("{time}\t{version}\t{name}\n");
        self.names.insert(name, (version, time));
        if self.lines >= LINES_MAX || !self.path.exists() {
            return self.write();
        }
        let mut file = std::fs::File::options().append(true).open(&self.path)?;
        file.write_all(line.as_bytes())?;
        self.lines += 1;
        Ok(())
    }

    /// Forgets names that their time tells of; says whether even so there are too many.
    pub(super) fn forget_old(&mut self, newest: Option<i64>) -> bool {
        let Some(newest) = newest else { return false };
        let until = newest.saturating_sub(LATE_US);
        if until > self.until_us {
            self.until_us = until;
            self.names.retain(|_, (_, time)| *time >= until);
        }
        let is_too_many = self.names.len() > NAMES_MAX;
        if is_too_many {
            let mut times: Vec<i64> = self.names.values().map(|(_, time)| *time).collect();
            times.sort_unstable();
            self.until_us = times[times.len() / 2];
            let until = self.until_us;
            self.names.retain(|_, (_, time)| *time >= until);
        }
        is_too_many
    }

    fn write(&mut self) -> std::io::Result<()> {
        let mut text = match self.until_us {
            i64::MIN => String::new(),
            until => format!("until\t{until}\n"),
        };
        for (name, (version, time)) in &self.names {
            text.push_str(&format!("{time}\t{version}\t{name}\n"));
        }
        replace(&self.path, text.as_bytes())?;
        self.lines = self.names.len();
        Ok(())
    }
}

/// The version of an object, without what would break a line.
fn version_of(object: &ObjectMeta) -> String {
    let tag = object.e_tag.as_deref().unwrap_or_default();
    let tag: String = tag.chars().filter(|c| c.is_ascii_graphic()).collect();
    format!("{tag}/{}", object.size)
}
