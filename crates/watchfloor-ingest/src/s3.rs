//! Records out of the objects of an S3-compatible bucket: found by listing it again and again,
//! or told of by a queue.
//!
//! An object is done when the journal has acknowledged all its records. Each record has an
//! idempotency key of bucket, object, version and place, so an object that is read again after a
//! crash adds nothing.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use watchfloor_event::Format;

use crate::record::NewRecord;
use crate::source::{Running, SourceHandle};
use taken::Taken;

mod queue;
mod taken;

/// A record of an object.
#[derive(Clone, Debug)]
pub struct CutRecord {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its form.
    pub format: Format,
    /// Header text that it needs.
    pub context: Option<Arc<str>>,
}

/// Takes records; `Break` ends the reading.
pub type TakeRecord<'t> = &'t mut dyn FnMut(CutRecord) -> ControlFlow<()>;

/// Cuts an object into records, unpacking it if need be: reader, name, taker. An error says what
/// could not be read; records before it were handed out. It blocks.
pub type Cutter =
    Arc<dyn Fn(Box<dyn Read + Send>, &str, TakeRecord<'_>) -> Result<(), String> + Send + Sync>;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Start {
    /// With every object there is.
    All,
    /// With objects that were written since an instant.
    Since(Timestamp),
}

/// What to read, and where.
#[derive(Clone)]
pub struct S3Options {
    /// The bucket.
    pub bucket: String,
    /// What the names of objects begin with.
    pub prefix: Option<String>,
    /// What the names of objects end with; all when empty.
    pub suffixes: Vec<String>,
    /// How to reach it: options of the S3 client, such as `endpoint` and `region`. Credentials
    /// that they lack come from the environment.
    pub storage: BTreeMap<String, String>,
    /// How often the bucket is listed; not at all when a queue tells of objects.
    pub poll: Duration,
    /// Address of the SQS-compatible queue that tells of new objects.
    pub queue: Option<String>,
    /// Where to begin.
    pub start: S3Start,
    /// File that remembers which objects are done.
    pub taken: PathBuf,
    /// Cuts objects into records.
    pub cutter: Cutter,
}

/// Why a source cannot be made of options.
#[derive(Debug, thiserror::Error)]
pub enum S3Error {
    /// An option that the S3 client lacks.
    #[error(
        "'{0}' is no option of an S3-compatible store; such are endpoint, region, allow_http, timeout, access_key_id and secret_access_key"
    )]
    Option(String),
    /// The client refuses them.
    #[error("the bucket cannot be used with these options: {0}")]
    Client(String),
}

/// Objects read at the same time.
const OBJECTS_AT_ONCE: usize = 4;
/// Records in one append.
const RECORDS_AT_ONCE: usize = 2_000;
/// Bytes of records in one append.
const BYTES_AT_ONCE: usize = 4 << 20;
/// Objects that are found in one listing and then read; the next listing finds the others.
const FOUND_MAX: usize = 10_000;
/// Wait after something failed.
const RETRY_WAIT: Duration = Duration::from_secs(2);
/// How long one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(60);
/// How a person mends it.
const MEND: &str =
    "check bucket, endpoint, region and credentials of this source; it goes on by itself";

fn key_of(name: &str) -> Option<AmazonS3ConfigKey> {
    let bare = name.strip_prefix("aws_").unwrap_or(name);
    format!("aws_{bare}").parse().or_else(|_| bare.parse()).ok()
}

fn client_of(options: &S3Options) -> Result<AmazonS3, S3Error> {
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(&options.bucket)
        .with_client_options(ClientOptions::new().with_timeout(REQUEST_LIMIT))
        .with_retry(RetryConfig {
            max_retries: 2,
            retry_timeout: Duration::from_secs(10),
            ..RetryConfig::default()
        });
    for (name, value) in &options.storage {
        let key = key_of(name).ok_or_else(|| S3Error::Option(name.clone()))?;
        builder = builder.with_config(key, value);
    }
    builder
        .build()
        .map_err(|error| S3Error::Client(error.to_string()))
}

