//! Records as lines of an HTTP body.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use url::Url;

use crate::destination::{Destination, SendError, SetUpError, choose_cryptography};

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Characters of an answer that are shown.
const MAX_SHOWN: usize = 200;

/// Where and how.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// `http` or `https`; redirects are not followed.
    pub url: Url,
    /// Headers of each request, such as `Authorization`.
    pub headers: BTreeMap<String, String>,
    /// Whether bodies are compressed.
    pub gzip: bool,
}

/// An end point that takes lines: one record a line, line ends within a record as spaces.
#[derive(Debug)]
pub struct Http {
    client: reqwest::Client,
    url: Url,
    gzip: bool,
}

impl Http {
    /// Sets it up; nothing is sent yet.
    ///
    /// # Errors
    /// If the URL or a header cannot be used.
    pub fn new(options: &HttpOptions) -> Result<Self, SetUpError> {
        choose_cryptography();
        if !matches!(options.url.scheme(), "http" | "https") {
            let reason = format!("'{}' is no http or https URL", options.url);
            return Err(SetUpError::new("url", reason));
        }
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-ndjson"),
        );
        for (name, value) in &options.headers {
            let what = || format!("header '{name}'");
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|error| SetUpError::new(what(), error))?;
            let mut value =
                HeaderValue::from_str(value).map_err(|error| SetUpError::new(what(), error))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let client = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(Policy::none())
            .timeout(ANSWER_LIMIT)
            .build();
        Ok(Self {
            client: client.map_err(|error| SetUpError::new("HTTP client", error))?,
            url: options.url.clone(),
            gzip: options.gzip,
        })
    }

    async fn post(&self, last: u64, records: &[Bytes]) -> Result<(), SendError> {
        let target = self.describe();
        let mut body = lines(records);
        let mut request = self.client.post(self.url.clone());
        // A receiver that knows the header takes a repeat once.
        request = request.header("Idempotency-Key", format!("{last}"));
        if self.gzip {
            body = gzip(&body).map_err(|error| SendError::Refused {
                target: target.clone(),
                reason: error.to_string(),
            })?;
            request = request.header(CONTENT_ENCODING, "gzip");
        }
        let answer = request.body(body).send().await.map_err(|error| {
            let target = target.clone();
            match error.is_timeout() {
                true => SendError::Slow {
                    target,
                    seconds: ANSWER_LIMIT.as_secs(),
                },
                false => SendError::Unreachable {
                    target,
                    reason: error.without_url().to_string(),
                },
            }
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        let text: String = text.chars().take(MAX_SHOWN).collect();
        let reason = format!("{status} {text}");
        Err(match status {
            StatusCode::PAYLOAD_TOO_LARGE => SendError::TooLarge { target, reason },
            _ => SendError::Refused { target, reason },
        })
    }
}

impl Destination for Http {
    fn send<'a>(&'a self, last: u64, records: &'a [Bytes]) -> BoxFuture<'a, Result<(), SendError>> {
        self.post(last, records).boxed()
    }

    fn describe(&self) -> String {
        let mut url = self.url.clone();
        // Credentials may stand in a URL; a URL without a host has none.
        let _ = url.set_password(None);
        let _ = url.set_username("");
        url.set_query(None);
        url.to_string()
    }
}

/// A client for `http` and `https` that gives up after some time.
///
/// # Errors
/// If the system gives no random numbers or no sockets.
pub fn http_client(limit: Duration) -> Result<reqwest::Client, SetUpError> {
    choose_cryptography();
    let client = reqwest::Client::builder().timeout(limit).build();
    client.map_err(|error| SetUpError::new("HTTP client", error))
}

/// One record a line.
pub(crate) fn lines(records: &[Bytes]) -> Vec<u8> {
    let mut body = Vec::with_capacity(records.iter().map(|record| record.len() + 1).sum());
    for record in records {
        let line = record.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => *other,
        });
        body.extend(line);
        body.push(b'\n');
    }
    body
}

pub(crate) fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
