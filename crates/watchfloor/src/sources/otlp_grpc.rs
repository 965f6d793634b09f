//! `kind = "otlp-grpc"`: logs of OpenTelemetry over gRPC, on a port of its own.
//!
//! # Source
//! opentelemetry-proto 1.7, `collector/logs/v1/logs_service.proto`; gRPC, "gRPC over HTTP2".

use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use axum::routing::post;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Limited, StreamBody};
use serde::Deserialize;
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use watchfloor_casework::{Casework, Credential};
use watchfloor_decode::envelope::otlp;
use watchfloor_event::Format;
use watchfloor_ingest::{AppendError, MAX_RECORD_BYTES, NewRecord, Running, SourceHandle};
use watchfloor_model::Permission;

use super::Given;

/// Largest message, as sent and unpacked, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Requests of one connection at once.
const STREAMS_MAX: u32 = 64;
/// Where the service stands.
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address.
    listen: SocketAddr,
    /// Certificate with its chain (PEM); without it the port speaks no TLS.
    certificate: Option<PathBuf>,
    /// Key (PEM).
    key: Option<PathBuf>,
}

#[derive(Clone)]
struct Receiver {
    handle: SourceHandle,
    casework: Casework,
}

pub(super) async fn start(given: Given) -> Result<Running> {
    let settings: Settings = given.settings()?;
    let listener = TcpListener::bind(settings.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; choose another address",
            settings.listen
        )
    })?;
    let address = listener.local_addr()?;
    let mut server = Server::builder().max_concurrent_streams(STREAMS_MAX);
    match (&settings.certificate, &settings.key) {
        (None, None) => {}
        (Some(certificate), Some(key)) => {
            let read = |path: &PathBuf| {
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
            };
            let identity = Identity::from_pem(read(certificate)?, read(key)?);
            server = server
                .tls_config(ServerTlsConfig::new().identity(identity))
                .with_context(|| {
                    format!("{} cannot be used as a certificate", certificate.display())
                })?;
        }
        _ => bail!("certificate and key belong together"),
    }
    let handle = given.handle;
    handle.listening(address);
    let receiver = Receiver {
        handle: handle.clone(),
        casework: given.casework,
    };
    let routes = axum::Router::new()
        .route(EXPORT, post(export))
        .with_state(receiver);
    Ok(Box::pin(async move {
        let stop = handle.stop().clone();
        let served = server
            .add_routes(tonic::service::Routes::from(routes))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop.cancelled_owned());
        if let Err(error) = served.await {
            handle.ended(
                format!("{:#}", anyhow::Error::from(error)),
                "start the server again",
            );
        }
    }))
}

/// A refusal: code and words of gRPC.
struct Refusal {
    code: u8,
    text: String,
}

/// Codes that are used.
const INVALID: u8 = 3;
const FORBIDDEN: u8 = 7;
const EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

fn refuse(code: u8, text: impl Into<String>) -> Refusal {
    Refusal {
        code,
        text: text.into(),
    }
}

async fn export(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    match receiver.take(&headers, body).await {
        Ok(message) => answer(0, "", message),
        Err(refusal) => {
            if !matches!(refusal.code, UNAVAILABLE | INTERNAL) {
                receiver.handle.trouble(
                    "request_refused",
                    format!("a request is refused: {}", refusal.text),
                );
            }
            answer(refusal.code, &refusal.text, Vec::new())
        }
    }
}

