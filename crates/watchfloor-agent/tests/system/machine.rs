//! A machine in a container: its files are this machine's, seen through an overlay whose changes
//! are in memory only; its processes, hosts and mounts are its own.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::net::{Net, skip};

/// Where the agent's binary stands in the machine before it is enrolled.
pub(crate) const AGENT: &str = "/opt/watchfloor-agent";
/// Longest start of the machine.
const BOOT_MAX: Duration = Duration::from_secs(60);

/// Makes the root and becomes systemd. Each line is needed: systemd wants its own `/sys/fs/cgroup`,
/// a writable `/run`, and a `/dev` without this machine's disks.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
work=$1 agent=$2 R=$1/root
mount -t tmpfs tmpfs "$work"
mkdir -p "$R" "$work/up/opt" "$work/work"
cp "$agent" "$work/up/opt/watchfloor-agent"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/up,workdir=$work/work" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for one in null zero full random urandom tty; do
    touch "$R/dev/$one"
    mount --bind "/dev/$one" "$R/dev/$one"
done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs -o mode=755 tmpfs "$R/run"
mount -t tmpfs tmpfs "$R/tmp"
mount -t tmpfs tmpfs "$R/var/log"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
rm -rf "$R/var/lib/watchfloor-agent" "$R/etc/systemd/system/watchfloor-agent.service"
echo 5afe0123456789abcdef0123456789ab > "$R/etc/machine-id"
hostname machine
mkdir -p "$R/mnt"
cd "$R"
pivot_root . mnt
umount -l /mnt
exec env -i container=watchfloor PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=basic.target
"#;

/// A machine that runs until this goes.
pub(crate) struct Machine {
    number: u8,
    // Ends the first process, and with it all.
    process: Child,
    first: String,
    _net: Net,
    _folder: tempfile::TempDir,
}

impl Machine {
    /// `None`, said loudly, where the machine does not let us.
    pub(crate) fn boot(number: u8) -> Option<Self> {
        if fs::metadata("/lib/systemd/systemd").is_err() {
            skip("systemd is not installed, so no whole system can be started");
            return None;
        }
        let net = Net::new(number)?;
        let folder = tempfile::tempdir().unwrap();
        let log = fs::File::create(folder.path().join("boot.log")).unwrap();
        let work = folder.path().join("work");
        fs::create_dir(&work).unwrap();
        let wrap = net.wrap("a");
        let process = Command::new(&wrap[0])
            .args(&wrap[1..])
            // Also where the test itself is killed, nothing is left.
            .args(["setpriv", "--pdeathsig", "KILL"])
            .args(["unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup"])
            .args(["--fork", "--kill-child", "bash", "-c", BOOT, "bash"])
            .arg(&work)
            .arg(env!("CARGO_BIN_EXE_watchfloor-agent"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut machine = Self {
            number,
            process,
            first: String::new(),
            _net: net,
            _folder: folder,
        };
        let until = Instant::now() + BOOT_MAX;
        while !machine.is_up() {
            let has_ended = machine.process.try_wait().unwrap().is_some();
            let log = machine._folder.path().join("boot.log");
            let log = fs::read_to_string(log).unwrap_or_default();
            if has_ended && (log.contains("mount") || log.contains("unshare")) {
                skip(&format!("no container can be made here: {log}"));
                return None;
            }
            assert!(
                !has_ended && Instant::now() < until,
                "systemd does not start here: {log}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        Some(machine)
    }

    /// Where a server of this host listens that the machine reaches.
    pub(crate) fn here(&self) -> String {
        format!("10.77.{}.1:0", self.number)
    }

    fn is_up(&mut self) -> bool {
        let id = self.process.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        self.first = children.unwrap_or_default().trim().to_owned();
        if self.first.is_empty() {
            return false;
        }
        let state = self.command(&["systemctl", "is-active", "basic.target", "dbus.socket"]);
        state.is_some_and(|mut command| {
            let output = command.output().unwrap();
            output.status.success()
        })
    }

    fn command(&self, words: &[&str]) -> Option<Command> {
        let comm = fs::read_to_string(format!("/proc/{}/comm", self.first)).ok()?;
        // Until then it is the shell that makes the root, in this machine's.
        if comm.trim() != "systemd" {
            return None;
        }
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--pid", "--ipc", "--uts", "--net", "--target"])
            .args([&self.first, "--wd=/", "--"])
            .args(words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null());
        Some(command)
    }

    /// Runs a program and gives what it said.
    pub(crate) fn try_run(&self, words: &[&str]) -> Result<String, String> {
        let output = self.command(words).unwrap().output().unwrap();
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(format!("{words:?}: {output:?}")),
        }
    }

    /// As [`Machine::try_run`], for what must go well.
    pub(crate) fn run(&self, words: &[&str]) -> String {
        self.try_run(words).unwrap()
    }

    /// Starts a program that stays.
    pub(crate) fn start(&self, words: &[&str]) -> Stay {
        let mut command = self.command(words).unwrap();
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Stay(command.spawn().unwrap())
    }

    /// Writes a file.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.run(&["sh", "-c", "printf %s \"$1\" > \"$0\"", path, text]);
    }

    /// Writes lines to the journal, in their order.
    pub(crate) fn log(&self, tag: &str, lines: &[String]) {
        let script = "printf '%s\\n' \"$1\" | logger -t \"$0\"";
        self.run(&["sh", "-c", script, tag, &lines.join("\n")]);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A program that is ended when this goes.
pub(crate) struct Stay(Child);

impl Drop for Stay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
