//! Kept questions: who sees and changes them, when they are asked, and what their answers raise.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use watchfloor_event::Finding;
use watchfloor_model::{
    Actor, ActorKind, Permission, SavedSearch, SearchAlarm, SearchId, SearchRun, SearchSchedule,
    SearchSharing,
};

use crate::error::checked_text;
use crate::{Casework, CaseworkError};

/// Longest name and description in bytes.
const NAME_BYTES_MAX: usize = 200;
const DESCRIPTION_BYTES_MAX: usize = 4_000;
/// Longest query in bytes, as of a search.
const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Most columns that tell alerts apart.
const KEY_MAX: usize = 8;
/// Longest time between two askings in minutes: a week.
const MINUTES_MAX: u32 = 7 * 24 * 60;
/// Questions that are asked in one go.
const DUE_MAX: u32 = 20;

/// What is to be kept.
#[derive(Clone, Debug)]
pub struct NewSearch {
    /// Its name.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// In any form of the hunt language; the caller checked that it can be read.
    pub query: String,
    /// The time that it looks back over.
    pub span: String,
    /// Who sees it.
    pub sharing: SearchSharing,
    /// Whether it stands on the first page.
    pub is_panel: bool,
    /// When it is asked by itself.
    pub schedule: Option<SearchSchedule>,
    /// When an answer is worth an alert.
    pub alarm: Option<SearchAlarm>,
}

/// The time that a span means: a number and `m`, `h` or `d`; `None` for all time.
///
/// # Errors
/// [`CaseworkError::Invalid`].
pub fn span_of(text: &str) -> Result<Option<SignedDuration>, CaseworkError> {
    if text == "all" {
        return Ok(None);
    }
    let invalid = || CaseworkError::Invalid {
        field: "span",
        reason: "write a number of minutes, hours or days such as 15m, 24h or 30d, or all"
            .to_owned(),
    };
    let unit = text.chars().last().ok_or_else(invalid)?;
    let number: i64 = text.trim_end_matches(unit).parse().map_err(|_| invalid())?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(invalid()),
    };
    if !(1..=100_000).contains(&number) {
        return Err(invalid());
    }
    Ok(Some(SignedDuration::from_secs(number * seconds)))
}

/// When a question is asked next after an instant.
pub fn next_run(schedule: &SearchSchedule, after: Timestamp) -> Option<Timestamp> {
    match schedule {
        SearchSchedule::Every { minutes } => after
            .saturating_add(SignedDuration::from_mins(i64::from(*minutes)))
            .ok(),
        SearchSchedule::Daily { minute, zone } => {
            let zone = TimeZone::get(zone).ok()?;
            let local = zone.to_datetime(after);
            let at = Time::new((minute / 60) as i8, (minute % 60) as i8, 0, 0).ok()?;
            let today = zone.to_timestamp(local.date().to_datetime(at)).ok()?;
            if today > after {
                return Some(today);
            }
            let tomorrow = local.date().checked_add(1.day()).ok()?;
            zone.to_timestamp(tomorrow.to_datetime(at)).ok()
        }
    }
}

/// When a question with a new schedule is asked first: at once, where it is asked every so
/// often, so that whoever made it sees how it goes.
fn first_run(schedule: &SearchSchedule, now: Timestamp) -> Option<Timestamp> {
    match schedule {
        SearchSchedule::Every { .. } => Some(now),
        SearchSchedule::Daily { .. } => next_run(schedule, now),
    }
}

