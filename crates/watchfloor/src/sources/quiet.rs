//! Sources that stop. Each has its own rhythm: how long it was silent at most on each of the last
//! days. One that is silent for several times longer has gone quiet, which raises one alert; when
//! it speaks again, that is noted on the alert. What is learned is kept over restarts, and the
//! time in which nobody listened is no silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use watchfloor_casework::{AlertFilter, AlertSort, AlertSortKey, Casework, PageRequest};
use watchfloor_event::{Finding, FindingLevel};
use watchfloor_pipeline::Pipeline;

/// The rule of the alerts.
const RULE: &str = "watchfloor-source-quiet";
/// Days of which the longest silence is remembered.
const DAYS: i64 = 7;
/// Sources whose rhythm is remembered.
const SOURCES_MAX: usize = 10_000;
/// How often it is saved when nothing happened.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// `[quiet]` of the configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct QuietConfig {
    /// Seconds of silence that never count as quiet.
    after_s: u64,
    /// How many times longer than the longest silence of the last days.
    factor: f64,
    /// Seconds from a source's first record until its rhythm is known.
    learn_s: u64,
    /// Seconds between looks.
    look_s: u64,
    /// Seconds after which a source counts as quiet, by its name; 0 for never.
    sources: BTreeMap<String, u64>,
}

impl Default for QuietConfig {
    fn default() -> Self {
        Self {
            after_s: 600,
            factor: 3.0,
            learn_s: 24 * 3600,
            look_s: 10,
            sources: BTreeMap::new(),
        }
    }
}

impl QuietConfig {
    /// Checks the figures.
    pub(crate) fn checked(self) -> Result<Self> {
        if self.look_s == 0 || !(1.0..=1000.0).contains(&self.factor) {
            bail!("[quiet]: look_s must be more than 0, and factor 1 to 1000");
        }
        Ok(self)
    }
}

/// What is known of a source's rhythm.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rhythm {
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// Longest silence in seconds, by day since 1970.
    silences: BTreeMap<i64, u64>,
    /// Since when it is quiet, once an alert was raised.
    quiet_since: Option<Timestamp>,
}

/// What became of a source in one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Quiet { usual_s: u64 },
    Back { silent_s: u64 },
}

impl Rhythm {
    fn new(first_seen: Timestamp) -> Self {
        Self {
            first_seen,
            last_seen: first_seen,
            silences: BTreeMap::new(),
            quiet_since: None,
        }
    }

    /// The longest silence of the last days, in seconds.
    fn usual_s(&self) -> u64 {
        self.silences.values().copied().max().unwrap_or(0)
    }

    /// Looks at a source. `listening_since` is when the program started.
    fn look(
        &mut self,
        name: &str,
        seen: Option<Timestamp>,
        now: Timestamp,
        listening_since: Timestamp,
        config: &QuietConfig,
    ) -> Change {
        let since = self.last_seen.max(listening_since);
        if let Some(seen) = seen.filter(|seen| *seen > self.last_seen) {
            let silent_s = seconds(since, seen);
            self.last_seen = seen;
            if self.quiet_since.take().is_some() {
                return Change::Back { silent_s };
            }
            let day = seen.as_second().div_euclid(86_400);
            let longest = self.silences.entry(day).or_default();
            *longest = (*longest).max(silent_s);
            self.silences.retain(|known, _| *known > day - DAYS);
            return Change::None;
        }
        if self.quiet_since.is_some() {
            return Change::None;
        }
        let usual_s = self.usual_s();
        let limit_s = match config.sources.get(name) {
            Some(0) => return Change::None,
            Some(seconds) => *seconds,
            None if seconds(self.first_seen, now) < config.learn_s => return Change::None,
            None => config.after_s.max((usual_s as f64 * config.factor) as u64),
        };
        if seconds(since, now) <= limit_s {
            return Change::None;
        }
        self.quiet_since = Some(self.last_seen);
        Change::Quiet { usual_s }
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_secs()).unwrap_or(0)
}

