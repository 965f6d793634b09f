//! Listening ports that open and close, and new connections, by looking at the kernel's tables.
//! Between two looks the kernel tells of each TCP connection that ends, where it lets the agent
//! listen: so those are told too that were too short to be seen.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::core::Core;
use crate::platform::closings::Closings;
use crate::platform::process;
use crate::platform::sockets::{self, Protocol, Socket};
use crate::record::{Fields, put};
use crate::tell::tell;

const NAME: &str = "network";
/// How often what the kernel told is taken in.
const TAKE_EVERY: Duration = Duration::from_millis(500);
/// Every so many times the tables are looked at. Where the kernel does not tell, connections that
/// live shorter may be missed.
const LOOK_EVERY: u32 = 6;
/// Ends that wait for a look.
const ENDS_MAX: usize = 20_000;
/// Looks for which a connection that is not in the tables is remembered: its end may come late.
const KEPT_LOOKS: u8 = 3;
/// Connections of one look that are told; the rest is counted.
const NEW_MAX: usize = 500;

/// A port that waits for others; its socket may change.
type Port = (Protocol, SocketAddr);

type Connection = (Protocol, SocketAddr, SocketAddr);

/// What was seen at the last look.
#[derive(Default)]
struct Seen {
    ports: BTreeMap<Port, Socket>,
    /// Connections that were told or were there before, and for how many looks more they are
    /// remembered.
    connections: HashMap<Connection, u8>,
    /// Fields of the process that had a port, for its end.
    owners: BTreeMap<Port, Fields>,
    /// Ports whose closing was not seen yet at the last look.
    listening: BTreeSet<u16>,
    is_later: bool,
}

/// Watches ports and connections until the agent ends.
pub(super) fn run(core: &Core) {
    let mut seen = Seen::default();
    let mut ends = Ends::default();
    let mut rounds = 0u32;
    while core.rest(TAKE_EVERY) {
        if !core.policy().network {
            core.board.off(NAME);
            (seen, ends) = (Seen::default(), Ends::default());
            continue;
        }
        core.board.count(NAME, 0);
        ends.take(core);
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(LOOK_EVERY) {
            seen.look(core, sockets::sockets());
            ends.take(core);
            seen.look_at_ends(core, std::mem::take(&mut ends.open));
            seen.is_later = true;
            core.pace.step();
        }
    }
}

/// Ends of connections that the kernel told.
#[derive(Default)]
struct Ends {
    source: Option<Closings>,
    /// The kernel was asked, and may have refused.
    is_asked: bool,
    open: Vec<Socket>,
}

impl Ends {
    fn take(&mut self, core: &Core) {
        if !self.is_asked {
            self.is_asked = true;
            self.source = match Closings::open() {
                Ok(source) => Some(source),
                Err(error) => {
                    tell(format_args!(
                        "network: the kernel does not tell ends of connections ({error}); \
                         those of less than three seconds may be missed"
                    ));
                    None
                }
            };
        }
        let Some(source) = &mut self.source else {
            return;
        };
        match source.read() {
            Ok(closed) => {
                let room = ENDS_MAX - self.open.len();
                let left = closed.sockets.len().saturating_sub(room) as u64;
                self.open.extend(closed.sockets.into_iter().take(room));
                let lost = left + u64::from(closed.is_overflown);
                core.spool
                    .count_dropped("too many new connections at once", lost);
            }
            Err(error) => {
                core.board
                    .trouble(NAME, &format!("ends of connections: {error}"));
                *self = Self::default();
            }
        }
    }
}

impl Seen {
    fn look(&mut self, core: &Core, all: Vec<Socket>) {
        let ports: BTreeMap<Port, Socket> = all
            .iter()
            .filter(|one| one.is_listening && !is_passing(one))
            .map(|one| ((one.protocol, one.local), *one))
            .collect();
        let listening: BTreeSet<u16> = ports
            .keys()
            .filter(|port| port.0 == Protocol::Tcp)
            .map(|port| port.1.port())
            .collect();
        let connected: Vec<Socket> = all.into_iter().filter(|one| !one.is_listening).collect();
        let is_open = |one: &&Socket| !one.is_closing;
        let opened: Vec<Socket> = ports
            .iter()
            .filter(|(port, _)| !self.ports.contains_key(*port))
            .map(|(_, socket)| *socket)
            .collect();
        let is_new = |one: &&Socket| !self.connections.contains_key(&key_of(one));
        let fresh: Vec<Socket> = connected
            .iter()
            .filter(is_open)
            .filter(is_new)
            .copied()
            .collect();
        // Looking through all processes is dear, and needed only for what is new.
        let owners = match opened.is_empty() && fresh.is_empty() {
            true => HashMap::new(),
            false => sockets::owners(),
        };
        for socket in &opened {
            let fields = port_fields(core, socket, &owners);
            if self.is_later {
                core.observe(NAME, "port_opened", fields.clone());
            }
            self.owners.insert((socket.protocol, socket.local), fields);
        }
        let closed: Vec<Port> = self
            .ports
            .keys()
            .filter(|port| !ports.contains_key(*port))
            .copied()
            .collect();
        for port in closed {
            if let Some(fields) = self.owners.remove(&port)
                && self.is_later
            {
                core.observe(NAME, "port_closed", fields);
            }
        }
        if self.is_later {
            tell_connections(core, &fresh, &listening, &owners);
        }
        self.ports = ports;
        self.listening = listening;
        self.remember(&connected);
    }

