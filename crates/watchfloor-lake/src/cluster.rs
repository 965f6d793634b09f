//! Queries on several machines. The engine is DataFusion Distributed: parts of a plan go to
//! workers, which read the same files and send on what they found. The table's version is handed
//! over as the list of files in the plan, so workers need no log and no scheduler.
//!
//! Nodes know each other by certificates of one authority (mutual TLS). A worker that dies costs
//! a query another try, on those that are left or here.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_distributed::grpc::{BoxCloneSyncChannel, create_worker_client};
use datafusion_distributed::{
    ChannelResolver, DistributedExt, SessionStateBuilderExt, Worker, WorkerChannel,
    WorkerQueryContext, WorkerResolver, WorkerSessionBuilder,
};
use futures::future::join_all;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{
    Certificate, Channel, ClientTlsConfig, Endpoint, Identity, Server, ServerTlsConfig,
};
use url::Url;

use crate::functions;
use crate::pipe::PipeError;
use crate::place::{Place, Tier};
use crate::progress::Run;
use crate::table::Lake;

/// How long a worker may take to answer a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a worker with work is asked whether it is alive, and how long it may take to answer.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a worker that failed is left out.
const LEFT_OUT: Duration = Duration::from_secs(15);
/// The header that names the places of the lake.
const PLACES: HeaderName = HeaderName::from_static("x-watchfloor-places");
/// Longest such header that is read, in bytes.
const PLACES_MAX: usize = 64 * 1024;
/// Failures after which a query stays on this machine.
const MAX_FAILURES: u64 = 3;
/// Partitions of a plan on one node.
const PARTITIONS: usize = 2;

/// Who a node is, and whom it trusts; all in PEM.
#[derive(Clone)]
pub struct NodeIdentity {
    /// The certificate of the cluster's authority.
    pub authority: String,
    /// The node's own certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl fmt::Debug for NodeIdentity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("NodeIdentity")
    }
}

/// Which machines help with queries.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Workers, as `https://host:port`; the host stands in their certificates.
    pub workers: Vec<Url>,
    /// Who this node is.
    pub identity: NodeIdentity,
    /// Bytes of files that make another worker worth its while.
    pub bytes_per_worker: usize,
    /// Whether workers see the lake's folders under the same paths; buckets they always see.
    pub shares_folders: bool,
}

