//! Sockets of the host, as `/proc/net` shows them, and which process has them.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Most bytes of a table that are read.
const TABLE_BYTES_MAX: u64 = 32 << 20;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As records call it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Socket {
    pub(crate) protocol: Protocol,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Whether it waits for others.
    pub(crate) is_listening: bool,
    /// Whether one of both sides has ended it.
    pub(crate) is_closing: bool,
    pub(crate) uid: u32,
    pub(crate) inode: u64,
}

/// All sockets that listen, are connected, or are not wholly closed yet.
pub(crate) fn sockets() -> Vec<Socket> {
    let mut found = Vec::new();
    for (path, protocol) in [
        ("/proc/net/tcp", Protocol::Tcp),
        ("/proc/net/tcp6", Protocol::Tcp),
        ("/proc/net/udp", Protocol::Udp),
        ("/proc/net/udp6", Protocol::Udp),
    ] {
        use std::io::Read;
        let mut text = String::new();
        if let Ok(file) = fs::File::open(path) {
            // A table that is cut still tells what is in it.
            let _ = file.take(TABLE_BYTES_MAX).read_to_string(&mut text);
        }
        found.extend(
            text.lines()
                .skip(1)
                .filter_map(|line| parse(line, protocol)),
        );
    }
    found.sort();
    found.dedup();
    found
}

/// Which process has a socket, by its inode.
pub(crate) fn owners() -> HashMap<u64, i32> {
    let mut found = HashMap::new();
    for pid in super::process::pids() {
        let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            if let Some(inode) = target.to_str().and_then(inode_of) {
                found.entry(inode).or_insert(pid);
            }
        }
    }
    found
}

fn inode_of(target: &str) -> Option<u64> {
    target
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

/// A line of `proc_net_tcp(5)`.
fn parse(line: &str, protocol: Protocol) -> Option<Socket> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let local = endpoint(words.get(1)?)?;
    let remote = endpoint(words.get(2)?)?;
    let state = u8::from_str_radix(words.get(3)?, 16).ok()?;
    let is_listening = match protocol {
        Protocol::Tcp => state == 0x0a,
        // UDP knows no listening: who has no peer waits for anybody.
        Protocol::Udp => remote.port() == 0,
    };
    let is_open = is_listening || matches!(state, 0x01..=0x03);
    // All but those of which the kernel keeps only the times.
    let is_closing = protocol == Protocol::Tcp && matches!(state, 0x04 | 0x05 | 0x08 | 0x09 | 0x0b);
    (is_open || is_closing).then_some(Socket {
        protocol,
        local,
        remote,
        is_listening,
        is_closing,
        uid: words.get(7)?.parse().ok()?,
        inode: words.get(9)?.parse().ok()?,
    })
}

/// Words of the address stand in the machine's byte order.
fn endpoint(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| -> Option<[u8; 4]> {
        let part = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(part, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_tables_are_read() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0";
        let socket = parse(line, Protocol::Tcp).unwrap();
        assert_eq!(socket.local, "127.0.0.1:8080".parse().unwrap());
        assert!(socket.is_listening);
        assert_eq!((socket.uid, socket.inode), (1000, 4242));
        let closed = line.replace(" 0A ", " 06 ");
        assert_eq!(parse(&closed, Protocol::Tcp), None);
        assert_eq!(parse("garbage", Protocol::Tcp), None);
        let six = endpoint("0000000000000000FFFF00000100007F:0050").unwrap();
        assert_eq!(six, "127.0.0.1:80".parse().unwrap());
    }

    #[test]
    fn own_sockets_are_found_with_their_process() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let local = listener.local_addr().unwrap();
        let all = sockets();
        let own = all.iter().find(|one| one.local == local).unwrap();
        assert_eq!(owners()[&own.inode], std::process::id() as i32);
    }
}
