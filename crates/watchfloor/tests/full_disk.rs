//! A full disk stops acceptance with a clear answer, and it goes on by itself when there is room.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use watchfloor_testkit::{ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
/// Size of the disk, in MiB.
const DISK_MIB: u64 = 96;

/// A small disk in memory; unmounted when it goes.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m"), "tmpfs"])
            .arg(at)
            .output()?;
        if !mounted.status.success() {
            println!("skipped: this user may not mount a small disk");
            return Ok(None);
        }
        Ok(Some(Self(at.to_owned())))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Fills the disk but for about a MiB.
fn fill(disk: &Path) -> Result<PathBuf> {
    let path = disk.join("ballast");
    let mut file = File::create(&path)?;
    let block = vec![1_u8; 1 << 18];
    let mut written = 0_u64;
    while file.write_all(&block).is_ok() {
        written += block.len() as u64;
    }
    ensure!(written > 4 << 20, "the disk was full before");
    file.set_len(written - (1 << 20))?;
    Ok(path)
}

#[test]
fn a_full_disk_stops_acceptance_and_goes_on_by_itself() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = Disk::mount(&folder.path().join("disk"))? else {
        return Ok(());
    };
    let data = disk.0.join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("ingest,read")?;
    let mut accepted = 0_u64;
    let mut send = || -> Result<(u16, String)> {
        let lines: Vec<String> = (0..200)
            .map(|line| {
                format!(
                    "{{\"sender\":\"disk\",\"number\":{},\"pad\":\"{}\"}}",
                    accepted + line,
                    "x".repeat(500)
                )
            })
            .collect();
        let answer = client.post("/ingest/ndjson", &[], lines.join("\n").as_bytes())?;
        if answer.status == 200 {
            accepted += 200;
        }
        let detail = answer.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Ok((answer.status, detail))
    };
    ensure!(send()?.0 == 200, "not taken while there is room");
    let ballast = fill(&disk.0)?;
    let mut refusal = String::new();
    for _ in 0..200 {
        let (status, detail) = send()?;
        if status != 200 {
            ensure!(status == 503, "{status}: {detail}");
            refusal = detail;
            break;
        }
    }
    ensure!(
        refusal.contains("No space left") && refusal.contains("make room"),
        "the refusal does not say what to do: {refusal:?}"
    );
    // It still answers, and takes nothing by halves.
    ensure!(client.get("/metrics")?.status == 200, "no metrics");
    std::fs::remove_file(ballast)?;
    wait_for("records are taken again", || Ok(send()?.0 == 200))?;
    client.settle()?;
    let query = "sender:disk";
    let found = client.events(query)?.len() as u64;
    ensure!(
        found == accepted,
        "{found} are stored, {accepted} were accepted"
    );
    let ledger = client.balanced_ledger()?;
    ensure!(ledger.stored == accepted, "{ledger:?}");
    Ok(())
}
