//! Ends of TCP connections, as the kernel tells them over netlink: also those of connections that
//! were too short to be seen by looking.
//!
//! Source: `linux/sock_diag.h`, `linux/inet_diag.h`, `sock_diag(7)`, `netlink(7)`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

use super::sockets::{Protocol, Socket};

/// `SKNLGRP_INET_TCP_DESTROY` and `SKNLGRP_INET6_TCP_DESTROY`, groups 1 and 3, as bits.
const GROUPS: u32 = 0b101;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// Bytes of `nlmsghdr` and of `inet_diag_msg`.
const HEAD: usize = 16;
const MESSAGE: usize = 72;
/// `AF_INET` and `AF_INET6`.
const INET: u8 = 2;
const INET6: u8 = 10;
/// Bytes that wait in the kernel between two looks.
const BUFFER_BYTES: usize = 4 << 20;
/// Messages of one read.
const READS_MAX: usize = 20_000;

/// Where ends of connections come from.
pub(crate) struct Closings {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

/// What came since the last read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) sockets: Vec<Socket>,
    /// Some were lost: the kernel's queue was full.
    pub(crate) is_overflown: bool,
}

impl Closings {
    /// Asks the kernel to tell; needs the right to administer the network.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(SOCK_DIAG),
        )?;
        if set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
            let _ = set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
        }
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self {
            socket,
            buffer: vec![0; 8 << 10],
        })
    }

    /// What was told since; waits for nothing.
    pub(crate) fn read(&mut self) -> io::Result<Closed> {
        let mut closed = Closed::default();
        for _ in 0..READS_MAX {
            match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((count, _)) => {
                    let bytes = self.buffer.get(..count).unwrap_or_default();
                    closed.sockets.extend(sockets(bytes));
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => closed.is_overflown = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(closed)
    }
}

/// All ends in a datagram.
fn sockets(mut bytes: &[u8]) -> Vec<Socket> {
    let mut found = Vec::new();
    while let Some(head) = bytes.first_chunk::<HEAD>() {
        let length = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let kind = u16::from_ne_bytes([head[4], head[5]]);
        let Some(message) = bytes.get(HEAD..length) else {
            break;
        };
        if kind == BY_FAMILY {
            found.extend(socket(message));
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

/// The socket of an `inet_diag_msg`; `None` for one that had no peer.
fn socket(message: &[u8]) -> Option<Socket> {
    let message = message.first_chunk::<MESSAGE>()?;
    let port = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let bytes = message.get(at..at + 16)?;
        match message[0] {
            INET => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
            INET6 => Some(IpAddr::from(Ipv6Addr::from(*bytes.first_chunk::<16>()?)).to_canonical()),
            _ => None,
        }
    };
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_ne_bytes(*message.get(at..)?.first_chunk::<4>()?))
    };
    let (local, remote) = (port(4), port(6));
    let socket = Socket {
        protocol: Protocol::Tcp,
        local: SocketAddr::new(address(8)?, local),
        remote: SocketAddr::new(address(24)?, remote),
        is_listening: false,
        is_closing: true,
        uid: number(64)?,
        inode: u64::from(number(68)?),
    };
    (remote != 0 && local != 0).then_some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(family: u8, ports: (u16, u16)) -> Vec<u8> {
        let mut bytes = vec![0; HEAD + MESSAGE];
        bytes[..4].copy_from_slice(&((HEAD + MESSAGE) as u32).to_ne_bytes());
        bytes[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        let body = &mut bytes[HEAD..];
        body[0] = family;
        body[4..6].copy_from_slice(&ports.0.to_be_bytes());
        body[6..8].copy_from_slice(&ports.1.to_be_bytes());
        body[8..12].copy_from_slice(&[10, 0, 0, 1]);
        body[24..28].copy_from_slice(&[10, 0, 0, 2]);
        body[64..68].copy_from_slice(&1000u32.to_ne_bytes());
        bytes
    }

    #[test]
    fn messages_of_the_kernel_are_read() {
        let both = [message(INET, (4000, 443)), message(INET, (80, 0))].concat();
        let found = sockets(&both);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].local, "10.0.0.1:4000".parse().unwrap());
        assert_eq!(found[0].remote, "10.0.0.2:443".parse().unwrap());
        assert_eq!(found[0].uid, 1000);
        assert!(sockets(&message(INET6, (1, 2)))[0].remote.is_ipv6());
        assert!(sockets(&message(1, (1, 2))).is_empty());
        for length in 0..both.len() {
            let _ = sockets(&both[..length]);
        }
    }
}
