//! Policies as agents get them: what a group says, with the checks and artifacts that the program
//! has.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow};
use sha2::{Digest, Sha256};
use watchfloor_link::{ArtifactDefinition, CheckDefinition, Frame, Policy, ToAgent};
use watchfloor_model::{AgentGroup, TenantId};

use crate::content;

/// A policy, ready to be handed out.
#[derive(Clone, Debug)]
pub(super) struct PolicyPage {
    /// What it is called: another after each change.
    pub(super) revision: u64,
    /// Records a second that it allows.
    pub(super) records_per_second: u32,
    /// The frame.
    pub(super) frame: Arc<[u8]>,
}

/// All policies that were handed out, by group and its version.
pub(super) struct Handbook {
    checks: Vec<CheckDefinition>,
    artifacts: BTreeMap<String, ArtifactDefinition>,
    pages: Mutex<HashMap<(String, String), (u64, PolicyPage)>>,
}

impl Handbook {
    /// Reads the checks and artifacts of the program.
    pub(super) fn read() -> Result<Self> {
        let mut checks = Vec::new();
        for file in yaml_of("checks/") {
            let list: Vec<CheckDefinition> = watchfloor_rules::from_yaml(&file.text)
                .map_err(|error| anyhow!("{}: {error}", file.path))?;
            checks.extend(list);
        }
        let mut artifacts = BTreeMap::new();
        for file in yaml_of("artifacts/") {
            let map: BTreeMap<String, ArtifactDefinition> = watchfloor_rules::from_yaml(&file.text)
                .map_err(|error| anyhow!("{}: {error}", file.path))?;
            artifacts.extend(map);
        }
        Ok(Self {
            checks,
            artifacts,
            pages: Mutex::default(),
        })
    }

    /// Names of what can be collected.
    pub(super) fn artifacts(&self) -> &BTreeMap<String, ArtifactDefinition> {
        &self.artifacts
    }

    /// The policy of a group.
    pub(super) fn page(&self, tenant: &TenantId, group: &AgentGroup) -> Result<PolicyPage> {
        let key = (tenant.to_string(), group.id.to_string());
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((version, page)) = pages.get(&key)
            && *version == group.version
        {
            return Ok(page.clone());
        }
        let page = self.write(group)?;
        pages.insert(key, (group.version, page.clone()));
        Ok(page)
    }

    fn write(&self, group: &AgentGroup) -> Result<PolicyPage> {
        let mut policy: Policy = serde_json::from_str(&group.policy)
            .with_context(|| format!("the policy of group {} cannot be read", group.name))?;
        // What a group says goes before what the program has under the same name.
        let own: Vec<CheckDefinition> = std::mem::take(&mut policy.checks);
        let is_own = |check: &&CheckDefinition| own.iter().all(|one| one.id != check.id);
        policy.checks = self.checks.iter().filter(is_own).cloned().collect();
        policy.checks.extend(own);
        for (name, artifact) in &self.artifacts {
            let of_program = || artifact.clone();
            policy
                .artifacts
                .entry(name.clone())
                .or_insert_with(of_program);
        }
        policy.revision = 0;
        policy.revision = revision_of(&serde_json::to_vec(&policy)?);
        let records_per_second = policy.records_per_second;
        let revision = policy.revision;
        let policy = Box::new(policy);
        let frame = Frame::from(ToAgent::Policy { policy }).encode();
        let frame = frame.with_context(|| format!("the policy of group {}", group.name))?;
        Ok(PolicyPage {
            revision,
            records_per_second,
            frame: frame.into(),
        })
    }
}

/// A name of what a policy says that JSON of every reader keeps whole: 53 bits, never 0.
fn revision_of(policy: &[u8]) -> u64 {
    let digest = Sha256::digest(policy);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    (u64::from_le_bytes(bytes) >> 11).max(1)
}

fn yaml_of(folder: &str) -> impl Iterator<Item = content::ContentFile> {
    content::embedded_that(folder, content::is_rule).into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_checks_and_artifacts_load_and_fit_a_frame() {
        let handbook = Handbook::read().unwrap();
        let group = AgentGroup {
            id: "standard".parse().unwrap(),
            name: "Standard".to_owned(),
            policy: "{}".to_owned(),
            revision: 1,
            agent_version: None,
            changed_by: String::new(),
            changed_at: jiff::Timestamp::UNIX_EPOCH,
            version: 1,
        };
        let page = handbook.page(&TenantId::main(), &group).unwrap();
        assert_ne!(page.revision, 0);
        let other = AgentGroup {
            policy: r#"{"cpu_percent": 7}"#.to_owned(),
            version: 2,
            ..group
        };
        let changed = handbook.page(&TenantId::main(), &other).unwrap();
        assert_ne!(changed.revision, page.revision);
    }
}