/// Why a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Certificates or addresses do not do.
    #[error("the cluster's certificates or addresses cannot be used")]
    Transport(#[from] tonic::transport::Error),
    /// No address.
    #[error("the worker cannot listen")]
    Listen(#[source] std::io::Error),
    /// The engine.
    #[error("the worker's engine cannot start")]
    Engine(#[source] Box<DataFusionError>),
}

/// The machines that help with queries.
#[derive(Debug)]
pub struct Cluster {
    workers: Vec<Url>,
    tls: ClientTlsConfig,
    bytes_per_worker: usize,
    shares_folders: bool,
    known: Mutex<Known>,
    failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    channels: HashMap<Url, Channel>,
    /// Workers that failed, and when.
    failed: HashMap<Url, Instant>,
}

impl Cluster {
    /// Takes the workers up; none needs to run yet.
    ///
    /// # Errors
    /// If the certificates cannot be used.
    pub fn new(options: ClusterOptions) -> Result<Self, ClusterError> {
        choose_cryptography();
        let identity = &options.identity;
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&identity.authority))
            .identity(Identity::from_pem(&identity.certificate, &identity.key));
        let cluster = Self {
            workers: options.workers,
            tls,
            bytes_per_worker: options.bytes_per_worker,
            shares_folders: options.shares_folders,
            known: Mutex::default(),
            failures: AtomicU64::new(0),
        };
        for worker in &cluster.workers {
            cluster.endpoint(worker)?;
        }
        Ok(cluster)
    }

    fn endpoint(&self, worker: &Url) -> Result<Endpoint, tonic::transport::Error> {
        Channel::from_shared(worker.to_string())
            .map(|endpoint| {
                endpoint
                    .connect_timeout(CONNECT_TIMEOUT)
                    .http2_keep_alive_interval(KEEP_ALIVE)
                    .keep_alive_timeout(KEEP_ALIVE)
            })
            .unwrap_or_else(|_| Endpoint::from_static("https://invalid"))
            .tls_config(self.tls.clone())
    }

    /// How often the cluster could not answer a query, which then ran again.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Workers that did not fail lately.
    fn usable(&self) -> Vec<Url> {
        let known = self.known();
        let is_usable = |worker: &&Url| {
            let failed = known.failed.get(*worker);
            failed.is_none_or(|at| at.elapsed() > LEFT_OUT)
        };
        self.workers.iter().filter(is_usable).cloned().collect()
    }

    /// Whether workers can read what a query reads.
    pub(crate) fn reaches(&self, tiers: &[Tier]) -> bool {
        let is_bucket = |tier: &Tier| matches!(tier.place, Place::Bucket { .. });
        self.shares_folders || tiers.iter().all(is_bucket)
    }

    async fn channel(&self, worker: &Url) -> Result<Channel, DataFusionError> {
        if let Some(channel) = self.known().channels.get(worker) {
            return Ok(channel.clone());
        }
        let external = |error: tonic::transport::Error| DataFusionError::External(Box::new(error));
        let endpoint = self.endpoint(worker).map_err(external)?;
        // A machine that hangs takes connections and says nothing.
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, endpoint.connect()).await;
        let connected = connected.map_err(|elapsed| DataFusionError::External(elapsed.into()))?;
        let channel = connected.map_err(external)?;
        let mut known = self.known();
        known.channels.insert(worker.clone(), channel.clone());
        known.failed.remove(worker);
        Ok(channel)
    }

    /// Asks every worker whether it is there, after a query failed; whether one is found to be
    /// gone that was not known to be.
    pub(crate) async fn notice_failures(&self) -> bool {
        let before = self.usable();
        self.known().channels.clear();
        let asked = before.iter().map(|worker| self.channel(worker));
        let gone: Vec<&Url> = join_all(asked)
            .await
            .into_iter()
            .zip(&before)
            .filter_map(|(answer, worker)| answer.is_err().then_some(worker))
            .collect();
        for worker in &gone {
            tracing::warn!(%worker, "a worker of the cluster does not answer; queries go on without it");
            self.known()
                .failed
                .insert((*worker).clone(), Instant::now());
        }
        !gone.is_empty()
    }
}

impl Lake {
    /// Whether a query that failed is to be tried again: without the workers that are gone, or
    /// without any, or without the files that cannot be read.
    pub(crate) async fn tries_again(&self, error: &PipeError, run: &Run) -> bool {
        if run.progress.is_too_much_to_share() {
            run.progress.stay_here();
            return true;
        }
        if matches!(error, PipeError::Query(_) | PipeError::Limited(..)) {
            return false;
        }
        if let Some(cluster) = self.helpers(run) {
            cluster.failures.fetch_add(1, Ordering::Relaxed);
            let has_news = cluster.notice_failures().await;
            if !has_news || run.progress.failed() >= MAX_FAILURES {
                tracing::warn!(%error, "the cluster could not answer a query; it runs on this machine");
                run.progress.stay_here();
            }
            return true;
        }
        match error {
            PipeError::Read(error) => self.note_broken(error).await,
            _ => false,
        }
    }
}