impl Casework {
    /// The kept questions that an actor sees, by name.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn searches(&self, actor: &Actor) -> Result<Vec<SavedSearch>, CaseworkError> {
        self.authorize(actor, Permission::ReadEvents)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().searches(&owner_of(actor)).await?)
    }

    /// One kept question. What an actor may not see is not there for it.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn search(&self, actor: &Actor, id: &SearchId) -> Result<SavedSearch, CaseworkError> {
        self.authorize(actor, Permission::ReadEvents)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        seen(actor, id, reader.q().search(id).await?)
    }

    /// Keeps a question.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_search(
        &self,
        actor: &Actor,
        new: NewSearch,
    ) -> Result<SavedSearch, CaseworkError> {
        let new = self.checked(actor, new)?;
        let now = self.now();
        let mut tx = self.store().write(&actor.tenant).await?;
        let search = SavedSearch {
            id: SearchId::numbered(tx.next_number("search").await?),
            next_run_at: new.schedule.as_ref().and_then(|one| first_run(one, now)),
            name: new.name,
            description: new.description,
            query: new.query,
            span: new.span,
            sharing: new.sharing,
            owner: owner_of(actor),
            created_by: actor.name.clone(),
            created_at: now,
            updated_at: now,
            is_panel: new.is_panel,
            schedule: new.schedule,
            alarm: new.alarm,
            last_run: None,
            version: 1,
        };
        let change = self.change(actor, "search.create", search.name.clone());
        tx.save_search(&search, &change).await?;
        tx.commit().await?;
        Ok(search)
    }

    /// Changes a kept question.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn change_search(
        &self,
        actor: &Actor,
        id: &SearchId,
        new: NewSearch,
        expected: Option<u64>,
    ) -> Result<SavedSearch, CaseworkError> {
        let new = self.checked(actor, new)?;
        let now = self.now();
        let mut tx = self.store().write(&actor.tenant).await?;
        let known = seen(actor, id, tx.q().search(id).await?)?;
        may_change(actor, &known)?;
        if let Some(expected) = expected
            && expected != known.version
        {
            return Err(CaseworkError::VersionConflict {
                kind: "saved search",
                id: id.to_string(),
                expected,
                current: known.version,
            });
        }
        let next_run_at = match &new.schedule {
            schedule if *schedule == known.schedule => known.next_run_at,
            schedule => schedule.as_ref().and_then(|one| first_run(one, now)),
        };
        let search = SavedSearch {
            name: new.name,
            description: new.description,
            query: new.query,
            span: new.span,
            sharing: new.sharing,
            is_panel: new.is_panel,
            schedule: new.schedule,
            alarm: new.alarm,
            updated_at: now,
            next_run_at,
            version: known.version + 1,
            ..known
        };
        let change = self.change(actor, "search.change", search.name.clone());
        tx.save_search(&search, &change).await?;
        tx.commit().await?;
        Ok(search)
    }

    /// Forgets a kept question.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn remove_search(&self, actor: &Actor, id: &SearchId) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ReadEvents)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let known = seen(actor, id, tx.q().search(id).await?)?;
        may_change(actor, &known)?;
        let change = self.change(actor, "search.remove", known.name);
        tx.remove_search(id, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Questions that are to be asked by now.
    ///
    /// # Errors
    /// [`CaseworkError::Store`].
    pub async fn due_searches(&self) -> Result<Vec<SavedSearch>, CaseworkError> {
        let mut reader = self.store().read(&self.settings().tenant).await?;
        Ok(reader.q().due_searches(self.now(), DUE_MAX).await?)
    }

    /// Notes how asking went, and takes what the answer raised into the queue. The next asking
    /// is counted from now, so that a slow question never asks without a pause.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn note_search_run(
        &self,
        search: &SavedSearch,
        mut run: SearchRun,
        findings: Vec<Finding>,
    ) -> Result<SearchRun, CaseworkError> {
        let taken = self.take_late_findings(findings).await?;
        run.alerts = taken.alerts + taken.repeats;
        let next = search
            .schedule
            .as_ref()
            .and_then(|one| next_run(one, self.now()));
        let mut tx = self.store().write(&self.settings().tenant).await?;
        tx.save_search_run(&search.id, &run, next).await?;
        tx.commit().await?;
        Ok(run)
    }

    fn checked(&self, actor: &Actor, new: NewSearch) -> Result<NewSearch, CaseworkError> {
        self.authorize(actor, Permission::ReadEvents)?;
        // What others see, what runs by itself and what fills their queue is work on cases.
        if new.sharing == SearchSharing::Tenant || new.schedule.is_some() {
            self.authorize(actor, Permission::WorkCases)?;
        }
        span_of(&new.span)?;
        check_schedule(&new)?;
        if new.query.len() > QUERY_BYTES_MAX {
            return Err(invalid("query", "must be at most 16 KiB"));
        }
        if new.description.len() > DESCRIPTION_BYTES_MAX {
            return Err(invalid("description", "must be at most 4,000 bytes"));
        }
        Ok(NewSearch {
            name: checked_text("name", &new.name, NAME_BYTES_MAX)?,
            description: new.description.trim().to_owned(),
            ..new
        })
    }
}

