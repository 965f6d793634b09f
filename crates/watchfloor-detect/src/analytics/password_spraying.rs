//! `password_spraying`: a few failed log-ons at each of many accounts from one source.
//!
//! Accounts that were tried more often than the rule allows do not count: that is guessing at
//! one account, for which a correlation is enough. A success at one of the accounts afterwards is
//! told of in a finding of its own, one level higher.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use watchfloor_event::{Entity, EntityKind};
use watchfloor_rules::PasswordSpraying;

use super::conclusion::{Conclusion, Evidence, Id};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Most attempts kept of one source; the oldest give way.
const MAX_ATTEMPTS: usize = 10_000;
/// Accounts that a reason names.
const MAX_NAMED: usize = 10;

/// What is kept of a source.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// By time.
    attempts: VecDeque<Attempt>,
    /// Failures among them by account; counted anew after state was taken up.
    #[serde(skip)]
    failures: Option<BTreeMap<String, usize>>,
    parties: Evidence,
    /// The accounts of the spraying that was told of last.
    sprayed: BTreeSet<String>,
    quiet_until_us: Option<i64>,
    /// Accounts whose success was told of.
    entered: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Attempt {
    time_us: i64,
    user: String,
    event: Id,
    success: bool,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.attempts.len() + self.sprayed.len()
    }
}

pub(super) fn take(
    rule: &PasswordSpraying,
    groups: &mut Groups<Group>,
    ctx: &Ctx<'_>,
    sighting: &Sighting<'_>,
) -> Option<Conclusion> {
    let attempt = Attempt {
        time_us: sighting.time_us,
        user: sighting.field(&rule.user)?.to_lowercase(),
        event: Id(sighting.event()),
        success: rule.success == Some(ctx.place),
    };
    groups.with(ctx.group(), sighting.time_us, ctx.horizon_us, |group| {
        group.take(rule, ctx, sighting, attempt)
    })
}

impl Group {
    fn take(
        &mut self,
        rule: &PasswordSpraying,
        ctx: &Ctx<'_>,
        sighting: &Sighting<'_>,
        attempt: Attempt,
    ) -> Option<Conclusion> {
        let now_us = attempt.time_us;
        self.count_failures();
        self.forget(ctx.horizon_us);
        let at = self
            .attempts
            .partition_point(|other| other.time_us <= now_us);
        let user = attempt.user.clone();
        let success = attempt.success;
        if !success {
            let failures = self.failures.get_or_insert_default();
            *failures.entry(user.clone()).or_insert(0) += 1;
        }
        self.attempts.insert(at, attempt);
        self.parties.note_entities(sighting.entities);
        let is_quiet = self.quiet_until_us.is_some_and(|until| now_us < until);
        match (success, is_quiet) {
            (true, true) => self.entered_by(ctx, &user, now_us),
            (true, false) => None,
            (false, true) => {
                // The spraying that was told of goes on at this account.
                if self.sprayed.len() < MAX_ATTEMPTS {
                    self.sprayed.insert(user);
                }
                None
            }
            // Where too few accounts failed at all, no window holds enough of them.
            (false, false) if self.failed_accounts() < rule.min_accounts => None,
            (false, false) => self.spraying(rule, ctx, at),
        }
    }

    fn failed_accounts(&self) -> u64 {
        self.failures.as_ref().map_or(0, BTreeMap::len) as u64
    }

    fn count_failures(&mut self) {
        if self.failures.is_some() {
            return;
        }
        let mut failures = BTreeMap::new();
        for attempt in self.attempts.iter().filter(|attempt| !attempt.success) {
            *failures.entry(attempt.user.clone()).or_insert(0) += 1;
        }
        self.failures = Some(failures);
    }

    /// Drops attempts that are too old or too many.
    fn forget(&mut self, horizon_us: i64) {
        while let Some(oldest) = self.attempts.front() {
            if self.attempts.len() < MAX_ATTEMPTS && oldest.time_us >= horizon_us {
                return;
            }
            if let Some(failures) = self.failures.as_mut().filter(|_| !oldest.success)
                && let Some(count) = failures.get_mut(&oldest.user)
            {
                *count -= 1;
                if *count == 0 {
                    failures.remove(&oldest.user);
                }
            }
            self.attempts.pop_front();
        }
    }

    /// Looks at each window that holds the attempt at a place and ends with an attempt.
    fn spraying(
        &mut self,
        rule: &PasswordSpraying,
        ctx: &Ctx<'_>,
        at: usize,
    ) -> Option<Conclusion> {
        let now_us = self.attempts.get(at)?.time_us;
        let first_us = now_us.saturating_sub(ctx.timespan_us);
        let mut start = self
            .attempts
            .partition_point(|other| other.time_us < first_us);
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut found = None;
        for (end, attempt) in self.attempts.iter().enumerate().skip(start) {
            if attempt.time_us > now_us.saturating_add(ctx.timespan_us) {
                break;
            }
            if !attempt.success {
                *counts.entry(attempt.user.as_str()).or_insert(0) += 1;
            }
            while self
                .attempts
                .get(start)
                .is_some_and(|one| attempt.time_us - one.time_us > ctx.timespan_us)
            {
                let left = &self.attempts[start];
                if let Some(count) = counts.get_mut(left.user.as_str()).filter(|_| !left.success) {
                    *count -= 1;
                }
                start += 1;
            }
            if end < at {
                continue;
            }
            let few = |count: &&u64| **count > 0 && **count <= rule.max_attempts;
            if counts.values().filter(few).count() as u64 >= rule.min_accounts {
                found = Some((start, end));
                break;
            }
        }
        let (start, end) = found?;
        Some(self.conclude(rule, ctx, start, end))
    }

