//! Who is connected, what is on its way to whom.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use watchfloor_link::{Act, ActOutcome, Frame, Health, HostIdentity, ToAgent};
use watchfloor_model::AgentDoubt;

use crate::Identity;

/// Frames that wait for an agent; one more ends a connection that takes none.
const OUTGOING_MAX: usize = 32;

/// Why an action cannot be given to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ActError {
    /// The action does not fit a frame.
    #[error("the action cannot be written: {0}")]
    Frame(String),
    /// An action with this key is on its way to another agent.
    #[error("the key of the action is in use by another agent")]
    Key,
}

/// What is known of a connected agent.
#[derive(Debug)]
pub struct Session {
    /// Who it is.
    pub who: Identity,
    /// Name of its host as it was enrolled.
    pub host: String,
    /// Version of the agent.
    pub version: String,
    /// What its host says it is.
    pub identity: HostIdentity,
    /// Where it comes from.
    pub peer: IpAddr,
    /// When it came.
    pub since: Timestamp,
    pub(crate) outgoing: mpsc::Sender<Arc<[u8]>>,
    pub(crate) end: CancellationToken,
    pub(crate) rate: AtomicU32,
    group: Mutex<String>,
    epoch: AtomicU64,
    through: AtomicU64,
    policy: AtomicU64,
    is_dirty: AtomicBool,
    state: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    seen_at: Option<Timestamp>,
    health: Option<Health>,
    doubts: BTreeMap<AgentDoubt, (Timestamp, String)>,
}

/// What is to be written down of an agent.
#[derive(Clone, Debug)]
pub struct SessionState {
    /// When it was last heard.
    pub seen_at: Option<Timestamp>,
    /// How it is.
    pub health: Option<Health>,
    /// Policy in force there.
    pub policy: u64,
    /// Its spool and the last record of it that is stored.
    pub mark: (u64, u64),
    /// What was strange since it came.
    pub doubts: BTreeMap<AgentDoubt, (Timestamp, String)>,
}

/// What a session begins with.
pub(crate) struct Opening {
    pub(crate) who: Identity,
    pub(crate) host: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) identity: HostIdentity,
    pub(crate) peer: IpAddr,
    pub(crate) policy: u64,
    pub(crate) mark: (u64, u64),
    pub(crate) rate: u32,
}

impl Session {
    pub(crate) fn open(
        opening: Opening,
        end: CancellationToken,
    ) -> (Arc<Self>, mpsc::Receiver<Arc<[u8]>>) {
        let (outgoing, incoming) = mpsc::channel(OUTGOING_MAX);
        let session = Self {
            who: opening.who,
            host: opening.host,
            version: opening.version,
            identity: opening.identity,
            peer: opening.peer,
            since: Timestamp::now(),
            outgoing,
            end,
            rate: AtomicU32::new(opening.rate),
            group: Mutex::new(opening.group),
            epoch: AtomicU64::new(opening.mark.0),
            through: AtomicU64::new(opening.mark.1),
            policy: AtomicU64::new(opening.policy),
            is_dirty: AtomicBool::new(true),
            state: Mutex::new(Heard {
                seen_at: Some(Timestamp::now()),
                ..Heard::default()
            }),
        };
        (Arc::new(session), incoming)
    }

    /// The group whose policy it follows.
    pub fn group(&self) -> String {
        lock(&self.group).clone()
    }

    /// Its spool and the last record of it that is stored.
    pub fn mark(&self) -> (u64, u64) {
        (
            self.epoch.load(Ordering::Acquire),
            self.through.load(Ordering::Acquire),
        )
    }

    pub(crate) fn set_mark(&self, epoch: u64, through: u64) {
        self.epoch.store(epoch, Ordering::Release);
        self.through.store(through, Ordering::Release);
        self.touch(None);
    }

    /// Notes that it was heard.
    pub(crate) fn touch(&self, heard: Option<(u64, Health)>) {
        let mut state = lock(&self.state);
        state.seen_at = Some(Timestamp::now());
        if let Some((policy, health)) = heard {
            self.policy.store(policy, Ordering::Release);
            state.health = Some(health);
        }
        self.is_dirty.store(true, Ordering::Release);
    }

    /// Notes something strange; says whether it is new in this session.
    pub(crate) fn doubt(&self, doubt: AgentDoubt, words: &str) -> bool {
        let mut state = lock(&self.state);
        if state.doubts.contains_key(&doubt) {
            return false;
        }
        state
            .doubts
            .insert(doubt, (Timestamp::now(), words.to_owned()));
        self.is_dirty.store(true, Ordering::Release);
        true
    }

    /// Forgets what was strange: somebody has looked at it.
    pub fn clear_doubts(&self) {
        lock(&self.state).doubts.clear();
    }

    /// Gives it a frame. One that does not take its frames is hung up on: what it misses, it is
    /// told when it comes again.
    pub fn send(&self, frame: &Arc<[u8]>) {
        if self.outgoing.try_send(Arc::clone(frame)).is_err() {
            self.end.cancel();
        }
    }

