//! Changes of files: what was created, changed, renamed or deleted, what it was before and is
//! now, and who did it where the kernel says so.

mod baseline;
mod watches;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use watchfloor_link::{IntegrityPath, Policy};

use self::baseline::{Baseline, Facts, Line, text_of};
use self::watches::{Seen, Watches};
use crate::core::Core;
use crate::glob;
use crate::platform::writers::{Writer, Writers};
use crate::record::{Fields, put};
use crate::spool::{Class, Positions};

const NAME: &str = "integrity";
/// Changes that are told and remembered in one write.
const HELD_MAX: usize = 64;
/// How often changes are looked at; what happens to one path in between is one change.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// How often the policy is looked at while there is nothing to watch.
const IDLE: Duration = Duration::from_secs(2);
/// Files that are known at most.
pub(super) const FILES_MAX: usize = 100_000;
/// Lines of a difference that are told.
const DIFF_LINES_MAX: usize = 400;
/// Bytes of a difference that are told.
const DIFF_BYTES_MAX: usize = 16 << 10;

/// Watches files until the agent ends.
pub(super) fn run(core: &Core) {
    while core.is_running() {
        let policy = core.policy();
        if policy.integrity.is_empty() {
            core.board.off(NAME);
            core.rest(IDLE);
            continue;
        }
        match Integrity::begin(core, &policy) {
            Ok(mut integrity) => integrity.watch(core, &policy),
            Err(error) => {
                core.board
                    .trouble(NAME, &format!("files cannot be watched: {error}"));
                core.rest(IDLE);
            }
        }
    }
}

struct Integrity {
    paths: Vec<IntegrityPath>,
    watches: Watches,
    writers: Option<Writers>,
    baseline: Baseline,
    /// Records of changes that the baseline holds back.
    news: Vec<Vec<u8>>,
}

impl Integrity {
    /// Begins to watch, then compares what is there with what was: in this order nothing that
    /// happens in between is missed.
    fn begin(core: &Core, policy: &Arc<Policy>) -> std::io::Result<Self> {
        core.board.count(NAME, 0);
        let told: Vec<Line> = core
            .spool
            .position(NAME)
            .and_then(|value| serde_json::from_value(value).ok())
            .unwrap_or_default();
        let mut integrity = Self {
            paths: policy.integrity.clone(),
            watches: Watches::open()?,
            writers: Writers::open(),
            baseline: Baseline::open(core.data.folder("integrity")?, told)?,
            news: Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let paths = integrity.paths.clone();
        for path in &paths {
            // A path that was never looked at is learned, and what is in it is no news.
            let is_known = integrity.baseline.knows_root(path);
            integrity.take_in(core, Path::new(&path.path), path, is_known, &mut seen);
            if !core.is_running() {
                return Ok(integrity);
            }
            integrity.settle(core)?;
            integrity.baseline.learn_root(path)?;
        }
        integrity.forget_missing(core, &seen);
        integrity.settle(core)?;
        integrity.baseline.compact()?;
        integrity.say_limits(core);
        Ok(integrity)
    }

    /// Notes a change to be told.
    fn tell(&mut self, core: &Core, kind: &str, fields: Fields) {
        let now = jiff::Timestamp::now();
        self.news.push(core.recorder.event(kind, now, fields));
    }

    /// Settles when many changes are held back.
    fn settle_if_many(&mut self, core: &Core) {
        if self.baseline.held().max(self.news.len()) >= HELD_MAX
            && let Err(error) = self.settle(core)
        {
            core.board
                .trouble(NAME, &format!("the baseline cannot be kept: {error}"));
        }
    }

    /// Tells what is held back and remembers it: the spool takes both in one entry, so that a
    /// crash leaves both or none.
    fn settle(&mut self, core: &Core) -> std::io::Result<()> {
        let lines = self.baseline.take_held();
        let news = std::mem::take(&mut self.news);
        let position = match news.is_empty() {
            true if core.spool.position(NAME).is_none() => None,
            // What is only learned makes what was told last an older word.
            true => Some(Value::Null),
            false => Some(serde_json::to_value(&lines).map_err(std::io::Error::other)?),
        };
        if let Some(position) = position {
            // The lines of the last entry must stand before this one takes its place.
            self.baseline.sync()?;
            let positions = Positions::from([(NAME.to_owned(), position)]);
            core.keep(NAME, Class::Momentary, news, positions);
            core.spool.sync()?;
        }
        self.baseline.write(&lines)
    }

    fn say_limits(&self, core: &Core) {
        if self.watches.is_full {
            core.board.trouble(
                NAME,
                "not all folders can be watched; raise fs.inotify.max_user_watches or narrow the policy",
            );
        } else if self.baseline.len() >= FILES_MAX {
            core.board.trouble(
                NAME,
                &format!("more than {FILES_MAX} files; narrow the policy"),
            );
        } else {
            core.board.well(NAME);
        }
    }

    /// A file or folder of a path of the policy, with all below it.
    fn take_in(
        &mut self,
        core: &Core,
        path: &Path,
        of: &IntegrityPath,
        tell: bool,
        seen: &mut BTreeSet<PathBuf>,
    ) {
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let Ok(meta) = fs::symlink_metadata(&path) else {
                continue;
            };
            if is_excluded(of, &path) || path.starts_with(core.data.root()) {
                continue;
            }
            if meta.is_dir() {
                self.watches.add(&path);
                if let Some(writers) = &self.writers {
                    writers.watch(&path);
                }
                if of.is_recursive || path == Path::new(&of.path) {
                    let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                    open.extend(entries.map(|entry| entry.path()));
                }
                continue;
            }
            if path == Path::new(&of.path) {
                // A single file is watched by its folder: it may be replaced.
                if let Some(folder) = path.parent() {
                    self.watches.add(folder);
                }
            }
            if self.baseline.len() < FILES_MAX {
                self.look(core, &path, of, tell);
                seen.insert(path);
            }
            core.pace.step();
            if !core.is_running() {
                return;
            }
        }
    }

