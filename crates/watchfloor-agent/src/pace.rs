//! Limits of the agent's own making: how much of a core it uses, and how many records it sends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::platform::own;

/// How often the share of the processor is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Over which time the share is taken.
const WINDOW: Duration = Duration::from_secs(3);
/// Longest single rest: stopping must not wait longer.
const REST_MAX: Duration = Duration::from_millis(500);

/// Keeps collectors under a share of one core: they call [`Pace::step`] after each piece of work.
#[derive(Debug)]
pub(crate) struct Pace {
    percent: AtomicU32,
    state: Mutex<PaceState>,
}

#[derive(Debug)]
struct PaceState {
    begin: Instant,
    cpu: Duration,
    looked: Instant,
    rest: Duration,
}

impl Pace {
    /// At most this share of one core, in percent.
    pub(crate) fn new(percent: u32) -> Self {
        let now = Instant::now();
        Self {
            percent: AtomicU32::new(percent.clamp(1, 100)),
            state: Mutex::new(PaceState {
                begin: now,
                cpu: own::cpu_time(),
                looked: now,
                rest: Duration::ZERO,
            }),
        }
    }

    /// Another share from now on.
    pub(crate) fn set_percent(&self, percent: u32) {
        self.percent.store(percent.clamp(1, 100), Ordering::Relaxed);
    }

    /// Rests if the agent used more than its share.
    pub(crate) fn step(&self) {
        let rest = {
            let mut state = self.state.lock().unwrap_or_else(|one| one.into_inner());
            let now = Instant::now();
            if now - state.looked >= LOOK_EVERY {
                state.looked = now;
                let used = own::cpu_time().saturating_sub(state.cpu);
                let passed = now - state.begin;
                state.rest = rest(used, passed, self.percent.load(Ordering::Relaxed));
                if passed >= WINDOW && state.rest.is_zero() {
                    state.begin = now;
                    state.cpu += used;
                }
            }
            std::mem::take(&mut state.rest)
        };
        if !rest.is_zero() {
            thread::sleep(rest.min(REST_MAX));
        }
    }
}

/// How long nothing must be done until what was used is the allowed share of what passed.
fn rest(used: Duration, passed: Duration, percent: u32) -> Duration {
    let allowed = passed * percent / 100;
    match used > allowed {
        true => used * 100 / percent.max(1) - passed,
        false => Duration::ZERO,
    }
}

/// So many records a second, over a minute.
#[derive(Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        Self {
            per_second,
            tokens: per_second * 60.0,
            at: now,
        }
    }

    /// Another rate from now on.
    pub(crate) fn set_rate(&mut self, per_second: u32, now: Instant) {
        self.fill(now);
        self.per_second = f64::from(per_second.max(1));
        self.tokens = self.tokens.min(self.per_second * 60.0);
    }

    /// How many records may go now.
    pub(crate) fn available(&mut self, now: Instant) -> u32 {
        self.fill(now);
        self.tokens.max(0.0) as u32
    }

    /// Takes some out.
    pub(crate) fn take(&mut self, records: u32) {
        self.tokens -= f64::from(records);
    }

    /// How long until a few more may go.
    pub(crate) fn wait(&self) -> Duration {
        let few = (self.per_second / 4.0).max(1.0);
        let seconds = ((few - self.tokens) / self.per_second).clamp(0.01, 60.0);
        Duration::from_secs_f64(seconds)
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_second).min(self.per_second * 60.0);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_used_too_much_rests_until_the_share_is_right() {
        let ms = Duration::from_millis;
        assert_eq!(rest(ms(100), ms(1_000), 25), Duration::ZERO);
        assert_eq!(rest(ms(500), ms(1_000), 25), ms(1_000));
        assert_eq!(rest(ms(1_000), ms(1_000), 100), Duration::ZERO);
    }

    #[test]
    fn a_bucket_gives_its_rate_over_a_minute() {
        let begin = Instant::now();
        let mut bucket = Bucket::new(10, begin);
        assert_eq!(bucket.available(begin), 600);
        bucket.take(600);
        assert_eq!(bucket.available(begin), 0);
        assert!(bucket.wait() > Duration::ZERO);
        assert_eq!(bucket.available(begin + Duration::from_secs(2)), 20);
        bucket.set_rate(1, begin + Duration::from_secs(2));
        assert_eq!(bucket.available(begin + Duration::from_secs(900)), 60);
    }
}
