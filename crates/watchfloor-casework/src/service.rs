//! The handle to the control plane.

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, broadcast};
use watchfloor_model::{Actor, Alert, Incident, Permission, TenantId};
use watchfloor_store::{Change, Store};

use crate::known_tokens::KnownTokens;
use crate::limiter::SignInLimiter;
use crate::presence::Presence;
use crate::response::Response;
use crate::{CaseworkError, Clock, EventLookup, LiveChange};

/// Changes kept for slow watchers.
const LIVE_CHANGES_MAX: usize = 1_024;

/// Passwords checked at the same time; each takes 19 MiB and some 30 ms of a core.
const PASSWORD_CHECKS_MAX: usize = 2;

/// What an installation may choose.
#[derive(Clone, Debug)]
pub struct CaseworkSettings {
    /// Findings and new users belong to this tenant.
    pub tenant: TenantId,
    /// Findings that repeat within this time raise the count of one alert.
    pub repeat_window: SignedDuration,
    /// Alerts further apart in event time are not tied together.
    pub incident_window: SignedDuration,
    /// An entity in more incidents than this within the window ties nothing.
    pub entity_incidents_max: usize,
}

impl CaseworkSettings {
    /// One tenant, one hour, one day, three incidents.
    pub fn standard() -> Self {
        Self {
            tenant: TenantId::main(),
            repeat_window: SignedDuration::from_hours(1),
            incident_window: SignedDuration::from_hours(24),
            entity_incidents_max: 3,
        }
    }
}

/// The control plane. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Casework {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    settings: CaseworkSettings,
    clock: Arc<dyn Clock>,
    live: broadcast::Sender<LiveChange>,
    limiter: SignInLimiter,
    known_tokens: KnownTokens,
    password_checks: Semaphore,
    event_lookup: OnceLock<Arc<dyn EventLookup>>,
    response: Response,
    presence: Presence,
}

impl Casework {
    /// Builds the control plane over opened records.
    pub fn new(store: Store, settings: CaseworkSettings, clock: Arc<dyn Clock>) -> Self {
        let (live, _) = broadcast::channel(LIVE_CHANGES_MAX);
        Self {
            inner: Arc::new(Inner {
                store,
                settings,
                clock,
                live,
                limiter: SignInLimiter::new(),
                known_tokens: KnownTokens::default(),
                password_checks: Semaphore::new(PASSWORD_CHECKS_MAX),
                event_lookup: OnceLock::new(),
                response: Response::new(),
                presence: Presence::default(),
            }),
        }
    }

    /// Sets who gives the fields of events; once, before findings are taken. Without it,
    /// suppressions see what rules matched and who took part, and no other field.
    pub fn look_events_up_with(&self, lookup: Arc<dyn EventLookup>) {
        // The first one stays.
        let _ = self.inner.event_lookup.set(lookup);
    }

    pub(crate) fn event_lookup(&self) -> Option<&Arc<dyn EventLookup>> {
        self.inner.event_lookup.get()
    }

    /// Watches committed changes of all tenants; the caller filters by tenant.
    pub fn watch(&self) -> broadcast::Receiver<LiveChange> {
        self.inner.live.subscribe()
    }

    /// Checks a right for something that lies outside casework (events, monitor, ingest).
    ///
    /// # Errors
    /// [`CaseworkError::Forbidden`].
    pub fn authorize(&self, actor: &Actor, permission: Permission) -> Result<(), CaseworkError> {
        if actor.may(permission) {
            return Ok(());
        }
        Err(CaseworkError::Forbidden { permission })
    }

    /// Now, by the clock of the control plane.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn settings(&self) -> &CaseworkSettings {
        &self.inner.settings
    }

    pub(crate) fn known_tokens(&self) -> &KnownTokens {
        &self.inner.known_tokens
    }

    pub(crate) fn limiter(&self) -> &SignInLimiter {
        &self.inner.limiter
    }

    pub(crate) fn password_checks(&self) -> &Semaphore {
        &self.inner.password_checks
    }

    pub(crate) fn presence(&self) -> &Presence {
        &self.inner.presence
    }

    pub(crate) fn response(&self) -> &Response {
        &self.inner.response
    }

    /// A change by somebody who is no actor of this call: the program, or whoever began a run.
    pub(crate) fn change_by(
        &self,
        by: &str,
        action: &'static str,
        detail: impl Into<String>,
    ) -> Change {
        Change {
            at: self.now(),
            actor: by.to_owned(),
            action,
            detail: detail.into(),
        }
    }

    pub(crate) fn change(
        &self,
        actor: &Actor,
        action: &'static str,
        detail: impl Into<String>,
    ) -> Change {
        Change {
            at: self.now(),
            actor: actor.name.clone(),
            action,
            detail: detail.into(),
        }
    }

    /// Tells watchers of a committed change; nobody watching is fine.
    pub(crate) fn tell(&self, change: LiveChange) {
        let _nobody_watches = self.inner.live.send(change);
    }

    pub(crate) fn tell_alert(&self, tenant: &TenantId, alert: &Alert) {
        self.tell(LiveChange::AlertChanged(
            tenant.clone(),
            Arc::new(alert.clone()),
        ));
    }

    pub(crate) fn tell_incident(&self, tenant: &TenantId, incident: &Incident) {
        self.tell(LiveChange::Incident(
            tenant.clone(),
            Arc::new(incident.clone()),
        ));
    }
}

impl std::fmt::Debug for Casework {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Casework")
            .field("records", &self.inner.store.place())
            .finish_non_exhaustive()
    }
}
