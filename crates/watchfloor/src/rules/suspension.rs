//! Rules that cost more than their budget: suspended, reported, and caught up with over the lake
//! once they run again.
//!
//! From the position at which a rule was suspended to the one at which it is back, the lake
//! holds what it missed. The run over it makes findings with the ids that the stream would have
//! given them, so an event at the edges that both judged makes one finding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use watchfloor_api::ports::{RuleState, RuleSuspension, StatusError};
use watchfloor_casework::RuleNotice;
use watchfloor_detect::{Company, Detector};
use watchfloor_event::Finding;
use watchfloor_lake::RecordScope;
use watchfloor_model::Actor;
use watchfloor_pipeline::RetroLimits;
use watchfloor_rules::RuleSet;

use super::desk::Desk;

/// Longest wait before a rule is tried again.
const MAX_COOL_DOWN: SignedDuration = SignedDuration::from_hours(24);
/// Wait before what a suspended rule missed is tried again after it failed.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// What a rule may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Budget {
    /// Microseconds per event of its log sources.
    pub us_per_event: f64,
    /// How long it is suspended the first time; each further time twice as long.
    pub cool_down: SignedDuration,
}

impl Budget {
    /// 20 µs per event: at 2,500 events a second of its log sources, one rule would take 5 % of
    /// a core.
    pub(crate) const STANDARD: Self = Self {
        us_per_event: 20.0,
        cool_down: SignedDuration::from_hours(1),
    };
}

/// A rule that is not evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suspension {
    pub since: Timestamp,
    pub reason: String,
    /// Who suspended it.
    pub by: String,
    /// When it is tried again; `None` if only a person takes it up again.
    pub until: Option<Timestamp>,
    /// Journal position before the first event that it missed.
    pub position: u64,
    /// The text that was too costly: another one is tried at once.
    pub version: String,
    /// How often in a row.
    pub times: u32,
}

/// Events that a rule has still to see.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CatchUp {
    pub rule: String,
    pub from: u64,
    /// Since when it was not evaluated.
    pub since: Timestamp,
    /// Position after the last event that it missed; `None` until every event meets it again.
    pub to: Option<u64>,
    /// Replacement of rules that takes it up again, in this process.
    #[serde(skip)]
    pub replacement: Option<u64>,
}

/// Suspensions and what is to be caught up with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suspensions {
    /// By rule.
    #[serde(default)]
    pub suspended: BTreeMap<String, Suspension>,
    #[serde(default)]
    pub catch_up: Vec<CatchUp>,
    /// How often each rule was suspended, for as long as its text stays: id to version and times.
    #[serde(default)]
    pub times: BTreeMap<String, (String, u32)>,
}

impl Suspensions {
    /// Takes suspended rules out of a set.
    pub(crate) fn take_out(&self, set: &mut RuleSet) {
        set.rules
            .retain(|rule| !self.suspended.contains_key(&rule.meta.id));
        set.correlations
            .retain(|one| !self.suspended.contains_key(&one.meta.id));
        set.analytics
            .retain(|one| !self.suspended.contains_key(&one.meta.id));
    }

    /// How a rule stands, if not as its file has it.
    pub(crate) fn state(&self, rule: &str) -> Option<RuleState> {
        if self.suspended.contains_key(rule) {
            return Some(RuleState::Suspended);
        }
        let mut catching_up = self.catch_up.iter();
        catching_up
            .any(|one| one.rule == rule)
            .then_some(RuleState::CatchingUp)
    }

    /// A rule's suspension as the API shows it.
    pub(crate) fn shown(&self, rule: &str) -> Option<RuleSuspension> {
        self.suspended.get(rule).map(|one| RuleSuspension {
            since: one.since,
            reason: one.reason.clone(),
            by: one.by.clone(),
            until: one.until,
        })
    }

    /// Lifts a suspension; what the rule missed is to be caught up with.
    fn lift(&mut self, rule: &str) -> Option<Suspension> {
        let lifted = self.suspended.remove(rule)?;
        self.catch_up.push(CatchUp {
            rule: rule.to_owned(),
            from: lifted.position,
            since: lifted.since,
            to: None,
            replacement: None,
        });
        Some(lifted)
    }

    /// Lifts the suspensions of rules whose text is another now.
    pub(crate) fn lift_changed(&mut self, versions: &BTreeMap<&str, &str>) -> Vec<String> {
        let changed: Vec<String> = self
            .suspended
            .iter()
            .filter(|(rule, one)| {
                let now = versions.get(rule.as_str());
                now.is_some_and(|version| *version != one.version)
            })
            .map(|(rule, _)| rule.clone())
            .collect();
        for rule in &changed {
            self.lift(rule);
        }
        changed
    }

    fn next_times(&mut self, rule: &str, version: &str) -> u32 {
        let entry = self.times.entry(rule.to_owned()).or_default();
        if entry.0 != version {
            *entry = (version.to_owned(), 0);
        }
        entry.1 = entry.1.saturating_add(1);
        entry.1
    }
}

