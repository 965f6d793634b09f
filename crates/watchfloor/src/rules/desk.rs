//! The rules of a running server: a thread that looks at their files, and what it takes into
//! force.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use watchfloor_api::ports::{Canary, CanaryOutcome, RefusedRule, RuleChange, RuleReload};
use watchfloor_casework::{Casework, CaseworkError, RuleNotice};
use watchfloor_model::{Actor, RuleVersion};
use watchfloor_pipeline::Pipeline;
use watchfloor_rules::RuleSet;

use super::book::{Book, Entry};
use super::canary::{self, Cases};
use super::library::{Held, Library};
use super::life::{self, Looks};
use super::shaping::Sources;
use super::suspension::{Budget, Suspensions};
use crate::content;

/// How often the files are looked at.
const LOOK_WAIT: Duration = Duration::from_secs(2);
/// Reloads that are remembered.
const MAX_RELOADS: usize = 50;
/// How often all canaries are run.
const CANARY_WAIT: Duration = Duration::from_secs(15 * 60);
/// Rules and refusals named in one audit entry.
const MAX_NAMED: usize = 5;

/// What must survive the end of the program.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// Files whose last good version is in force, by path.
    #[serde(default)]
    held: BTreeMap<String, Held>,
    #[serde(flatten)]
    suspensions: Suspensions,
}

/// The rules of a data folder when the program starts.
pub(crate) struct Opened {
    library: Library,
    book: Book,
    looks: BTreeMap<String, Looks>,
    suspensions: Suspensions,
}

/// Opens the rules of a data folder; gives those to be in force as well.
pub(crate) fn open(data: &Path, sources: &Sources) -> Result<(Opened, RuleSet)> {
    // What is broken at the start has nothing before it that could stay in force.
    content::load_shaped([], &content::load_options(&sources.shaping)?)?;
    for path in &sources.paths {
        std::fs::metadata(path)
            .with_context(|| format!("cannot read the rules in {}", path.display()))?;
    }
    let saved: Saved = match std::fs::read(state_file(data)) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was kept of broken and suspended rules cannot be read");
            Saved::default()
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Saved::default(),
        Err(error) => bail!("cannot read {}: {error}", state_file(data).display()),
    };
    let mut library = Library::new(sources.clone(), saved.held);
    library.first_look();
    let mut loaded = library.load(Timestamp::now());
    for refusal in loaded.set.refused.iter().chain(&loaded.held_refusals) {
        tracing::warn!(path = %refusal.path, line = refusal.line, reason = %refusal.reason, "rule is refused");
    }
    let mut suspensions = saved.suspensions;
    suspensions.lift_changed(&versions_of(&loaded.set));
    let opened = Opened {
        book: Book::of(&loaded, library.held()),
        looks: life::looks(&loaded.set),
        library,
        suspensions: suspensions.clone(),
    };
    suspensions.take_out(&mut loaded.set);
    Ok((opened, loaded.set))
}

/// Versions of the rules of a set, by id.
fn versions_of(set: &RuleSet) -> BTreeMap<&str, &str> {
    set.metas()
        .map(|meta| (meta.id.as_str(), meta.version.as_str()))
        .collect()
}

fn state_file(data: &Path) -> PathBuf {
    data.join("rules.json")
}

/// The rules of a running server. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) casework: Casework,
    pub(super) runtime: Handle,
    pub(super) state_file: PathBuf,
    pub(super) budget: Budget,
    pub(super) suspensions: Mutex<Suspensions>,
    /// Held by the backtest that runs.
    pub(super) backtest: Mutex<()>,
    /// Whether a thread looks through what suspended rules missed.
    pub(super) catching_up: AtomicBool,
    /// Held while files are read and loaded: one reload at a time.
    pub(super) library: Mutex<Library>,
    pub(super) shown: RwLock<Shown>,
}

/// What the API reads.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) book: Book,
    pub(super) looks: BTreeMap<String, Looks>,
    pub(super) cases: Cases,
    /// By rule.
    pub(super) canaries: BTreeMap<String, Canary>,
    /// Files whose last good version is in force, by path.
    pub(super) held: BTreeMap<String, Held>,
    /// Newest first.
    pub(super) reloads: VecDeque<RuleReload>,
}

/// Looks at the rule files until it goes.
pub(crate) struct Watch {
    _stop: mpsc::Sender<()>,
}

