//! Actions on their way to agents.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::Instant;
use watchfloor_casework::{Acted, ActedFuture, AgentFuture};
use watchfloor_fleet::Answer;
use watchfloor_link::{AGENT_ACTIONS, Act, ActOutcome};
use watchfloor_model::{ActionFailure, ActionOutcome, ActionRequest, Agent, ArgumentValue};

use super::Fleet;
use crate::bridge::AgentGateway;

/// How long an agent that is away is waited for before the action fails.
const AWAY_LIMIT: Duration = Duration::from_secs(30);
/// How long an agent may say nothing of what it was given, unless the configuration says otherwise.
pub(super) const SILENCE_S: u32 = 140;
/// An agent does not begin an action that comes so much later than it was sent.
const LATE: SignedDuration = SignedDuration::from_secs(120);

/// The way of actions to agents.
#[derive(Clone, Debug)]
pub(crate) struct Gateway(pub(crate) Fleet);

impl Gateway {
    async fn agent_of(&self, request: &ActionRequest) -> Option<Agent> {
        let host = request.text("host");
        if host.is_empty() || !AGENT_ACTIONS.contains(&request.kind.as_str()) {
            return None;
        }
        let casework = &self.0.0.casework;
        match casework.agent_of_host(&request.tenant, host).await {
            Ok(agent) => agent,
            Err(error) => {
                tracing::warn!(%error, host, "the agent of a host cannot be looked up");
                None
            }
        }
    }

    async fn give(&self, request: &ActionRequest) -> Acted {
        let host = request.text("host");
        let Some(agent) = self.agent_of(request).await else {
            let reason = format!("no agent is enrolled on {host}; enrol it under Fleet");
            return Err(ActionFailure::refused(reason));
        };
        let registry = &self.0.0.registry;
        let tenant = request.tenant.as_str();
        let act = act_of(request);
        let key = act.key.clone();
        let answered = registry
            .act(tenant, agent.id.as_str(), act)
            .map_err(|error| ActionFailure::refused(error.to_string()))?;
        let waited = self.wait(&agent, &key, answered).await;
        registry.forget(&key);
        waited
    }

    /// Waits for what comes of an action: for the agent to come, and then as long as it says that
    /// it is at work on it. Once it was given, nobody can say that nothing was done.
    async fn wait(&self, agent: &Agent, key: &str, mut answer: Answer) -> Acted {
        let silence = Duration::from_secs(u64::from(self.0.0.silence_s));
        let mut until = Instant::now() + AWAY_LIMIT;
        loop {
            tokio::select! {
                outcome = &mut answer.outcome => return match outcome {
                    Ok(outcome) => acted_of(outcome),
                    Err(_) => Err(ActionFailure::unknown("the answer of the agent was lost")),
                },
                // Ends with the outcome, which is at hand then.
                Ok(()) = answer.progress.changed() => {
                    until = Instant::now() + silence;
                }
                () = tokio::time::sleep_until(until) => {
                    return Err(match self.0.0.registry.take_back(key) {
                        true => away(agent),
                        false => silent(agent, silence),
                    });
                }
            }
        }
    }
}

fn away(agent: &Agent) -> ActionFailure {
    let seen = agent.state.seen_at;
    let seen = seen.map_or_else(|| "never".to_owned(), |at| at.to_string());
    // It was never given: an agent that comes later is not told of it.
    ActionFailure::failed(format!(
        "the agent on {} is away, last heard {seen}; nothing was done",
        agent.host
    ))
}

fn silent(agent: &Agent, silence: Duration) -> ActionFailure {
    ActionFailure::unknown(format!(
        "the agent on {} said nothing of it for {} s; look at the host",
        agent.host,
        silence.as_secs()
    ))
}

impl AgentGateway for Gateway {
    fn serves<'a>(&'a self, request: &'a ActionRequest) -> AgentFuture<'a> {
        Box::pin(async move { self.agent_of(request).await.is_some() })
    }

    fn perform<'a>(&'a self, request: &'a ActionRequest) -> ActedFuture<'a> {
        Box::pin(self.give(request))
    }
}

fn act_of(request: &ActionRequest) -> Act {
    let value = |value: &ArgumentValue| match value {
        ArgumentValue::One(text) => Value::String(text.clone()),
        ArgumentValue::Many(list) => list.iter().cloned().map(Value::String).collect(),
    };
    let arguments: BTreeMap<String, Value> = request
        .arguments
        .iter()
        .map(|(name, one)| (name.clone(), value(one)))
        .collect();
    let now = Timestamp::now();
    Act {
        key: request.idempotency_key.clone(),
        kind: request.kind.as_str().to_owned(),
        arguments,
        undo_at_ms: request.expires_at.map(Timestamp::as_millisecond),
        not_after_ms: now.saturating_add(LATE).unwrap_or(now).as_millisecond(),
        redone: request.redone,
    }
}

fn acted_of(outcome: ActOutcome) -> Acted {
    match outcome {
        ActOutcome::Done { summary, evidence } => Ok(ActionOutcome { summary, evidence }),
        ActOutcome::Failed { reason } => Err(ActionFailure::failed(reason)),
        ActOutcome::Uncertain { reason } => Err(ActionFailure::unknown(reason)),
    }
}

#[cfg(test)]
mod tests {
    use watchfloor_model::ActionKind;

    use super::*;

    #[test]
    fn the_agents_list_is_of_the_models_actions() {
        for word in AGENT_ACTIONS {
            let kind = ActionKind::parse(word);
            let takes_host =
                kind.is_some_and(|kind| kind.arguments().iter().any(|one| one.name == "host"));
            assert!(takes_host, "{word}");
        }
    }
}
