//! What the routes stand on.

use std::sync::Arc;
use std::time::Instant;

use watchfloor_casework::Casework;
use watchfloor_model::{Actor, Role};

use crate::ingest::hec::Channels;
use crate::ports::{
    EventReader, FleetDesk, Intake, LakeKeeper, PipelineStatus, QueryLimits, RuleDesk,
};

/// Which `Host` headers are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// Only names of this machine's loopback interface, which stops DNS rebinding.
    Loopback,
    /// Only these names (without port), and those of loopback.
    Names(Vec<String>),
    /// All: a proxy in front checks.
    Any,
}

/// Whether the session cookie may travel without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CookieTransport {
    /// Plain HTTP, for loopback.
    Plain,
    /// TLS only.
    TlsOnly,
}

/// What an installation may choose.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Which `Host` headers are answered.
    pub hosts: HostPolicy,
    /// Whether the session cookie may travel without TLS.
    pub cookie: CookieTransport,
    /// Version of the program, as `/status` shows it.
    pub version: String,
    /// What a query of each role may use.
    pub limits: RoleLimits,
}

/// What a query may use, by the role of who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleLimits {
    /// Viewers, and tokens that read.
    pub viewer: QueryLimits,
    /// Analysts, and tokens that write.
    pub analyst: QueryLimits,
    /// Leads.
    pub lead: QueryLimits,
    /// Admins, and the program itself.
    pub admin: QueryLimits,
}

impl RoleLimits {
    /// The same for all.
    pub const STANDARD: Self = Self {
        viewer: QueryLimits::STANDARD,
        analyst: QueryLimits::STANDARD,
        lead: QueryLimits::STANDARD,
        admin: QueryLimits::STANDARD,
    };

    /// Those of the highest role whose rights an actor has.
    pub fn of(&self, actor: &Actor) -> QueryLimits {
        match actor.role() {
            Role::Viewer => self.viewer,
            Role::Analyst => self.analyst,
            Role::Lead => self.lead,
            Role::Admin => self.admin,
        }
    }
}

/// The parts of the program that the routes stand on.
pub struct ApiParts {
    /// The control plane.
    pub casework: Casework,
    /// Events of the lake.
    pub events: Arc<dyn EventReader>,
    /// How the data plane stands.
    pub pipeline: Arc<dyn PipelineStatus>,
    /// The journal.
    pub intake: Arc<dyn Intake>,
    /// Rules in force.
    pub rules: Arc<dyn RuleDesk>,
    /// The lake's keeper.
    pub keeper: Arc<dyn LakeKeeper>,
    /// Agents.
    pub fleet: Arc<dyn FleetDesk>,
}

/// What the routes stand on. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    inner: Arc<Inner>,
}

struct Inner {
    parts: ApiParts,
    settings: ApiSettings,
    channels: Channels,
    started: Instant,
}

impl ApiState {
    /// Brings the parts together.
    pub fn new(parts: ApiParts, settings: ApiSettings) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                settings,
                channels: Channels::default(),
                started: Instant::now(),
            }),
        }
    }

    pub(crate) fn casework(&self) -> &Casework {
        &self.inner.parts.casework
    }

    pub(crate) fn events(&self) -> &dyn EventReader {
        &*self.inner.parts.events
    }

    pub(crate) fn pipeline(&self) -> &dyn PipelineStatus {
        &*self.inner.parts.pipeline
    }

    pub(crate) fn intake(&self) -> &dyn Intake {
        &*self.inner.parts.intake
    }

    pub(crate) fn channels(&self) -> &Channels {
        &self.inner.channels
    }

    pub(crate) fn rules(&self) -> &dyn RuleDesk {
        &*self.inner.parts.rules
    }

    pub(crate) fn keeper(&self) -> &dyn LakeKeeper {
        &*self.inner.parts.keeper
    }

    pub(crate) fn fleet(&self) -> &dyn FleetDesk {
        &*self.inner.parts.fleet
    }

    pub(crate) fn settings(&self) -> &ApiSettings {
        &self.inner.settings
    }

    pub(crate) fn uptime_s(&self) -> u64 {
        self.inner.started.elapsed().as_secs()
    }
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState")
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
