//! Files that are watched over rotation and crashes, the journal of systemd, and Unix sockets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use watchfloor_testkit::{Client, ServerProcess, corpus, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn start(folder: &Path, text: &str) -> Result<ServerProcess> {
    let config = folder.join("watchfloor.toml");
    fs::write(&config, format!("syslog = \"off\"\n{text}"))?;
    ServerProcess::start(
        Path::new(PROGRAM),
        &folder.join("data"),
        &["--config", &config.to_string_lossy()],
    )
}

fn append(path: &Path, text: &str) -> Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "{{\"app\":\"shop\",\"number\":{number}}}");
        text
    })
}

/// How often each number is stored.
fn counts(client: &Client, query: &str) -> Result<BTreeMap<u64, usize>> {
    let mut counts = BTreeMap::new();
    for event in client.events(query)? {
        let number = event["fields"]["unmapped.number"]
            .as_str()
            .and_then(|text| text.parse().ok());
        *counts.entry(number.unwrap_or(u64::MAX)).or_default() += 1;
    }
    Ok(counts)
}

fn assert_once(client: &Client, query: &str, count: u64) -> Result<()> {
    let all = |counts: &BTreeMap<u64, usize>| counts.len() as u64 >= count;
    wait_for("all lines are stored", || {
        client.settle()?;
        Ok(all(&counts(client, query)?))
    })?;
    let counts = counts(client, query)?;
    ensure!(
        counts.keys().copied().eq(0..count) && counts.values().all(|times| *times == 1),
        "{counts:?}"
    );
    client.balanced_ledger()?;
    Ok(())
}

#[test]
fn lines_are_stored_once_over_rotation_and_kills() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let logs = folder.path().join("logs");
    fs::create_dir_all(&logs)?;
    let text = format!(
        "[sources.shop]\nkind = \"files\"\npaths = [\"{}/*.log*\"]\npoll_ms = 20\n",
        logs.display()
    );
    let log = logs.join("shop.log");
    append(&log, &lines(0..500))?;
    let server = start(folder.path(), &text)?;
    let client = server.client("read")?;
    assert_once(&client, "app:shop", 500)?;
    // Half a line waits for its other half.
    append(&log, "{\"app\":\"shop\",\"num")?;
    append(&log, "ber\":500}\n")?;
    append(&log, &lines(501..600))?;
    // Renamed while it is written to, and a new file in its place.
    fs::rename(&log, logs.join("shop.log.1"))?;
    append(&logs.join("shop.log.1"), &lines(600..650))?;
    append(&log, &lines(650..700))?;
    assert_once(&client, "app:shop", 700)?;
    // Killed; lines come while nobody watches, and the file is renamed and packed.
    server.kill()?;
    append(&log, &lines(700..800))?;
    fs::rename(logs.join("shop.log.1"), logs.join("shop.log.2"))?;
    fs::rename(&log, logs.join("shop.log.1"))?;
    append(&log, &lines(800..900))?;
    let old = fs::read(logs.join("shop.log.2"))?;
    let packed = File::create(logs.join("shop.log.2.gz"))?;
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::default());
    packed.write_all(&old)?;
    packed.finish()?;
    fs::remove_file(logs.join("shop.log.2"))?;
    let server = start(folder.path(), &text)?;
    let client = server.client("read")?;
    assert_once(&client, "app:shop", 900)?;
    // Copied, then cut short, as logrotate's copytruncate does.
    append(&log, &lines(900..950))?;
    fs::copy(&log, logs.join("shop.log.0"))?;
    File::create(&log)?;
    append(&log, &lines(950..1000))?;
    assert_once(&client, "app:shop", 1000)?;
    // A position that was not saved makes no second copy: the journal knows the keys.
    server.kill()?;
    let positions = folder.path().join("data/sources/shop.json");
    let mut saved: serde_json::Value = serde_json::from_slice(&fs::read(&positions)?)?;
    for position in saved["positions"].as_array_mut().into_iter().flatten() {
        position["offset"] = 0.into();
    }
    fs::write(&positions, saved.to_string())?;
    let server = start(folder.path(), &text)?;
    append(&log, &lines(1000..1010))?;
    let client = server.client("read")?;
    assert_once(&client, "app:shop", 1010)
}