/// What the Sources page shows of a quiet source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuietSince {
    pub since: Timestamp,
    pub usual_s: u64,
}

/// The rhythms of all sources. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quiet(Arc<Mutex<BTreeMap<String, Rhythm>>>);

impl Quiet {
    /// The sources that are quiet.
    pub(crate) fn read(&self) -> BTreeMap<String, QuietSince> {
        let rhythms = self.lock();
        let quiet = rhythms.iter().filter_map(|(name, rhythm)| {
            let quiet = QuietSince {
                since: rhythm.quiet_since?,
                usual_s: rhythm.usual_s(),
            };
            Some((name.clone(), quiet))
        });
        quiet.collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Rhythm>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches until it is stopped.
    pub(crate) async fn watch(
        self,
        data: PathBuf,
        config: QuietConfig,
        pipeline: Arc<Pipeline>,
        casework: Casework,
        stop: CancellationToken,
    ) {
        let path = data.join("quiet.json");
        *self.lock() = load(&path);
        let listening_since = Timestamp::now();
        let mut look = tokio::time::interval(Duration::from_secs(config.look_s));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut saved = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.save(&path),
                _ = look.tick() => {}
            }
            let now = Timestamp::now();
            let seen = pipeline.sources().read(now);
            let changes = self.look(
                &seen
                    .iter()
                    .map(|(name, status)| (name.clone(), status.last_seen))
                    .collect(),
                (now, listening_since),
                &config,
            );
            let is_changed = !changes.is_empty();
            for (name, change) in changes {
                if let Err(error) = tell(&casework, &name, change, now).await {
                    tracing::warn!(
                        source = name,
                        error = &*error,
                        "a source that went quiet or came back is not told of"
                    );
                    // It is tried again with the next look.
                    if let (Change::Quiet { .. }, Some(rhythm)) =
                        (change, self.lock().get_mut(&name))
                    {
                        rhythm.quiet_since = None;
                    }
                }
            }
            if is_changed || saved.elapsed() > SAVE_EVERY {
                self.save(&path);
                saved = tokio::time::Instant::now();
            }
        }
    }

    fn look(
        &self,
        seen: &BTreeMap<String, Timestamp>,
        (now, listening_since): (Timestamp, Timestamp),
        config: &QuietConfig,
    ) -> Vec<(String, Change)> {
        let mut rhythms = self.lock();
        for (name, last_seen) in seen {
            if !rhythms.contains_key(name) && rhythms.len() < SOURCES_MAX {
                rhythms.insert(name.clone(), Rhythm::new(*last_seen));
            }
        }
        let changes = rhythms.iter_mut().map(|(name, rhythm)| {
            let last = seen.get(name).copied();
            let change = rhythm.look(name, last, now, listening_since, config);
            (name.clone(), change)
        });
        changes
            .filter(|(_, change)| *change != Change::None)
            .collect()
    }

    fn save(&self, path: &Path) {
        let text = serde_json::to_vec(&*self.lock()).unwrap_or_default();
        let temporary = path.with_extension("new");
        let written =
            std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, path));
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "the rhythm of sources cannot be saved");
        }
    }
}

