//! Slows down guessing of passwords, per name and per address.
//!
//! Five failures a minute are free; each further one doubles the wait, up to 15 minutes.
//! In memory: a restart forgets, which a remote guesser cannot cause.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::{SignedDuration, Timestamp};

/// Failures that are free within [`WINDOW`].
const FREE_FAILURES: u32 = 5;

/// Within this time failures add up; after it without failure they are forgotten.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// First wait.
const WAIT_FIRST_S: i64 = 30;

/// Longest wait.
const WAIT_MAX_S: i64 = 900;

/// Keys remembered; the oldest are forgotten beyond.
const KEYS_MAX: usize = 10_000;

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    blocked_until: Timestamp,
}

/// Counts failures by key.
pub(crate) struct SignInLimiter {
    failures: Mutex<HashMap<String, Failures>>,
}

impl SignInLimiter {
    pub(crate) fn new() -> Self {
        Self {
            failures: Mutex::new(HashMap::new()),
        }
    }

    /// Admits a try, counted as failed until [`SignInLimiter::succeeded`] says otherwise, so
    /// that tries at the same time count too. Else says how many seconds to wait.
    pub(crate) fn admit(&self, keys: &[String], now: Timestamp) -> Result<(), i64> {
        let mut map = self.failures.lock().unwrap_or_else(|e| e.into_inner());
        let wait = keys
            .iter()
            .filter_map(|key| map.get(key))
            .map(|f| f.blocked_until.duration_since(now).as_secs() + 1)
            .filter(|seconds| *seconds > 1)
            .max();
        if let Some(seconds) = wait {
            return Err(seconds);
        }
        if map.len() > KEYS_MAX {
            map.retain(|_, f| now.duration_since(f.last) < WINDOW || f.blocked_until > now);
        }
        for key in keys {
            let entry = map.entry(key.clone()).or_insert(Failures {
                count: 0,
                last: now,
                blocked_until: now,
            });
            // Forgotten only after the wait and a quiet minute, so that the waits can grow.
            if now.duration_since(entry.last.max(entry.blocked_until)) > WINDOW {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
            if entry.count >= FREE_FAILURES {
                let doublings = (entry.count - FREE_FAILURES).min(10);
                let seconds = (WAIT_FIRST_S << doublings).min(WAIT_MAX_S);
                entry.blocked_until = now
                    .saturating_add(SignedDuration::from_secs(seconds))
                    .unwrap_or(now);
            }
        }
        Ok(())
    }

    /// Forgets the failures of these keys.
    pub(crate) fn succeeded(&self, keys: &[String]) {
        let mut map = self.failures.lock().unwrap_or_else(|e| e.into_inner());
        for key in keys {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_are_free_then_waits_grow() {
        let limiter = SignInLimiter::new();
        let keys = ["name x".to_owned()];
        let mut now = Timestamp::UNIX_EPOCH;
        for _ in 0..5 {
            assert_eq!(limiter.admit(&keys, now), Ok(()));
        }
        assert_eq!(limiter.admit(&keys, now), Err(31));
        now += SignedDuration::from_secs(31);
        assert_eq!(limiter.admit(&keys, now), Ok(()));
        assert_eq!(limiter.admit(&keys, now), Err(61));
        limiter.succeeded(&keys);
        assert_eq!(limiter.admit(&keys, now), Ok(()));
    }
}
