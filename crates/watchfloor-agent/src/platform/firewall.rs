//! The host's firewall: tables of the agent's own, beside whatever else is there. Rules of others
//! can only forbid more, because every table has its say over a packet.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::command;

/// Table that cuts the host off.
const ISOLATION: &str = "watchfloor_isolation";
/// Table of blocked addresses.
const BLOCKS: &str = "watchfloor_blocks";
/// Chains of the same where there is only iptables; at most 28 letters.
const CHAIN_IN: &str = "WATCHFLOOR_ISO_IN";
const CHAIN_OUT: &str = "WATCHFLOOR_ISO_OUT";
const CHAIN_FORWARD: &str = "WATCHFLOOR_ISO_FWD";
const CHAIN_BLOCKS: &str = "WATCHFLOOR_BLOCKS";
/// Longest run of a tool.
const LIMIT: Duration = Duration::from_secs(20);

/// What an isolated host may still reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The server.
    pub(crate) servers: BTreeSet<SocketAddr>,
    /// Name servers, where the server is known by name.
    pub(crate) resolvers: BTreeSet<IpAddr>,
}

/// Which tool there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Nft,
    Iptables,
}

fn tool() -> Result<Tool> {
    if command::find("nft").is_some() {
        return Ok(Tool::Nft);
    }
    if command::find("iptables").is_some() {
        return Ok(Tool::Iptables);
    }
    bail!("neither nft nor iptables is installed; install the package nftables")
}

/// Cuts the host off from all but what is allowed. Answers the rules in force, as proof.
pub(crate) fn isolate(allowed: &Allowed) -> Result<String> {
    if allowed.servers.is_empty() {
        bail!("the server's address is not known");
    }
    match tool()? {
        Tool::Nft => nft(&isolation_table(allowed))?,
        Tool::Iptables => iptables_isolate(allowed)?,
    }
    match isolation_rules()? {
        Some(rules) => Ok(rules),
        None => bail!("the rules were written and are not in force"),
    }
}

/// Gives the host its network back. Says whether it was cut off.
pub(crate) fn release() -> Result<bool> {
    let was_on = isolation_rules()?.is_some();
    match tool()? {
        // A table that is made and deleted in one transaction is deleted whether it was there.
        Tool::Nft => nft(&format!(
            "table inet {ISOLATION}\ndelete table inet {ISOLATION}\n"
        ))?,
        Tool::Iptables => iptables_release(),
    }
    match isolation_rules()? {
        Some(_) => bail!("the rules were taken away and are still in force"),
        None => Ok(was_on),
    }
}

/// The rules that cut the host off, if they are in force.
pub(crate) fn isolation_rules() -> Result<Option<String>> {
    match tool()? {
        Tool::Nft => nft_table(ISOLATION),
        Tool::Iptables => {
            let run = |chain| command::run("iptables", &["-w", "-S", chain], None, LIMIT);
            let is_hooked = run("OUTPUT").is_ok_and(|text| text.contains(CHAIN_OUT));
            Ok(is_hooked.then(|| run(CHAIN_OUT).unwrap_or_default()))
        }
    }
}

/// Blocks an address, both ways.
pub(crate) fn block(address: IpAddr) -> Result<()> {
    match tool()? {
        Tool::Nft => {
            if nft_table(BLOCKS)?.is_none() {
                nft(&blocks_table())?;
            }
            nft(&element("add", address))?;
        }
        Tool::Iptables => iptables_block(address)?,
    }
    match is_blocked(address)? {
        true => Ok(()),
        false => bail!("the rule was written and is not in force"),
    }
}

/// Unblocks an address. Says whether it was blocked.
pub(crate) fn unblock(address: IpAddr) -> Result<bool> {
    if !is_blocked(address)? {
        return Ok(false);
    }
    match tool()? {
        Tool::Nft => nft(&element("delete", address))?,
        Tool::Iptables => {
            let tool = iptables_for(address);
            let text = address.to_string();
            for way in ["-s", "-d"] {
                let rule = ["-w", "-D", CHAIN_BLOCKS, way, &text, "-j", "DROP"];
                command::run(tool, &rule, None, LIMIT)?;
            }
        }
    }
    Ok(true)
}