/// What cannot be read is learned anew.
fn load(path: &Path) -> BTreeMap<String, Rhythm> {
    let read = std::fs::read(path).ok();
    read.and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// A length of time for a person.
fn length(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

async fn tell(casework: &Casework, name: &str, change: Change, now: Timestamp) -> Result<()> {
    match change {
        Change::None => {}
        Change::Quiet { usual_s } => {
            casework
                .take_late_findings(vec![finding(name, usual_s, now)])
                .await?;
        }
        Change::Back { silent_s } => {
            let actor = casework.system();
            let filter = AlertFilter {
                rule_id: Some(RULE.to_owned()),
                text: Some(name.to_owned()),
                ..AlertFilter::default()
            };
            let page = PageRequest::new(None, Some(100));
            let sort = AlertSort {
                key: AlertSortKey::LastTime,
                descending: true,
            };
            let alerts = casework.alerts(&actor, &filter, sort, &page).await?;
            let newest = alerts.items.iter().find(|alert| alert.source == name);
            if let Some(alert) = newest {
                let text = format!(
                    "The source '{name}' speaks again, after {} of silence.",
                    length(silent_s)
                );
                casework.note_alert(&actor, &alert.id, &text).await?;
            }
        }
    }
    Ok(())
}

/// Digits of the id of a finding.
const ID_DIGITS: usize = 32;

fn finding(name: &str, usual_s: u64, now: Timestamp) -> Finding {
    let mut id = hex::encode(Sha256::digest(format!("{name}\0{now}")));
    id.truncate(ID_DIGITS);
    let usual = match usual_s {
        0 => "it has not been silent before".to_owned(),
        seconds => format!(
            "its longest silence of the last days was {}",
            length(seconds)
        ),
    };
    Finding {
        id: format!("quiet-{id}"),
        rule_id: RULE.to_owned(),
        rule_version: "1".to_owned(),
        title: format!("Source went quiet: {name}"),
        level: FindingLevel::Medium,
        time: now,
        first_time: now,
        source: name.to_owned(),
        event_count: 0,
        event_ids: Vec::new(),
        summary: format!(
            "Nothing comes from the source '{name}' any more; {usual}. Look whether its sender runs and reaches this server."
        ),
        reasons: Vec::new(),
        // Alerts of two sources on one machine must stay apart, so none is named.
        entities: Vec::new(),
        tactics: Vec::new(),
        techniques: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_rhythm_is_learned_and_a_break_told_once() {
        let config = QuietConfig::default();
        let mut rhythm = Rhythm::new(at(0));
        let started = at(0);
        let hour = 3600;
        // Speaks every hour for two days.
        for round in 1..=48 {
            let now = at(round * hour);
            assert_eq!(
                rhythm.look("a", Some(now), now, started, &config),
                Change::None
            );
        }
        assert_eq!(rhythm.usual_s(), 3600);
        let last = 48 * hour;
        let mut look = |second| rhythm.look("a", Some(at(last)), at(second), started, &config);
        assert_eq!(look(last + 3 * hour), Change::None);
        assert_eq!(look(last + 3 * hour + 1), Change::Quiet { usual_s: 3600 });
        assert_eq!(look(last + 9 * hour), Change::None);
        let back = last + 10 * hour;
        assert_eq!(
            rhythm.look("a", Some(at(back)), at(back), started, &config),
            Change::Back { silent_s: 36_000 }
        );
        // A break is no rhythm.
        assert_eq!(rhythm.usual_s(), 3600);
    }

    #[test]
    fn time_without_the_program_is_no_silence_and_names_have_limits_of_their_own() {
        let mut config = QuietConfig::default();
        config.sources.insert("never".to_owned(), 0);
        config.sources.insert("soon".to_owned(), 5);
        let mut rhythm = Rhythm::new(at(0));
        let day = 86_400;
        // Down for nine days.
        let started = at(10 * day);
        let quiet = |rhythm: &mut Rhythm, name, second| {
            rhythm
                .clone()
                .look(name, None, at(second), started, &config)
        };
        assert_eq!(quiet(&mut rhythm, "a", 10 * day + 600), Change::None);
        assert_ne!(quiet(&mut rhythm, "a", 10 * day + 601), Change::None);
        assert_eq!(quiet(&mut rhythm, "never", 20 * day), Change::None);
        assert_eq!(quiet(&mut rhythm, "soon", 10 * day + 5), Change::None);
        assert_ne!(quiet(&mut rhythm, "soon", 10 * day + 6), Change::None);
    }
}