impl Desk {
    /// The desk over a pipeline that runs what was opened.
    pub(crate) fn new(
        data: &Path,
        opened: Opened,
        budget: Budget,
        pipeline: Arc<Pipeline>,
        casework: Casework,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                pipeline,
                casework,
                runtime: Handle::current(),
                state_file: state_file(data),
                budget,
                suspensions: Mutex::new(opened.suspensions),
                backtest: Mutex::new(()),
                catching_up: AtomicBool::new(false),
                shown: RwLock::new(Shown {
                    book: opened.book,
                    looks: opened.looks,
                    cases: Cases::of(&opened.library.files()),
                    held: opened.library.held().clone(),
                    ..Shown::default()
                }),
                library: Mutex::new(opened.library),
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
                    desk.mind_budgets();
                }
            })
            .context("the thread that looks at rule files cannot be started")?;
        Ok(Watch { _stop: stop })
    }

    /// Number of rules that files have, of those refused, and of those suspended.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let suspended = self.suspensions().suspended.len() as u64;
        let shown = self.shown();
        let book = &shown.book;
        (
            book.rules.len() as u64,
            book.refused.len() as u64,
            suspended,
        )
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
    pub(super) fn run_one_canary(&self, id: &str) -> Option<Canary> {
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
        let is_suspended = self.suspensions().suspended.contains_key(id);
        let canary = if is_suspended {
            Canary {
                outcome: CanaryOutcome::None,
                at: None,
                detail: "the rule is suspended".to_owned(),
            }
        } else {
            canary::run(&cases, &rules, &pipeline.detector(), &pipeline.packs())
        };
        let before = self
            .shown_mut()
            .canaries
            .insert(id.to_owned(), canary.clone());
        let was_failing = before.is_some_and(|one| one.outcome == CanaryOutcome::Fail);
        if canary.outcome == CanaryOutcome::Fail && !was_failing {
            let notice = RuleNotice {
                action: "rule.canary_fail",
                text: format!("canary of “{title}” ({path}): {}", canary.detail),
                needs_attention: true,
            };
            self.tell(&self.system(), id, notice);
        }
        Some(canary)
    }

    /// Writes something about a rule to the audit log and tells whoever watches.
    pub(super) fn tell(&self, actor: &Actor, rule: &str, notice: RuleNotice) {
        if notice.needs_attention {
            tracing::warn!(rule, action = notice.action, "{}", notice.text);
        } else {
            tracing::info!(rule, action = notice.action, "{}", notice.text);
        }
        let done = self.inner.casework.record_rule_change(actor, rule, notice);
        if let Err(error) = self.inner.runtime.block_on(done) {
            not_recorded(&error);
        }
    }

    pub(super) fn pipeline(&self) -> &Arc<Pipeline> {
        &self.inner.pipeline
    }

    pub(super) fn casework(&self) -> &Casework {
        &self.inner.casework
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    pub(super) fn budget(&self) -> Budget {
        self.inner.budget
    }

    pub(super) fn system(&self) -> Actor {
        self.inner.casework.system()
    }

    pub(super) fn catching_up(&self) -> &AtomicBool {
        &self.inner.catching_up
    }

    pub(super) fn suspensions(&self) -> MutexGuard<'_, Suspensions> {
        self.inner
            .suspensions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Title and version of a rule that its file has.
    pub(super) fn title_and_version(&self, rule: &str) -> Option<(String, String)> {
        let shown = self.shown();
        let meta = &shown.book.rule(rule)?.meta;
        Some((meta.title.clone(), meta.version.clone()))
    }

    /// Takes the rules as they were last read into force, without those that are suspended.
    pub(super) fn put_in_force(&self) {
        let mut library = self.library();
        self.apply(&mut library, self.system());
    }

    /// Reads the files now, whatever the watch thinks of them.
    pub(super) fn reload_now(&self, actor: Actor) -> RuleReload {
        let mut library = self.library();
        library.look();
        self.apply(&mut library, actor)
    }

    /// Loads what was read and takes it into force.
    fn apply(&self, library: &mut Library, actor: Actor) -> RuleReload {
        let start = Instant::now();
        let now = Timestamp::now();
        let mut loaded = library.load(now);
        let book = Book::of(&loaded, library.held());
        let looks = life::looks(&loaded.set);
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
        {
            let mut suspensions = self.suspensions();
            suspensions.lift_changed(&versions_of(&loaded.set));
            suspensions.take_out(&mut loaded.set);
        }
        let number = self.inner.pipeline.replace_rules(loaded.set);
        self.note_replacement(number);
        for change in &changes {
            self.inner.pipeline.costs().forget(&change.id);
        }
        {
            let mut shown = self.shown_mut();
            shown.looks = looks;
            shown.cases = cases;
            shown.held = library.held().clone();
        }
        let reload = RuleReload {
            at: now,
            took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            loaded: book.rules.len() as u64,
            changes,
            refused: book.refused.clone(),
            unreadable: book.unreadable.clone(),
        };
        self.save_state();
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

    pub(super) fn save_state(&self) {
        let saved = Saved {
            held: self.shown().held.clone(),
            suspensions: self.suspensions().clone(),
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

    pub(super) fn library(&self) -> MutexGuard<'_, Library> {
        self.inner
            .library
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shown(&self) -> RwLockReadGuard<'_, Shown> {
        self.inner
            .shown
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn shown_mut(&self) -> RwLockWriteGuard<'_, Shown> {
        self.inner
            .shown
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
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
