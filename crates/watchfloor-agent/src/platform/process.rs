//! Processes, as `/proc` shows them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Longest command line that is told, in bytes.
const COMMAND_BYTES_MAX: usize = 16 << 10;

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessFacts {
    pub(crate) pid: i32,
    pub(crate) ppid: i32,
    /// Name as the kernel keeps it, at most 15 bytes.
    pub(crate) name: String,
    /// Path of its program; empty for threads of the kernel.
    pub(crate) exe: String,
    pub(crate) command: String,
    pub(crate) cwd: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The user that once logged in, whatever it became since.
    pub(crate) login_uid: Option<u32>,
    pub(crate) session: i32,
    pub(crate) tty: i32,
    /// Ticks between the machine's start and its own: with the pid it names the process.
    pub(crate) started: u64,
    pub(crate) container: Option<String>,
    pub(crate) memory_kib: u64,
    pub(crate) threads: u64,
}

/// All numbers of processes.
pub(crate) fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<i32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    found.sort_unstable();
    found
}

/// What is known of a process; `None` if it is gone.
pub(crate) fn facts(pid: i32) -> Option<ProcessFacts> {
    let folder = format!("/proc/{pid}");
    let folder = Path::new(&folder);
    let stat = Stat::parse(&read_lossy(&folder.join("stat"), 4_096)?)?;
    let status = read_lossy(&folder.join("status"), 16 << 10).unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    let login_uid = read_lossy(&folder.join("loginuid"), 32)
        .and_then(|text| text.trim().parse::<u32>().ok())
        // The largest number stands for nobody.
        .filter(|uid| *uid != u32::MAX);
    Some(ProcessFacts {
        pid,
        ppid: stat.ppid,
        name: stat.name,
        exe: link(&folder.join("exe")).unwrap_or_default(),
        command: command(&folder.join("cmdline")).unwrap_or_default(),
        cwd: link(&folder.join("cwd")).unwrap_or_default(),
        uid: number("Uid:").unwrap_or(0) as u32,
        gid: number("Gid:").unwrap_or(0) as u32,
        login_uid,
        session: stat.session,
        tty: stat.tty,
        started: stat.started,
        container: read_lossy(&folder.join("cgroup"), 4_096).and_then(|text| container_of(&text)),
        memory_kib: number("VmRSS:").unwrap_or(0),
        threads: number("Threads:").unwrap_or(0),
    })
}

/// Parent and start of a process: cheap.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    Stat::parse(&read_lossy(Path::new(&format!("/proc/{pid}/stat")), 4_096)?)
}

/// The path of a process's program as the kernel has it.
pub(crate) fn exe(pid: i32) -> Option<String> {
    link(Path::new(&format!("/proc/{pid}/exe")))
}

/// The line of `proc_pid_stat(5)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) name: String,
    pub(crate) state: char,
    pub(crate) ppid: i32,
    pub(crate) session: i32,
    pub(crate) tty: i32,
    pub(crate) flags: u32,
    pub(crate) started: u64,
}

impl Stat {
    /// Names may hold blanks and brackets: the last bracket ends the name.
    fn parse(line: &str) -> Option<Self> {
        let (before, behind) = line.rsplit_once(')')?;
        let (_, name) = before.split_once('(')?;
        let words: Vec<&str> = behind.split_whitespace().collect();
        Some(Self {
            name: name.to_owned(),
            state: words.first()?.chars().next()?,
            ppid: words.get(1)?.parse().ok()?,
            session: words.get(3)?.parse().ok()?,
            tty: words.get(4)?.parse().ok()?,
            flags: words.get(6)?.parse().ok()?,
            started: words.get(19)?.parse().ok()?,
        })
    }

    /// Whether it is a thread of the kernel (`PF_KTHREAD`).
    pub(crate) const fn is_kernel(&self) -> bool {
        self.flags & 0x0020_0000 != 0
    }
}

fn link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(String::from_utf8_lossy(target.as_os_str().as_bytes()).into_owned())
}

fn command(path: &Path) -> Option<String> {
    let bytes = read_some(path, COMMAND_BYTES_MAX)?;
    Some(command_line(&bytes))
}

/// Arguments as one line with blanks between them, as Sysmon and osquery write it: rules are
/// written for that form.
fn command_line(bytes: &[u8]) -> String {
    let end = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |at| at + 1);
    let text = bytes.get(..end).unwrap_or_default();
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == 0 { b' ' } else { *byte })
        .collect();
    String::from_utf8_lossy(&spaced).into_owned()
}

/// The id of a container in the paths of control groups: 64 hexadecimal digits, as docker,
/// containerd, podman and cri-o write them.
fn container_of(cgroup: &str) -> Option<String> {
    let mut parts = cgroup
        .split(|one: char| !one.is_ascii_alphanumeric())
        .filter(|part| part.len() == 64);
    parts
        .find(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|part| part[..12].to_owned())
}

fn read_lossy(path: &Path, most: usize) -> Option<String> {
    read_some(path, most).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The first bytes of a file whose length nobody knows.
fn read_some(path: &Path, most: usize) -> Option<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(most as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_mislead() {
        let line = "7 (x) R (y) S 3 7 7 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0 991 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(
            (stat.name.as_str(), stat.ppid, stat.started),
            ("x) R (y", 3, 991)
        );
        assert!(Stat::parse("7 (x").is_none() && Stat::parse("").is_none());
    }

    #[test]
    fn command_lines_are_one_line() {
        assert_eq!(command_line(b"sh\0-c\0echo 'a' b\0"), "sh -c echo 'a' b");
        assert_eq!(
            command_line(b"sshd: root [priv]\0\0\0"),
            "sshd: root [priv]"
        );
        assert_eq!(command_line(b""), "");
        assert_eq!(command_line(b"a\0\xff\0"), "a \u{fffd}");
    }

    #[test]
    fn containers_are_known_by_their_control_group() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(
            container_of(&format!("0::/system.slice/docker-{id}.scope\n")),
            Some("0123456789ab".to_owned())
        );
        assert_eq!(container_of("0::/user.slice\n"), None);
    }

    #[test]
    fn this_process_is_known() {
        let own = facts(std::process::id() as i32).unwrap();
        assert!(own.exe.contains("watchfloor_agent") && own.threads > 0);
        assert!(facts(-1).is_none());
    }
}
