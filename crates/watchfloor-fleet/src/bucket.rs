//! How much an agent may send: a bucket of tokens that fills with time.

use std::time::{Duration, Instant};

/// A bucket of records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    per_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket for `per_second` records, which holds `seconds` of them.
    pub(crate) fn new(per_second: u32, seconds: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second.max(1));
        let most = per_second * f64::from(seconds.max(1));
        Self {
            per_second,
            most,
            left: most,
            at: now,
        }
    }

    /// Changes the rate; what is left stays.
    pub(crate) fn set_rate(&mut self, per_second: u32, seconds: u32) {
        self.per_second = f64::from(per_second.max(1));
        self.most = self.per_second * f64::from(seconds.max(1));
        self.left = self.left.min(self.most);
    }

    /// Takes so many records, or says how long to wait until they are there. More than the whole
    /// bucket are taken from a full one.
    pub(crate) fn take(&mut self, records: u32, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.per_second).min(self.most);
        let wanted = f64::from(records).min(self.most);
        if self.left >= wanted {
            self.left -= wanted;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (wanted - self.left) / self.per_second,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_waits_and_the_bucket_fills_again() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 2, start);
        assert!(bucket.take(20, start).is_ok());
        let wait = bucket.take(10, start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        assert!(bucket.take(10, start + wait).is_ok());
        // A batch larger than the bucket goes through when it is full.
        assert!(bucket.take(1_000, start + Duration::from_secs(60)).is_ok());
    }
}