impl Desk {
    /// Suspends rules over their budget, takes up those whose time has come, and starts to catch
    /// up with what they missed.
    pub(super) fn mind_budgets(&self) {
        let now = Timestamp::now();
        let budget = self.budget();
        let costs = self.pipeline().costs().read();
        for (rule, cost) in costs {
            let us = cost.ns_per_event / 1000.0;
            if cost.is_settled() && us > budget.us_per_event {
                let reason = format!(
                    "cost {us:.0} µs per event, more than its budget of {:.0} µs",
                    budget.us_per_event
                );
                let times = self.times_suspended(&rule);
                let wait = budget.cool_down.saturating_mul(1 << times.min(10));
                let until = now.saturating_add(wait.min(MAX_COOL_DOWN)).ok();
                self.suspend_rule(&rule, reason, until, &self.system());
            }
        }
        let due: Vec<String> = {
            let suspensions = self.suspensions();
            let all = suspensions.suspended.iter();
            all.filter(|(_, one)| one.until.is_some_and(|until| until <= now))
                .map(|(rule, _)| rule.clone())
                .collect()
        };
        for rule in due {
            self.resume_rule(&rule, &self.system());
        }
        self.start_catching_up();
    }

    fn times_suspended(&self, rule: &str) -> u32 {
        let suspensions = self.suspensions();
        suspensions.times.get(rule).map_or(0, |(_, times)| *times)
    }

    /// Takes a rule out of force; says whether it was in it.
    pub(super) fn suspend_rule(
        &self,
        rule: &str,
        reason: String,
        until: Option<Timestamp>,
        actor: &Actor,
    ) -> bool {
        let Some((title, version)) = self.title_and_version(rule) else {
            self.pipeline().costs().forget(rule);
            return false;
        };
        // Later events may still meet it until the other rules are taken up; seeing them twice
        // does no harm.
        let position = self.pipeline().journal().stats().released;
        {
            let mut suspensions = self.suspensions();
            if suspensions.suspended.contains_key(rule) {
                return false;
            }
            let times = suspensions.next_times(rule, &version);
            // What it had still to see stays to be seen.
            let waiting = suspensions.catch_up.iter().filter(|one| one.rule == rule);
            let waiting = waiting.map(|one| (one.from, one.since));
            let (position, since) = waiting.fold((position, Timestamp::now()), |least, one| {
                (least.0.min(one.0), least.1.min(one.1))
            });
            suspensions.catch_up.retain(|one| one.rule != rule);
            suspensions.suspended.insert(
                rule.to_owned(),
                Suspension {
                    since,
                    reason: reason.clone(),
                    by: actor.name.clone(),
                    until,
                    position,
                    version,
                    times,
                },
            );
        }
        // Written before the rule misses its first event: a crash must not forget what it missed.
        self.save_state();
        self.put_in_force();
        self.pipeline().costs().forget(rule);
        let until = until.map_or_else(
            || "until somebody resumes it".to_owned(),
            |until| format!("until {until:.0}"),
        );
        self.tell(
            actor,
            rule,
            RuleNotice {
                action: "rule.suspend",
                text: format!("“{title}” is suspended {until}: {reason}"),
                needs_attention: true,
            },
        );
        true
    }

    /// Takes a suspended rule into force again; says whether it was suspended.
    pub(super) fn resume_rule(&self, rule: &str, actor: &Actor) -> bool {
        if self.suspensions().lift(rule).is_none() {
            return false;
        }
        self.pipeline().costs().forget(rule);
        self.put_in_force();
        let title = self.title_and_version(rule).map(|(title, _)| title);
        let title = title.unwrap_or_else(|| rule.to_owned());
        self.tell(
            actor,
            rule,
            RuleNotice {
                action: "rule.resume",
                text: format!("“{title}” is in force again; what it missed is looked through"),
                needs_attention: false,
            },
        );
        true
    }

    /// Says of rules that are back that the number of a replacement takes them up.
    pub(super) fn note_replacement(&self, number: u64) {
        for one in &mut self.suspensions().catch_up {
            if one.to.is_none() {
                one.replacement = Some(number);
            }
        }
    }

    /// Starts a thread that catches up, unless one does or nothing is to be done.
    fn start_catching_up(&self) {
        {
            let mut suspensions = self.suspensions();
            if suspensions.catch_up.is_empty() {
                return;
            }
            for one in suspensions
                .catch_up
                .iter_mut()
                .filter(|one| one.to.is_none())
            {
                // After a restart, the rules that the pipeline started with are in force.
                let number = one.replacement.unwrap_or(0);
                if self.pipeline().is_in_force(number) {
                    one.to = Some(self.pipeline().journal().stats().next_position);
                }
            }
        }
        if self.catching_up().swap(true, Ordering::SeqCst) {
            return;
        }
        let desk = self.clone();
        let started = std::thread::Builder::new()
            .name("catch-up".to_owned())
            .spawn(move || {
                desk.catch_up();
                desk.catching_up().store(false, Ordering::SeqCst);
            });
        if let Err(error) = started {
            tracing::error!(%error, "what suspended rules missed cannot be looked through");
            self.catching_up().store(false, Ordering::SeqCst);
        }
    }

