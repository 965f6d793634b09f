//! The running server: planes, listeners, and their end.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use watchfloor_api::ports::Listener;
use watchfloor_api::{ApiParts, ApiSettings, ApiState, CookieTransport, HostPolicy};
use watchfloor_casework::{Casework, CaseworkSettings, Store, SystemClock};
use watchfloor_enrich::Context;
use watchfloor_ingest::{DropSink, JournalOptions, LocalListener, NatsJournal};
use watchfloor_lake::{Cluster, ClusterOptions, Places};
use watchfloor_pipeline::{JournalChoice, Pipeline, PipelineOptions, Routes};

use crate::bridge::{
    CaseworkSink, DataPlane, JournalIntake, Keeper, KeeperSettings, LakeEvents, LakeLookup, Queries,
};
use crate::command;
use crate::config::{ClusterConfig, Config};
use crate::data_folder::DataFolder;
use crate::enrichment::Enrichment;
use crate::escalations;
use crate::file_watch::FileWatch;
use crate::fleet::{Fleet, Place};
use crate::indicators::{self, Shelf};
use crate::packs::Packs;
use crate::places::{self, Wanted};
use crate::records;
use crate::response;
use crate::roles::{self, Roles};
use crate::routing;
use crate::rules::{self, Budget, Desk};
use crate::searches;
use crate::sources::{self, SourcesConfig};

/// How long the end waits for the journal to be worked off; what is left is worked off at the
/// next start.
const END_LIMIT: Duration = Duration::from_secs(5);

/// A server that listens.
pub(crate) struct Server {
    pub url: String,
    pub pipeline: Arc<Pipeline>,
    pub casework: Casework,
    http: TcpListener,
    router: axum::Router,
    stop: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    /// Whether tasks give something back when they are told to end.
    ends_with_work: bool,
    _watch: rules::Watch,
    _watches: (indicators::Watch, FileWatch, FileWatch),
    _folder: DataFolder,
}

/// Bytes of files that make another worker worth its while, unless told otherwise.
const BYTES_PER_WORKER: usize = 32 << 20;

/// What both planes are started with.
pub(crate) struct PlanesOptions<'o> {
    pub data: &'o Path,
    pub store: Store,
    pub rules: &'o rules::Sources,
    pub mappings: &'o [std::path::PathBuf],
    pub indicators: &'o [std::path::PathBuf],
    pub budget: Budget,
    pub commit_wait: Duration,
    pub lake: Places,
    pub cluster: Option<Arc<Cluster>>,
    /// What events are enriched from.
    pub context: Arc<Context>,
    /// What is left out, masked or forwarded.
    pub routes: Routes,
    pub journal: JournalChoice,
}

/// Both planes over a data folder, without listeners.
pub(crate) struct Planes {
    pub pipeline: Arc<Pipeline>,
    pub casework: Casework,
    pub rules: Desk,
    pub indicators: Shelf,
    pub packs: Packs,
}

impl Planes {
    /// Opens everything in the folder and starts to work.
    pub(crate) async fn start(options: PlanesOptions<'_>) -> Result<Self> {
        let PlanesOptions {
            data,
            store,
            rules,
            mappings,
            indicators,
            budget,
            commit_wait,
            lake,
            cluster,
            context,
            routes,
            journal,
        } = options;
        let casework = Casework::new(store, CaseworkSettings::standard(), Arc::new(SystemClock));
        let (opened, set) = rules::open(data, rules)?;
        let (packs, set_of_packs) = Packs::open(data, mappings)?;
        let (shelf, indicators) = Shelf::open(data, indicators)?;
        let options = PipelineOptions {
            data: data.to_owned(),
            lake,
            cluster,
            journal,
            commit_wait,
            indicators,
            context,
            routes,
        };
        let sink = Arc::new(CaseworkSink(casework.clone()));
        let lookup = Arc::new(LakeLookup::default());
        casework
            .look_events_up_with(Arc::clone(&lookup) as Arc<dyn watchfloor_casework::EventLookup>);
        let pipeline = Pipeline::start(options, set_of_packs, set, sink)
            .await
            .context("the data plane cannot start")?;
        let pipeline = Arc::new(pipeline);
        lookup.set(Arc::clone(pipeline.lake()));
        let desk = Desk::new(
            data,
            opened,
            budget,
            Arc::clone(&pipeline),
            casework.clone(),
        );
        desk.keep_texts().await?;
        Ok(Self {
            pipeline,
            casework,
            rules: desk,
            indicators: shelf,
            packs,
        })
    }
}