#[test]
fn tables_zeek_evtx_and_xml_in_a_watched_folder() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let logs = folder.path().join("logs");
    fs::create_dir_all(&logs)?;
    let text = format!(
        "[sources.zeek]\nkind = \"files\"\npaths = [\"{0}/conn.log\"]\npoll_ms = 20\n\
         [sources.windows]\nkind = \"files\"\npaths = [\"{0}/*.evtx\", \"{0}/*.xml\"]\npoll_ms = 20\n\
         [sources.gone]\nkind = \"files\"\npaths = [\"{0}/none/*.log\"]\n",
        logs.display()
    );
    let server = start(folder.path(), &text)?;
    let client = server.client("read")?;
    let head = "#separator \\x09\n#set_separator\t,\n#path\tconn\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n#types\ttime\tstring\taddr\tport\taddr\tport\tenum\n";
    let row = |number: u32| {
        format!("1700000000.{number}\tC{number}\t10.0.0.1\t{number}\t10.0.0.2\t443\ttcp\n")
    };
    append(&logs.join("conn.log"), &format!("{head}{}", row(1)))?;
    wait_for("the first row", || {
        client.settle()?;
        Ok(client.events("source:zeek")?.len() == 1)
    })?;
    // Rows that come later are read with the names at the beginning of the file.
    append(&logs.join("conn.log"), &row(2))?;
    wait_for("the second row", || {
        client.settle()?;
        Ok(client.events("source:zeek dst_endpoint.port:443")?.len() == 2)
    })?;
    let xml = "<Events><Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='Microsoft-Windows-Security-Auditing'/><EventID>4624</EventID><TimeCreated SystemTime='2026-11-20T10:00:00Z'/><Channel>Security</Channel><Computer>dc1</Computer></System><EventData><Data Name='TargetUserName'>eve</Data></EventData></Event></Events>";
    fs::write(logs.join("export.xml"), xml)?;
    let mut expected = 1;
    if let Some(corpus) = corpus() {
        let evtx = corpus.join("plaso-test-data/test_data/evtx/System2.evtx");
        if evtx.is_file() {
            fs::copy(evtx, logs.join("System2.evtx"))?;
            expected += 100;
        }
    }
    wait_for("Windows events", || {
        client.settle()?;
        let found = client.get("/api/v1/ledger")?.json();
        let rows = found["items"].as_array().cloned().unwrap_or_default();
        let stored = rows.iter().filter(|row| row["source"] == "windows");
        Ok(stored.filter_map(|row| row["stored"].as_u64()).sum::<u64>() >= expected)
    })?;
    ensure!(!client.events("source:windows user.name:eve")?.is_empty());
    client.balanced_ledger()?;
    Ok(())
}

#[test]
fn the_journal_of_systemd_goes_on_from_its_cursor() -> Result<()> {
    let Some(corpus) = corpus() else {
        return Ok(());
    };
    let file = corpus.join("plaso-test-data/test_data/systemd/journal/system.journal");
    if !file.is_file() || !Path::new("/usr/bin/journalctl").is_file() {
        println!("skipped: journalctl or {} is absent", file.display());
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let journal = folder.path().join("journal");
    fs::create_dir_all(&journal)?;
    fs::copy(file, journal.join("system.journal"))?;
    let text = format!(
        "[sources.host]\nkind = \"journald\"\ndirectory = \"{}\"\n",
        journal.display()
    );
    let mut stored = 0;
    for _ in 0..2 {
        let server = start(folder.path(), &text)?;
        let client = server.client("read")?;
        let cursor: PathBuf = folder.path().join("data/sources/host.cursor");
        wait_for("entries", || {
            client.settle()?;
            Ok(cursor.is_file() && client.balanced_ledger()?.stored > 100)
        })?;
        let known = |client: &Client| -> Result<bool> {
            let events = client.events("source:host")?;
            Ok(events
                .iter()
                .any(|event| event["fields"]["device.hostname"].is_string()))
        };
        ensure!(known(&client)?);
        let now = client.balanced_ledger()?.stored;
        ensure!(stored == 0 || now == stored, "{stored} before, {now} now");
        stored = now;
        server.kill()?;
    }
    Ok(())
}

#[test]
fn journalctl_that_is_not_there_is_said_with_its_mend() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = "[sources.host]\nkind = \"journald\"\njournalctl = \"/nowhere/journalctl\"\n";
    let server = start(folder.path(), text)?;
    let client = server.client("read")?;
    wait_for("the source says what is wrong", || {
        let sources = client.get("/api/v1/sources")?.json();
        let link = &sources["items"][0]["link"];
        Ok(link["state"] == "retrying"
            && link["mend"]
                .as_str()
                .is_some_and(|mend| mend.contains("journalctl")))
    })
}

#[test]
fn sensors_write_to_unix_sockets() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (stream, datagram) = (
        folder.path().join("eve.sock"),
        folder.path().join("eve.dgram"),
    );
    let text = format!(
        "[sources.eve]\nkind = \"unix\"\npath = \"{}\"\n[sources.eve2]\nkind = \"unix\"\nmode = \"datagram\"\npath = \"{}\"\n",
        stream.display(),
        datagram.display()
    );
    let alert = |number: usize| {
        format!(
            "{{\"timestamp\":\"2026-11-20T10:00:00.000000+0000\",\"flow_id\":{number},\"event_type\":\"alert\",\"src_ip\":\"10.0.0.1\",\"src_port\":1,\"dest_ip\":\"10.0.0.2\",\"dest_port\":80,\"proto\":\"TCP\",\"alert\":{{\"action\":\"allowed\",\"gid\":1,\"signature_id\":2,\"rev\":1,\"signature\":\"ET TEST\",\"category\":\"c\",\"severity\":1}}}}\n"
        )
    };
    for round in 1..=2 {
        let server = start(folder.path(), &text)?;
        let client = server.client("read")?;
        let mut sensor = UnixStream::connect(&stream)?;
        for number in 0..100 {
            sensor.write_all(alert(number).as_bytes())?;
        }
        let sensor = UnixDatagram::unbound()?;
        for number in 0..100 {
            sensor.send_to(alert(number).as_bytes(), &datagram)?;
        }
        wait_for("all alerts", || {
            client.settle()?;
            Ok(client.events("product:Suricata")?.len() == 200 * round)
        })?;
        client.balanced_ledger()?;
        // A socket that a killed server left behind is replaced.
        server.kill()?;
    }
    Ok(())
}