/// Dependencies bring two implementations of TLS's cryptography; one has to be chosen.
fn choose_cryptography() {
    // An error says that the choice is made already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The cluster as the engine asks for it.
#[derive(Clone)]
struct Nodes(Arc<Cluster>);

impl WorkerResolver for Nodes {
    fn get_urls(&self) -> Result<Vec<Url>, DataFusionError> {
        Ok(self.0.usable())
    }
}

#[async_trait::async_trait]
impl ChannelResolver for Nodes {
    async fn get_worker_client_for_url(
        &self,
        url: &Url,
    ) -> Result<Box<dyn WorkerChannel>, DataFusionError> {
        let channel = self.0.channel(url).await?;
        Ok(create_worker_client(BoxCloneSyncChannel::new(channel)))
    }
}

/// A session of the query engine over some tables, on the cluster if there is one that can help.
pub(crate) fn session(
    runtime: Arc<RuntimeEnv>,
    tiers: &[Tier],
    cluster: Option<&Arc<Cluster>>,
) -> Result<SessionContext, DataFusionError> {
    let config = SessionConfig::new().with_target_partitions(PARTITIONS);
    let helps = |cluster: &&Arc<Cluster>| !cluster.usable().is_empty();
    let Some(cluster) = cluster.filter(helps) else {
        return Ok(SessionContext::new_with_config_rt(config, runtime));
    };
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_distributed_worker_resolver(Nodes(Arc::clone(cluster)))
        .with_distributed_channel_resolver(Nodes(Arc::clone(cluster)))
        .with_distributed_file_scan_config_bytes_per_partition(
            cluster.bytes_per_worker.div_ceil(PARTITIONS).max(1),
        )?
        .with_distributed_passthrough_headers(places_header(tiers))?
        .with_distributed_planner()
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// The places of the lake, without credentials: each worker has its own.
fn places_header(tiers: &[Tier]) -> HeaderMap {
    let places: Vec<_> = tiers.iter().map(|tier| tier.place.described()).collect();
    let text = serde_json::Value::from(places).to_string();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(PLACES, value);
    }
    headers
}

/// Works for other nodes until told to stop.
///
/// # Errors
/// If the certificates cannot be used, or the sockets fail.
pub async fn work(
    listener: TcpListener,
    identity: &NodeIdentity,
    storage: std::collections::BTreeMap<String, String>,
    memory_bytes: usize,
    stop: impl Future<Output = ()>,
) -> Result<(), ClusterError> {
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_limit(memory_bytes, 1.0)
        .build_arc()
        .map_err(|error| ClusterError::Engine(Box::new(error)))?;
    // Workers send to each other as the server does.
    let peers = Cluster::new(ClusterOptions {
        workers: Vec::new(),
        identity: identity.clone(),
        bytes_per_worker: 1,
        shares_folders: false,
    })?;
    let sessions = Sessions {
        runtime: Arc::clone(&runtime),
        peers: Arc::new(peers),
        storage,
        known: Arc::default(),
    };
    let worker = Worker::from_session_builder(sessions).with_runtime_env(runtime);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(&identity.certificate, &identity.key))
        .client_ca_root(Certificate::from_pem(&identity.authority));
    Server::builder()
        .tls_config(tls)?
        .add_service(worker.into_worker_server())
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop)
        .await?;
    Ok(())
}

/// Sessions of a worker: the stores that a query names are taken up when they are first met.
struct Sessions {
    runtime: Arc<RuntimeEnv>,
    peers: Arc<Cluster>,
    storage: std::collections::BTreeMap<String, String>,
    known: Arc<Mutex<Vec<String>>>,
}

impl Sessions {
    fn take_up(&self, headers: &HeaderMap) -> Result<(), DataFusionError> {
        let wrong = |what: &str| DataFusionError::Execution(format!("the lake's places {what}"));
        let header = headers.get(PLACES).ok_or_else(|| wrong("are missing"))?;
        if header.len() > PLACES_MAX {
            return Err(wrong("are too long"));
        }
        let text = header.to_str().map_err(|_| wrong("are no text"))?;
        let places: Vec<serde_json::Value> =
            serde_json::from_str(text).map_err(|_| wrong("are no list"))?;
        for place in places {
            let name = place.to_string();
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.contains(&name) {
                continue;
            }
            let place = Place::of_description(&place, &self.storage);
            let place = place.map_err(|error| DataFusionError::External(Box::new(error)))?;
            let table = place
                .table()
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            let tier = Tier::of(&place, &table);
            self.runtime
                .register_object_store(tier.url.as_ref(), tier.store);
            known.push(name);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl WorkerSessionBuilder for Sessions {
    async fn build_session_state(
        &self,
        context: WorkerQueryContext,
    ) -> Result<SessionState, DataFusionError> {
        self.take_up(&context.headers)?;
        let mut builder = context
            .builder
            .with_default_features()
            .with_runtime_env(Arc::clone(&self.runtime))
            .with_distributed_channel_resolver(Nodes(Arc::clone(&self.peers)));
        let functions = builder.scalar_functions().get_or_insert_default();
        functions.extend(functions::all());
        Ok(builder.build())
    }
}
