//! The host's firewall: tables of the agent's own, beside whatever else is there. Rules of others
//! can only forbid more, because every table has its say over a packet.

mod iptables;
mod nft;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail};

use super::command;

/// Longest run of a tool.
const LIMIT: Duration = Duration::from_secs(20);
/// ICMPv6 types that come to a host on its link: what it must hear to have neighbours, a way out
/// and its groups (RFC 4861, section 4; RFC 2710, section 3).
const LINK_TYPES_IN: &[u8] = &[130, 134, 135, 136];
/// And that it must say: asks for routers, neighbours, and which groups it listens to (RFC 3810).
const LINK_TYPES_OUT: &[u8] = &[131, 132, 133, 135, 136, 143];
/// The groups of a link are asked for and told with another hop limit than neighbours are.
const NEIGHBOUR_HOPS: u8 = 255;

/// Where a host asks for addresses: the whole link, and no host beyond it. A renewal to the one
/// server may be lost; before the lease is over the client asks the link (RFC 2131, section 4.4.5;
/// RFC 8415, section 7.1).
const DHCP_V4: Ipv4Addr = Ipv4Addr::BROADCAST;
const DHCP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// What an isolated host may still reach, beside what keeps its addresses: DHCP, and the
/// neighbours and routers of its links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// The server.
    pub(crate) servers: BTreeSet<SocketAddr>,
    /// Name servers, where the server is known by name.
    pub(crate) resolvers: BTreeSet<IpAddr>,
}

impl Allowed {
    /// With addresses of IPv4 that were met as ones of IPv6 as what they are.
    fn canonical(&self) -> Self {
        let plain = |one: &SocketAddr| SocketAddr::new(one.ip().to_canonical(), one.port());
        Self {
            servers: self.servers.iter().map(plain).collect(),
            resolvers: self.resolvers.iter().map(IpAddr::to_canonical).collect(),
        }
    }
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
    let allowed = allowed.canonical();
    match tool()? {
        Tool::Nft => nft::isolate(&allowed)?,
        Tool::Iptables => iptables::isolate(&allowed)?,
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
        Tool::Nft => nft::release()?,
        Tool::Iptables => iptables::release()?,
    }
    match isolation_rules()? {
        Some(_) => bail!("the rules were taken away and are still in force"),
        None => Ok(was_on),
    }
}

/// The rules that cut the host off, if they are in force.
pub(crate) fn isolation_rules() -> Result<Option<String>> {
    match tool()? {
        Tool::Nft => nft::isolation_rules(),
        Tool::Iptables => iptables::isolation_rules(),
    }
}

/// Blocks an address, both ways.
pub(crate) fn block(address: IpAddr) -> Result<()> {
    match tool()? {
        Tool::Nft => nft::block(address)?,
        Tool::Iptables => iptables::block(address)?,
    }
    match is_blocked(address)? {
        true => Ok(()),
        false => bail!("the rule was written and is not in force"),
    }
}

/// Unblocks an address. Says whether it was blocked.
pub(crate) fn unblock(address: IpAddr) -> Result<bool> {
    let was_on = is_blocked(address)?;
    match tool()? {
        Tool::Nft if was_on => nft::unblock(address)?,
        Tool::Nft => {}
        // Also what is left of a rule for one way.
        Tool::Iptables => iptables::unblock(address)?,
    }
    Ok(was_on)
}

fn is_blocked(address: IpAddr) -> Result<bool> {
    match tool()? {
        Tool::Nft => nft::is_blocked(address),
        Tool::Iptables => Ok(iptables::is_blocked(address)),
    }
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
        .filter_map(|rest| {
            let word = rest.split_whitespace().next()?;
            // A link-local one is named with its interface.
            let address = word.split_once('%').map_or(word, |(address, _)| address);
            address.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read() {
        let text = "# x\nnameserver 127.0.0.53\n nameserver 192.0.2.53 \noptions edns0\n";
        assert_eq!(resolvers_of(text).len(), 2);
        let link = resolvers_of("nameserver fe80::1%eth0\n");
        assert_eq!(link.first(), Some(&"fe80::1".parse().unwrap()));
    }
}
