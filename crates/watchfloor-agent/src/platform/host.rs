//! What the host says it is.

use std::fs;
use std::net::IpAddr;

use watchfloor_link::HostIdentity;

use crate::data::{DataFolder, sha256_hex};

/// Asks the system; nothing of it is secret.
pub(crate) fn identity(data: &DataFolder) -> HostIdentity {
    let uname = rustix::system::uname();
    HostIdentity {
        name: name(),
        machine: machine(data),
        boot: boot(),
        addresses: addresses(),
        os: std::env::consts::OS.to_owned(),
        os_name: os_name(),
        kernel: uname.release().to_string_lossy().into_owned(),
        arch: std::env::consts::ARCH.to_owned(),
    }
}

/// The host's name.
pub(crate) fn name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// What changes with each start of the machine.
pub(crate) fn boot() -> String {
    read_line("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

/// Milliseconds since the machine started, sleep included: no one can set this clock.
pub(crate) fn uptime_ms() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    seconds.map_or(0, |seconds| (seconds * 1_000.0) as u64)
}

/// A hash of the machine's id: the id itself is not to be handed out, `machine-id(5)`.
fn machine(data: &DataFolder) -> String {
    let id = read_line("/etc/machine-id").or_else(|| read_line("/var/lib/dbus/machine-id"));
    let id = id.unwrap_or_else(|| own_id(data));
    sha256_hex(format!("watchfloor-agent {id}").as_bytes())
}

/// Where the machine has no id, the agent makes one and keeps it.
fn own_id(data: &DataFolder) -> String {
    if let Some(id) = read_line(&data.path("machine").to_string_lossy()) {
        return id;
    }
    let mut bytes = [0; 16];
    let _ = getrandom::fill(&mut bytes);
    let id = hex::encode(bytes);
    let _ = data.write("machine", id.as_bytes());
    id
}

fn os_name() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("Linux").trim_matches('"').to_owned()
}

/// Addresses of the host without loopback and link-local ones.
fn addresses() -> Vec<String> {
    let routes = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found: Vec<IpAddr> = local_v4(&routes);
    let v6 = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    found.extend(v6.lines().filter_map(local_v6));
    found.sort();
    found.dedup();
    found.truncate(32);
    found.iter().map(IpAddr::to_string).collect()
}

/// Addresses that the kernel's routing table marks as the host's own: the line before
/// `/32 host LOCAL`.
fn local_v4(routes: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut found = Vec::new();
    for line in routes.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<IpAddr>().ok();
        } else if line.contains("/32 host LOCAL")
            && let Some(address) = last
            && !address.is_loopback()
        {
            found.push(address);
        }
    }
    found
}

fn local_v6(line: &str) -> Option<IpAddr> {
    let mut words = line.split_whitespace();
    let address = u128::from_str_radix(words.next()?, 16).ok()?;
    let scope = words.nth(2)?;
    // Scope 00 is global; loopback is 10 and link-local 20.
    (scope == "00").then(|| IpAddr::from(address.to_be_bytes()))
}

/// First line of a small file.
pub(crate) fn read_line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().next()?.trim().to_owned();
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_read_from_the_kernels_tables() {
        let routes = "Local:\n  |-- 10.0.0.0\n     /24 link UNICAST\n  |-- 10.0.0.5\n     /32 host LOCAL\n  |-- 127.0.0.1\n     /32 host LOCAL\n";
        assert_eq!(local_v4(routes), ["10.0.0.5".parse::<IpAddr>().unwrap()]);
        let line = "20010db8000000000000000000000001 02 40 00 80     eth0";
        assert_eq!(local_v6(line), "2001:db8::1".parse().ok());
        assert_eq!(
            local_v6("fe800000000000000000000000000001 02 40 20 80 eth0"),
            None
        );
    }

    #[test]
    fn a_host_says_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataFolder::open(folder.path()).unwrap();
        let host = identity(&data);
        assert_eq!(host, identity(&data));
        assert_eq!(host.machine.len(), 64);
        assert!(!host.name.is_empty() && uptime_ms() > 0);
    }
}
