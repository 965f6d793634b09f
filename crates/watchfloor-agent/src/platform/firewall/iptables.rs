//! The same rules by `iptables(8)` and `ip6tables(8)`, where there is no nft: chains of the agent's
//! own, before all others, and each family changed in one commit of `iptables-restore(8)`.

use std::fmt::Write;
use std::net::IpAddr;

use anyhow::{Context, Result, bail};

use super::{
    Allowed, DHCP_V4, DHCP_V6, LIMIT, LINK_TYPES_IN, LINK_TYPES_OUT, NEIGHBOUR_HOPS, command,
};

/// Chains of isolation, with the ones that they hang in; a name has at most 28 letters.
const ISOLATION: [(&str, &str); 3] = [
    ("INPUT", "WATCHFLOOR_ISO_IN"),
    ("OUTPUT", "WATCHFLOOR_ISO_OUT"),
    ("FORWARD", "WATCHFLOOR_ISO_FWD"),
];
/// Chain of blocked addresses.
const BLOCKS: &str = "WATCHFLOOR_BLOCKS";
/// What every chain of the agent begins with.
const OWN: &str = "WATCHFLOOR_";
/// Interfaces that have addresses of IPv6, `proc(5)`.
const IF_INET6: &str = "/proc/net/if_inet6";

/// One of both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    const BOTH: [Self; 2] = [Self::V4, Self::V6];

    const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    const fn tool(self) -> &'static str {
        match self {
            Self::V4 => "iptables",
            Self::V6 => "ip6tables",
        }
    }

    const fn restore(self) -> &'static str {
        match self {
            Self::V4 => "iptables-restore",
            Self::V6 => "ip6tables-restore",
        }
    }

    /// Whether a host without rules of this family would be open.
    fn is_needed(self) -> bool {
        match self {
            Self::V4 => true,
            Self::V6 => has_ipv6(&std::fs::read_to_string(IF_INET6).unwrap_or_default()),
        }
    }

    /// Rules of a chain, as the tool lists them.
    fn rules(self, chain: &str) -> Result<String> {
        command::run(self.tool(), &["-w", "-S", chain], None, LIMIT)
    }

    /// Changes all or nothing; chains that are not named stay as they are.
    fn commit(self, lines: &str) -> Result<()> {
        let script = format!("*filter\n{lines}COMMIT\n");
        command::run(self.restore(), &["-w", "--noflush"], Some(&script), LIMIT)
            .map(drop)
            .context("the firewall did not take the rules; the agent must run as root")
    }

    /// Takes a chain's hooks away, as lines of a script.
    fn unhook(self, hook: &str, chain: &str) -> String {
        let jump = format!("-A {hook} -j {chain}");
        let rules = self.rules(hook).unwrap_or_default();
        let count = rules.lines().filter(|line| line.trim() == jump).count();
        format!("-D {hook} -j {chain}\n").repeat(count)
    }

    /// Whether a chain has its say before any that is not the agent's.
    fn is_hooked(self, hook: &str, chain: &str) -> bool {
        let jump = format!("-A {hook} -j {chain}");
        let own = format!("-A {hook} -j {OWN}");
        let rules = self.rules(hook).unwrap_or_default();
        let mut first = rules.lines().filter(|line| line.starts_with("-A "));
        first
            .by_ref()
            .take_while(|line| line.starts_with(&own))
            .any(|line| line.trim() == jump)
    }

    fn isolation(self) -> Option<String> {
        let mut all = String::new();
        for (hook, chain) in ISOLATION {
            let rules = self.rules(chain).ok()?;
            let is_whole = rules.trim_end().ends_with(&format!("-A {chain} -j DROP"));
            if !is_whole || !self.is_hooked(hook, chain) {
                return None;
            }
            all.push_str(&rules);
        }
        Some(all)
    }
}

/// Puts the rules in force.
pub(super) fn isolate(allowed: &Allowed) -> Result<()> {
    for family in Family::BOTH {
        if command::find(family.restore()).is_none() && family.is_needed() {
            bail!(
                "{} is not installed, and the host would stay open; install the package nftables",
                family.restore()
            );
        }
        let mut lines = isolation_lines(family, allowed);
        for (hook, chain) in ISOLATION {
            lines.push_str(&family.unhook(hook, chain));
            let _ = writeln!(lines, "-I {hook} 1 -j {chain}");
        }
        let done = family.commit(&lines);
        if family.is_needed() {
            done?;
        }
    }
    Ok(())
}