    /// Files that were known and are not there any more.
    fn forget_missing(&mut self, core: &Core, seen: &BTreeSet<PathBuf>) {
        for path in self.baseline.paths() {
            if seen.contains(&path) || path.symlink_metadata().is_ok() {
                continue;
            }
            self.deleted(core, &path);
        }
    }

    /// Takes in changes until the policy is another one.
    fn watch(&mut self, core: &Core, policy: &Arc<Policy>) {
        while core.rest(LOOK_EVERY) {
            if core.policy().integrity != policy.integrity {
                return;
            }
            if let Some(writers) = &self.writers {
                writers.take_in();
            }
            let seen = match self.watches.read() {
                Ok(seen) => seen,
                Err(error) => {
                    core.board
                        .trouble(NAME, &format!("watching broke: {error}"));
                    return;
                }
            };
            if seen.is_overflown {
                core.spool
                    .count_dropped("file changes: kernel queue full", 1);
                // All is compared anew: the changes are found, only not how many there were.
                return;
            }
            self.take_changes(core, seen);
        }
    }

    fn take_changes(&mut self, core: &Core, seen: Seen) {
        for (from, to) in &seen.moved {
            self.renamed(core, from, to);
        }
        for path in seen.changed {
            let Some(of) = self.covering(&path).cloned() else {
                continue;
            };
            match fs::symlink_metadata(&path) {
                Ok(meta) if meta.is_dir() => {
                    let mut below = BTreeSet::new();
                    self.take_in(core, &path, &of, true, &mut below);
                }
                Ok(_) => self.look(core, &path, &of, true),
                Err(_) => self.gone(core, &path),
            }
            core.pace.step();
        }
        self.say_limits(core);
        if let Err(error) = self.settle(core) {
            core.board
                .trouble(NAME, &format!("the baseline cannot be kept: {error}"));
        }
    }

    /// The path of the policy that a file belongs to.
    fn covering(&self, path: &Path) -> Option<&IntegrityPath> {
        self.paths.iter().find(|of| {
            let root = Path::new(&of.path);
            let is_in = match of.is_recursive {
                true => path.starts_with(root),
                false => path == root || path.parent() == Some(root),
            };
            is_in && !is_excluded(of, path)
        })
    }

    /// Compares a file with what is known of it, tells what changed, and remembers what is.
    fn look(&mut self, core: &Core, path: &Path, of: &IntegrityPath, tell: bool) {
        let before = self.baseline.get(path).cloned();
        let Some(after) = Facts::of(path, before.as_ref(), || core.pace.step()) else {
            return;
        };
        if before.as_ref() == Some(&after) {
            return;
        }
        let kind = match &before {
            None => "file_created",
            Some(before) if before.is_same_content(&after) => "file_attributes",
            Some(_) => "file_modified",
        };
        let is_news = before
            .as_ref()
            .is_none_or(|before| before.is_other_for_people(&after));
        if tell && is_news {
            let mut fields = self.fields(core, path, before.as_ref(), Some(&after));
            if of.with_diff && kind != "file_attributes" {
                put(&mut fields, "diff", self.diff(path));
            }
            self.tell(core, kind, fields);
        }
        if of.with_diff {
            self.baseline.keep_text(path);
        }
        self.baseline.set(path, after);
        self.settle_if_many(core);
    }

