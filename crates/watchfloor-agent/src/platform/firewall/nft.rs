//! Rules by `nft(8)`: one table for isolation, one for blocked addresses, each changed in one
//! transaction.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result};

use super::{
    Allowed, DHCP_V4, DHCP_V6, LIMIT, LINK_TYPES_IN, LINK_TYPES_OUT, NEIGHBOUR_HOPS, command,
};

/// Table that cuts the host off.
const ISOLATION: &str = "watchfloor_isolation";
/// Table of blocked addresses.
const BLOCKS: &str = "watchfloor_blocks";
/// Chains of isolation, each with a policy that drops.
const CHAINS: usize = 3;

/// Puts the rules in force.
pub(super) fn isolate(allowed: &Allowed) -> Result<()> {
    run(&isolation_table(allowed))
}

/// Takes them away.
pub(super) fn release() -> Result<()> {
    // A table that is made and deleted in one transaction is deleted whether it was there.
    run(&format!(
        "table inet {ISOLATION}\ndelete table inet {ISOLATION}\n"
    ))
}

/// The rules, if they are in force: a table that lets all through is none.
pub(super) fn isolation_rules() -> Result<Option<String>> {
    let table = table(ISOLATION)?;
    Ok(table.filter(|text| text.matches("policy drop").count() == CHAINS))
}

/// Blocks an address.
pub(super) fn block(address: IpAddr) -> Result<()> {
    if table(BLOCKS)?.is_none() {
        run(&blocks_table())?;
    }
    run(&element("add", address))
}

/// Unblocks an address that is blocked.
pub(super) fn unblock(address: IpAddr) -> Result<()> {
    run(&element("delete", address))
}

/// Whether an address is blocked.
pub(super) fn is_blocked(address: IpAddr) -> Result<bool> {
    let Some(table) = table(BLOCKS)? else {
        return Ok(false);
    };
    let mut words = table.split(|one: char| one.is_whitespace() || one == ',');
    Ok(words.any(|word| word.parse() == Ok(address)))
}

fn run(script: &str) -> Result<()> {
    command::run("nft", &["-f", "-"], Some(script), LIMIT)
        .map(drop)
        .context("the firewall did not take the rules; the agent must run as root")
}

fn table(name: &str) -> Result<Option<String>> {
    let listed = command::run("nft", &["-n", "list", "table", "inet", name], None, LIMIT);
    match listed {
        Ok(text) => Ok(Some(text)),
        Err(error) if format!("{error:#}").contains("No such file") => Ok(None),
        Err(error) => Err(error.context("the firewall cannot be asked")),
    }
}

/// The whole table in one transaction: there is no moment without it.
fn isolation_table(allowed: &Allowed) -> String {
    let (mut incoming, mut outgoing) = lease();
    for server in &allowed.servers {
        let (family, address, port) = (family(server.ip()), server.ip(), server.port());
        // Answers only: a connection that the other side begins has the first flag alone.
        let _ = writeln!(
            incoming,
            "    {family} saddr {address} tcp sport {port} tcp flags & (syn | ack) != syn accept"
        );
        let _ = writeln!(
            outgoing,
            "    {family} daddr {address} tcp dport {port} accept"
        );
    }
    for resolver in &allowed.resolvers {
        let family = family(*resolver);
        let _ = writeln!(
            incoming,
            "    {family} saddr {resolver} udp sport 53 accept\n    \
             {family} saddr {resolver} tcp sport 53 tcp flags & (syn | ack) != syn accept"
        );
        for protocol in ["udp", "tcp"] {
            let _ = writeln!(
                outgoing,
                "    {family} daddr {resolver} {protocol} dport 53 accept"
            );
        }
    }
    if allowed.servers.iter().any(SocketAddr::is_ipv4) {
        // A way with a smaller largest packet says so by this word.
        incoming.push_str("    icmp type destination-unreachable icmp code frag-needed accept\n");
    }
    format!(
        "table inet {ISOLATION}\ndelete table inet {ISOLATION}\ntable inet {ISOLATION} {{\n  \
         chain input {{\n    type filter hook input priority -300; policy drop;\n    \
         iifname \"lo\" accept\n{incoming}  }}\n  \
         chain output {{\n    type filter hook output priority -300; policy drop;\n    \
         oifname \"lo\" accept\n{outgoing}  }}\n  \
         chain forward {{\n    type filter hook forward priority -300; policy drop;\n  }}\n}}\n"
    )
}

/// What keeps the host's addresses: DHCP, and the neighbours and routers of its links.
fn lease() -> (String, String) {
    let list = |types: &[u8]| {
        let words: Vec<String> = types.iter().map(u8::to_string).collect();
        words.join(", ")
    };
    let hops = format!("{{ 1, {NEIGHBOUR_HOPS} }}");
    let incoming = format!(
        "    udp sport 67 udp dport 68 accept\n    \
         ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept\n    \
         ip6 hoplimit {hops} icmpv6 type {{ {} }} accept\n    icmpv6 type packet-too-big accept\n",
        list(LINK_TYPES_IN)
    );
    let outgoing = format!(
        "    ip daddr {DHCP_V4} udp sport 68 udp dport 67 accept\n    \
         ip6 daddr {DHCP_V6} udp sport 546 udp dport 547 accept\n    \
         ip6 hoplimit {hops} icmpv6 type {{ {} }} accept\n",
        list(LINK_TYPES_OUT)
    );
    (incoming, outgoing)
}

fn blocks_table() -> String {
    let chain = |hook: &str, way: &str| {
        format!(
            "  chain {hook} {{\n    type filter hook {hook} priority -290; policy accept;\n    \
             ip {way} @v4 drop\n    ip6 {way} @v6 drop\n"
        )
    };
    format!(
        "table inet {BLOCKS} {{\n  set v4 {{ type ipv4_addr; }}\n  set v6 {{ type ipv6_addr; }}\n\
         {}  }}\n{}  }}\n{}    ip daddr @v4 drop\n    ip6 daddr @v6 drop\n  }}\n}}\n",
        chain("input", "saddr"),
        chain("output", "daddr"),
        chain("forward", "saddr"),
    )
}

fn element(verb: &str, address: IpAddr) -> String {
    let set = match address {
        IpAddr::V4(_) => "v4",
        IpAddr::V6(_) => "v6",
    };
    format!("{verb} element inet {BLOCKS} {set} {{ {address} }}\n")
}

const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_isolated_host_may_reach_the_server_and_name_servers_only_if_need_be() {
        let mut allowed = Allowed {
            servers: BTreeSet::from(["192.0.2.1:6517".parse().unwrap()]),
            resolvers: BTreeSet::new(),
        };
        let table = isolation_table(&allowed);
        assert_eq!(table.matches("policy drop").count(), CHAINS);
        assert!(table.contains("ip daddr 192.0.2.1 tcp dport 6517 accept"));
        assert!(!table.contains("dport 53 "));
        allowed.resolvers.insert("2001:db8::53".parse().unwrap());
        let table = isolation_table(&allowed);
        assert!(table.contains("ip6 daddr 2001:db8::53 udp dport 53 accept"));
    }

    #[test]
    fn an_isolated_host_keeps_its_addresses() {
        let table = isolation_table(&Allowed::default());
        assert!(table.contains("udp sport 68 udp dport 67 accept"));
        assert!(table.contains("udp sport 546 udp dport 547 accept"));
        assert!(table.contains("icmpv6 type { 130, 134, 135, 136 } accept"));
    }
}
