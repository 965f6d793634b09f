//! The lake's keeper: it goes through the lake once an hour, deletes what is over its time, moves
//! what is cold, and deletes on demand.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use watchfloor_api::ports::{
    ErasureCount, LakeKeeper, SearchError, StorageShare, StorageTier, StorageUsage,
};
use watchfloor_casework::{Casework, ErasureEnd};
use watchfloor_lake::{
    Amount, Erased, Hold, Kept, MaintainError, Place, Policy, RetentionRule, Usage,
};
use watchfloor_model::{ErasureState, LegalHold, Retention};
use watchfloor_pipeline::Pipeline;
use watchfloor_query::{Query, TextPattern};

use super::convert;

/// Time between rounds.
const ROUND: Duration = Duration::from_secs(3_600);
/// Time until the first, in which a server that just started has better things to do.
const FIRST_ROUND: Duration = Duration::from_secs(60);
/// How far a round gives way, from 0 (not at all) to 19.
const NICENESS: i32 = 15;
/// How long a deletion waits for the journal to be worked off.
const SETTLE: Duration = Duration::from_secs(60);
/// How long running queries may go on with files that a deletion replaced.
const GRACE: Duration = Duration::from_secs(10);
/// Days that growth is taken from.
const GROWTH_DAYS: usize = 7;
/// Days shown.
const DAYS_SHOWN: usize = 400;
/// Sources shown.
const SOURCES_SHOWN: usize = 1_000;

/// Keeps the lake by what people decided.
#[derive(Clone)]
pub(crate) struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Arc<Pipeline>,
    casework: Casework,
    settings: KeeperSettings,
    wake: Notify,
    done: Mutex<Done>,
}

/// What the configuration says.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeeperSettings {
    /// The folder that new files are written to; none for buckets.
    pub folder: Option<PathBuf>,
    /// Days after which files go to the cold table, where nobody decided otherwise.
    pub cold_after_days: Option<u32>,
    /// What a GB costs in a month.
    pub price_per_gb_month: Option<f64>,
}

