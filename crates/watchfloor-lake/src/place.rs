//! Where tables stand: a folder of this machine, or a bucket of an S3-compatible store.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use datafusion::execution::object_store::ObjectStoreUrl;
use deltalake::logstore::{
    LogStore, LogStoreFactory, ObjectStoreFactory, ObjectStoreRef, StorageConfig, default_logstore,
    logstore_factories, object_store_factories,
};
use deltalake::{DeltaResult, DeltaTable, DeltaTableBuilder, DeltaTableError};
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use url::Url;

use crate::table::CommitError;

/// How long a request to a bucket may take; a file of a commit has to go through in that time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests that fail are tried again; queries and commits fail with the reason then.
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_RETRIES: usize = 3;

/// Where a table stands.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder of this machine.
    Folder(PathBuf),
    /// A prefix in a bucket.
    Bucket {
        /// As `s3://bucket/prefix`.
        url: Url,
        /// How to reach it: keys of object_store's S3 client, such as `aws_endpoint`.
        options: BTreeMap<String, String>,
    },
}

/// Why a text names no place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Not of a kind that is known.
    #[error("'{0}' is neither a folder nor of the form s3://bucket/prefix")]
    Unknown(String),
    /// An option that the S3 client lacks.
    #[error(
        "'{0}' is no option of an S3-compatible store; such are endpoint, region, allow_http, timeout, access_key_id and secret_access_key"
    )]
    Option(String),
}

impl Place {
    /// Reads `s3://bucket/prefix`, or a path. The options are those of the S3 client, with or
    /// without `aws_` before them; credentials that they lack come from the environment's
    /// `AWS_…` variables, as other tools take them.
    ///
    /// # Errors
    /// If the text is another kind of URL, or an option is unknown.
    pub fn parse(text: &str, options: &BTreeMap<String, String>) -> Result<Self, PlaceError> {
        if !text.contains("://") {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let unknown = || PlaceError::Unknown(text.to_owned());
        let url = Url::parse(text.trim_end_matches('/')).map_err(|_| unknown())?;
        if url.scheme() != "s3" || url.host_str().is_none() {
            return Err(unknown());
        }
        let options = options.iter().map(|(name, value)| {
            let key = match name.starts_with("aws_") {
                true => name.clone(),
                false => format!("aws_{name}"),
            };
            match key_of(&key).is_some() {
                true => Ok((key, value.clone())),
                false => Err(PlaceError::Option(name.clone())),
            }
        });
        let mut all: BTreeMap<String, String> = from_environment().collect();
        all.extend(options.collect::<Result<Vec<_>, _>>()?);
        Ok(Self::Bucket { url, options: all })
    }

    /// For another machine, without credentials.
    pub(crate) fn described(&self) -> serde_json::Value {
        let is_open = |name: &str| {
            let is_secret = ["secret", "token", "access_key"];
            !is_secret.iter().any(|part| name.contains(part))
        };
        match self {
            Self::Folder(folder) => serde_json::json!({"location": folder}),
            Self::Bucket { url, options } => {
                let options = options.iter().filter(|(name, _)| is_open(name));
                let options: BTreeMap<_, _> = options.collect();
                serde_json::json!({"location": url.as_str(), "storage": options})
            }
        }
    }

    /// The place that another machine described, with this machine's own credentials.
    pub(crate) fn of_description(
        described: &serde_json::Value,
        own: &BTreeMap<String, String>,
    ) -> Result<Self, PlaceError> {
        let text = described["location"].as_str().unwrap_or_default();
        let theirs = described["storage"].as_object().into_iter().flatten();
        let theirs =
            theirs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        let mut options: BTreeMap<String, String> = theirs.collect();
        options.extend(own.clone());
        Self::parse(text, &options)
    }

    fn url(&self) -> Result<Url, DeltaTableError> {
        match self {
            Self::Bucket { url, .. } => Ok(url.clone()),
            Self::Folder(folder) => {
                let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.clone());
                Url::from_directory_path(&absolute).map_err(|()| {
                    DeltaTableError::generic(format!("{} is no absolute path", absolute.display()))
                })
            }
        }
    }

    /// The table there, not yet loaded.
    pub(crate) fn table(&self) -> Result<DeltaTable, DeltaTableError> {
        let builder = DeltaTableBuilder::from_url(self.url()?)?;
        match self {
            Self::Folder(_) => builder.build(),
            Self::Bucket { options, .. } => {
                know_buckets();
                let options: HashMap<_, _> = options.clone().into_iter().collect();
                builder.with_storage_options(options).build()
            }
        }
    }
}

/// Without credentials.
impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(out),
            Self::Bucket { url, .. } => url.fmt(out),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Place({self})")
    }
}

/// What the S3 client takes from the environment, such as `AWS_ACCESS_KEY_ID`.
fn from_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.to_str()?.to_ascii_lowercase();
        let is_ours = name.starts_with("aws_") && key_of(&name).is_some();
        Some((name, value.to_str()?.to_owned())).filter(|_| is_ours)
    })
}

fn key_of(name: &str) -> Option<AmazonS3ConfigKey> {
    let bare = name.strip_prefix("aws_").unwrap_or(name);
    name.parse().or_else(|_| bare.parse()).ok()
}