impl Server {
    /// Takes the sockets and the data folder, and starts everything but HTTP answers.
    pub(crate) async fn start(config: &Config) -> Result<Self> {
        let folder = DataFolder::take(&config.data)?;
        let roles = config.roles;
        let nats = config.journal.connect(roles).await?;
        let http = bind(config.listen).await?;
        let address = http.local_addr().context("no listening address")?;
        let stop = CancellationToken::new();
        let (enrichment, context) = Enrichment::open(&config.enrich);
        let Planes {
            pipeline,
            casework,
            rules,
            indicators,
            packs,
        } = planes(config, &folder.path, nats.clone(), (context, &stop)).await?;
        let listeners = vec![listener("http", address)];
        let on_drop = drop_sink(&pipeline);
        let (wanted, syslog) = collected(config);
        let place = (&pipeline, &casework, &*folder.path);
        let started = sources::start(&wanted, syslog, place, on_drop, &stop).await?;
        let mut tasks = started.tasks;
        tasks.push(start_local(&folder.path, &pipeline, &stop)?);
        let queries = Queries::start().context("no threads for queries")?;
        let lake = Arc::clone(pipeline.lake());
        let keeper = start_keeper(config, &pipeline, &casework, &stop)?;
        if let Some(nats) = &nats {
            tasks.extend(start_cluster(&folder.path, &pipeline, nats, roles, &stop)?);
        }
        let fleet = Fleet::open(&folder.path, &config.fleet, &casework)?;
        let parts = ApiParts {
            casework: casework.clone(),
            events: Arc::new(LakeEvents::new(Arc::clone(&lake), Arc::clone(&queries))),
            pipeline: Arc::new(DataPlane::new(
                Arc::clone(&pipeline),
                rules.clone(),
                (indicators.clone(), enrichment.clone(), packs.clone()),
                (listeners, started.states, started.quiet),
                queries,
            )),
            intake: Arc::new(JournalIntake::new(Arc::clone(&pipeline), started.products)),
            rules: Arc::new(rules.clone()),
            keeper: Arc::new(keeper.clone()),
            fleet: Arc::new(fleet.clone()),
        };
        let state = ApiState::new(parts, api_settings(config));
        let watches = (
            indicators.watch(Arc::clone(&pipeline))?,
            enrichment.watch(Arc::clone(&pipeline))?,
            packs.watch(Arc::clone(&pipeline))?,
        );
        if roles.console {
            let place = config.fleet.place(config.listen)?;
            let planes = (&pipeline, &casework);
            tasks.extend(start_control(planes, &folder, (fleet, place), &stop).await?);
        }
        Ok(Self {
            url: format!("http://{address}"),
            router: router_of(state, roles),
            ends_with_work: nats.is_some(),
            pipeline,
            casework,
            http,
            stop,
            tasks,
            _watch: rules.watch()?,
            _watches: watches,
            _folder: folder,
        })
    }

    /// The link with which the first user sets a name and a password; `None` once there is one.
    pub(crate) async fn setup_link(&self) -> Result<Option<String>> {
        let token = self
            .casework
            .setup_link_token()
            .await
            .context("the set-up link cannot be made")?;
        Ok(token.map(|token| format!("{}/setup#token={token}", self.url)))
    }