impl KeeperSettings {
    pub(crate) fn folder_of(place: &Place) -> Option<PathBuf> {
        match place {
            Place::Folder(folder) => Some(folder.clone()),
            Place::Bucket { .. } => None,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Done {
    at: Option<Timestamp>,
    expired: u64,
    held: u64,
    error: Option<String>,
}

impl Keeper {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        casework: Casework,
        settings: KeeperSettings,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                pipeline,
                casework,
                settings,
                wake: Notify::new(),
                done: Mutex::default(),
            }),
        }
    }

    /// Goes round until told to stop. Deletions that a crash interrupted go first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        if let Err(error) = self.finish_erasures().await {
            tracing::warn!(error = format!("{error:#}"), "interrupted deletions wait");
        }
        let mut wait = FIRST_ROUND;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.inner.wake.notified() => {}
            }
            wait = ROUND;
            self.round().await;
        }
    }

    async fn round(&self) {
        let outcome = self.keep().await;
        let mut done = self.done();
        done.at = Some(Timestamp::now());
        match outcome {
            Ok(kept) => {
                if kept != Kept::default() {
                    tracing::info!(?kept, "the lake was kept");
                }
                done.expired += kept.expired;
                done.held = kept.held;
                done.error = None;
            }
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "the lake could not be kept");
                done.error = Some(format!("{error:#}"));
            }
        }
    }

    async fn keep(&self) -> Result<Kept> {
        let casework = &self.inner.casework;
        let actor = casework.system();
        let retention = casework.retention(&actor).await?;
        let holds = casework.legal_holds(&actor).await?;
        let policy = self.policy(&retention, &holds)?;
        let lake = Arc::clone(self.inner.pipeline.lake());
        // A thread of its own, which gives way: files are read and written whole.
        let round = std::thread::Builder::new().name("keeper".to_owned());
        let (send, receive) = tokio::sync::oneshot::channel();
        round.spawn(move || {
            if let Err(error) = rustix::process::nice(NICENESS) {
                tracing::debug!(%error, "the keeper runs at normal priority");
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let outcome = runtime
                .context("the keeper cannot start")
                .and_then(|runtime| {
                    let kept = runtime.block_on(lake.keep(&policy, Timestamp::now()));
                    kept.map_err(anyhow::Error::from)
                });
            // Nobody listens when the server ends meanwhile.
            let _ = send.send(outcome);
        })?;
        receive.await.context("the keeper was stopped")?
    }

    fn policy(&self, retention: &Retention, holds: &[LegalHold]) -> Result<Policy> {
        let settings = &self.inner.settings;
        Ok(Policy {
            rules: retention.rules.iter().map(rule_of).collect(),
            default_days: retention.default_days,
            cold_after_days: retention.cold_after_days.or(settings.cold_after_days),
            holds: holds_of(holds)?,
        })
    }

    async fn finish_erasures(&self) -> Result<()> {
        let casework = &self.inner.casework;
        let actor = casework.system();
        for erasure in casework.erasures(&actor).await? {
            let Some(query) = erasure.query.clone() else {
                continue;
            };
            if erasure.state != ErasureState::Running {
                continue;
            }
            let holds = casework.legal_holds(&actor).await?;
            let end = match self.clone().erase_now(query, holds).await {
                Ok(count) => ErasureEnd {
                    events: count.events,
                    held: count.held,
                    files: count.files,
                    error: None,
                },
                Err(error) => ErasureEnd {
                    error: Some(error.to_string()),
                    ..ErasureEnd::default()
                },
            };
            casework.end_erasure(&actor, &erasure, end).await?;
        }
        Ok(())
    }

    async fn erase_now(
        self,
        query: String,
        holds: Vec<LegalHold>,
    ) -> Result<ErasureCount, SearchError> {
        let query = parse(&query)?;
        let holds = holds_of(&holds).map_err(failed)?;
        // What waits in memory and journal has to be in files first.
        if !self.inner.pipeline.settle(SETTLE).await {
            let text = "events still wait to be written; try again when fewer arrive";
            return Err(SearchError::Unavailable(text.to_owned()));
        }
        let lake = self.inner.pipeline.lake();
        let erased = lake.erase(&query, &holds, GRACE).await;
        erased.map(count_of).map_err(|error| maintain(&error))
    }

    async fn usage_now(&self) -> Result<StorageUsage, SearchError> {
        let inner = &self.inner;
        let usage = inner.pipeline.lake().usage().await;
        let usage = usage.map_err(convert::unavailable)?;
        let actor = inner.casework.system();
        let retention = inner.casework.retention(&actor).await;
        let retention = retention.map_err(|error| failed(error.into()))?;
        let policy = self.policy(&retention, &[]).map_err(failed)?;
        let folder = inner.settings.folder.as_deref();
        let free = folder.and_then(|folder| rustix::fs::statvfs(folder).ok());
        let free = free.map(|free| free.f_bavail.saturating_mul(free.f_frsize));
        let report = Report::new(&usage, &policy);
        let done = self.done().clone();
        Ok(StorageUsage {
            bytes: usage.bytes(),
            rows: usage.days.values().map(|amount| amount.rows).sum(),
            raw_bytes: usage.days.values().map(|amount| amount.raw_bytes).sum(),
            tiers: tiers(&usage),
            sources: report.sources(),
            classes: report.classes(),
            bytes_per_day: report.bytes_per_day,
            full_in_days: report.full_in_days(usage.bytes(), free),
            steady_bytes: report.steady_bytes,
            days: report.days(),
            free_bytes: free,
            unknown_files: usage.unknown_files,
            price_per_gb_month: inner.settings.price_per_gb_month,
            kept_at: done.at,
            expired: done.expired,
            held: done.held,
            keeper_error: done.error,
        })
    }

    fn done(&self) -> MutexGuard<'_, Done> {
        let done = &self.inner.done;
        done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LakeKeeper for Keeper {
    fn usage(&self) -> BoxFuture<'_, Result<StorageUsage, SearchError>> {
        self.usage_now().boxed()
    }

    fn check(&self, query: &str) -> Result<(), SearchError> {
        parse(query).map(drop)
    }

    fn would_erase(
        &self,
        query: String,
        holds: Vec<LegalHold>,
    ) -> BoxFuture<'_, Result<ErasureCount, SearchError>> {
        async move {
            let query = parse(&query)?;
            let holds = holds_of(&holds).map_err(failed)?;
            let lake = self.inner.pipeline.lake();
            let erased = lake.would_erase(&query, &holds).await;
            erased.map(count_of).map_err(|error| maintain(&error))
        }
        .boxed()
    }

    fn erase(
        &self,
        query: String,
        holds: Vec<LegalHold>,
    ) -> BoxFuture<'static, Result<ErasureCount, SearchError>> {
        self.clone().erase_now(query, holds).boxed()
    }

    fn wake(&self) {
        self.inner.wake.notify_one();
    }
}

/// Growth and what comes of it.
struct Report<'a> {
    usage: &'a Usage,
    /// Days that growth is taken from.
    growth: Vec<&'a String>,
    bytes_per_day: u64,
    steady_bytes: Option<u64>,
}

impl<'a> Report<'a> {
    fn new(usage: &'a Usage, policy: &Policy) -> Self {
        let mut last: Vec<&String> = usage.days.keys().rev().take(GROWTH_DAYS + 1).collect();
        if last.len() > 1 {
            // The newest is not over yet.
            last.remove(0);
        }
        last.truncate(GROWTH_DAYS);
        let total: u64 = last.iter().map(|day| usage.days[*day].bytes).sum();
        let mut report = Self {
            usage,
            bytes_per_day: total / last.len().max(1) as u64,
            growth: last,
            steady_bytes: None,
        };
        report.steady_bytes = report.steady(policy);
        report
    }

