//! The kernel's proc connector: it tells of each start and end of a process over netlink.
//!
//! Source: `linux/cn_proc.h`, `linux/connector.h`, `netlink(7)`.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{CONNECTOR, SocketAddrNetlink};
use rustix::net::sockopt::{
    Timeout, set_socket_recv_buffer_size, set_socket_recv_buffer_size_force, set_socket_timeout,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with,
};

/// `CN_IDX_PROC`: index, value and group of the connector.
const IDX_PROC: u32 = 1;
const VAL_PROC: u32 = 1;
/// `PROC_CN_MCAST_LISTEN`.
const LISTEN: u32 = 1;
/// `NLMSG_DONE`.
const DONE: u16 = 3;
/// Bytes of `nlmsghdr` and of `cn_msg`.
const NETLINK_HEAD: usize = 16;
const CONNECTOR_HEAD: usize = 20;
/// Bytes of a `proc_event` before what belongs to its kind.
const EVENT_HEAD: usize = 16;
/// Bytes that wait in the kernel: a storm of starts must not be lost.
const BUFFER_BYTES: usize = 2 << 20;
/// How long a read waits, so that stopping is noticed.
const READ_MAX: Duration = Duration::from_millis(500);

/// What the kernel told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProcessEvent {
    /// A process has a child.
    Fork {
        /// The parent.
        parent: i32,
        /// The child.
        child: i32,
    },
    /// A process runs another program.
    Exec {
        /// Which.
        pid: i32,
    },
    /// A process ended.
    Exit {
        /// Which.
        pid: i32,
        /// Status as `waitpid(2)` gives it.
        status: u32,
    },
}

/// An open connector.
pub(crate) struct Connector {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl Connector {
    /// Asks the kernel to tell; needs the right to administer the network.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(CONNECTOR),
        )?;
        if set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES).is_err() {
            let _ = set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
        }
        set_socket_timeout(&socket, Timeout::Recv, Some(READ_MAX))?;
        bind(&socket, &SocketAddrNetlink::new(0, IDX_PROC))?;
        send(&socket, &listen_message(), SendFlags::empty())?;
        Ok(Self {
            socket,
            buffer: vec![0; 16 << 10],
        })
    }

    /// What was told since; empty if nothing was. `None` if some of it was lost.
    pub(crate) fn read(&mut self) -> io::Result<Option<Vec<ProcessEvent>>> {
        match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
            Ok((count, _)) => {
                let bytes = self.buffer.get(..count).unwrap_or_default();
                Ok(Some(events(bytes)))
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(Some(Vec::new())),
            Err(Errno::NOBUFS) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn listen_message() -> Vec<u8> {
    let length = NETLINK_HEAD + CONNECTOR_HEAD + 4;
    let mut message = Vec::with_capacity(length);
    message.extend_from_slice(&(length as u32).to_ne_bytes());
    message.extend_from_slice(&DONE.to_ne_bytes());
    message.extend_from_slice(&[0; 2]);
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&IDX_PROC.to_ne_bytes());
    message.extend_from_slice(&VAL_PROC.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&4u16.to_ne_bytes());
    message.extend_from_slice(&[0; 2]);
    message.extend_from_slice(&LISTEN.to_ne_bytes());
    message
}

/// All events of a datagram.
fn events(mut bytes: &[u8]) -> Vec<ProcessEvent> {
    let mut found = Vec::new();
    while bytes.len() >= NETLINK_HEAD {
        let length = word(bytes, 0).unwrap_or(0) as usize;
        if length < NETLINK_HEAD || length > bytes.len() {
            break;
        }
        let body = bytes.get(NETLINK_HEAD + CONNECTOR_HEAD..length);
        found.extend(body.and_then(event));
        // Messages begin at multiples of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn event(body: &[u8]) -> Option<ProcessEvent> {
    let at = |place: usize| word(body, EVENT_HEAD + place * 4);
    match word(body, 0)? {
        // Threads have another number than their process; only processes are told.
        1 if at(2)? == at(3)? => Some(ProcessEvent::Fork {
            parent: at(1)? as i32,
            child: at(3)? as i32,
        }),
        2 => Some(ProcessEvent::Exec { pid: at(1)? as i32 }),
        0x8000_0000 if at(0)? == at(1)? => Some(ProcessEvent::Exit {
            pid: at(1)? as i32,
            status: at(2)?,
        }),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let part = bytes.get(at..at + 4)?;
    part.try_into().ok().map(u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, words: &[u32]) -> Vec<u8> {
        let length = NETLINK_HEAD + CONNECTOR_HEAD + EVENT_HEAD + words.len() * 4;
        let mut bytes = (length as u32).to_ne_bytes().to_vec();
        bytes.resize(NETLINK_HEAD + CONNECTOR_HEAD, 0);
        bytes.extend_from_slice(&what.to_ne_bytes());
        bytes.resize(NETLINK_HEAD + CONNECTOR_HEAD + EVENT_HEAD, 0);
        for word in words {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes
    }

    #[test]
    fn events_of_processes_are_read_and_those_of_threads_are_not() {
        let mut bytes = message(1, &[7, 7, 8, 8]);
        bytes.extend(message(1, &[7, 7, 9, 7]));
        bytes.extend(message(2, &[8, 8]));
        bytes.extend(message(0x8000_0000, &[8, 8, 256, 17]));
        let expected = [
            ProcessEvent::Fork {
                parent: 7,
                child: 8,
            },
            ProcessEvent::Exec { pid: 8 },
            ProcessEvent::Exit {
                pid: 8,
                status: 256,
            },
        ];
        assert_eq!(events(&bytes), expected);
    }

    #[test]
    fn what_is_cut_or_odd_is_passed_over() {
        let whole = message(2, &[8, 8]);
        for length in 0..whole.len() {
            assert!(events(&whole[..length]).is_empty());
        }
        let mut short = whole.clone();
        short[..4].copy_from_slice(&3u32.to_ne_bytes());
        assert!(events(&short).is_empty());
    }

    #[test]
    fn the_kernel_tells_of_a_start_where_it_may() {
        let Ok(mut connector) = Connector::open() else {
            println!("skipped: the proc connector needs root");
            return;
        };
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        child.wait().unwrap();
        let mut seen = Vec::new();
        for _ in 0..200 {
            seen.extend(connector.read().unwrap().unwrap_or_default());
            let is_end = |one: &ProcessEvent| matches!(one, ProcessEvent::Exit { pid: of, .. } if *of == pid);
            if seen.iter().any(is_end) {
                break;
            }
        }
        assert!(seen.contains(&ProcessEvent::Exec { pid }), "{seen:?}");
    }
}
