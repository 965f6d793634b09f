//! Merging and splitting incidents.

use watchfloor_model::{
    Actor, AlertId, Attachment, Incident, IncidentId, IncidentStatus, Permission, Verdict,
};
use watchfloor_store::WriteTx;

use crate::alerts::with_reason;
use crate::findings::redraw_saved;
use crate::{Casework, CaseworkError};

/// Most incidents merged, or alerts split, by one call.
const MERGE_MAX: usize = 1_000;

/// Reasons kept per attachment when incidents are merged over and over.
const REASONS_MAX: usize = 6;

impl Casework {
    /// Merges incidents into one.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn merge_incidents(
        &self,
        actor: &Actor,
        into: &IncidentId,
        from: &[IncidentId],
        why: Option<&str>,
        expected: Option<u64>,
    ) -> Result<Incident, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        if from.is_empty() || from.len() > MERGE_MAX || from.contains(into) {
            return Err(CaseworkError::Invalid {
                field: "from",
                reason: "must hold other incidents, at most 1,000".to_owned(),
            });
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let home = tx.q().incident(into).await?;
        crate::alerts::check_version("incident", into.as_str(), home.version, expected)?;
        refuse_merged(&home)?;
        let mut moved: Vec<AlertId> = Vec::new();
        for id in from {
            let incident = tx.q().incident(id).await?;
            refuse_merged(&incident)?;
            tx.let_join(id, into).await?;
            let reason = with_reason(format!("merged by {}", actor.name), why);
            moved.extend(
                self.fold_into(&mut tx, actor, incident, &home, &reason)
                    .await?,
            );
        }
        let detail = with_reason("other incidents were merged in".to_owned(), why);
        let change = self.change(actor, "incident.merge", detail);
        let home = redraw_saved(&mut tx, into, &change).await?;
        let alerts = tx.q().alerts_of(into).await?;
        tx.commit().await?;
        for alert in alerts.iter().filter(|alert| moved.contains(&alert.id)) {
            self.tell_alert(&actor.tenant, alert);
        }
        self.tell_incident(&actor.tenant, &home);
        Ok(home)
    }

    /// Moves everything of one incident into another. Returns the alerts that moved.
    pub(crate) async fn fold_into(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        mut incident: Incident,
        home: &Incident,
        reason: &str,
    ) -> Result<Vec<AlertId>, CaseworkError> {
        let sentence = format!(
            "incident #{} was merged into #{}: {reason}",
            incident.number, home.number
        );
        let mut moved = Vec::new();
        for mut alert in tx.q().alerts_of(&incident.id).await? {
            let change = self.change(actor, "alert.attach", sentence.clone());
            let mut reasons = alert.attachment.take().map_or_else(Vec::new, |a| a.reasons);
            reasons.push(sentence.clone());
            reasons.truncate(REASONS_MAX);
            alert.attachment = Some(Attachment {
                incident_id: home.id.clone(),
                reasons,
            });
            alert.version += 1;
            alert.updated_at = change.at;
            tx.let_in(&alert.id, &home.id).await?;
            tx.save_alert(&alert, &change).await?;
            moved.push(alert.id);
        }
        tx.move_work(&incident.id, &home.id).await?;
        let change = self.change(actor, "incident.merge", sentence);
        // A merged incident is closed in itself; what it was lives on in the other.
        incident.status = IncidentStatus::Closed;
        incident.verdict.get_or_insert(Verdict::Inconclusive);
        incident.merged_into = Some(home.id.clone());
        incident.version += 1;
        incident.updated_at = change.at;
        tx.save_incident(&incident, &change).await?;
        tx.record(&change, home.id.as_str()).await?;
        Ok(moved)
    }

    /// Takes alerts out into an incident of their own; the two are not merged again
    /// automatically.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn split_incident(
        &self,
        actor: &Actor,
        id: &IncidentId,
        alert_ids: &[AlertId],
        why: Option<&str>,
        expected: Option<u64>,
    ) -> Result<Incident, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let incident = tx.q().incident(id).await?;
        crate::alerts::check_version("incident", id.as_str(), incident.version, expected)?;
        refuse_merged(&incident)?;
        let belongs = |alert: &AlertId| incident.alert_ids.contains(alert);
        if alert_ids.is_empty() || alert_ids.len() > MERGE_MAX || !alert_ids.iter().all(belongs) {
            return Err(CaseworkError::Invalid {
                field: "alert_ids",
                reason: "must hold alerts of this incident".to_owned(),
            });
        }
        let mut alerts = Vec::new();
        for alert in alert_ids {
            alerts.push(tx.q().alert(alert).await?);
        }
        let (new, left) = self.attach_all(&mut tx, actor, alerts, None, why).await?;
        let detail = format!("#{} was split off from #{}", new.number, incident.number);
        let detail = with_reason(detail, why);
        let change = self.change(actor, "incident.split", detail);
        tx.keep_apart(id, &new.id, &change).await?;
        tx.record(&change, id.as_str()).await?;
        tx.record(&change, new.id.as_str()).await?;
        let alerts = tx.q().alerts_of(&new.id).await?;
        tx.commit().await?;
        for alert in &alerts {
            self.tell_alert(&actor.tenant, alert);
        }
        for incident in left.iter().chain([&new]) {
            self.tell_incident(&actor.tenant, incident);
        }
        Ok(new)
    }
}

fn refuse_merged(incident: &Incident) -> Result<(), CaseworkError> {
    match &incident.merged_into {
        Some(into) => Err(CaseworkError::Invalid {
            field: "id",
            reason: format!("{} was merged into {into}", incident.id),
        }),
        None => Ok(()),
    }
}
