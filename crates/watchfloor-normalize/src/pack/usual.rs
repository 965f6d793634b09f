//! Names that leave no doubt, for what a kind says nothing about: a firewall's next version writes
//! `dst_port` too, and the line is not poorer for the pack's age.
//!
//! They stand behind all maps of a kind, give only what is still missing, and take no field that
//! the kind reads itself. Names that mean different things to different products (`host`, `user`,
//! `ip`, `name`) are not among them.

use std::sync::{Arc, LazyLock};

use watchfloor_event::ocsf::{self, AttributeType};

use super::FieldMap;
use super::compile::is_alias;
use crate::convert::Convert;

const SOURCE_IP: &[&str] = &[
    "source.ip",
    "source.address",
    "client.ip",
    "client.address",
    "src_ip",
    "srcip",
    "srcIp",
    "srcIP",
    "src_addr",
    "srcaddr",
    "source_ip",
    "sourceip",
    "sourceIp",
    "sourceIP",
    "SourceIP",
    "source_address",
    "sourceAddress",
    "SourceAddress",
    "sourceIPAddress",
    "client_ip",
    "clientip",
    "clientIp",
    "clientIP",
    "ClientIP",
    "client_addr",
    "clientAddress",
    "remote_ip",
    "remoteIp",
    "remote_addr",
    "remoteAddr",
    // These may be names as well; only an address is taken.
    "client",
    "src",
    "source",
];
const SOURCE_PORT: &[&str] = &[
    "source.port",
    "client.port",
    "src_port",
    "srcport",
    "srcPort",
    "SrcPort",
    "source_port",
    "sourceport",
    "sourcePort",
    "SourcePort",
    "client_port",
    "clientPort",
];
const DESTINATION_IP: &[&str] = &[
    "destination.ip",
    "destination.address",
    "server.ip",
    "dst_ip",
    "dstip",
    "dstIp",
    "dstIP",
    "dest_ip",
    "destip",
    "dst_addr",
    "dstaddr",
    "destination_ip",
    "destinationip",
    "destinationIp",
    "destinationIP",
    "DestinationIP",
    "destination_address",
    "destinationAddress",
    "DestinationAddress",
    "dst",
    "dest",
    "destination",
];
const DESTINATION_PORT: &[&str] = &[
    "destination.port",
    "server.port",
    "dst_port",
    "dstport",
    "dstPort",
    "DstPort",
    "dest_port",
    "destport",
    "destination_port",
    "destinationport",
    "destinationPort",
    "DestinationPort",
];
const HOST: &[&str] = &[
    "syslog.hostname",
    "host.name",
    "host.hostname",
    "Computer",
    "ComputerName",
    "computer_name",
    "computerName",
];
const PID: &[&str] = &["process.pid", "syslog.procid"];
/// Names with one meaning: source, then attribute.
const OTHERS: &[(&str, &str)] = &[
    ("source.mac", "src_endpoint.mac"),
    ("destination.mac", "dst_endpoint.mac"),
    ("source.domain", "src_endpoint.hostname"),
    ("destination.domain", "dst_endpoint.hostname"),
    ("network.transport", "connection_info.protocol_name"),
    ("process.executable", "process.file.path"),
    ("process.name", "process.file.name"),
    ("process.command_line", "process.cmd_line"),
    ("file.path", "file.path"),
    ("file.name", "file.name"),
    ("file.hash.sha256", "file.hashes"),
    ("dns.question.name", "query.hostname"),
    ("url.full", "http_request.url.url_string"),
    ("url.original", "http_request.url.url_string"),
    ("url.domain", "http_request.url.hostname"),
    ("url.path", "http_request.url.path"),
    ("url.query", "http_request.url.query_string"),
    ("http.request.method", "http_request.http_method"),
    ("http.response.status_code", "http_response.code"),
    ("user_agent.original", "http_request.user_agent"),
];