/// Takes them away.
pub(super) fn release() -> Result<()> {
    for family in Family::BOTH {
        let mut lines = String::new();
        for (_, chain) in ISOLATION {
            // Made where it is missing, emptied where it is there.
            let _ = writeln!(lines, ":{chain} - [0:0]");
        }
        for (hook, chain) in ISOLATION {
            lines.push_str(&family.unhook(hook, chain));
            let _ = writeln!(lines, "-X {chain}");
        }
        let done = family.commit(&lines);
        if family.is_needed() {
            done?;
        }
    }
    Ok(())
}

/// The rules, if they are in force in each family that the host speaks.
pub(super) fn isolation_rules() -> Result<Option<String>> {
    let mut all = String::new();
    for family in Family::BOTH {
        match family.isolation() {
            Some(rules) => all.push_str(&rules),
            None if family.is_needed() => return Ok(None),
            None => {}
        }
    }
    Ok(Some(all))
}

/// Blocks an address.
pub(super) fn block(address: IpAddr) -> Result<()> {
    let family = Family::of(address);
    let mut lines = String::new();
    if family.rules(BLOCKS).is_err() {
        let _ = writeln!(lines, ":{BLOCKS} - [0:0]");
    }
    for (hook, _) in ISOLATION {
        if !family.is_hooked(hook, BLOCKS) {
            lines.push_str(&family.unhook(hook, BLOCKS));
            let _ = writeln!(lines, "-I {hook} 1 -j {BLOCKS}");
        }
    }
    let ways = blocked_ways(&family.rules(BLOCKS).unwrap_or_default(), address);
    for way in ["-s", "-d"] {
        if !ways.contains(&way) {
            let _ = writeln!(lines, "-A {BLOCKS} {way} {address} -j DROP");
        }
    }
    family.commit(&lines)
}

/// Unblocks an address, both ways or what is left of them.
pub(super) fn unblock(address: IpAddr) -> Result<()> {
    let family = Family::of(address);
    let ways = blocked_ways(&family.rules(BLOCKS).unwrap_or_default(), address);
    if ways.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for way in ways {
        let _ = writeln!(lines, "-D {BLOCKS} {way} {address} -j DROP");
    }
    family.commit(&lines)
}

/// Whether an address is blocked both ways, before the rules of others.
pub(super) fn is_blocked(address: IpAddr) -> bool {
    let family = Family::of(address);
    let ways = blocked_ways(&family.rules(BLOCKS).unwrap_or_default(), address);
    ["-s", "-d"].iter().all(|way| ways.contains(way))
        && ISOLATION
            .iter()
            .all(|(hook, _)| family.is_hooked(hook, BLOCKS))
}

/// In which ways rules drop what has to do with an address, once for each rule.
fn blocked_ways(rules: &str, address: IpAddr) -> Vec<&'static str> {
    let way_of = |line: &str| {
        let rest = line.trim().strip_prefix(&format!("-A {BLOCKS} "))?;
        let rest = rest.strip_suffix(" -j DROP")?;
        let (way, network) = rest.split_once(' ')?;
        let (one, _) = network.split_once('/').unwrap_or((network, ""));
        // Compared as addresses: the tool may write one otherwise.
        (one.parse() == Ok(address)).then_some(match way {
            "-s" => "-s",
            _ => "-d",
        })
    };
    rules.lines().filter_map(way_of).collect()
}

/// Whether an interface other than the loopback has an address of IPv6.
fn has_ipv6(if_inet6: &str) -> bool {
    let mut names = if_inet6
        .lines()
        .filter_map(|line| line.split_whitespace().last());
    names.any(|name| name != "lo")
}

