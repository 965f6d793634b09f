//! Services and what is run at times: systemd and cron.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::core::Core;
use crate::glob;
use crate::platform::command;
use crate::record::{Fields, put};

/// Longest run of a tool.
const LIMIT: Duration = Duration::from_secs(30);
/// Files with times.
const FILES_MAX: usize = 1_000;

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir() && command::find("systemctl").is_some()
}

fn systemctl(core: &Core, arguments: &[&str]) -> String {
    let mut all = vec!["--no-pager", "--no-legend", "--plain", "--full"];
    all.extend_from_slice(arguments);
    command::run("systemctl", &all, None, LIMIT).unwrap_or_else(|error| {
        core.board.trouble("inventory", &format!("{error:#}"));
        String::new()
    })
}

/// Services with their state and whether they start with the host.
pub(super) fn services(core: &Core) -> Vec<Fields> {
    if !has_systemd() {
        let scripts = glob::expand(Path::new("/"), "/etc/init.d/*", FILES_MAX);
        return scripts.iter().filter_map(|path| script(path)).collect();
    }
    let units = systemctl(core, &["list-units", "--type=service", "--all"]);
    let files = systemctl(core, &["list-unit-files", "--type=service"]);
    services_of(&units, &files)
}

fn script(path: &Path) -> Option<Fields> {
    let name = path.file_name()?.to_str()?;
    let mut row = Fields::new();
    put(&mut row, "service", name);
    put(&mut row, "path", path.to_string_lossy());
    (name != "README").then_some(row)
}

fn services_of(units: &str, files: &str) -> Vec<Fields> {
    let mut rows: BTreeMap<&str, Fields> = BTreeMap::new();
    for line in files.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(start)) = (words.next(), words.next()) {
            let mut row = Fields::new();
            put(&mut row, "service", name);
            put(&mut row, "start", start);
            rows.insert(name, row);
        }
    }
    for line in units.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, load, active, sub, about @ ..] = words.as_slice() else {
            continue;
        };
        let row = rows.entry(name).or_default();
        put(row, "service", *name);
        put(row, "load", *load);
        put(row, "state", *active);
        put(row, "sub_state", *sub);
        put(row, "description", about.join(" "));
    }
    rows.into_values().collect()
}

/// What is run at times.
pub(super) fn timers(core: &Core) -> Vec<Fields> {
    let mut rows = Vec::new();
    if has_systemd() {
        let units = systemctl(core, &["list-unit-files", "--type=timer"]);
        for line in units.lines() {
            let mut words = line.split_whitespace();
            let mut row = Fields::new();
            put(&mut row, "type", "systemd");
            put(&mut row, "timer", words.next());
            put(&mut row, "start", words.next());
            rows.push(row);
        }
    }
    for (pattern, has_user) in [
        ("/etc/crontab", true),
        ("/etc/cron.d/*", true),
        ("/var/spool/cron/crontabs/*", false),
        ("/var/spool/cron/*", false),
    ] {
        for path in glob::expand(Path::new("/"), pattern, FILES_MAX) {
            if path.is_file() {
                let text = fs::read_to_string(&path).unwrap_or_default();
                rows.extend(cron(&path, &text, has_user));
            }
        }
    }
    rows
}

/// Lines of `crontab(5)`.
fn cron(path: &Path, text: &str, has_user: bool) -> Vec<Fields> {
    let owner = path.file_name().unwrap_or_default().to_string_lossy();
    let row = |line: &str| {
        let line = line.trim();
        let words: Vec<&str> = line.split_whitespace().collect();
        let is_setting = words.first()?.contains('=');
        if line.starts_with('#') || is_setting {
            return None;
        }
        let times = if line.starts_with('@') { 1 } else { 5 };
        let (user, first) = match has_user {
            true => (*words.get(times)?, times + 1),
            false => (owner.as_ref(), times),
        };
        let mut row = Fields::new();
        put(&mut row, "type", "cron");
        put(&mut row, "path", path.to_string_lossy());
        put(&mut row, "schedule", words.get(..times)?.join(" "));
        put(&mut row, "user", user);
        put(
            &mut row,
            "command",
            words
                .get(first..)
                .filter(|rest| !rest.is_empty())?
                .join(" "),
        );
        Some(row)
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_state_and_start() {
        let units = "ssh.service loaded active running OpenBSD Secure Shell server\nx.service not-found inactive dead x.service\n";
        let files = "ssh.service enabled enabled\ncron.service disabled enabled\n";
        let rows = services_of(units, files);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[1]["description"], "OpenBSD Secure Shell server");
        assert_eq!(rows[1]["start"], "enabled");
        assert_eq!(rows[0]["start"], "disabled");
    }

    #[test]
    fn times_of_cron_are_read() {
        let text = "# x\nSHELL=/bin/sh\n17 * * * * root run-parts /etc/cron.hourly\n@reboot ann /home/ann/x\nbad\n";
        let rows = cron(Path::new("/etc/crontab"), text, true);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["command"], "run-parts /etc/cron.hourly");
        assert_eq!(
            (&rows[1]["schedule"], &rows[1]["user"]),
            (&"@reboot".into(), &"ann".into())
        );
        let rows = cron(
            Path::new("/var/spool/cron/crontabs/ann"),
            "0 1 * * * x y\n",
            false,
        );
        assert_eq!(rows[0]["user"], "ann");
    }
}
