//! The rules of a running server: a thread that looks at their files, and the answers of the API.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use watchfloor_api::ports::{
    Canary, CanaryOutcome, FieldCount, HistogramBucket, KindCount, LivenessReport, RefusedRule,
    RuleChange, RuleDesk, RuleDetail, RuleFacts, RuleInfo, RuleLiveness, RuleReload, RuleState,
    StatusError,
};
use watchfloor_casework::{Casework, CaseworkError, RuleNotice};
use watchfloor_model::{Actor, RuleVersion};
use watchfloor_pipeline::{Pipeline, Seen};

use super::book::{Book, Entry};
use super::canary::{self, Cases};
use super::library::{Held, Library, Loaded};
use super::life::{self, Index, Life, Looks};

/// How often the files are looked at.
const LOOK_WAIT: Duration = Duration::from_secs(2);
/// Reloads that are remembered.
const MAX_RELOADS: usize = 50;
/// How often all canaries are run.
const CANARY_WAIT: Duration = Duration::from_secs(15 * 60);
/// Days of findings on a rule's page.
const SHOWN_DAYS: i64 = 30;
/// Rules and refusals named in one audit entry.
const MAX_NAMED: usize = 5;

/// What must survive the end of the program.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// Files whose last good version is in force, by path.
    #[serde(default)]
    held: BTreeMap<String, Held>,
}

/// Opens the rules of a data folder: what is in force when the program starts.
pub(crate) fn open(data: &Path, paths: &[PathBuf]) -> Result<(Library, Loaded)> {
    for path in paths {
        std::fs::metadata(path)
            .with_context(|| format!("cannot read the rules in {}", path.display()))?;
    }
    let saved = match std::fs::read(state_file(data)) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was kept of broken rule files cannot be read");
            Saved::default()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Saved::default(),
        Err(error) => bail!("cannot read {}: {error}", state_file(data).display()),
    };
    let mut library = Library::new(paths.to_vec(), saved.held);
    library.first_look();
    let loaded = library.load(Timestamp::now());
    for refusal in loaded.set.refused.iter().chain(&loaded.held_refusals) {
        tracing::warn!(path = %refusal.path, line = refusal.line, reason = %refusal.reason, "rule is refused");
    }
    Ok((library, loaded))
}

fn state_file(data: &Path) -> PathBuf {
    data.join("rules.json")
}

/// The rules of a running server. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    pipeline: Arc<Pipeline>,
    casework: Casework,
    runtime: Handle,
    state_file: PathBuf,
    /// Held while files are read and loaded: one reload at a time.
    library: Mutex<Library>,
    shown: RwLock<Shown>,
}

/// What the API reads.
#[derive(Default)]
struct Shown {
    book: Book,
    looks: BTreeMap<String, Looks>,
    cases: Cases,
    /// By rule.
    canaries: BTreeMap<String, Canary>,
    /// Newest first.
    reloads: VecDeque<RuleReload>,
}

/// What is known of the rules that a pipeline starts with.
pub(crate) struct InForce {
    book: Book,
    looks: BTreeMap<String, Looks>,
}

impl InForce {
    pub(crate) fn of(library: &Library, loaded: &Loaded) -> Self {
        Self {
            book: Book::of(loaded, library.held()),
            looks: life::looks(&loaded.set),
        }
    }
}

/// Looks at the rule files until it goes.
pub(crate) struct Watch {
    _stop: mpsc::Sender<()>,
}

