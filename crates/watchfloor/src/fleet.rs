//! Agents of a running server: who waits for them, what they are given, what becomes of what they
//! bring.

mod desk;
mod files;
mod gateway;
mod handbook;
mod versions;
mod view;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use watchfloor_casework::{Casework, LiveChange};
use watchfloor_fleet::{Authority, FleetListener, FleetSettings, Registry, Session};
use watchfloor_model::{AgentId, AgentState, TenantId};
use watchfloor_pipeline::Pipeline;

pub(crate) use gateway::Gateway;

use desk::FleetDesk;
use handbook::Handbook;
use versions::Versions;

/// How often what was heard of agents is written down.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// Folder of the fleet in the data folder.
pub(crate) const FOLDER: &str = "fleet";

/// `[fleet]` of the configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FleetConfig {
    /// Address for agents; `off` for none [default: port 6517 of the address for HTTP].
    pub listen: Option<String>,
    /// Name or address under which agents reach it, with its port, for the line that enrols
    /// [default: the host that the console was asked under].
    pub public: Option<String>,
    /// Seconds between heartbeats.
    pub heartbeat_s: Option<u32>,
    /// Seconds for which an agent may say nothing of an action that it was given [default: 140].
    pub silence_s: Option<u32>,
}

/// Where agents are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere.
    Off,
    /// Here, and it is an error if it cannot be.
    At(SocketAddr),
    /// Here, if the port is free.
    Perhaps(SocketAddr),
}

impl FleetConfig {
    /// Where agents are waited for, beside an address for HTTP.
    pub(crate) fn place(&self, listen: SocketAddr) -> Result<Place> {
        match self.listen.as_deref() {
            Some("off") => Ok(Place::Off),
            Some(text) => {
                let address = text.parse().map_err(|_| {
                    anyhow!("fleet.listen: '{text}' is not of the form 0.0.0.0:6517, nor 'off'")
                })?;
                Ok(Place::At(address))
            }
            // Where HTTP takes any free port, so do agents.
            None => Ok(Place::Perhaps(SocketAddr::new(
                listen.ip(),
                match listen.port() {
                    0 => 0,
                    _ => watchfloor_link::PORT,
                },
            ))),
        }
    }

    fn silence(&self) -> Result<u32> {
        match self.silence_s.unwrap_or(gateway::SILENCE_S) {
            silence @ 1..=600 => Ok(silence),
            _ => bail!("fleet.silence_s must be 1 to 600"),
        }
    }

    fn settings(&self) -> Result<FleetSettings> {
        let heartbeat_s = self
            .heartbeat_s
            .unwrap_or(FleetSettings::STANDARD.heartbeat_s);
        if !(1..=3_600).contains(&heartbeat_s) {
            bail!("fleet.heartbeat_s must be 1 to 3600");
        }
        Ok(FleetSettings {
            heartbeat_s,
            ..FleetSettings::STANDARD
        })
    }
}

/// The fleet of a running server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    casework: Casework,
    registry: Registry,
    authority: Authority,
    handbook: Handbook,
    versions: Versions,
    collected: PathBuf,
    public: Option<String>,
    heartbeat_s: u32,
    silence_s: u32,
    /// Where it listens, or why it does not.
    door: Mutex<Result<SocketAddr, String>>,
    refusals: Mutex<view::Refusals>,
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").finish_non_exhaustive()
    }
}

impl Fleet {
    /// Opens the fleet of a data folder; nobody is waited for yet.
    pub(crate) fn open(
        folder: &std::path::Path,
        config: &FleetConfig,
        casework: &Casework,
    ) -> Result<Self> {
        let folder = folder.join(FOLDER);
        let authority = Authority::open(&folder, Timestamp::now())
            .context("the authority of the fleet cannot be opened")?;
        let settings = config.settings()?;
        Ok(Self(Arc::new(Inner {
            casework: casework.clone(),
            registry: Registry::default(),
            authority,
            handbook: Handbook::read()?,
            versions: Versions::open(&folder.join("versions")),
            collected: folder.join("collected"),
            public: config.public.clone(),
            heartbeat_s: settings.heartbeat_s,
            silence_s: config.silence()?,
            door: Mutex::new(Err(
                "agents are not waited for; set [fleet] listen".to_owned()
            )),
            refusals: Mutex::default(),
        })))
    }

    /// Waits for agents and looks after what is heard of them.
    pub(crate) async fn start(
        &self,
        place: Place,
        pipeline: &Arc<Pipeline>,
        stop: &CancellationToken,
    ) -> Result<Vec<tokio::task::JoinHandle<()>>> {
        let Some(socket) = self.bind(place).await? else {
            return Ok(Vec::new());
        };
        let desk = Arc::new(FleetDesk::new(self.clone(), Arc::clone(pipeline)));
        let settings = FleetSettings {
            heartbeat_s: self.0.heartbeat_s,
            ..FleetSettings::STANDARD
        };
        let registry = self.0.registry.clone();
        let listener = FleetListener::new(socket, &self.0.authority, desk, registry, settings)
            .context("agents cannot be waited for")?;
        Ok(vec![
            tokio::spawn(listener.run(stop.clone())),
            tokio::spawn(self.clone().keep_states(stop.clone())),
            tokio::spawn(self.clone().follow_changes(stop.clone())),
        ])
    }

