//! Who writes files: fanotify says the process for each file that was closed after writing.

use std::collections::VecDeque;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use super::process;
use crate::core::lock;

/// Writers that are remembered.
const KEPT_MAX: usize = 512;
/// How long they are.
const KEPT: Duration = Duration::from_secs(30);

/// Who wrote a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) pid: i32,
    pub(crate) exe: String,
    pub(crate) command: String,
    pub(crate) uid: u32,
    pub(crate) login_uid: Option<u32>,
}

/// Remembers who wrote what.
pub(crate) struct Writers {
    group: Fanotify,
    recent: Mutex<VecDeque<(Instant, PathBuf, Writer)>>,
}

impl Writers {
    /// Needs the right to administer the system; `None` without it.
    pub(crate) fn open() -> Option<Self> {
        let flags = InitFlags::FAN_CLOEXEC
            | InitFlags::FAN_NONBLOCK
            | InitFlags::FAN_CLASS_NOTIF
            | InitFlags::FAN_UNLIMITED_MARKS;
        let group = Fanotify::init(flags, EventFFlags::O_RDONLY | EventFFlags::O_CLOEXEC).ok()?;
        Some(Self {
            group,
            recent: Mutex::default(),
        })
    }

    /// Watches the files of a folder, not those below its folders.
    pub(crate) fn watch(&self, folder: &Path) -> bool {
        let mask = MaskFlags::FAN_CLOSE_WRITE | MaskFlags::FAN_EVENT_ON_CHILD;
        let cwd = rustix::fs::CWD;
        self.group
            .mark(MarkFlags::FAN_MARK_ADD, mask, cwd, Some(folder))
            .is_ok()
    }

    /// Takes in what happened since. The process is asked at once: it may end any moment.
    pub(crate) fn take_in(&self) {
        let own = std::process::id() as i32;
        while let Ok(events) = self.group.read_events() {
            if events.is_empty() {
                return;
            }
            for event in &events {
                let Some(fd) = event.fd().filter(|_| event.pid() != own) else {
                    continue;
                };
                let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
                if let Ok(path) = fs::read_link(link) {
                    self.remember(path, event.pid());
                }
            }
        }
    }

    fn remember(&self, path: PathBuf, pid: i32) {
        let facts = process::facts(pid).unwrap_or_default();
        let writer = Writer {
            pid,
            exe: facts.exe,
            command: facts.command,
            uid: facts.uid,
            login_uid: facts.login_uid,
        };
        let mut recent = lock(&self.recent);
        if recent.len() >= KEPT_MAX {
            recent.pop_front();
        }
        recent.push_back((Instant::now(), path, writer));
    }

    /// Who wrote a file last, if that was just now.
    pub(crate) fn of(&self, path: &Path) -> Option<Writer> {
        let recent = lock(&self.recent);
        let found = recent
            .iter()
            .rev()
            .find(|(at, of, _)| of == path && at.elapsed() < KEPT)?;
        Some(found.2.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_of_a_file_is_known_where_the_agent_may_ask() {
        let Some(writers) = Writers::open() else {
            println!("skipped: fanotify needs root");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        if !writers.watch(folder.path()) {
            println!("skipped: this file system has no fanotify");
            return;
        }
        let path = folder.path().join("a");
        let script = format!("echo x > {}; sleep 0.5", path.display());
        let mut child = std::process::Command::new("sh")
            .args(["-c", &script])
            .spawn()
            .unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        while writers.of(&path).is_none() && Instant::now() < until {
            writers.take_in();
        }
        let writer = writers.of(&path).unwrap();
        assert_eq!(writer.pid, child.id() as i32);
        assert!(writer.command.contains("sleep"));
        child.wait().unwrap();
    }
}
