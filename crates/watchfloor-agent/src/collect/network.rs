//! Listening ports that open and close, and new connections, by looking at the kernel's tables.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use crate::core::Core;
use crate::platform::process;
use crate::platform::sockets::{self, Protocol, Socket};
use crate::record::{Fields, put};

const NAME: &str = "network";
/// How often the tables are looked at; connections that live shorter may be missed.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// Connections of one look that are told; the rest is counted.
const NEW_MAX: usize = 500;

/// A port that waits for others; its socket may change.
type Port = (Protocol, SocketAddr);

/// What was seen at the last look.
#[derive(Default)]
struct Seen {
    ports: BTreeMap<Port, Socket>,
    connections: BTreeSet<(Protocol, SocketAddr, SocketAddr)>,
    /// Fields of the process that had a port, for its end.
    owners: BTreeMap<Port, Fields>,
    is_first: bool,
}

/// Watches ports and connections until the agent ends.
pub(super) fn run(core: &Core) {
    let mut seen = Seen {
        is_first: true,
        ..Seen::default()
    };
    while core.rest(LOOK_EVERY) {
        if !core.policy().network {
            core.board.off(NAME);
            seen.is_first = true;
            continue;
        }
        core.board.count(NAME, 0);
        seen.look(core, sockets::sockets());
        core.pace.step();
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
        let opened: Vec<Socket> = ports
            .iter()
            .filter(|(port, _)| !self.ports.contains_key(*port))
            .map(|(_, socket)| *socket)
            .collect();
        let is_new = |one: &&Socket| {
            !self
                .connections
                .contains(&(one.protocol, one.local, one.remote))
        };
        let fresh: Vec<Socket> = connected.iter().filter(is_new).copied().collect();
        // Looking through all processes is dear, and needed only for what is new.
        let owners = match opened.is_empty() && fresh.is_empty() {
            true => HashMap::new(),
            false => sockets::owners(),
        };
        for socket in &opened {
            let fields = port_fields(core, socket, &owners);
            if !self.is_first {
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
                && !self.is_first
            {
                core.observe(NAME, "port_closed", fields);
            }
        }
        if !self.is_first {
            tell_connections(core, &fresh, &listening, &owners);
        }
        self.ports = ports;
        self.connections = connected
            .iter()
            .map(|one| (one.protocol, one.local, one.remote))
            .collect();
        self.is_first = false;
    }
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
        owner_fields(core, &mut fields, socket, owner);
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
    let connected = all.iter().filter(|one| !one.is_listening);
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