    async fn bind(&self, place: Place) -> Result<Option<TcpListener>> {
        let (address, must) = match place {
            Place::Off => return Ok(None),
            Place::At(address) => (address, true),
            Place::Perhaps(address) => (address, false),
        };
        let bound = match TcpListener::bind(address).await {
            Ok(socket) => socket.local_addr().map(|address| (socket, address)),
            Err(error) => Err(error),
        };
        match bound {
            Ok((socket, address)) => {
                self.set_door(Ok(address));
                Ok(Some(socket))
            }
            Err(error) if must => Err(error).with_context(|| {
                format!(
                    "agents cannot be waited for on {address}; choose another with [fleet] listen"
                )
            }),
            Err(error) => {
                let words = format!(
                    "agents are not waited for: {address}: {error}; choose an address with [fleet] listen"
                );
                tracing::warn!("{words}");
                self.set_door(Err(words));
                Ok(None)
            }
        }
    }

    fn set_door(&self, door: Result<SocketAddr, String>) {
        *self.0.door.lock().unwrap_or_else(PoisonError::into_inner) = door;
    }

    fn door(&self) -> Result<SocketAddr, String> {
        self.0
            .door
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where agents on this machine find it.
    fn local_door(&self) -> Option<SocketAddr> {
        let door = self.door().ok()?;
        match door.ip().is_unspecified() {
            true => Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), door.port())),
            false => Some(door),
        }
    }

    /// Writes down what was heard of agents, until the end and once more then.
    async fn keep_states(self, stop: CancellationToken) {
        loop {
            let is_over = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(SAVE_EVERY) => false,
            };
            self.save_states().await;
            if is_over {
                return;
            }
        }
    }

    async fn save_states(&self) {
        let changed = self.0.registry.changed();
        let mut tenants: Vec<&str> = changed.iter().map(|one| one.who.tenant.as_str()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        for tenant in tenants {
            let Ok(id) = TenantId::new(tenant) else {
                continue;
            };
            let of_tenant = changed.iter().filter(|one| one.who.tenant == tenant);
            let states = of_tenant
                .filter_map(|one| Some((AgentId::new(&one.who.agent).ok()?, state_of(one))))
                .collect();
            if let Err(error) = self.0.casework.save_agent_states(&id, states).await {
                tracing::warn!(%error, "what was heard of agents cannot be written down");
                self.0.registry.mark_changed(&changed);
                return;
            }
        }
    }

    /// Does at once what was changed in the records: other policies, certificates taken back.
    async fn follow_changes(self, stop: CancellationToken) {
        let mut changes = self.0.casework.watch();
        loop {
            let change = tokio::select! {
                () = stop.cancelled() => return,
                change = changes.recv() => change,
            };
            match change {
                Ok(LiveChange::Fleet(tenant, notice)) => match notice.action {
                    "group.change" => self.push_group(&tenant, &notice.target).await,
                    "agent.revoke" => self.with_session(&tenant, &notice.target, Session::hang_up),
                    "agent.clear" => {
                        self.with_session(&tenant, &notice.target, Session::clear_doubts);
                    }
                    "agent.move" => self.push_agent(&tenant, &notice.target).await,
                    _ => {}
                },
                Ok(_) => {}
                // What was missed: every agent is looked at when it comes again.
                Err(RecvError::Lagged(_)) => {
                    for session in self.0.registry.all() {
                        session.hang_up();
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn with_session(&self, tenant: &TenantId, agent: &str, act: impl FnOnce(&Session)) {
        if let Some(session) = self.0.registry.get(tenant.as_str(), agent) {
            act(&session);
        }
    }

    /// Gives the agents of a group its policy, and the version that they are to run.
    async fn push_group(&self, tenant: &TenantId, group: &str) {
        let Ok(id) = group.parse() else { return };
        let found = self.0.casework.agent_group_of(tenant, &id).await;
        let page = found.map_err(anyhow::Error::from).and_then(|group| {
            let page = self.0.handbook.page(tenant, &group)?;
            Ok((group, page))
        });
        let (found, page) = match page {
            Ok(found) => found,
            Err(error) => {
                return tracing::warn!(error = &*error, group, "a policy cannot be handed out");
            }
        };
        for session in self.0.registry.all() {
            if session.who.tenant != tenant.as_str() || session.group() != group {
                continue;
            }
            session.follow(group, page.records_per_second, &page.frame);
            let wanted = found.agent_version.as_deref();
            let offer = self.0.versions.offer(
                &self.0.authority,
                &session.version,
                &session.identity,
                wanted,
            );
            if let Some(frame) = offer {
                session.send(&frame);
            }
        }
    }

    /// Gives an agent the policy of the group that it was moved to.
    async fn push_agent(&self, tenant: &TenantId, agent: &str) {
        let Some(session) = self.0.registry.get(tenant.as_str(), agent) else {
            return;
        };
        let Ok(id) = agent.parse::<AgentId>() else {
            return;
        };
        let machine = session.identity.machine.clone();
        let found = self.0.casework.admit_agent(tenant, &id, &machine).await;
        let page = found
            .map_err(anyhow::Error::from)
            .and_then(|(_, group)| Ok((self.0.handbook.page(tenant, &group)?, group)));
        match page {
            Ok((page, group)) => {
                session.follow(group.id.as_str(), page.records_per_second, &page.frame);
            }
            Err(error) => tracing::warn!(error = &*error, agent, "a policy cannot be handed out"),
        }
    }
}

/// What is written down of a session.
fn state_of(session: &Session) -> AgentState {
    let state = session.state();
    let json = |value: Result<String, serde_json::Error>| value.unwrap_or_default();
    AgentState {
        seen_at: state.seen_at,
        address: session.peer.to_string(),
        agent_version: session.version.clone(),
        policy: state.policy,
        spool: state.mark.0,
        through: state.mark.1,
        host: json(serde_json::to_string(&session.identity)),
        health: state
            .health
            .map_or_else(String::new, |health| json(serde_json::to_string(&health))),
        doubts: state
            .doubts
            .into_iter()
            .map(|(doubt, (since, words))| (doubt, since, words))
            .collect(),
    }
}