/// Makes Delta's registries know `s3://`.
fn know_buckets() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(scheme) = Url::parse("s3://") else {
            return;
        };
        object_store_factories().insert(scheme.clone(), Arc::new(Buckets));
        logstore_factories().insert(scheme, Arc::new(Buckets));
    });
}

/// Makes clients of S3-compatible stores. A log entry is put only if it does not exist, which
/// such stores do by `If-None-Match`.
struct Buckets;

impl ObjectStoreFactory for Buckets {
    fn parse_url_opts(
        &self,
        url: &Url,
        config: &StorageConfig,
    ) -> DeltaResult<(ObjectStoreRef, Path)> {
        let client = ClientOptions::new()
            .with_timeout(REQUEST_TIMEOUT)
            .with_connect_timeout(CONNECT_TIMEOUT);
        let retry = RetryConfig {
            max_retries: MAX_RETRIES,
            retry_timeout: RETRY_TIMEOUT,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new()
            .with_client_options(client)
            .with_retry(retry)
            .with_url(url.as_str());
        for (name, value) in &config.raw {
            if let Some(key) = key_of(name) {
                builder = builder.with_config(key, value);
            }
        }
        Ok((Arc::new(builder.build()?), Path::from_url_path(url.path())?))
    }
}

impl LogStoreFactory for Buckets {
    fn with_options(
        &self,
        prefixed: ObjectStoreRef,
        root: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed, root, location, options))
    }
}

/// A place with its files at hand. The first tier of a lake is written to; the others are read
/// beside it.
#[derive(Clone, Debug)]
pub(crate) struct Tier {
    pub(crate) place: Place,
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Under which the query engine knows the store.
    pub(crate) url: ObjectStoreUrl,
}

impl Tier {
    pub(crate) fn of(place: &Place, table: &DeltaTable) -> Self {
        let log = table.log_store();
        Self {
            place: place.clone(),
            store: log.object_store(None),
            url: log.object_store_url(),
        }
    }

    /// Writes a file; it is durable when this is done.
    pub(crate) async fn put(&self, path: &Path, bytes: Vec<u8>) -> Result<(), CommitError> {
        match &self.place {
            Place::Folder(folder) => {
                let path = folder.join(path.as_ref());
                let at = path.clone();
                tokio::task::spawn_blocking(move || write_synced(&path, &bytes))
                    .await
                    .map_err(|_| CommitError::Stopped)?
                    .map_err(|source| CommitError::Write { path: at, source })
            }
            Place::Bucket { .. } => {
                let done = self.store.put(path, Bytes::from(bytes).into()).await;
                done.map(drop)
                    .map_err(|error| self.write_error(path, error))
            }
        }
    }

    /// All files of the place.
    pub(crate) async fn list(&self) -> Result<Vec<ObjectMeta>, object_store::Error> {
        self.store.list(None).try_collect().await
    }

    /// Deletes a file; one that is not there is as good as deleted.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), CommitError> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.write_error(path, error)),
        }
    }

    pub(crate) fn write_error(&self, path: &Path, error: object_store::Error) -> CommitError {
        CommitError::Write {
            path: PathBuf::from(format!("{}/{path}", self.place)),
            source: std::io::Error::other(error),
        }
    }

    /// Makes the log's newest entry durable, where the store does not do so by itself.
    pub(crate) fn sync_log(&self, table: &DeltaTable) -> Result<(), CommitError> {
        let Place::Folder(folder) = &self.place else {
            return Ok(());
        };
        let log = folder.join("_delta_log");
        let entry = log.join(format!("{:020}.json", table.version().unwrap_or_default()));
        for path in [entry, log] {
            sync(&path).map_err(|source| CommitError::Write { path, source })?;
        }
        Ok(())
    }
}

fn write_synced(path: &FilePath, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    if !folder.is_dir() {
        std::fs::create_dir_all(folder)?;
        sync(folder.parent().unwrap_or(folder))?;
    }
    std::fs::write(path, bytes)?;
    sync(path)?;
    sync(folder)
}

fn sync(path: &FilePath) -> std::io::Result<()> {
    std::fs::File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_folder_or_a_bucket() {
        let none = BTreeMap::new();
        let folder = Place::parse("data/lake", &none).unwrap();
        assert_eq!(folder, Place::Folder("data/lake".into()));
        let options = BTreeMap::from([
            ("endpoint".to_owned(), "http://127.0.0.1:9000".to_owned()),
            ("secret_access_key".to_owned(), "hush".to_owned()),
            ("allow_http".to_owned(), "true".to_owned()),
        ]);
        let bucket = Place::parse("s3://soc/lake/", &options).unwrap();
        assert_eq!(bucket.to_string(), "s3://soc/lake");
        assert!(!format!("{bucket:?}").contains("hush"));
        for bad in ["gs://soc/lake", "s3://", "http://x/y"] {
            assert!(Place::parse(bad, &none).is_err(), "{bad}");
        }
        let odd = BTreeMap::from([("endpoimt".to_owned(), "x".to_owned())]);
        let error = Place::parse("s3://soc/lake", &odd).unwrap_err().to_string();
        assert!(
            error.contains("endpoimt") && error.contains("endpoint"),
            "{error}"
        );
    }
}
