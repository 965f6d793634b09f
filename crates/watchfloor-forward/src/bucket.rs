//! Records as objects of an S3-compatible bucket: one compressed object a group.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

use crate::destination::{Destination, SendError, SetUpError, choose_cryptography};
use crate::http::{gzip, lines};

/// Longest wait for an answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Where and how.
#[derive(Clone, Debug)]
pub struct BucketOptions {
    /// As `s3://bucket/prefix`.
    pub location: Url,
    /// How the store is reached, such as `endpoint` and `region`; what is missing comes from the
    /// environment.
    pub storage: BTreeMap<String, String>,
}

/// A bucket that takes one object a group: `PREFIX/YYYY/MM/DD/HH/PLACE.ndjson.gz`.
#[derive(Debug)]
pub struct Bucket {
    store: Box<dyn ObjectStore>,
    prefix: Path,
    location: String,
}

impl Bucket {
    /// Sets it up; nothing is sent yet.
    ///
    /// # Errors
    /// If the location or an option cannot be used.
    pub fn new(options: &BucketOptions) -> Result<Self, SetUpError> {
        choose_cryptography();
        let given = options.storage.iter();
        let given = given.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        let environment = std::env::vars().filter(|(name, _)| name.starts_with("AWS_"));
        let environment = environment.map(|(name, value)| (name.to_ascii_lowercase(), value));
        let all: BTreeMap<String, String> = environment.chain(given).collect();
        let http = ClientOptions::new().with_timeout(ANSWER_LIMIT);
        let http = http.with_allow_http(all.get("allow_http").is_some_and(|text| text == "true"));
        let mut builder = object_store::aws::AmazonS3Builder::new()
            .with_url(options.location.as_str())
            .with_client_options(http)
            .with_retry(RetryConfig {
                max_retries: 2,
                retry_timeout: ANSWER_LIMIT,
                ..RetryConfig::default()
            });
        for (name, value) in &all {
            if let Ok(key) = name.parse() {
                builder = builder.with_config(key, value);
            }
        }
        let failed =
            |error: object_store::Error| SetUpError::new(format!("'{}'", options.location), error);
        let prefix = Path::from(options.location.path().trim_matches('/'));
        Ok(Self {
            store: Box::new(builder.build().map_err(failed)?),
            prefix,
            location: options.location.to_string(),
        })
    }

    async fn put(&self, last: u64, records: &[Bytes]) -> Result<(), SendError> {
        let hour = TimeZone::UTC
            .to_datetime(Timestamp::now())
            .strftime("%Y/%m/%d/%H")
            .to_string();
        let name = format!("{last:020}.ndjson.gz");
        let path = [self.prefix.as_ref(), &hour, &name];
        let path = Path::from(path.join("/").trim_start_matches('/'));
        let refused = |reason: String| SendError::Refused {
            target: self.describe(),
            reason,
        };
        let body = gzip(&lines(records)).map_err(|error| refused(error.to_string()))?;
        let put = self.store.put(&path, body.into());
        match tokio::time::timeout(ANSWER_LIMIT * 2, put).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(refused(error.to_string())),
            Err(_) => Err(SendError::Slow {
                target: self.describe(),
                seconds: (ANSWER_LIMIT * 2).as_secs(),
            }),
        }
    }
}

impl Destination for Bucket {
    fn send<'a>(&'a self, last: u64, records: &'a [Bytes]) -> BoxFuture<'a, Result<(), SendError>> {
        self.put(last, records).boxed()
    }

    fn describe(&self) -> String {
        self.location.clone()
    }
}