/// Reads until the handle says stop.
///
/// # Errors
/// If the options cannot be used.
pub fn run(options: S3Options, handle: SourceHandle) -> Result<Running, S3Error> {
    let client = client_of(&options)?;
    let bucket = Bucket {
        client: Arc::new(client),
        options: Arc::new(options),
        handle,
    };
    Ok(Box::pin(async move {
        let stop = bucket.handle.stop().clone();
        let working = async {
            match bucket.options.queue.clone() {
                Some(queue) => queue::run(&bucket, &queue).await,
                None => bucket.poll().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = working => {}
        }
    }))
}

/// Why an object was not read.
enum Failed {
    /// It is not there any more.
    Gone,
    /// It may be read later.
    Later(String),
    /// The program ends.
    Stop,
}

/// The bucket of a source.
#[derive(Clone)]
struct Bucket {
    client: Arc<AmazonS3>,
    options: Arc<S3Options>,
    handle: SourceHandle,
}

impl Bucket {
    /// Lists the bucket again and again.
    async fn poll(&self) {
        let mut taken = Taken::open(self.options.taken.clone(), self.options.start);
        loop {
            match self.round(&mut taken).await {
                // More is there than one round takes.
                Ok(true) => continue,
                Ok(false) => {
                    let place = format!("s3://{}", self.options.bucket);
                    self.handle.connected(place);
                    tokio::time::sleep(self.options.poll).await;
                }
                Err(error) => {
                    self.handle.retrying(error, MEND);
                    tokio::time::sleep(RETRY_WAIT.max(self.options.poll)).await;
                }
            }
        }
    }

    /// Reads what is new; says whether there is more.
    async fn round(&self, taken: &mut Taken) -> Result<bool, String> {
        let prefix = self.options.prefix.as_deref().map(Path::from);
        let mut listed = self.client.list(prefix.as_ref());
        let mut found: Vec<ObjectMeta> = Vec::new();
        let mut newest = None;
        let mut is_more = false;
        while let Some(object) = listed.next().await {
            let object = object.map_err(|error| format!("the bucket cannot be listed: {error}"))?;
            newest = newest.max(Some(object.last_modified.timestamp_micros()));
            if !self.is_wanted(&object.location) || taken.knows(&object) {
                continue;
            }
            if found.len() >= FOUND_MAX {
                is_more = true;
                break;
            }
            found.push(object);
        }
        found.sort_by(|a, b| (a.last_modified, &a.location).cmp(&(b.last_modified, &b.location)));
        let reading = stream::iter(found).map(|object| async move {
            let read = self.read(&object.location, object.e_tag.as_deref()).await;
            (object, read)
        });
        let mut reading = reading.buffer_unordered(OBJECTS_AT_ONCE);
        let mut failed = None;
        while let Some((object, read)) = reading.next().await {
            match read {
                Ok(()) | Err(Failed::Gone) => {
                    if let Err(error) = taken.add(&object) {
                        self.handle.trouble(
                            "position_not_saved",
                            format!("what was read cannot be written down: {error}; make room in the data folder"),
                        );
                    }
                }
                Err(Failed::Later(error)) => failed = Some(error),
                Err(Failed::Stop) => return Ok(false),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => {
                if !is_more && taken.forget_old(newest) {
                    self.handle.trouble(
                        "too_many_objects",
                        "the bucket gets more objects within a day than can be remembered by name; let a queue tell of them (key 'queue')",
                    );
                }
                Ok(is_more)
            }
        }
    }

    /// Folders and objects of other kinds are passed over.
    fn is_wanted(&self, path: &Path) -> bool {
        let suffixes = &self.options.suffixes;
        let path = path.as_ref();
        let is_of_prefix = |prefix: &String| path.starts_with(prefix.trim_start_matches('/'));
        !path.ends_with('/')
            && self.options.prefix.as_ref().is_none_or(is_of_prefix)
            && (suffixes.is_empty() || suffixes.iter().any(|suffix| path.ends_with(suffix)))
    }

    /// Reads one object into the journal.
    async fn read(&self, path: &Path, e_tag: Option<&str>) -> Result<(), Failed> {
        let later = |error: &dyn std::fmt::Display| Failed::Later(format!("{path}: {error}"));
        let got = match self.client.get(path).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => {
                self.handle.trouble(
                    "object_missing",
                    format!("{path} was told of and is not there; it is passed over"),
                );
                return Err(Failed::Gone);
            }
            Err(error) => return Err(later(&error)),
        };
        let version = got.meta.e_tag.clone();
        let version = version
            .or_else(|| e_tag.map(str::to_owned))
            .unwrap_or_default();
        let reader = Bridge {
            stream: got.into_stream(),
            runtime: Handle::current(),
            chunk: Bytes::new(),
        };
        let (output, mut records) = mpsc::channel::<Vec<CutRecord>>(2);
        let cutter = Arc::clone(&self.options.cutter);
        let name = path.filename().unwrap_or_default().to_owned();
        let cutting =
            tokio::task::spawn_blocking(move || cut(&cutter, Box::new(reader), &name, &output));
        let source = Arc::clone(self.handle.records_as());
        let mut number = 0_u64;
        while let Some(part) = records.recv().await {
            let part = part.into_iter().map(|one| {
                number += 1;
                self.record(&source, one, (path, &version, number))
            });
            if !self.handle.append(part.collect()).await {
                return Err(Failed::Stop);
            }
        }
        match cutting.await {
            Ok(Ok(())) => Ok(()),
            // An object that ends in the middle is read again; one that is no file of its kind
            // would be for ever.
            Ok(Err(Cut::Reader(error))) => Err(later(&error)),
            Ok(Err(Cut::Content(error))) => {
                self.handle.dropped(&source, "unreadable", 1);
                self.handle.trouble(
                    "unreadable",
                    format!("{path} cannot be read to its end: {error}; what came before is kept"),
                );
                Ok(())
            }
            Err(error) => Err(later(&error)),
        }
    }

    fn record(
        &self,
        source: &Arc<str>,
        cut: CutRecord,
        (path, version, number): (&Path, &str, u64),
    ) -> NewRecord {
        // A header's names stand behind the product's.
        let context = match (self.handle.context_of(source), cut.context) {
            (Some(product), Some(own)) => Some(Arc::from(format!("{product}{own}"))),
            (product, own) => product.or(own),
        };
        let mut record = self
            .handle
            .record(source, context.as_ref(), cut.format, cut.bytes);
        let digest = Sha256::digest(format!(
            "s3\n{}\n{path}\n{version}\n{number}",
            self.options.bucket
        ));
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        record.idempotency_key = u128::from_le_bytes(key).max(1);
        record
    }
}

/// Why an object was not cut to its end.
enum Cut {
    /// The bytes stopped coming.
    Reader(String),
    /// They are not what they should be.
    Content(String),
}

fn cut(
    cutter: &Cutter,
    reader: Box<dyn Read + Send>,
    name: &str,
    output: &mpsc::Sender<Vec<CutRecord>>,
) -> Result<(), Cut> {
    let failed = Arc::new(std::sync::Mutex::new(None));
    let reader = Watched {
        reader,
        failed: Arc::clone(&failed),
    };
    let (mut part, mut bytes) = (Vec::new(), 0);
    let cut = cutter(Box::new(reader), name, &mut |record| {
        bytes += record.bytes.len();
        part.push(record);
        if part.len() < RECORDS_AT_ONCE && bytes < BYTES_AT_ONCE {
            return ControlFlow::Continue(());
        }
        bytes = 0;
        match output.blocking_send(std::mem::take(&mut part)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    if !part.is_empty() {
        // Nobody listens at the end of the program only.
        let _ = output.blocking_send(part);
    }
    let failed = failed
        .lock()
        .map(|mut error| error.take())
        .unwrap_or_default();
    match (failed, cut) {
        (Some(error), _) => Err(Cut::Reader(error)),
        (None, Err(error)) => Err(Cut::Content(error)),
        (None, Ok(())) => Ok(()),
    }
}

/// Reads what a store gives, on a thread that may wait.
struct Bridge {
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    runtime: Handle,
    chunk: Bytes,
}

impl Read for Bridge {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                None => return Ok(0),
                Some(chunk) => self.chunk = chunk.map_err(std::io::Error::other)?,
            }
        }
        let many = self.chunk.len().min(buffer.len());
        buffer[..many].copy_from_slice(&self.chunk.split_to(many));
        Ok(many)
    }
}

/// Remembers that the store, and not the content, is to blame.
struct Watched {
    reader: Box<dyn Read + Send>,
    failed: Arc<std::sync::Mutex<Option<String>>>,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer).inspect_err(|error| {
            if let Ok(mut failed) = self.failed.lock() {
                *failed = Some(error.to_string());
            }
        })
    }
}
