//! Who works on what with others: who looks at an incident now, and who was mentioned.
//!
//! Presence is kept in memory alone: it is of the moment, and each open page renews it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{Actor, IncidentId, Mention, Note, Permission, TenantId, mentioned_in};
use watchfloor_store::WriteTx;

use crate::{Casework, CaseworkError, LiveChange};

/// Somebody is there for so long after the page said so last; it says so three times as often.
const PRESENCE: SignedDuration = SignedDuration::from_secs(45);

/// Pages that are kept in mind.
const PAGES_MAX: usize = 10_000;

/// Mentions that are read.
const MENTIONS_MAX: u32 = 200;

/// Users that one note mentions.
const MENTIONED_MAX: usize = 20;

/// Who looks at which incident, and when their page said so last.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    pages: Mutex<BTreeMap<(TenantId, IncidentId, String), Timestamp>>,
}

impl Presence {
    /// Notes that somebody is there, or has gone; returns who is there, and whether that changed.
    fn note(
        &self,
        page: (TenantId, IncidentId, String),
        is_there: bool,
        now: Timestamp,
    ) -> (Vec<String>, bool) {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        let before = pages.len();
        pages.retain(|_, at| now.duration_since(*at) <= PRESENCE);
        let (tenant, incident) = (page.0.clone(), page.1.clone());
        let changed = if !is_there {
            pages.remove(&page).is_some()
        } else if pages.len() < PAGES_MAX || pages.contains_key(&page) {
            pages.insert(page, now).is_none()
        } else {
            false
        };
        let here = pages
            .keys()
            .filter(|one| one.0 == tenant && one.1 == incident);
        let names = here.map(|(_, _, name)| name.clone()).collect();
        (names, changed || pages.len() < before)
    }
}

impl Casework {
    /// Notes that the actor looks at an incident, or does no more. Returns who looks at it now.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn note_presence(
        &self,
        actor: &Actor,
        id: &IncidentId,
        is_there: bool,
    ) -> Result<Vec<String>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        reader.q().incident(id).await?;
        let page = (actor.tenant.clone(), id.clone(), actor.name.clone());
        let (names, changed) = self.presence().note(page, is_there, self.now());
        if changed {
            let tenant = actor.tenant.clone();
            self.tell(LiveChange::Presence(tenant, id.clone(), names.clone()));
        }
        Ok(names)
    }

    /// What mentions the actor, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn mentions(&self, actor: &Actor) -> Result<Vec<Mention>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().mentions_of(&actor.name, MENTIONS_MAX).await?)
    }

    /// Notes that the actor has seen what mentions them.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn see_mentions(&self, actor: &Actor) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        tx.see_mentions(&actor.name, self.now()).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps the mentions of users that a note holds. Returns their names; other names are text.
    pub(crate) async fn mention(
        &self,
        tx: &mut WriteTx,
        parent: &str,
        note: &Note,
    ) -> Result<Vec<String>, CaseworkError> {
        let mut mentioned = Vec::new();
        for name in mentioned_in(&note.text).into_iter().take(MENTIONED_MAX) {
            let known = tx.q().user_by_name(&name).await?;
            if let Some((user, _)) = known.filter(|(user, _)| !user.disabled) {
                tx.add_mention(&user.name, parent, note).await?;
                mentioned.push(user.name);
            }
        }
        Ok(mentioned)
    }

    pub(crate) fn tell_mentions(&self, tenant: &TenantId, names: Vec<String>, parent: &str) {
        for name in names {
            let change = LiveChange::Mention(tenant.clone(), name, parent.to_owned());
            self.tell(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presence_ends_when_it_is_not_renewed() {
        let presence = Presence::default();
        let page = |name: &str| {
            let incident = IncidentId::numbered(1);
            (TenantId::main(), incident, name.to_owned())
        };
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        assert_eq!(
            presence.note(page("ann"), true, at(0)),
            (vec!["ann".to_owned()], true)
        );
        let both = vec!["ann".to_owned(), "bob".to_owned()];
        assert_eq!(
            presence.note(page("bob"), true, at(10)),
            (both.clone(), true)
        );
        assert_eq!(presence.note(page("bob"), true, at(30)), (both, false));
        let (names, changed) = presence.note(page("bob"), true, at(60));
        assert_eq!((names, changed), (vec!["bob".to_owned()], true));
        assert_eq!(presence.note(page("bob"), false, at(61)), (vec![], true));
    }
}