    fn catch_up(&self) {
        loop {
            let next = {
                let suspensions = self.suspensions();
                let mut ready = suspensions.catch_up.iter().filter(|one| one.to.is_some());
                ready.next().cloned()
            };
            let Some(one) = next else {
                return;
            };
            if let Err(error) = self.catch_up_with(&one) {
                tracing::error!(rule = one.rule, %error, "what a suspended rule missed cannot be looked through; trying again");
                std::thread::sleep(RETRY_WAIT);
                return;
            }
            let mut suspensions = self.suspensions();
            suspensions
                .catch_up
                .retain(|other| (&other.rule, other.from) != (&one.rule, one.from));
            drop(suspensions);
            self.save_state();
        }
    }

    fn catch_up_with(&self, one: &CatchUp) -> Result<(), StatusError> {
        let to = one.to.unwrap_or(one.from);
        let pipeline = self.pipeline();
        let failed = |error: &dyn std::error::Error| StatusError(error.to_string());
        // The lake has what the journal released.
        while pipeline.journal().stats().released < to {
            std::thread::sleep(Duration::from_millis(50));
        }
        let ids = BTreeSet::from([one.rule.clone()]);
        let set = pipeline.detector().subset(&ids, Company::Dependents);
        if set.is_empty() {
            return Ok(());
        }
        let scope = scope_of(one, to, &set);
        let mut findings = Vec::new();
        let progress = pipeline
            .retro()
            .run(
                self.runtime(),
                &scope,
                &RetroLimits {
                    events: u64::MAX,
                    time: Duration::MAX,
                    stop: &AtomicBool::new(false),
                },
                &mut [Detector::new(set)],
                &mut |_, more, _| findings.extend(more),
            )
            .map_err(|error| failed(&error))?;
        // What rests on earlier events alone, the stream has found.
        let is_missed = |finding: &Finding| {
            let mut events = finding.event_ids.iter();
            events.any(|event| event.position() >= one.from)
        };
        findings.retain(is_missed);
        let count = findings.len();
        pipeline.liveness().count_late(&findings, Timestamp::now());
        pipeline.add_findings(findings.clone());
        self.runtime()
            .block_on(self.casework().take_late_findings(findings))
            .map_err(|error| failed(&error))?;
        let title = self.title_and_version(&one.rule).map(|(title, _)| title);
        let title = title.unwrap_or_else(|| one.rule.clone());
        self.tell(
            &self.system(),
            &one.rule,
            RuleNotice {
                action: "rule.caught_up",
                text: format!(
                    "“{title}” has caught up: {count} findings in {} events that it had missed",
                    progress.events
                ),
                needs_attention: false,
            },
        );
        Ok(())
    }
}

/// The events that a rule missed; where a correlation or an analytic hangs on it, with the matches of the time
/// before that belong to the windows that were open.
fn scope_of(one: &CatchUp, to: u64, set: &RuleSet) -> RecordScope {
    let correlations = set.correlations.iter().map(|one| one.timespan);
    let analytics = set.analytics.iter().map(|one| one.timespan);
    let reach = correlations.chain(analytics).max();
    let reach = reach.and_then(|reach| SignedDuration::try_from(reach).ok());
    let (from, first) = match reach {
        None => (Timestamp::MIN, one.from),
        Some(reach) => {
            let from = one.since.saturating_sub(reach.saturating_mul(2));
            (from.unwrap_or(Timestamp::MIN), 0)
        }
    };
    RecordScope {
        from,
        to: Timestamp::MAX,
        positions: first..to,
        kinds: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_text_is_tried_at_once_and_what_was_missed_is_kept() {
        let mut suspensions = Suspensions::default();
        let suspension = Suspension {
            since: Timestamp::UNIX_EPOCH,
            reason: String::new(),
            by: String::new(),
            until: None,
            position: 7,
            version: "old".to_owned(),
            times: 1,
        };
        for rule in ["a", "b"] {
            suspensions
                .suspended
                .insert(rule.to_owned(), suspension.clone());
        }
        let versions = BTreeMap::from([("a", "new"), ("b", "old")]);
        assert_eq!(suspensions.lift_changed(&versions), ["a"]);
        assert_eq!(suspensions.state("a"), Some(RuleState::CatchingUp));
        assert_eq!(suspensions.state("b"), Some(RuleState::Suspended));
        assert_eq!(suspensions.catch_up[0].from, 7);
        let saved = serde_json::to_string(&suspensions).unwrap();
        let read: Suspensions = serde_json::from_str(&saved).unwrap();
        assert_eq!(read, suspensions);
        assert_eq!(suspensions.next_times("a", "new"), 1);
        assert_eq!(suspensions.next_times("a", "new"), 2);
        assert_eq!(suspensions.next_times("a", "newer"), 1);
    }
}