    /// Moves it to a group and a policy.
    pub fn follow(&self, group: &str, records_per_second: u32, policy_frame: &Arc<[u8]>) {
        group.clone_into(&mut lock(&self.group));
        self.rate.store(records_per_second, Ordering::Release);
        self.send(policy_frame);
    }

    /// Hangs up.
    pub fn hang_up(&self) {
        self.end.cancel();
    }

    /// What is to be written down of it.
    pub fn state(&self) -> SessionState {
        let state = lock(&self.state);
        SessionState {
            seen_at: state.seen_at,
            health: state.health.clone(),
            policy: self.policy.load(Ordering::Acquire),
            mark: self.mark(),
            doubts: state.doubts.clone(),
        }
    }
}

/// Counts of what is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Agents that are connected.
    pub agents: usize,
    /// Of these, agents with the policy that their group has now.
    pub with_policy: usize,
}

struct Pending {
    who: (String, String),
    frame: Arc<[u8]>,
    answer: oneshot::Sender<ActOutcome>,
    progress: watch::Sender<String>,
    is_given: bool,
}

impl Pending {
    /// Gives it to the agent. From then on nobody can say that nothing was done.
    fn give(&mut self, session: &Session) {
        self.is_given = true;
        session.send(&self.frame);
        self.progress.send_replace(String::new());
    }
}

/// What is heard of an action that an agent was given.
#[derive(Debug)]
pub struct Answer {
    /// What came of it.
    pub outcome: oneshot::Receiver<ActOutcome>,
    /// Changes when the agent is given it, and each time that it says that it is at work on it.
    pub progress: watch::Receiver<String>,
}

/// Who is connected. Cheap to clone.
#[derive(Clone, Default)]
pub struct Registry(Arc<Inner>);

#[derive(Default)]
struct Inner {
    live: Mutex<HashMap<(String, String), Arc<Session>>>,
    pending: Mutex<HashMap<String, Pending>>,
    ended: Mutex<Vec<Arc<Session>>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("live", &lock(&self.0.live).len())
            .finish_non_exhaustive()
    }
}

impl Registry {
    /// The session of an agent, if it is connected.
    pub fn get(&self, tenant: &str, agent: &str) -> Option<Arc<Session>> {
        let key = (tenant.to_owned(), agent.to_owned());
        lock(&self.0.live).get(&key).cloned()
    }

    /// All sessions.
    pub fn all(&self) -> Vec<Arc<Session>> {
        lock(&self.0.live).values().cloned().collect()
    }

    /// Counts agents; `policy_of` says what the policy of a group is called now.
    pub fn count(&self, policy_of: impl Fn(&str) -> Option<u64>) -> Live {
        let all = self.all();
        let has_policy = |one: &&Arc<Session>| {
            policy_of(&one.group()) == Some(one.policy.load(Ordering::Acquire))
        };
        Live {
            agents: all.len(),
            with_policy: all.iter().filter(has_policy).count(),
        }
    }

    /// Takes an agent in; a session that it had before ends. Answers that one, if it was alive.
    pub(crate) fn enter(&self, session: &Arc<Session>) -> Option<Arc<Session>> {
        let who = key_of(&session.who);
        let before = lock(&self.0.live).insert(who.clone(), Arc::clone(session));
        if let Some(before) = &before {
            before.end.cancel();
        }
        for pending in lock(&self.0.pending).values_mut() {
            if pending.who == who {
                pending.give(session);
            }
        }
        before
    }

    /// Forgets a session that ended; what was heard of it is still written down.
    pub(crate) fn leave(&self, session: &Arc<Session>) {
        let who = key_of(&session.who);
        let mut live = lock(&self.0.live);
        if live.get(&who).is_some_and(|one| Arc::ptr_eq(one, session)) {
            live.remove(&who);
        }
        drop(live);
        lock(&self.0.ended).push(Arc::clone(session));
    }

    /// Sessions of which something new was heard since the last call.
    pub fn changed(&self) -> Vec<Arc<Session>> {
        let mut changed: Vec<_> = lock(&self.0.ended).drain(..).collect();
        changed.extend(self.all());
        changed.retain(|one| one.is_dirty.swap(false, Ordering::AcqRel));
        changed
    }

    /// Sessions that could not be written down are given again.
    pub fn mark_changed(&self, sessions: &[Arc<Session>]) {
        for session in sessions {
            session.is_dirty.store(true, Ordering::Release);
            if self.get(&session.who.tenant, &session.who.agent).is_none() {
                lock(&self.0.ended).push(Arc::clone(session));
            }
        }
    }

