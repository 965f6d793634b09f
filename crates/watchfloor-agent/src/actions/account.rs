//! Accounts: taking one out of use and giving it back, ending its sessions.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::Done;
use crate::core::Core;
use crate::platform::{accounts, command, process};

/// File with what accounts were before.
const STATE: &str = "accounts.json";
/// Longest run of a tool.
const LIMIT: Duration = Duration::from_secs(30);

/// What an account was, as `shadow(5)` says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    is_locked: bool,
    /// Days since 1970; empty for never.
    expires: String,
}

/// The number of an account that may be touched.
fn allowed(user: &str) -> Result<u32> {
    let Some(uid) = accounts::uid_of(user) else {
        bail!("there is no account {user}");
    };
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        bail!("{user} is root or the agent's own account");
    }
    Ok(uid)
}

/// Takes an account out of use.
pub(super) fn disable(core: &Core, user: &str) -> Result<Done> {
    let uid = allowed(user)?;
    let Some(now) = shadow(user) else {
        bail!("{user} is not an account of this host alone; disable it where it is kept");
    };
    let mut all: BTreeMap<String, Before> = core.data.read_json(STATE).unwrap_or_default();
    if !is_disabled(&now) || !all.contains_key(user) {
        all.insert(user.to_owned(), now);
        core.data.write_json(STATE, &all)?;
    }
    command::run(
        "usermod",
        &["--lock", "--expiredate", "1", "--", user],
        None,
        LIMIT,
    )?;
    match shadow(user) {
        Some(now) if is_disabled(&now) => Ok(Done::new(format!("{user} can no longer log in"))
            .with("uid", uid.to_string())
            .with("expires", "1970-01-02")),
        _ => bail!("usermod ran and {user} is still in use"),
    }
}

/// Gives an account back as it was.
pub(super) fn enable(core: &Core, user: &str) -> Result<Done> {
    allowed(user)?;
    let mut all: BTreeMap<String, Before> = core.data.read_json(STATE).unwrap_or_default();
    let before = all.get(user).cloned().unwrap_or_default();
    command::run(
        "usermod",
        &["--expiredate", &date_of(&before.expires), "--", user],
        None,
        LIMIT,
    )?;
    if !before.is_locked && shadow(user).is_some_and(|now| now.is_locked) {
        command::run("usermod", &["--unlock", "--", user], None, LIMIT)?;
    }
    all.remove(user);
    core.data.write_json(STATE, &all)?;
    Ok(Done::new(match before.is_locked {
        true => format!("{user} is as before: without a password"),
        false => format!("{user} can log in again"),
    }))
}

/// Ends what an account has open here.
pub(super) fn end_sessions(user: &str) -> Result<Done> {
    let uid = allowed(user)?;
    if fs::metadata("/run/systemd/system").is_ok() && command::find("loginctl").is_some() {
        // A user without sessions is an error to it, and no error here.
        let _ = command::run("loginctl", &["terminate-user", "--", user], None, LIMIT);
    }
    let (mut ended, mut left) = (Vec::new(), Vec::new());
    for pid in process::pids() {
        let Some(facts) = process::facts(pid) else {
            continue;
        };
        // The same number in a container is another user.
        if facts.uid != uid || facts.container.is_some() {
            continue;
        }
        let words = format!("{pid} {}", facts.name);
        let is_session = facts.tty != 0 || facts.login_uid == Some(uid);
        match Pid::from_raw(pid) {
            Some(raw) if is_session && kill_process(raw, Signal::KILL).is_ok() => ended.push(words),
            _ => left.push(words),
        }
    }
    let summary = format!(
        "ended the sessions of {user}, with {} processes",
        ended.len()
    );
    let mut done = Done::new(summary).with("processes", ended.join("\n"));
    if !left.is_empty() {
        // A service may run under the account: what belongs to no session is told, not ended.
        done = done.with("still_running", left.join("\n"));
    }
    Ok(done)
}

fn is_disabled(state: &Before) -> bool {
    state.is_locked && state.expires == "1"
}

fn shadow(user: &str) -> Option<Before> {
    let text = fs::read_to_string("/etc/shadow").ok()?;
    shadow_of(&text, user)
}

fn shadow_of(text: &str, user: &str) -> Option<Before> {
    let line = text
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    let fields: Vec<&str> = line.split(':').collect();
    Some(Before {
        is_locked: fields.get(1)?.starts_with('!'),
        expires: (*fields.get(7).unwrap_or(&"")).to_owned(),
    })
}

/// Days since 1970 as the date that `usermod(8)` wants; empty for never.
fn date_of(days: &str) -> String {
    let Ok(days) = days.parse::<i64>() else {
        return String::new();
    };
    let begin = jiff::civil::date(1970, 1, 1);
    begin
        .checked_add(jiff::Span::new().try_days(days).unwrap_or_default())
        .map_or_else(|_| String::new(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_was_is_read() {
        let text = "root:*:1:0:9:7:::\nm.keller:!$y$x:1:0:9:7::20000:\nann:$y$x:1:0:9:7:::\n";
        let keller = shadow_of(text, "m.keller").unwrap();
        assert!(keller.is_locked && keller.expires == "20000");
        assert_eq!(shadow_of(text, "ann"), Some(Before::default()));
        assert_eq!(shadow_of(text, "an"), None);
        assert_eq!(date_of("20000"), "2024-10-04");
        assert_eq!(date_of(""), "");
    }

    #[test]
    fn root_is_refused() {
        assert!(allowed("root").is_err() && allowed("no-such-user").is_err());
    }
}
