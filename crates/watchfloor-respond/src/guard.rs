//! What is never reached: addresses that a call to the outside has no business with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Lets calls go to public addresses, and to networks that an administrator named.
#[derive(Clone, Debug)]
pub struct Guard {
    allowed: Arc<Vec<IpNet>>,
    /// Why the last name was refused: the client itself only says that it cannot connect.
    refused: Arc<Mutex<Option<String>>>,
}

impl Guard {
    /// A guard with networks beside the public ones.
    pub fn new(allowed: Vec<IpNet>) -> Self {
        Self {
            allowed: Arc::new(allowed),
            refused: Arc::default(),
        }
    }

    /// Checks an address.
    ///
    /// # Errors
    /// Why it is not called, and how an administrator lets it be.
    pub fn check(&self, address: IpAddr) -> Result<(), String> {
        let address = address.to_canonical();
        let is_named = self
            .allowed
            .iter()
            .any(|network| network.contains(&address));
        if is_named || is_public(address) {
            return Ok(());
        }
        Err(format!(
            "{address} is an internal address, which is not called; an administrator can name its network in allowed_networks of the connector"
        ))
    }

    /// Checks the host of a URL where it is an address; names are checked when they are resolved.
    ///
    /// # Errors
    /// As [`Guard::check`].
    pub fn check_url(&self, url: &url::Url) -> Result<(), String> {
        match url.host() {
            Some(url::Host::Ipv4(address)) => self.check(IpAddr::V4(address)),
            Some(url::Host::Ipv6(address)) => self.check(IpAddr::V6(address)),
            Some(url::Host::Domain(_)) => Ok(()),
            None => Err(format!("{url} has no host")),
        }
    }

    /// Addresses of a name, all of which may be called.
    ///
    /// # Errors
    /// Why not.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let found = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| format!("the name {host} has no address: {error}"))?;
        let found: Vec<SocketAddr> = found.collect();
        for address in &found {
            // One internal address among public ones is enough to refuse: which of them is
            // called is not ours to choose.
            self.check(address.ip())
                .map_err(|reason| format!("{host}: {reason}"))?;
        }
        if found.is_empty() {
            return Err(format!("the name {host} has no address"));
        }
        Ok(found)
    }

    /// Why the last name was refused.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.refused
            .lock()
            .unwrap_or_else(|error| error.into_inner())
            .clone()
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            match Self::resolve(&guard, name.as_str(), 0).await {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                Err(reason) => {
                    let mut refused = guard
                        .refused
                        .lock()
                        .unwrap_or_else(|error| error.into_inner());
                    *refused = Some(reason.clone());
                    Err(reason.into())
                }
            }
        })
    }
}

/// Whether an address is one of the Internet at large.
///
/// # Source
/// IANA special-purpose address registries (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_shared = first == 100 && (64..128).contains(&second);
    let is_protocol = (first, second, third) == (192, 0, 0);
    let is_benchmark = first == 198 && (18..20).contains(&second);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || first == 0
        || first >= 240
        || is_shared
        || is_protocol
        || is_benchmark)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let first = address.segments()[0];
    let embedded = match address.segments() {
        // 6to4 and NAT64 hold an IPv4 address.
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
        }
        _ => None,
    };
    let is_global = (0x2000..0x4000).contains(&first) || first == 0x64;
    let is_documentation = address.segments()[..2] == [0x2001, 0xdb8];
    is_global && !is_documentation && embedded.is_none_or(is_public_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_not_called() {
        let guard = Guard::new(vec!["10.7.0.0/16".parse().unwrap()]);
        for (text, may) in [
            ("203.0.114.7", true),
            ("8.8.8.8", true),
            ("10.7.1.1", true),
            ("10.8.1.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("192.168.1.1", false),
            ("172.31.0.1", false),
            ("100.64.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:10.7.0.1", true),
            ("fe80::1", false),
            ("fd00::1", false),
            ("2606:4700::1111", true),
            ("2002:7f00:1::", false),
            ("64:ff9b::7f00:1", false),
        ] {
            assert_eq!(guard.check(text.parse().unwrap()).is_ok(), may, "{text}");
        }
    }
}
