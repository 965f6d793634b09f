//! Groups of agents and their policies.

use watchfloor_link::Policy;
use watchfloor_model::{Actor, AgentGroup, AgentGroupId, Permission, TenantId};
use watchfloor_store::{StoreError, WriteTx};

use crate::alerts::check_version;
use crate::error::checked_text;
use crate::{Casework, CaseworkError};

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Longest policy in bytes.
const POLICY_BYTES_MAX: usize = 256 * 1024;
/// Id and name of the group that agents join unless told otherwise.
const STANDARD: (&str, &str) = ("standard", "Standard");
/// Most paths of a kind in a policy.
const PATHS_MAX: usize = 200;

/// What is to be changed of a group; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct GroupPatch {
    /// Its name.
    pub name: Option<String>,
    /// The policy as JSON.
    pub policy: Option<String>,
    /// Version of the agent that its agents are to run; `Some(None)` lets them be.
    pub agent_version: Option<Option<String>>,
}

impl Casework {
    /// All groups of agents.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn agent_groups(&self, actor: &Actor) -> Result<Vec<AgentGroup>, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().agent_groups().await?)
    }

    /// Makes a group, with the standard policy.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_agent_group(
        &self,
        actor: &Actor,
        name: &str,
    ) -> Result<AgentGroup, CaseworkError> {
        self.authorize(actor, Permission::ManageFleet)?;
        let name = checked_text("name", name, NAME_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let id = AgentGroupId::numbered(tx.next_number("agent_group").await?);
        let group = self.new_group(id, name, &actor.name);
        let change = self.change(actor, "group.create", &group.name);
        save(&mut tx, &group, &change).await?;
        tx.commit().await?;
        Ok(group)
    }

    /// Changes a group. A changed policy goes to all its agents at once.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn patch_agent_group(
        &self,
        actor: &Actor,
        id: &AgentGroupId,
        patch: GroupPatch,
        expected: Option<u64>,
    ) -> Result<AgentGroup, CaseworkError> {
        self.authorize(actor, Permission::ManageFleet)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut group = tx.q().agent_group(id).await?;
        check_version("group of agents", id.as_str(), group.version, expected)?;
        let mut words = Vec::new();
        if let Some(name) = &patch.name {
            group.name = checked_text("name", name, NAME_BYTES_MAX)?;
            words.push(format!("is called {}", group.name));
        }
        if let Some(policy) = &patch.policy {
            group.policy = checked_policy(policy)?;
            group.revision += 1;
            words.push(format!("has policy {}", group.revision));
        }
        if let Some(version) = patch.agent_version {
            let shown = version.as_deref().unwrap_or("no set version");
            words.push(format!("runs {shown}"));
            group.agent_version = version;
        }
        group.changed_by.clone_from(&actor.name);
        group.changed_at = self.now();
        group.version += 1;
        let detail = format!("{} {}", group.name, words.join(", "));
        let change = self.change(actor, "group.change", detail);
        save(&mut tx, &group, &change).await?;
        tx.commit().await?;
        self.tell_fleet(&actor.tenant, "group.change", group.id.as_str());
        Ok(group)
    }

    /// One group, for the program itself.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn agent_group_of(
        &self,
        tenant: &TenantId,
        id: &AgentGroupId,
    ) -> Result<AgentGroup, CaseworkError> {
        let mut reader = self.store().read(tenant).await?;
        Ok(reader.q().agent_group(id).await?)
    }

    /// The group that agents join unless told otherwise, made when it is first needed.
    pub(super) async fn standard_group(
        &self,
        tx: &mut WriteTx,
    ) -> Result<AgentGroup, CaseworkError> {
        let id = AgentGroupId::new(STANDARD.0)
            .map_err(|_| CaseworkError::System { what: "group id" })?;
        match tx.q().agent_group(&id).await {
            Ok(group) => return Ok(group),
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let group = self.new_group(id, STANDARD.1.to_owned(), "watchfloor");
        let change = self.change_by("watchfloor", "group.create", &group.name);
        tx.save_agent_group(&group, &change).await?;
        Ok(group)
    }

    fn new_group(&self, id: AgentGroupId, name: String, by: &str) -> AgentGroup {
        // A policy of plain data cannot fail to be written.
        let policy = serde_json::to_string_pretty(&Policy::default()).unwrap_or_default();
        AgentGroup {
            id,
            name,
            policy,
            revision: 1,
            agent_version: None,
            changed_by: by.to_owned(),
            changed_at: self.now(),
            version: 1,
        }
    }
}

