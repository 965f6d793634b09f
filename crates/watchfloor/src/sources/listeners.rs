//! Listeners with few settings: `kind = "gelf"`, `"netflow"` and `"unix"`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use watchfloor_decode::flow::Flows;
use watchfloor_event::Format;
use watchfloor_ingest::{
    DatagramListener, Datagrams, GelfListener, NewRecord, Running, SourceHandle, UnixSocket,
};

use super::Given;
use super::syslog::Bounds;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GelfSettings {
    /// Address for UDP and TCP.
    listen: SocketAddr,
    connections_max: Option<usize>,
    idle_s: Option<u64>,
    record_s: Option<u64>,
}

pub(super) async fn gelf(given: Given) -> Result<Running> {
    let settings: GelfSettings = given.settings()?;
    let bounds = Bounds {
        connections_max: settings.connections_max,
        idle_s: settings.idle_s,
        record_s: settings.record_s,
    };
    let listener = GelfListener::bind(settings.listen, bounds.limits()?).await?;
    Ok(listener.run(given.handle))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnixSettings {
    /// Path of the socket.
    path: PathBuf,
    /// `stream` (default) or `datagram`.
    mode: Option<String>,
}

pub(super) async fn unix(given: Given) -> Result<Running> {
    let settings: UnixSettings = given.settings()?;
    let path = &settings.path;
    let socket = match settings.mode.as_deref() {
        None | Some("stream") => UnixSocket::stream(path),
        Some("datagram") => UnixSocket::datagram(path),
        Some(other) => bail!("mode '{other}' is not known; stream or datagram"),
    };
    let socket = socket.with_context(|| {
        format!(
            "the socket {} cannot be made; its folder must exist and be writable",
            path.display()
        )
    })?;
    Ok(socket.run(given.handle))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowSettings {
    /// Address for UDP.
    listen: SocketAddr,
}

pub(super) async fn netflow(given: Given) -> Result<Running> {
    let settings: FlowSettings = given.settings()?;
    let listener = DatagramListener::bind(settings.listen).await?;
    let packets = FlowPackets {
        handle: given.handle.clone(),
        flows: Flows::default(),
    };
    Ok(listener.run(given.handle, packets))
}

/// Packets of exporters, taken apart into flows.
struct FlowPackets {
    handle: SourceHandle,
    flows: Flows,
}

impl FlowPackets {
    fn push(&self, exporter: IpAddr, flows: Vec<Vec<u8>>, out: &mut Vec<NewRecord>) {
        if flows.is_empty() {
            return;
        }
        let source = self.handle.source_of(exporter);
        let context = self.handle.context_of(&source);
        out.extend(flows.into_iter().map(|flow| {
            let bytes = Bytes::from(flow);
            self.handle
                .record(&source, context.as_ref(), Format::Json, bytes)
        }));
    }

    fn give_up(&mut self, all: bool, out: &mut Vec<NewRecord>) {
        for (exporter, set) in self.flows.give_up(Timestamp::now(), all) {
            self.handle.trouble(
                "template_missing",
                format!("a set of {exporter} is kept as bytes since its template did not come; let the exporter send its templates more often"),
            );
            self.push(exporter, vec![set], out);
        }
    }
}

impl Datagrams for FlowPackets {
    fn take(&mut self, peer: SocketAddr, bytes: &[u8], out: &mut Vec<NewRecord>) {
        let exporter = peer.ip().to_canonical();
        let packet = self.flows.packet(exporter, bytes, Timestamp::now());
        if packet.waiting > 0 {
            self.handle.trouble(
                "template_awaited",
                format!("a set of {exporter} waits for its template; it is read when the exporter sends it"),
            );
        }
        if let Some(fault) = packet.fault {
            self.handle
                .dropped(&self.handle.source_of(exporter), "malformed", 1);
            self.handle.trouble(
                "packet_refused",
                format!("a packet of {exporter} could not be read: {fault}; flows before that place are kept; check that it sends NetFlow 5, 9 or IPFIX"),
            );
        }
        self.push(exporter, packet.flows, out);
    }

    fn tick(&mut self, out: &mut Vec<NewRecord>) {
        self.give_up(false, out);
    }

    fn finish(&mut self, out: &mut Vec<NewRecord>) {
        self.give_up(true, out);
    }
}
