//! Tokens that were good a short time ago: collection goes on while the record store is away.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use watchfloor_store::TokenOwner;

/// How long a token is trusted that cannot be looked up.
const TRUSTED: SignedDuration = SignedDuration::from_hours(1);
/// How long the store is not asked after it was away: each caller would wait for it again.
const PAUSE: SignedDuration = SignedDuration::from_secs(3);
/// Most tokens remembered.
const TOKENS_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct State {
    by_hash: BTreeMap<String, (TokenOwner, Timestamp)>,
    away_since: Option<Timestamp>,
}

/// Tokens by the hash of their secret.
#[derive(Debug, Default)]
pub(crate) struct KnownTokens(Mutex<State>);

impl KnownTokens {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what the store said of a token.
    pub(crate) fn note(&self, hash: &str, owner: Option<&TokenOwner>, now: Timestamp) {
        let mut state = self.lock();
        state.away_since = None;
        match owner {
            None => {
                state.by_hash.remove(hash);
            }
            Some(owner) => {
                if state.by_hash.len() >= TOKENS_MAX {
                    state.by_hash.clear();
                }
                state.by_hash.insert(hash.to_owned(), (owner.clone(), now));
            }
        }
    }

    /// The store is away: a token that was good is trusted for a while.
    pub(crate) fn while_away(&self, hash: &str, now: Timestamp) -> Option<TokenOwner> {
        let mut state = self.lock();
        state.away_since = Some(now);
        let (owner, at) = state.by_hash.get(hash)?;
        (now.duration_since(*at) < TRUSTED).then(|| owner.clone())
    }

    /// A known token while the store was away a moment ago; then it need not be asked.
    pub(crate) fn at_once(&self, hash: &str, now: Timestamp) -> Option<TokenOwner> {
        let state = self.lock();
        let since = state.away_since?;
        let (owner, at) = state.by_hash.get(hash)?;
        let is_away = now.duration_since(since) < PAUSE && now.duration_since(*at) < TRUSTED;
        is_away.then(|| owner.clone())
    }
}