impl Receiver {
    async fn take(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
        self.admit(headers).await?;
        let source = self.handle.records_as();
        let counted = |refusal| {
            self.handle.dropped(source, "body_refused", 1);
            refusal
        };
        let body = Limited::new(body, MESSAGE_BYTES_MAX + 5).collect().await;
        let body =
            body.map_err(|error| counted(refuse(EXHAUSTED, format!("{error}; at most 64 MiB"))))?;
        let is_packed = headers
            .get("grpc-encoding")
            .is_some_and(|value| value == "gzip");
        let bytes = body.to_bytes();
        let records = tokio::task::spawn_blocking(move || {
            let message = message(&bytes, is_packed)?;
            otlp::from_protobuf(&message).map_err(|error| refuse(INVALID, error.to_string()))
        });
        let records = records
            .await
            .map_err(|error| refuse(INTERNAL, error.to_string()))?
            .map_err(counted)?;
        let mut rejected = 0;
        let mut new: Vec<NewRecord> = Vec::with_capacity(records.len());
        for record in records {
            let source: Arc<str> = match &record.label {
                Some(label) => self.handle.source_of(plain(label)),
                None => Arc::clone(source),
            };
            if record.bytes.len() > MAX_RECORD_BYTES {
                self.handle.dropped(&source, "too_long", 1);
                rejected += 1;
                continue;
            }
            let context = self.handle.context_of(&source);
            let bytes = Bytes::from(record.bytes);
            new.push(
                self.handle
                    .record(&source, context.as_ref(), Format::Json, bytes),
            );
        }
        match self.handle.try_append(new).await {
            Ok(()) => {}
            Err(AppendError::Full { .. } | AppendError::Away { .. } | AppendError::Closed) => {
                return Err(refuse(
                    UNAVAILABLE,
                    "no more records are taken just now; try again in 2 s",
                ));
            }
            Err(error @ AppendError::Write { .. }) => {
                return Err(refuse(UNAVAILABLE, error.to_string()));
            }
        }
        Ok(otlp::partial_success(
            rejected,
            Some("records longer than 1 MiB are not taken"),
        ))
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim().to_owned());
        let mend = "send 'authorization: Bearer TOKEN' with a token of watchfloor admin token --scope ingest";
        let token =
            token.ok_or_else(|| refuse(UNAUTHENTICATED, format!("there is no token; {mend}")))?;
        let found = self.casework.identify(&Credential::Token(token)).await;
        let found = found.map_err(|error| refuse(UNAVAILABLE, error.to_string()))?;
        let sender = found
            .ok_or_else(|| refuse(UNAUTHENTICATED, format!("the token is not known; {mend}")))?;
        self.casework
            .authorize(&sender.actor, Permission::Ingest)
            .map_err(|_| refuse(FORBIDDEN, format!("the token may not ingest; {mend}")))
    }
}

/// The label of an envelope as part of a source's name.
fn plain(label: &str) -> String {
    let plain = label.chars().take(100).map(|c| {
        let is_plain = !c.is_control() && !c.is_whitespace();
        if is_plain { c } else { '_' }
    });
    plain.collect()
}

/// The message of a unary request: a flag, a length, the bytes.
fn message(body: &[u8], is_packed: bool) -> Result<Vec<u8>, Refusal> {
    let broken = || refuse(INVALID, "the body is no gRPC message");
    let (head, bytes) = body.split_at_checked(5).ok_or_else(broken)?;
    let length = u32::from_be_bytes(head[1..5].try_into().map_err(|_| broken())?);
    let bytes = bytes.get(..length as usize).ok_or_else(broken)?;
    if head[0] == 0 {
        return Ok(bytes.to_vec());
    }
    if !is_packed {
        return Err(refuse(UNIMPLEMENTED, "only gzip is known as compression"));
    }
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes)
        .take(MESSAGE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| {
            refuse(
                INVALID,
                format!("the message is not well-formed gzip: {error}"),
            )
        })?;
    if plain.len() > MESSAGE_BYTES_MAX {
        return Err(refuse(
            EXHAUSTED,
            "the message is larger than 64 MiB when unpacked; send it in parts",
        ));
    }
    Ok(plain)
}

/// An answer: the message if it is one, and how it went behind it.
fn answer(code: u8, text: &str, message: Vec<u8>) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    let status = HeaderName::from_static("grpc-status");
    trailers.insert(status, HeaderValue::from(u16::from(code)));
    // The text must be ASCII; other bytes are written in percents.
    let text: String = text
        .bytes()
        .map(|byte| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    if let (false, Ok(value)) = (text.is_empty(), HeaderValue::try_from(text)) {
        trailers.insert(HeaderName::from_static("grpc-message"), value);
    }
    let mut frames = Vec::new();
    if code == 0 {
        let mut data = BytesMut::with_capacity(message.len() + 5);
        data.put_u8(0);
        data.put_u32(u32::try_from(message.len()).unwrap_or(0));
        data.extend_from_slice(&message);
        frames.push(Ok::<_, std::convert::Infallible>(http_body::Frame::data(
            data.freeze(),
        )));
    }
    frames.push(Ok(http_body::Frame::trailers(trailers)));
    let body = Body::new(StreamBody::new(futures::stream::iter(frames)));
    let mut response = Response::new(body);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    response
}