fn is_blocked(address: IpAddr) -> Result<bool> {
    match tool()? {
        Tool::Nft => {
            let Some(table) = nft_table(BLOCKS)? else {
                return Ok(false);
            };
            let mut words = table.split(|one: char| one.is_whitespace() || one == ',');
            Ok(words.any(|word| word.parse() == Ok(address)))
        }
        Tool::Iptables => {
            let arguments = ["-w", "-S", CHAIN_BLOCKS];
            let rules = command::run(iptables_for(address), &arguments, None, LIMIT);
            let text = format!("-d {address}/");
            Ok(rules.is_ok_and(|rules| rules.contains(&text)))
        }
    }
}

fn nft(script: &str) -> Result<()> {
    command::run("nft", &["-f", "-"], Some(script), LIMIT)
        .map(drop)
        .context("the firewall did not take the rules; the agent must run as root")
}

fn nft_table(name: &str) -> Result<Option<String>> {
    let listed = command::run("nft", &["-n", "list", "table", "inet", name], None, LIMIT);
    match listed {
        Ok(text) => Ok(Some(text)),
        Err(error) if format!("{error:#}").contains("No such file") => Ok(None),
        Err(error) => Err(error.context("the firewall cannot be asked")),
    }
}

/// The whole table in one transaction: there is no moment without it.
fn isolation_table(allowed: &Allowed) -> String {
    let mut incoming = String::new();
    let mut outgoing = String::new();
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
        for protocol in ["udp", "tcp"] {
            let _ = writeln!(
                incoming,
                "    {family} saddr {resolver} {protocol} sport 53 accept"
            );
            let _ = writeln!(
                outgoing,
                "    {family} daddr {resolver} {protocol} dport 53 accept"
            );
        }
    }
    let uses_v6 = allowed.servers.iter().any(SocketAddr::is_ipv6)
        || allowed.resolvers.iter().any(IpAddr::is_ipv6);
    if uses_v6 {
        // Without neighbours no IPv6 packet finds its way; IPv4 asks below this table.
        let rule = "    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept\n";
        incoming.push_str(rule);
        outgoing.push_str(rule);
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

const fn iptables_for(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "iptables",
        IpAddr::V6(_) => "ip6tables",
    }
}

/// The tools for both families that are there.
fn iptables_tools() -> Vec<&'static str> {
    ["iptables", "ip6tables"]
        .into_iter()
        .filter(|tool| command::find(tool).is_some())
        .collect()
}

fn iptables_isolate(allowed: &Allowed) -> Result<()> {
    iptables_release();
    for tool in iptables_tools() {
        let run = |arguments: &[&str]| {
            let mut all = vec!["-w"];
            all.extend_from_slice(arguments);
            command::run(tool, &all, None, LIMIT).map(drop)
        };
        for chain in [CHAIN_IN, CHAIN_OUT, CHAIN_FORWARD] {
            run(&["-N", chain])?;
        }
        run(&["-A", CHAIN_IN, "-i", "lo", "-j", "RETURN"])?;
        run(&["-A", CHAIN_OUT, "-o", "lo", "-j", "RETURN"])?;
        for server in allowed
            .servers
            .iter()
            .filter(|one| iptables_for(one.ip()) == tool)
        {
            let (address, port) = (server.ip().to_string(), server.port().to_string());
            let back = [
                "-A", CHAIN_IN, "-s", &address, "-p", "tcp", "--sport", &port,
            ];
            run(&[&back[..], &["!", "--syn", "-j", "RETURN"]].concat())?;
            let there = [
                "-A", CHAIN_OUT, "-d", &address, "-p", "tcp", "--dport", &port,
            ];
            run(&[&there[..], &["-j", "RETURN"]].concat())?;
        }
        for resolver in allowed
            .resolvers
            .iter()
            .filter(|one| iptables_for(**one) == tool)
        {
            let address = resolver.to_string();
            for protocol in ["udp", "tcp"] {
                let back = [
                    "-A", CHAIN_IN, "-s", &address, "-p", protocol, "--sport", "53",
                ];
                run(&[&back[..], &["-j", "RETURN"]].concat())?;
                let there = [
                    "-A", CHAIN_OUT, "-d", &address, "-p", protocol, "--dport", "53",
                ];
                run(&[&there[..], &["-j", "RETURN"]].concat())?;
            }
        }
        for (hook, chain) in hooks() {
            run(&["-A", chain, "-j", "DROP"])?;
            run(&["-I", hook, "1", "-j", chain])?;
        }
    }
    Ok(())
}