    /// Says that it is ready and answers until the process is told to end.
    pub(crate) async fn serve(self) -> Result<()> {
        if let Some(link) = self.setup_link().await? {
            eprintln!("first visit: open {link} to set a name and a password (works once)");
        }
        println!("ready {}", self.url);
        let service = self
            .router
            .into_make_service_with_connect_info::<SocketAddr>();
        let stop = self.stop.clone();
        let answering = tokio::spawn(async move {
            axum::serve(self.http, service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await
        });
        told_to_end().await;
        self.stop.cancel();
        // Open live streams would hold the answering side up for ever.
        let answered = tokio::time::timeout(Duration::from_secs(1), answering).await;
        if let Ok(Ok(Err(error))) = answered {
            bail!("HTTP answers ended: {error}");
        }
        if self.ends_with_work {
            // Partitions are given back, so that others need not wait for them.
            let end = tokio::time::Instant::now() + 2 * END_LIMIT;
            for mut task in self.tasks {
                if tokio::time::timeout_at(end, &mut task).await.is_err() {
                    task.abort();
                }
            }
        } else {
            for task in self.tasks {
                task.abort();
            }
            self.pipeline.settle(END_LIMIT).await;
        }
        self.pipeline.liveness().save();
        Ok(())
    }
}

/// Starts what goes round in the process that has the console.
async fn start_control(
    (pipeline, casework): (&Arc<Pipeline>, &Casework),
    folder: &DataFolder,
    (fleet, place): (Fleet, Place),
    stop: &CancellationToken,
) -> Result<Vec<tokio::task::JoinHandle<()>>> {
    let mut tasks = fleet.start(place, pipeline, stop).await?;
    tasks.push(response::start(casework, pipeline, folder, fleet, stop)?);
    let lake = Arc::clone(pipeline.lake());
    let asking = searches::ask_when_due(casework.clone(), lake, stop.clone());
    tasks.push(tokio::spawn(asking));
    let rounds = escalations::go_round(casework.clone(), stop.clone());
    tasks.push(tokio::spawn(rounds));
    Ok(tasks)
}

/// The sources that this process takes records from.
fn collected(config: &Config) -> (SourcesConfig, Option<SocketAddr>) {
    match config.roles.collect {
        true => (config.sources.clone(), config.syslog),
        false => (SourcesConfig::default(), None),
    }
}

fn router_of(state: ApiState, roles: Roles) -> axum::Router {
    let router = watchfloor_api::router(state);
    match roles.answers() {
        true => router,
        false => router.layer(axum::middleware::from_fn(only_records)),
    }
}

/// Starts the lake's keeper.
fn start_keeper(
    config: &Config,
    pipeline: &Arc<Pipeline>,
    casework: &Casework,
    stop: &CancellationToken,
) -> Result<Keeper> {
    let settings = KeeperSettings {
        folder: KeeperSettings::folder_of(&places::of_data(&config.data)?.hot),
        cold_after_days: config.lake.cold_after_days,
        price_per_gb_month: config.lake.price_per_gb_month,
    };
    let keeper = Keeper::new(Arc::clone(pipeline), casework.clone(), settings);
    if config.roles.console {
        tokio::spawn(keeper.clone().run(stop.clone()));
    }
    Ok(keeper)
}

/// The machines that the configuration names.
fn cluster(config: &ClusterConfig) -> Result<Option<Arc<Cluster>>> {
    if config.workers.is_empty() {
        return Ok(None);
    }
    let urls = config.workers.iter().map(|worker| {
        let url = worker.parse::<url::Url>().ok();
        let url = url.filter(|url| url.scheme() == "https" && url.host_str().is_some());
        url.with_context(|| {
            format!("cluster.workers: '{worker}' is not of the form https://host:7443")
        })
    });
    let options = ClusterOptions {
        workers: urls.collect::<Result<_>>()?,
        identity: command::cluster::identity(config)?,
        bytes_per_worker: config.bytes_per_worker.unwrap_or(BYTES_PER_WORKER),
        shares_folders: config.shares_folders,
    };
    Ok(Some(Arc::new(Cluster::new(options)?)))
}

/// What runs in a process of a cluster only.
fn start_cluster(
    data: &Path,
    pipeline: &Arc<Pipeline>,
    nats: &NatsJournal,
    roles: Roles,
    stop: &CancellationToken,
) -> Result<Vec<tokio::task::JoinHandle<()>>> {
    let node = roles::node(data)?;
    let mut tasks = vec![tokio::spawn(roles::keep_ledger(
        Arc::clone(pipeline),
        nats.clone(),
        node.clone(),
        roles,
        stop.clone(),
    ))];
    if roles.detect {
        tasks.push(tokio::spawn(roles::work(
            Arc::clone(pipeline),
            nats.clone(),
            node,
            stop.clone(),
        )));
    }
    Ok(tasks)
}

/// A process without console and search takes records, and says how it is.
async fn only_records(
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> axum::response::Response {
    let path = request.uri().path();
    let is_open = [
        "/ingest",
        "/services/",
        "/v1/",
        "/loki/",
        "/healthz",
        "/metrics",
    ]
    .iter()
    .any(|start| path.starts_with(start));
    if is_open {
        return next.run(request).await;
    }
    let mut refused = axum::response::Response::new(axum::body::Body::from(
        "this process takes records only; ask one with the role console or search\n",
    ));
    *refused.status_mut() = axum::http::StatusCode::NOT_FOUND;
    refused
}

async fn planes(
    config: &Config,
    data: &Path,
    nats: Option<NatsJournal>,
    (context, stop): (Arc<Context>, &CancellationToken),
) -> Result<Planes> {
    // A collector knows the journal alone; the lake in its data folder stays empty.
    let lake = match config.roles.uses_lake() {
        true => places::settle(data, &config.lake)?,
        false => places::settle(data, &Wanted::default())?,
    };
    Planes::start(PlanesOptions {
        data,
        store: records::settle(data, &config.store).await?,
        rules: &config.rules,
        mappings: &config.mappings,
        indicators: &config.indicators,
        budget: config.budget,
        commit_wait: config.commit_wait,
        lake,
        cluster: cluster(&config.cluster)?,
        context,
        routes: routing::start(data, &config.routes, &config.forward, stop)?,
        journal: match nats {
            Some(nats) => JournalChoice::Nats(nats),
            None => JournalChoice::Embedded(JournalOptions::standard()),
        },
    })
    .await
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!(
                "port {} on {} is in use; stop the other program, or choose another with --listen {}:0",
                address.port(),
                address.ip(),
                address.ip()
            )
        }
        Err(error) => Err(error).with_context(|| {
            format!("cannot listen on {address}; choose another address with --listen")
        }),
    }
}

