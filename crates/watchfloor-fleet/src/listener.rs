//! Waits for agents.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::{Authority, AuthorityError, Desk, Registry, tls};

/// Handshakes that go on at the same time: thousands that come at once wait their turn.
const HANDSHAKES_MAX: usize = 64;
/// Longest handshake once its turn has come.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(20);
/// Pause after the machine had no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Limits of the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// Seconds between heartbeats; an agent that is silent for three of them is hung up on.
    pub heartbeat_s: u32,
    /// Most connections.
    pub connections_max: usize,
}

impl FleetSettings {
    /// A heartbeat a minute, 50,000 agents.
    pub const STANDARD: Self = Self {
        heartbeat_s: 60,
        connections_max: 50_000,
    };
}

/// Waits for agents on a socket.
pub struct FleetListener {
    socket: TcpListener,
    acceptor: TlsAcceptor,
    desk: Arc<dyn Desk>,
    registry: Registry,
    settings: FleetSettings,
}

impl std::fmt::Debug for FleetListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FleetListener")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl FleetListener {
    /// Makes a listener of a socket.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn new(
        socket: TcpListener,
        authority: &Authority,
        desk: Arc<dyn Desk>,
        registry: Registry,
        settings: FleetSettings,
    ) -> Result<Self, AuthorityError> {
        let config = tls::server_config(authority, &desk, jiff::Timestamp::now())?;
        Ok(Self {
            socket,
            acceptor: TlsAcceptor::from(Arc::new(config)),
            desk,
            registry,
            settings,
        })
    }

    /// Takes agents in until it is stopped.
    pub async fn run(self, stop: CancellationToken) {
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let places = Arc::new(Semaphore::new(self.settings.connections_max));
        let this = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = this.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "an agent cannot be taken in");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                this.desk
                    .refused(peer.ip(), "too_many", "all places for agents are taken");
                continue;
            };
            let this = Arc::clone(&this);
            let handshakes = Arc::clone(&handshakes);
            let end = stop.child_token();
            tokio::spawn(async move {
                this.serve(stream, peer, &handshakes, end).await;
                drop(place);
            });
        }
    }

    async fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        handshakes: &Semaphore,
        end: CancellationToken,
    ) {
        // Frames are small, and both sides wait for them.
        let _ = stream.set_nodelay(true);
        let Ok(turn) = handshakes.acquire().await else {
            return;
        };
        let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, self.acceptor.accept(stream)).await;
        drop(turn);
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return self.desk.refused(peer.ip(), "tls", &error.to_string());
            }
            Err(_) => {
                return self
                    .desk
                    .refused(peer.ip(), "slow", "the handshake took too long");
            }
        };
        // Boxed: an idle agent should cost no more than what it needs.
        let connection = Connection {
            desk: &*self.desk,
            registry: &self.registry,
            heartbeat_s: self.settings.heartbeat_s,
            peer: peer.ip(),
        };
        Box::pin(connection.serve(Box::new(stream), end)).await;
    }
}
