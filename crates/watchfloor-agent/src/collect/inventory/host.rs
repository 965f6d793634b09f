//! The host itself, its kernel modules and mounts.

use std::fs;

use crate::core::Core;
use crate::platform::host::{self, read_line};
use crate::record::{Fields, put};

/// One row about the host.
pub(super) fn rows(core: &Core) -> Vec<Fields> {
    let identity = host::identity(&core.data);
    let mut row = Fields::new();
    put(&mut row, "machine", identity.machine);
    put(&mut row, "boot", identity.boot);
    put(&mut row, "addresses", identity.addresses);
    put(&mut row, "os", identity.os);
    put(&mut row, "os_name", identity.os_name);
    put(&mut row, "kernel", identity.kernel);
    put(&mut row, "arch", identity.arch);
    let (id, version) = distribution();
    put(&mut row, "os_id", id);
    put(&mut row, "os_version", version);
    put(&mut row, "memory_mib", memory_mib());
    put(
        &mut row,
        "processors",
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    let dmi = |name: &str| read_line(&format!("/sys/class/dmi/id/{name}"));
    put(&mut row, "vendor", dmi("sys_vendor"));
    put(&mut row, "model", dmi("product_name"));
    put(&mut row, "serial", dmi("product_serial"));
    let zone = fs::read_link("/etc/localtime").ok();
    let zone = zone.and_then(|path| {
        let text = path.to_string_lossy().into_owned();
        Some(text.split_once("zoneinfo/")?.1.to_owned())
    });
    put(&mut row, "time_zone", zone);
    vec![row]
}

/// `debian` and `12`, `os-release(5)`.
pub(super) fn distribution() -> (String, String) {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    (value("ID="), value("VERSION_ID="))
}

fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? >> 10)
}

/// Modules of the kernel that are loaded.
pub(super) fn modules(_core: &Core) -> Vec<Fields> {
    modules_of(&fs::read_to_string("/proc/modules").unwrap_or_default())
}

fn modules_of(text: &str) -> Vec<Fields> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut row = Fields::new();
        put(&mut row, "module", *words.first()?);
        put(&mut row, "size", words.get(1)?.parse::<u64>().ok());
        put(&mut row, "state", *words.get(4)?);
        let users = words.get(3)?.trim_matches(['-', ',']);
        put(&mut row, "used_by", users);
        // Letters in brackets at the end say what the kernel holds against it.
        let taint = words
            .last()?
            .strip_prefix('(')
            .map(|one| one.trim_end_matches(')'));
        put(&mut row, "taint", taint);
        Some(row)
    };
    text.lines().filter_map(row).collect()
}

/// What is mounted where.
pub(super) fn mounts() -> Vec<Fields> {
    let text = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [device, path, kind, options, ..] = words.as_slice() else {
            return None;
        };
        let mut row = Fields::new();
        put(&mut row, "device", *device);
        put(&mut row, "path", *path);
        put(&mut row, "type", *kind);
        put(&mut row, "options", *options);
        Some(row)
    };
    text.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_say_what_the_kernel_holds_against_them() {
        let text =
            "nf_tables 303104 12 nft_ct,nft_nat, Live 0x0\nrootkit 16384 0 - Live 0x0 (OE)\n";
        let rows = modules_of(text);
        assert_eq!(rows[0]["used_by"], "nft_ct,nft_nat");
        assert!(!rows[0].contains_key("taint"));
        assert_eq!(rows[1]["taint"], "OE");
    }
}
