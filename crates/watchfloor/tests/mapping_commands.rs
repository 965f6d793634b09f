//! `watchfloor mapping` and `watchfloor normalize --product` as a person uses them.

use std::process::{Command, Output};

use anyhow::{Context, Result};

fn watchfloor(arguments: &[&str]) -> Result<Output> {
    Command::new(env!("CARGO_BIN_EXE_watchfloor"))
        .args(arguments)
        .output()
        .context("the program runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn try_says_what_a_line_became_and_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("lines.log");
    std::fs::write(
        &file,
        "Failed password for eve from 192.0.2.7 port 4444 ssh2\n",
    )?;
    let odd = folder.path().join("odd.log");
    std::fs::write(&odd, "card 7f opened north\n")?;
    let shown = text(&watchfloor(&["mapping", "try", &odd.to_string_lossy()])?);
    assert!(shown.contains("kind      unknown"), "{shown}");
    assert!(shown.contains("anomaly   undecoded"), "{shown}");
    // What it is can be read off the words; whose it is, is to be said.
    let path = file.to_string_lossy();
    let shown = text(&watchfloor(&["mapping", "try", &path])?);
    assert!(shown.contains("kind      common/text_login"), "{shown}");
    let shown = text(&watchfloor(&[
        "mapping",
        "try",
        "--product",
        "linux",
        &path,
    ])?);
    for part in [
        "kind      linux/sshd_failed (OpenSSH), class 3002 Authentication",
        "because   the source names the product",
        "ocsf      user.name = eve",
        "1 events: 1 understood",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json = text(&watchfloor(&["normalize", "--product", "linux", &path])?);
    assert!(json.contains("\"name\":\"eve\""), "{json}");
    let unknown = watchfloor(&["normalize", "--product", "nope", &path])?;
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no mapping pack 'nope'"));
    Ok(())
}

#[test]
fn a_pack_of_ones_own_is_tested_and_used() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pack = folder.path().join("door");
    std::fs::create_dir_all(pack.join("cases"))?;
    std::fs::write(
        pack.join("pack.yaml"),
        "product: door\ntitle: Door\nversions: '1'\ndocumentation: []\nkinds:\n  - name: entry\n    when: {syslog.appname: doord}\n    match: {grok: '^card %{WORD:card} opened %{NOTSPACE:door}$'}\n    class: authentication\n    activity: 1\n    fields: {card: user.uid, door: resource.name, syslog.hostname: device.hostname}\n",
    )?;
    let case = |card: &str| {
        format!(
            "{{\"line\":\"<13>Nov 24 11:00:00 gate doord: card 7f opened north\",\"kind\":\"door/entry\",\"time\":\"2026-11-24T11:00:00Z\",\"expect\":{{\"user.uid\":\"{card}\"}}}}\n"
        )
    };
    let cases = pack.join("cases/entry.ndjson");
    std::fs::write(&cases, case("7f"))?;
    let path = folder.path().to_string_lossy();
    let good = watchfloor(&["mapping", "test", &path])?;
    assert!(good.status.success(), "{}", text(&good));
    assert!(text(&good).contains("1 passed, 0 failed"));
    std::fs::write(&cases, case("00"))?;
    let bad = watchfloor(&["mapping", "test", &path])?;
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        text(&bad).contains("user.uid: expected 00, got 7f"),
        "{}",
        text(&bad)
    );
    let listed = text(&watchfloor(&["mapping", "list", "--mappings", &path])?);
    assert!(listed.contains("door/entry -> Authentication"), "{listed}");
    Ok(())
}
