//! What the API is told of the rules of a running server.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use watchfloor_api::ports::{
    BacktestError, BacktestReport, BacktestRequest, Canary, CanaryOutcome, ExplainError,
    ExplainedEvent, FieldCount, HistogramBucket, KindCount, LivenessReport, Metric, MetricKind,
    RefusedRule, RuleDesk, RuleDetail, RuleFacts, RuleInfo, RuleLiveness, RuleReload, RuleState,
    StatusError,
};
use watchfloor_detect::{Company, Detector, RuleCost};
use watchfloor_model::Actor;
use watchfloor_pipeline::Seen;
use watchfloor_rules::RuleSet;

use super::backtest::{self, Question};
use super::book::Entry;
use super::canary;
use super::desk::{Desk, Shown};
use super::life::{Index, Life};

/// Days of findings on a rule's page.
const SHOWN_DAYS: i64 = 30;
/// Most events that a backtest over HTTP judges.
const MAX_BACKTEST_EVENTS: u64 = 20_000_000;
/// Longest backtest over HTTP; the command line waits for ever.
const MAX_BACKTEST_TIME: Duration = Duration::from_secs(45);
/// Rules whose cost `/metrics` tells.
const MAX_COSTS: usize = 20;

impl Desk {
    /// Values for `/metrics`.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let gauge = |name, help, labels, value| Metric {
            name,
            help,
            kind: MetricKind::Gauge,
            labels,
            value,
        };
        let (loaded, refused, suspended) = self.counts();
        let mut metrics = vec![
            gauge(
                "watchfloor_rules_loaded",
                "Rules that files have.",
                Vec::new(),
                loaded as f64,
            ),
            gauge(
                "watchfloor_rules_refused",
                "Rules that do not load.",
                Vec::new(),
                refused as f64,
            ),
            gauge(
                "watchfloor_rules_suspended",
                "Rules that are not evaluated.",
                Vec::new(),
                suspended as f64,
            ),
        ];
        let mut costs: Vec<(String, f64)> = self
            .inner
            .pipeline
            .costs()
            .read()
            .into_iter()
            .map(|(rule, cost)| (rule, us_per_event(&cost)))
            .collect();
        costs.sort_by(|left, right| right.1.total_cmp(&left.1));
        costs.truncate(MAX_COSTS);
        metrics.extend(costs.into_iter().map(|(rule, us)| {
            gauge(
                "watchfloor_rule_microseconds_per_event",
                "What the dearest rules take per event of their log sources.",
                vec![("rule", rule)],
                us,
            )
        }));
        metrics
    }

    /// Answers a backtest; one at a time, since each takes a core.
    fn forecast(&self, request: BacktestRequest) -> Result<BacktestReport, BacktestError> {
        let Ok(_turn) = self.inner.backtest.try_lock() else {
            return Err(BacktestError::Busy);
        };
        let (set, ids, title) = match (&request.yaml, &request.rule_id) {
            (Some(yaml), _) => {
                let (others, options) = {
                    let library = self.library();
                    (library.files(), library.options())
                };
                backtest::rules_of(yaml, "(proposed)", &others, &options)
                    .map_err(|(line, reason)| BacktestError::Refused { line, reason })?
            }
            (None, Some(id)) => self.rules_by_id(id)?,
            (None, None) => return Err(BacktestError::Missing),
        };
        let question = Question {
            ids,
            title,
            set,
            changed: None,
            exception: request.exception,
            from: request.from,
            to: request.to,
            max_events: MAX_BACKTEST_EVENTS,
            max_time: MAX_BACKTEST_TIME,
        };
        backtest::run(&self.inner.pipeline.retro(), &self.inner.runtime, question)
            .map_err(|error| BacktestError::Failed(error.to_string()))
    }

    /// A rule that files have, with those that it rests on.
    pub(super) fn rules_by_id(
        &self,
        id: &str,
    ) -> Result<(RuleSet, BTreeSet<String>, String), BacktestError> {
        let (title, _) = self.title_and_version(id).ok_or(BacktestError::Missing)?;
        let ids = BTreeSet::from([id.to_owned()]);
        let mut set = self.inner.pipeline.detector().subset(&ids, Company::Bases);
        if set.is_empty() {
            // Suspended: its files have it.
            let all = self.library().load(Timestamp::now()).set;
            set = Detector::new(all).subset(&ids, Company::Bases);
        }
        Ok((set, ids, title))
    }

    /// Whoever asked through the API; casework checked the right.
    fn actor(&self, name: String) -> Actor {
        Actor {
            name,
            ..self.inner.casework.system()
        }
    }

    fn seen(&self) -> Seen {
        self.inner.pipeline.liveness().seen(Timestamp::now())
    }

    fn report(&self) -> LivenessReport {
        let seen = self.seen();
        let shown = self.shown();
        let index = Index::new(&shown.looks, &seen);
        let rules = shown.book.rules.iter();
        LivenessReport {
            since: seen.since,
            items: rules
                .map(|entry| shown.liveness(entry, index.life(&entry.meta.id), &seen))
                .collect(),
            next: None,
        }
    }

    async fn facts_of(&self, id: &str) -> Result<Option<RuleFacts>, StatusError> {
        let found = {
            let seen = self.seen();
            let shown = self.shown();
            shown.book.rule(id).map(|entry| {
                let life = Index::new(&shown.looks, &seen).life(id);
                let cases = shown.cases.beside(&entry.meta.path);
                let cases = cases.iter().map(canary::Case::shown).collect();
                (shown.liveness(entry, life, &seen), cases)
            })
        };
        let Some((liveness, cases)) = found else {
            return Ok(None);
        };
        let since = Timestamp::now() - SignedDuration::from_hours(24 * SHOWN_DAYS);
        let lake = self.inner.pipeline.lake();
        let days = lake
            .findings_per_day(id, since)
            .await
            .map_err(|error| StatusError(error.to_string()))?;
        let per_day = days.iter().map(|day| HistogramBucket {
            start: day.start,
            count: day.count,
        });
        let cost = self.inner.pipeline.costs().read().remove(id);
        Ok(Some(RuleFacts {
            cost_us: cost.as_ref().map(us_per_event),
            budget_us: self.inner.budget.us_per_event,
            liveness,
            cases,
            per_day: per_day.collect(),
        }))
    }

    async fn list(&self) -> Result<Vec<RuleInfo>, StatusError> {
        let week_ago = Timestamp::now() - SignedDuration::from_hours(7 * 24);
        let counts = self
            .inner
            .pipeline
            .lake()
            .findings_by_rule(week_ago)
            .await
            .map_err(|error| StatusError(error.to_string()))?;
        let counts: BTreeMap<String, (u64, Timestamp)> = counts
            .into_iter()
            .map(|one| (one.rule_id, (one.findings, one.last)))
            .collect();
        let seen = self.seen();
        let shown = self.shown();
        let index = Index::new(&shown.looks, &seen);
        let costs = self.inner.pipeline.costs().read();
        let suspensions = self.suspensions();
        let infos = shown.book.rules.iter().map(|entry| {
            let meta = &entry.meta;
            let count = counts.get(&meta.id);
            let did = seen.rules.get(&meta.id).copied().unwrap_or_default();
            RuleInfo {
                id: meta.id.clone(),
                title: meta.title.clone(),
                level: meta.level.as_str().to_owned(),
                status: meta.status.clone(),
                logsource: entry.logsource.clone(),
                tags: meta.tags.clone(),
                path: meta.path.to_string(),
                version: meta.version.clone(),
                enabled: !suspensions.suspended.contains_key(&meta.id),
                state: suspensions
                    .state(&meta.id)
                    .unwrap_or(if entry.hold.is_some() {
                        RuleState::Held
                    } else {
                        RuleState::Active
                    }),
                cost_us: costs.get(&meta.id).map(us_per_event),
                findings_last_24h: did.findings,
                findings_last_7d: count.map_or(0, |(count, _)| *count),
                last_fired: count.map(|(_, last)| *last).max(did.last_fired),
                dead: index.life(&meta.id).dead,
                canary: shown
                    .canaries
                    .get(&meta.id)
                    .map_or(CanaryOutcome::None, |canary| canary.outcome),
            }
        });
        Ok(infos.collect())
    }
}