    /// Gives an agent something to do, now or when it comes. What is heard of it comes by the
    /// answer; [`Registry::forget`] ends the waiting.
    ///
    /// # Errors
    /// [`ActError`].
    pub fn act(&self, tenant: &str, agent: &str, act: Act) -> Result<Answer, ActError> {
        let key = act.key.clone();
        let frame = Frame::from(ToAgent::Act { act })
            .encode()
            .map_err(|error| ActError::Frame(error.to_string()))?;
        let frame: Arc<[u8]> = frame.into();
        let who = (tenant.to_owned(), agent.to_owned());
        let (answer, outcome) = oneshot::channel();
        let (progress, heard) = watch::channel(String::new());
        {
            let mut pending = lock(&self.0.pending);
            if pending.get(&key).is_some_and(|one| one.who != who) {
                return Err(ActError::Key);
            }
            let one = Pending {
                who,
                frame,
                answer,
                progress,
                is_given: false,
            };
            pending.insert(key.clone(), one);
        }
        // Looked up behind the entry: who enters in between is given it there, and once more is no
        // harm.
        if let Some(session) = self.get(tenant, agent)
            && let Some(one) = lock(&self.0.pending).get_mut(&key)
        {
            one.give(&session);
        }
        Ok(Answer {
            outcome,
            progress: heard,
        })
    }

    /// Notes what an agent says that it is doing.
    pub(crate) fn acting(&self, who: &Identity, acting: &BTreeMap<String, String>) {
        if acting.is_empty() {
            return;
        }
        let (who, pending) = (key_of(who), lock(&self.0.pending));
        for (key, words) in acting {
            if let Some(one) = pending.get(key).filter(|one| one.who == who) {
                one.progress.send_replace(words.clone());
            }
        }
    }

    /// Takes an action back that its agent was not given; says whether it was so.
    pub fn take_back(&self, key: &str) -> bool {
        let mut pending = lock(&self.0.pending);
        let is_back = pending.get(key).is_some_and(|one| !one.is_given);
        if is_back {
            pending.remove(key);
        }
        is_back
    }

    /// Ends the waiting for an action.
    pub fn forget(&self, key: &str) {
        lock(&self.0.pending).remove(key);
    }

    /// Whether an action with this key is on its way to this agent.
    pub fn expects(&self, who: &Identity, key: &str) -> bool {
        let pending = lock(&self.0.pending);
        pending.get(key).is_some_and(|one| one.who == key_of(who))
    }

    /// Hands on what came of an action; what nobody waits for is passed over.
    pub fn answer(&self, who: &Identity, key: &str, outcome: ActOutcome) -> bool {
        let mut pending = lock(&self.0.pending);
        if pending.get(key).is_none_or(|one| one.who != key_of(who)) {
            return false;
        }
        // Whoever waited may have gone.
        pending
            .remove(key)
            .is_some_and(|one| one.answer.send(outcome).is_ok())
    }
}

fn key_of(who: &Identity) -> (String, String) {
    (who.tenant.clone(), who.agent.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(agent: &str) -> (Arc<Session>, mpsc::Receiver<Arc<[u8]>>) {
        let opening = Opening {
            who: Identity {
                tenant: "main".to_owned(),
                agent: agent.to_owned(),
                serial: "1".to_owned(),
            },
            host: "ws-1".to_owned(),
            group: "all".to_owned(),
            version: "1".to_owned(),
            identity: HostIdentity::default(),
            peer: IpAddr::from([192, 0, 2, 1]),
            policy: 1,
            mark: (0, 0),
            rate: 1,
        };
        Session::open(opening, CancellationToken::new())
    }

    fn act(key: &str) -> Act {
        Act {
            key: key.to_owned(),
            kind: "isolate_host".to_owned(),
            arguments: BTreeMap::new(),
            undo_at_ms: None,
            not_after_ms: 0,
            redone: 0,
        }
    }

    #[test]
    fn what_was_given_is_not_taken_back_though_the_agent_is_gone() {
        let registry = Registry::default();
        let mut answer = registry.act("main", "a", act("k")).unwrap();
        assert!(!answer.progress.has_changed().unwrap());
        // Another agent is not given it.
        let (other, mut nothing) = session("b");
        registry.enter(&other);
        assert!(nothing.try_recv().is_err());
        // It comes, is given the action, and goes before it says a word.
        let (one, mut given) = session("a");
        registry.enter(&one);
        assert!(given.try_recv().is_ok());
        registry.leave(&one);
        assert!(answer.progress.has_changed().unwrap());
        assert!(!registry.take_back("k"));
        assert!(registry.expects(&one.who, "k"));
        answer.progress.mark_unchanged();

        // Connected, it is given the next one at once; away, one can be taken back.
        let (one, mut given) = session("a");
        registry.enter(&one);
        assert!(given.try_recv().is_ok(), "the first one again");
        let second = registry.act("main", "a", act("l")).unwrap();
        assert!(given.try_recv().is_ok() && second.progress.has_changed().unwrap());
        registry.leave(&one);
        let third = registry.act("main", "a", act("m")).unwrap();
        assert!(!third.progress.has_changed().unwrap());
        assert!(registry.take_back("m") && !registry.take_back("m"));
    }
}
