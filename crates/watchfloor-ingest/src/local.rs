//! Records from commands on the same machine, over a socket in the data folder: how
//! `watchfloor import` reaches a server that runs. Whoever may write to the folder may send.
//!
//! The client sends frames in the journal's own form and, after each group, a frame length of
//! zero; the server answers each group with one byte once it is durable. A frame length of all
//! ones is a notice of records that could not even be sent: u8 length of the source, source,
//! u8 length of the reason, reason, u64 count.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;

use crate::journal::{AppendError, Journal};
use crate::record::{self, Decoded, Interned, NewRecord};
use crate::source::DropSink;

/// Name of the socket in the data folder.
const SOCKET: &str = "import.sock";
/// Largest group in bytes.
const MAX_GROUP_BYTES: usize = 64 << 20;
/// The frame length that begins a notice of drops.
const DROP_NOTICE: u32 = u32::MAX;
/// The answer to a group that is durable.
const DURABLE: u8 = b'+';
/// The answer to a group that is not taken while the pipeline is behind.
const BUSY: u8 = b'~';
/// The answer to a group that is not taken, now or later.
const REFUSED: u8 = b'-';

/// Why a group was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There is no server, or it went away.
    #[error("the server at {path} does not answer")]
    Connection {
        /// The socket.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The server's journal is full until the pipeline has caught up.
    #[error("the server is behind and takes no records just now; try again")]
    Busy,
    /// The server's journal cannot be written or is closing.
    #[error("the server cannot make records durable; its log says why")]
    Refused,
}

/// Takes records from the socket of a data folder.
#[derive(Debug)]
pub struct LocalListener {
    listener: UnixListener,
}

impl LocalListener {
    /// Makes the socket; a left-over of an earlier run is replaced.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn bind(data: &Path) -> io::Result<Self> {
        let path = data.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, owner_only)?;
        Ok(Self { listener })
    }

    /// Serves until `stop`.
    pub async fn run(self, journal: Journal, on_drop: DropSink, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                continue;
            };
            let (journal, on_drop) = (journal.clone(), on_drop.clone());
            tokio::spawn(async move {
                if let Err(error) = serve(stream, &journal, &on_drop).await {
                    tracing::warn!(%error, "local sender went away in the middle of a group");
                }
            });
        }
    }
}

async fn serve(mut stream: UnixStream, journal: &Journal, on_drop: &DropSink) -> io::Result<()> {
    let mut interned = Interned::default();
    loop {
        let mut group = Vec::new();
        let mut bytes = 0;
        loop {
            let length = match stream.read_u32_le().await {
                Ok(DROP_NOTICE) => {
                    take_notice(&mut stream, on_drop).await?;
                    continue;
                }
                Ok(length) => length as usize,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && group.is_empty() => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            if length == 0 {
                break;
            }
            bytes += length;
            if bytes > MAX_GROUP_BYTES {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the group is larger than 64 MiB",
                ));
            }
            let mut frame = BytesMut::zeroed(length);
            stream.read_exact(&mut frame).await?;
            let Decoded::Record(stored, _) = record::decode(&frame.freeze(), 0, &mut interned)
            else {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the frame is damaged",
                ));
            };
            group.push(NewRecord {
                source: stored.record.source,
                format: stored.record.format,
                context: stored.record.context,
                received_at: stored.record.received_at,
                idempotency_key: stored.idempotency_key,
                bytes: stored.record.bytes,
            });
        }
        let answer = match journal.append(group).await {
            Ok(_) => DURABLE,
            Err(AppendError::Full { .. } | AppendError::Away { .. }) => BUSY,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "records of a local sender are not taken"
                );
                REFUSED
            }
        };
        stream.write_u8(answer).await?;
    }
}

async fn take_notice(stream: &mut UnixStream, on_drop: &DropSink) -> io::Result<()> {
    let mut texts = [String::new(), String::new()];
    for text in &mut texts {
        let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
        stream.read_exact(&mut bytes).await?;
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let count = stream.read_u64_le().await?;
    on_drop(&texts[0], &texts[1], count);
    Ok(())
}

/// Sends records to the server of a data folder.
#[derive(Debug)]
pub struct LocalSender {
    stream: UnixStream,
    path: PathBuf,
}

impl LocalSender {
    /// Connects to the server that has the data folder.
    ///
    /// # Errors
    /// If none answers.
    pub async fn connect(data: &Path) -> Result<Self, SendError> {
        let path = data.join(SOCKET);
        let stream = UnixStream::connect(&path)
            .await
            .map_err(|source| SendError::Connection {
                path: path.clone(),
                source,
            })?;
        Ok(Self { stream, path })
    }

    /// Sends a group and waits until it is durable.
    ///
    /// # Errors
    /// If the server is gone or refuses; then none of the group is kept.
    pub async fn send(&mut self, records: &[NewRecord]) -> Result<(), SendError> {
        let mut out = Vec::new();
        for record in records {
            let length_at = out.len();
            out.extend_from_slice(&[0; 4]);
            record::encode(record, &mut out);
            let length = (out.len() - length_at - 4) as u32;
            out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        }
        out.extend_from_slice(&[0; 4]);
        match self.exchange(&Bytes::from(out)).await {
            Ok(DURABLE) => Ok(()),
            Ok(BUSY) => Err(SendError::Busy),
            Ok(_) => Err(SendError::Refused),
            Err(source) => Err(SendError::Connection {
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Tells of records that could not be sent, so that they stand in the ledger.
    ///
    /// # Errors
    /// If the server is gone.
    pub async fn count_drop(
        &mut self,
        source: &str,
        reason: &str,
        count: u64,
    ) -> Result<(), SendError> {
        let mut out = DROP_NOTICE.to_le_bytes().to_vec();
        for text in [source, reason] {
            let bytes = &text.as_bytes()[..text.len().min(255)];
            out.push(bytes.len() as u8);
            out.extend_from_slice(bytes);
        }
        out.extend_from_slice(&count.to_le_bytes());
        // An empty group after it, whose answer says that the notice was taken.
        out.extend_from_slice(&[0; 4]);
        match self.exchange(&out).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SendError::Connection {
                path: self.path.clone(),
                source,
            }),
        }
    }

    async fn exchange(&mut self, out: &[u8]) -> io::Result<u8> {
        self.stream.write_all(out).await?;
        self.stream.read_u8().await
    }
}