impl Shown {
    fn liveness(&self, entry: &Entry, life: Life, seen: &Seen) -> RuleLiveness {
        let id = &entry.meta.id;
        let did = seen.rules.get(id).copied().unwrap_or_default();
        let canary = self.canaries.get(id).cloned();
        RuleLiveness {
            id: id.clone(),
            title: entry.meta.title.clone(),
            events_24h: life.events,
            events_today: life.events_today,
            kinds: life
                .kinds
                .into_iter()
                .map(|(kind, events)| KindCount { kind, events })
                .collect(),
            fields: life
                .fields
                .into_iter()
                .map(|(field, events)| FieldCount { field, events })
                .collect(),
            could_fire: life.dead.is_none(),
            reason: life.dead,
            findings_24h: did.findings,
            last_fired: did.last_fired,
            canary: canary.unwrap_or_else(|| Canary {
                outcome: CanaryOutcome::None,
                at: None,
                detail: "not run yet".to_owned(),
            }),
        }
    }
}

impl RuleDesk for Desk {
    fn explain(
        &self,
        rule: String,
        event: ExplainedEvent,
    ) -> BoxFuture<'_, Result<serde_json::Value, ExplainError>> {
        let desk = self.clone();
        async move {
            tokio::task::spawn_blocking(move || desk.explanation(&rule, event))
                .await
                .map_err(|error| ExplainError::Failed(error.to_string()))?
        }
        .boxed()
    }

    fn coverage(&self) -> BoxFuture<'_, Result<serde_json::Value, StatusError>> {
        async move {
            let since = Timestamp::now() - SignedDuration::from_hours(24 * SHOWN_DAYS);
            let counts = self.inner.pipeline.lake().findings_by_rule(since);
            let counts = counts
                .await
                .map_err(|error| StatusError(error.to_string()))?;
            let fired = counts
                .into_iter()
                .map(|one| (one.rule_id, (one.findings, Some(one.last))))
                .collect();
            let desk = self.clone();
            on_thread(move || desk.layer(&fired)).await
        }
        .boxed()
    }

    fn rules(&self) -> BoxFuture<'_, Result<Vec<RuleInfo>, StatusError>> {
        self.list().boxed()
    }

    fn rule(&self, id: String) -> BoxFuture<'_, Result<Option<RuleDetail>, StatusError>> {
        async move {
            let suspension = self.suspensions().shown(&id);
            let shown = self.shown();
            Ok(shown.book.rule(&id).map(|entry| entry.detail(suspension)))
        }
        .boxed()
    }

    fn refused(&self) -> BoxFuture<'_, Result<Vec<RefusedRule>, StatusError>> {
        async move { Ok(self.shown().book.refused.clone()) }.boxed()
    }

    fn reloads(&self) -> BoxFuture<'_, Result<Vec<RuleReload>, StatusError>> {
        async move { Ok(self.shown().reloads.iter().cloned().collect()) }.boxed()
    }

    fn liveness(&self) -> BoxFuture<'_, Result<LivenessReport, StatusError>> {
        async move { Ok(self.report()) }.boxed()
    }

    fn facts(&self, id: String) -> BoxFuture<'_, Result<Option<RuleFacts>, StatusError>> {
        async move { self.facts_of(&id).await }.boxed()
    }

    fn run_canary(&self, id: String) -> BoxFuture<'_, Result<Option<Canary>, StatusError>> {
        let desk = self.clone();
        on_thread(move || desk.run_one_canary(&id))
    }

    fn backtest(
        &self,
        request: BacktestRequest,
    ) -> BoxFuture<'_, Result<BacktestReport, BacktestError>> {
        let desk = self.clone();
        async move {
            tokio::task::spawn_blocking(move || desk.forecast(request))
                .await
                .map_err(|error| BacktestError::Failed(error.to_string()))?
        }
        .boxed()
    }

    fn suspend(
        &self,
        id: String,
        reason: String,
        actor: String,
    ) -> BoxFuture<'_, Result<bool, StatusError>> {
        let desk = self.clone();
        let actor = self.actor(actor);
        on_thread(move || desk.suspend_rule(&id, reason, None, &actor))
    }

    fn resume(&self, id: String, actor: String) -> BoxFuture<'_, Result<bool, StatusError>> {
        let desk = self.clone();
        let actor = self.actor(actor);
        on_thread(move || desk.resume_rule(&id, &actor))
    }

    fn reload(&self, actor: String) -> BoxFuture<'_, Result<RuleReload, StatusError>> {
        let desk = self.clone();
        let actor = self.actor(actor);
        on_thread(move || desk.reload_now(actor))
    }
}

fn us_per_event(cost: &RuleCost) -> f64 {
    cost.ns_per_event / 1000.0
}

/// Work that takes longer than an answer's thread may be held.
fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> BoxFuture<'static, Result<T, StatusError>> {
    async move {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|error| StatusError(error.to_string()))
    }
    .boxed()
}
