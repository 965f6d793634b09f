//! What stood behind a translated address: learnt from the events of firewalls that say both
//! sides of a translation.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Most translations that are kept; beyond, those that are older than the middle go.
const MAX_KEPT: usize = 500_000;
/// How long before and after it was seen a translation is believed, in microseconds: the firewall
/// tells of a session at its beginning or at its end.
const BEFORE_US: i64 = 3600 * 1_000_000;
const AFTER_US: i64 = 3600 * 1_000_000;
/// Translations of one outside address and port.
const MAX_PER_PORT: usize = 8;

/// A translation that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// When, microseconds since 1970.
    pub seen_us: i64,
    /// The address behind.
    pub inside: IpAddr,
    /// Its port; 0 if not known.
    pub inside_port: u16,
    /// Which product said so.
    pub provider: Arc<str>,
}

/// Translations by outside address and port.
#[derive(Clone, Debug, Default)]
pub struct Translations {
    by_outside: HashMap<(IpAddr, u16), Vec<Translation>, FixedState>,
    outside: HashMap<IpAddr, u32, FixedState>,
}

impl Translations {
    /// Number of outside addresses and ports.
    pub fn len(&self) -> usize {
        self.by_outside.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_outside.is_empty()
    }

    /// Takes up a translation; port 0 stands for a whole address.
    pub fn add(&mut self, outside: IpAddr, port: u16, one: Translation) {
        if outside == one.inside {
            return;
        }
        if self.by_outside.len() >= MAX_KEPT {
            self.forget_oldest();
        }
        let list = self.by_outside.entry((outside, port)).or_default();
        if list.is_empty() {
            *self.outside.entry(outside).or_default() += 1;
        }
        let same = |known: &&mut Translation| {
            known.inside == one.inside && known.inside_port == one.inside_port
        };
        if let Some(known) = list.iter_mut().find(same) {
            known.seen_us = known.seen_us.max(one.seen_us);
            return;
        }
        if list.len() >= MAX_PER_PORT {
            list.remove(0);
        }
        list.push(one);
    }

    /// Whether anything is known of an outside address.
    pub(crate) fn knows(&self, outside: IpAddr) -> bool {
        self.outside.contains_key(&outside)
    }

    /// What stood behind an address and port at an instant: the translation seen nearest to it.
    pub fn at(&self, outside: IpAddr, port: u16, time_us: i64) -> Option<&Translation> {
        let of = |port: u16| self.by_outside.get(&(outside, port)).into_iter().flatten();
        let near = of(port)
            .chain(of(0).filter(move |_| port != 0))
            .filter(|one| {
                let after = time_us.saturating_sub(one.seen_us);
                (-BEFORE_US..=AFTER_US).contains(&after)
            });
        near.min_by_key(|one| time_us.saturating_sub(one.seen_us).saturating_abs())
    }

    fn forget_oldest(&mut self) {
        let newest = |list: &Vec<Translation>| {
            let times = list.iter().map(|one| one.seen_us);
            times.max().unwrap_or(i64::MIN)
        };
        let mut times: Vec<i64> = self.by_outside.values().map(newest).collect();
        let middle = times.len() / 2;
        let (_, median, _) = times.select_nth_unstable(middle);
        let median = *median;
        self.by_outside.retain(|_, list| newest(list) > median);
        if self.by_outside.len() >= MAX_KEPT {
            self.by_outside.clear();
        }
        self.outside.clear();
        for (address, _) in self.by_outside.keys() {
            *self.outside.entry(*address).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_translation_of_a_port_counts() {
        let mut all = Translations::default();
        let outside: IpAddr = "203.0.113.4".parse().unwrap();
        let minute = 60_000_000;
        for (seen_us, inside) in [(0, "10.0.0.5"), (100 * minute, "10.0.0.6")] {
            let one = Translation {
                seen_us,
                inside: inside.parse().unwrap(),
                inside_port: 1234,
                provider: Arc::from("fw"),
            };
            all.add(outside, 40_000, one);
        }
        let behind = |port, minutes: i64| {
            all.at(outside, port, minutes * minute)
                .map(|one| one.inside.to_string())
        };
        assert_eq!(behind(40_000, 10).as_deref(), Some("10.0.0.5"));
        assert_eq!(behind(40_000, 90).as_deref(), Some("10.0.0.6"));
        assert_eq!(behind(40_000, 300), None);
        assert_eq!(behind(40_001, 10), None);
    }
}
