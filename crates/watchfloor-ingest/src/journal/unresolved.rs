//! Messages of appends that were given up: whether the server has them is not known. A sender that
//! sends the same records again gets the same message number, so that the server keeps one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Most messages remembered.
const MESSAGES_MAX: usize = 65_536;

/// What was given up, by the hash of its content. Each number is given out once: two records that
/// are equal are still two.
#[derive(Debug)]
pub(super) struct Unresolved {
    /// As long as the server knows numbers again.
    kept: Duration,
    ids: HashMap<[u8; 32], VecDeque<String>>,
    order: VecDeque<(Instant, [u8; 32])>,
}

impl Unresolved {
    pub(super) fn new(kept: Duration) -> Self {
        Self {
            kept,
            ids: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(super) fn put(&mut self, content: [u8; 32], id: String, now: Instant) {
        while self.order.len() >= MESSAGES_MAX || self.is_over(now) {
            self.forget_oldest();
        }
        self.ids.entry(content).or_default().push_back(id);
        self.order.push_back((now, content));
    }

    pub(super) fn take(&mut self, content: &[u8; 32], now: Instant) -> Option<String> {
        while self.is_over(now) {
            self.forget_oldest();
        }
        let ids = self.ids.get_mut(content)?;
        let id = ids.pop_front();
        if ids.is_empty() {
            self.ids.remove(content);
        }
        if let Some(at) = self.order.iter().position(|(_, one)| one == content) {
            self.order.remove(at);
        }
        id
    }

    fn is_over(&self, now: Instant) -> bool {
        let oldest = self.order.front();
        oldest.is_some_and(|(since, _)| now.duration_since(*since) > self.kept)
    }

    fn forget_oldest(&mut self) {
        let Some((_, content)) = self.order.pop_front() else {
            return;
        };
        if let Some(ids) = self.ids.get_mut(&content) {
            ids.pop_front();
            if ids.is_empty() {
                self.ids.remove(&content);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_given_out_once_and_in_time() {
        let now = Instant::now();
        let mut known = Unresolved::new(Duration::from_secs(10));
        known.put([1; 32], "a".to_owned(), now);
        known.put([1; 32], "b".to_owned(), now);
        known.put([2; 32], "c".to_owned(), now);
        assert_eq!(known.take(&[3; 32], now), None);
        assert_eq!(known.take(&[1; 32], now).as_deref(), Some("a"));
        assert_eq!(known.take(&[1; 32], now).as_deref(), Some("b"));
        assert_eq!(known.take(&[1; 32], now), None);
        assert!(!known.is_empty());
        assert_eq!(known.take(&[2; 32], now + Duration::from_secs(11)), None);
        assert!(known.is_empty());
        for number in 0..=MESSAGES_MAX {
            let mut content = [0; 32];
            content[..8].copy_from_slice(&(number as u64).to_le_bytes());
            known.put(content, number.to_string(), now);
        }
        assert_eq!(known.take(&[0; 32], now), None, "the oldest is forgotten");
    }
}
