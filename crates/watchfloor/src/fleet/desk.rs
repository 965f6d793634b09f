//! Who is let in, and what becomes of what agents bring.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_casework::{AgentRefusal, Certified};
use watchfloor_event::{Finding, FindingLevel, Format};
use watchfloor_fleet::{
    Admission, Desk, DeskFuture, FilePart, Identity, Issued, Kept, Refusal, Session,
};
use watchfloor_ingest::NewRecord;
use watchfloor_link::{ActOutcome, HostIdentity, RefusalCode};
use watchfloor_model::{AgentDoubt, AgentId, TenantId};
use watchfloor_pipeline::Pipeline;

use super::{Fleet, files};

/// The rule of alerts about agents that cannot be believed.
const RULE: &str = "watchfloor-agent-doubt";
/// What the names of agents' sources begin with; the group follows.
const SOURCE: &str = "agents";

/// The desk of a running server.
pub(super) struct FleetDesk {
    fleet: Fleet,
    pipeline: Arc<Pipeline>,
}

impl FleetDesk {
    pub(super) fn new(fleet: Fleet, pipeline: Arc<Pipeline>) -> Self {
        Self { fleet, pipeline }
    }

    async fn admit_one(
        &self,
        who: &Identity,
        version: &str,
        host: &HostIdentity,
        peer: IpAddr,
    ) -> Result<Admission, Refusal> {
        let fleet = &self.fleet.0;
        let (tenant, id) = ids_of(who)?;
        let judged = fleet
            .casework
            .admit_agent(&tenant, &id, &host.machine)
            .await;
        let (agent, group) = match judged {
            Ok(found) => found,
            Err(refusal) => {
                self.doubt_refused(who, &refusal, peer);
                return Err(refused(refusal));
            }
        };
        let page = fleet.handbook.page(&tenant, &group).map_err(|error| {
            tracing::warn!(error = &*error, group = %group.name, "a policy cannot be handed out");
            Refusal::new(
                RefusalCode::Busy,
                "the server cannot read the policy of its group",
            )
        })?;
        let wanted = group.agent_version.as_deref();
        let offer = fleet
            .versions
            .offer(&fleet.authority, version, host, wanted);
        Ok(Admission {
            host: agent.host,
            group: group.id.to_string(),
            policy: page.revision,
            policy_frame: page.frame,
            records_per_second: page.records_per_second,
            mark: (agent.state.spool, agent.state.through),
            update_frame: offer,
        })
    }

    /// A certificate that was taken back, or that another machine shows, is somebody's work.
    fn doubt_refused(&self, who: &Identity, refusal: &AgentRefusal, peer: IpAddr) {
        let doubt = match refusal.code {
            RefusalCode::OtherMachine => AgentDoubt::OtherMachine,
            RefusalCode::Revoked => AgentDoubt::Revoked,
            _ => return,
        };
        self.doubt(who, doubt, format!("from {peer}: {}", refusal.message));
    }

    async fn append(&self, session: &Session, records: Vec<(u128, Bytes)>) -> Kept {
        let source: Arc<str> = Arc::from(format!("{SOURCE}:{}", session.group()));
        let received_at = Timestamp::now();
        let records = records.into_iter().map(|(key, bytes)| NewRecord {
            source: Arc::clone(&source),
            format: Format::Json,
            context: None,
            received_at,
            idempotency_key: key,
            bytes,
        });
        match self.pipeline.journal().append(records.collect()).await {
            Ok(_) => Kept::Durable,
            Err(error) => {
                tracing::debug!(%error, "records of an agent cannot be kept just now");
                Kept::Later
            }
        }
    }
}

fn ids_of(who: &Identity) -> Result<(TenantId, AgentId), Refusal> {
    let unknown = || {
        Refusal::new(
            RefusalCode::Certificate,
            "the certificate names nobody here",
        )
    };
    let tenant = TenantId::new(&who.tenant).map_err(|_| unknown())?;
    let id = AgentId::new(&who.agent).map_err(|_| unknown())?;
    Ok((tenant, id))
}

fn refused(refusal: AgentRefusal) -> Refusal {
    Refusal::new(refusal.code, refusal.message)
}

