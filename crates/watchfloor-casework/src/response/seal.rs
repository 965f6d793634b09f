//! The sealed record of an action: hashes of what was asked and what came out, held in the audit
//! chain.

use sha2::{Digest, Sha256};
use watchfloor_model::{
    Action, ActionId, ActionOutcome, Actor, ArgumentValue, AuditEntry, Permission,
};

use crate::{Casework, CaseworkError};

/// What proves what became of an action.
#[derive(Clone, Debug)]
pub struct ActionRecord {
    /// The action.
    pub action: Action,
    /// Its entries of the audit chain, oldest first.
    pub history: Vec<AuditEntry>,
    /// The request is the one that the chain names.
    pub is_request_sealed: bool,
    /// The outcome is the one that the chain names; true where there is none yet.
    pub is_result_sealed: bool,
}

/// Each part is led by its length, so that no two requests share a text.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(format!("{}:", part.len()));
        hash.update(part);
        hash.update("\n");
    }
    hex::encode(hash.finalize())
}

/// Hash of what is to be done, to whom, by what way and for how long.
pub(crate) fn request_hash(action: &Action) -> String {
    let mut parts = vec![action.id.to_string(), action.kind.to_string()];
    for (name, value) in &action.arguments {
        parts.push(name.clone());
        match value {
            ArgumentValue::One(text) => parts.push(text.clone()),
            ArgumentValue::Many(list) => {
                parts.push(format!("list of {}", list.len()));
                parts.extend(list.iter().cloned());
            }
        }
    }
    parts.push(
        action
            .connector
            .as_ref()
            .map_or("agent", |id| id.as_str())
            .to_owned(),
    );
    parts.push(
        action
            .time_limit_s
            .map_or("no limit".to_owned(), |s| s.to_string()),
    );
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    hash(&parts)
}

/// Hash of how an action went.
pub(crate) fn result_hash(outcome: &ActionOutcome) -> String {
    let mut parts = vec![outcome.summary.as_str()];
    for (name, value) in &outcome.evidence {
        parts.extend([name.as_str(), value.as_str()]);
    }
    hash(&parts)
}

impl Casework {
    /// The sealed record of an action: its hashes are computed again and looked up in the chain.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn action_record(
        &self,
        actor: &Actor,
        id: &ActionId,
    ) -> Result<ActionRecord, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let action = reader.q().action(id).await?;
        let history = reader.q().history_of(id.as_str()).await?;
        let names = |hash: &str| history.iter().any(|entry| entry.detail.contains(hash));
        let request = request_hash(&action);
        let is_request_sealed =
            request == action.request_hash && names(&format!("request sha256:{request}"));
        let is_result_sealed = match &action.outcome {
            Some(outcome) => {
                let result = result_hash(outcome);
                action.result_hash.as_ref() == Some(&result)
                    && names(&format!("result sha256:{result}"))
            }
            None => action.result_hash.is_none(),
        };
        Ok(ActionRecord {
            action,
            history,
            is_request_sealed,
            is_result_sealed,
        })
    }
}
