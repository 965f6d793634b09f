//! `kind = "syslog"` and `kind = "syslog-tls"`: listeners of their own beside the one of the
//! key `syslog`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use watchfloor_ingest::{Running, SourceHandle, StreamLimits, SyslogListener, TlsFiles};

use super::Given;

/// Bounds on connections, as they may stand in any listener's table.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Bounds {
    /// Most connections at once.
    pub(super) connections_max: Option<usize>,
    /// Seconds that a connection may be silent.
    pub(super) idle_s: Option<u64>,
    /// Seconds that a record may take to arrive.
    pub(super) record_s: Option<u64>,
}

impl Bounds {
    pub(super) fn limits(self) -> Result<StreamLimits> {
        let standard = StreamLimits::STANDARD;
        let limits = StreamLimits {
            connections_max: self.connections_max.unwrap_or(standard.connections_max),
            idle: self.idle_s.map_or(standard.idle, Duration::from_secs),
            record: self.record_s.map_or(standard.record, Duration::from_secs),
        };
        if limits.connections_max == 0 || limits.idle.is_zero() || limits.record.is_zero() {
            bail!("connections_max, idle_s and record_s must be more than 0");
        }
        Ok(limits)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address for UDP and TCP.
    listen: SocketAddr,
    connections_max: Option<usize>,
    idle_s: Option<u64>,
    record_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSettings {
    /// Address.
    listen: SocketAddr,
    /// Certificate with its chain (PEM).
    certificate: PathBuf,
    /// Key (PEM).
    key: PathBuf,
    /// Authority of senders (PEM); without it any sender is taken.
    client_authority: Option<PathBuf>,
    connections_max: Option<usize>,
    idle_s: Option<u64>,
    record_s: Option<u64>,
}

pub(super) async fn start(given: Given) -> Result<Running> {
    let settings: Settings = given.settings()?;
    let bounds = Bounds {
        connections_max: settings.connections_max,
        idle_s: settings.idle_s,
        record_s: settings.record_s,
    };
    let listener = SyslogListener::bind(settings.listen, bounds.limits()?).await?;
    Ok(listener.run(given.handle))
}

pub(super) async fn start_tls(given: Given) -> Result<Running> {
    let settings: TlsSettings = given.settings()?;
    let bounds = Bounds {
        connections_max: settings.connections_max,
        idle_s: settings.idle_s,
        record_s: settings.record_s,
    };
    let files = TlsFiles {
        certificate: settings.certificate,
        key: settings.key,
        client_authority: settings.client_authority,
    };
    let listener = SyslogListener::bind_tls(settings.listen, bounds.limits()?, &files).await?;
    Ok(listener.run(given.handle))
}

/// Takes the sockets of an address, for the listener that is there without a table.
pub(super) async fn listen(address: SocketAddr, handle: &SourceHandle) -> Result<Running> {
    let listener = SyslogListener::bind(address, StreamLimits::STANDARD).await?;
    Ok(listener.run(handle.clone()))
}