impl Desk {
    /// The desk over a running pipeline. `start` is what `library` loaded to.
    pub(crate) fn new(
        data: &Path,
        library: Library,
        start: InForce,
        pipeline: Arc<Pipeline>,
        casework: Casework,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                pipeline,
                casework,
                runtime: Handle::current(),
                state_file: state_file(data),
                shown: RwLock::new(Shown {
                    book: start.book,
                    looks: start.looks,
                    cases: Cases::of(&library.files()),
                    ..Shown::default()
                }),
                library: Mutex::new(library),
            }),
        }
    }

    /// Keeps the texts now in force, so that every alert finds the one that made it.
    pub(crate) async fn keep_texts(&self) -> Result<()> {
        let versions = versions(self.shown().book.rules.iter());
        self.inner
            .casework
            .keep_rule_versions(&versions)
            .await
            .context("the texts of rules cannot be kept")
    }

    /// Starts to look at the files, on a thread of its own.
    pub(crate) fn watch(&self) -> Result<Watch> {
        let (stop, stopped) = mpsc::channel();
        let desk = self.clone();
        std::thread::Builder::new()
            .name("rules".to_owned())
            .spawn(move || {
                let mut canaries_at = None::<Instant>;
                while stopped.recv_timeout(LOOK_WAIT) == Err(RecvTimeoutError::Timeout) {
                    let is_changed = desk.look();
                    let is_due = canaries_at.is_none_or(|at| at.elapsed() >= CANARY_WAIT);
                    if is_changed || is_due {
                        desk.run_canaries();
                        canaries_at = Some(Instant::now());
                    }
                }
            })
            .context("the thread that looks at rule files cannot be started")?;
        Ok(Watch { _stop: stop })
    }

    /// Number of rules in force and of those refused.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let shown = self.shown();
        let book = &shown.book;
        (book.rules.len() as u64, book.refused.len() as u64)
    }

    /// Looks at the files; says whether one changed.
    fn look(&self) -> bool {
        let mut library = self.library();
        let is_changed = library.look();
        if is_changed {
            self.apply(&mut library, self.inner.casework.system());
        }
        is_changed
    }

    /// Runs all canaries; one that fires no longer is reported.
    fn run_canaries(&self) {
        let ids: Vec<String> = {
            let shown = self.shown();
            let rules = shown.book.rules.iter();
            rules.map(|entry| entry.meta.id.clone()).collect()
        };
        for id in ids {
            self.run_one_canary(&id);
        }
    }

    /// Runs the canary of a rule; `None` when it is not in force.
    fn run_one_canary(&self, id: &str) -> Option<Canary> {
        let (title, path, cases, rules) = {
            let shown = self.shown();
            let entry = shown.book.rule(id)?;
            let path = entry.meta.path.to_string();
            let beside = shown
                .book
                .rules
                .iter()
                .filter(|one| *one.meta.path == *path);
            let rules: Vec<String> = beside.map(|one| one.meta.id.clone()).collect();
            let cases = shown.cases.beside(&path).to_vec();
            (entry.meta.title.clone(), path, cases, rules)
        };
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let pipeline = &self.inner.pipeline;
        let canary = canary::run(&cases, &rules, &pipeline.detector(), &pipeline.packs());
        let before = self
            .shown_mut()
            .canaries
            .insert(id.to_owned(), canary.clone());
        let was_failing = before.is_some_and(|one| one.outcome == CanaryOutcome::Fail);
        if canary.outcome == CanaryOutcome::Fail && !was_failing {
            let text = format!("canary of “{title}” ({path}): {}", canary.detail);
            self.tell(&self.inner.casework.system(), id, "rule.canary_fail", text);
        }
        Some(canary)
    }

    /// Writes something that needs somebody to the audit log and tells whoever watches.
    fn tell(&self, actor: &Actor, rule: &str, action: &'static str, text: String) {
        tracing::warn!(rule, action, "{text}");
        let notice = RuleNotice {
            action,
            text,
            needs_attention: true,
        };
        let casework = &self.inner.casework;
        let done = casework.record_rule_change(actor, rule, notice);
        if let Err(error) = self.inner.runtime.block_on(done) {
            not_recorded(&error);
        }
    }

    /// Reads the files now, whatever the watch thinks of them.
    fn reload_now(&self, actor: Actor) -> RuleReload {
        let mut library = self.library();
        library.look();
        self.apply(&mut library, actor)
    }

    /// Loads what was read and takes it into force.
    fn apply(&self, library: &mut Library, actor: Actor) -> RuleReload {
        let start = Instant::now();
        let now = Timestamp::now();
        let held_before = library.held().clone();
        let loaded = library.load(now);
        let InForce { book, looks } = InForce::of(library, &loaded);
        let cases = Cases::of(&library.files());
        let (changes, is_news) = {
            let shown = self.shown();
            let before = &shown.book;
            let changes = book.changes_since(before);
            let is_news = !changes.is_empty()
                || book.refused != before.refused
                || book.unreadable != before.unreadable;
            (changes, is_news)
        };
        self.inner.pipeline.replace_rules(loaded.set);
        {
            let mut shown = self.shown_mut();
            shown.looks = looks;
            shown.cases = cases;
        }
        let reload = RuleReload {
            at: now,
            took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            loaded: book.rules.len() as u64,
            changes,
            refused: book.refused.clone(),
            unreadable: book.unreadable.clone(),
        };
        if *library.held() != held_before {
            self.save(library);
        }
        if is_news {
            self.take_into_book(book, &reload, &actor);
        }
        reload
    }

    /// Shows what changed, keeps new texts, and tells whoever is to know.
    fn take_into_book(&self, book: Book, reload: &RuleReload, actor: &Actor) {
        let is_new = |entry: &&Entry| {
            let changes = &reload.changes;
            changes.iter().any(|change| change.id == entry.meta.id)
        };
        let texts = versions(book.rules.iter().filter(is_new));
        {
            let mut shown = self.shown_mut();
            shown.canaries.retain(|id, _| book.rule(id).is_some());
            shown.book = book;
            shown.reloads.push_front(reload.clone());
            shown.reloads.truncate(MAX_RELOADS);
        }
        let notice = RuleNotice {
            action: "rules.reload",
            text: in_words(reload),
            needs_attention: !reload.refused.is_empty() || !reload.unreadable.is_empty(),
        };
        tracing::info!(took_ms = reload.took_ms, "rules reloaded: {}", notice.text);
        let casework = &self.inner.casework;
        let done = self.inner.runtime.block_on(async {
            casework.keep_rule_versions(&texts).await?;
            casework.record_rule_change(actor, "rules", notice).await
        });
        if let Err(error) = done {
            not_recorded(&error);
        }
    }

    fn save(&self, library: &Library) {
        let saved = Saved {
            held: library.held().clone(),
        };
        let path = &self.inner.state_file;
        let temporary = path.with_extension("new");
        let bytes = serde_json::to_vec(&saved).unwrap_or_default();
        let written = std::fs::write(&temporary, bytes)
            .and_then(|()| std::fs::File::open(&temporary)?.sync_all())
            .and_then(|()| std::fs::rename(&temporary, path));
        if let Err(error) = written {
            tracing::error!(path = %path.display(), %error, "the state of rules cannot be saved");
        }
    }

    fn library(&self) -> MutexGuard<'_, Library> {
        self.inner
            .library
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.inner
            .shown
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn shown_mut(&self) -> RwLockWriteGuard<'_, Shown> {
        self.inner
            .shown
            .write()
            .unwrap_or_else(PoisonError::into_inner)
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
        Ok(Some(RuleFacts {
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
                enabled: true,
                state: if entry.hold.is_some() {
                    RuleState::Held
                } else {
                    RuleState::Active
                },
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
    fn rules(&self) -> BoxFuture<'_, Result<Vec<RuleInfo>, StatusError>> {
        self.list().boxed()
    }

    fn rule(&self, id: String) -> BoxFuture<'_, Result<Option<RuleDetail>, StatusError>> {
        async move { Ok(self.shown().book.rule(&id).map(Entry::detail)) }.boxed()
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

    fn reload(&self, actor: String) -> BoxFuture<'_, Result<RuleReload, StatusError>> {
        let desk = self.clone();
        let actor = self.actor(actor);
        on_thread(move || desk.reload_now(actor))
    }
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

fn not_recorded(error: &CaseworkError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "a change of rules cannot be recorded"
    );
}

