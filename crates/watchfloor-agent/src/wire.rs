//! Frames over a connection.

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use watchfloor_link::{Frame, HEAD_BYTES, Head, ToAgent, ToServer};

/// Longest wait for a connection and the handshake.
const DIAL_MAX: Duration = Duration::from_secs(20);
/// Longest wait until a frame is taken.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// A peer that answers no probes is given up after this, in milliseconds.
const PEER_GONE_MS: u32 = 90_000;

/// Dials the server.
pub(crate) async fn dial(
    server: &str,
    config: rustls::ClientConfig,
) -> Result<TlsStream<TcpStream>> {
    let name = crate::tls::server_name()?;
    let work = async {
        let tcp = TcpStream::connect(server)
            .await
            .with_context(|| format!("cannot reach {server}"))?;
        tune(&tcp);
        TlsConnector::from(std::sync::Arc::new(config))
            .connect(name, tcp)
            .await
            .with_context(|| format!("no trusted connection with {server}"))
    };
    match timeout(DIAL_MAX, work).await {
        Ok(result) => result,
        Err(_) => bail!("{server} does not answer within {} s", DIAL_MAX.as_secs()),
    }
}

/// A server that is gone without a word must be noticed; not being able to is no harm.
fn tune(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let _ = rustix::net::sockopt::set_socket_keepalive(tcp, true);
    let _ = rustix::net::sockopt::set_tcp_keepidle(tcp, Duration::from_secs(30));
    let _ = rustix::net::sockopt::set_tcp_keepintvl(tcp, Duration::from_secs(15));
    let _ = rustix::net::sockopt::set_tcp_keepcnt(tcp, 4);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(tcp, PEER_GONE_MS);
}

/// Writes a frame.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: &Frame<ToServer>,
) -> Result<()> {
    let bytes = frame.encode()?;
    let work = async {
        stream.write_all(&bytes).await?;
        stream.flush().await
    };
    match timeout(WRITE_MAX, work).await {
        Ok(result) => result.context("the connection broke"),
        Err(_) => bail!("the server takes nothing for {} s", WRITE_MAX.as_secs()),
    }
}

/// Reads a frame.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Frame<ToAgent>> {
    let mut head = [0; HEAD_BYTES];
    stream
        .read_exact(&mut head)
        .await
        .context("the server hung up")?;
    let head = Head::parse(head)?;
    let mut rest = vec![0; head.rest()];
    stream
        .read_exact(&mut rest)
        .await
        .context("the server hung up in the middle of a word")?;
    Ok(Frame::decode(head, rest)?)
}