    fn fields(
        &self,
        core: &Core,
        path: &Path,
        before: Option<&Facts>,
        after: Option<&Facts>,
    ) -> Fields {
        let mut fields = Fields::new();
        put(&mut fields, "path", path.to_string_lossy());
        if path.to_str().is_none() {
            put(&mut fields, "is_lossy", true);
        }
        put(
            &mut fields,
            "before",
            before.map_or(Value::Null, |one| facts_fields(core, one)),
        );
        put(
            &mut fields,
            "after",
            after.map_or(Value::Null, |one| facts_fields(core, one)),
        );
        if let Some(writer) = self.writers.as_ref().and_then(|writers| writers.of(path)) {
            put(&mut fields, "who", writer_fields(core, writer));
        }
        fields
    }

    /// What changed in a text.
    fn diff(&self, path: &Path) -> Option<String> {
        let before = self.baseline.text(path).unwrap_or_default();
        let after = text_of(path)?;
        let diff = similar::TextDiff::configure()
            .timeout(Duration::from_secs(1))
            .diff_lines(&before, &after);
        let text = diff.unified_diff().context_radius(1).to_string();
        let mut kept: String = text
            .lines()
            .take(DIFF_LINES_MAX)
            .flat_map(|line| [line, "\n"])
            .collect();
        if kept.len() > DIFF_BYTES_MAX {
            let end = (0..=DIFF_BYTES_MAX)
                .rev()
                .find(|at| kept.is_char_boundary(*at));
            kept.truncate(end.unwrap_or(0));
        }
        if kept.len() < text.len() {
            kept.push_str("[cut]\n");
        }
        Some(kept)
    }

    fn renamed(&mut self, core: &Core, from: &Path, to: &Path) {
        let Some(facts) = self.baseline.get(from).cloned() else {
            return;
        };
        if self.covering(to).is_none() {
            return;
        }
        let replaced = self.baseline.get(to).cloned();
        let mut fields = self.fields(core, to, replaced.as_ref(), Some(&facts));
        put(&mut fields, "old_path", from.to_string_lossy());
        self.tell(core, "file_renamed", fields);
        self.baseline.remove(from);
        self.baseline.set(to, facts);
        self.settle_if_many(core);
    }

    /// A path that is not there any more: a file, or a folder with all that was in it.
    fn gone(&mut self, core: &Core, path: &Path) {
        if self.baseline.get(path).is_some() {
            self.deleted(core, path);
            return;
        }
        for below in self.baseline.below(path) {
            self.deleted(core, &below);
        }
    }

    fn deleted(&mut self, core: &Core, path: &Path) {
        let before = self.baseline.get(path).cloned();
        if self.covering(path).is_some() {
            let fields = self.fields(core, path, before.as_ref(), None);
            self.tell(core, "file_deleted", fields);
        }
        self.baseline.remove(path);
        self.settle_if_many(core);
    }
}

fn is_excluded(of: &IntegrityPath, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let whole = path.to_string_lossy();
    of.exclude.iter().any(|pattern| {
        let against = match pattern.contains('/') {
            true => whole.as_bytes(),
            false => name.as_bytes(),
        };
        glob::matches(pattern.as_bytes(), against)
    })
}

fn facts_fields(core: &Core, facts: &Facts) -> Value {
    let mut fields = Fields::new();
    put(&mut fields, "sha256", facts.sha256.as_str());
    put(&mut fields, "size", facts.size);
    put(&mut fields, "mode", format!("{:04o}", facts.mode));
    put(&mut fields, "uid", facts.uid);
    put(&mut fields, "gid", facts.gid);
    put(&mut fields, "user", core.names.user(facts.uid));
    put(&mut fields, "target", facts.target.as_str());
    let time = jiff::Timestamp::from_second(facts.modified_s).ok();
    put(
        &mut fields,
        "modified",
        time.map(|time| format!("{time:.0}")),
    );
    fields.into()
}

fn writer_fields(core: &Core, writer: Writer) -> Value {
    let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
    fields.insert("pid", writer.pid.into());
    fields.insert("exe", writer.exe.into());
    fields.insert("command", writer.command.into());
    fields.insert("uid", writer.uid.into());
    if let Some(name) = core.names.user(writer.uid) {
        fields.insert("user", name.into());
    }
    if let Some(uid) = writer.login_uid {
        fields.insert("login_uid", uid.into());
        if let Some(name) = core.names.user(uid) {
            fields.insert("login_user", name.into());
        }
    }
    serde_json::to_value(fields).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names_and_of_paths_exclude() {
        let of = IntegrityPath {
            exclude: vec!["*.swp".to_owned(), "/etc/cups/*".to_owned()],
            ..IntegrityPath::plain("/etc")
        };
        assert!(is_excluded(&of, Path::new("/etc/a/.x.swp")));
        assert!(is_excluded(&of, Path::new("/etc/cups/subscriptions.conf")));
        assert!(!is_excluded(&of, Path::new("/etc/passwd")));
    }
}