const fn hooks() -> [(&'static str, &'static str); 3] {
    [
        ("INPUT", CHAIN_IN),
        ("OUTPUT", CHAIN_OUT),
        ("FORWARD", CHAIN_FORWARD),
    ]
}

/// What is not there cannot be taken away; whoever calls looks at what is left.
fn iptables_release() {
    for tool in iptables_tools() {
        for (hook, chain) in hooks() {
            for arguments in [
                ["-w", "-D", hook, "-j", chain].as_slice(),
                &["-w", "-F", chain],
                &["-w", "-X", chain],
            ] {
                let _ = command::run(tool, arguments, None, LIMIT);
            }
        }
    }
}

fn iptables_block(address: IpAddr) -> Result<()> {
    let tool = iptables_for(address);
    let run = |arguments: &[&str]| command::run(tool, arguments, None, LIMIT).map(drop);
    if run(&["-w", "-S", CHAIN_BLOCKS]).is_err() {
        run(&["-w", "-N", CHAIN_BLOCKS])?;
        for hook in ["INPUT", "OUTPUT", "FORWARD"] {
            run(&["-w", "-I", hook, "1", "-j", CHAIN_BLOCKS])?;
        }
    }
    if is_blocked(address)? {
        return Ok(());
    }
    let text = address.to_string();
    for way in ["-s", "-d"] {
        run(&["-w", "-A", CHAIN_BLOCKS, way, &text, "-j", "DROP"])?;
    }
    Ok(())
}

/// Name servers of the host, `resolv.conf(5)`.
pub(crate) fn resolvers() -> BTreeSet<IpAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let mut found = resolvers_of(&text);
    if found.iter().all(IpAddr::is_loopback) {
        // A resolver on the host itself asks the ones that stand here.
        let behind = std::fs::read_to_string("/run/systemd/resolve/resolv.conf");
        found.extend(resolvers_of(&behind.unwrap_or_default()));
    }
    found.retain(|one| !one.is_loopback());
    found
}

fn resolvers_of(text: &str) -> BTreeSet<IpAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.split_whitespace().next()?.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_isolated_host_may_reach_the_server_and_name_servers_only_if_need_be() {
        let mut allowed = Allowed {
            servers: BTreeSet::from(["192.0.2.1:6517".parse().unwrap()]),
            resolvers: BTreeSet::new(),
        };
        let table = isolation_table(&allowed);
        assert_eq!(table.matches("policy drop").count(), 3);
        assert!(table.contains("ip daddr 192.0.2.1 tcp dport 6517 accept"));
        assert!(!table.contains("53") && !table.contains("icmpv6"));
        allowed.resolvers.insert("2001:db8::53".parse().unwrap());
        let table = isolation_table(&allowed);
        assert!(table.contains("ip6 daddr 2001:db8::53 udp dport 53 accept"));
        assert!(table.contains("nd-neighbor-solicit"));
    }

    #[test]
    fn name_servers_are_read() {
        let text = "# x\nnameserver 127.0.0.53\n nameserver 192.0.2.53 \noptions edns0\n";
        assert_eq!(resolvers_of(text).len(), 2);
    }
}