impl Desk for FleetDesk {
    fn enrol<'a>(
        &'a self,
        secret: &'a str,
        host: &'a HostIdentity,
        request: &'a [u8],
    ) -> DeskFuture<'a, Result<(String, Issued), Refusal>> {
        Box::pin(async move {
            let fleet = &self.fleet.0;
            let mut made = None;
            let certify = |tenant: &TenantId, agent: &AgentId| {
                let issued = fleet.authority.issue(
                    tenant.as_str(),
                    agent.as_str(),
                    request,
                    Timestamp::now(),
                );
                let issued = issued
                    .map_err(|error| AgentRefusal::new(RefusalCode::Request, error.to_string()))?;
                let certified = Certified {
                    serial: issued.serial.clone(),
                    until: issued.until,
                };
                made = Some(issued);
                Ok(certified)
            };
            let enrolled = fleet.casework.enrol_agent(secret, host, certify).await;
            let (_, agent) = enrolled.map_err(refused)?;
            match made {
                Some(issued) => Ok((agent.id.to_string(), issued)),
                None => Err(Refusal::new(RefusalCode::Busy, "no certificate was made")),
            }
        })
    }

    fn renew<'a>(
        &'a self,
        who: &'a Identity,
        request: &'a [u8],
    ) -> DeskFuture<'a, Result<Issued, Refusal>> {
        Box::pin(async move {
            let fleet = &self.fleet.0;
            let (tenant, id) = ids_of(who)?;
            let issued = fleet
                .authority
                .issue(&who.tenant, &who.agent, request, Timestamp::now())
                .map_err(|error| Refusal::new(RefusalCode::Request, error.to_string()))?;
            let certified = Certified {
                serial: issued.serial.clone(),
                until: issued.until,
            };
            let noted = fleet
                .casework
                .recertify_agent(&tenant, &id, certified)
                .await;
            noted.map_err(|error| {
                tracing::warn!(%error, "a certificate cannot be noted");
                Refusal::new(
                    RefusalCode::Busy,
                    "the server's records cannot be used just now",
                )
            })?;
            Ok(issued)
        })
    }

    fn admit<'a>(
        &'a self,
        who: &'a Identity,
        version: &'a str,
        host: &'a HostIdentity,
        peer: IpAddr,
    ) -> DeskFuture<'a, Result<Admission, Refusal>> {
        Box::pin(self.admit_one(who, version, host, peer))
    }

    fn keep<'a>(
        &'a self,
        session: &'a Session,
        records: Vec<(u128, Bytes)>,
    ) -> DeskFuture<'a, Kept> {
        Box::pin(self.append(session, records))
    }

    fn acted(&self, session: &Session, key: &str, outcome: ActOutcome) {
        self.fleet.0.registry.answer(&session.who, key, outcome);
    }

    fn file<'a>(
        &'a self,
        session: &'a Session,
        part: FilePart<'a>,
    ) -> DeskFuture<'a, Result<bool, String>> {
        Box::pin(files::keep(&self.fleet, session, part))
    }

    fn update_part(&self, session: &Session, version: &str, offset: u64) -> Option<Vec<u8>> {
        let target = format!("{}-{}", session.identity.os, session.identity.arch);
        self.fleet.0.versions.part(version, &target, offset)
    }

    fn doubt(&self, who: &Identity, doubt: AgentDoubt, words: String) {
        tracing::warn!(
            agent = who.agent,
            ?doubt,
            words,
            "an agent cannot be believed"
        );
        let (fleet, who) = (self.fleet.clone(), who.clone());
        tokio::spawn(async move { fleet.note_doubt(&who, doubt, &words).await });
    }

    fn refused(&self, peer: IpAddr, word: &'static str, words: &str) {
        tracing::debug!(%peer, word, words, "a connection of an agent came to nothing");
        let refusals = &self.fleet.0.refusals;
        let mut refusals = refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.count(peer, word, words);
    }
}

impl Fleet {
    /// Writes a doubt down and raises an alert where somebody may be at work.
    async fn note_doubt(&self, who: &Identity, doubt: AgentDoubt, words: &str) {
        let Ok((tenant, id)) = ids_of(who) else {
            return;
        };
        let casework = &self.0.casework;
        let agent = match casework.doubt_agent(&tenant, &id, doubt, words).await {
            Ok(agent) => agent,
            Err(error) => return tracing::warn!(%error, "a doubt cannot be written down"),
        };
        let Some(level) = level_of(doubt) else {
            return;
        };
        let finding = finding(&agent.host, who, (doubt, level), words);
        if let Err(error) = casework.take_late_findings(vec![finding]).await {
            tracing::warn!(%error, "an alert about an agent cannot be raised");
        }
    }
}

/// How grave a doubt is; `None` where the Fleet page is enough.
const fn level_of(doubt: AgentDoubt) -> Option<FindingLevel> {
    match doubt {
        AgentDoubt::OtherMachine | AgentDoubt::TwoMachines => Some(FindingLevel::High),
        AgentDoubt::Revoked | AgentDoubt::OtherName | AgentDoubt::Replay => {
            Some(FindingLevel::Medium)
        }
        AgentDoubt::Flood => Some(FindingLevel::Low),
        AgentDoubt::Clock | AgentDoubt::Expired => None,
    }
}

fn finding(
    host: &str,
    who: &Identity,
    (doubt, level): (AgentDoubt, FindingLevel),
    words: &str,
) -> Finding {
    let now = Timestamp::now();
    let hour = now.as_second().div_euclid(3_600);
    Finding {
        // One alert an hour for the same agent and doubt.
        id: format!("agent-doubt-{}-{doubt}-{hour}", who.agent),
        rule_id: RULE.to_owned(),
        rule_version: "1".to_owned(),
        title: format!(
            "Agent on {host} cannot be believed: {}",
            doubt.as_str().replace('_', " ")
        ),
        level,
        time: now,
        first_time: now,
        source: SOURCE.to_owned(),
        event_count: 0,
        event_ids: Vec::new(),
        summary: format!(
            "The agent {} of {host}: {words}. Look at it under Fleet; take its certificate back if it was stolen.",
            who.agent
        ),
        reasons: Vec::new(),
        entities: Vec::new(),
        tactics: Vec::new(),
        techniques: Vec::new(),
    }
}