async fn save(
    tx: &mut WriteTx,
    group: &AgentGroup,
    change: &watchfloor_store::Change,
) -> Result<(), CaseworkError> {
    match tx.save_agent_group(group, change).await {
        Err(error) if error.is_duplicate() => Err(CaseworkError::Taken {
            field: "name",
            value: group.name.clone(),
        }),
        other => Ok(other?),
    }
}

/// Reads a policy strictly and writes it back in one form. Checks and artifacts that the server
/// has are added when it is handed out; a policy keeps only its own.
fn checked_policy(text: &str) -> Result<String, CaseworkError> {
    let fault = |reason: String| CaseworkError::Invalid {
        field: "policy",
        reason,
    };
    if text.len() > POLICY_BYTES_MAX {
        return Err(fault(format!("must be at most {POLICY_BYTES_MAX} bytes")));
    }
    let policy: Policy = serde_json::from_str(text).map_err(|error| fault(error.to_string()))?;
    check_names(text).map_err(fault)?;
    check_figures(&policy).map_err(fault)?;
    check_paths(&policy).map_err(fault)?;
    serde_json::to_string_pretty(&policy).map_err(|error| fault(error.to_string()))
}

/// An agent passes over what it does not know; a person who edits is told.
fn check_names(text: &str) -> Result<(), String> {
    let given: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let known = serde_json::to_value(Policy::default()).map_err(|error| error.to_string())?;
    let names = known.as_object().into_iter().flatten();
    let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
    for name in given
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
    {
        if !names.contains(&name.as_str()) {
            return Err(format!("has no '{name}'; it has: {}", names.join(", ")));
        }
    }
    Ok(())
}

fn check_figures(policy: &Policy) -> Result<(), String> {
    let figures = [
        ("records_per_second", policy.records_per_second, 1, 100_000),
        ("cpu_percent", policy.cpu_percent, 1, 100),
        ("memory_mib", policy.memory_mib, 16, 4_096),
        ("spool_mib", policy.spool_mib, 1, 1 << 20),
        ("scan_file_mib", policy.scan_file_mib, 16, 1 << 20),
        (
            "inventory_every_s",
            policy.inventory_every_s,
            0,
            30 * 86_400,
        ),
        ("checks_every_s", policy.checks_every_s, 0, 30 * 86_400),
    ];
    for (name, value, least, most) in figures {
        if !(least..=most).contains(&value) {
            return Err(format!("{name} must be {least} to {most}, not {value}"));
        }
    }
    Ok(())
}

fn check_paths(policy: &Policy) -> Result<(), String> {
    if policy.log_files.len() > PATHS_MAX || policy.integrity.len() > PATHS_MAX {
        return Err(format!(
            "log_files and integrity hold at most {PATHS_MAX} paths each"
        ));
    }
    let logs = policy.log_files.iter().map(|file| &file.path).enumerate();
    let logs = logs.map(|(place, path)| (format!("log_files[{place}].path"), path));
    let integrity = policy.integrity.iter().map(|one| &one.path).enumerate();
    let integrity = integrity.map(|(place, path)| (format!("integrity[{place}].path"), path));
    match logs.chain(integrity).find(|(_, path)| !is_absolute(path)) {
        Some((place, path)) => Err(format!("{place} '{path}' is not an absolute path")),
        None => Ok(()),
    }
}

fn is_absolute(path: &str) -> bool {
    let windows = path.as_bytes().get(1..3) == Some(b":\\");
    (path.starts_with('/') || windows) && !path.contains('\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_strictly() {
        assert!(checked_policy("{}").is_ok());
        let faults = [
            (r#"{"cpu_percent": 0}"#, "cpu_percent must be 1 to 100"),
            (
                r#"{"scan_file_mib": 15}"#,
                "scan_file_mib must be 16 to 1048576",
            ),
            (r#"{"cpu": 5}"#, "has no 'cpu'; it has: revision"),
            (
                r#"{"log_files": [{"path": "var/log"}]}"#,
                "log_files[0].path 'var/log' is not an absolute path",
            ),
            ("{", "EOF"),
        ];
        for (text, part) in faults {
            let error = checked_policy(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