/// Counts drops in the ledger.
fn drop_sink(pipeline: &Arc<Pipeline>) -> DropSink {
    let ledger = Arc::clone(pipeline.ledger());
    Arc::new(move |source, reason, count| ledger.drop_records(source, reason, count))
}

/// As [`drop_sink`], for senders that are told when the count is written.
fn written_drop_sink(pipeline: &Arc<Pipeline>) -> DropSink {
    let ledger = Arc::clone(pipeline.ledger());
    Arc::new(move |source, reason, count| {
        ledger.drop_records(source, reason, count);
        ledger.flush();
    })
}

fn start_local(
    folder: &Path,
    pipeline: &Arc<Pipeline>,
    stop: &CancellationToken,
) -> Result<tokio::task::JoinHandle<()>> {
    let local =
        LocalListener::bind(folder).context("the socket for local senders cannot be made")?;
    Ok(tokio::spawn(local.run(
        pipeline.journal().clone(),
        written_drop_sink(pipeline),
        stop.clone(),
    )))
}

fn listener(kind: &str, address: SocketAddr) -> Listener {
    Listener {
        kind: kind.to_owned(),
        address: address.to_string(),
    }
}

fn api_settings(config: &Config) -> ApiSettings {
    ApiSettings {
        hosts: host_policy(config),
        cookie: CookieTransport::Plain,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        limits: config.limits,
    }
}

fn host_policy(config: &Config) -> HostPolicy {
    if config.host_names.is_empty() && config.listen.ip().is_loopback() {
        HostPolicy::Loopback
    } else if config.host_names.is_empty() {
        HostPolicy::Any
    } else {
        HostPolicy::Names(config.host_names.clone())
    }
}

pub(crate) async fn told_to_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
