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

/// Each map on its own, so that kinds share those that they have in common.
static MAPS: LazyLock<Vec<Arc<[FieldMap]>>> = LazyLock::new(|| {
    let mut maps = Vec::new();
    let mut add = |source: &str, path: &str, convert: Convert| {
        let known = ocsf::promoted(path);
        maps.push(Arc::from([FieldMap {
            source: Arc::from(source),
            target: Arc::from(path),
            is_integer: known.is_some_and(|known| known.kind == AttributeType::Integer),
            is_alias: is_alias(source, path),
            is_gathered: path.ends_with(".hashes"),
            convert,
        }]));
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
    maps
});

/// The usual names, without those that the given maps read, and the ports that stand behind
/// addresses which the maps read (`src=192.0.2.1:443`).
pub(super) fn besides(maps: &[Arc<[FieldMap]>]) -> Vec<Arc<[FieldMap]>> {
    let all = || maps.iter().flat_map(|maps| maps.iter());
    let is_read = |source: &str| all().any(|map| *map.source == *source);
    let knows_users = all().any(|map| matches!(&*map.target, "user.name" | ACTOR));
    let is_left = |map: &FieldMap| {
        let is_user = *map.target == *ACTOR;
        !(is_read(&map.source) || is_user && knows_users)
    };
    let mut left: Vec<Arc<[FieldMap]>> = MAPS
        .iter()
        .filter(|map| map.iter().all(is_left))
        .cloned()
        .collect();
    let known = all().chain(left.iter().flat_map(|map| map.iter()));
    let ports: Arc<[FieldMap]> = known.filter_map(port_of).collect();
    left.push(ports);
    left
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
