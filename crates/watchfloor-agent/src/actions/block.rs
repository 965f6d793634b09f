//! Blocking addresses in the firewall and names in the host's own table of names.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::Done;
use crate::data::write_atomically;
use crate::platform::firewall;

/// Names before addresses, `hosts(5)`.
const HOSTS: &str = "/etc/hosts";
const BEGIN: &str = "# watchfloor-agent: blocked names, begin";
const END: &str = "# watchfloor-agent: blocked names, end";

/// Blocks an address, both ways.
pub(super) fn block_address(address: IpAddr) -> Result<Done> {
    if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
        bail!("{address} is not an address of another host");
    }
    firewall::block(address)?;
    Ok(
        Done::new(format!("nothing goes to {address} or comes from it"))
            .with("address", address.to_string()),
    )
}

/// Unblocks an address.
pub(super) fn unblock_address(address: IpAddr) -> Result<Done> {
    Ok(match firewall::unblock(address)? {
        true => Done::new(format!("{address} is no longer blocked")),
        false => Done::new(format!("{address} was not blocked")),
    })
}

/// Blocks a name: the host no longer finds it.
pub(super) fn block_domain(domain: &str) -> Result<Done> {
    change_hosts(Path::new(HOSTS), domain, Change::Add)?;
    Ok(
        Done::new(format!("{domain} leads nowhere on this host")).with(
            "note",
            "programs with a resolver of their own do not look into /etc/hosts",
        ),
    )
}

/// Unblocks a name.
pub(super) fn unblock_domain(domain: &str) -> Result<Done> {
    Ok(
        match change_hosts(Path::new(HOSTS), domain, Change::Remove)? {
            true => Done::new(format!("{domain} is no longer blocked")),
            false => Done::new(format!("{domain} was not blocked")),
        },
    )
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

/// Changes the lines between the marks, and says whether something changed.
fn change_hosts(path: &Path, domain: &str, change: Change) -> Result<bool> {
    let before = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("{}", path.display())),
    };
    let after = hosts_text(&before, domain, change);
    if after == before {
        return Ok(false);
    }
    let mode = fs::metadata(path).map_or(0o644, |one| one.mode() & 0o777);
    let replaced = write_atomically(path, after.as_bytes(), mode);
    // In a container the file is a mount of its own and cannot be replaced, only written.
    replaced
        .or_else(|_| fs::write(path, &after))
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(true)
}

fn hosts_text(before: &str, domain: &str, change: Change) -> String {
    let mut outside = Vec::new();
    let mut names = Vec::new();
    let mut is_inside = false;
    for line in before.lines() {
        match line.trim() {
            BEGIN => is_inside = true,
            END => is_inside = false,
            inside if is_inside => {
                names.extend(inside.split_whitespace().nth(1).map(str::to_owned))
            }
            _ => outside.push(line),
        }
    }
    names.retain(|name| name != domain);
    if change == Change::Add {
        names.push(domain.to_owned());
    }
    names.sort();
    names.dedup();
    let mut text = outside.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    if !names.is_empty() {
        text.push_str(BEGIN);
        text.push('\n');
        for name in names {
            text.push_str(&format!("0.0.0.0 {name}\n:: {name}\n"));
        }
        text.push_str(END);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocked_names_come_and_go_and_leave_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let own = "127.0.0.1 localhost\n# a word\n";
        fs::write(&path, own).unwrap();
        assert!(change_hosts(&path, "evil.example", Change::Add).unwrap());
        assert!(!change_hosts(&path, "evil.example", Change::Add).unwrap());
        assert!(change_hosts(&path, "bad.example", Change::Add).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(own) && text.contains("0.0.0.0 evil.example\n:: evil.example\n"));
        assert!(change_hosts(&path, "evil.example", Change::Remove).unwrap());
        assert!(change_hosts(&path, "bad.example", Change::Remove).unwrap());
        assert!(!change_hosts(&path, "bad.example", Change::Remove).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), own);
    }

    #[test]
    fn the_host_itself_is_not_blocked() {
        assert!(block_address("127.0.0.1".parse().unwrap()).is_err());
    }
}