/// Where they go; a kind that has a place for a user knows better which.
const ACTOR: &str = "actor.user.name";
/// Names of who acted, for kinds that know no user at all.
const USER: &[&str] = &[
    "user.name",
    "username",
    "userName",
    "user_name",
    "UserName",
    "Username",
    "suser",
    "src_user",
    "srcuser",
    "login_name",
    "loginName",
];

/// A usual name, and the port that may stand behind its address.
#[derive(Debug)]
struct Usual {
    map: FieldMap,
    port: Option<FieldMap>,
}

/// All of them; a kind names those that it takes by their places.
static ALL: LazyLock<Vec<Usual>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let mut add = |source: &str, path: &str, convert: Convert| {
        let known = ocsf::promoted(path);
        let map = FieldMap {
            source: Arc::from(source),
            target: Arc::from(path),
            is_integer: known.is_some_and(|known| known.kind == AttributeType::Integer),
            is_alias: is_alias(source, path),
            is_gathered: path.ends_with(".hashes"),
            convert,
        };
        let port = port_of(&map);
        all.push(Usual { map, port });
    };
    for (names, path, convert) in [
        (SOURCE_IP, "src_endpoint.ip", Convert::Ip),
        (SOURCE_PORT, "src_endpoint.port", Convert::Int),
        (DESTINATION_IP, "dst_endpoint.ip", Convert::Ip),
        (DESTINATION_PORT, "dst_endpoint.port", Convert::Int),
        (HOST, "device.hostname", Convert::Copy),
        (PID, "process.pid", Convert::Int),
        (USER, ACTOR, Convert::Copy),
    ] {
        names
            .iter()
            .for_each(|name| add(name, path, convert.clone()));
    }
    for (source, path) in OTHERS {
        add(source, path, Convert::Copy);
    }
    all
});

/// What a kind takes besides its own maps.
#[derive(Debug, Default)]
pub(crate) struct Besides {
    /// A bit for each of [`ALL`]: a thousand kinds share the maps themselves.
    taken: u128,
    /// Ports behind the addresses that its own maps read (`src=192.0.2.1:443`).
    ports: Box<[FieldMap]>,
}

impl Besides {
    /// The usual names, without those that the given maps read.
    pub(super) fn of(maps: &[Arc<[FieldMap]>]) -> Self {
        let own = || maps.iter().flat_map(|maps| maps.iter());
        let knows_users = own().any(|map| matches!(&*map.target, "user.name" | ACTOR));
        let is_taken = |map: &FieldMap| {
            let is_read = own().any(|own| own.source == map.source);
            !is_read && !(knows_users && *map.target == *ACTOR)
        };
        let places = ALL.iter().enumerate();
        Self {
            taken: places
                .filter(|(_, usual)| is_taken(&usual.map))
                .fold(0, |taken, (place, _)| taken | 1 << place),
            ports: own().filter_map(port_of).collect(),
        }
    }

    /// The maps, in the order in which they are asked.
    pub(crate) fn maps(&self) -> impl Iterator<Item = &FieldMap> {
        let places = ALL.iter().enumerate();
        let usual = places.filter(|(place, _)| self.taken & (1 << place) != 0);
        let usual = usual.map(|(_, usual)| usual);
        let ports = usual.clone().filter_map(|usual| usual.port.as_ref());
        let maps = usual.map(|usual| &usual.map);
        maps.chain(&self.ports).chain(ports)
    }
}

/// The map that takes the port out of the field of an address.
fn port_of(map: &FieldMap) -> Option<FieldMap> {
    let target = match (&*map.target, &map.convert) {
        ("src_endpoint.ip", Convert::Ip) => "src_endpoint.port",
        ("dst_endpoint.ip", Convert::Ip) => "dst_endpoint.port",
        _ => return None,
    };
    Some(FieldMap {
        source: Arc::clone(&map.source),
        target: Arc::from(target),
        is_integer: true,
        is_alias: false,
        is_gathered: false,
        convert: Convert::EndpointPort,
    })
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn there_are_bits_for_all_usual_names() {
        assert!(ALL.len() <= u128::BITS as usize, "{}", ALL.len());
    }
}