fn invalid(field: &'static str, reason: &str) -> CaseworkError {
    CaseworkError::Invalid {
        field,
        reason: reason.to_owned(),
    }
}

fn check_schedule(new: &NewSearch) -> Result<(), CaseworkError> {
    match &new.schedule {
        Some(SearchSchedule::Every { minutes }) if !(1..=MINUTES_MAX).contains(minutes) => {
            return Err(invalid("schedule", "asks every 1 to 10,080 minutes"));
        }
        Some(SearchSchedule::Daily { minute, .. }) if *minute >= 1440 => {
            return Err(invalid("schedule", "minutes of the day go from 0 to 1439"));
        }
        Some(SearchSchedule::Daily { zone, .. }) if TimeZone::get(zone).is_err() => {
            return Err(invalid(
                "schedule",
                "names no time zone of the IANA database",
            ));
        }
        Some(_) | None => {}
    }
    if let Some(alarm) = &new.alarm {
        if new.schedule.is_none() {
            return Err(invalid(
                "alarm",
                "needs a schedule: it looks at answers that come by themselves",
            ));
        }
        if alarm.rows == 0 {
            return Err(invalid("alarm", "needs at least one row"));
        }
        if alarm.key.len() > KEY_MAX || alarm.key.iter().any(|name| name.trim().is_empty()) {
            return Err(invalid("alarm", "names at most 8 columns"));
        }
    }
    Ok(())
}

/// What stands for an actor in what it made; names can be given again, ids cannot.
fn owner_of(actor: &Actor) -> String {
    match &actor.kind {
        ActorKind::Session { user, .. } => user.to_string(),
        ActorKind::Token(token) => token.to_string(),
        ActorKind::System => "system".to_owned(),
    }
}

fn seen(
    actor: &Actor,
    id: &SearchId,
    found: Option<SavedSearch>,
) -> Result<SavedSearch, CaseworkError> {
    let is_seen = |search: &SavedSearch| {
        search.sharing == SearchSharing::Tenant || search.owner == owner_of(actor)
    };
    found.filter(is_seen).ok_or_else(|| CaseworkError::Missing {
        kind: "saved search",
        id: id.to_string(),
    })
}

/// Whoever made it, and those who manage rules.
fn may_change(actor: &Actor, search: &SavedSearch) -> Result<(), CaseworkError> {
    if search.owner == owner_of(actor) || actor.may(Permission::ManageRules) {
        return Ok(());
    }
    Err(CaseworkError::Forbidden {
        permission: Permission::ManageRules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_when_they_should_be() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let every = SearchSchedule::Every { minutes: 15 };
        assert_eq!(
            next_run(&every, at("2026-03-02T12:00:00Z")),
            Some(at("2026-03-02T12:15:00Z"))
        );
        let daily = |minute, zone: &str| SearchSchedule::Daily {
            minute,
            zone: zone.to_owned(),
        };
        let berlin = daily(6 * 60, "Europe/Berlin");
        assert_eq!(
            next_run(&berlin, at("2026-03-02T04:00:00Z")),
            Some(at("2026-03-02T05:00:00Z"))
        );
        assert_eq!(
            next_run(&berlin, at("2026-03-02T05:00:00Z")),
            Some(at("2026-03-03T05:00:00Z"))
        );
        // The clocks go forward in the night of 29 March: six in the morning comes an hour sooner.
        assert_eq!(
            next_run(&berlin, at("2026-03-28T12:00:00Z")),
            Some(at("2026-03-29T04:00:00Z"))
        );
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(
            span_of("24h").unwrap(),
            Some(SignedDuration::from_hours(24))
        );
        assert_eq!(span_of("all").unwrap(), None);
        for bad in ["", "h", "5", "0m", "-1h", "1y", "99999999d"] {
            assert!(span_of(bad).is_err(), "{bad}");
        }
    }
}
