//! What casework needs of the outside: somebody who does actions, and knows what is around.

use std::future::Future;
use std::pin::Pin;

use watchfloor_model::{
    ActionFailure, ActionKind, ActionOutcome, ActionRequest, Connector, ConnectorKind, EntityKind,
    OpenConnector, TenantId,
};

/// By whom an action is done.
#[derive(Clone, Debug)]
pub enum Way<C> {
    /// The agent on its host.
    Agent,
    /// A connector.
    Connector(C),
}

/// How an action went.
pub type Acted = Result<ActionOutcome, ActionFailure>;
/// How an action went, when it is over.
pub type ActedFuture<'a> = Pin<Box<dyn Future<Output = Acted> + Send + 'a>>;
/// Whether an agent is there.
pub type AgentFuture<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;
/// What was seen with something.
pub type NeighborsFuture<'a> = Pin<Box<dyn Future<Output = Vec<Neighbor>> + Send + 'a>>;

/// Something that was seen with another in events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// What kind of thing.
    pub kind: EntityKind,
    /// Its name.
    pub value: String,
    /// In how many events.
    pub events: u64,
}

/// Does actions. Implemented by the binary over connectors and agents.
pub trait Responder: Send + Sync {
    /// Whether an agent is there that does this.
    fn agent_serves<'a>(&'a self, request: &'a ActionRequest) -> AgentFuture<'a>;

    /// Whether a connector does this very action.
    fn covers(&self, connector: &Connector, request: &ActionRequest) -> bool;

    /// What would be sent where; for agents without a connector.
    ///
    /// # Errors
    /// Why it cannot be done this way.
    fn preview(&self, way: &Way<Connector>, request: &ActionRequest) -> Result<String, String>;

    /// Does an action, with all time that it needs.
    fn perform<'a>(
        &'a self,
        way: &'a Way<OpenConnector>,
        request: &'a ActionRequest,
    ) -> ActedFuture<'a>;

    /// Whether the same request with the same key may be given again without doing it twice.
    fn is_repeatable(&self, way: &Way<Connector>, kind: ActionKind) -> bool;

    /// Checks settings of a connector.
    ///
    /// # Errors
    /// What does not do, and how to mend it.
    fn check_connector(
        &self,
        kind: ConnectorKind,
        settings: &str,
        serves: &[ActionKind],
    ) -> Result<(), String>;

    /// Names of the secrets that a kind of connector takes, with what each is.
    fn secrets_of(&self, kind: ConnectorKind) -> &'static [(&'static str, &'static str)];

    /// What was seen with something in the events of the last day.
    fn neighbors<'a>(
        &'a self,
        tenant: &'a TenantId,
        kind: EntityKind,
        value: &'a str,
    ) -> NeighborsFuture<'a>;
}
