//! The fleet as the API shows it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::PoisonError;

use jiff::Timestamp;
use watchfloor_api::ports::{
    AgentArtifact, AgentBinary, ConnectedAgent, EnrolmentLine, FleetDesk, FleetStatus,
    RefusedAgents,
};
use watchfloor_link::{EnrolmentToken, PORT};
use watchfloor_model::{ActionId, AgentGroup, AgentId, TenantId};

use super::{Fleet, files};

/// Longest words of a refusal that are shown, in characters.
const WORDS_CHARS: usize = 300;
/// The machine that the line for a shell is for.
const TARGET: &str = "linux-x86_64";

/// Connections that came to nothing, by reason.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<&'static str, RefusedAgents>);

impl Refusals {
    /// Counts one.
    pub(super) fn count(&mut self, peer: IpAddr, word: &'static str, words: &str) {
        let now = Timestamp::now();
        let row = self.0.entry(word).or_insert_with(|| RefusedAgents {
            reason: word.to_owned(),
            count: 0,
            last_at: now,
            address: String::new(),
            text: String::new(),
        });
        row.count += 1;
        row.last_at = now;
        row.address = peer.to_string();
        row.text = words.chars().take(WORDS_CHARS).collect();
    }
}

impl Fleet {
    /// Where agents find it, for a host that reaches HTTP under a base URL.
    fn address_for(&self, base: &str) -> String {
        if let Some(public) = &self.0.public {
            return public.clone();
        }
        let port = self.door().map_or(PORT, |door| door.port());
        let host = base.split_once("://").map_or(base, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or(host);
        // `[::1]:8787` and `soc.example:8787` alike.
        let host = match host.rsplit_once(':') {
            Some((name, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        format!("{host}:{port}")
    }

    /// The token of an enrolment, for the authority of this server.
    pub(crate) fn token_of(&self, secret: &str) -> EnrolmentToken {
        EnrolmentToken {
            secret: secret.to_owned(),
            pin: self.0.authority.pin(),
        }
    }

    fn refusals(&self) -> Vec<RefusedAgents> {
        let refusals = self.0.refusals.lock();
        let refusals = refusals.unwrap_or_else(PoisonError::into_inner);
        refusals.0.values().cloned().collect()
    }
}

impl FleetDesk for Fleet {
    fn status(&self, tenant: &TenantId, groups: &[AgentGroup]) -> FleetStatus {
        let policies: BTreeMap<&str, Option<u64>> = groups
            .iter()
            .map(|group| (group.id.as_str(), self.policy_of(tenant, group)))
            .collect();
        let live = self
            .0
            .registry
            .count(|group| policies.get(group).copied().flatten());
        let door = self.door();
        let artifacts = self.0.handbook.artifacts().iter();
        FleetStatus {
            listen: self
                .local_door()
                .and(door.as_ref().ok())
                .map(ToString::to_string),
            problem: door.err(),
            connected: live.agents as u64,
            with_policy: live.with_policy as u64,
            heartbeat_s: self.0.heartbeat_s,
            refused: self.refusals(),
            binaries: self
                .0
                .versions
                .all()
                .map(|one| AgentBinary {
                    version: one.version.clone(),
                    target: one.target.clone(),
                    size: one.size,
                    sha256: one.sha256.clone(),
                })
                .collect(),
            artifacts: artifacts
                .map(|(name, one)| AgentArtifact {
                    name: name.clone(),
                    description: one.description.clone(),
                })
                .collect(),
        }
    }

    fn connected(&self, tenant: &TenantId, agents: &[AgentId]) -> Vec<Option<ConnectedAgent>> {
        let one = |agent: &AgentId| {
            let session = self.0.registry.get(tenant.as_str(), agent.as_str())?;
            Some(ConnectedAgent {
                since: session.since,
                address: session.peer.to_string(),
            })
        };
        agents.iter().map(one).collect()
    }

    fn policy_of(&self, tenant: &TenantId, group: &AgentGroup) -> Option<u64> {
        let page = self.0.handbook.page(tenant, group).ok()?;
        Some(page.revision)
    }

    fn enrolment_line(&self, secret: &str, base: &str) -> EnrolmentLine {
        let token = self.token_of(secret).to_string();
        let server = self.address_for(base);
        let get = match self.0.versions.newest(TARGET) {
            Some(binary) => format!(
                "curl -fsSo watchfloor-agent {base}/agent/{TARGET} && echo '{}  watchfloor-agent' | sha256sum -c --quiet && chmod 755 watchfloor-agent && ",
                binary.sha256
            ),
            // Nothing to download: the agent is there already.
            None => String::new(),
        };
        let run = match get.is_empty() {
            true => "watchfloor-agent",
            false => "./watchfloor-agent",
        };
        EnrolmentLine {
            command: format!("{get}sudo {run} enrol --server {server} --token {token} --start"),
            token,
        }
    }

    fn binary(&self, target: &str) -> Option<PathBuf> {
        Some(self.0.versions.newest(target)?.path.clone())
    }

    fn has_version(&self, version: &str) -> bool {
        self.0.versions.has(version)
    }

    fn collected(&self, tenant: &TenantId, action: &ActionId, name: &str) -> Option<PathBuf> {
        files::path_of(&self.0.collected, tenant, action, name).ok()
    }
}
