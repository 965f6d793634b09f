//! Deciding how long events are kept, what is held, and what is deleted on demand. The data plane
//! does it; here is who may decide, and the record.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchfloor_model::{
    Actor, Erasure, ErasureId, ErasureState, LegalHold, LegalHoldId, Permission, Retention,
};

use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::{Casework, CaseworkError};

/// Most days that a rule may name: a hundred years.
const DAYS_MAX: u32 = 36_500;
/// Most rules.
const RULES_MAX: usize = 200;
/// Longest query of a hold or deletion, in bytes.
const QUERY_BYTES_MAX: usize = 10_000;

/// What is to be held.
#[derive(Clone, Debug)]
pub struct NewLegalHold {
    /// Which events, in the hunt language.
    pub query: String,
    /// From this event time (inclusive).
    pub from: Option<Timestamp>,
    /// To this event time (exclusive).
    pub to: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// How a deletion ended.
#[derive(Clone, Debug, Default)]
pub struct ErasureEnd {
    /// Events that were deleted.
    pub events: u64,
    /// Events that a hold keeps.
    pub held: u64,
    /// Files that were touched.
    pub files: u64,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

impl Casework {
    /// How long events are kept.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn retention(&self, actor: &Actor) -> Result<Retention, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().retention().await?)
    }

    /// Changes how long events are kept. The version must be the one that the caller read.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn set_retention(
        &self,
        actor: &Actor,
        mut wanted: Retention,
    ) -> Result<Retention, CaseworkError> {
        self.authorize(actor, Permission::ManageData)?;
        check(&wanted)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let current = tx.q().retention().await?.version;
        if wanted.version != current {
            return Err(CaseworkError::VersionConflict {
                kind: "retention",
                id: actor.tenant.to_string(),
                expected: wanted.version,
                current,
            });
        }
        let now = self.now();
        wanted.version += 1;
        wanted.changed_by = Some(actor.name.clone());
        wanted.changed_at = Some(now);
        let change = self.change(actor, "retention.change", described(&wanted));
        tx.set_retention(&wanted, &actor.name, now, &change).await?;
        tx.commit().await?;
        Ok(wanted)
    }

    /// All legal holds, newest first, released ones too.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn legal_holds(&self, actor: &Actor) -> Result<Vec<LegalHold>, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().legal_holds().await?)
    }

    /// Places a hold: what it finds is deleted by nothing until it is released.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_legal_hold(
        &self,
        actor: &Actor,
        new: NewLegalHold,
    ) -> Result<LegalHold, CaseworkError> {
        self.authorize(actor, Permission::ManageData)?;
        let reason = checked_text("reason", &new.reason, NOTE_BYTES_MAX)?;
        // An empty query holds everything in the time.
        if new.query.len() > QUERY_BYTES_MAX {
            return Err(too_long());
        }
        if matches!((new.from, new.to), (Some(from), Some(to)) if from >= to) {
            return Err(CaseworkError::Invalid {
                field: "to",
                reason: "must lie after from".to_owned(),
            });
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let hold = LegalHold {
            id: LegalHoldId::numbered(tx.next_number("legal_hold").await?),
            query: new.query.trim().to_owned(),
            from: new.from,
            to: new.to,
            reason,
            created_by: actor.name.clone(),
            created_at: self.now(),
            released_by: None,
            released_at: None,
        };
        let change = self.change(actor, "legal_hold.place", hold.reason.clone());
        tx.add_legal_hold(&hold, &change).await?;
        tx.commit().await?;
        Ok(hold)
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn release_legal_hold(
        &self,
        actor: &Actor,
        hold: &LegalHoldId,
        reason: &str,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageData)?;
        let reason = checked_text("reason", reason, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "legal_hold.release", reason);
        tx.release_legal_hold(hold, &actor.name, self.now(), &change)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// All deletions on demand, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn erasures(&self, actor: &Actor) -> Result<Vec<Erasure>, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let mut erasures = reader.q().erasures().await?;
        if self.authorize(actor, Permission::ManageData).is_err() {
            // The query names the person.
            erasures.iter_mut().for_each(|erasure| erasure.query = None);
        }
        Ok(erasures)
    }

    /// Writes down a deletion before it runs, so that a crash cannot lose it.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn begin_erasure(
        &self,
        actor: &Actor,
        query: &str,
        reason: &str,
    ) -> Result<Erasure, CaseworkError> {
        self.authorize(actor, Permission::ManageData)?;
        let query = checked_text("query", query, QUERY_BYTES_MAX)?;
        let reason = checked_text("reason", reason, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let erasure = Erasure {
            id: ErasureId::numbered(tx.next_number("erasure").await?),
            digest: hex::encode(Sha256::digest(query.as_bytes())),
            query: Some(query),
            reason,
            created_by: actor.name.clone(),
            created_at: self.now(),
            state: ErasureState::Running,
            events: 0,
            held: 0,
            files: 0,
            ended_at: None,
            error: None,
        };
        let detail = format!("{}: query of SHA-256 {}", erasure.reason, erasure.digest);
        let change = self.change(actor, "erasure.begin", detail);
        tx.add_erasure(&erasure, &change).await?;
        tx.commit().await?;
        Ok(erasure)
    }

    /// Writes down how a deletion ended; its query is forgotten.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn end_erasure(
        &self,
        actor: &Actor,
        erasure: &Erasure,
        end: ErasureEnd,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageData)?;
        let ended = Erasure {
            query: None,
            state: match end.error {
                None => ErasureState::Done,
                Some(_) => ErasureState::Failed,
            },
            events: end.events,
            held: end.held,
            files: end.files,
            ended_at: Some(self.now()),
            error: end.error,
            ..erasure.clone()
        };
        let detail = match &ended.error {
            None => format!("{} events deleted, {} held", ended.events, ended.held),
            Some(error) => format!("failed: {error}"),
        };
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "erasure.end", detail);
        tx.end_erasure(&erasure.id, &ended, &change).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn too_long() -> CaseworkError {
    CaseworkError::Invalid {
        field: "query",
        reason: format!("must be at most {QUERY_BYTES_MAX} bytes long"),
    }
}