    /// What was told, and what was there before the first look.
    fn remember(&mut self, connected: &[Socket]) {
        let is_later = self.is_later;
        self.connections.retain(|_, looks| {
            *looks -= 1;
            *looks > 0
        });
        for one in connected {
            // One that is closing and was never seen open is told when its end comes.
            if !one.is_closing || !is_later || self.connections.contains_key(&key_of(one)) {
                self.connections.insert(key_of(one), KEPT_LOOKS);
            }
        }
    }

    /// Tells the connections that came and went unseen.
    fn look_at_ends(&mut self, core: &Core, ends: Vec<Socket>) {
        let server: Option<SocketAddr> = match ends.is_empty() {
            true => None,
            false => core.data.read_json(crate::actions::SERVER),
        };
        let mut told = HashSet::new();
        let unseen: Vec<Socket> = ends
            .into_iter()
            .filter(|one| !self.connections.contains_key(&key_of(one)))
            // The agent's own that came to nothing.
            .filter(|one| Some(one.remote) != server && told.insert(key_of(one)))
            .collect();
        if self.is_later {
            tell_connections(core, &unseen, &self.listening, &HashMap::new());
        }
    }
}

fn key_of(socket: &Socket) -> Connection {
    (socket.protocol, socket.local, socket.remote)
}

/// A UDP socket at a port of the kernel's choice is a client that waits for its answer.
fn is_passing(socket: &Socket) -> bool {
    socket.protocol == Protocol::Udp && socket.local.port() >= 32_768
}

fn tell_connections(
    core: &Core,
    fresh: &[Socket],
    listening: &BTreeSet<u16>,
    owners: &HashMap<u64, i32>,
) {
    let own = std::process::id() as i32;
    for socket in fresh.iter().take(NEW_MAX) {
        let owner = owners.get(&socket.inode).copied();
        if owner == Some(own) {
            continue;
        }
        let mut fields = Fields::new();
        let is_inbound =
            socket.protocol == Protocol::Tcp && listening.contains(&socket.local.port());
        put(
            &mut fields,
            "direction",
            if is_inbound { "inbound" } else { "outbound" },
        );
        put(&mut fields, "protocol", socket.protocol.as_str());
        put(&mut fields, "local_address", socket.local.ip().to_string());
        put(&mut fields, "local_port", socket.local.port());
        put(
            &mut fields,
            "remote_address",
            socket.remote.ip().to_string(),
        );
        put(&mut fields, "remote_port", socket.remote.port());
        match socket.is_closing {
            // Nobody has it any more; who had it is not known, and older kernels say nobody's
            // number, which is root's.
            true if socket.uid == 0 => put(&mut fields, "is_over", true),
            true => {
                put(&mut fields, "is_over", true);
                owner_fields(core, &mut fields, socket, None);
            }
            false => owner_fields(core, &mut fields, socket, owner),
        }
        core.observe(NAME, "connection", fields);
    }
    let left = fresh.len().saturating_sub(NEW_MAX) as u64;
    core.spool
        .count_dropped("too many new connections at once", left);
}

fn port_fields(core: &Core, socket: &Socket, owners: &HashMap<u64, i32>) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "protocol", socket.protocol.as_str());
    put(&mut fields, "address", socket.local.ip().to_string());
    put(&mut fields, "port", socket.local.port());
    owner_fields(
        core,
        &mut fields,
        socket,
        owners.get(&socket.inode).copied(),
    );
    fields
}

fn owner_fields(core: &Core, fields: &mut Fields, socket: &Socket, owner: Option<i32>) {
    put(fields, "uid", socket.uid);
    put(fields, "user", core.names.user(socket.uid));
    if let Some(facts) = owner.and_then(process::facts) {
        put(fields, "pid", facts.pid);
        put(fields, "exe", facts.exe);
        put(fields, "command", facts.command);
        put(fields, "container", facts.container);
    }
}

/// All ports that wait for others, for a snapshot.
pub(super) fn listening(core: &Core) -> Vec<Fields> {
    let owners = sockets::owners();
    let all = sockets::sockets();
    let waiting = all
        .iter()
        .filter(|one| one.is_listening && !is_passing(one));
    waiting.map(|one| port_fields(core, one, &owners)).collect()
}

/// All connections, for a snapshot.
pub(super) fn connections(core: &Core) -> Vec<Fields> {
    let owners = sockets::owners();
    let all = sockets::sockets();
    let connected = all
        .iter()
        .filter(|one| !one.is_listening && !one.is_closing);
    connected
        .map(|socket| {
            let mut fields = port_fields(core, socket, &owners);
            put(
                &mut fields,
                "remote_address",
                socket.remote.ip().to_string(),
            );
            put(&mut fields, "remote_port", socket.remote.port());
            fields
        })
        .collect()
}
