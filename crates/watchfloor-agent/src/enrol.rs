//! Enrolment: a one-time token becomes a certificate.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use tokio::time::{Duration, timeout};
use watchfloor_link::{EnrolmentToken, Frame, PORT, ToAgent, ToServer};

use crate::data::{DataFolder, Settings};
use crate::tls::{self, Granted};
use crate::{platform, wire};

/// Longest wait for the certificate.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// Key and certificates of the agent: one file, so that they always fit.
pub(crate) const IDENTITY: &str = "identity.pem";

/// What is to be done about a host that is enrolled already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    Refuse,
    /// It gets another certificate, and keeps what it has not told yet.
    Again,
}

/// Asks the server for a certificate and keeps all that comes with it. Answers the agent's id.
pub(crate) async fn enrol(
    server: &str,
    token: &str,
    folder: &Path,
    known: Known,
) -> Result<String> {
    let token: EnrolmentToken = token.parse()?;
    let data = DataFolder::open(folder)
        .with_context(|| format!("cannot use {}; run as root?", folder.display()))?;
    if let Some(settings) = data.settings()
        && known == Known::Refuse
    {
        bail!(
            "this host is enrolled already, as {}; --again gives it another certificate",
            settings.agent
        );
    }
    let server = with_port(server);
    let request = tls::request()?;
    let mut stream = wire::dial(&server, tls::pinned(&token.pin)?)
        .await
        .map_err(explain)?;
    let ask = Frame {
        message: ToServer::Enrol {
            secret: token.secret.clone(),
            host: platform::host::identity(&data),
        },
        payload: request.der.clone(),
    };
    wire::write(&mut stream, &ask).await?;
    let answer = timeout(ANSWER_MAX, wire::read(&mut stream))
        .await
        .map_err(|_| anyhow!("the server does not answer"))??;
    match answer.message {
        ToAgent::Certificate { agent } => {
            let granted = tls::granted(&answer.payload)?;
            keep(&data, &request.key_pem, &answer.payload)?;
            let settings = Settings {
                server,
                agent: agent.clone(),
                update_key: granted.update_key,
            };
            data.write_json("settings.json", &settings)?;
            Ok(agent)
        }
        ToAgent::Refused { message, .. } => bail!("the server refused: {message}"),
        other => bail!("the server said something else: {other:?}"),
    }
}

/// Keeps a key and what came for it.
pub(crate) fn keep(data: &DataFolder, key_pem: &str, granted: &[u8]) -> Result<Granted> {
    let parsed = tls::granted(granted)?;
    let mut bytes = key_pem.as_bytes().to_vec();
    bytes.push(b'\n');
    bytes.extend_from_slice(granted);
    // Refused here rather than at the next start.
    tls::mutual(&bytes)?;
    data.write(IDENTITY, &bytes)
        .context("the certificate cannot be kept")?;
    Ok(parsed)
}

/// The server's address with the usual port where none is named.
fn with_port(server: &str) -> String {
    let has_port = match server.rsplit_once(':') {
        Some((host, port)) => {
            port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
        }
        None => false,
    };
    match has_port {
        true => server.to_owned(),
        false if server.contains(':') && !server.starts_with('[') => format!("[{server}]:{PORT}"),
        false => format!("{server}:{PORT}"),
    }
}

/// Says what a failed handshake means here.
fn explain(error: anyhow::Error) -> anyhow::Error {
    let words = format!("{error:#}");
    match words.contains("UnknownIssuer") {
        true => error.context(
            "this is not the server that made the token: its authority has another fingerprint",
        ),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_port_is_added() {
        for (server, expected) in [
            ("soc.example", "soc.example:6517"),
            ("soc.example:7000", "soc.example:7000"),
            ("192.0.2.1", "192.0.2.1:6517"),
            ("2001:db8::1", "[2001:db8::1]:6517"),
            ("[2001:db8::1]:7000", "[2001:db8::1]:7000"),
            ("[2001:db8::1]", "[2001:db8::1]:6517"),
        ] {
            assert_eq!(with_port(server), expected);
        }
    }
}