fn check(wanted: &Retention) -> Result<(), CaseworkError> {
    let invalid = |field: &'static str, reason: String| CaseworkError::Invalid { field, reason };
    let is_right = |days: u32| (1..=DAYS_MAX).contains(&days);
    let range = || format!("must be 1 to {DAYS_MAX} days");
    if wanted.rules.len() > RULES_MAX {
        return Err(invalid("rules", format!("must be at most {RULES_MAX}")));
    }
    if !wanted.rules.iter().all(|rule| is_right(rule.days)) {
        return Err(invalid("rules.days", range()));
    }
    let is_blank = |source: &Option<String>| source.as_deref().is_some_and(|s| s.trim().is_empty());
    if wanted.rules.iter().any(|rule| is_blank(&rule.source)) {
        let reason = "must name sources, such as fw-*; leave it out for all".to_owned();
        return Err(invalid("rules.source", reason));
    }
    let last = wanted.rules.split_last().map_or(&[][..], |(_, rest)| rest);
    if last
        .iter()
        .any(|rule| rule.source.is_none() && rule.class_uid.is_none())
    {
        let reason = "a rule for all events hides those after it; put it last".to_owned();
        return Err(invalid("rules", reason));
    }
    if !wanted.default_days.is_none_or(is_right) {
        return Err(invalid("default_days", range()));
    }
    if !wanted.cold_after_days.is_none_or(is_right) {
        return Err(invalid("cold_after_days", range()));
    }
    Ok(())
}

/// For the audit log.
fn described(retention: &Retention) -> String {
    let rules = retention.rules.iter().map(|rule| {
        let source = rule.source.as_deref().unwrap_or("all sources");
        let class = rule.class_uid.map(|class| format!(" class {class}"));
        format!("{source}{}: {} days", class.unwrap_or_default(), rule.days)
    });
    let rest = match retention.default_days {
        Some(days) => format!("the rest: {days} days"),
        None => "the rest: for ever".to_owned(),
    };
    let cold = retention.cold_after_days;
    let cold = cold.map(|days| format!("cold after {days} days"));
    let parts: Vec<String> = rules.chain([rest]).chain(cold).collect();
    parts.join("; ")
}