fn versions<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<RuleVersion> {
    let now = Timestamp::now();
    entries
        .map(|entry| RuleVersion {
            rule_id: entry.meta.id.clone(),
            version: entry.meta.version.clone(),
            title: entry.meta.title.clone(),
            path: entry.meta.path.to_string(),
            yaml: entry.meta.yaml.to_string(),
            first_at: now,
            last_at: now,
        })
        .collect()
}

/// A reload as one sentence for audit log and console.
fn in_words(reload: &RuleReload) -> String {
    let kind = |change: &RuleChange| match (&change.from, &change.to) {
        (None, _) => "added",
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "removed",
    };
    let mut parts = Vec::new();
    for word in ["added", "changed", "removed"] {
        let of_kind = reload.changes.iter().filter(|change| kind(change) == word);
        let titles: Vec<&str> = of_kind.map(|change| change.title.as_str()).collect();
        if !titles.is_empty() {
            parts.push(format!("{} {word} ({})", titles.len(), named(&titles)));
        }
    }
    if !reload.refused.is_empty() {
        let reasons: Vec<String> = reload.refused.iter().map(refusal_in_words).collect();
        let reasons: Vec<&str> = reasons.iter().map(String::as_str).collect();
        parts.push(format!("{} refused: {}", reasons.len(), named(&reasons)));
    }
    parts.extend(
        reload
            .unreadable
            .iter()
            .map(|path| format!("cannot read {path}")),
    );
    if parts.is_empty() {
        parts.push("nothing changed".to_owned());
    }
    format!("{}; {} in force", parts.join("; "), reload.loaded)
}

fn refusal_in_words(refused: &RefusedRule) -> String {
    let line = refused.line.map(|line| format!(":{line}"));
    let kept = match refused.held_since {
        Some(_) => " (its last good version stays in force)",
        None => "",
    };
    format!(
        "{}{}: {}{kept}",
        refused.path,
        line.unwrap_or_default(),
        refused.reason
    )
}

/// The first of a list, and how many more there are.
fn named(all: &[&str]) -> String {
    let shown = all[..all.len().min(MAX_NAMED)].join(", ");
    match all.len().saturating_sub(MAX_NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
