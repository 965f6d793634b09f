//! Playbooks: which there are, and what is wrong with them.

mod runs;
mod session;
mod trial;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use watchfloor_model::{Actor, Permission, PlaybookRecord};
use watchfloor_playbook::{
    Fault, Gravity, Playbook, StepKind, call_faults, check, read, take_secrets,
};
use watchfloor_store::Queries;

use crate::alerts::check_version;
use crate::response::invalid;
use crate::{Casework, CaseworkError};

pub use runs::{RunDetail, StepAnswer};
pub use trial::{TrialAction, TrialRun, TrialStep};

/// Owner of the secrets that playbooks refer to.
const SECRETS_OWNER: &str = "playbooks";

/// A playbook with what is wrong with it.
#[derive(Clone, Debug)]
pub struct CheckedPlaybook {
    /// The playbook.
    pub record: PlaybookRecord,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// Reads and checks a document by itself.
pub(crate) fn read_and_check(document: &[u8]) -> (Option<Playbook>, Vec<Fault>) {
    let (playbook, mut faults) = read(document);
    if let Some(playbook) = &playbook {
        faults.extend(check(playbook));
    }
    (playbook, faults)
}

fn has_errors(faults: &[Fault]) -> bool {
    faults.iter().any(|fault| fault.gravity == Gravity::Error)
}

impl Casework {
    /// All playbooks, by name.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn playbooks(&self, actor: &Actor) -> Result<Vec<PlaybookRecord>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().playbooks().await?)
    }

    /// One playbook, with what is wrong with it.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn playbook(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<CheckedPlaybook, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let record = record_of(&mut reader.q(), id).await?;
        let faults = all_faults(&mut reader.q(), record.document.as_bytes())
            .await?
            .1;
        Ok(CheckedPlaybook { record, faults })
    }

    /// Checks a document without keeping it.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn check_playbook(
        &self,
        actor: &Actor,
        document: &[u8],
    ) -> Result<Vec<Fault>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(all_faults(&mut reader.q(), document).await?.1)
    }

    /// Keeps a playbook, new or changed, by the id in the document. One with faults is kept as a
    /// draft and cannot be run. Secrets that stand in it are sealed, and a reference stays.
    ///
    /// # Errors
    /// [`CaseworkError`]; a document that is no playbook at all is refused.
    pub async fn save_playbook(
        &self,
        actor: &Actor,
        document: &[u8],
        expected: Option<u64>,
    ) -> Result<CheckedPlaybook, CaseworkError> {
        self.authorize(actor, Permission::ManagePlaybooks)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let (playbook, faults) = all_faults(&mut tx.q(), document).await?;
        let Some(mut playbook) = playbook.filter(|one| one.id.starts_with("playbook--")) else {
            let first = faults
                .first()
                .map_or("it is no playbook".to_owned(), ToString::to_string);
            return Err(invalid("document", first));
        };
        let mut secrets = Vec::new();
        take_secrets(&mut playbook.document, &mut |name, secret| {
            secrets.push((name.to_owned(), secret.to_owned()));
        });
        let known = tx.q().playbook(&playbook.id).await?;
        let version = known.as_ref().map_or(0, |one| one.version);
        if known.is_some() || expected.is_some() {
            check_version("playbook", &playbook.id, version, expected)?;
        }
        for (name, secret) in &secrets {
            let sealed = self.vault()?.seal(SECRETS_OWNER, name, secret);
            let sealed = sealed.map_err(|_| CaseworkError::System { what: "sealing" })?;
            tx.save_secret(SECRETS_OWNER, name, &sealed).await?;
        }
        let record = PlaybookRecord {
            id: playbook.id.clone(),
            name: playbook.name.chars().take(200).collect(),
            description: playbook.description.chars().take(4_000).collect(),
            document: playbook.document.to_string(),
            is_built_in: false,
            is_runnable: !has_errors(&faults),
            changed_by: actor.name.clone(),
            changed_at: self.now(),
            version: version + 1,
        };
        let verb = if known.is_some() {
            "playbook.change"
        } else {
            "playbook.create"
        };
        let sealed = match secrets.len() {
            0 => String::new(),
            count => format!("; {count} secrets sealed"),
        };
        let change = self.change(actor, verb, format!("{}{sealed}", record.name));
        tx.save_playbook(&record, &change).await?;
        tx.commit().await?;
        Ok(CheckedPlaybook { record, faults })
    }

    /// Forgets a playbook; its runs stay.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn remove_playbook(&self, actor: &Actor, id: &str) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManagePlaybooks)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let record = record_of(&mut tx.q(), id).await?;
        let change = self.change(actor, "playbook.remove", record.name);
        tx.remove_playbook(id, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps the playbooks that come with the program. What a person changed stays as it is.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn install_playbooks(&self, documents: &[String]) -> Result<(), CaseworkError> {
        let actor = Actor::system(self.settings().tenant.clone());
        for document in documents {
            let (playbook, faults) = read_and_check(document.as_bytes());
            let Some(playbook) = playbook else {
                continue;
            };
            let mut tx = self.store().write(&actor.tenant).await?;
            let known = tx.q().playbook(&playbook.id).await?;
            let text = playbook.document.to_string();
            let is_due = known
                .as_ref()
                .is_none_or(|one| one.is_built_in && one.document != text);
            if !is_due {
                continue;
            }
            let record = PlaybookRecord {
                id: playbook.id.clone(),
                name: playbook.name,
                description: playbook.description,
                document: text,
                is_built_in: true,
                is_runnable: !has_errors(&faults),
                changed_by: actor.name.clone(),
                changed_at: self.now(),
                version: known.map_or(1, |one| one.version + 1),
            };
            let change = self.change(&actor, "playbook.install", record.name.clone());
            tx.save_playbook(&record, &change).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}

pub(crate) async fn record_of(
    queries: &mut Queries<'_>,
    id: &str,
) -> Result<PlaybookRecord, CaseworkError> {
    queries
        .playbook(id)
        .await?
        .ok_or_else(|| CaseworkError::Missing {
            kind: "playbook",
            id: id.to_owned(),
        })
}

/// Faults of a document, calls of other playbooks among them.
async fn all_faults(
    queries: &mut Queries<'_>,
    document: &[u8],
) -> Result<(Option<Playbook>, Vec<Fault>), CaseworkError> {
    let (playbook, mut faults) = read_and_check(document);
    if let Some(playbook) = &playbook {
        let calls = calls_of(playbook);
        if !calls.is_empty() {
            let known = call_map(queries, calls).await?;
            faults.extend(call_faults(playbook, &|id| known.get(id).cloned()));
        }
    }
    Ok((playbook, faults))
}

fn calls_of(playbook: &Playbook) -> Vec<String> {
    let calls = playbook.steps.values().filter_map(|step| match &step.kind {
        StepKind::PlaybookAction { playbook_id, .. } => Some(playbook_id.clone()),
        _ => None,
    });
    calls.collect()
}

/// Which playbooks the called ones call, as far as they are here.
async fn call_map(
    queries: &mut Queries<'_>,
    first: Vec<String>,
) -> Result<BTreeMap<String, Vec<String>>, CaseworkError> {
    let mut found = BTreeMap::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = first;
    while let Some(id) = open.pop() {
        if !seen.insert(id.clone()) {
            continue;
        }
        if let Some(record) = queries.playbook(&id).await?
            && let (Some(playbook), _) = read(record.document.as_bytes())
        {
            let calls = calls_of(&playbook);
            open.extend(calls.iter().cloned());
            found.insert(id, calls);
        }
    }
    Ok(found)
}
