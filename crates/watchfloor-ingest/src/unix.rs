//! Records of programs on the same machine over a Unix socket, as Suricata writes its EVE log
//! (`unix_stream`, `unix_dgram`): lines, or one record per datagram.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::net::{UnixDatagram, UnixListener};
use watchfloor_event::Format;

use crate::framing::Ending;
use crate::record::NewRecord;
use crate::source::{Running, SourceHandle};
use crate::stream::{self, StreamLimits, StreamOptions};

/// Datagrams gathered before an append.
const MAX_DATAGRAMS: usize = 1024;

/// A Unix socket that is listened on.
#[derive(Debug)]
pub struct UnixSocket {
    socket: Socket,
    path: PathBuf,
}

#[derive(Debug)]
enum Socket {
    Stream(UnixListener),
    Datagram(UnixDatagram),
}

impl UnixSocket {
    /// Makes a socket for streams of lines; one that an earlier run left behind is replaced.
    ///
    /// # Errors
    /// If the path cannot be used, or holds something that is no socket.
    pub fn stream(path: &Path) -> io::Result<Self> {
        clear(path)?;
        Ok(Self {
            socket: Socket::Stream(UnixListener::bind(path)?),
            path: path.to_owned(),
        })
    }

    /// Makes a socket for datagrams.
    ///
    /// # Errors
    /// As [`UnixSocket::stream`].
    pub fn datagram(path: &Path) -> io::Result<Self> {
        clear(path)?;
        Ok(Self {
            socket: Socket::Datagram(UnixDatagram::bind(path)?),
            path: path.to_owned(),
        })
    }

    /// Serves until the handle says stop.
    pub fn run(self, handle: SourceHandle) -> Running {
        handle.listening(self.path.display());
        match self.socket {
            Socket::Stream(listener) => {
                let options = StreamOptions {
                    ending: Ending::CountOrLine,
                    format: Format::Auto,
                    limits: StreamLimits {
                        // A sensor on a quiet network writes nothing for hours.
                        idle: std::time::Duration::from_secs(7 * 24 * 3600),
                        ..StreamLimits::STANDARD
                    },
                    tls: None,
                };
                Box::pin(stream::accept_local(listener, options, handle))
            }
            Socket::Datagram(socket) => Box::pin(receive(socket, handle)),
        }
    }
}

/// Takes a socket away that nobody listens on any more.
fn clear(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.file_type().is_socket() => std::fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of this name that is no socket",
        )),
        Err(_) => Ok(()),
    }
}

/// A sender of local datagrams waits while the socket's buffer is full, so nothing is lost.
async fn receive(socket: UnixDatagram, handle: SourceHandle) {
    let mut buffer = vec![0; 1 << 20];
    let source = handle.records_as().clone();
    let context = handle.context_of(&source);
    let record = |bytes: &[u8]| -> NewRecord {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = Bytes::copy_from_slice(bytes);
        handle.record(&source, context.as_ref(), Format::Auto, bytes)
    };
    loop {
        let got = tokio::select! {
            () = handle.stop().cancelled() => return,
            got = socket.recv(&mut buffer) => got,
        };
        let Ok(got) = got else {
            continue;
        };
        let mut records = vec![record(&buffer[..got])];
        while records.len() < MAX_DATAGRAMS
            && let Ok(got) = socket.try_recv(&mut buffer)
        {
            records.push(record(&buffer[..got]));
        }
        handle.append_or_count(records).await;
    }
}
