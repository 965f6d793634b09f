//! How the agent stands, for people.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Result, bail};

use crate::clock::own_ms;
use crate::data::DataFolder;
use crate::health::State;

/// A state older than this is not of a running agent.
const STALE_MS: i64 = 60_000;

/// What the agent wrote down last, in words.
pub(crate) fn status(folder: &Path) -> Result<String> {
    if !folder.is_dir() {
        bail!(
            "{} is not there; this host is not enrolled",
            folder.display()
        );
    }
    let data = DataFolder::open(folder)?;
    let Some(settings) = data.settings() else {
        bail!(
            "this host is not enrolled, or you may not read {}",
            folder.display()
        );
    };
    let mut text = format!(
        "agent       {}\nserver      {}\n",
        settings.agent, settings.server
    );
    match data.read_json::<State>("state.json") {
        Some(state) => describe(&mut text, &state, own_ms())?,
        None => text.push_str("state       it did not run yet\n"),
    }
    Ok(text)
}

fn describe(text: &mut String, state: &State, now_ms: i64) -> Result<()> {
    let age_s = (now_ms - state.at_ms) / 1_000;
    let word = match (now_ms - state.at_ms > STALE_MS, state.is_connected) {
        (true, _) => format!("not running; last seen {age_s} s ago"),
        (false, true) => "connected".to_owned(),
        (false, false) => "not connected".to_owned(),
    };
    let health = &state.health;
    writeln!(text, "state       {word}")?;
    if let Some(trouble) = &state.trouble {
        writeln!(text, "trouble     {}", clean(trouble))?;
    }
    writeln!(
        text,
        "version     {} (process {})",
        state.version, state.pid
    )?;
    writeln!(text, "policy      {}", state.policy)?;
    writeln!(
        text,
        "uses        {:.1} % of a core, {:.1} MiB",
        health.cpu_percent,
        health.memory_bytes as f64 / f64::from(1 << 20)
    )?;
    writeln!(
        text,
        "waiting     {} records, {} KiB",
        health.queue_records,
        health.queue_bytes >> 10
    )?;
    for (reason, count) in &health.dropped {
        writeln!(text, "dropped     {count}: {reason}")?;
    }
    if health.is_isolated {
        writeln!(text, "isolated    this host reaches only the server")?;
    }
    for (key, at) in &health.undo_at_ms {
        let at = jiff::Timestamp::from_millisecond(*at)?;
        writeln!(text, "undoes      {} at {at:.0}", clean(key))?;
    }
    for collector in &health.collectors {
        let trouble = collector.trouble.as_deref().map(clean).unwrap_or_default();
        writeln!(
            text,
            "{:<11} {} records {trouble}",
            collector.name, collector.records
        )?;
    }
    Ok(())
}

/// Text for a terminal: what came from elsewhere must not steer it.
fn clean(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_does_not_write_any_more_does_not_run() {
        let state = State {
            is_connected: true,
            trouble: Some("a\u{1b}[2J".to_owned()),
            ..State::default()
        };
        let mut text = String::new();
        describe(&mut text, &state, 90_000).unwrap();
        assert!(text.contains("not running; last seen 90 s ago") && !text.contains('\u{1b}'));
        let mut text = String::new();
        describe(&mut text, &state, 1_000).unwrap();
        assert!(text.contains("state       connected"));
    }
}
