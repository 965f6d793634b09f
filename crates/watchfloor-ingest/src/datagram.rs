//! Datagrams from many senders. They are never held back, so what cannot be taken is counted:
//! what the journal refuses, and what the kernel dropped because its buffer was full.
//!
//! # Source
//! Linux, `proc_net_udp(5)`: the column `drops`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use crate::record::NewRecord;
use crate::source::{Running, SourceHandle};
use crate::syslog::{ListenError, bind_udp};

/// Datagrams gathered before an append.
const MAX_DATAGRAMS: usize = 1024;
/// KiB of datagrams on their way into the journal; beyond it the kernel's buffer fills.
const MAX_WAITING_KIB: usize = 64 << 10;
/// Bytes of the kernel's buffer that are asked for; it may grant less (`net.core.rmem_max`).
const KERNEL_BUFFER_BYTES: usize = 16 << 20;
/// How often loss is looked for, and what waits for a time limit is told of it.
const TICK: Duration = Duration::from_secs(1);

/// Makes records of datagrams.
pub trait Datagrams: Send {
    /// Takes one; adds the records that are whole with it.
    fn take(&mut self, peer: SocketAddr, bytes: &[u8], out: &mut Vec<NewRecord>);

    /// A second has passed; adds what is given up waiting for.
    fn tick(&mut self, _out: &mut Vec<NewRecord>) {}

    /// The program ends; adds what still waits.
    fn finish(&mut self, _out: &mut Vec<NewRecord>) {}
}

/// Takes the socket of an address with as large a buffer as the kernel grants.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(KERNEL_BUFFER_BYTES) {
        tracing::debug!(%error, "the receive buffer stays as it is");
    }
    Ok(socket)
}

/// A socket for datagrams of a form that the caller reads.
#[derive(Debug)]
pub struct DatagramListener(UdpSocket);

impl DatagramListener {
    /// Takes the socket.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        Ok(Self(bind_udp(address).await?))
    }

    /// Receives until the handle says stop.
    pub fn run(self, handle: SourceHandle, datagrams: impl Datagrams + 'static) -> Running {
        if let Ok(address) = self.0.local_addr() {
            handle.listening(address);
        }
        Box::pin(receive(self.0, datagrams, handle))
    }
}

/// Receives until the handle says stop.
pub(crate) async fn receive(
    socket: UdpSocket,
    mut datagrams: impl Datagrams,
    handle: SourceHandle,
) {
    let mut buffer = vec![0; 1 << 16];
    let waiting = Arc::new(Semaphore::new(MAX_WAITING_KIB));
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut loss = Loss::of(&socket);
    loop {
        let mut records = Vec::new();
        let first = tokio::select! {
            () = handle.stop().cancelled() => break,
            first = socket.recv_from(&mut buffer) => Some(first),
            _ = ticks.tick() => None,
        };
        match first {
            None => {
                datagrams.tick(&mut records);
                loss.count(&handle);
            }
            Some(Err(_)) => continue,
            Some(Ok((got, peer))) => {
                datagrams.take(peer, &buffer[..got], &mut records);
                while records.len() < MAX_DATAGRAMS
                    && let Ok((got, peer)) = socket.try_recv_from(&mut buffer)
                {
                    datagrams.take(peer, &buffer[..got], &mut records);
                }
            }
        }
        if records.is_empty() {
            continue;
        }
        let kib = records
            .iter()
            .map(|one| one.bytes.len() / 1024 + 1)
            .sum::<usize>();
        let kib = u32::try_from(kib.min(MAX_WAITING_KIB)).unwrap_or(1);
        let Ok(permit) = Arc::clone(&waiting).acquire_many_owned(kib).await else {
            return;
        };
        let handle = handle.clone();
        tokio::spawn(async move {
            handle.append_now(records).await;
            drop(permit);
        });
    }
    let mut records = Vec::new();
    datagrams.finish(&mut records);
    loss.count(&handle);
    if !records.is_empty() {
        handle.append_now(records).await;
    }
}

/// What the kernel dropped of a socket.
struct Loss {
    /// The socket's number in `/proc/net`.
    inode: Option<u64>,
    counted: u64,
}

impl Loss {
    fn of(socket: &UdpSocket) -> Self {
        let stat = rustix::fs::fstat(socket).ok();
        let mut loss = Self {
            inode: stat.map(|stat| stat.st_ino),
            counted: 0,
        };
        loss.counted = loss.read().unwrap_or(0);
        loss
    }

    fn count(&mut self, handle: &SourceHandle) {
        let Some(now) = self.read() else {
            return;
        };
        // The kernel's counter has 32 bits and may begin anew.
        let new = now.wrapping_sub(self.counted) & u64::from(u32::MAX);
        self.counted = now;
        if new > 0 {
            handle.dropped(handle.records_as(), "udp_buffer_full", new);
            handle.trouble(
                "udp_buffer_full",
                format!("the kernel dropped {new} datagrams since the receive buffer was full; raise net.core.rmem_max and start again, or send by TCP"),
            );
        }
    }

    fn read(&self) -> Option<u64> {
        let inode = self.inode?;
        ["/proc/net/udp", "/proc/net/udp6"].iter().find_map(|path| {
            let table = std::fs::read_to_string(path).ok()?;
            drops(&table, inode)
        })
    }
}

/// The drops of a socket in the kernel's table.
fn drops(table: &str, inode: u64) -> Option<u64> {
    table.lines().skip(1).find_map(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = words.get(9)?.parse::<u64>() == Ok(inode);
        is_it.then(|| words.last()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_are_read_by_inode() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops             \n 2411: 0100007F:158A 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 88231 2 0000000000000000 17\n";
        assert_eq!(drops(table, 88231), Some(17));
        assert_eq!(drops(table, 88232), None);
        assert_eq!(drops("", 1), None);
    }
}