    fn conclude(
        &mut self,
        rule: &PasswordSpraying,
        ctx: &Ctx<'_>,
        start: usize,
        end: usize,
    ) -> Conclusion {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let window: Vec<Attempt> = self.attempts.range(start..=end).cloned().collect();
        for attempt in window.iter().filter(|attempt| !attempt.success) {
            *counts.entry(attempt.user.as_str()).or_insert(0) += 1;
        }
        counts.retain(|_, count| *count <= rule.max_attempts);
        let accounts: BTreeSet<String> = counts.keys().map(|user| (*user).to_owned()).collect();
        let most = counts.values().copied().max().unwrap_or(0);
        let mut evidence = self.parties.clone();
        let mut failures = 0;
        for attempt in &window {
            if accounts.contains(&attempt.user) {
                evidence.event(attempt.time_us, attempt.event.0);
                failures += u64::from(!attempt.success);
            }
        }
        evidence.note_entities(&users(&accounts));
        let end_us = window.last().map_or(0, |last| last.time_us);
        self.quiet_until_us = Some(end_us.saturating_add(ctx.timespan_us));
        self.entered.clear();
        self.sprayed.clone_from(&accounts);
        let entered: Vec<String> = accounts
            .iter()
            .filter(|user| after_a_failure(&window, user, end_us))
            .cloned()
            .collect();
        self.entered.extend(entered.iter().cloned());
        let (number, span) = (accounts.len() as u64, words::span(ctx.timespan_us));
        let success = if entered.is_empty() {
            String::new()
        } else {
            format!(", and logged on as {}", named(entered.iter()))
        };
        Conclusion {
            sentence: format!(
                "{} failed to log on as {} with {} within {span}, {} at each at most{success}",
                ctx.who(),
                words::many(number, "account"),
                words::many(failures, "attempt"),
                words::many(most, "attempt"),
            ),
            reasons: vec![
                (
                    "accounts".to_owned(),
                    number.to_string(),
                    format!("at least {} within {span}", rule.min_accounts),
                ),
                (
                    "attempts at one account".to_owned(),
                    most.to_string(),
                    format!("at most {}", rule.max_attempts),
                ),
                (
                    rule.user.clone(),
                    named(accounts.iter()),
                    "accounts that were tried".to_owned(),
                ),
            ],
            raised: !entered.is_empty(),
            evidence,
        }
    }

    /// A success at an account that was sprayed.
    fn entered_by(&mut self, ctx: &Ctx<'_>, user: &str, now_us: i64) -> Option<Conclusion> {
        let attempts: Vec<Attempt> = self.attempts.iter().cloned().collect();
        if !self.sprayed.contains(user)
            || !after_a_failure(&attempts, user, now_us)
            || !self.entered.insert(user.to_owned())
        {
            return None;
        }
        let mut evidence = self.parties.clone();
        let of_user = |attempt: &&Attempt| attempt.user == user && attempt.time_us <= now_us;
        let mut failures = 0;
        for attempt in attempts.iter().filter(of_user) {
            evidence.event(attempt.time_us, attempt.event.0);
            failures += u64::from(!attempt.success);
        }
        evidence.note_entities(&users(&BTreeSet::from([user.to_owned()])));
        let accounts = words::many(self.sprayed.len() as u64, "account");
        Some(Conclusion {
            sentence: format!(
                "{} logged on as {} after trying {accounts}, this one {}",
                ctx.who(),
                words::piece(user),
                words::many(failures, "time"),
            ),
            reasons: vec![
                (
                    "success".to_owned(),
                    user.to_owned(),
                    format!("at {}, after a failure at it", words::time(now_us)),
                ),
                (
                    "accounts".to_owned(),
                    self.sprayed.len().to_string(),
                    "tried by the spraying that was told of before".to_owned(),
                ),
            ],
            evidence,
            raised: true,
        })
    }
}

/// Whether an account has a success, up to that time, after a failure.
fn after_a_failure(attempts: &[Attempt], user: &str, until_us: i64) -> bool {
    let of_user = |attempt: &&Attempt| attempt.user == user && attempt.time_us <= until_us;
    let mut failed = false;
    for attempt in attempts.iter().filter(of_user) {
        if attempt.success && failed {
            return true;
        }
        failed |= !attempt.success;
    }
    false
}

fn users(accounts: &BTreeSet<String>) -> Vec<Entity> {
    let entity = |user: &String| Entity {
        kind: EntityKind::User,
        value: user.clone(),
        role: "target".to_owned(),
    };
    accounts.iter().map(entity).collect()
}

fn named<'a>(users: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = users.len().saturating_sub(MAX_NAMED);
    let names: Vec<String> = users
        .take(MAX_NAMED)
        .map(|user| words::piece(user))
        .collect();
    let names = names.join(", ");
    if more > 0 {
        format!("{names} and {more} more")
    } else {
        names
    }
}