/// The chains of isolation. What is let through returns to the rules of others, which may forbid it.
fn isolation_lines(family: Family, allowed: &Allowed) -> String {
    let [(_, input), (_, output), (_, forward)] = ISOLATION;
    let mut lines = String::new();
    for (_, chain) in ISOLATION {
        let _ = writeln!(lines, ":{chain} - [0:0]");
    }
    let mut pass = |chain: &str, what: &str| {
        let _ = writeln!(lines, "-A {chain} {what} -j RETURN");
    };
    pass(input, "-i lo");
    pass(output, "-o lo");
    for server in &allowed.servers {
        let (address, port) = (server.ip(), server.port());
        if Family::of(address) == family {
            pass(
                input,
                &format!("-s {address} -p tcp --sport {port} ! --syn"),
            );
            pass(output, &format!("-d {address} -p tcp --dport {port}"));
        }
    }
    for address in &allowed.resolvers {
        if Family::of(*address) == family {
            pass(input, &format!("-s {address} -p udp --sport 53"));
            pass(input, &format!("-s {address} -p tcp --sport 53 ! --syn"));
            pass(output, &format!("-d {address} -p udp --dport 53"));
            pass(output, &format!("-d {address} -p tcp --dport 53"));
        }
    }
    match family {
        Family::V4 => {
            pass(input, "-p udp --sport 67 --dport 68");
            pass(
                output,
                &format!("-d {DHCP_V4} -p udp --sport 68 --dport 67"),
            );
            pass(input, "-p icmp --icmp-type fragmentation-needed");
        }
        Family::V6 => {
            pass(input, "-s fe80::/10 -p udp --sport 547 --dport 546");
            pass(
                output,
                &format!("-d {DHCP_V6} -p udp --sport 546 --dport 547"),
            );
            pass(input, "-p icmpv6 --icmpv6-type packet-too-big");
            for (chain, types) in [(input, LINK_TYPES_IN), (output, LINK_TYPES_OUT)] {
                for one in types {
                    for hops in [1, NEIGHBOUR_HOPS] {
                        pass(
                            chain,
                            &format!("-p icmpv6 --icmpv6-type {one} -m hl --hl-eq {hops}"),
                        );
                    }
                }
            }
        }
    }
    for chain in [input, output, forward] {
        let _ = writeln!(lines, "-A {chain} -j DROP");
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_family_has_its_own_and_drops_the_rest() {
        let allowed = Allowed {
            servers: BTreeSet::from(["192.0.2.1:6517".parse().unwrap()]),
            resolvers: BTreeSet::from(["2001:db8::53".parse().unwrap()]),
        };
        let v4 = isolation_lines(Family::V4, &allowed);
        assert!(v4.contains("-A WATCHFLOOR_ISO_OUT -d 192.0.2.1 -p tcp --dport 6517 -j RETURN\n"));
        assert!(!v4.contains("2001:") && !v4.contains("546"));
        let v6 = isolation_lines(Family::V6, &allowed);
        assert!(v6.contains("-d 2001:db8::53 -p udp --dport 53 -j RETURN\n"));
        assert!(!v6.contains("192.0.2.1"));
        for text in [v4, v6] {
            assert_eq!(text.matches(" -j DROP\n").count(), 3);
        }
    }

    #[test]
    fn blocked_addresses_are_compared_as_addresses() {
        let rules = "-N WATCHFLOOR_BLOCKS\n-A WATCHFLOOR_BLOCKS -s 10.0.0.1/32 -j DROP\n\
                     -A WATCHFLOOR_BLOCKS -d 10.0.0.1/32 -j DROP\n\
                     -A WATCHFLOOR_BLOCKS -s 2001:0db8::1/128 -j DROP\n";
        let ways = |address: &str| blocked_ways(rules, address.parse().unwrap());
        assert_eq!(ways("10.0.0.1"), ["-s", "-d"]);
        assert_eq!(ways("2001:db8::1"), ["-s"]);
        assert!(ways("10.0.0.10").is_empty());
    }

    #[test]
    fn loopback_alone_is_no_ipv6() {
        let lo = "00000000000000000000000000000001 01 80 10 80       lo\n";
        let eth = "fe80000000000000000000fffe000001 02 40 20 80     eth0\n";
        assert!(!has_ipv6(lo) && !has_ipv6("") && has_ipv6(&format!("{lo}{eth}")));
    }
}
