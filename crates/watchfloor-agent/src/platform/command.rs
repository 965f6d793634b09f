//! Other programs: always with arguments as arguments, never through a shell, never for ever.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Where programs are looked for, whatever the agent's environment says.
const FOLDERS: &[&str] = &[
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];
/// Most bytes of what a program says that are kept.
const OUTPUT_BYTES_MAX: u64 = 16 << 20;
/// Most bytes of its complaints.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// Where a program is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| PathBuf::from(folder).join(program))
        .find(|path| path.is_file())
}

/// A program that is to be run in a clean environment.
pub(crate) fn command(program: &str) -> Result<Command> {
    let Some(path) = find(program) else {
        bail!("{program} is not installed");
    };
    Ok(clean(&path))
}

fn clean(path: &Path) -> Command {
    let mut command = Command::new(path);
    command
        .env_clear()
        .env("PATH", FOLDERS.join(":"))
        .env("LC_ALL", "C")
        .current_dir("/");
    command
}

/// Runs a program and gives what it said; an error if it failed or took too long.
pub(crate) fn run(
    program: &str,
    arguments: &[&str],
    input: Option<&str>,
    limit: Duration,
) -> Result<String> {
    run_command(command(program)?, arguments, input, limit).with_context(|| program.to_owned())
}

/// As [`run`], for a program by its path.
pub(crate) fn run_path(path: &Path, arguments: &[&str], limit: Duration) -> Result<String> {
    run_command(clean(path), arguments, None, limit).with_context(|| path.display().to_string())
}

/// Runs a part of the agent as a process of its own, with arguments as they are.
pub(crate) fn run_aside(
    path: &Path,
    arguments: &[&OsStr],
    input: &str,
    limit: Duration,
) -> Result<String> {
    run_command(clean(path), arguments, Some(input), limit)
}

fn run_command(
    mut command: Command,
    arguments: &[impl AsRef<OsStr>],
    input: Option<&str>,
    limit: Duration,
) -> Result<String> {
    command
        .args(arguments)
        .stdin(match input {
            Some(_) => Stdio::piped(),
            None => Stdio::null(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("it cannot be started")?;
    if let (Some(mut pipe), Some(input)) = (child.stdin.take(), input) {
        // What it does not read it says in its status.
        let _ = pipe.write_all(input.as_bytes());
    }
    let said = gather(child.stdout.take(), OUTPUT_BYTES_MAX);
    let complained = gather(child.stderr.take(), COMPLAINT_BYTES_MAX);
    let status = wait(&mut child, limit).context("it was ended")?;
    let complaint = complained.join().unwrap_or_default();
    let said = said.join().unwrap_or_default();
    if !status {
        let first = complaint.lines().next().unwrap_or("no reason given");
        bail!("{first}");
    }
    Ok(said)
}

/// Waits for a program's end and says whether it was a good one.
fn wait(child: &mut Child, limit: Duration) -> Result<bool> {
    let until = Instant::now() + limit;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if Instant::now() >= until {
            let _ = child.kill();
            let _ = child.wait();
            bail!("it took longer than {} s", limit.as_secs());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Reads a pipe to its end on a thread, so that the program never waits for us.
fn gather(pipe: Option<impl Read + Send + 'static>, most: u64) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut kept = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(most).read_to_end(&mut kept);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        String::from_utf8_lossy(&kept).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_arguments_as_they_are_and_end_in_time() {
        let limit = Duration::from_secs(5);
        let said = run("printf", &["%s|", "$(id)", "a b; c"], None, limit).unwrap();
        assert_eq!(said, "$(id)|a b; c|");
        assert_eq!(run("cat", &[], Some("in"), limit).unwrap(), "in");
        assert!(run("false", &[], None, limit).is_err());
        let error = run("sleep", &["60"], None, Duration::from_millis(50)).unwrap_err();
        assert!(format!("{error:#}").contains("longer"));
        let error = run("no-such-program", &[], None, limit).unwrap_err();
        assert!(format!("{error}").contains("not installed"));
    }
}