    fn per_day(&self, source: &str) -> u64 {
        let of_day = |day: &&String| {
            let key = (source.to_owned(), (*day).clone());
            self.usage.source_days.get(&key).map(|amount| amount.bytes)
        };
        let total: u64 = self.growth.iter().filter_map(of_day).sum();
        total / self.growth.len().max(1) as u64
    }

    /// What the lake will take when each day deletes what a day brings.
    fn steady(&self, policy: &Policy) -> Option<u64> {
        let mut total = 0_u128;
        for ((source, class), amount) in &self.usage.source_classes {
            let whole = self.usage.sources.get(source).map_or(1, |all| all.bytes);
            let rate = u128::from(self.per_day(source)) * u128::from(amount.bytes);
            let rate = rate / u128::from(whole.max(1));
            if rate == 0 {
                continue;
            }
            total += rate * u128::from(policy.days_of(source, *class)?);
        }
        u64::try_from(total).ok()
    }

    fn full_in_days(&self, bytes: u64, free: Option<u64>) -> Option<u64> {
        let free = free?;
        let fits = |steady: u64| steady <= bytes.saturating_add(free);
        if self.bytes_per_day == 0 || self.steady_bytes.is_some_and(fits) {
            return None;
        }
        Some(free / self.bytes_per_day)
    }

    fn days(&self) -> Vec<StorageShare> {
        let days = self.usage.days.iter().rev().take(DAYS_SHOWN);
        let mut days: Vec<StorageShare> = days
            .map(|(day, amount)| share(day.clone(), amount, amount.bytes))
            .collect();
        days.reverse();
        days
    }

    fn sources(&self) -> Vec<StorageShare> {
        let sources = self.usage.sources.iter();
        let sources =
            sources.map(|(source, amount)| share(source.clone(), amount, self.per_day(source)));
        largest(sources.collect())
    }

    fn classes(&self) -> Vec<StorageShare> {
        let classes = self.usage.classes.iter();
        let classes = classes.map(|(class, amount)| share(class.to_string(), amount, 0));
        largest(classes.collect())
    }
}

fn share(name: String, amount: &Amount, bytes_per_day: u64) -> StorageShare {
    StorageShare {
        name,
        rows: amount.rows,
        bytes: amount.bytes,
        raw_bytes: amount.raw_bytes,
        bytes_per_day,
    }
}

fn largest(mut shares: Vec<StorageShare>) -> Vec<StorageShare> {
    shares.sort_by(|left, right| (right.bytes, &left.name).cmp(&(left.bytes, &right.name)));
    shares.truncate(SOURCES_SHOWN);
    shares
}

fn tiers(usage: &Usage) -> Vec<StorageTier> {
    let role = |index: usize, is_cold: bool| match (index, is_cold) {
        (0, _) => "hot",
        (_, true) => "cold",
        (_, false) => "former",
    };
    let tiers = usage.tiers.iter().enumerate();
    tiers
        .map(|(index, tier)| StorageTier {
            role: role(index, tier.is_cold).to_owned(),
            place: tier.place.clone(),
            files: tier.files,
            bytes: tier.bytes,
            filter_bytes: tier.filter_bytes,
        })
        .collect()
}

fn rule_of(rule: &watchfloor_model::RetentionRule) -> RetentionRule {
    let source = rule.source.clone();
    let source = source.map(|source| match source.contains(['*', '?']) {
        true => TextPattern::Wildcard(source),
        false => TextPattern::Exact(source),
    });
    RetentionRule {
        source,
        class_uid: rule.class_uid,
        days: rule.days,
    }
}

/// The holds in force. One that is not understood any more stops everything: nothing that might
/// be held is deleted.
fn holds_of(holds: &[LegalHold]) -> Result<Vec<Hold>> {
    let holds = holds.iter().filter(|hold| hold.released_at.is_none());
    holds
        .map(|hold| {
            let query = watchfloor_query::parse(&hold.query);
            let query = query.map_err(|error| {
                anyhow::anyhow!(
                    "legal hold {} is not understood: {}",
                    hold.id,
                    error.message
                )
            });
            Ok(Hold {
                query: query?,
                from: hold.from,
                to: hold.to,
            })
        })
        .collect()
}

fn parse(query: &str) -> Result<Query, SearchError> {
    watchfloor_query::parse(query).map_err(convert::invalid)
}

fn count_of(erased: Erased) -> ErasureCount {
    ErasureCount {
        events: erased.events,
        held: erased.held,
        files: erased.files,
    }
}

fn failed(error: anyhow::Error) -> SearchError {
    SearchError::Unavailable(format!("{error:#}"))
}

fn maintain(error: &MaintainError) -> SearchError {
    SearchError::Unavailable(convert::chain(error))
}
