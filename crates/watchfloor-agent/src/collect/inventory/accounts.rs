//! Accounts and groups of this host, from its own files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::core::Core;
use crate::record::{Fields, put};

/// Longest file with keys that is counted.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// Users, with how they can log in.
pub(super) fn users(_core: &Core) -> Vec<Fields> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let rows = users_of(
        &read("/etc/passwd"),
        &read("/etc/shadow"),
        &read("/etc/group"),
    );
    rows.into_iter()
        .map(|mut row| {
            let home = row.get("home").and_then(|value| value.as_str());
            let keys = home.map_or(0, count_keys);
            if keys > 0 {
                put(&mut row, "ssh_keys", keys);
            }
            row
        })
        .collect()
}

fn count_keys(home: &str) -> usize {
    let path = Path::new(home).join(".ssh/authorized_keys");
    let is_short = fs::metadata(&path).is_ok_and(|meta| meta.len() <= KEYS_BYTES_MAX);
    let text = match is_short {
        true => fs::read_to_string(&path).unwrap_or_default(),
        false => String::new(),
    };
    let keys = text.lines().map(str::trim);
    keys.filter(|line| !line.is_empty() && !line.starts_with('#'))
        .count()
}

fn users_of(passwd: &str, shadow: &str, group: &str) -> Vec<Fields> {
    let shadow: BTreeMap<&str, Vec<&str>> = shadow
        .lines()
        .filter_map(|line| Some((line.split(':').next()?, line.split(':').collect())))
        .collect();
    let mut rows = Vec::new();
    for line in passwd.lines() {
        let parts: Vec<&str> = line.split(':').collect();
        let [user, _, uid, gid, words, home, shell] = parts.as_slice() else {
            continue;
        };
        let mut row = Fields::new();
        put(&mut row, "user", *user);
        put(&mut row, "uid", uid.parse::<u32>().ok());
        put(&mut row, "gid", gid.parse::<u32>().ok());
        put(
            &mut row,
            "full_name",
            words.split(',').next().unwrap_or_default(),
        );
        put(&mut row, "home", *home);
        put(&mut row, "shell", *shell);
        put(&mut row, "groups", groups_with(group, user).join(","));
        if let Some(secret) = shadow.get(user) {
            let hash = secret.get(1).copied().unwrap_or_default();
            put(&mut row, "password", password_word(hash));
            put(
                &mut row,
                "password_changed_d",
                secret.get(2).and_then(|one| one.parse::<u32>().ok()),
            );
            put(
                &mut row,
                "expires_d",
                secret.get(7).and_then(|one| one.parse::<u32>().ok()),
            );
        }
        rows.push(row);
    }
    rows
}

/// How a password stands, never the hash of one.
fn password_word(hash: &str) -> &'static str {
    match hash {
        "" => "empty",
        "*" | "!" | "!!" | "!*" => "none",
        locked if locked.starts_with('!') => "locked",
        _ => "set",
    }
}

fn groups_with<'a>(group: &'a str, user: &str) -> Vec<&'a str> {
    let is_member = |line: &&str| {
        let members = line.rsplit(':').next().unwrap_or_default();
        members.split(',').any(|one| one == user)
    };
    let lines = group.lines().filter(is_member);
    lines.filter_map(|line| line.split(':').next()).collect()
}

/// Groups and who is in them.
pub(super) fn groups(_core: &Core) -> Vec<Fields> {
    groups_of(&fs::read_to_string("/etc/group").unwrap_or_default())
}

fn groups_of(text: &str) -> Vec<Fields> {
    let row = |line: &str| {
        let parts: Vec<&str> = line.split(':').collect();
        let [group, _, gid, members] = parts.as_slice() else {
            return None;
        };
        let mut row = Fields::new();
        put(&mut row, "group", *group);
        put(&mut row, "gid", gid.parse::<u32>().ok());
        put(&mut row, "members", *members);
        Some(row)
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_say_how_they_can_be_used_and_no_hash() {
        let passwd =
            "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000:Ann B,,,:/home/ann:/bin/sh\nbroken\n";
        let shadow = "root:*:19000:0:99999:7:::\nann:!$y$secret:19500:0:99999:7::20000:\n";
        let group = "sudo:x:27:ann,bob\nadm:x:4:bob\n";
        let rows = users_of(passwd, shadow, group);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0]["password"], "none");
        assert_eq!(rows[1]["password"], "locked");
        assert_eq!(rows[1]["groups"], "sudo");
        assert_eq!(rows[1]["full_name"], "Ann B");
        assert_eq!(rows[1]["expires_d"], 20_000);
        assert!(!serde_json::to_string(&rows).unwrap().contains("secret"));
        assert_eq!(groups_of(group)[0]["members"], "ann,bob");
    }
}
