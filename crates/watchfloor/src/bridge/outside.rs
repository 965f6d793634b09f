//! The way to the outside world: connectors, and agents once there are some.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use watchfloor_casework::{ActedFuture, AgentFuture, Neighbor, NeighborsFuture, Responder, Way};
use watchfloor_lake::{ExportQuery, Lake, SearchRequest, SortOrder};
use watchfloor_model::{
    ActionFailure, ActionKind, ActionRequest, Connector, ConnectorKind, EntityKind, OpenConnector,
    TenantId,
};

use super::export_query;

/// Events that are looked at for what is around something.
const EVENTS_MAX: usize = 500;
/// Things around something that are named.
const NEIGHBORS_MAX: usize = 20;
/// Longest look around; a rehearsal is not held up for it.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

/// Fields that name who and what works with a host, account or address.
const FIELDS: &[(&str, EntityKind)] = &[
    ("actor.user.name", EntityKind::User),
    ("user.name", EntityKind::User),
    ("device.hostname", EntityKind::Host),
    ("src_endpoint.hostname", EntityKind::Host),
    ("dst_endpoint.hostname", EntityKind::Host),
    ("src_endpoint.ip", EntityKind::Address),
    ("dst_endpoint.ip", EntityKind::Address),
];

/// Carries actions to agents. The fleet implements it.
pub(crate) trait AgentGateway: Send + Sync {
    /// Whether an agent is enrolled on the request's host and has the action on its list.
    fn serves<'a>(&'a self, request: &'a ActionRequest) -> AgentFuture<'a>;

    /// Gives the action to the agent and waits for its word. An agent does one key once, so that
    /// the same request may be given again; `expires_at` is when it undoes it by itself.
    fn perform<'a>(&'a self, request: &'a ActionRequest) -> ActedFuture<'a>;
}

/// Connectors and agents as casework sees them.
pub(crate) struct Outside {
    lake: Arc<Lake>,
    agents: OnceLock<Arc<dyn AgentGateway>>,
}

impl Outside {
    pub(crate) fn new(lake: Arc<Lake>) -> Self {
        Self {
            lake,
            agents: OnceLock::new(),
        }
    }

    /// Sets who carries actions to agents; once.
    pub(crate) fn with_agents(self, agents: Arc<dyn AgentGateway>) -> Self {
        let _ = self.agents.set(agents);
        self
    }

    async fn around(&self, value: &str) -> Vec<Neighbor> {
        let plain: String = value.chars().filter(|c| !matches!(c, '"' | '\\')).collect();
        let Ok(ExportQuery::Events(query)) = export_query(&format!("\"{plain}\"")) else {
            return Vec::new();
        };
        let now = Timestamp::now();
        let request = SearchRequest {
            query,
            from: now
                .saturating_sub(SignedDuration::from_hours(24))
                .unwrap_or(now),
            to: now
                .saturating_add(SignedDuration::from_mins(1))
                .unwrap_or(now),
            limit: EVENTS_MAX,
            order: SortOrder::NewestFirst,
            with_findings: false,
            bucket_seconds: 0,
        };
        let Ok(Ok(found)) = tokio::time::timeout(LOOK_LIMIT, self.lake.search(&request)).await
        else {
            return Vec::new();
        };
        let mut counts: BTreeMap<(EntityKind, String), u64> = BTreeMap::new();
        for event in &found.events {
            for (name, seen) in &event.fields {
                let kind = FIELDS.iter().find(|(field, _)| field == name);
                if let Some((_, kind)) = kind
                    && !seen.is_empty()
                    && !seen.eq_ignore_ascii_case(value)
                {
                    *counts.entry((*kind, seen.clone())).or_default() += 1;
                }
            }
        }
        let mut list: Vec<Neighbor> = counts
            .into_iter()
            .map(|((kind, value), events)| Neighbor {
                kind,
                value,
                events,
            })
            .collect();
        list.sort_by(|left, right| {
            right
                .events
                .cmp(&left.events)
                .then_with(|| left.value.cmp(&right.value))
        });
        list.truncate(NEIGHBORS_MAX);
        list
    }
}

impl Responder for Outside {
    fn agent_serves<'a>(&'a self, request: &'a ActionRequest) -> AgentFuture<'a> {
        match self.agents.get() {
            Some(agents) => agents.serves(request),
            None => Box::pin(std::future::ready(false)),
        }
    }

    fn covers(&self, connector: &Connector, request: &ActionRequest) -> bool {
        watchfloor_respond::covers(connector, request)
    }

    fn preview(&self, way: &Way<Connector>, request: &ActionRequest) -> Result<String, String> {
        match way {
            Way::Agent => Ok(format!(
                "{} by the agent on {}",
                request.kind.in_words(),
                request.target
            )),
            Way::Connector(connector) => watchfloor_respond::preview(connector, request),
        }
    }

    fn perform<'a>(
        &'a self,
        way: &'a Way<OpenConnector>,
        request: &'a ActionRequest,
    ) -> ActedFuture<'a> {
        match (way, self.agents.get()) {
            (Way::Connector(open), _) => Box::pin(watchfloor_respond::perform(open, request)),
            (Way::Agent, Some(agents)) => agents.perform(request),
            (Way::Agent, None) => Box::pin(std::future::ready(Err(ActionFailure::failed(
                "there is no fleet in this process",
            )))),
        }
    }

    fn is_repeatable(&self, way: &Way<Connector>, kind: ActionKind) -> bool {
        match way {
            Way::Agent => true,
            Way::Connector(connector) => watchfloor_respond::is_repeatable(connector, kind),
        }
    }

    fn check_connector(
        &self,
        kind: ConnectorKind,
        settings: &str,
        serves: &[ActionKind],
    ) -> Result<(), String> {
        watchfloor_respond::check(kind, settings, serves)
    }

    fn secrets_of(&self, kind: ConnectorKind) -> &'static [(&'static str, &'static str)] {
        watchfloor_respond::secrets_of(kind)
    }

    fn neighbors<'a>(
        &'a self,
        _tenant: &'a TenantId,
        _kind: EntityKind,
        value: &'a str,
    ) -> NeighborsFuture<'a> {
        Box::pin(self.around(value))
    }
}
